import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as PipelineError from "@apipeline/core/PipelineError"
import * as PipelineRunner from "@apipeline/core/PipelineRunner"
import { leaks, settle } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { assertNone, assertSome, deepStrictEqual } from "@effect/vitest/utils"
import {
  type Cause,
  Clock,
  Context,
  Data,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Latch,
  Layer,
  Option,
  Scope,
  Stream
} from "effect"
import { TestClock } from "effect/testing"

class Boom extends Data.TaggedError("Boom")<{ readonly why: string }> {}

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })

/** A pipeline that takes its time for each frame and writes down what happens to it. */
const slow = (name: string, log: Array<string>, millis = 100) =>
  Pipeline.make(Processor.queued(name, {
    TextFrame: (frame, { push }) =>
      Effect.sleep(millis).pipe(
        Effect.andThen(Effect.sync(() => log.push(`${name} ${frame.text}`))),
        Effect.andThen(push(frame))
      ),
    onEnd: () => Effect.sync(() => log.push(`${name} end`)),
    onCancel: (frame) => Effect.sync(() => log.push(`${name} cancel: ${frame.reason}`))
  }))

/** Fails for good at a frame that says so. */
const fragile = (name: string) =>
  Processor.queued(name, {
    TextFrame: (frame, { push }) => frame.text === "boom" ? Effect.fail(new Boom({ why: "told to" })) : push(frame)
  }, { onError: "fatal" })

const session = (name: string, log: Array<string>, options?: PipelineTask.Options) =>
  PipelineTask.make(slow(name, log), { name, ...options })

const reason = (exit: Exit.Exit<unknown, unknown>): PipelineRunner.PipelineRunnerError["reason"] =>
  (Option.getOrThrow(Exit.findErrorOption(exit)) as PipelineRunner.PipelineRunnerError).reason

const because = (exit: Exit.Exit<PipelineTask.TaskExit, unknown>): string | undefined =>
  Exit.isSuccess(exit) && exit.value._tag === "Cancelled" ? exit.value.frame.reason : undefined

describe("PipelineRunner", () => {
  it.effect("run waits for the end and gives it", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      const task = yield* session("a", log)
      const running = yield* Effect.forkChild(runner.run("a", task), { startImmediately: true })
      yield* task.queueFrames([text("1"), text("2")])
      yield* task.stopWhenDone
      deepStrictEqual(yield* runner.running, ["a"])
      yield* TestClock.adjust("199 millis")
      assert.isUndefined(running.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* Fiber.join(running))._tag, "Ended")
      deepStrictEqual(log, ["a 1", "a 2", "a end"])
      deepStrictEqual(yield* runner.running, [])
    }))

  it.effect("looks up by name; a second task of that name is an error until the first has ended", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      assertNone(yield* runner.get("a"))
      const task = yield* runner.start("a", session("a", log))
      yield* runner.start("b", session("b", log))
      assertSome(yield* runner.get("a"), task as PipelineTask.PipelineTask<unknown>)
      deepStrictEqual(yield* runner.running, ["a", "b"])
      const exists = new PipelineRunner.TaskExists({ name: "a" })
      deepStrictEqual(reason(yield* Effect.exit(runner.start("a", session("a", log)))), exists)
      deepStrictEqual(reason(yield* Effect.exit(runner.run("a", task))), exists)
      const both = yield* Effect.exit(runner.runAll({ c: session("c", log), b: session("b", log) }))
      deepStrictEqual(reason(both), new PipelineRunner.TaskExists({ name: "b" }))
      deepStrictEqual(yield* runner.running, ["a", "b"])
      assert.strictEqual(yield* task.phase, "Running")
      yield* task.cancel()
      yield* settle
      deepStrictEqual(yield* runner.running, ["b"])
      yield* runner.start("a", session("a", log))
      deepStrictEqual(yield* runner.running, ["b", "a"])
    }))

  it.effect("start returns when StartFrame is through, and fails with what kept it from getting there", () =>
    Effect.gen(function*() {
      const runner = yield* PipelineRunner.make({ onFailure: "continue" })
      const waits = Processor.effect("Waits", { onStart: () => Effect.sleep("1 second") })
      const starting = yield* Effect.forkChild(runner.start("waits", PipelineTask.make(waits)))
      yield* TestClock.adjust("999 millis")
      assert.isUndefined(starting.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* (yield* Fiber.join(starting)).phase, "Running")

      const unable = Processor.effect("Unable", Effect.fail(new Boom({ why: "no key" })))
      const failed = reason(yield* Effect.exit(runner.start("unable", PipelineTask.make(unable))))
      assert(failed._tag === "TaskFailed" && failed.error.reason._tag === "SetupFailed")
      assert.strictEqual(failed.error.reason.processor, "Unable")

      const invalid = yield* Effect.flip(runner.start("invalid", PipelineTask.make(waits, { capacity: 0 })))
      assert(invalid instanceof PipelineError.PipelineError && invalid.reason._tag === "InvalidPipeline")
      deepStrictEqual(yield* runner.running, ["waits"])
    }))

  it.effect("what the Effect that makes a task acquires is released when that task has ended", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      const make = Effect.gen(function*() {
        yield* Effect.acquireRelease(Effect.void, () => Effect.sync(() => log.push("released")))
        const task = yield* session("a", log)
        const output = Stream.runForEach(task.output, (frame) => Effect.sync(() => log.push(frame._tag)))
        const reader = yield* Effect.forkDetach(output, { startImmediately: true })
        yield* Effect.addFinalizer(() => Fiber.await(reader))
        return task
      })
      const task = yield* runner.start("a", make)
      yield* task.queueFrame(text("1"))
      yield* task.stopWhenDone
      yield* TestClock.adjust("100 millis")
      deepStrictEqual(log.slice(-2), ["EndFrame", "released"])
      deepStrictEqual(log.toSorted(), ["EndFrame", "StartFrame", "TextFrame", "a 1", "a end", "released"])
    }))

  it.effect("needs the services of what it runs", () =>
    Effect.gen(function*() {
      class Greeting extends Context.Service<Greeting, string>()("test/Greeting") {}
      const seen: Array<string> = []
      const greet = Processor.effect("Greet", {
        onStart: () => Effect.map(Greeting, (greeting) => seen.push(greeting))
      })
      const program = PipelineRunner.PipelineRunner.use((runner) => runner.start("a", PipelineTask.make(greet)))
      yield* program.pipe(Effect.provide(PipelineRunner.layer()), Effect.provide(Layer.succeed(Greeting, "hello")))
      deepStrictEqual(seen, ["hello"])
    }))

  it.effect("runAll gives every end by name", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      const a = yield* session("a", log)
      const b = yield* session("b", log)
      yield* a.queueFrame(text("1"))
      yield* a.stopWhenDone
      yield* b.stopTask
      const running = yield* Effect.forkChild(runner.runAll({ a, b, c: session("c", log, { idle: { timeout: 50 } }) }))
      yield* TestClock.adjust("100 millis")
      const ends = yield* Fiber.join(running)
      deepStrictEqual([ends.a._tag, ends.b._tag, ends.c._tag], ["Ended", "Stopped", "Cancelled"])
    }))

  it.effect("runAll starts nothing when a name is taken, and stops the rest when one cannot be made", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      for (const onFailure of ["cancelAll", "continue"] as const) {
        const runner = yield* PipelineRunner.make({ onFailure })
        yield* runner.start("b", session("b", log))
        const taken = yield* Effect.exit(runner.runAll({ a: session("a", log), b: session("b", log) }))
        deepStrictEqual(reason(taken), new PipelineRunner.TaskExists({ name: "b" }))
        deepStrictEqual(yield* runner.running, ["b"])
      }
      deepStrictEqual(log, [])
      const runner = yield* PipelineRunner.make()
      const unable = Effect.andThen(Effect.sleep("1 second"), Effect.fail("no" as const))
      const running = yield* Effect.forkChild(Effect.exit(runner.runAll({ a: session("a", log), unable })))
      yield* TestClock.adjust("1 second")
      deepStrictEqual(yield* Fiber.join(running), Exit.fail("no" as const))
      deepStrictEqual(log, ["a cancel: whoever ran it was interrupted"])
      deepStrictEqual(yield* runner.running, [])
      // No task has failed: the runner goes on.
      yield* runner.start("a", session("a", log))
    }))

  it.effect("stopAllWhenDone delivers everything that was queued before", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      for (const name of ["a", "b"]) {
        const task = yield* runner.start(name, session(name, log))
        yield* task.queueFrames([text("1"), text("2"), text("3")])
      }
      const stopping = yield* Effect.forkChild(runner.stopAllWhenDone, { startImmediately: true })
      yield* TestClock.adjust("299 millis")
      assert.isUndefined(stopping.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(stopping)
      deepStrictEqual(log.toSorted(), ["a 1", "a 2", "a 3", "a end", "b 1", "b 2", "b 3", "b end"])
      deepStrictEqual(yield* runner.running, [])
      yield* runner.stopAllWhenDone
    }))

  it.effect("stopAllWhenDone reaches tasks that are ending already, and those that are still being made", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      const a = yield* runner.start("a", session("a", log))
      yield* a.queueFrame(text("1"))
      yield* a.stopWhenDone
      const making = Effect.andThen(Effect.sleep("1 second"), session("late", log))
      const late = yield* Effect.forkChild(runner.run("late", making), { startImmediately: true })
      const stopping = yield* Effect.forkChild(runner.stopAllWhenDone, { startImmediately: true })
      yield* TestClock.adjust("500 millis")
      deepStrictEqual(log, ["a 1", "a end"])
      assert.isUndefined(stopping.pollUnsafe())
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(stopping)
      assert.strictEqual((yield* Fiber.join(late))._tag, "Ended")
    }))

  it.effect("cancelAll cancels all at once, with its reason, and waits for them", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      const unwound = yield* Latch.make(false)
      const unwinds = Processor.queued("Unwinds", {
        TextFrame: () => Effect.onInterrupt(Effect.never, () => unwound.await)
      })
      const exits = yield* Effect.forEach(["a", "b"], (name) =>
        Effect.forkChild(Effect.exit(runner.run(name, session(name, log))), { startImmediately: true }))
      for (const name of ["u", "v"]) {
        const task = yield* runner.start(name, PipelineTask.make(unwinds))
        yield* task.queueFrame(text("1"))
      }
      yield* settle
      const cancelling = yield* Effect.forkChild(runner.cancelAll("closing time"), { startImmediately: true })
      yield* settle
      deepStrictEqual(log.toSorted(), ["a cancel: closing time", "b cancel: closing time"])
      deepStrictEqual(yield* runner.running, ["u", "v"])
      assert.isUndefined(cancelling.pollUnsafe())
      yield* unwound.open
      yield* Fiber.join(cancelling)
      for (const exit of exits) {
        assert.strictEqual(because(yield* Fiber.join(exit)), "closing time")
      }
      deepStrictEqual(yield* runner.running, [])
      // The runner goes on.
      yield* runner.start("a", session("a", log))
      deepStrictEqual(yield* runner.running, ["a"])
    }))

  it.effect("cancelAll pre-empts what is still being made", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      const making = Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("not made")))
      const starting = yield* Effect.forkChild(Effect.exit(runner.start("a", making)), { startImmediately: true })
      deepStrictEqual(yield* runner.running, ["a"])
      assertNone(yield* runner.get("a"))
      yield* runner.cancelAll("closing time")
      deepStrictEqual(
        reason(yield* Fiber.join(starting)),
        new PipelineRunner.NotStarted({ name: "a", because: "closing time" })
      )
      deepStrictEqual(log, ["not made"])
      deepStrictEqual(yield* runner.running, [])
    }))

  it.effect("interrupting run or start cancels that task only, and waits for it", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      yield* runner.start("other", session("other", log))
      const running = yield* Effect.forkChild(runner.run("a", session("a", log)), { startImmediately: true })
      yield* settle
      yield* Fiber.interrupt(running)
      deepStrictEqual(log, ["a cancel: whoever ran it was interrupted"])
      const unwound = yield* Latch.make(false)
      const unwinds = PipelineTask.make(Processor.effect("Unwinds", { onCancel: () => unwound.await }))
      const slowly = yield* Effect.forkChild(runner.run("slowly", unwinds), { startImmediately: true })
      yield* settle
      const interrupting = yield* Effect.forkChild(Fiber.interrupt(slowly), { startImmediately: true })
      yield* settle
      assert.isUndefined(interrupting.pollUnsafe())
      yield* unwound.open
      yield* Fiber.join(interrupting)
      const never = Processor.effect("Never", { onStart: () => Effect.never })
      const starting = yield* Effect.forkChild(runner.start("never", PipelineTask.make(never)), {
        startImmediately: true
      })
      yield* settle
      deepStrictEqual(yield* runner.running, ["other", "never"])
      yield* Fiber.interrupt(starting)
      deepStrictEqual(yield* runner.running, ["other"])
      // Once started, a task is the runner's: it outlives whoever started it.
      const short = yield* Effect.forkChild(runner.start("b", session("b", log)))
      yield* Fiber.join(short)
      yield* settle
      deepStrictEqual(yield* runner.running, ["other", "b"])
    }))

  it.effect("awaitAll waits for all that run, also for those that come meanwhile", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const runner = yield* PipelineRunner.make()
      yield* runner.awaitAll
      const a = yield* runner.start("a", session("a", log))
      const waiting = yield* Effect.forkChild(runner.awaitAll, { startImmediately: true })
      const b = yield* runner.start("b", session("b", log))
      yield* a.cancel()
      yield* settle
      assert.isUndefined(waiting.pollUnsafe())
      yield* b.stopWhenDone
      yield* Fiber.join(waiting)
    }))

  describe("a fatal failure", () => {
    it.effect("fails fast: the others are cancelled, and nothing new is taken", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const runner = yield* PipelineRunner.make()
        yield* runner.start("peer", session("peer", log))
        const bad = yield* runner.start("bad", PipelineTask.make(fragile("Fragile")))
        const making = yield* Effect.forkChild(Effect.exit(runner.run("late", Effect.never)), {
          startImmediately: true
        })
        const waiting = yield* Effect.forkChild(Effect.exit(runner.awaitAll), { startImmediately: true })
        yield* bad.queueFrame(text("boom"))
        const failed = reason(yield* Fiber.join(waiting))
        assert(failed._tag === "TaskFailed" && failed.error.reason._tag === "ProcessorFailed")
        assert.strictEqual(failed.name, "bad")
        assert.instanceOf(failed.error.reason.cause, Boom)
        deepStrictEqual(log, [`peer cancel: ${failed.message}`])
        deepStrictEqual(yield* runner.running, [])
        for (const exit of [yield* Fiber.join(making), yield* Effect.exit(runner.run("new", session("new", log)))]) {
          assert.strictEqual(reason(exit)._tag, "NotStarted")
        }
        // Whoever waits later is told, too.
        assert.strictEqual(reason(yield* Effect.exit(runner.awaitAll))._tag, "TaskFailed")
        assert.strictEqual(reason(yield* Effect.exit(runner.stopAllWhenDone))._tag, "TaskFailed")
      }))

    it.effect("of one of runAll fails the whole when the others are gone", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const runner = yield* PipelineRunner.make()
        const bad = yield* PipelineTask.make(fragile("Fragile"))
        const peer = Effect.andThen(
          Effect.addFinalizer(() => Effect.sync(() => log.push("closed"))),
          session("peer", log)
        )
        const running = yield* Effect.forkChild(Effect.exit(runner.runAll({ peer, bad })), { startImmediately: true })
        yield* bad.queueFrame(text("boom"))
        const failed = reason(yield* Fiber.join(running))
        assert(failed._tag === "TaskFailed")
        assert.strictEqual(failed.name, "bad")
        deepStrictEqual(log, [`peer cancel: ${failed.message}`, "closed"])
      }))

    it.effect("with `continue` ends one task only; whoever waits is told, now but not later", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const runner = yield* PipelineRunner.make({ onFailure: "continue" })
        const peer = yield* runner.start("peer", session("peer", log))
        const bad = yield* PipelineTask.make(fragile("Fragile"))
        const running = yield* Effect.forkChild(Effect.exit(runner.runAll({ bad, more: session("more", log) })))
        yield* settle
        const waiting = yield* Effect.forkChild(Effect.exit(runner.awaitAll), { startImmediately: true })
        yield* bad.queueFrame(text("boom"))
        yield* settle
        deepStrictEqual(yield* runner.running, ["peer", "more"])
        assert.isUndefined(running.pollUnsafe())
        yield* peer.queueFrame(text("1"))
        const stopping = yield* Effect.forkChild(runner.stopAllWhenDone)
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(stopping)
        deepStrictEqual(log.toSorted(), ["more end", "peer 1", "peer end"])
        for (const exit of [yield* Fiber.join(running), yield* Fiber.join(waiting)]) {
          const failed = reason(exit)
          assert(failed._tag === "TaskFailed" && failed.name === "bad")
        }
        yield* runner.awaitAll
      }))

    it.effect("a defect is one", () =>
      Effect.gen(function*() {
        const runner = yield* PipelineRunner.make()
        const dies = Processor.sync("Dies", {
          TextFrame: () => {
            throw new Error("a bug")
          }
        })
        const task = yield* PipelineTask.make(dies)
        yield* task.queueFrame(text("1"))
        const failed = reason(yield* Effect.exit(runner.run("dies", task)))
        assert(failed._tag === "TaskFailed" && failed.error.reason._tag === "ProcessorFailed")
        assert.strictEqual((failed.error.reason.cause as Error).message, "a bug")
      }))
  })

  describe("a task that is cancelled by something else", () => {
    it.effect("takes all others with it, if so wanted: one that is idle", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const runner = yield* PipelineRunner.make({ onCancelled: "cancelAll" })
        const running = yield* Effect.forkChild(
          runner.runAll({ peer: session("peer", log), worker: session("worker", log, { idle: { timeout: 200 } }) })
        )
        yield* TestClock.adjust("199 millis")
        assert.isUndefined(running.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        const ends = yield* Fiber.join(running)
        deepStrictEqual([ends.peer._tag, ends.worker._tag], ["Cancelled", "Cancelled"])
        deepStrictEqual(log, ["worker cancel: idle for 200 ms", "peer cancel: worker was cancelled"])
        // That was no failure.
        yield* runner.awaitAll
        yield* runner.start("peer", session("peer", log))
        const more = yield* Effect.forkChild(runner.run("more", session("more", log)), { startImmediately: true })
        yield* settle
        yield* Fiber.interrupt(more)
        deepStrictEqual(yield* runner.running, ["peer"])
      }))

    it.effect("leaves the others alone by default", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const runner = yield* PipelineRunner.make()
        yield* runner.start("peer", session("peer", log))
        yield* runner.run("worker", session("worker", log, { idle: { timeout: 200 } })).pipe(
          Effect.forkChild,
          Effect.tap(() => TestClock.adjust("200 millis")),
          Effect.flatMap(Fiber.join)
        )
        deepStrictEqual(yield* runner.running, ["peer"])
      }))

    it.effect("may ask for it itself, in its onIdle: all are told although it goes first", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const runner = yield* PipelineRunner.make()
        const idle = { timeout: 200, onIdle: runner.cancelAll("nobody there") }
        for (const name of ["a", "b"]) yield* runner.start(name, session(name, log))
        yield* runner.start("worker", session("worker", log, { idle }))
        yield* runner.start("c", session("c", log))
        yield* TestClock.adjust("200 millis")
        deepStrictEqual(yield* runner.running, [])
        deepStrictEqual(log.toSorted(), ["a", "b", "c", "worker"].map((name) => `${name} cancel: nobody there`))
      }))

    it.effect("or end in order instead: the timeout cancels nothing then", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        let fired = 0
        const runner = yield* PipelineRunner.make({ onCancelled: "cancelAll" })
        yield* runner.start("peer", session("peer", log))
        const self = yield* Deferred.make<PipelineTask.PipelineTask>()
        const worker = yield* session("worker", log, {
          idle: {
            timeout: 200,
            cancel: false,
            onIdle: Effect.flatMap(Deferred.await(self), (task) => {
              fired++
              return Effect.ignore(task.stopWhenDone)
            })
          }
        })
        yield* Deferred.succeed(self, worker)
        const running = yield* Effect.forkChild(runner.run("worker", worker))
        yield* TestClock.adjust("1 second")
        assert.strictEqual((yield* Fiber.join(running))._tag, "Ended")
        assert.strictEqual(fired, 1)
        deepStrictEqual(yield* runner.running, ["peer"])
      }))
  })

  describe("its scope closes", () => {
    it.effect("every task is cancelled, and nothing is left", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const before = yield* Clock.currentTimeMillis
        const program = Effect.gen(function*() {
          const scope = yield* Scope.make()
          const runner = yield* Scope.provide(PipelineRunner.make(), scope)
          const hangs = Processor.queued("Hangs", { onCancel: () => Effect.never })
          yield* runner.start("hangs", PipelineTask.make(hangs, { cancelTimeout: "3 seconds" }))
          const a = yield* runner.start("a", session("a", log))
          yield* a.queueFrame(text("1"))
          const making = yield* Effect.forkChild(Effect.exit(runner.start("late", Effect.never)), {
            startImmediately: true
          })
          const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
          yield* TestClock.adjust("2999 millis")
          deepStrictEqual(yield* runner.running, ["hangs"])
          assert.isUndefined(closing.pollUnsafe())
          yield* TestClock.adjust("1 millis")
          yield* Fiber.join(closing)
          for (const exit of [yield* Fiber.join(making), yield* Effect.exit(runner.start("b", session("b", log)))]) {
            const { _tag, message } = reason(exit)
            assert.strictEqual(_tag, "NotStarted")
            assert.include(message, "the runner's scope has closed")
          }
        })
        const [, alive] = yield* leaks(program)
        assert.strictEqual(alive, 0)
        deepStrictEqual(log, ["a cancel: the runner's scope has closed"])
        assert.strictEqual((yield* Clock.currentTimeMillis) - before, 3000)
      }))

    it.effect("a task that lives elsewhere is cancelled with it, and the other way round", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const inner = yield* Scope.make()
        const outer = yield* Scope.make()
        const runner = yield* Scope.provide(PipelineRunner.make(), outer)
        yield* runner.start("guest", yield* Scope.provide(session("guest", log), inner))
        const stays = yield* session("stays", log)
        yield* runner.start("stays", stays)
        yield* Scope.close(inner, Exit.void)
        yield* settle
        deepStrictEqual(yield* runner.running, ["stays"])
        yield* Scope.close(outer, Exit.void)
        assert.strictEqual(yield* stays.phase, "Done")
        deepStrictEqual(log, ["guest cancel: the task's scope closed", "stays cancel: the runner's scope has closed"])
      }))

    it.effect("a thousand tasks come and go, and it remembers none", () =>
      Effect.gen(function*() {
        const log: Array<string> = []
        const program = Effect.gen(function*() {
          const runner = yield* PipelineRunner.make()
          for (let i = 0; i < 1000; i++) {
            const task = yield* runner.start(`t${i}`, session(`t${i}`, log))
            yield* task.queueFrame(text("1"))
            yield* task.stopWhenDone
          }
          yield* TestClock.adjust("100 millis")
          deepStrictEqual(yield* runner.running, [])
          yield* runner.awaitAll
        })
        const [, alive] = yield* leaks(Effect.scoped(program))
        assert.strictEqual(alive, 0)
        assert.strictEqual(log.length, 2000)
      }))
  })

  it("types: what is missing, and what can fail", () => {
    type Check<A, B> = [A] extends [B] ? [B] extends [A] ? true : false : false
    const same = <A, B>(_: Check<A, B>): void => {}
    class Need extends Context.Service<Need, string>()("test/Need") {}
    const _run = (runner: PipelineRunner.Service) => {
      const needs = PipelineTask.make(Processor.effect("Needs", Need.use(() => Effect.fail(new Boom({ why: "" })))))
      const run = runner.run("a", needs)
      same<Effect.Services<typeof run>, Need>(true)
      same<Effect.Error<typeof run>, PipelineRunner.PipelineRunnerError | PipelineError.PipelineError>(true)
      const task = runner.start("a", {} as PipelineTask.PipelineTask<Boom>)
      same<Effect.Success<typeof task>, PipelineTask.PipelineTask<Boom>>(true)
      same<Effect.Services<typeof task>, never>(true)
      same<Effect.Error<typeof task>, PipelineRunner.PipelineRunnerError>(true)
      const all = runner.runAll({ a: needs, b: {} as PipelineTask.PipelineTask, c: Effect.fail("no" as const) })
      same<Effect.Services<typeof all>, Need>(true)
      same<
        Effect.Error<typeof all>,
        PipelineRunner.PipelineRunnerError | PipelineError.PipelineError | "no"
      >(true)
      same<keyof Effect.Success<typeof all>, "a" | "b" | "c">(true)
      return {} as Cause.Cause<never>
    }
    assert.isFunction(_run)
  })
})
