import { Frame, Pipeline, PipelineError, PipelineTask, Processor } from "@apipeline/core"
import { leaks, settle, show } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Cause, Data, Deferred, Effect, Exit, Fiber, Logger, Option, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const texts = (...all: ReadonlyArray<string>): Array<string> => all.map((t) => `TextFrame("${t}")`)
class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
class Boom extends Data.TaggedError("Boom")<{ readonly why: string }> {}

const same = Processor.sync("Same", {})

/** Nothing may hang: within an hour of virtual time there is an outcome. */
const outcome = Effect.fnUntraced(function*<A, E, R>(effect: Effect.Effect<A, E, R>) {
  const fiber = yield* Effect.forkScoped(Effect.exit(effect), { startImmediately: true })
  yield* TestClock.adjust("1 hour")
  const exit = fiber.pollUnsafe()
  assert.isDefined(exit, "it hangs")
  return yield* exit!
})

const reasonOf = (exit: Exit.Exit<unknown, unknown>): PipelineError.PipelineError["reason"] => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
  assert.instanceOf(error, PipelineError.PipelineError)
  return (error as PipelineError.PipelineError).reason
}

const assertInvalid = (exit: Exit.Exit<unknown, unknown>, field: string, found: string, expected: string) => {
  const reason = reasonOf(exit) as PipelineError.InvalidPipeline
  assert.instanceOf(reason, PipelineError.InvalidPipeline)
  deepStrictEqual([reason.field, reason.found, reason.expected], [field, found, expected])
  assert.strictEqual(reason.message, `${field}: found ${found}, expected ${expected}`)
}

const assertEnded = (exit: Exit.Exit<unknown, unknown>, task: string, frame: Frame.Frame) => {
  const reason = reasonOf(exit)
  deepStrictEqual(reason, new PipelineError.TaskEnded({ task, frame: frame.name }))
  assert.strictEqual(reason.message, `${task} takes no more frames: ${frame.name} was not queued`)
}

const assertFailed = (exit: Exit.Exit<unknown, unknown>, processor: string): unknown => {
  const reason = reasonOf(exit) as PipelineError.ProcessorFailed
  deepStrictEqual([reason._tag, reason.processor], ["ProcessorFailed", processor])
  return reason.cause
}

/** Runs an Effect and gives what it logged as well. */
const logged = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      lines.push(String(Array.isArray(message) ? message[0] : message))
    })
    const value = yield* Effect.provide(effect, Logger.layer([logger]))
    return [value, lines] as const
  })

describe("options that cannot work", () => {
  const numbers = [0, -1, 1.5, NaN, -Infinity]
  for (const n of numbers) {
    it.effect(`a capacity of ${n}`, () =>
      Effect.gen(function*() {
        const expected = "a positive integer"
        const make = (p: Pipeline.Element<any, never>, options?: PipelineTask.Options) =>
          outcome(PipelineTask.make(p, options) as Effect.Effect<unknown, PipelineError.PipelineError>)
        const p = Processor.queued("Q", {}, { capacity: n })
        assertInvalid(yield* make(Pipeline.make(p)), "processors[0] (Q).capacity", String(n), expected)
        assertInvalid(
          yield* make(Pipeline.make(same, Processor.concurrent(Processor.sync("C", {}), { capacity: n }))),
          "processors[1] (C).capacity",
          String(n),
          expected
        )
        const up = Processor.queued("U", {}, { upstreamMailbox: { capacity: n, strategy: "sliding" } })
        assertInvalid(
          yield* make(Pipeline.make(same, up)),
          "processors[1] (U).upstreamMailbox.capacity",
          String(n),
          expected
        )
        assertInvalid(yield* make(same, { capacity: n }), "capacity", String(n), expected)
        assertInvalid(yield* make(same, { outputCapacity: n }), "outputCapacity", String(n), expected)
      }))
  }

  for (
    const [duration, found] of [[0, "0 ms"], ["0 seconds", "0 ms"], [-5, "-5 ms"], ["-1 second", "-1000 ms"]] as const
  ) {
    it.effect(`a duration of ${duration}`, () =>
      Effect.gen(function*() {
        const expected = "a duration greater than zero"
        for (const field of ["startTimeout", "drainTimeout", "cancelTimeout"] as const) {
          assertInvalid(yield* outcome(PipelineTask.make(same, { [field]: duration })), field, found, expected)
        }
        assertInvalid(
          yield* outcome(PipelineTask.make(same, { idle: { timeout: duration } })),
          "idle.timeout",
          found,
          expected
        )
        assertInvalid(
          yield* outcome(PipelineTask.make(same, { heartbeat: { interval: duration } })),
          "heartbeat.interval",
          found,
          expected
        )
      }))
  }

  it.effect("the same processor twice, wherever it is", () =>
    Effect.gen(function*() {
      const expected = "a processor that is not in this pipeline yet"
      const found = "the same processor as processors[0]"
      assertInvalid(
        yield* outcome(PipelineTask.make(Pipeline.make(same, same))),
        "processors[1] (Same)",
        found,
        expected
      )
      assertInvalid(
        yield* outcome(
          PipelineTask.make(Pipeline.make(same, Pipeline.make(Processor.sync("Other", {}), Pipeline.make(same))))
        ),
        "processors[1][1][0] (Same)",
        found,
        expected
      )
    }))

  it.effect("an empty pipeline", () =>
    Effect.gen(function*() {
      const empty = (Pipeline.make as unknown as () => Pipeline.Pipeline)()
      const least = "at least one processor"
      assertInvalid(yield* outcome(PipelineTask.make(empty)), "processors", "no processor", least)
      assertInvalid(
        yield* outcome(PipelineTask.make(Pipeline.make(same, empty))),
        "processors[1]",
        "no processor",
        least
      )
    }))

  it.effect("a duration that cannot be read is a defect with its text", () =>
    Effect.gen(function*() {
      const exit = yield* outcome(PipelineTask.make(same, { startTimeout: "soon" as unknown as number }))
      assert.include(String(Exit.isFailure(exit) ? Cause.squash(exit.cause) : exit), "soon")
    }))

  it.effect("what is refused has left nothing behind", () =>
    Effect.gen(function*() {
      const [, alive] = yield* leaks(Effect.scoped(Effect.exit(PipelineTask.make(same, { capacity: 0 }))))
      assert.strictEqual(alive, 0)
    }))
})

describe("frames that cannot be queued", () => {
  for (const how of ["stopWhenDone", "stopTask", "cancel"] as const) {
    it.effect(`after ${how}, before and after the task has ended`, () =>
      Effect.gen(function*() {
        const slow = Processor.queued("P", {
          TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
        })
        const task = yield* PipelineTask.make(slow, { name: "bot" })
        yield* task.start
        yield* task.queueFrame(text("a"))
        const ending = yield* Effect.forkScoped(how === "cancel" ? task.cancel() : task[how], {
          startImmediately: true
        })
        const refused = Effect.gen(function*() {
          for (
            const frame of [
              text("late"),
              Urgent.make({ n: 1 }),
              Frame.SyncFrame.make({}),
              Frame.EndFrame.make({}),
              Frame.StopTaskFrame.make({})
            ]
          ) {
            assertEnded(yield* outcome(task.queueFrame(frame)), "bot", frame)
            assertEnded(yield* outcome(task.queueFrame(frame, "upstream")), "bot", frame)
            assertEnded(yield* outcome(task.queueFrames([frame])), "bot", frame)
            assertEnded(yield* outcome(task.queueFrames(Stream.make(frame))), "bot", frame)
          }
          for (const again of [task.stopWhenDone, task.stopTask]) {
            assert.strictEqual(reasonOf(yield* outcome(again))._tag, "TaskEnded")
          }
        })
        yield* refused
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(ending)
        assert.strictEqual(yield* task.phase, "Done")
        yield* refused
        assert.strictEqual(reasonOf(yield* outcome(task.interrupt))._tag, "TaskEnded")
        assert.strictEqual(
          (yield* task.await)._tag,
          { stopWhenDone: "Ended", stopTask: "Stopped", cancel: "Cancelled" }[how]
        )
      }))
  }

  it.effect("a StartFrame of one's own", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(same)
      const frame = Frame.StartFrame.make({})
      for (let i = 0; i < 2; i++) {
        assertInvalid(yield* outcome(task.queueFrame(frame)), "frame", frame.name, "a frame that is not the task's own")
        assertInvalid(
          yield* outcome(task.queueFrames([text("a"), frame])),
          "frame",
          frame.name,
          "a frame that is not the task's own"
        )
        yield* task.start
      }
      yield* task.stopWhenDone
      assert.strictEqual((yield* task.run)._tag, "Ended")
    }))

  it.effect("a stream that fails: its own error, after what it gave before", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(same)
      const exit = yield* outcome(
        task.queueFrames(Stream.concat(Stream.make(text("a")), Stream.fail(new Boom({ why: "gone" }))))
      )
      assert.deepStrictEqual(exit, Exit.fail(new Boom({ why: "gone" })))
      yield* task.stopWhenDone
      deepStrictEqual(show(yield* Stream.runCollect(task.output)), ["StartFrame", ...texts("a"), "EndFrame"])
    }))

  it.effect("takeOver of a task that is not stopped, has ended otherwise, or was taken over", () =>
    Effect.gen(function*() {
      const expected = "a stopped task"
      const assertRefused = (task: PipelineTask.PipelineTask, found: string) =>
        Effect.map(outcome(PipelineTask.takeOver(task)), (exit) => assertInvalid(exit, "task", found, expected))
      const fresh = yield* PipelineTask.make(same)
      yield* assertRefused(fresh, "one in phase Created")
      yield* fresh.start
      yield* assertRefused(fresh, "one in phase Running")
      yield* fresh.stopWhenDone
      yield* fresh.run
      yield* assertRefused(fresh, "one in phase Done")
      const cancelled = yield* PipelineTask.make(same)
      yield* cancelled.cancel()
      yield* assertRefused(cancelled, "one in phase Done")
      const stopped = yield* PipelineTask.make(same)
      yield* stopped.stopTask
      yield* stopped.run
      assertInvalid(
        yield* outcome(PipelineTask.takeOver(stopped, { capacity: 0 })),
        "capacity",
        "0",
        "a positive integer"
      )
      const second = yield* PipelineTask.takeOver(stopped)
      yield* assertRefused(stopped, "one that was taken over already")
      yield* second.stopWhenDone
      assert.strictEqual((yield* second.run)._tag, "Ended")
      yield* assertRefused(stopped, "one that was taken over already")
    }))
})

describe("processors that misbehave", () => {
  const bug = new Error("bug")
  const thrower = (): never => {
    throw bug
  }
  const dying: Record<string, Processor.Processor> = {
    "a sync handler throws": Processor.sync("P", { TextFrame: thrower }),
    "a sync upstream handler throws": Processor.sync("P", { upstream: { TextFrame: thrower } }),
    "an effect handler throws": Processor.effect("P", { TextFrame: thrower }),
    "an effect handler dies": Processor.effect("P", { TextFrame: () => Effect.die(bug) }),
    "a queued handler throws": Processor.queued("P", { TextFrame: thrower }),
    "a queued handler dies": Processor.queued("P", { TextFrame: () => Effect.die(bug) }),
    "a handler of system frames dies": Processor.queued("P", { system: () => Effect.die(bug) }),
    "onStart throws": Processor.sync("P", { onStart: thrower }),
    "onStart dies": Processor.effect("P", { onStart: () => Effect.die(bug) }),
    "onEnd throws": Processor.sync("P", { onEnd: thrower }),
    "onEnd dies": Processor.queued("P", { onEnd: () => Effect.die(bug) }),
    "onInterruption dies": Processor.queued("P", { onInterruption: () => Effect.die(bug) }),
    "run dies": Processor.effect("P", { run: () => Effect.die(bug) }),
    "a source dies": Processor.source("P", Stream.die(bug)),
    "a transformed stream dies": Processor.fromStream(
      "P",
      (frames) => Stream.concat(Stream.drain(Stream.take(frames, 1)), Stream.die(bug))
    )
  }
  for (const [name, p] of Object.entries(dying)) {
    it.effect(`${name}: the task fails with the defect, it is logged and told, nothing is left`, () =>
      Effect.gen(function*() {
        const [[[exit, failures], alive], lines] = yield* logged(leaks(Effect.scoped(Effect.gen(function*() {
          const task = yield* PipelineTask.make(p)
          const failures: Array<PipelineTask.Failure<unknown>> = []
          const collecting = yield* Stream.runForEach(task.failures, (f) => Effect.sync(() => failures.push(f))).pipe(
            Effect.forkScoped({ startImmediately: true })
          )
          if (name.includes("upstream")) yield* task.queueFrame(text("a"), "upstream")
          yield* task.queueFrames([text("a"), Urgent.make({ n: 1 })])
          if (name.startsWith("onInterruption")) yield* task.interrupt
          if (name.startsWith("onEnd")) yield* task.stopWhenDone
          const exit = yield* outcome(task.run)
          yield* Fiber.join(collecting)
          yield* settle
          return [exit, failures] as const
        }))))
        assert.strictEqual(assertFailed(exit, "P"), bug)
        deepStrictEqual(failures.map((f) => [f.processor, f.fatal, Cause.squash(f.cause)]), [["P", true, bug]])
        assert.strictEqual(lines.filter((line) => line.includes("bug")).length, 1, lines.join("\n"))
        assert.strictEqual(alive, 0)
      }))
  }

  for (
    const [what, p] of [
      ["a handler", Processor.queued("P", { TextFrame: (() => 42) as unknown as () => Effect.Effect<void> })],
      [
        "a handler of nothing",
        Processor.effect("P", { TextFrame: (() => {}) as unknown as () => Effect.Effect<void> })
      ],
      ["a hook", Processor.effect("P", { onStart: (() => "x") as unknown as () => Effect.Effect<void> })],
      ["run", Processor.effect("P", { run: (() => null) as unknown as () => Effect.Effect<void> })]
    ] as const
  ) {
    it.effect(`${what} that returns no Effect`, () =>
      Effect.gen(function*() {
        const task = yield* PipelineTask.make(p)
        yield* task.queueFrame(text("a"))
        const cause = assertFailed(yield* outcome(task.run), "P")
        assert.match(
          String(cause),
          /^TypeError: the handler of an effectful processor must return an Effect, found (42|undefined|x|null)$/
        )
      }))
  }

  it.effect("a sync handler that returns an Effect", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(Processor.sync("P", { TextFrame: () => Effect.void }))
      yield* task.queueFrame(text("a"))
      assert.strictEqual(
        String(assertFailed(yield* outcome(task.run), "P")),
        "TypeError: a sync handler returned an Effect, which is not run: use Processor.effect or Processor.queued"
      )
    }))

  it.effect("a behaviour that throws, or is none, is a failed set-up", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(Processor.sync("P", thrower))
      deepStrictEqual(reasonOf(yield* outcome(task.run)), new PipelineError.SetupFailed({ processor: "P", cause: bug }))
    }))

  it.effect("a handler that never returns: the rest waits, and a cancel works", () =>
    Effect.gen(function*() {
      for (const make of [Processor.effect, Processor.queued]) {
        const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
          let calls = 0
          const p = make("P", { TextFrame: () => Effect.andThen(Effect.sync(() => calls++), Effect.never) })
          const task = yield* PipelineTask.make(p)
          yield* task.queueFrames([text("a"), text("b")])
          yield* task.stopWhenDone
          const running = yield* Effect.forkScoped(task.run, { startImmediately: true })
          yield* TestClock.adjust("1 day")
          assert.isUndefined(running.pollUnsafe())
          deepStrictEqual([calls, yield* task.phase], [1, "Draining"])
          assert.isTrue(Exit.isSuccess(yield* outcome(task.cancel())))
          assert.strictEqual((yield* Fiber.join(running))._tag, "Cancelled")
        })))
        assert.strictEqual(alive, 0)
      }
    }))

  it.effect("a source that fails is reported, the pipeline goes on", () =>
    Effect.gen(function*() {
      const source = Processor.source(
        "Source",
        Stream.concat(Stream.make(text("a")), Stream.fail(new Boom({ why: "gone" })))
      )
      const task = yield* PipelineTask.make(Pipeline.make(Processor.sync("Above", {}), source))
      const up = yield* Stream.runCollect(task.upstream).pipe(Effect.forkScoped({ startImmediately: true }))
      const down = yield* Stream.runCollect(task.output).pipe(Effect.forkScoped({ startImmediately: true }))
      yield* TestClock.adjust("1 second")
      yield* task.queueFrame(text("b"))
      yield* task.stopWhenDone
      assert.strictEqual((yield* task.run)._tag, "Ended")
      const [error, ...rest] = yield* Fiber.join(up)
      deepStrictEqual(rest, [])
      deepStrictEqual(
        [
          error!._tag,
          (error as Frame.ErrorFrame).processor,
          (error as Frame.ErrorFrame).fatal,
          (error as Frame.ErrorFrame).error
        ],
        ["ErrorFrame", "Source", false, new Boom({ why: "gone" })]
      )
      deepStrictEqual(show(yield* Fiber.join(down)), ["StartFrame", ...texts("a", "b"), "EndFrame"])
    }))

  it.effect("a push after the task has ended or was cancelled is dropped, counted and logged", () =>
    Effect.gen(function*() {
      for (const how of ["stopWhenDone", "cancel"] as const) {
        const late = text("late")
        const [drops, lines] = yield* logged(Effect.gen(function*() {
          const context = yield* Deferred.make<Processor.ProcessorContext>()
          const p = Processor.queued("P", { onStart: (_, c) => Deferred.succeed(context, c) })
          const task = yield* PipelineTask.make(Pipeline.make(p, Processor.queued("Below", {})))
          yield* task.queueFrame(text("a"))
          yield* task.start
          yield* settle
          yield* how === "cancel" ? task.cancel() : task.stopWhenDone
          yield* task.run
          const { pushDownstream } = yield* Deferred.await(context)
          assert.isTrue(Exit.isSuccess(yield* outcome(pushDownstream(late))))
          return yield* task.drops
        }))
        deepStrictEqual(drops, {
          full: 0,
          interrupted: 0,
          cancelled: how === "cancel" ? 1 : 0,
          ended: how === "cancel" ? 0 : 1,
          inactive: 0
        })
        deepStrictEqual(lines, how === "cancel" ? [] : [`P pushed ${Frame.format(late)} after the end: dropped`])
      }
    }))

  it.effect("a processor that pushes StartFrame is told so", () =>
    Effect.gen(function*() {
      const p = Processor.sync("P", { TextFrame: (_, push) => push(Frame.StartFrame.make({})) })
      const task = yield* PipelineTask.make(Pipeline.make(same, p))
      const failures = yield* Stream.runCollect(task.failures).pipe(Effect.forkScoped({ startImmediately: true }))
      yield* task.queueFrame(text("a"))
      yield* task.stopWhenDone
      assert.strictEqual((yield* task.run)._tag, "Ended")
      deepStrictEqual((yield* Fiber.join(failures)).map((f) => [f.processor, f.fatal, String(Cause.squash(f.cause))]), [
        ["P", false, "Error: StartFrame belongs to the task, not to processors"]
      ])
    }))

  it.effect("onCancel that dies is logged and told, the cancel is one all the same", () =>
    Effect.gen(function*() {
      const [failures, lines] = yield* logged(Effect.gen(function*() {
        const task = yield* PipelineTask.make(Processor.effect("P", { onCancel: () => Effect.die(bug) }))
        const failures = yield* Stream.runCollect(task.failures).pipe(Effect.forkScoped({ startImmediately: true }))
        yield* task.start
        yield* outcome(task.cancel())
        assert.strictEqual((yield* task.await)._tag, "Cancelled")
        return yield* Fiber.join(failures)
      }))
      deepStrictEqual(failures.map((f) => [f.processor, Cause.squash(f.cause)]), [["P", bug]])
      assert.strictEqual(lines.filter((line) => line.includes("bug")).length, 1)
    }))
})
