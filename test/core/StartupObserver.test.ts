import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as PipelineObserver from "@apipeline/core/PipelineObserver"
import * as StartupObserver from "@apipeline/core/StartupObserver"
import { settle } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"

class ClientConnectedFrame extends Frame.App<ClientConnectedFrame>()("ClientConnectedFrame", {}, { kind: "system" }) {}
class BotConnectedFrame extends Frame.App<BotConnectedFrame>()("BotConnectedFrame", {}, { kind: "system" }) {}
class Joined extends Frame.App<Joined>()("Joined", {}, { kind: "control" }) {}

const client = () => ClientConnectedFrame.make()
const bot = () => BotConnectedFrame.make()

/** A processor whose set-up, and then whose start, take some milliseconds. */
const slow = (name: string, setup: number, start = 0) =>
  Processor.effect(name, Effect.as(Effect.sleep(setup), { onStart: () => Effect.sleep(start) }))

/** Runs the script in an observed task that starts at 1000; a number lets milliseconds pass. */
const watch = (
  pipeline: Pipeline.Element<never, never>,
  script: ReadonlyArray<Frame.Frame | number>,
  options?: StartupObserver.Options
) =>
  Effect.gen(function*() {
    yield* TestClock.setTime(1000)
    const events: Array<StartupObserver.StartupEvent> = []
    const observer = StartupObserver.make((event) => Effect.sync(() => events.push(event)), options)
    const task = yield* PipelineTask.make(pipeline, { observers: [observer] })
    const run = yield* Effect.forkScoped(task.run, { startImmediately: true })
    for (const step of script) {
      if (typeof step === "number") yield* TestClock.adjust(step)
      else yield* task.queueFrame(step)
    }
    yield* task.stopWhenDone
    yield* Fiber.join(run)
    yield* settle
    return events
  })

const connected = (events: ReadonlyArray<StartupObserver.StartupEvent>) =>
  events.flatMap((event) => event._tag === "Connected" ? [`${event.who} ${event.milliseconds}`] : [])

describe("StartupObserver", () => {
  it.effect("set-up and start of each processor; the whole is the span, not the sum; told once", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(slow("A", 30, 5), slow("B", 50, 7), Processor.sync("C", {}))
      deepStrictEqual(yield* watch(pipeline, [100, Frame.TextFrame.make({ text: "a" }), 100]), [{
        _tag: "Ready",
        since: 1000,
        milliseconds: 62,
        processors: [
          { processor: "A", setupMillis: 30, startMillis: 5, milliseconds: 35 },
          { processor: "B", setupMillis: 50, startMillis: 7, milliseconds: 57 },
          { processor: "C", setupMillis: 0, startMillis: 0, milliseconds: 0 }
        ]
      }])
    }))

  it.effect("only the processors that are asked for; the whole stays the whole", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(slow("A", 30), slow("B", 50))
      deepStrictEqual(yield* watch(pipeline, [100], { processors: ["A"] }), [{
        _tag: "Ready",
        since: 1000,
        milliseconds: 50,
        processors: [{ processor: "A", setupMillis: 30, startMillis: 0, milliseconds: 30 }]
      }])
    }))

  it.effect("what pipelines are made of inside is not told", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(
        Pipeline.parallel(slow("A", 10), Pipeline.make(slow("B", 20, 2), slow("C", 5))),
        slow("D", 1)
      )
      const [ready] = yield* watch(pipeline, [100])
      assert.strictEqual(ready!._tag, "Ready")
      assert.strictEqual(ready!.milliseconds, 22)
      deepStrictEqual(
        (ready as StartupObserver.Ready).processors.map((p) => `${p.processor} ${p.milliseconds}`),
        ["A 10", "B 22", "C 5", "D 1"]
      )
    }))

  it.effect("a set-up that fails is timed as well", () =>
    Effect.gen(function*() {
      const events: Array<StartupObserver.StartupEvent> = []
      const broken = Processor.effect("Broken", Effect.andThen(Effect.sleep(20), Effect.fail("no")))
      const task = yield* PipelineTask.make(broken, {
        onSetupFailure: "continue",
        observers: [StartupObserver.make((event) => Effect.sync(() => events.push(event)))]
      })
      const run = yield* Effect.forkScoped(task.start, { startImmediately: true })
      yield* TestClock.adjust(20)
      yield* Fiber.join(run)
      yield* settle
      deepStrictEqual(events, [{
        _tag: "Ready",
        since: 0,
        milliseconds: 20,
        processors: [{ processor: "Broken", setupMillis: 20, startMillis: 0, milliseconds: 20 }]
      }])
    }))

  it.effect("the first connection of each side, measured from the beginning", () =>
    Effect.gen(function*() {
      const events = yield* watch(slow("A", 40), [100, bot(), 50, client(), 50, client(), bot()])
      deepStrictEqual(connected(events), ["bot 100", "client 150"])
    }))

  it.effect("a client that is connected before StartFrame is told as soon as frames may flow", () =>
    Effect.gen(function*() {
      const events = yield* watch(slow("A", 40), [10, client(), 90, client()])
      deepStrictEqual(events.map((event) => `${event._tag} ${event.milliseconds}`), ["Ready 40", "Connected 40"])
    }))

  it.effect("other frames may say that a side is connected", () =>
    Effect.gen(function*() {
      const events = yield* watch(slow("A", 0), [10, client(), Joined.make()], { clientConnected: "Joined" })
      deepStrictEqual(connected(events), ["client 10"])
    }))

  it.effect("as a stream; a task that takes over has no set-up", () =>
    Effect.gen(function*() {
      const first = yield* PipelineTask.make(slow("A", 30, 5))
      const told = (task: PipelineTask.PipelineTask) =>
        StartupObserver.startup(PipelineObserver.events(task)).pipe(
          Stream.runCollect,
          Effect.forkScoped({ startImmediately: true })
        )
      const one = yield* told(first)
      yield* first.stopTask
      const run = yield* Effect.forkScoped(first.run, { startImmediately: true })
      yield* TestClock.adjust(100)
      yield* Fiber.join(run)
      const second = yield* PipelineTask.takeOver(first)
      const two = yield* told(second)
      yield* second.stopWhenDone
      yield* Effect.forkScoped(second.run, { startImmediately: true })
      yield* TestClock.adjust(100)
      deepStrictEqual([yield* Fiber.join(one), yield* Fiber.join(two)], [
        [{
          _tag: "Ready",
          since: 0,
          milliseconds: 35,
          processors: [{ processor: "A", setupMillis: 30, startMillis: 5, milliseconds: 35 }]
        }],
        [{
          _tag: "Ready",
          since: 100,
          milliseconds: 5,
          processors: [{ processor: "A", setupMillis: 0, startMillis: 5, milliseconds: 5 }]
        }]
      ])
    }))

  it.effect("without observers nothing is timed, and a late one is told of no start", () =>
    Effect.gen(function*() {
      const events: Array<StartupObserver.StartupEvent> = []
      const task = yield* PipelineTask.make(slow("A", 0))
      yield* task.start
      yield* task.observe(StartupObserver.make((event) => Effect.sync(() => events.push(event))))
      yield* task.queueFrame(client())
      yield* settle
      deepStrictEqual(events, [])
    }))
})
