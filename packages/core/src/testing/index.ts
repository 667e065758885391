/**
 * What tests of processors and pipelines need: send frames, sleep in virtual time, see exactly what came out each
 * way, and prove that nothing is left running.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Frame from "../Frame.ts"
import * as Pipeline from "../Pipeline.ts"
import type * as PipelineError from "../PipelineError.ts"
import * as PipelineTask from "../PipelineTask.ts"
import * as Processor from "../Processor.ts"

/**
 * One step of a scripted run: a frame (sent downstream), or one of `sleep`, `upstream`, `interrupt`, `act`.
 *
 * @category models
 * @since 0.1.0
 */
export type Step<E = never> =
  | Frame.Frame
  | { readonly step: "sleep"; readonly duration: Duration.Input }
  | { readonly step: "upstream"; readonly frame: Frame.Frame }
  | { readonly step: "interrupt" }
  | { readonly step: "act"; readonly act: (task: PipelineTask.PipelineTask<unknown>) => Effect.Effect<unknown, E> }

/**
 * Lets time pass: virtual time under `TestClock` (every timer that falls due runs, in order), real time otherwise.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 * import { run, sleep } from "@apipeline/core/testing"
 *
 * const test = run(Processor.sync("Same", {}), [Frame.TextFrame.make({ text: "hi" }), sleep("1 second"), Frame.TextFrame.make({ text: "hi" })])
 * ```
 *
 * @category steps
 * @since 0.1.0
 */
export const sleep = (duration: Duration.Input): Step => ({ step: "sleep", duration })

/**
 * Sends a frame upstream: it enters behind the last processor.
 *
 * @example
 * ```ts
 * import { Frame, Processor } from "@apipeline/core"
 * import { run, upstream } from "@apipeline/core/testing"
 *
 * const test = run(Processor.sync("Same", {}), [upstream(Frame.TextFrame.make({ text: "hi" }))])
 * ```
 *
 * @category steps
 * @since 0.1.0
 */
export const upstream = (frame: Frame.Frame): Step => ({ step: "upstream", frame })

/**
 * Barge-in; goes on when every processor has been told.
 *
 * @example
 * ```ts
 * import { Frame, Processor } from "@apipeline/core"
 * import { interrupt, run } from "@apipeline/core/testing"
 *
 * const test = run(Processor.sync("Same", {}), [Frame.TextFrame.make({ text: "hi" }), interrupt])
 * ```
 *
 * @category steps
 * @since 0.1.0
 */
export const interrupt: Step = { step: "interrupt" }

/**
 * Does anything with the task.
 *
 * @example
 * ```ts
 * import { Processor } from "@apipeline/core"
 * import { act, run } from "@apipeline/core/testing"
 *
 * const test = run(Processor.sync("Same", {}), [act((task) => task.cancel("enough"))])
 * ```
 *
 * @category steps
 * @since 0.1.0
 */
export const act = <E>(
  act: (task: PipelineTask.PipelineTask<unknown>) => Effect.Effect<unknown, E>
): Step<E> => ({ step: "act", act })

/**
 * What came out of a run: every frame that left each end, in order, lifecycle frames included, and how it ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface Result<out E = unknown> {
  readonly down: ReadonlyArray<Frame.Frame>
  readonly up: ReadonlyArray<Frame.Frame>
  readonly failures: ReadonlyArray<PipelineTask.Failure<E>>
  readonly exit: Exit.Exit<PipelineTask.TaskExit, PipelineError.PipelineError>
}

/**
 * A pair of processors that remember what passes them: put one on each side of what is tested.
 *
 * @example
 * ```ts
 * import { Pipeline, PipelineTask, Processor } from "@apipeline/core"
 * import { capture } from "@apipeline/core/testing"
 *
 * const { above, below, down, up } = capture()
 * const task = PipelineTask.make(Pipeline.make(above, Processor.sync("Same", {}), below))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const capture = (): {
  readonly above: Processor.Processor
  readonly below: Processor.Processor
  readonly down: Array<Frame.Frame>
  readonly up: Array<Frame.Frame>
} => {
  const down: Array<Frame.Frame> = []
  const up: Array<Frame.Frame> = []
  const into = (list: Array<Frame.Frame>) => {
    const take = (frame: Frame.Frame, push: Processor.Push) => {
      list.push(frame)
      push(frame)
    }
    const told = (frame: Frame.Frame) => {
      list.push(frame)
    }
    return {
      data: take,
      control: take,
      system: take,
      StartFrame: told,
      EndFrame: told,
      StopTaskFrame: told,
      CancelFrame: told,
      StartInterruptionFrame: told,
      StopInterruptionFrame: told
    }
  }
  return {
    above: Processor.sync("capture.above", { upstream: into(up) }),
    below: Processor.sync("capture.below", into(down)),
    down,
    up
  }
}

/**
 * Options of `run`.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunOptions extends PipelineTask.Options {
  /** Send `EndFrame` after the last step. Default: true. */
  readonly end?: boolean | undefined
  /** How long the end may take after the last step, in virtual time where there is a `TestClock`. Default: 1 minute. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Sends the steps to a processor (or pipeline) that sits between two capturing ones and gives what came out of it.
 * Returns when the task has ended; with `end: false`, when the steps are done (the task is then cancelled).
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 * import { run, show } from "@apipeline/core/testing"
 *
 * const same = Processor.sync("Same", {})
 * const test = Effect.gen(function*() {
 *   const { down } = yield* run(same, [Frame.TextFrame.make({ text: "a" })])
 *   return show(down) // ["StartFrame", 'TextFrame("a")', "EndFrame"]
 * })
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const run = <E, R, E2 = never>(
  pipeline: Pipeline.Element<E, R>,
  steps: Iterable<Step<E2>>,
  options: RunOptions = {}
): Effect.Effect<Result<E>, PipelineError.PipelineError | E2, Exclude<R, Scope.Scope>> =>
  Effect.gen(function*() {
    const { above, below, down, up } = capture()
    const task = yield* PipelineTask.make(Pipeline.make(above, pipeline as Pipeline.Element<E, never>, below), options)
    const failures: Array<PipelineTask.Failure<E>> = []
    const collecting = yield* Stream.runForEach(task.failures, (failure) => Effect.sync(() => failures.push(failure)))
      .pipe(
        Effect.forkScoped({ startImmediately: true })
      )
    const running = yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
    for (const step of steps) {
      if ("_tag" in step) yield* task.queueFrame(step)
      else if (step.step === "sleep") yield* pass(step.duration)
      else if (step.step === "upstream") yield* task.queueFrame(step.frame, "upstream")
      else if (step.step === "interrupt") yield* task.interrupt
      else yield* step.act(task)
    }
    if (options.end !== false) yield* task.stopWhenDone
    else {
      yield* settle
      yield* task.cancel("the steps are done")
    }
    for (let left = Duration.toMillis(options.timeout ?? "1 minute"); running.pollUnsafe() === undefined; left -= 100) {
      yield* settle
      if (left <= 0) yield* task.cancel("the run took longer than its timeout")
      else if (running.pollUnsafe() === undefined) yield* pass("100 millis")
    }
    const exit = yield* Fiber.join(running)
    yield* Fiber.join(collecting)
    return {
      down: options.end === false ? down.filter((frame) => frame._tag !== "CancelFrame") : down,
      up,
      failures,
      exit
    }
  }).pipe(Effect.scoped) as Effect.Effect<Result<E>, PipelineError.PipelineError | E2, Exclude<R, Scope.Scope>>

/** Lets time pass by whatever clock there is. */
const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Clock.clockWith((clock) => "adjust" in clock ? TestClock.adjust(duration) : Effect.sleep(duration))

/**
 * Lets everything that can run without time passing run.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { settle } from "@apipeline/core/testing"
 *
 * let done = false
 * const test = Effect.gen(function*() {
 *   yield* Effect.forkChild(Effect.sync(() => void (done = true)))
 *   yield* settle
 *   return done
 * })
 * await Effect.runPromise(test) // => true
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const settle: Effect.Effect<void> = Effect.gen(function*() {
  for (let i = 0; i < 20; i++) yield* Effect.yieldNow
})

/**
 * Frames as readable lines without ids, for exact comparison: `TextFrame("a")`, lifecycle frames as their tag.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 * import { show } from "@apipeline/core/testing"
 *
 * show([Frame.TextFrame.make({ text: "hi" }), Frame.EndFrame.make()]) // => [`TextFrame("hi")`, "EndFrame"]
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const show = (frames: Iterable<Frame.Frame>): Array<string> =>
  Array.from(frames, (frame) => {
    if (Frame.isLifecycle(frame)) return frame._tag
    return Frame.format(frame).replace(/#\d+/, "")
  })

/**
 * The frames that are not lifecycle frames.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 * import { payload } from "@apipeline/core/testing"
 *
 * payload([Frame.TextFrame.make({ text: "hi" }), Frame.EndFrame.make()]).length // => 1
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const payload = (frames: Iterable<Frame.Frame>): Array<Frame.Frame> =>
  Array.from(frames).filter((frame) => !Frame.isLifecycle(frame))

/**
 * Runs an Effect and gives how many of the fibers that started in it are still alive afterwards: 0, or it leaks. A
 * sleeping timer or a waiting queue is held by a fiber, so this finds those as well.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { leaks } from "@apipeline/core/testing"
 *
 * await Effect.runPromise(leaks(Effect.succeed("done"))) // => ["done", 0]
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const leaks = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<readonly [A, number], E, R> =>
  Effect.gen(function*() {
    let alive = 0
    const count: Metric.FiberRuntimeMetricsService = {
      recordFiberStart: () => {
        alive++
      },
      recordFiberEnd: () => {
        alive--
      }
    }
    const value = yield* Effect.provideService(effect, Metric.FiberRuntimeMetrics, count)
    yield* settle
    return [value, alive] as const
  })
