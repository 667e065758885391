/**
 * A task runs one pipeline inside a `Scope`: it starts it, feeds it, interrupts it, ends or cancels it, and when the
 * scope closes nothing is left running.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type * as Frame from "./Frame.ts"
import { Task } from "./internal/kernel/task.ts"
import type * as Pipeline from "./Pipeline.ts"
import type * as PipelineError from "./PipelineError.ts"
import type * as PipelineMetrics from "./PipelineMetrics.ts"
import type * as PipelineObserver from "./PipelineObserver.ts"
import type * as Tracing from "./Tracing.ts"

/**
 * Where a task is: frames queued while it is `Created` or `Starting` wait until `StartFrame` is through.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = "Created" | "Starting" | "Running" | "Draining" | "Cancelling" | "Done"

/**
 * How a task ended without failing.
 *
 * @category models
 * @since 0.1.0
 */
export type TaskExit =
  | { readonly _tag: "Ended"; readonly frame: Frame.EndFrame }
  | { readonly _tag: "Stopped"; readonly frame: Frame.StopTaskFrame }
  | { readonly _tag: "Cancelled"; readonly frame: Frame.CancelFrame }

/**
 * A failure of a processor, as the processor's type tells it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Failure<out E> {
  readonly processor: string
  readonly fatal: boolean
  readonly cause: Cause.Cause<E>
}

/**
 * Options of a task.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** For logs and errors. Default: `task`. */
  readonly name?: string | undefined
  /** With `false`, an interruption is told to everybody and cuts nothing. Default: true. */
  readonly allowInterruptions?: boolean | undefined
  /** Default: false. */
  readonly enableMetrics?: boolean | undefined
  /** Default: false. */
  readonly enableUsageMetrics?: boolean | undefined
  /** Default: false. */
  readonly reportOnlyInitialTtfb?: boolean | undefined
  /** Hz. Default: that of `StartFrame`. */
  readonly audioInSampleRate?: number | undefined
  /** Hz. Default: that of `StartFrame`. */
  readonly audioOutSampleRate?: number | undefined
  /** Metadata of `StartFrame`. */
  readonly startMetadata?: Frame.Metadata | undefined
  /** Frames that the task's own intake holds before `queueFrame` waits. Default: 1024. */
  readonly capacity?: number | undefined
  /** Frames that wait for a reader of `output` or `upstream` before the pipeline waits. Default: 1024. */
  readonly outputCapacity?: number | undefined
  /** For the set-up of all processors and `StartFrame`. Default: 20 seconds. */
  readonly startTimeout?: Duration.Input | undefined
  /** From `EndFrame` to the end; afterwards the task is cancelled. Default: none. */
  readonly drainTimeout?: Duration.Input | undefined
  /** After which `cancel` returns although something still hangs. Default: 20 seconds. */
  readonly cancelTimeout?: Duration.Input | undefined
  /**
   * What a failed set-up means: `cancel` fails the task, `end` ends it in order, `continue` lets everything pass the
   * processor that failed. Default: `cancel`.
   */
  readonly onSetupFailure?: "continue" | "end" | "cancel" | undefined
  /** Ends a task through which nothing has moved for a while. Default: none. */
  readonly idle?: {
    readonly timeout: Duration.Input
    /** Tags of the frames that count as activity. Default: all but heartbeats. */
    readonly frames?: ReadonlyArray<string> | undefined
    /** Run each time that the timeout passes. */
    readonly onIdle?: Effect.Effect<unknown> | undefined
    /** Cancel the task. Default: true. */
    readonly cancel?: boolean | undefined
  } | undefined
  /** Sends a `HeartbeatFrame` through the pipeline and watches that it arrives. Default: none. */
  readonly heartbeat?: {
    readonly interval: Duration.Input
    /** Default: ten intervals. */
    readonly timeout?: Duration.Input | undefined
    /** Run each time that no heartbeat has arrived for the timeout. */
    readonly onTimeout?: Effect.Effect<unknown> | undefined
  } | undefined
  /** Default: none. */
  readonly observers?: ReadonlyArray<PipelineObserver.PipelineObserver> | undefined
  /** Opens spans for the conversation and its turns. Default: false. */
  readonly tracing?: boolean | Tracing.Options | undefined
}

/**
 * A task. Nothing flows before `run`, `start`, or the first reader of `output`.
 *
 * @category models
 * @since 0.1.0
 */
export interface PipelineTask<out E = never> {
  readonly name: string
  readonly phase: Effect.Effect<Phase>
  /** Starts the task; returns when `StartFrame` has passed every processor. */
  readonly start: Effect.Effect<void, PipelineError.PipelineError>
  /** Starts the task and waits for its end. Interrupting it cancels the task. */
  readonly run: Effect.Effect<TaskExit, PipelineError.PipelineError>
  /** Waits for the end without starting anything. */
  readonly await: Effect.Effect<TaskExit, PipelineError.PipelineError>
  /**
   * The frames that leave at the downstream end, in order, from the moment of subscription on. The first reader
   * starts the task; a slow one slows the pipeline; without one, frames simply arrive.
   */
  readonly output: Stream.Stream<Frame.Frame, PipelineError.PipelineError>
  /** The frames that leave at the upstream end. Reading it starts nothing. */
  readonly upstream: Stream.Stream<Frame.Frame>
  /** Failures of handlers, as they happen, typed. */
  readonly failures: Stream.Stream<Failure<E>>
  /**
   * Queues a frame; waits while the intake is full. Lifecycle frames do what the methods below do. Upstream frames
   * enter behind the last processor.
   */
  readonly queueFrame: (
    frame: Frame.Frame,
    direction?: Frame.Direction
  ) => Effect.Effect<void, PipelineError.PipelineError>
  /** Queues what an iterable or a stream gives. */
  readonly queueFrames: {
    (frames: Iterable<Frame.Frame>, direction?: Frame.Direction): Effect.Effect<void, PipelineError.PipelineError>
    <E2, R2>(
      frames: Stream.Stream<Frame.Frame, E2, R2>,
      direction?: Frame.Direction
    ): Effect.Effect<void, PipelineError.PipelineError | E2, R2>
  }
  /** Barge-in: returns when the interruption has passed every processor. */
  readonly interrupt: Effect.Effect<void, PipelineError.PipelineError>
  /** Queues the end: all that was queued before is delivered, then everything shuts down. */
  readonly stopWhenDone: Effect.Effect<void, PipelineError.PipelineError>
  /** Queues the end of this task only: its processors stay alive for `takeOver`. */
  readonly stopTask: Effect.Effect<void, PipelineError.PipelineError>
  /** Stops everything now. Returns when nothing runs any more (or the deadline has passed). Never fails, may be repeated. */
  readonly cancel: (reason?: string) => Effect.Effect<void>
  /** Adds an observer; the Effect that it gives removes it again. */
  readonly observe: (
    observer: PipelineObserver.PipelineObserver
  ) => Effect.Effect<Effect.Effect<void>, PipelineError.PipelineError>
  /** Processors and whether they are usable (neither their set-up has failed, nor they for good). */
  readonly processors: Effect.Effect<ReadonlyArray<{ readonly name: string; readonly usable: boolean }>>
  /** The numbers of each processor so far; empty without `enableMetrics`. */
  readonly metrics: Effect.Effect<ReadonlyArray<PipelineMetrics.ProcessorMetrics>>
  /** Frames that did not arrive so far, by reason. */
  readonly drops: Effect.Effect<Readonly<Record<PipelineObserver.DropEvent["reason"], number>>>
}

/**
 * Makes a task of a pipeline (or of a single processor). It lives until the surrounding scope closes, which cancels
 * it. Fails when the pipeline or an option cannot work, naming the field, what was found and what was expected.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Pipeline.make(Processor.sync("Same", {})))
 *   yield* task.queueFrames([Frame.TextFrame.make({ text: "hello" })])
 *   yield* task.stopWhenDone
 *   return yield* Stream.runCollect(task.output) // StartFrame, TextFrame, EndFrame
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E, R>(
  pipeline: Pipeline.Element<E, R>,
  options: Options = {}
): Effect.Effect<PipelineTask<E>, PipelineError.PipelineError, R | Scope.Scope> =>
  Effect.map(Task.make(pipeline, options), (task) => toPublic<E>(task)) as Effect.Effect<PipelineTask<E>, any, any>

/**
 * A new task on the processors of one that `stopTask` has stopped: they keep their state and are told of a new
 * `StartFrame`. From now on they live in the surrounding scope.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PipelineTask, Processor } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const first = yield* PipelineTask.make(Processor.sync("Same", {}))
 *   yield* first.stopTask
 *   yield* first.run
 *   const second = yield* PipelineTask.takeOver(first)
 *   yield* second.stopWhenDone
 *   yield* second.run
 *   return "both have run"
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => "both have run"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const takeOver = <E>(
  stopped: PipelineTask<E>,
  options: Options = {}
): Effect.Effect<PipelineTask<E>, PipelineError.PipelineError, Scope.Scope> =>
  Effect.map(Task.takeOver(tasks.get(stopped)!, options), (task) => toPublic<E>(task))

const tasks = new WeakMap<PipelineTask<any>, Task>()

const toPublic = <E>(task: Task): PipelineTask<E> => {
  const self: PipelineTask<E> = {
    name: task.name,
    phase: Effect.sync(() => task.phase),
    start: task.start,
    run: task.run,
    await: task.await,
    output: task.outputStream,
    upstream: task.upstream.stream,
    failures: task.failures,
    queueFrame: (frame, direction = "downstream") => task.queueFrame(frame, direction),
    // One function for both overloads: `any` stands for the pair of them.
    queueFrames: (frames: any, direction: Frame.Direction = "downstream") => task.queueFrames(frames, direction) as any,
    interrupt: task.interrupt,
    stopWhenDone: task.stopWhenDone,
    stopTask: task.stopTask,
    cancel: (reason) => task.cancel(reason),
    observe: (observer) => task.observe(observer),
    processors: Effect.sync(() => task.kernel.processors.map(({ name, usable }) => ({ name, usable }))),
    metrics: task.metrics,
    drops: Effect.sync(() => ({ ...task.drops }))
  }
  tasks.set(self, task)
  return self
}
