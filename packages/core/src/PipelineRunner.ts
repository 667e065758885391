/**
 * A runner runs tasks by name, as resources: when its scope closes, every task is cancelled, and none is left.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as PipelineError from "./PipelineError.ts"
import type { PipelineTask, TaskExit } from "./PipelineTask.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A task of that name runs already. The name is free again when it has ended.
 *
 * @example
 * ```ts
 * import { PipelineRunner } from "@apipeline/core"
 *
 * new PipelineRunner.TaskExists({ name: "bot" }).message
 * // => "a task named bot runs already"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskExists extends Schema.TaggedError<TaskExists>()("TaskExists", {
  name: Schema.String
}) {
  override get message(): string {
    return `a task named ${this.name} runs already`
  }
}

/**
 * The runner takes no tasks any more, or was told to cancel everything while this task was still being made.
 *
 * @example
 * ```ts
 * import { PipelineRunner } from "@apipeline/core"
 *
 * new PipelineRunner.NotStarted({ name: "bot", because: "the runner ends" }).message
 * // => "bot was not started: the runner ends"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class NotStarted extends Schema.TaggedError<NotStarted>()("NotStarted", {
  name: Schema.String,
  because: Schema.String
}) {
  override get message(): string {
    return `${this.name} was not started: ${this.because}`
  }
}

/**
 * A task has failed: its set-up, a fatal error of a processor, or a deadline.
 *
 * @example
 * ```ts
 * import { PipelineError, PipelineRunner } from "@apipeline/core"
 *
 * const reason = new PipelineError.DeadlineExceeded({ phase: "start", milliseconds: 20000 })
 * const error = new PipelineError.PipelineError({ reason })
 * new PipelineRunner.TaskFailed({ name: "bot", error }).message // => "bot failed: start took longer than 20000 ms"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskFailed extends Schema.TaggedError<TaskFailed>()("TaskFailed", {
  name: Schema.String,
  error: PipelineError.PipelineError
}) {
  override get message(): string {
    return `${this.name} failed: ${this.error.message}`
  }
}

/**
 * The one error of runners; `reason` tells which.
 *
 * @example
 * ```ts
 * import { PipelineRunner } from "@apipeline/core"
 *
 * const reason = new PipelineRunner.TaskExists({ name: "bot" })
 * new PipelineRunner.PipelineRunnerError({ reason }).message // => "a task named bot runs already"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class PipelineRunnerError extends Schema.TaggedError<PipelineRunnerError>()("PipelineRunnerError", {
  reason: Schema.Union([TaskExists, NotStarted, TaskFailed])
}) {
  override get message(): string {
    return this.reason.message
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A task, or the Effect that makes one. A task that was made elsewhere lives in the scope it was made in. What the
 * Effect acquires, the task included, belongs to the runner: it is released as soon as the task has ended (a fiber
 * that still reads `output` then has to be awaited in a finalizer).
 *
 * @category models
 * @since 0.1.0
 */
export type Source<E = any, E2 = any, R = any> = PipelineTask<E> | Effect.Effect<PipelineTask<E>, E2, R>

type Sources = { readonly [name: string]: Source }
type ErrorOf<S> = S extends Effect.Effect<any, infer E, any> ? E : never
type ServicesOf<S> = S extends Effect.Effect<any, any, infer R> ? Exclude<R, Scope.Scope> : never

/**
 * What happens to the other tasks of a runner.
 *
 * @category models
 * @since 0.1.0
 */
export type Policy = "cancelAll" | "continue"

/**
 * Options of a runner.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** A task has failed. With `cancelAll` the runner also takes no new tasks. Default: `cancelAll`. */
  readonly onFailure?: Policy | undefined
  /** A task was cancelled, and not by its runner: it was idle, or a processor cancelled it. Default: `continue`. */
  readonly onCancelled?: Policy | undefined
}

/**
 * Runs tasks by name.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** Runs a task and waits for its end. Interrupting it cancels the task. */
  readonly run: <E, E2 = never, R = never>(
    name: string,
    task: Source<E, E2, R>
  ) => Effect.Effect<TaskExit, PipelineRunnerError | E2, Exclude<R, Scope.Scope>>
  /**
   * Runs several tasks at once and waits for the end of all of them. The first failure is that of the whole: before
   * that with `cancelAll` the others are cancelled, with `continue` they have run to their end.
   */
  readonly runAll: <const Tasks extends Sources>(
    tasks: Tasks
  ) => Effect.Effect<
    { readonly [Name in keyof Tasks]: TaskExit },
    PipelineRunnerError | ErrorOf<Tasks[keyof Tasks]>,
    ServicesOf<Tasks[keyof Tasks]>
  >
  /** Starts a task in the background; returns it when `StartFrame` has passed every processor. */
  readonly start: <E, E2 = never, R = never>(
    name: string,
    task: Source<E, E2, R>
  ) => Effect.Effect<PipelineTask<E>, PipelineRunnerError | E2, Exclude<R, Scope.Scope>>
  /** Ends every task that runs now, in order: what was queued before is delivered. Returns when they have ended. */
  readonly stopAllWhenDone: Effect.Effect<void, PipelineRunnerError>
  /** Cancels every task that runs now; returns when they have ended. */
  readonly cancelAll: (reason?: string) => Effect.Effect<void>
  /** Waits until no task runs. Fails with the first failure since it began, or the one that stopped the runner. */
  readonly awaitAll: Effect.Effect<void, PipelineRunnerError>
  /** The task that runs under a name. */
  readonly get: (name: string) => Effect.Effect<Option.Option<PipelineTask<unknown>>>
  /** The names of all tasks that run, the oldest first. */
  readonly running: Effect.Effect<ReadonlyArray<string>>
}

/**
 * The runner of an application.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Pipeline, PipelineRunner, PipelineTask, Processor } from "@apipeline/core"
 *
 * const bot = Pipeline.make(Processor.sync("Same", {}))
 *
 * const program = Effect.gen(function*() {
 *   const runner = yield* PipelineRunner.PipelineRunner
 *   const task = yield* runner.start("bot", PipelineTask.make(bot))
 *   yield* task.queueFrame(Frame.TextFrame.make({ text: "hello" }))
 *   yield* runner.stopAllWhenDone
 *   return yield* runner.running // []
 * }).pipe(Effect.provide(PipelineRunner.layer()))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class PipelineRunner extends Context.Service<PipelineRunner, Service>()("apipeline/PipelineRunner") {}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

interface Entry {
  readonly name: string
  /** Of what the runner owns. */
  readonly scope: Scope.Closeable
  readonly ended: Deferred.Deferred<TaskExit, PipelineRunnerError>
  /** Pre-empts the Effect that makes the task. */
  readonly abort: Deferred.Deferred<never, PipelineRunnerError>
  /** Absent while it is being made. */
  task: PipelineTask<unknown> | undefined
  /** The runner has cancelled it: why. */
  cancelled: string | undefined
  /** It is to end as soon as it is made. */
  ending: boolean
}

/** The first failure that somebody who waits has come to know. */
interface Watch {
  failure: Cause.Cause<PipelineRunnerError> | undefined
}

const fail = (reason: PipelineRunnerError["reason"]): PipelineRunnerError => new PipelineRunnerError({ reason })

/**
 * Makes a runner that lives in the surrounding scope.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, PipelineRunner, PipelineTask, Processor } from "@apipeline/core"
 *
 * const session = (name: string) => PipelineTask.make(Pipeline.make(Processor.sync(name, {})), { name })
 *
 * const program = Effect.gen(function*() {
 *   const runner = yield* PipelineRunner.make({ onFailure: "continue" })
 *   yield* runner.start("a", session("a"))
 *   yield* runner.start("b", session("b"))
 *   yield* runner.awaitAll
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Service, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { onCancelled = "continue", onFailure = "cancelAll" } = options
    const entries = new Map<string, Entry>()
    const watches = new Set<Watch>()
    const fork = yield* FiberSet.runtime(yield* FiberSet.make())<never>()
    /** Why no task is taken any more. */
    let closed: string | undefined
    let failure: Cause.Cause<PipelineRunnerError> | undefined

    const enter = (name: string): Effect.Effect<Entry, PipelineRunnerError> =>
      Effect.suspend(() => {
        if (closed !== undefined) return Effect.fail(fail(new NotStarted({ name, because: closed })))
        if (entries.has(name)) return Effect.fail(fail(new TaskExists({ name })))
        const entry: Entry = {
          name,
          scope: Scope.makeUnsafe(),
          ended: Deferred.makeUnsafe(),
          abort: Deferred.makeUnsafe(),
          task: undefined,
          cancelled: undefined,
          ending: false
        }
        entries.set(name, entry)
        return Effect.succeed(entry)
      })

    const leave = (entry: Entry, exit: Exit.Exit<TaskExit, PipelineRunnerError>): Effect.Effect<void> =>
      Scope.close(entry.scope, exit).pipe(
        Effect.catchCause((cause) =>
          Effect.logWarning(`${entry.name}: what it had acquired could not be released`, cause)
        ),
        Effect.ensuring(Effect.sync(() => {
          entries.delete(entry.name)
          Deferred.doneUnsafe(entry.ended, exit)
        }))
      )

    // In a fiber of the runner: whoever asked for it may belong to the very task, and be gone before all are told.
    const cancel = (entry: Entry, reason: string): void => {
      entry.cancelled ??= reason
      if (entry.task !== undefined) fork(entry.task.cancel(reason))
      else Deferred.doneUnsafe(entry.abort, Exit.fail(fail(new NotStarted({ name: entry.name, because: reason }))))
    }

    const end = (entry: Entry): Effect.Effect<void> => {
      entry.ending = true
      return entry.task === undefined ? Effect.void : Effect.ignore(entry.task.stopWhenDone)
    }

    const waitFor = (these: Iterable<Entry>): Effect.Effect<void> =>
      Effect.forEach(these, (entry) => Effect.exit(Deferred.await(entry.ended)), { discard: true })

    const failedWhile = (wait: Effect.Effect<void>): Effect.Effect<void, PipelineRunnerError> =>
      Effect.suspend(() => {
        const watch: Watch = { failure }
        watches.add(watch)
        return wait.pipe(
          Effect.ensuring(Effect.sync(() => watches.delete(watch))),
          Effect.flatMap(() => watch.failure === undefined ? Effect.void : Effect.failCause(watch.failure))
        )
      })

    const cancelAll = (reason = "the runner was told to cancel all tasks"): Effect.Effect<void> =>
      Effect.suspend(() => {
        const these = [...entries.values()]
        for (const entry of these) cancel(entry, reason)
        return waitFor(these)
      })

    const judge = (entry: Entry, exit: Exit.Exit<TaskExit, PipelineRunnerError>): void => {
      const others = [...entries.values()].filter((other) => other !== entry)
      if (Exit.isSuccess(exit)) {
        if (exit.value._tag !== "Cancelled" || entry.cancelled !== undefined || onCancelled === "continue") return
        for (const other of others) cancel(other, `${entry.name} was cancelled`)
      } else if (!Cause.hasInterruptsOnly(exit.cause)) {
        for (const watch of watches) watch.failure ??= exit.cause
        if (onFailure === "continue") return
        failure ??= exit.cause
        closed ??= String((Cause.squash(exit.cause) as Error).message)
        for (const other of others) cancel(other, closed)
      }
    }

    const supervise = (entry: Entry, task: PipelineTask<unknown>): Effect.Effect<unknown> =>
      Effect.exit(Effect.onExit(task.run, (exit) => {
        const mapped = Exit.mapError(exit, (error) => fail(new TaskFailed({ name: entry.name, error })))
        judge(entry, mapped)
        return leave(entry, mapped)
      }))

    /** Makes the task; from then on it is the runner's. */
    const launch = <E, E2, R>(
      entry: Entry,
      source: Source<E, E2, R>,
      restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
    ): Effect.Effect<PipelineTask<E>, PipelineRunnerError | E2, Exclude<R, Scope.Scope>> => {
      const made = Effect.isEffect(source)
        ? Effect.raceFirst(Scope.provide(source, entry.scope), Deferred.await(entry.abort))
        : Effect.succeed(source)
      return Effect.onExit(restore(made), (exit) => {
        if (Exit.isFailure(exit)) {
          return leave(entry, Exit.fail(fail(new NotStarted({ name: entry.name, because: "it could not be made" }))))
        }
        const task = entry.task = exit.value
        fork(supervise(entry, task))
        if (entry.cancelled !== undefined) cancel(entry, entry.cancelled)
        return entry.ending ? end(entry) : Effect.void
      })
    }

    /** Whoever asked for the task waits: when that is interrupted, the task is cancelled. */
    const owned = <E, E2, R, A, E3>(
      name: string,
      source: Source<E, E2, R>,
      wait: (entry: Entry, task: PipelineTask<E>) => Effect.Effect<A, E3>
    ): Effect.Effect<A, PipelineRunnerError | E2 | E3, Exclude<R, Scope.Scope>> =>
      Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(enter(name), (entry) =>
          Effect.flatMap(launch(entry, source, restore), (task) =>
            Effect.onInterrupt(restore(wait(entry, task)), () => {
              cancel(entry, "whoever ran it was interrupted")
              return waitFor([entry])
            })))
      )

    const run: Service["run"] = (name, source) =>
      owned(name, source, (entry) =>
        Deferred.await(entry.ended))

    const start: Service["start"] = (name, source) =>
      owned(name, source, (entry, task) =>
        task.start.pipe(
          Effect.catch(() => Deferred.await(entry.ended)),
          Effect.as(task)
        ))

    const runAll: Service["runAll"] = Effect.fnUntraced(function*(tasks: Sources) {
      const names = Object.keys(tasks)
      for (const name of names) {
        if (entries.has(name)) return yield* fail(new TaskExists({ name }))
      }
      const one = (name: string) => run(name, tasks[name]!)
      const exits = onFailure === "cancelAll"
        ? yield* Effect.forEach(names, one, { concurrency: "unbounded" })
        : yield* Effect.flatMap(
          Effect.forEach(names, (name) => Effect.exit(one(name)), { concurrency: "unbounded" }),
          (exits) => Effect.forEach(exits, (exit) => exit)
        )
      return Object.fromEntries(names.map((name, i) => [name, exits[i]!]))
    }) as any

    yield* Effect.addFinalizer(() => {
      closed = "the runner's scope has closed"
      return cancelAll(closed)
    })

    return PipelineRunner.of({
      run,
      runAll,
      start,
      cancelAll,
      stopAllWhenDone: Effect.suspend(() => {
        const these = [...entries.values()]
        return failedWhile(Effect.andThen(
          Effect.forEach(these, end, { concurrency: "unbounded", discard: true }),
          waitFor(these)
        ))
      }),
      awaitAll: failedWhile(
        Effect.whileLoop({
          while: () => entries.size > 0,
          body: () => waitFor([...entries.values()]),
          step: () => {}
        })
      ),
      get: (name) => Effect.sync(() => Option.fromUndefinedOr(entries.get(name)?.task)),
      running: Effect.sync(() => [...entries.keys()])
    })
  })

/**
 * The runner as a layer: it lives as long as the layer does.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, PipelineRunner, PipelineTask, Processor } from "@apipeline/core"
 *
 * const program = PipelineRunner.PipelineRunner.use((runner) =>
 *   runner.runAll({
 *     left: PipelineTask.make(Pipeline.make(Processor.sync("Left", {})), { idle: { timeout: "5 seconds" } }),
 *     right: PipelineTask.make(Pipeline.make(Processor.sync("Right", {})))
 *   })
 * ).pipe(Effect.provide(PipelineRunner.layer({ onCancelled: "cancelAll" })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<PipelineRunner> => Layer.effect(PipelineRunner, make(options))
