/**
 * Runs a program of pipelines as a process: SIGINT and SIGTERM end it cleanly, a second one at once.
 *
 * @since 0.1.0
 */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { dual } from "effect/Function"
import * as Layer from "effect/Layer"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { constants } from "node:os"

/**
 * The signals that end a process and that it may handle.
 *
 * @category models
 * @since 0.1.0
 */
export type Signal = "SIGINT" | "SIGTERM"

/**
 * Options for a second signal.
 *
 * @category models
 * @since 0.1.0
 */
export interface ForceOptions {
  /**
   * A signal that comes so soon after the first is taken for the same one: Ctrl-C reaches a whole process group, and
   * `npm start` then passes on what it got. Default: 500 milliseconds.
   */
  readonly grace?: Duration.Input | undefined
}

/**
 * Options of {@link runMain}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends ForceOptions {
  /** Log no failure of the program. Default: false. */
  readonly disableErrorReporting?: boolean | undefined
  /** Makes the exit code. Default: 0, 1 after a failure, 130 after SIGINT, 143 after SIGTERM. */
  readonly teardown?: Runtime.Teardown | undefined
}

interface Received {
  signal: Signal | undefined
}

const exitCode = (signal: Signal): number => 128 + constants.signals[signal]

const watch = (options: ForceOptions, received: Received): Effect.Effect<void, never, Scope.Scope> =>
  Clock.clockWith((clock) => {
    const grace = Duration.toNanosUnsafe(options.grace ?? "500 millis")
    let since = 0n
    const onSignal = (signal: NodeJS.Signals): void => {
      const now = clock.monotonicTimeNanosUnsafe()
      if (received.signal === undefined) {
        received.signal = signal as Signal
        since = now
      } else if (now - since >= grace) {
        process.stderr.write(`${signal} again: exit at once\n`)
        process.exit(exitCode(signal as Signal))
      }
    }
    return Effect.asVoid(Effect.acquireRelease(
      // First in line: another listener interrupts the program, which may be gone when that returns.
      Effect.sync(() => process.prependListener("SIGINT", onSignal).prependListener("SIGTERM", onSignal)),
      () =>
        Effect.sync(() => {
          // After a signal this scope is closing because of it, perhaps before another that hangs: stay until the end.
          if (received.signal === undefined) process.off("SIGINT", onSignal).off("SIGTERM", onSignal)
        })
    ))
  })

/**
 * Makes a second SIGINT or SIGTERM end the process at once, whatever still hangs, with exit code 130 or 143. It does
 * nothing about the first: for programs that `NodeRuntime.runMain` runs.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
 * import { NodeRunner } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   yield* NodeRunner.forceExit({ grace: "1 second" })
 *   yield* Effect.log("Ctrl-C to stop, twice if it hangs")
 *   yield* Effect.never
 * })
 *
 * NodeRuntime.runMain(Effect.scoped(program))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const forceExit = (options: ForceOptions = {}): Effect.Effect<void, never, Scope.Scope> =>
  Effect.suspend(() => watch(options, { signal: undefined }))

/**
 * {@link forceExit} as a layer.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
 * import { PipelineRunner } from "@apipeline/core"
 * import { NodeRunner } from "@apipeline/node"
 *
 * const main = PipelineRunner.layer().pipe(Layer.provideMerge(NodeRunner.layerForceExit()))
 *
 * NodeRuntime.runMain(Layer.launch(main))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerForceExit = (options: ForceOptions = {}): Layer.Layer<never> =>
  Layer.effectDiscard(forceExit(options))

/**
 * Runs a program as the process's own. SIGINT and SIGTERM interrupt it, which closes its scopes and so cancels every
 * task: `onCancel` and finalizers run, and then the process exits. A second signal does not wait for them.
 *
 * It builds on `NodeRuntime.runMain` of `@effect/platform-node` and differs in two things: the second signal, and
 * the exit code after SIGTERM.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, PipelineTask, Processor } from "@apipeline/core"
 * import { NodeRunner } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Pipeline.make(Processor.sync("Same", {})))
 *   return yield* task.run
 * })
 *
 * NodeRunner.runMain(Effect.scoped(program))
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const runMain: {
  (options?: Options): <A, E>(effect: Effect.Effect<A, E>) => void
  <A, E>(effect: Effect.Effect<A, E>, options?: Options): void
} = dual((args) => Effect.isEffect(args[0]), <A, E>(effect: Effect.Effect<A, E>, options: Options = {}): void => {
  const received: Received = { signal: undefined }
  const teardown: Runtime.Teardown = (exit, onExit) => {
    const { signal } = received
    const ended = signal !== undefined && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
    if (ended) onExit(exitCode(signal))
    else Runtime.defaultTeardown(exit, onExit)
  }
  // What fails once the program is interrupted, a finalizer, is reported by nobody else.
  const program = Effect.onExit(
    effect,
    (exit) =>
      received.signal !== undefined && options.disableErrorReporting !== true && Exit.isFailure(exit) &&
        !Cause.hasInterruptsOnly(exit.cause)
        ? Effect.logError(exit.cause)
        : Effect.void
  )
  NodeRuntime.runMain(Effect.scoped(Effect.andThen(watch(options, received), program)), {
    disableErrorReporting: options.disableErrorReporting,
    teardown: options.teardown ?? teardown
  })
})
