/**
 * Tells how long a task took to become ready, processor by processor, and when client and bot were connected.
 *
 * **Details**
 *
 * - All set-ups run at the same time, so a task takes less than the sum of what its processors take.
 * - Only the first connection of each side is told. One that was there before `StartFrame` is told as soon as its frame
 *   may flow.
 *
 * Source: `StartupTimingObserver` of pipecat.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as PipelineObserver from "./PipelineObserver.ts"

/**
 * What one processor needed until it was ready.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProcessorStartup extends PipelineObserver.StartupTiming {
  /** Set-up and start together. */
  readonly milliseconds: number
}

/**
 * The task is ready.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ready {
  readonly _tag: "Ready"
  /** When the set-up began: milliseconds since the epoch, by the task's `Clock`. */
  readonly since: number
  /** From then until `StartFrame` had passed every processor. */
  readonly milliseconds: number
  /** In the pipeline's order. */
  readonly processors: ReadonlyArray<ProcessorStartup>
}

/**
 * A side was connected for the first time.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connected {
  readonly _tag: "Connected"
  readonly who: "client" | "bot"
  /** Since the set-up began. */
  readonly milliseconds: number
}

/**
 * What is told of a task's start.
 *
 * @category models
 * @since 0.1.0
 */
export type StartupEvent = Ready | Connected

/**
 * Options of {@link startup}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Names of the processors that are told of. Default: all. */
  readonly processors?: ReadonlyArray<string> | undefined
  /** Tag of the frame that says that the client is connected. Default: `ClientConnectedFrame`. */
  readonly clientConnected?: string | undefined
  /** Tag of the frame that says that the bot is connected. Default: `BotConnectedFrame`. */
  readonly botConnected?: string | undefined
}

const sides = (options: Options): ReadonlyMap<string, Connected["who"]> =>
  new Map([
    [options.clientConnected ?? "ClientConnectedFrame", "client"],
    [options.botConnected ?? "BotConnectedFrame", "bot"]
  ])

/**
 * Finds in the events of a task how it started.
 *
 * @example
 * ```ts
 * import { Effect, Fiber, Stream } from "effect"
 * import { PipelineObserver, PipelineTask, Processor, StartupObserver } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}))
 *   const seen = yield* StartupObserver.startup(PipelineObserver.events(task)).pipe(
 *     Stream.runCollect,
 *     Effect.forkScoped({ startImmediately: true })
 *   )
 *   yield* task.stopWhenDone
 *   yield* task.run
 *   return yield* Fiber.join(seen)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const startup = <E, R>(
  events: Stream.Stream<PipelineObserver.Event, E, R>,
  options: Options = {}
): Stream.Stream<StartupEvent, E, R> =>
  Stream.suspend(() => {
    const waiting = new Map(sides(options))
    let since: number | undefined
    return Stream.mapAccum(events, () => undefined, (_, event): readonly [undefined, ReadonlyArray<StartupEvent>] => {
      if (event._tag === "Task" && event.startup !== undefined && since === undefined) {
        const { milliseconds, processors } = event.startup
        since = event.startup.since
        const told = processors.filter(({ processor }) => options.processors?.includes(processor) ?? true)
        const ready = told.map((timing) => ({ ...timing, milliseconds: timing.setupMillis + timing.startMillis }))
        return [undefined, [{ _tag: "Ready", since, milliseconds, processors: ready }]]
      }
      const who = event._tag === "Push" ? waiting.get(event.frame._tag) : undefined
      if (who === undefined || since === undefined) return [undefined, []]
      for (const [tag, side] of waiting) if (side === who) waiting.delete(tag)
      return [undefined, [{ _tag: "Connected", who, milliseconds: event.at - since }]]
    })
  })

/**
 * An observer that tells once how a task started, and when each side was connected.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PipelineTask, Processor, StartupObserver } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}), {
 *     observers: [StartupObserver.make((event) => Effect.log(`${event._tag} after ${event.milliseconds} ms`))]
 *   })
 *   yield* task.stopWhenDone
 *   return yield* task.run
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  onEvent: (event: StartupEvent) => Effect.Effect<unknown, unknown>,
  options: Options = {}
): PipelineObserver.PipelineObserver =>
  PipelineObserver.fromStream(
    "StartupObserver",
    (events) => Stream.runForEach(startup(events, options), onEvent),
    { frames: [...sides(options).keys()] }
  )
