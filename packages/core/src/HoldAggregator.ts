/**
 * Holds some frames until it is notified, and lets all others pass.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import * as Frame from "./Frame.ts"
import { checkPositiveInteger } from "./internal/positiveInteger.ts"
import type * as Notifier from "./Notifier.ts"
import * as Processor from "./Processor.ts"

/**
 * How much is held, and what becomes of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Data frames that are held; one more is dropped, or drops another, and an error is reported. Default: 1024. */
  readonly capacity?: number | undefined
  /** What is dropped when it is full: the new frame (`dropping`) or the oldest one (`sliding`). Default: `dropping`. */
  readonly strategy?: "dropping" | "sliding" | undefined
  /** What `EndFrame` does to what is held; uninterruptible frames go on in any case. Default: `flush`. */
  readonly atEnd?: "flush" | "drop" | undefined
}

/**
 * Options of {@link all} and {@link last}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Limits {
  /** Default: `HoldAggregator`. */
  readonly name?: string | undefined
  /** What releases what is held. Default: a `SyncNotifyFrame`, in either direction. */
  readonly notifier?: Notifier.Notifier | undefined
}

/**
 * Held frames were dropped because there were too many of them. It is reported once until frames are released.
 *
 * @example
 * ```ts
 * import { HoldAggregator } from "@apipeline/core"
 *
 * new HoldAggregator.HoldOverflow({ processor: "Hold", capacity: 8 }).message // => "Hold holds 8 frames already: frames are dropped"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class HoldOverflow extends Schema.TaggedError<HoldOverflow>()("HoldOverflow", {
  processor: Schema.String,
  capacity: Schema.Number
}) {
  override get message(): string {
    return `${this.processor} holds ${this.capacity} frames already: frames are dropped`
  }
}

/** Tells the task of a frame that was held and does not go on. */
type Dropped = (frame: Frame.Frame, reason: "full" | "interrupted" | "cancelled") => void

/**
 * Frames that are held.
 *
 * @internal
 */
export class Backlog {
  private frames: Array<Frame.Frame> = []
  private data = 0
  private full = false
  private readonly name: string
  private readonly capacity: number
  private readonly strategy: "dropping" | "sliding"
  private readonly drops: boolean

  constructor(name: string, { atEnd, capacity = 1024, strategy = "dropping" }: Limits) {
    this.name = name
    this.capacity = capacity
    this.strategy = strategy
    this.drops = atEnd === "drop"
  }

  /** Gives the error to report when a frame had to be dropped. */
  add(frame: Frame.Frame, dropped: Dropped): HoldOverflow | undefined {
    if (!droppable(frame)) {
      this.frames.push(frame)
      return undefined
    }
    const tooMany = this.data === this.capacity
    if (tooMany && this.strategy === "dropping") {
      dropped(frame, "full")
      return this.overflow()
    }
    if (tooMany) {
      for (const oldest of this.frames.splice(this.frames.findIndex(droppable), 1)) {
        dropped(oldest, "full")
      }
    } else this.data++
    this.frames.push(frame)
    return tooMany ? this.overflow() : undefined
  }

  private overflow(): HoldOverflow | undefined {
    if (this.full) return undefined
    this.full = true
    return new HoldOverflow({ processor: this.name, capacity: this.capacity })
  }

  /** The oldest one, which is held no more: an interruption may cut the rest while it is on its way. */
  next(): Frame.Frame | undefined {
    const frame = this.frames.shift()
    if (frame !== undefined && droppable(frame)) this.data--
    this.full = false
    return frame
  }

  /** All of them, which are held no more. */
  takeAll(): ReadonlyArray<Frame.Frame> {
    const { frames } = this
    this.frames = []
    this.data = 0
    this.full = false
    return frames
  }

  /** Only uninterruptible frames stay. */
  cut(dropped: Dropped, reason: "full" | "interrupted" | "cancelled" = "interrupted"): void {
    const { frames } = this
    this.frames = frames.filter(Frame.isUninterruptible)
    this.data = 0
    this.full = false
    for (const frame of frames) if (!Frame.isUninterruptible(frame)) dropped(frame, reason)
  }

  /** The end: the frames that are to go on stay. */
  end(dropped: Dropped): void {
    if (this.drops) this.cut(dropped, "cancelled")
  }

  /** Nothing goes on any more. */
  cancel(dropped: Dropped): void {
    for (const frame of this.takeAll()) dropped(frame, "cancelled")
  }
}

const droppable = (frame: Frame.Frame): boolean => Frame.isData(frame) && !Frame.isUninterruptible(frame)

/** @internal */
export const check = (module: string, { capacity }: Limits): void => {
  if (capacity !== undefined && capacity !== Infinity) checkPositiveInteger(`${module}: capacity`, capacity)
}

const make = (
  held: Predicate.Predicate<Frame.Frame>,
  options: Options,
  add: (backlog: Backlog, frame: Frame.Frame, dropped: Dropped) => HoldOverflow | undefined
): Processor.Processor => {
  const { name = "HoldAggregator", notifier } = options
  check("HoldAggregator", options)
  if (notifier === undefined) {
    return Processor.sync(name, () => {
      const backlog = new Backlog(name, options)
      const release = (push: Processor.Push): void => {
        for (let frame = backlog.next(); frame !== undefined; frame = backlog.next()) push.downstream(frame)
      }
      const take = (frame: Frame.Frame, push: Processor.Push): void => {
        if (!held(frame)) return push(frame)
        const error = add(backlog, frame, push.dropped)
        if (error !== undefined) push.upstream(Frame.ErrorFrame.make({ error, processor: name }))
      }
      const notified = (frame: Frame.Frame, push: Processor.Push): void => {
        release(push)
        push(frame)
      }
      return {
        data: take,
        control: take,
        SyncNotifyFrame: notified,
        upstream: { SyncNotifyFrame: notified },
        onInterruption: (_, push) => backlog.cut(push.dropped),
        onEnd: (_, push) => {
          backlog.end(push.dropped)
          release(push)
        },
        onCancel: (_, push) => backlog.cancel(push.dropped)
      }
    })
  }
  return Processor.effect(
    name,
    Effect.sync(() => {
      const backlog = new Backlog(name, options)
      // All at one instant: then those that must wait for room are in line, where an interruption finds them.
      const release = (push: (frame: Frame.Frame) => Effect.Effect<void>): Effect.Effect<void> =>
        Effect.suspend(() => Effect.forEach(backlog.takeAll(), push, { concurrency: "unbounded", discard: true }))
      /** Does something with what is held, and tells of what that drops. */
      const telling = <A>(
        { dropped }: Processor.ProcessorContext,
        change: (dropped: Dropped) => A
      ): Effect.Effect<A> =>
        Effect.suspend(() => {
          const told: Array<Effect.Effect<void>> = []
          const result = change((frame, reason) => void told.push(dropped(frame, reason)))
          return told.length === 0 ? Effect.succeed(result) : Effect.as(Effect.all(told, { discard: true }), result)
        })
      const take = (frame: Frame.Frame, context: Processor.ProcessorContext): Effect.Effect<void> =>
        held(frame)
          ? Effect.flatMap(
            telling(context, (dropped) => add(backlog, frame, dropped)),
            (error) => error === undefined ? Effect.void : context.report(error)
          )
          : context.push(frame)
      return {
        data: take,
        control: take,
        run: (_: undefined, { pushDownstream }: Processor.ProcessorContext): Effect.Effect<never> =>
          Effect.forever(Effect.andThen(notifier.wait, release(pushDownstream))),
        onInterruption: (_: Frame.StartInterruptionFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
          telling(context, (dropped) => backlog.cut(dropped)),
        onEnd: (_: Frame.EndFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
          Effect.andThen(telling(context, (dropped) => backlog.end(dropped)), release(context.pushDownstream)),
        onCancel: (_: Frame.CancelFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
          telling(context, (dropped) => backlog.cancel(dropped))
      }
    })
  )
}

/**
 * Makes a processor that holds every downstream frame for which the predicate is true until it is notified, and then
 * releases all of them, in order. Then it holds again.
 *
 * **Details**
 *
 * - It is asked for data and control frames; system and lifecycle frames always pass.
 * - Without a notifier, a `SyncNotifyFrame` releases, and goes on behind what it released.
 * - With one, a notification releases, in a fiber of its own. Frames that arrive while released ones are on their way
 *   wait for the next notification.
 * - An interruption clears what is held, but for uninterruptible frames, unless the task does not allow interruptions.
 * - `EndFrame` releases what is left before it: nobody will notify any more (`atEnd: "drop"` discards it).
 * - What is held and does not go on counts as dropped.
 *   `StopTaskFrame` leaves it for the task that takes over.
 *
 * Throws a `TypeError` when `capacity` is not a positive integer.
 *
 * @example
 * ```ts
 * import { Frame, HoldAggregator, Pipeline } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(HoldAggregator.all(Frame.TextFrame.is, { capacity: 100 }))
 * ```
 *
 * Source: `HoldFramesAggregator` of pipeline-go.
 *
 * @see {@link last} for the latest only
 * @category constructors
 * @since 0.1.0
 */
export const all = (held: Predicate.Predicate<Frame.Frame>, options: Options = {}): Processor.Processor =>
  make(held, options, (backlog, frame, dropped) => backlog.add(frame, dropped))

/**
 * Makes a processor like {@link all} that holds the latest frame only: each one replaces the one before, which is
 * discarded. Uninterruptible frames are not replaced.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, HoldAggregator, Notifier, Pipeline } from "@apipeline/core"
 *
 * const pipeline = Effect.gen(function*() {
 *   const look = yield* Notifier.make
 *   return Pipeline.make(HoldAggregator.last(Frame.ImageRawFrame.is, { notifier: look }))
 * })
 * ```
 *
 * Source: `HoldLastFrameAggregator` of pipeline-go.
 *
 * @category constructors
 * @since 0.1.0
 */
export const last = (held: Predicate.Predicate<Frame.Frame>, options: Options = {}): Processor.Processor =>
  make(held, options, (backlog, frame, dropped) => {
    backlog.cut(dropped, "full")
    return backlog.add(frame, dropped)
  })
