/**
 * Observers see every push and what becomes of the task, without touching either.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Frame from "./Frame.ts"
import type * as PipelineError from "./PipelineError.ts"
import type * as PipelineTask from "./PipelineTask.ts"

/**
 * A frame moved from one processor to the next. `from` and `to` are processors' names; `task` stands for the task's
 * own ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface PushEvent {
  readonly _tag: "Push"
  readonly frame: Frame.Frame
  readonly direction: Frame.Direction
  readonly from: string
  readonly to: string
  /** Milliseconds since the epoch, by the task's `Clock`. */
  readonly at: number
}

/**
 * A frame did not arrive: the mailbox was full, an interruption or a cancel took it, it was pushed after the end, or by
 * a service that is not in use.
 *
 * @category models
 * @since 0.1.0
 */
export interface DropEvent {
  readonly _tag: "Drop"
  readonly frame: Frame.Frame
  readonly processor: string
  readonly reason: "full" | "interrupted" | "cancelled" | "ended" | "inactive"
  readonly at: number
}

/**
 * How long it took a processor to become ready.
 *
 * @category models
 * @since 0.1.0
 */
export interface StartupTiming {
  readonly processor: string
  /** Its set-up, in milliseconds. The set-ups of all processors run at the same time. */
  readonly setupMillis: number
  /** What it did when `StartFrame` arrived, in milliseconds. */
  readonly startMillis: number
}

/**
 * How a task became ready.
 *
 * @category models
 * @since 0.1.0
 */
export interface Startup {
  /** When the set-up of the processors began: milliseconds since the epoch, by the task's `Clock`. */
  readonly since: number
  /** From then until `StartFrame` was through. */
  readonly milliseconds: number
  /** In the pipeline's order. A task that has taken over another has no set-up: 0. */
  readonly processors: ReadonlyArray<StartupTiming>
}

/**
 * Something happened to the task as a whole. `Interrupted`: an interruption begins, and every processor is about to be
 * told.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskEvent {
  readonly _tag: "Task"
  readonly event:
    | "Started"
    | "Interrupted"
    | "Ended"
    | "Stopped"
    | "Cancelled"
    | "Failed"
    | "IdleTimeout"
    | "HeartbeatTimeout"
    | "StartTimeout"
    | "DrainTimeout"
    | "CancelTimeout"
  readonly message: string
  readonly at: number
  /** With `Started`. */
  readonly startup?: Startup | undefined
}

/**
 * Whatever an observer is told.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = PushEvent | DropEvent | TaskEvent

/**
 * An observer runs in a fiber of its own behind a mailbox that slides when it is slow. When it fails, that is
 * logged, it is detached, and the pipeline goes on.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, PipelineObserver } from "@apipeline/core"
 *
 * const log = PipelineObserver.make("log", (event) =>
 *   event._tag === "Push" ? Effect.logDebug(`${event.from} -> ${event.to}: ${Frame.format(event.frame)}`) : Effect.void)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface PipelineObserver extends Options {
  readonly name: string
  /** Watches one task: the stream ends when the task has, the scope closes when the observer is detached. */
  readonly watch: (events: Stream.Stream<Event>) => Effect.Effect<unknown, unknown, Scope.Scope>
}

/**
 * Options of every observer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Events that wait for a slow observer; older ones slide out. Default: 4096. */
  readonly capacity?: number | undefined
  /** Tags of the frames whose pushes and drops it is told of. Default: all. */
  readonly frames?: ReadonlyArray<string> | undefined
}

/**
 * Makes an observer.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PipelineObserver } from "@apipeline/core"
 *
 * const drops = PipelineObserver.make("drops", (event) =>
 *   event._tag === "Drop" ? Effect.logWarning(`${event.processor}: ${event.reason}`) : Effect.void)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  name: string,
  observe: (event: Event) => Effect.Effect<unknown, unknown>,
  options?: Options
): PipelineObserver => fromStream(name, (events) => Stream.runForEach(events, observe), options)

/**
 * Makes an observer of what is done with the stream of events, afresh for every task that it watches.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { PipelineObserver } from "@apipeline/core"
 *
 * const count = PipelineObserver.fromStream("count", (events) =>
 *   Effect.flatMap(Stream.runCount(events), (n) => Effect.log(`${n} texts moved`)), { frames: ["TextFrame"] })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStream = (
  name: string,
  watch: (events: Stream.Stream<Event>) => Effect.Effect<unknown, unknown, Scope.Scope>,
  options?: Options
): PipelineObserver => ({ name, watch, capacity: options?.capacity, frames: options?.frames })

/**
 * The events of a task from the moment of subscription on, until it ends. Those that a slow reader has not taken yet
 * are all kept, unless `capacity` bounds them.
 *
 * @example
 * ```ts
 * import { Effect, Fiber, Stream } from "effect"
 * import { Pipeline, PipelineObserver, PipelineTask, Processor } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Pipeline.make(Processor.sync("Same", {})))
 *   const seen = yield* PipelineObserver.events(task).pipe(
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
export const events = (
  task: Pick<PipelineTask.PipelineTask<unknown>, "observe">,
  options?: Options
): Stream.Stream<Event, PipelineError.PipelineError> =>
  Stream.unwrap(Effect.gen(function*() {
    const queue = yield* Queue.make<Event, Cause.Done>({ capacity: options?.capacity ?? Infinity, strategy: "sliding" })
    const watch = (events: Stream.Stream<Event>) =>
      Effect.ensuring(Stream.runForEachArray(events, (all) => Queue.offerAll(queue, all)), Queue.end(queue))
    const observer = fromStream("events", watch, { ...options, capacity: options?.capacity ?? Infinity })
    yield* Effect.acquireRelease(task.observe(observer), (remove) => remove)
    return Stream.fromQueue(queue)
  }))
