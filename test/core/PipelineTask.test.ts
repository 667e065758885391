import { Frame, Pipeline, PipelineError, PipelineObserver, PipelineTask, Processor } from "@apipeline/core"
import { act, capture, interrupt, leaks, payload, run, settle, show, sleep, upstream } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Cause, Clock, Data, Deferred, Effect, Exit, Fiber, Latch, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const texts = (...all: ReadonlyArray<string>): Array<string> => all.map((t) => `TextFrame("${t}")`)
class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}
class Boom extends Data.TaggedError("Boom")<{ readonly why: string }> {}

const same = Processor.sync("Same", {})

/** Handles each text for ten milliseconds, in a fiber of its own. */
const slow = (name = "Slow", options?: Processor.Options): Processor.Processor =>
  Processor.queued(name, {
    data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
  }, options)

/** Remembers what becomes of a task, with the time at which it does. */
const timeline = () => {
  const events: Array<readonly [event: string, at: number]> = []
  const messages: Array<string> = []
  const observer = PipelineObserver.make("timeline", (event) =>
    Effect.sync(() => {
      if (event._tag !== "Task") return
      events.push([event.event, event.at])
      messages.push(event.message)
    }))
  return { events, messages, observer }
}

/** Collects a stream in a fiber of the surrounding scope, from now on. */
const collect = Effect.fnUntraced(function*<A, E>(stream: Stream.Stream<A, E>) {
  const all: Array<A> = []
  const fiber = yield* Stream.runForEach(stream, (a) => Effect.sync(() => all.push(a))).pipe(
    Effect.forkScoped({ startImmediately: true })
  )
  return { all, end: Fiber.await(fiber) }
})

const start = <E>(task: PipelineTask.PipelineTask<E>) =>
  Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })

const reasonOf = (exit: Exit.Exit<unknown, PipelineError.PipelineError>): PipelineError.PipelineError["reason"] => {
  assert.isTrue(Exit.isFailure(exit), "it must fail")
  const error = Cause.squash((exit as Exit.Failure<never, PipelineError.PipelineError>).cause)
  assert.instanceOf(error, PipelineError.PipelineError)
  return error.reason
}

const tagOf = (exit: Exit.Exit<PipelineTask.TaskExit, unknown>): string =>
  Exit.isSuccess(exit) ? exit.value._tag : `failed: ${Cause.pretty(exit.cause)}`

describe("start", () => {
  it.effect("StartFrame carries the options and the metadata of the task", () =>
    Effect.gen(function*() {
      const given = yield* run(same, [], {
        startMetadata: { foo: "bar" },
        allowInterruptions: false,
        enableMetrics: true,
        enableUsageMetrics: true,
        reportOnlyInitialTtfb: true,
        audioInSampleRate: 8000,
        audioOutSampleRate: 48000
      })
      const frame = given.down[0] as Frame.StartFrame
      deepStrictEqual(
        [
          frame._tag,
          frame.metadata,
          frame.allowInterruptions,
          frame.enableMetrics,
          frame.enableUsageMetrics,
          frame.reportOnlyInitialTtfb,
          frame.audioInSampleRate,
          frame.audioOutSampleRate
        ],
        ["StartFrame", { foo: "bar" }, false, true, true, true, 8000, 48000]
      )
      const byDefault = (yield* run(same, [])).down[0] as Frame.StartFrame
      deepStrictEqual(
        [byDefault.metadata, byDefault.allowInterruptions, byDefault.enableMetrics, byDefault.audioInSampleRate],
        [undefined, true, false, Frame.StartFrame.make({}).audioInSampleRate]
      )
    }))

  it.effect("phases: Created, Starting, Running, Draining, Done", () =>
    Effect.gen(function*() {
      const phases: Array<string> = []
      const holder = yield* Deferred.make<PipelineTask.PipelineTask>()
      const look = Deferred.await(holder).pipe(
        Effect.flatMap((task) => task.phase),
        Effect.map((phase) => phases.push(phase))
      )
      const p = Processor.effect("P", {
        onStart: () => Effect.andThen(look, Effect.sleep("1 millis")),
        TextFrame: () => look,
        onEnd: () => look
      })
      const task = yield* PipelineTask.make(p)
      yield* Deferred.succeed(holder, task)
      yield* look
      const running = yield* start(task)
      yield* TestClock.adjust("1 millis")
      yield* task.queueFrame(text("a"))
      yield* settle
      yield* task.stopWhenDone
      assert.strictEqual(tagOf(yield* Fiber.join(running)), "Ended")
      yield* look
      deepStrictEqual(phases, ["Created", "Starting", "Running", "Draining", "Done"])
    }))

  it.effect("nothing flows before Start is through: data in order, system frames first", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const see = (frame: Frame.Frame, push: Processor.Push) => {
        seen.push(...show([frame]))
        push(frame)
      }
      const first = Processor.sync("First", { data: see, system: see })
      const second = Processor.effect("Second", { onStart: () => Effect.sleep("100 millis") })
      const task = yield* PipelineTask.make(Pipeline.make(first, second))
      const output = yield* collect(task.output)
      yield* task.queueFrame(text("a"))
      yield* task.queueFrame(Urgent.make({ n: 1 }))
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(yield* task.phase, "Starting")
      deepStrictEqual(seen, [])
      deepStrictEqual(output.all, [])
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* task.phase, "Running")
      deepStrictEqual(seen, ["Urgent(n: 1)", ...texts("a")])
      deepStrictEqual(show(output.all), ["StartFrame", "Urgent(n: 1)", ...texts("a")])
    }))

  it.effect("what a processor pushes from onStart follows StartFrame everywhere", () =>
    Effect.gen(function*() {
      const first = Processor.sync("First", { onStart: (_, push) => push(text("from start")) })
      const log: Array<string> = []
      const second = Processor.effect("Second", {
        onStart: () => Effect.andThen(Effect.sleep("5 millis"), Effect.sync(() => log.push("started"))),
        TextFrame: (frame, { push }) => Effect.andThen(Effect.sync(() => log.push(frame.text)), push(frame))
      })
      const { down } = yield* run(Pipeline.make(first, second), [text("user"), sleep("10 millis")])
      deepStrictEqual(log, ["started", "from start", "user"])
      deepStrictEqual(show(down), ["StartFrame", ...texts("from start", "user"), "EndFrame"])
    }))

  it.effect("set-up is concurrent, onStart goes through the pipeline in order", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const say = (line: string) =>
        Effect.flatMap(Clock.currentTimeMillis, (at) => Effect.sync(() => log.push(`${at} ${line}`)))
      const p = (name: string, millis: number) =>
        Processor.effect(
          name,
          Effect.gen(function*() {
            yield* Effect.sleep(millis)
            yield* say(`${name} is set up`)
            return { onStart: () => say(`${name} starts`) }
          })
        )
      const task = yield* PipelineTask.make(Pipeline.make(p("A", 30), p("B", 10), p("C", 20)))
      const starting = yield* Effect.forkScoped(task.start, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(starting)
      deepStrictEqual(log, [
        "10 B is set up",
        "20 C is set up",
        "30 A is set up",
        "30 A starts",
        "30 B starts",
        "30 C starts"
      ])
    }))

  it.effect("start, run and output start the task once", () =>
    Effect.gen(function*() {
      let starts = 0
      const p = Processor.sync("P", {
        onStart: () => {
          starts++
        }
      })
      const task = yield* PipelineTask.make(p)
      const output = yield* collect(task.output)
      yield* task.start
      yield* task.start
      const running = yield* start(task)
      yield* task.stopWhenDone
      assert.strictEqual(tagOf(yield* Fiber.join(running)), "Ended")
      assert.strictEqual(tagOf(yield* Effect.exit(task.run)), "Ended")
      yield* output.end
      deepStrictEqual(show(output.all), ["StartFrame", "EndFrame"])
      assert.strictEqual(starts, 1)
    }))

  it.effect("any number of frames may be queued before the task runs", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(slow("Q", { capacity: 4 }), { capacity: 2 })
      const frames = Array.from({ length: 5000 }, (_, i) => text(String(i)))
      yield* task.queueFrame(frames[0]!)
      yield* task.queueFrames(Stream.fromIterable(frames.slice(1, 2500)))
      yield* task.queueFrames(frames.slice(2500))
      yield* task.stopWhenDone
      assert.strictEqual(yield* task.phase, "Created")
      const output = yield* collect(task.output)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(tagOf(yield* Effect.exit(task.await)), "Ended")
      deepStrictEqual(payload(output.all), frames)
      assert.strictEqual(output.all.at(-1)!._tag, "EndFrame")
    }))
})

describe("set-up failures", () => {
  const failing = (name: string, why: string) =>
    Processor.queued(
      name,
      Effect.gen(function*() {
        yield* Effect.fail(new Boom({ why }))
        return { TextFrame: () => Effect.die("unreachable") }
      })
    )

  it.effect("continue: each is reported upstream, is unusable and lets everything pass", () =>
    Effect.gen(function*() {
      const errors: Array<Frame.ErrorFrame> = []
      const watch = Processor.sync("Watch", {
        upstream: {
          ErrorFrame: (frame, push) => {
            errors.push(frame)
            push(frame)
          }
        }
      })
      const pipeline = Pipeline.make(watch, failing("F1", "one"), same, failing("F2", "two"))
      const { down, exit, failures, up } = yield* run(pipeline, [
        text("a"),
        act((task) =>
          Effect.map(task.processors, (all) =>
            deepStrictEqual(all, [
              { name: "capture.above", usable: true },
              { name: "Watch", usable: true },
              { name: "F1", usable: false },
              { name: "Same", usable: true },
              { name: "F2", usable: false },
              { name: "capture.below", usable: true }
            ]))
        )
      ], { onSetupFailure: "continue" })
      deepStrictEqual(show(down), ["StartFrame", ...texts("a"), "EndFrame"])
      deepStrictEqual(errors.map((e) => [e.processor, e.fatal, (e.error as Boom).why]), [["F1", false, "one"], [
        "F2",
        false,
        "two"
      ]])
      deepStrictEqual(up, errors)
      deepStrictEqual(
        failures.map((f) => [f.processor, f.fatal, Cause.squash(f.cause)]),
        errors.map((e) => [e.processor, false, e.error])
      )
      assert.strictEqual(tagOf(exit), "Ended")
    }))

  it.effect("end: what was queued before goes through, then the task ends", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(Pipeline.make(failing("F", "no"), same), { onSetupFailure: "end" })
      yield* task.queueFrame(text("a"))
      const errors = yield* collect(task.upstream)
      const output = yield* collect(task.output)
      assert.strictEqual(tagOf(yield* Effect.exit(task.run)), "Ended")
      yield* output.end
      yield* errors.end
      deepStrictEqual(show(output.all), ["StartFrame", ...texts("a"), "EndFrame"])
      deepStrictEqual(show(errors.all), ["ErrorFrame(F: Boom)"])
    }))

  it.effect("cancel (the default): run fails with the first, all are told, what was set up is released", () =>
    Effect.gen(function*() {
      const released: Array<string> = []
      const good = Processor.effect(
        "Good",
        Effect.as(Effect.addFinalizer(() => Effect.sync(() => released.push("Good"))), {
          onStart: () => Effect.sync(() => released.push("unreachable")),
          onCancel: () => Effect.sync(() => released.push("unreachable"))
        })
      )
      const task = yield* PipelineTask.make(Pipeline.make(good, failing("F1", "one"), failing("F2", "two")))
      const failures = yield* collect(task.failures)
      const output = yield* collect(task.output)
      const reason = reasonOf(yield* Effect.exit(task.run))
      deepStrictEqual([reason._tag, (reason as PipelineError.SetupFailed).processor], ["SetupFailed", "F1"])
      assert.strictEqual(((reason as PipelineError.SetupFailed).cause as Boom).why, "one")
      assert.deepStrictEqual(reasonOf(yield* output.end), reason)
      yield* failures.end
      deepStrictEqual(failures.all.map((f) => [f.processor, (Cause.squash(f.cause) as Boom).why]), [["F1", "one"], [
        "F2",
        "two"
      ]])
      deepStrictEqual(show(output.all), ["CancelFrame"])
      deepStrictEqual(released, ["Good"])
    }))

  it.effect("a set-up that dies is treated the same", () =>
    Effect.gen(function*() {
      const bug = new Error("bug")
      const task = yield* PipelineTask.make(Processor.effect("P", Effect.as(Effect.die(bug), {})))
      const reason = reasonOf(yield* Effect.exit(task.run)) as PipelineError.SetupFailed
      deepStrictEqual([reason._tag, reason.processor, reason.cause], ["SetupFailed", "P", bug])
      assert.strictEqual(yield* task.phase, "Done")
    }))
})

describe("end", () => {
  it.effect("queue, then run: everything is delivered, then it has ended", () =>
    Effect.gen(function*() {
      const { below, down } = capture()
      const task = yield* PipelineTask.make(Pipeline.make(same, below))
      const end = Frame.EndFrame.make({ reason: "that was it" })
      yield* task.queueFrame(text("a"))
      yield* task.queueFrames([text("b"), end])
      const exit = yield* task.run
      deepStrictEqual(exit, { _tag: "Ended", frame: end })
      deepStrictEqual(show(down), ["StartFrame", ...texts("a", "b"), "EndFrame"])
      assert.strictEqual(down.at(-1), end)
      assert.strictEqual(yield* task.phase, "Done")
    }))

  it.effect("started, ended, stopped and cancelled are told", () =>
    Effect.gen(function*() {
      for (const how of ["Ended", "Stopped", "Cancelled"] as const) {
        const { events, observer } = timeline()
        const task = yield* PipelineTask.make(same, { observers: [observer] })
        const running = yield* start(task)
        yield* TestClock.adjust("5 millis")
        const at = yield* Clock.currentTimeMillis
        yield* how === "Ended" ? task.stopWhenDone : how === "Stopped" ? task.stopTask : task.cancel()
        assert.strictEqual(tagOf(yield* Fiber.join(running)), how)
        yield* settle
        deepStrictEqual(events, [["Started", at - 5], [how, at]])
      }
    }))

  it.effect("1,000 frames through queued processors, then End: all arrive, then End", () =>
    Effect.gen(function*() {
      const hop = (name: string) =>
        Processor.queued(name, {
          TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 millis"), push(frame))
        }, {
          capacity: 16
        })
      const frames = Array.from({ length: 1000 }, (_, i) => text(String(i)))
      const task = yield* PipelineTask.make(Pipeline.make(hop("A"), hop("B"), same, hop("C")), { capacity: 8 })
      const output = yield* collect(task.output)
      const queueing = yield* Effect.forkScoped(Effect.andThen(task.queueFrames(frames), task.stopWhenDone))
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(queueing)
      assert.strictEqual(tagOf(yield* Effect.exit(task.await)), "Ended")
      deepStrictEqual(output.all.slice(1, -1), frames)
      deepStrictEqual([output.all[0]!._tag, output.all.at(-1)!._tag], ["StartFrame", "EndFrame"])
    }))

  it.effect("a pipeline that is still answering upstream is waited for", () =>
    Effect.gen(function*() {
      const top = Processor.sync("Top", {
        upstream: { TextFrame: (frame, push) => push.downstream(text(`${frame.text}, answered`)) }
      })
      const below = Processor.queued("Below", {
        TextFrame: (frame, { push, pushUpstream }) =>
          frame.text.endsWith("answered") ? push(frame) : Effect.andThen(Effect.sleep("10 millis"), pushUpstream(frame))
      })
      const { down } = yield* run(Pipeline.make(top, below), [text("a"), text("b")])
      deepStrictEqual(show(down), ["StartFrame", ...texts("a, answered", "b, answered"), "EndFrame"])
    }))

  it.effect("an interruption while draining cuts what waits and loses no end", () =>
    Effect.gen(function*() {
      const { down, exit } = yield* run(Pipeline.make(slow("A"), slow("B")), [
        text("a"),
        Keep.make({ n: 1 }),
        text("b"),
        act((task) => task.stopWhenDone),
        sleep("5 millis"),
        act((task) => Effect.forkChild(task.interrupt, { startImmediately: true })),
        sleep("100 millis")
      ], { end: false })
      deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", "Keep(n: 1)", "EndFrame"])
      assert.strictEqual(tagOf(exit), "Ended")
    }))

  it.effect("drainTimeout: a drain that hangs is cancelled, and run fails", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const { events, messages, observer } = timeline()
      const p = Processor.queued("P", {
        TextFrame: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("interrupted"))),
        onCancel: () => Effect.sync(() => log.push("cancelled")),
        onEnd: () => Effect.sync(() => log.push("unreachable"))
      })
      const task = yield* PipelineTask.make(p, { drainTimeout: "200 millis", observers: [observer] })
      const running = yield* start(task)
      yield* task.queueFrame(text("a"))
      yield* TestClock.adjust("1 hour")
      yield* task.stopWhenDone
      yield* TestClock.adjust("199 millis")
      assert.strictEqual(yield* task.phase, "Draining")
      yield* TestClock.adjust("1 millis")
      deepStrictEqual(
        reasonOf(yield* Fiber.join(running)),
        new PipelineError.DeadlineExceeded({ phase: "drain", milliseconds: 200 })
      )
      deepStrictEqual(log, ["interrupted", "cancelled"])
      deepStrictEqual(events, [["Started", 0], ["DrainTimeout", 3_600_200], ["Failed", 3_600_200]])
      assert.strictEqual(messages[1], "drain took longer than 200 ms")
    }))

  it.effect("drainTimeout does not matter to a drain that is quick", () =>
    Effect.gen(function*() {
      const { exit } = yield* run(slow(), [text("a"), text("b")], { drainTimeout: "21 millis" })
      assert.strictEqual(tagOf(exit), "Ended")
    }))
})

describe("cancel", () => {
  it.effect("pre-empts a pending End, and what waits does not arrive", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(slow())
      const output = yield* collect(task.output)
      const running = yield* start(task)
      yield* task.queueFrames([text("a"), text("b"), text("c")])
      yield* task.stopWhenDone
      yield* TestClock.adjust("15 millis")
      assert.strictEqual(yield* task.phase, "Draining")
      yield* task.cancel("enough")
      const exit = yield* Fiber.join(running)
      assert.isTrue(Exit.isSuccess(exit) && exit.value._tag === "Cancelled" && exit.value.frame.reason === "enough")
      yield* output.end
      deepStrictEqual(show(output.all), ["StartFrame", ...texts("a"), "CancelFrame"])
      assert.strictEqual(yield* task.phase, "Done")
      assert.strictEqual((yield* task.drops).cancelled, 2)
    }))

  it.effect("before the task has started: it never starts", () =>
    Effect.gen(function*() {
      let setups = 0
      const task = yield* PipelineTask.make(Processor.sync("P", () => {
        setups++
        return {}
      }))
      yield* task.queueFrame(text("a"))
      yield* task.cancel("no")
      assert.strictEqual(tagOf(yield* Effect.exit(task.run)), "Cancelled")
      yield* task.start
      assert.strictEqual(yield* task.phase, "Done")
      assert.strictEqual(setups, 0)
    }))

  it.effect("before Start is through: the hook is interrupted, those already told are told of the cancel", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const p = (name: string, onStart: Effect.Effect<unknown>) =>
        Processor.effect(name, {
          onStart: () => Effect.onInterrupt(onStart, () => Effect.sync(() => log.push(`${name} interrupted`))),
          onCancel: () => Effect.sync(() => log.push(`${name} cancelled`))
        })
      const { events, observer } = timeline()
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const task = yield* PipelineTask.make(Pipeline.make(p("A", Effect.void), p("B", Effect.never)), {
          cancelTimeout: "100 millis",
          observers: [observer]
        })
        const running = yield* start(task)
        yield* TestClock.adjust("10 millis")
        assert.strictEqual(yield* task.phase, "Starting")
        yield* task.cancel()
        assert.strictEqual(tagOf(yield* Fiber.join(running)), "Cancelled")
        yield* settle
      })))
      deepStrictEqual(log, ["B interrupted", "A cancelled", "B cancelled"])
      deepStrictEqual(events, [["Cancelled", 10]])
      assert.strictEqual(alive, 0)
    }))

  it.effect("returns by its deadline although a hook hangs", () =>
    Effect.gen(function*() {
      const { events, messages, observer } = timeline()
      const task = yield* PipelineTask.make(
        Processor.effect("P", { onCancel: () => Effect.never }),
        { cancelTimeout: "200 millis", observers: [observer] }
      )
      const running = yield* start(task)
      yield* task.start
      const cancelling = yield* Effect.forkScoped(task.cancel(), { startImmediately: true })
      yield* TestClock.adjust("199 millis")
      assert.isUndefined(cancelling.pollUnsafe())
      assert.strictEqual(yield* task.phase, "Cancelling")
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(cancelling)
      assert.strictEqual(tagOf(yield* Fiber.join(running)), "Cancelled")
      yield* settle
      deepStrictEqual(events, [["Started", 0], ["CancelTimeout", 200], ["Cancelled", 200]])
      assert.strictEqual(messages[1], "cancel took longer than 200 ms")
    }))

  for (const where of ["a handler", "a finalizer", "onEnd"] as const) {
    it.effect(`returns by its deadline although ${where} cannot be interrupted`, () =>
      Effect.gen(function*() {
        const stuck = Effect.uninterruptible(Effect.callback<never>(() => {}))
        const p = Processor.queued(
          "P",
          Effect.gen(function*() {
            if (where === "a finalizer") yield* Effect.addFinalizer(() => stuck)
            return {
              TextFrame: () => where === "a handler" ? stuck : Effect.void,
              onEnd: () => where === "onEnd" ? stuck : Effect.void
            }
          })
        )
        const { events, observer } = timeline()
        const scope = yield* Scope.make()
        const task = yield* Scope.provide(
          PipelineTask.make(p, { cancelTimeout: "50 millis", observers: [observer] }),
          scope
        )
        const running = yield* start(task)
        yield* task.queueFrame(text("a"))
        if (where === "onEnd") yield* task.stopWhenDone
        yield* settle
        const cancelling = yield* Effect.forkScoped(task.cancel(), { startImmediately: true })
        yield* TestClock.adjust("49 millis")
        assert.isUndefined(cancelling.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(cancelling)
        assert.strictEqual(tagOf(yield* Fiber.join(running)), "Cancelled")
        yield* settle
        yield* Scope.close(scope, Exit.void)
        deepStrictEqual(events.slice(-2), [["CancelTimeout", 50], ["Cancelled", 50]])
      }))
  }

  it.effect("is prompt and total: no handler runs, no fiber is left", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const hang = (name: string) => Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push(name)))
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const p = Processor.queued("P", {
          TextFrame: () => hang("data"),
          Urgent: () => hang("system"),
          upstream: { TextFrame: () => hang("upstream") },
          run: () => hang("run"),
          onCancel: () => Effect.sync(() => log.push("onCancel"))
        }, { frames: [Urgent] })
        const source = Processor.source(
          "Source",
          Stream.concat(Stream.make(text("a")), Stream.fromEffect(hang("source")))
        )
        const task = yield* PipelineTask.make(Pipeline.make(source, p), {
          heartbeat: { interval: "1 second" },
          idle: { timeout: "1 hour" }
        })
        const output = yield* collect(task.output)
        yield* task.queueFrames([Urgent.make({ n: 1 }), text("b")])
        yield* task.queueFrame(text("c"), "upstream")
        yield* TestClock.adjust("10 seconds")
        deepStrictEqual(log, [])
        const before = yield* Clock.currentTimeMillis
        yield* task.cancel()
        assert.strictEqual(yield* Clock.currentTimeMillis, before)
        deepStrictEqual(log.toSorted(), ["data", "onCancel", "run", "source", "system", "upstream"])
        yield* output.end
      })))
      assert.strictEqual(alive, 0)
    }))

  it.effect("may be repeated, and never fails", () =>
    Effect.gen(function*() {
      const cancels: Array<string | undefined> = []
      const task = yield* PipelineTask.make(Processor.sync("P", {
        onCancel: (frame) => {
          cancels.push(frame.reason)
        }
      }))
      yield* task.start
      yield* Effect.all([task.cancel("1"), task.cancel("2"), task.cancel("3")], { concurrency: "unbounded" })
      yield* task.cancel("4")
      yield* task.queueFrame(Frame.CancelFrame.make({ reason: "5" }))
      deepStrictEqual(cancels, ["1"])
      const exit = yield* task.await
      assert.strictEqual((exit.frame as Frame.CancelFrame).reason, "1")
    }))

  it.effect("from inside a handler stops that handler as well", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const holder = yield* Deferred.make<PipelineTask.PipelineTask>()
      const p = Processor.queued("P", {
        TextFrame: () =>
          Effect.flatMap(Deferred.await(holder), (task) => task.cancel("inside")).pipe(
            Effect.andThen(Effect.sync(() => log.push("unreachable"))),
            Effect.onInterrupt(() => Effect.sync(() => log.push("interrupted")))
          )
      })
      const task = yield* PipelineTask.make(p)
      yield* Deferred.succeed(holder, task)
      yield* task.queueFrame(text("a"))
      const exit = yield* task.run
      deepStrictEqual([exit._tag, (exit.frame as Frame.CancelFrame).reason], ["Cancelled", "inside"])
      deepStrictEqual(log, ["interrupted"])
    }))

  it.effect("run interrupted is a cancel", () =>
    Effect.gen(function*() {
      const log: Array<string | undefined> = []
      const p = Processor.sync("P", {
        onCancel: (frame) => {
          log.push(frame.reason)
        }
      })
      const task = yield* PipelineTask.make(p)
      const running = yield* Effect.forkChild(task.run, { startImmediately: true })
      yield* task.start
      yield* Fiber.interrupt(running)
      assert.strictEqual(yield* task.phase, "Done")
      assert.strictEqual((yield* task.await)._tag, "Cancelled")
      deepStrictEqual(log, ["run was interrupted"])
    }))

  it.effect("the scope closed is a cancel, finalizers run in reverse, nothing is left", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const p = Processor.queued(
        "P",
        Effect.gen(function*() {
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("first")))
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("second")))
          return {
            TextFrame: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("handler"))),
            onCancel: (frame: Frame.CancelFrame) => Effect.sync(() => log.push(`onCancel: ${frame.reason}`))
          }
        })
      )
      const [exit, alive] = yield* leaks(Effect.gen(function*() {
        const scope = yield* Scope.make()
        const task = yield* Scope.provide(PipelineTask.make(p), scope)
        yield* task.start
        yield* task.queueFrame(text("a"))
        yield* settle
        yield* Scope.close(scope, Exit.void)
        deepStrictEqual(log, ["handler", "onCancel: the task's scope closed", "second", "first"])
        return yield* task.await
      }))
      assert.strictEqual(exit._tag, "Cancelled")
      assert.strictEqual(alive, 0)
    }))

  it.effect("a pusher that waits for room is let go, its frame is counted", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(Processor.effect("P", { TextFrame: () => Effect.never }), { capacity: 1 })
      yield* task.start
      const waiting = yield* Effect.forkScoped(task.queueFrames([text("at work"), text("waits"), text("no room")]))
      yield* TestClock.adjust("1 second")
      assert.isUndefined(waiting.pollUnsafe())
      yield* task.cancel()
      yield* TestClock.adjust("1 second")
      assert.isDefined(waiting.pollUnsafe())
      deepStrictEqual(yield* task.drops, { full: 0, interrupted: 0, cancelled: 2, ended: 0, inactive: 0 })
    }))
})

describe("start deadline", () => {
  const cases = {
    "onStart never returns": Processor.effect("P", { onStart: () => Effect.never }),
    "the set-up never finishes": Processor.effect("P", Effect.as(Effect.never, {}))
  }
  for (const [name, p] of Object.entries(cases)) {
    it.effect(`${name}: run fails, told once`, () =>
      Effect.gen(function*() {
        const { events, messages, observer } = timeline()
        const released: Array<string> = []
        const recorder = Processor.effect(
          "Recorder",
          Effect.as(Effect.addFinalizer(() => Effect.sync(() => released.push("Recorder"))), {})
        )
        const raising = Processor.effect(
          "Raising",
          Effect.as(Effect.addFinalizer(() => Effect.die("the clean-up fails")), {})
        )
        const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
          const task = yield* PipelineTask.make(Pipeline.make(raising, p, recorder), {
            startTimeout: "100 millis",
            observers: [observer]
          })
          const running = yield* start(task)
          const starting = yield* Effect.forkScoped(Effect.exit(task.start))
          yield* TestClock.adjust("99 millis")
          assert.strictEqual(yield* task.phase, "Starting")
          yield* TestClock.adjust("1 millis")
          const expected = new PipelineError.DeadlineExceeded({ phase: "start", milliseconds: 100 })
          deepStrictEqual(reasonOf(yield* Fiber.join(running)), expected)
          deepStrictEqual(reasonOf(yield* Fiber.join(starting)), expected)
          deepStrictEqual(reasonOf(yield* Effect.exit(task.await)), expected)
          yield* TestClock.adjust("1 hour")
        })))
        deepStrictEqual(events, [["StartTimeout", 100], ["Failed", 100]])
        assert.strictEqual(messages[0], "start took longer than 100 ms")
        deepStrictEqual(released, ["Recorder"])
        assert.strictEqual(alive, 0)
      }))
  }

  it.effect("is 20 seconds by default, and none when infinite", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", { onStart: () => Effect.sleep("1 day") })
      const task = yield* PipelineTask.make(p)
      const running = yield* start(task)
      const patient = yield* PipelineTask.make(p, { startTimeout: "Infinity" })
      const starting = yield* Effect.forkScoped(Effect.exit(patient.start))
      yield* TestClock.adjust("19999 millis")
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(reasonOf(yield* Fiber.join(running))._tag, "DeadlineExceeded")
      yield* TestClock.adjust("1 day")
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(starting)))
    }))
})

describe("heartbeats", () => {
  it.effect("come at their interval, in order with data, and do not leave the pipeline", () =>
    Effect.gen(function*() {
      const beats: Array<readonly [at: number, sent: number]> = []
      const p = Processor.effect("P", {
        HeartbeatFrame: (frame, { push }) =>
          Effect.clockWith((clock) => {
            beats.push([clock.currentTimeMillisUnsafe(), frame.at])
            return push(frame)
          })
      })
      const task = yield* PipelineTask.make(p, { heartbeat: { interval: "200 millis" } })
      const output = yield* collect(task.output)
      yield* TestClock.adjust("1 second")
      yield* task.stopWhenDone
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(tagOf(yield* Effect.exit(task.await)), "Ended")
      deepStrictEqual(beats, [200, 400, 600, 800, 1000].map((at) => [at, at]))
      deepStrictEqual(show(output.all), ["StartFrame", "EndFrame"])
    }))

  const swallow = Processor.sync("Swallow", { HeartbeatFrame: () => {} })

  it.effect("one that does not arrive: told after the timeout, the callback may cancel", () =>
    Effect.gen(function*() {
      const { events, messages, observer } = timeline()
      const holder = yield* Deferred.make<PipelineTask.PipelineTask>()
      const task = yield* PipelineTask.make(swallow, {
        name: "bot",
        observers: [observer],
        heartbeat: {
          interval: "100 millis",
          timeout: "300 millis",
          onTimeout: Effect.flatMap(Deferred.await(holder), (task) => task.cancel("no heartbeat"))
        }
      })
      yield* Deferred.succeed(holder, task)
      const running = yield* start(task)
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.join(running)
      assert.isTrue(
        Exit.isSuccess(exit) && exit.value._tag === "Cancelled" && exit.value.frame.reason === "no heartbeat"
      )
      deepStrictEqual(events, [["Started", 0], ["HeartbeatTimeout", 300], ["Cancelled", 300]])
      assert.strictEqual(messages[1], "bot: no heartbeat for more than 0.3 seconds")
    }))

  it.effect("the timeout is told again while the pipeline stands still; by default after ten intervals", () =>
    Effect.gen(function*() {
      for (const [options, every] of [[{ timeout: "100 millis" }, 100], [{}, 500]] as const) {
        const { events, observer } = timeline()
        let calls = 0
        const task = yield* PipelineTask.make(swallow, {
          observers: [observer],
          heartbeat: { interval: "50 millis", ...options, onTimeout: Effect.sync(() => calls++) }
        })
        const begin = yield* Clock.currentTimeMillis
        yield* task.start
        yield* TestClock.adjust(3 * every)
        yield* task.cancel()
        yield* settle
        const timeouts = events.filter(([event]) => event === "HeartbeatTimeout").map(([, at]) => at - begin)
        deepStrictEqual(timeouts, [every, 2 * every, 3 * every])
        assert.strictEqual(calls, 3)
      }
    }))

  it.effect("a slow pipeline that passes them is no timeout", () =>
    Effect.gen(function*() {
      const { events, observer } = timeline()
      const task = yield* PipelineTask.make(
        Processor.queued("P", {
          HeartbeatFrame: (frame, { push }) => Effect.andThen(Effect.sleep("40 millis"), push(frame))
        }),
        { observers: [observer], heartbeat: { interval: "50 millis", timeout: "100 millis" } }
      )
      yield* task.start
      yield* TestClock.adjust("10 seconds")
      deepStrictEqual(events, [["Started", 0]])
    }))
})

describe("idle", () => {
  it.effect("a task through which nothing moves is cancelled", () =>
    Effect.gen(function*() {
      const { events, messages, observer } = timeline()
      const task = yield* PipelineTask.make(same, { observers: [observer], idle: { timeout: "200 millis" } })
      const running = yield* start(task)
      yield* TestClock.adjust("199 millis")
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const exit = yield* Fiber.join(running)
      assert.isTrue(
        Exit.isSuccess(exit) && exit.value._tag === "Cancelled" && exit.value.frame.reason === "idle for 200 ms"
      )
      deepStrictEqual(events, [["Started", 0], ["IdleTimeout", 200], ["Cancelled", 200]])
      assert.strictEqual(messages[1], "task: nothing has moved for 200 ms")
    }))

  it.effect("cancel: false, with a callback that ends the task: it ends in order, called once", () =>
    Effect.gen(function*() {
      const holder = yield* Deferred.make<PipelineTask.PipelineTask>()
      let calls = 0
      const task = yield* PipelineTask.make(same, {
        idle: {
          timeout: "200 millis",
          cancel: false,
          onIdle: Effect.flatMap(Deferred.await(holder), (task) => {
            calls++
            return Effect.orDie(task.stopWhenDone)
          })
        }
      })
      yield* Deferred.succeed(holder, task)
      const output = yield* collect(task.output)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(tagOf(yield* Effect.exit(task.await)), "Ended")
      yield* output.end
      deepStrictEqual(show(output.all), ["StartFrame", "EndFrame"])
      assert.strictEqual(calls, 1)
    }))

  it.effect("cancel: false alone: the task goes on, and is told each time", () =>
    Effect.gen(function*() {
      const { events, observer } = timeline()
      const task = yield* PipelineTask.make(same, {
        observers: [observer],
        idle: { timeout: "200 millis", cancel: false }
      })
      const running = yield* start(task)
      yield* TestClock.adjust("700 millis")
      assert.isUndefined(running.pollUnsafe())
      deepStrictEqual(events, [["Started", 0], ["IdleTimeout", 200], ["IdleTimeout", 400], ["IdleTimeout", 600]])
    }))

  it.effect("heartbeats are no activity", () =>
    Effect.gen(function*() {
      const { events, observer } = timeline()
      const task = yield* PipelineTask.make(same, {
        observers: [observer],
        idle: { timeout: "300 millis" },
        heartbeat: { interval: "100 millis" }
      })
      const running = yield* start(task)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(tagOf(yield* Fiber.join(running)), "Cancelled")
      deepStrictEqual(events, [["Started", 0], ["IdleTimeout", 300], ["Cancelled", 300]])
    }))

  it.effect("a callback may cancel; one that dies is logged and the task is still cancelled", () =>
    Effect.gen(function*() {
      const holder = yield* Deferred.make<PipelineTask.PipelineTask>()
      let calls = 0
      for (
        const onIdle of [Effect.flatMap(Deferred.await(holder), (task) => task.cancel("by hand")), Effect.die("bug")]
      ) {
        const task = yield* PipelineTask.make(same, {
          idle: { timeout: "200 millis", onIdle: Effect.andThen(Effect.sync(() => calls++), onIdle) }
        })
        yield* Deferred.succeed(holder, task)
        const running = yield* start(task)
        yield* TestClock.adjust("1 second")
        const exit = yield* Fiber.join(running)
        const reason = Exit.isSuccess(exit) && exit.value._tag === "Cancelled" ? exit.value.frame.reason : undefined
        assert.strictEqual(reason, calls === 1 ? "by hand" : "idle for 200 ms")
      }
      assert.strictEqual(calls, 2)
    }))

  const audio = () => Frame.AudioRawFrame.make({ audio: new Uint8Array(320), sampleRate: 16000, numChannels: 1 })

  it.effect("a quiet user: frames that are not listed are no activity; a slow callback is called once", () =>
    Effect.gen(function*() {
      const holder = yield* Deferred.make<PipelineTask.PipelineTask>()
      const calls: Array<number> = []
      const task = yield* PipelineTask.make(same, {
        idle: {
          timeout: "200 millis",
          frames: ["TextFrame"],
          cancel: false,
          onIdle: Effect.gen(function*() {
            calls.push(yield* Clock.currentTimeMillis)
            yield* Effect.sleep("100 millis")
            yield* Effect.orDie((yield* Deferred.await(holder)).stopWhenDone)
          })
        }
      })
      yield* Deferred.succeed(holder, task)
      const running = yield* start(task)
      for (let i = 0; i < 30; i++) {
        yield* Effect.exit(task.queueFrame(audio()))
        yield* TestClock.adjust("10 millis")
      }
      yield* TestClock.adjust("1 second")
      assert.strictEqual(tagOf(yield* Fiber.join(running)), "Ended")
      deepStrictEqual(calls, [200])
    }))

  for (const swallowed of [false, true]) {
    it.effect(`listed frames are activity${swallowed ? ", also when the first processor swallows them" : ""}`, () =>
      Effect.gen(function*() {
        const { events, observer } = timeline()
        const task = yield* PipelineTask.make(swallowed ? Processor.sync("Swallow", { TextFrame: () => {} }) : same, {
          observers: [observer],
          idle: { timeout: "200 millis", frames: ["TextFrame"] }
        })
        const running = yield* start(task)
        for (let i = 0; i < 3; i++) {
          yield* TestClock.adjust("100 millis")
          yield* task.queueFrame(text("a"))
        }
        yield* TestClock.adjust("199 millis")
        assert.isUndefined(running.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(tagOf(yield* Fiber.join(running)), "Cancelled")
        deepStrictEqual(events, [["Started", 0], ["IdleTimeout", 500], ["Cancelled", 500]])
      }))
  }
})

describe("upstream and output", () => {
  it.effect("frames queued upstream enter behind the last processor and leave at the upstream end, in order", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const tell = (name: string) =>
        Processor.effect(name, {
          upstream: {
            TextFrame: (frame, { push }) =>
              Effect.andThen(Effect.sync(() => log.push(`${name} ${frame.text}`)), push(frame))
          }
        })
      const task = yield* PipelineTask.make(Pipeline.make(tell("A"), slow(), tell("B")))
      const up = yield* collect(task.upstream)
      assert.strictEqual(yield* task.phase, "Created", "reading upstream starts nothing")
      const frames = [text("1"), text("2"), text("3")]
      yield* task.queueFrame(frames[0]!, "upstream")
      yield* task.queueFrames(Stream.fromIterable(frames.slice(1)), "upstream")
      yield* task.queueFrame(Frame.EndFrame.make({}), "upstream")
      assert.strictEqual(tagOf(yield* Effect.exit(task.run)), "Ended")
      yield* up.end
      deepStrictEqual(up.all, frames)
      deepStrictEqual(log.filter((line) => line.startsWith("B")), ["B 1", "B 2", "B 3"])
      deepStrictEqual(log.filter((line) => line.startsWith("A")), ["A 1", "A 2", "A 3"])
    }))

  it.effect("frames reach both ends: what is pushed upstream on arrival below", () =>
    Effect.gen(function*() {
      const echo = Processor.sync("Echo", {
        TextFrame: (frame, push) => {
          push(frame)
          push.upstream(text(`${frame.text}, seen`))
        }
      })
      const { down, up } = yield* run(Pipeline.make(same, echo), [text("a"), upstream(text("b"))])
      deepStrictEqual(show(payload(down)), texts("a"))
      deepStrictEqual(show(up).toSorted(), texts("a, seen", "b"))
    }))

  it.effect("without a reader frames simply arrive; a reader gets them from its subscription on", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(same, { outputCapacity: 1 })
      yield* task.start
      yield* task.queueFrames([text("a"), text("b"), text("c")])
      yield* settle
      const late = yield* collect(task.output)
      yield* task.queueFrame(text("d"))
      yield* settle
      yield* task.stopWhenDone
      yield* late.end
      deepStrictEqual(show(late.all), [...texts("d"), "EndFrame"])
      deepStrictEqual(yield* Stream.runCollect(task.output), [])
    }))

  it.effect("a slow reader slows the pipeline", () =>
    Effect.gen(function*() {
      let handled = 0
      const p = Processor.effect("P", {
        TextFrame: (frame, { push }) => Effect.andThen(Effect.sync(() => handled++), push(frame))
      })
      const task = yield* PipelineTask.make(p, { outputCapacity: 2, capacity: 2 })
      const frames = Array.from({ length: 20 }, (_, i) => text(String(i)))
      const read: Array<Frame.Frame> = []
      const reading = yield* task.output.pipe(
        Stream.rechunk(1),
        Stream.runForEach((frame) => Effect.andThen(Effect.sync(() => read.push(frame)), Effect.sleep("10 millis"))),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* task.start
      let queued = 0
      yield* Effect.forEach(frames, (frame) => Effect.andThen(task.queueFrame(frame), Effect.sync(() => queued++)))
        .pipe(
          Effect.andThen(task.stopWhenDone),
          Effect.forkScoped
        )
      yield* TestClock.adjust("5 millis")
      assert.isBelow(handled, 8)
      assert.isBelow(queued, 12)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(reading)
      deepStrictEqual(payload(read), frames)
    }))

  it.effect("several readers each get everything, the slowest sets the pace; one that leaves is not waited for", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make(false)
      const task = yield* PipelineTask.make(same, { outputCapacity: 2 })
      const fast = yield* collect(task.output)
      const stuck = yield* Stream.runForEach(task.output, () => latch.await).pipe(
        Effect.forkScoped({ startImmediately: true })
      )
      yield* task.start
      const few = yield* Stream.runCollect(Stream.take(task.output, 2)).pipe(
        Effect.forkScoped({ startImmediately: true })
      )
      const frames = Array.from({ length: 20 }, (_, i) => text(String(i)))
      yield* task.queueFrames(frames)
      yield* TestClock.adjust("1 second")
      assert.isBelow(fast.all.length, 10)
      deepStrictEqual(yield* Fiber.join(few), frames.slice(0, 2))
      yield* Fiber.interrupt(stuck)
      yield* TestClock.adjust("1 second")
      deepStrictEqual(payload(fast.all), frames)
      yield* task.stopWhenDone
      yield* fast.end
      assert.strictEqual(fast.all.at(-1)!._tag, "EndFrame")
    }))

  it.effect("an interruption cuts what waits for a reader, keeps what is uninterruptible, counts the rest", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make(false)
      const read: Array<Frame.Frame> = []
      const task = yield* PipelineTask.make(same, { outputCapacity: 2 })
      yield* task.output.pipe(
        Stream.rechunk(1),
        Stream.runForEach((frame) => Effect.andThen(Effect.sync(() => read.push(frame)), latch.await)),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* task.start
      yield* settle
      yield* task.queueFrames([text("a"), Keep.make({ n: 1 }), text("b"), Keep.make({ n: 2 }), text("c")])
      yield* settle
      yield* task.interrupt
      yield* task.queueFrame(text("new"))
      yield* latch.open
      yield* TestClock.adjust("1 second")
      deepStrictEqual(show(read), ["StartFrame", "Keep(n: 1)", "StartInterruptionFrame", "Keep(n: 2)", ...texts("new")])
      assert.strictEqual((yield* task.drops).interrupted, 3)
    }))

  it.effect("output fails with what run fails with", () =>
    Effect.gen(function*() {
      const bug = new Error("bug")
      const task = yield* PipelineTask.make(Processor.effect("P", { TextFrame: () => Effect.die(bug) }))
      yield* task.queueFrame(text("a"))
      const seen: Array<Frame.Frame> = []
      const exit = yield* Effect.exit(Stream.runForEach(task.output, (frame) => Effect.sync(() => seen.push(frame))))
      const reason = reasonOf(exit) as PipelineError.ProcessorFailed
      deepStrictEqual([reason._tag, reason.processor, reason.cause], ["ProcessorFailed", "P", bug])
      deepStrictEqual(show(seen), ["StartFrame", "CancelFrame"])
      deepStrictEqual(reasonOf(yield* Effect.exit(task.run)), reason)
    }))

  it.effect("failures tells each failure with its typed cause, and ends with the task", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", {
        TextFrame: (frame) => frame.text === "die" ? Effect.die("defect") : Effect.fail(new Boom({ why: frame.text }))
      }, { onError: "report" })
      const task = yield* PipelineTask.make(Pipeline.make(same, p))
      const failures = yield* collect(task.failures)
      yield* task.queueFrames([text("a"), text("die"), text("b")])
      yield* task.stopWhenDone
      yield* task.run
      assert.isTrue(Exit.isSuccess(yield* failures.end))
      deepStrictEqual(failures.all.map((f) => [f.processor, f.fatal, Cause.hasDies(f.cause)]), [
        ["P", false, false],
        ["P", false, true],
        ["P", false, false]
      ])
      deepStrictEqual(failures.all.map((f) => Cause.squash(f.cause)), [
        new Boom({ why: "a" }),
        "defect",
        new Boom({ why: "b" })
      ])
      deepStrictEqual(yield* Stream.runCollect(task.failures), [])
    }))

  it.effect("an error upstream may be answered with a cancel", () =>
    Effect.gen(function*() {
      const guard = Processor.sync("Guard", {
        upstream: {
          ErrorFrame: (frame, push) => push.downstream(Frame.CancelFrame.make({ reason: `${frame.processor} failed` }))
        }
      })
      const p = Processor.queued("P", { TextFrame: () => Effect.fail(new Boom({ why: "x" })) })
      const { exit } = yield* run(Pipeline.make(guard, p), [text("a"), act((task) => task.await)], { end: false })
      assert.isTrue(Exit.isSuccess(exit) && exit.value._tag === "Cancelled" && exit.value.frame.reason === "P failed")
    }))
})

describe("stop and take over", () => {
  it.effect("state stays, StartFrame is told again, End ends both, the first scope may close", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const count = Processor.queued(
        "Count",
        Effect.gen(function*() {
          let n = 0
          yield* Effect.addFinalizer(() => Effect.sync(() => log.push("released")))
          return {
            onStart: (frame: Frame.StartFrame) => Effect.sync(() => log.push(`start ${frame.metadata?.["task"]}`)),
            onEnd: () => Effect.sync(() => log.push("end")),
            onCancel: () => Effect.sync(() => log.push("cancel")),
            TextFrame: (_: Frame.TextFrame, { push }: Processor.ProcessorContext) => push(text(String(++n)))
          }
        })
      )
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const outer = yield* Effect.scope
        const scope = yield* Scope.make()
        const first = yield* Scope.provide(PipelineTask.make(count, { startMetadata: { task: 1 } }), scope)
        const one = yield* collect(first.output)
        yield* first.queueFrames([text("a"), text("b")])
        yield* first.stopTask
        const stopped = yield* first.run
        assert.strictEqual(stopped._tag, "Stopped")
        yield* one.end
        deepStrictEqual(show(one.all), ["StartFrame", ...texts("1", "2"), "StopTaskFrame"])
        assert.strictEqual(one.all.at(-1), stopped.frame)
        deepStrictEqual(log, ["start 1"])

        const second = yield* Scope.provide(PipelineTask.takeOver(first, { startMetadata: { task: 2 } }), outer)
        yield* Scope.close(scope, Exit.void)
        deepStrictEqual(log, ["start 1"])
        assert.strictEqual(yield* second.phase, "Created")
        const two = yield* collect(second.output)
        yield* second.queueFrame(text("c"))
        yield* second.stopWhenDone
        assert.strictEqual((yield* second.run)._tag, "Ended")
        yield* two.end
        deepStrictEqual(show(two.all), ["StartFrame", ...texts("3"), "EndFrame"])
        deepStrictEqual(log, ["start 1", "start 2", "end", "released"])
        assert.strictEqual((yield* first.await)._tag, "Stopped")
      })))
      assert.strictEqual(alive, 0)
    }))

  it.effect("a stopped task that nobody takes over releases its processors with its scope", () =>
    Effect.gen(function*() {
      const released: Array<string> = []
      const p = Processor.effect("P", Effect.as(Effect.addFinalizer(() => Effect.sync(() => released.push("P"))), {}))
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const task = yield* PipelineTask.make(p)
        yield* task.stopTask
        assert.strictEqual((yield* task.run)._tag, "Stopped")
        yield* settle
        deepStrictEqual(released, [])
      })))
      deepStrictEqual(released, ["P"])
      assert.strictEqual(alive, 0)
    }))

  it.effect("what runs beside the handlers goes on through a stop; new options hold for the second task", () =>
    Effect.gen(function*() {
      let ticks = 0
      const p = Processor.effect("P", {
        run: () => Effect.forever(Effect.andThen(Effect.sleep("10 millis"), Effect.sync(() => ticks++)))
      })
      const first = yield* PipelineTask.make(p, { name: "first" })
      yield* first.stopTask
      yield* first.run
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(ticks, 5)
      const second = yield* PipelineTask.takeOver(first, { name: "second", allowInterruptions: false })
      yield* second.start
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(ticks, 10)
      assert.strictEqual(second.name, "second")
      yield* second.cancel()
      yield* TestClock.adjust("50 millis")
      assert.strictEqual(ticks, 10)
    }))

  it.effect("several in a row", () =>
    Effect.gen(function*() {
      const count = Processor.sync("Count", () => {
        let n = 0
        return { TextFrame: (_, push) => push(text(String(++n))) }
      })
      let task = yield* PipelineTask.make(count)
      const seen: Array<string> = []
      for (let i = 0; i < 5; i++) {
        if (i > 0) task = yield* PipelineTask.takeOver(task)
        const output = yield* collect(task.output)
        yield* task.queueFrame(text("x"))
        yield* task.stopTask
        yield* task.run
        yield* output.end
        seen.push(...show(output.all))
      }
      deepStrictEqual(seen, [1, 2, 3, 4, 5].flatMap((n) => ["StartFrame", ...texts(String(n)), "StopTaskFrame"]))
    }))
})

describe("interruptions", () => {
  it.effect("interrupt returns when every processor has been told, and cuts the intake too", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const p = (name: string) =>
        Processor.queued(name, {
          TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 second"), push(frame)),
          onInterruption: () => Effect.andThen(Effect.sleep("10 millis"), Effect.sync(() => told.push(name)))
        }, { capacity: 1 })
      const task = yield* PipelineTask.make(Pipeline.make(p("A"), p("B"), p("C")), { capacity: 2 })
      const output = yield* collect(task.output)
      yield* task.start
      yield* Effect.forkScoped(task.queueFrames(["a", "b", "c", "d"].map(text)))
      yield* TestClock.adjust("1 millis")
      const interrupting = yield* Effect.forkScoped(task.interrupt, { startImmediately: true })
      yield* TestClock.adjust("29 millis")
      assert.isUndefined(interrupting.pollUnsafe())
      deepStrictEqual(told, ["A", "B"])
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(interrupting)
      deepStrictEqual(told, ["A", "B", "C"])
      assert.strictEqual((yield* task.drops).interrupted, 3, "all but the one at work")
      yield* task.stopWhenDone
      yield* output.end
      deepStrictEqual(show(output.all), ["StartFrame", "StartInterruptionFrame", "EndFrame"])
    }))

  it.effect("queued upstream they enter behind the last processor and spread up", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const p = (name: string) => Processor.sync(name, { onInterruption: () => void told.push(name) })
      const task = yield* PipelineTask.make(Pipeline.make(p("A"), p("B"), p("C")))
      const down = yield* collect(task.output)
      const up = yield* collect(task.upstream)
      yield* task.start
      yield* settle
      const frame = Frame.StartInterruptionFrame.make({})
      const over = Frame.StopInterruptionFrame.make({})
      yield* task.queueFrame(frame, "upstream")
      yield* task.queueFrame(over)
      yield* task.stopWhenDone
      yield* task.run
      yield* down.end
      yield* up.end
      deepStrictEqual(told, ["C", "B", "A"])
      deepStrictEqual(up.all, [frame])
      deepStrictEqual(show(down.all), ["StartFrame", "StopInterruptionFrame", "EndFrame"])
      assert.strictEqual(down.all[1], over)
    }))

  it.effect("onInterruption runs after the data handler has unwound; handlers never overlap", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      let inside = 0
      const p = Processor.queued("P", {
        TextFrame: (frame, { push }) =>
          Effect.gen(function*() {
            assert.strictEqual(++inside, 1)
            log.push(`in ${frame.text}`)
            yield* Effect.sleep("10 millis")
            yield* push(frame)
          }).pipe(Effect.ensuring(Effect.andThen(
            Effect.sleep("5 millis"),
            Effect.sync(() => {
              inside--
              log.push(`out ${frame.text}`)
            })
          ))),
        onInterruption: () => Effect.sync(() => log.push(`interrupted, ${inside} inside`))
      })
      yield* run(p, [
        text("a"),
        sleep("1 millis"),
        act((task) => Effect.forkChild(task.interrupt, { startImmediately: true })),
        text("b"),
        sleep("1 second")
      ])
      deepStrictEqual(log, ["in a", "out a", "interrupted, 0 inside", "in b", "out b"])
    }))

  it.effect("an interruption is no error: nothing that a handler catches sees it, nothing is reported", () =>
    Effect.gen(function*() {
      const caught: Array<string> = []
      const p = Processor.queued("P", {
        TextFrame: (frame, { push }) =>
          Effect.andThen(Effect.sleep("10 millis"), push(frame)).pipe(
            Effect.catchCause(() => Effect.sync(() => caught.push("catchCause"))),
            Effect.catchDefect(() => Effect.sync(() => caught.push("catchDefect"))),
            Effect.retry({ times: 5 })
          )
      })
      const { down, exit, failures, up } = yield* run(p, [
        text("a"),
        sleep("5 millis"),
        interrupt,
        text("b"),
        sleep("50 millis")
      ])
      deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", ...texts("b"), "EndFrame"])
      deepStrictEqual([caught, failures, up, tagOf(exit)], [[], [], [], "Ended"])
    }))

  it.effect("an interruption before the start is told when Start is through", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(same)
      const output = yield* collect(Stream.suspend(() => task.output))
      yield* task.cancel()
      yield* output.end
      const second = yield* PipelineTask.make(slow())
      yield* second.queueFrames([text("old"), Keep.make({ n: 1 })])
      yield* second.interrupt
      yield* second.queueFrame(text("new"))
      const frames = yield* collect(second.output)
      yield* TestClock.adjust("1 second")
      yield* second.stopWhenDone
      yield* frames.end
      deepStrictEqual(show(frames.all), [
        "StartFrame",
        "StartInterruptionFrame",
        "Keep(n: 1)",
        ...texts("new"),
        "EndFrame"
      ])
    }))
})
