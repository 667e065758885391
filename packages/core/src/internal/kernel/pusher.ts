import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Fiber from "effect/Fiber"
import * as Frame from "../../Frame.ts"
import type { ProcessorContext, Push } from "../../Processor.ts"
import { inLane, type UserHandler, type Work } from "./handler.ts"
import { CurrentLane, type Lane, type Rest, running } from "./lane.ts"
import type { Port, PortLane } from "./port.ts"

/** What `push` gives to effectful handlers: a push, to be made when it is run. */
export class PushEffect {
  readonly pusher: Pusher
  readonly port: Port
  readonly frame: Frame.Frame
  constructor(pusher: Pusher, port: Port, frame: Frame.Frame) {
    this.pusher = pusher
    this.port = port
    this.frame = frame
  }
}
Object.setPrototypeOf(
  PushEffect.prototype,
  Effectable.Prototype<Effect.Effect<void> & PushEffect>({
    label: "Push",
    evaluate(fiber) {
      return this.pusher.pushFrom(fiber, this.port, this.frame)
    }
  })
)

interface Flush {
  items: Array<Rest<Frame.Frame>>
  next: number
}

const noFlushes: ReadonlyArray<Flush> = []

/** `to.push(...from)` would need as much stack as there are items. */
const move = <A>(from: Array<A>, to: Array<A>): void => {
  for (const item of from) to.push(item)
  from.length = 0
}

/** Which further pushes of a handler wait for those before. */
const blocks = { none: 0, own: 1, other: 2, all: 3 } as const

/** How the handlers of a port (or the hooks of a processor) push. */
export class Pusher {
  // What a plain call looks at comes first, to be together in memory.
  /** A synchronous handler is on the stack. */
  handling = false
  lane: PortLane | undefined = undefined
  /** Pushes of this tag are plain calls of `hotHandler`, whose pushes `hotPusher` makes. */
  hotTag: string | undefined = undefined
  hotHandler: UserHandler | undefined = undefined
  hotPusher: Pusher | undefined = undefined
  hotPush: Push | undefined = undefined
  private pushCache: Push | undefined = undefined
  /** What a synchronous handler pushed that could not be completed at once, in order. */
  pending: Array<Rest<Frame.Frame>> | undefined = undefined
  /** Or pushes of `hotTag` go into this mailbox. */
  hotLane: PortLane | undefined = undefined
  /** What was pending when its handler had returned, of which the first has been begun. */
  private flushes: ReadonlyArray<Flush> = noFlushes
  private blocked: number = blocks.none
  private contextCache: ProcessorContext | undefined = undefined
  readonly port: Port

  constructor(port: Port) {
    this.port = port
  }

  forget(): void {
    this.hotTag = undefined
  }

  /** Runs a synchronous handler. What it pushed and could not be completed at once is returned. */
  runSync(handler: UserHandler, frame: Frame.Frame): Work {
    this.handling = true
    let result: unknown
    try {
      result = handler(frame, this.push)
    } catch (error) {
      this.threw(error)
    }
    this.handling = false
    return result === undefined && this.pending === undefined ? undefined : this.finish(result)
  }

  threw(error: unknown): void {
    this.port.node.failed(Cause.die(error))
  }

  finish(result: unknown): Work {
    if (result !== undefined && Effect.isEffect(result)) {
      const message = "a sync handler returned an Effect, which is not run: use Processor.effect or Processor.queued"
      this.port.node.failed(Cause.die(new TypeError(message)))
    }
    return this.pending === undefined ? undefined : this.flush(running.lane)
  }

  /** Completes what is pending. In a loop of processors this happens again before it is done: hence no one state. */
  private flush(lane: Lane<any> | undefined): Effect.Effect<unknown> {
    const isData = this === this.port.pusher
    const enter = (rest: Rest<Frame.Frame>): Effect.Effect<unknown> => {
      const effect = inLane(lane, rest.enter)
      return rest.item.uninterruptible && lane !== undefined ? lane.guard(effect) : effect
    }
    const done = () => {
      if (isData) this.port.release()
      return Effect.void
    }
    const items = this.pending!
    this.pending = undefined
    this.blocked = blocks.none
    if (isData) this.port.occupy()
    const first = enter(items[0]!)
    if (items.length === 1) return Effect.flatMap(first, done)
    const rest: Flush = { items, next: 1 }
    this.flushes = [...this.flushes, rest]
    const others = Effect.whileLoop({
      while: () => rest.next < rest.items.length,
      body: () => enter(rest.items[rest.next++]!),
      step: () => {}
    })
    return Effect.flatMap(Effect.andThen(first, others), () => {
      this.flushes = this.flushes.filter((other) => other !== rest)
      return done()
    })
  }

  /** The interruption's part of what is pending; what is kept goes to the lane's next fiber if this one is killed. */
  cut(killed: boolean): Array<Rest<Frame.Frame>> {
    const keep = (rests: ReadonlyArray<Rest<Frame.Frame>>): Array<Rest<Frame.Frame>> => {
      const kept: Array<Rest<Frame.Frame>> = []
      for (const rest of rests) {
        if (rest.item.uninterruptible) kept.push(rest)
        else this.port.node.kernel.dropped(this.port.node, rest.item, "interrupted")
      }
      return kept
    }
    const kept: Array<Rest<Frame.Frame>> = []
    for (const flush of this.flushes) {
      flush.items = keep(flush.items.slice(flush.next))
      flush.next = 0
      if (killed) move(flush.items, kept)
    }
    if (killed) this.flushes = noFlushes
    if (this.pending !== undefined) {
      const left = keep(this.pending)
      if (killed) move(left, kept)
      this.pending = left.length === 0 ? undefined : left
      if (this.pending === undefined) this.blocked = blocks.none
    }
    return kept
  }

  /** Makes what the synchronous handler pushes from now on and is not to overtake `work` wait for it. */
  wait(blocks: number, item: Frame.Frame, work: Work): void {
    if (work === undefined || !this.handling) return
    this.defer(item, () => work)
    this.blocked |= blocks
    this.forget()
  }

  private defer(item: Frame.Frame, enter: () => Work): void {
    ;(this.pending ??= []).push({ item, enter })
  }

  pushSync(port: Port, frame: Frame.Frame): void {
    if (frame.kind !== "data") {
      const special = port.node.special(port, frame, running.lane)
      if (special !== false) return this.wait(blocks.all, frame, special)
    }
    if (port.node.ended) return port.node.kernel.dropped(port.node, frame, "ended")
    const way = port === this.port ? blocks.own : blocks.other
    if (!this.handling) {
      // Somebody kept `push`: nobody would run what is left of a plain call, so it goes through a mailbox.
      port.emit(frame, undefined, running.lane)
    } else if ((this.blocked & way) !== 0) {
      this.defer(frame, () => port.emit(frame, running.lane, running.lane))
    } else {
      this.wait(way, frame, port.emit(frame, running.lane, running.lane))
      if (frame.kind === "data" && way === blocks.own && this.blocked === blocks.none) this.warm(frame)
    }
  }

  private warm(frame: Frame.Frame): void {
    const target = this === this.port.pusher ? this.port.target(frame) : undefined
    if (target === undefined) return
    const call = "pusher" in target ? target : undefined
    this.hotTag = frame._tag
    this.hotLane = "pusher" in target ? undefined : target
    this.hotHandler = call?.handler
    this.hotPusher = call?.pusher
    this.hotPush = call?.pusher.push
  }

  /** A push by a handler of this port, on the stack of the lane that runs it. */
  pushWithin(port: Port, frame: Frame.Frame): Work {
    const { lane } = running
    if (frame.kind !== "data") {
      const special = port.node.special(port, frame, lane)
      if (special !== false) return special
    }
    if (port.node.ended) {
      port.node.kernel.dropped(port.node, frame, "ended")
      return undefined
    }
    const work = port.emit(frame, lane, lane)
    return work !== undefined && frame.uninterruptible && lane !== undefined ? lane.guard(work) : work
  }

  pushFrom(fiber: Fiber.Fiber<unknown, unknown>, port: Port, frame: Frame.Frame): Effect.Effect<any> {
    if (frame.kind !== "data") {
      const special = port.node.special(port, frame, laneOf(fiber))
      if (special !== false) return special ?? Effect.void
    }
    const { kernel } = port.node
    if (port.node.ended) {
      kernel.dropped(port.node, frame, "ended")
      return Effect.void
    }
    const lane = port.lane
    if (lane !== undefined && lane.fiber === fiber) {
      const effect = inLane(lane, () => port.emit(frame, lane, lane))
      return frame.uninterruptible ? lane.guard(effect) : effect
    }
    const from = laneOf(fiber)
    if (from !== undefined && from.dying === fiber && frame.kind === "data" && !frame.uninterruptible) {
      // No late results: what an interrupted handler still says while it unwinds is dropped.
      kernel.dropped(port.node, frame, "interrupted")
      return Effect.void
    }
    const work = inLane(undefined, () => port.emit(frame, undefined, from))
    return frame.uninterruptible && from !== undefined ? from.guard(work) : work
  }

  /** What effectful handlers get. */
  get context(): ProcessorContext {
    return this.contextCache ??= this.makeContext()
  }

  /** What its handler pushed has still to be completed. */
  get isUnfinished(): boolean {
    return this.pending !== undefined || this.flushes.length > 0
  }

  interrupt(frame: Frame.Frame): void {
    this.wait(blocks.all, frame, this.port.node.kernel.interrupt(frame, this.port.node, running.lane))
  }

  /** What synchronous handlers get. */
  get push(): Push {
    return this.pushCache ?? this.makePush()
  }

  private makePush(): Push {
    const push = hot(this)
    Object.setPrototypeOf(push, pushProto)
    return this.pushCache = Object.assign(push, { [pusherOf]: this }) as unknown as Push // it gets the rest from its prototype
  }

  private makeContext(): ProcessorContext {
    const { direction, node } = this.port
    const to = (port: Port) => (frame: Frame.Frame): Effect.Effect<void> =>
      new PushEffect(this, port, frame) as unknown as Effect.Effect<void> // its prototype is an Effect's
    const pushDownstream = to(node.down)
    const pushUpstream = to(node.up)
    const { kernel } = node
    return {
      name: node.name,
      push: direction === "downstream" ? pushDownstream : pushUpstream,
      pushDownstream,
      pushUpstream,
      interrupt: Effect.withFiber((fiber) =>
        kernel.interrupt(Frame.StartInterruptionFrame.make({}), node, laneOf(fiber)) ?? Effect.void
      ),
      report: (error, options) =>
        Effect.sync(() => kernel.report(node, Cause.fail(error), options?.fatal === true, options?.unusable === true)),
      recovered: Effect.sync(() => node.recovered()),
      reportCause: (cause: Cause.Cause<unknown>) => Effect.sync(() => node.failed(cause)),
      dropped: (frame, reason = "interrupted") => Effect.sync(() => kernel.dropped(node, frame, reason)),
      hold: Effect.sync(() => {
        const release = kernel.keepBusy()
        return Effect.sync(release)
      }),
      get metrics() {
        return node.metering.effect
      },
      span: Effect.sync(() => kernel.tracing?.current)
    }
  }
}

const pusherOf = Symbol("pusher")

/** What a synchronous handler's `push` has besides. */
const pushProto = Object.create(Function.prototype, {
  downstream: {
    get(this: { readonly [pusherOf]: Pusher }) {
      const self = this[pusherOf]
      return (frame: Frame.Frame): void => self.pushSync(self.port.node.down, frame)
    }
  },
  upstream: {
    get(this: { readonly [pusherOf]: Pusher }) {
      const self = this[pusherOf]
      return (frame: Frame.Frame): void => self.pushSync(self.port.node.up, frame)
    }
  },
  interrupt: {
    get(this: { readonly [pusherOf]: Pusher }) {
      const self = this[pusherOf]
      return (): void => self.interrupt(Frame.StartInterruptionFrame.make({}))
    }
  },
  dropped: {
    get(this: { readonly [pusherOf]: Pusher }): Push["dropped"] {
      const { node } = this[pusherOf].port
      return (frame, reason = "interrupted") => node.kernel.dropped(node, frame, reason)
    }
  },
  metrics: {
    get(this: { readonly [pusherOf]: Pusher }) {
      return this[pusherOf].port.node.metering.sync
    }
  }
})

/** `pushSync`, for the usual case: what `emit`, `receive` and `runSync` would come to. */
const hot = (self: Pusher) => (frame: Frame.Frame): void => {
  if (frame._tag !== self.hotTag || !self.handling || running.lane !== self.lane) return self.pushSync(self.port, frame)
  const next = self.hotPusher
  if (next === undefined) {
    if (!self.hotLane!.accept(frame)) self.pushSync(self.port, frame)
    return
  }
  next.handling = true
  let result: unknown
  try {
    result = self.hotHandler!(frame, self.hotPush)
  } catch (error) {
    next.threw(error)
  }
  next.handling = false
  if (result !== undefined || next.pending !== undefined) self.wait(blocks.own, frame, next.finish(result))
}

const laneOf = (fiber: Fiber.Fiber<unknown, unknown>): Lane<any> | undefined => fiber.getRef(CurrentLane)
