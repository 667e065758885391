import { Frame, Pipeline, PipelineError, PipelineObserver, PipelineTask, Processor } from "@apipeline/core"
import { settle, show } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Cause, Deferred, Effect, Exit, Fiber, Latch, Logger, Schema, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"

// What was once wrong in the kernel, and must not come back.

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
const same = Processor.sync("Same", {})

const stuck = Effect.uninterruptible(Effect.callback<never>(() => {}))

describe("cancel", () => {
  for (const where of ["onStart", "the set-up"] as const) {
    it.effect(`the scope closes by the deadline although ${where} cannot be interrupted`, () =>
      Effect.gen(function*() {
        const p = where === "onStart"
          ? Processor.effect("P", { onStart: () => stuck })
          : Processor.effect("P", Effect.as(stuck, {}))
        const scope = yield* Scope.make()
        const task = yield* Scope.provide(PipelineTask.make(p, { cancelTimeout: "50 millis" }), scope)
        yield* Effect.forkDetach(Effect.exit(task.run), { startImmediately: true })
        yield* settle
        const closing = yield* Effect.forkDetach(Scope.close(scope, Exit.void), { startImmediately: true })
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(yield* task.phase, "Done")
        assert.isDefined(closing.pollUnsafe(), "the scope is closed")
      }))
  }
})

it.effect("frames whose queueFrame waits for room when the end is queued go before it", () =>
  Effect.gen(function*() {
    const slow = Processor.effect("P", {
      TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
    })
    const task = yield* PipelineTask.make(slow, { capacity: 1 })
    const out = yield* Stream.runCollect(task.output).pipe(Effect.forkScoped({ startImmediately: true }))
    yield* task.start
    const queueing = yield* Effect.forEach(["a", "b", "c", "d"].map(text), (f) => task.queueFrame(f), {
      concurrency: "unbounded"
    })
      .pipe(Effect.forkScoped({ startImmediately: true }))
    yield* settle
    yield* task.stopWhenDone
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(queueing) // all four succeed
    deepStrictEqual(show(yield* Fiber.join(out)), [
      "StartFrame",
      ...["a", "b", "c", "d"].map((t) => `TextFrame("${t}")`),
      "EndFrame"
    ])
  }))

for (const how of ["stopWhenDone", "cancel"] as const) {
  it.effect(`a finalizer that dies is logged or told (${how})`, () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const logger = Logger.make<unknown, void>(({ cause, message }) => {
        told.push(String(message), Cause.pretty(cause))
      })
      yield* Effect.scoped(Effect.gen(function*() {
        const p = Processor.effect("P", Effect.as(Effect.addFinalizer(() => Effect.die(new Error("bug"))), {}))
        const task = yield* PipelineTask.make(p)
        yield* task.start
        yield* how === "cancel" ? task.cancel() : task.stopWhenDone
        told.push(String(yield* Effect.exit(task.run)))
      })).pipe(Effect.provide(Logger.layer([logger])))
      assert.include(told.join("\n"), "bug")
    }))
}

it.effect("heartbeat.timeout must be positive", () =>
  Effect.gen(function*() {
    const exit = yield* Effect.exit(PipelineTask.make(same, { heartbeat: { interval: "1 second", timeout: 0 } }))
    assert.isTrue(Exit.isFailure(exit))
    const reason = ((Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined) as PipelineError.PipelineError).reason
    deepStrictEqual(
      reason,
      new PipelineError.InvalidPipeline({
        field: "heartbeat.timeout",
        found: "0 ms",
        expected: "a duration greater than zero"
      })
    )
  }))

it.effect("heartbeats that an interruption cut do not end the heartbeats", () =>
  Effect.gen(function*() {
    const seen: Array<number> = []
    let hang = true
    const p = Processor.queued("P", {
      HeartbeatFrame: (frame, { push }) => {
        seen.push(frame.at)
        return hang ? Effect.never : push(frame)
      }
    })
    const task = yield* PipelineTask.make(p, { heartbeat: { interval: "1 second", timeout: "1 hour" } })
    yield* task.start
    for (let i = 0; i < 16; i++) {
      yield* TestClock.adjust("1 second")
      yield* task.interrupt
    }
    hang = false
    assert.strictEqual(seen.length, 16)
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual(seen.length, 26)
  }))

it.effect("a system frame that waits for the start is counted when the task is cancelled", () =>
  Effect.gen(function*() {
    const task = yield* PipelineTask.make(same)
    yield* task.queueFrames([Urgent.make({ n: 1 }), text("a")])
    yield* task.cancel()
    deepStrictEqual(yield* task.drops, { full: 0, interrupted: 0, cancelled: 2, ended: 0, inactive: 0 })
  }))

for (const capacity of [0, -1, NaN]) {
  it.effect(`an observer's capacity of ${capacity} is refused`, () =>
    Effect.gen(function*() {
      const observer = PipelineObserver.make("o", () => Effect.void, { capacity })
      const exit = yield* Effect.exit(PipelineTask.make(same, { observers: [observer] }))
      assert.isTrue(Exit.isFailure(exit))
    }))
}

it.effect("an observer sees what happened although the scope closes right after run", () =>
  Effect.gen(function*() {
    const events: Array<string> = []
    const o = PipelineObserver.make("o", (event) =>
      Effect.sync(() => events.push(event._tag === "Task" ? event.event : event._tag)))
    yield* Effect.scoped(Effect.gen(function*() {
      const task = yield* PipelineTask.make(same, { observers: [o] })
      yield* task.queueFrame(text("a"))
      yield* task.stopWhenDone
      yield* task.run
    }))
    yield* settle
    deepStrictEqual(events, ["Started", "Push", "Push", "Push", "Push", "Ended"])
  }))

for (const kind of ["sync", "effect", "run"] as const) {
  it.effect(`an error policy that throws is fatal (${kind})`, () =>
    Effect.gen(function*() {
      const onError = (): never => {
        throw new Error("policy bug")
      }
      const p = kind === "sync"
        ? Processor.sync("P", {
          TextFrame: () => {
            throw new Error("handler bug")
          }
        }, { onError })
        : kind === "effect"
        ? Processor.effect("P", { TextFrame: () => Effect.fail("x") }, { onError })
        : Processor.effect("P", { run: () => Effect.fail("x") }, { onError })
      const task = yield* PipelineTask.make(p)
      const running = yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
      yield* task.queueFrame(text("a"))
      yield* TestClock.adjust("1 second")
      const exit = running.pollUnsafe()
      assert.isDefined(exit, "it hangs")
      assert.isTrue(Exit.isFailure(yield* exit!))
    }))
}

it.effect("an interruption does not take system frames that wait for a reader of output", () =>
  Effect.gen(function*() {
    const latch = yield* Latch.make(false)
    const read: Array<Frame.Frame> = []
    const task = yield* PipelineTask.make(same)
    yield* task.output.pipe(
      Stream.rechunk(1),
      Stream.runForEach((frame) => Effect.andThen(Effect.sync(() => read.push(frame)), latch.await)),
      Effect.forkScoped({ startImmediately: true })
    )
    yield* settle
    yield* task.queueFrames([Urgent.make({ n: 1 }), text("a")])
    yield* settle
    yield* task.interrupt
    yield* task.interrupt
    yield* task.queueFrame(text("new"))
    yield* latch.open
    yield* settle
    deepStrictEqual(
      show(read),
      ["StartFrame", "Urgent(n: 1)", "StartInterruptionFrame", "StartInterruptionFrame", "TextFrame(\"new\")"]
    )
  }))

it.effect("10,000 interruptions: a reader of output sees each", () =>
  Effect.gen(function*() {
    const task = yield* PipelineTask.make(Processor.queued("P", {}), { outputCapacity: Infinity })
    const output = yield* Stream.runCollect(task.output).pipe(Effect.forkScoped({ startImmediately: true }))
    yield* TestClock.adjust("1 millis")
    yield* Effect.repeat(task.interrupt, { times: 9_999 })
    yield* task.stopWhenDone
    const frames = yield* Fiber.join(output)
    assert.strictEqual(frames.filter(Frame.StartInterruptionFrame.is).length, 10_000)
  }))

for (const queued of [true, false]) {
  it.effect(`a push after cancel reaches no handler and is counted (${queued ? "queued" : "inline"})`, () =>
    Effect.gen(function*() {
      const handled: Array<string> = []
      const context = yield* Deferred.make<Processor.ProcessorContext>()
      const p = Processor.queued("P", { onStart: (_, c) => Deferred.succeed(context, c) })
      const handlers = { TextFrame: (frame: Frame.TextFrame) => Effect.sync(() => handled.push(frame.text)) }
      const below = queued ? Processor.queued("Below", handlers) : Processor.effect("Below", handlers)
      const task = yield* PipelineTask.make(Pipeline.make(p, below))
      yield* task.start
      yield* task.cancel()
      yield* (yield* Deferred.await(context)).pushDownstream(text("late"))
      yield* settle
      deepStrictEqual(handled, [])
      deepStrictEqual(yield* task.drops, { full: 0, interrupted: 0, cancelled: 1, ended: 0, inactive: 0 })
    }))
}

it.effect("takeOver of a stopped task whose scope has closed is refused", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const first = yield* Scope.provide(PipelineTask.make(Processor.queued("P", {})), scope)
    yield* first.stopTask
    yield* first.run
    yield* Scope.close(scope, Exit.void)
    const second = yield* Effect.exit(PipelineTask.takeOver(first))
    if (Exit.isSuccess(second)) {
      const task = second.value
      const out = yield* Stream.runCollect(task.output).pipe(Effect.forkScoped({ startImmediately: true }))
      yield* task.queueFrame(text("a"))
      yield* task.stopWhenDone
      yield* TestClock.adjust("1 hour")
      console.log(
        "after an hour:",
        yield* task.phase,
        out.pollUnsafe() === undefined ? "output hangs" : "output ended",
        yield* task.drops
      )
    }
    assert.isTrue(Exit.isFailure(second), "InvalidPipeline { field: \"task\" }")
  }))

describe("more pushes than there is stack", () => {
  // a worker's stack has room for half a million arguments
  const many = 600_000
  class Kept extends Frame.App<Kept>()("Kept", { n: Schema.Finite }, { uninterruptible: true }) {}

  it.effect("an interruption cuts a handler that has pushed so many uninterruptible frames", () =>
    Effect.gen(function*() {
      let arrived = 0
      let hold: Effect.Effect<void> = Effect.never
      const burst = Processor.sync("Burst", {
        TextFrame: (_, push) => {
          push(text("first"))
          for (let n = 0; n < many; n++) push(Kept.make({ n }))
        }
      })
      const gate = Processor.effect("Gate", { TextFrame: () => hold, Kept: (frame, { push }) => push(frame) }, {
        frames: [Kept]
      })
      const last = Processor.sync("Last", {
        Kept: ({ n }) => {
          if (n === arrived) arrived++
        }
      }, { frames: [Kept] })
      const task = yield* PipelineTask.make(Pipeline.make(burst, gate, last))
      yield* task.start
      yield* task.queueFrame(text("go"))
      yield* settle
      hold = Effect.void
      yield* task.interrupt
      yield* task.stopWhenDone
      yield* task.run
      assert.strictEqual(arrived, many)
    }))
})
