import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Frame from "../../Frame.ts"

interface Waiter {
  readonly frame: Frame.Frame
  settled: boolean
  resume: (() => void) | undefined
}

interface Subscriber {
  readonly queue: Queue.Queue<Frame.Frame, Cause.Done>
  waiters: Array<Waiter>
}

/**
 * Where frames leave the pipeline as a stream. Each run of the stream is a subscriber that pushes back when it is
 * slow; with none, what arrives has simply arrived.
 */
export class Outlet {
  private readonly subscribers = new Set<Subscriber>()
  private ended = false
  private readonly capacity: number
  private readonly onCut: (frame: Frame.Frame) => void
  private readonly onFrame: ((frame: Frame.Frame) => boolean) | undefined

  /**
   * `onCut` is told what an interruption took; `onFrame` sees every frame that is no data first, and `false` keeps it
   * from the subscribers.
   */
  constructor(capacity: number, onCut: (frame: Frame.Frame) => void, onFrame?: (frame: Frame.Frame) => boolean) {
    this.capacity = capacity
    this.onCut = onCut
    this.onFrame = onFrame
  }

  offer(frame: Frame.Frame, force: boolean): Effect.Effect<void> | undefined {
    let waits: Array<Effect.Effect<void>> | undefined
    if (frame.kind !== "data" && this.onFrame !== undefined && !this.onFrame(frame)) return undefined
    for (const subscriber of this.subscribers) {
      if (force || (Queue.sizeUnsafe(subscriber.queue) < this.capacity && subscriber.waiters.length === 0)) {
        Queue.offerUnsafe(subscriber.queue, frame)
        continue
      }
      const waiter: Waiter = { frame, settled: false, resume: undefined }
      subscriber.waiters.push(waiter)
      waits = [
        ...(waits ?? []),
        Effect.callback<void>((resume) => {
          if (waiter.settled) return resume(Effect.void)
          waiter.resume = () => resume(Effect.void)
          return Effect.sync(() => {
            if (waiter.settled || frame.uninterruptible) return
            waiter.settled = true
            this.onCut(frame)
            subscriber.waiters = subscriber.waiters.filter((other) => other !== waiter)
          })
        })
      ]
    }
    return waits === undefined ? undefined : Effect.all(waits, { discard: true })
  }

  private settle(waiter: Waiter): void {
    waiter.settled = true
    waiter.resume?.()
  }

  private admit(subscriber: Subscriber): void {
    while (subscriber.waiters.length > 0 && Queue.sizeUnsafe(subscriber.queue) < this.capacity) {
      const waiter = subscriber.waiters.shift()!
      Queue.offerUnsafe(subscriber.queue, waiter.frame)
      this.settle(waiter)
    }
  }

  /** The interruption's part; what is uninterruptible stays. */
  cut(): void {
    for (const subscriber of this.subscribers) {
      const waiters = subscriber.waiters
      subscriber.waiters = []
      const waiting = Effect.runSync(Effect.orElseSucceed(Queue.clear(subscriber.queue), () => []))
      for (const frame of [...waiting, ...waiters.map((waiter) => waiter.frame)]) {
        if (frame.uninterruptible || frame.kind === "system" || Frame.isLifecycle(frame)) {
          Queue.offerUnsafe(subscriber.queue, frame)
        } else this.onCut(frame)
      }
      for (const waiter of waiters) this.settle(waiter)
    }
  }

  end(): void {
    if (this.ended) return
    this.ended = true
    for (const subscriber of this.subscribers) {
      for (const waiter of subscriber.waiters) {
        Queue.offerUnsafe(subscriber.queue, waiter.frame)
        this.settle(waiter)
      }
      Queue.endUnsafe(subscriber.queue)
    }
  }

  /** The frames from the moment on in which this Effect has run. */
  readonly subscribe: Effect.Effect<Stream.Stream<Frame.Frame>, never, Scope.Scope> = Effect.gen(
    { self: this },
    function*() {
      const queue = yield* Queue.unbounded<Frame.Frame, Cause.Done>()
      if (this.ended) return Stream.empty
      const subscriber: Subscriber = { queue, waiters: [] }
      yield* Effect.acquireRelease(Effect.sync(() => this.subscribers.add(subscriber)), () =>
        Effect.sync(() => {
          this.subscribers.delete(subscriber)
          for (const waiter of subscriber.waiters) this.settle(waiter)
        }))
      return Stream.mapArray(Stream.fromQueue(queue), (frames) => {
        this.admit(subscriber)
        return frames
      })
    }
  )

  readonly stream: Stream.Stream<Frame.Frame> = Stream.unwrap(this.subscribe)
}
