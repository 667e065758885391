import { Frame, Pipeline, PipelineObserver, PipelineTask, Processor } from "@apipeline/core"
import { leaks, settle, show } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Effect, Fiber, Latch, Logger, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}

const same = (name: string) => Processor.sync(name, {})

/** An observer that remembers everything, and what it saw as readable lines. */
const recorder = (name = "recorder", options?: { readonly capacity?: number }) => {
  const events: Array<PipelineObserver.Event> = []
  const observer = PipelineObserver.make(name, (event) => Effect.sync(() => events.push(event)), options)
  const lines = () =>
    events.map((event) => {
      if (event._tag === "Task") return `${event.at} ${event.event}`
      const frame = show([event.frame])[0]
      if (event._tag === "Drop") return `${event.at} ${event.processor} dropped ${frame}: ${event.reason}`
      return `${event.at} ${event.from} ${event.direction === "downstream" ? "->" : "=>"} ${event.to} ${frame}`
    })
  return { events, lines, observer }
}

describe("PipelineObserver", () => {
  it.effect("sees every push in both directions, in order, with its time, and the task's events", () =>
    Effect.gen(function*() {
      const { events, lines, observer } = recorder()
      const slow = Processor.queued("B", {
        TextFrame: (frame, { push, pushUpstream }) =>
          Effect.sleep("5 millis").pipe(Effect.andThen(push(frame)), Effect.andThen(pushUpstream(text("answer"))))
      })
      const task = yield* PipelineTask.make(Pipeline.make(same("A"), slow), { name: "bot", observers: [observer] })
      yield* task.start
      const frame = text("a")
      yield* task.queueFrame(frame)
      yield* TestClock.adjust("7 millis")
      yield* task.stopWhenDone
      yield* task.run
      yield* settle
      deepStrictEqual(lines(), [
        "0 Started",
        "0 task -> A TextFrame(\"a\")",
        "0 A -> B TextFrame(\"a\")",
        "5 B -> task TextFrame(\"a\")",
        "5 B => A TextFrame(\"answer\")",
        "5 A => task TextFrame(\"answer\")",
        "7 task -> A EndFrame",
        "7 A -> B EndFrame",
        "7 B -> task EndFrame",
        "7 Ended"
      ])
      for (const event of events.slice(1, 4)) assert.strictEqual((event as PipelineObserver.PushEvent).frame, frame)
      const [started, ended] = events.filter((event) => event._tag === "Task")
      assert.strictEqual(started!.message, "bot started")
      assert.match(ended!.message, /^bot: EndFrame#\d+$/)
    }))

  it.effect("sees system frames hop by hop as well", () =>
    Effect.gen(function*() {
      const { lines, observer } = recorder()
      const task = yield* PipelineTask.make(Pipeline.make(same("A"), same("B")), { observers: [observer] })
      yield* task.start
      yield* task.queueFrame(Urgent.make({ n: 1 }))
      yield* task.queueFrame(Urgent.make({ n: 2 }), "upstream")
      yield* settle
      deepStrictEqual(lines(), [
        "0 Started",
        "0 task -> A Urgent(n: 1)",
        "0 A -> B Urgent(n: 1)",
        "0 B -> task Urgent(n: 1)",
        "0 task => B Urgent(n: 2)",
        "0 B => A Urgent(n: 2)",
        "0 A => task Urgent(n: 2)"
      ])
    }))

  it.effect("sees every drop, with its reason", () =>
    Effect.gen(function*() {
      const { events, lines, observer } = recorder()
      const p = Processor.queued("P", { TextFrame: () => Effect.never }, { capacity: 2, strategy: "dropping" })
      const task = yield* PipelineTask.make(p, { observers: [observer] })
      yield* task.start
      yield* task.queueFrame(text("at work"))
      yield* TestClock.adjust("1 millis")
      yield* task.queueFrames(["a", "b", "full"].map(text))
      yield* TestClock.adjust("1 millis")
      yield* task.interrupt
      yield* task.queueFrame(text("at work"))
      yield* TestClock.adjust("0 millis")
      yield* task.queueFrames([Keep.make({ n: 1 }), text("c")])
      yield* TestClock.adjust("1 millis")
      yield* task.cancel()
      yield* settle
      deepStrictEqual(lines().filter((line) => line.includes("dropped")), [
        "1 P dropped TextFrame(\"full\"): full",
        "2 P dropped TextFrame(\"a\"): interrupted",
        "2 P dropped TextFrame(\"b\"): interrupted",
        "3 P dropped Keep(n: 1): cancelled",
        "3 P dropped TextFrame(\"c\"): cancelled"
      ])
      deepStrictEqual(yield* task.drops, { full: 1, interrupted: 2, cancelled: 2, ended: 0, inactive: 0 })
      assert.strictEqual(lines().at(-1), "3 Cancelled")
      assert.strictEqual(events.filter((event) => event._tag === "Drop").length, 5)
    }))

  it.effect("added before the start and at run time; removed ones see nothing more", () =>
    Effect.gen(function*() {
      const [given, before, running] = [recorder("given"), recorder("before"), recorder("running")]
      const texts = ({ lines }: ReturnType<typeof recorder>) =>
        lines().filter((line) => line.includes("Same -> task TextFrame")).map((line) => line.split("\"")[1])
      const task = yield* PipelineTask.make(same("Same"), { observers: [given.observer] })
      const removeBefore = yield* task.observe(before.observer)
      yield* task.start
      yield* TestClock.adjust("100 millis")
      const removeRunning = yield* task.observe(running.observer)
      yield* task.queueFrame(text("1"))
      yield* settle
      yield* removeBefore
      yield* removeRunning
      yield* removeRunning
      yield* task.queueFrame(text("2"))
      yield* settle
      yield* task.stopWhenDone
      yield* task.run
      yield* settle
      deepStrictEqual([texts(given), texts(before), texts(running)], [["1", "2"], ["1"], ["1"]])
      assert.strictEqual(given.lines().at(-1), "100 Ended")
      deepStrictEqual(running.lines().slice(0, 2), [
        "100 task -> Same TextFrame(\"1\")",
        "100 Same -> task TextFrame(\"1\")"
      ])
    }))

  for (const how of ["fails", "dies"] as const) {
    it.effect(`one that ${how} is logged and detached; the others and the pipeline go on`, () =>
      Effect.gen(function*() {
        const logs: Array<string> = []
        const logger = Logger.make<unknown, void>(({ message }) => {
          logs.push(String(Array.isArray(message) ? message[0] : message))
        })
        let calls = 0
        const bad = PipelineObserver.make("bad", (event) => {
          if (event._tag !== "Push") return Effect.void
          calls++
          return how === "fails" ? Effect.fail("no") : Effect.die("no")
        })
        const good = recorder()
        const exit = yield* Effect.gen(function*() {
          const task = yield* PipelineTask.make(same("Same"), { observers: [bad, good.observer] })
          const output = yield* Stream.runCollect(task.output).pipe(Effect.forkScoped({ startImmediately: true }))
          yield* task.queueFrames([text("1"), text("2")])
          yield* settle
          yield* task.queueFrame(text("3"))
          yield* settle
          yield* task.stopWhenDone
          const exit = yield* task.run
          deepStrictEqual(
            show(yield* Fiber.join(output)),
            ["StartFrame", ...["1", "2", "3"].map((t) => `TextFrame("${t}")`), "EndFrame"]
          )
          yield* settle
          return exit
        }).pipe(Effect.provide(Logger.layer([logger])))
        assert.strictEqual(exit._tag, "Ended")
        assert.strictEqual(calls, 1)
        deepStrictEqual(logs, ["observer bad failed: detached"])
        assert.strictEqual(good.lines().filter((line) => line.includes("Same -> task TextFrame")).length, 3)
      }))
  }

  it.effect("a slow one holds nothing up: its mailbox slides", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make(false)
      const seen: Array<string> = []
      const slow = PipelineObserver.make("slow", (event) =>
        Effect.andThen(
          Effect.sync(() => {
            if (event._tag === "Push" && event.to === "task") seen.push(...show([event.frame]))
          }),
          latch.await
        ), { capacity: 4 })
      const task = yield* PipelineTask.make(same("Same"), { observers: [slow] })
      yield* task.start
      yield* settle
      yield* task.queueFrames(Array.from({ length: 100 }, (_, i) => text(String(i))))
      yield* settle
      deepStrictEqual(yield* task.phase, "Running")
      yield* latch.open
      yield* settle
      deepStrictEqual(seen, ["TextFrame(\"98\")", "TextFrame(\"99\")"])
      yield* task.stopWhenDone
      assert.strictEqual((yield* task.run)._tag, "Ended")
    }))

  it.effect("touches nothing: with and without observers the same comes out, and no fiber is left", () =>
    Effect.gen(function*() {
      const outputs: Array<ReadonlyArray<string>> = []
      for (const observers of [[], [recorder("one").observer, recorder("two").observer]]) {
        const [frames, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
          const p = Processor.queued("P", {
            TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 millis"), push(frame))
          })
          const task = yield* PipelineTask.make(Pipeline.make(p, same("Same")), { observers })
          const output = yield* Stream.runCollect(task.output).pipe(Effect.forkScoped({ startImmediately: true }))
          yield* task.queueFrames([text("1"), text("2"), text("3")])
          yield* TestClock.adjust("2 millis")
          yield* task.interrupt
          yield* task.queueFrames([text("4"), text("5")])
          yield* TestClock.adjust("2 millis")
          yield* task.stopWhenDone
          return yield* Fiber.join(output)
        })))
        assert.strictEqual(alive, 0)
        outputs.push(show(frames))
      }
      deepStrictEqual(outputs[0], outputs[1])
      assert.isAbove(outputs[0]!.length, 5)
    }))

  it.effect("one observer value serves several tasks; one added after the end sees nothing and leaves nothing", () =>
    Effect.gen(function*() {
      const { events, observer } = recorder()
      for (let i = 0; i < 2; i++) {
        const task = yield* PipelineTask.make(same("Same"), { observers: [observer] })
        yield* task.stopWhenDone
        yield* task.run
        yield* settle
        assert.strictEqual(events.length, 4 * (i + 1))
        const late = recorder("late")
        const [, alive] = yield* leaks(
          Effect.flatMap(task.observe(late.observer), (remove) => Effect.andThen(settle, remove))
        )
        deepStrictEqual([late.events, alive], [[], 0])
      }
    }))
})
