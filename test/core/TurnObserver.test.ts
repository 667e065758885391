import { Frame, PipelineTask, Processor } from "@apipeline/core"
import * as PipelineObserver from "@apipeline/core/PipelineObserver"
import { leaks, settle } from "@apipeline/core/testing"
import * as TurnObserver from "@apipeline/core/TurnObserver"
import * as VoiceFrames from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Effect, Fiber, Latch, Stream } from "effect"
import { TestClock } from "effect/testing"

const frames = {
  user: () => VoiceFrames.UserStartedSpeakingFrame.make(),
  userStops: () => VoiceFrames.UserStoppedSpeakingFrame.make(),
  bot: () => VoiceFrames.BotStartedSpeakingFrame.make(),
  botStops: () => VoiceFrames.BotStoppedSpeakingFrame.make(),
  text: () => Frame.TextFrame.make({ text: "a" })
}

const line = (event: TurnObserver.TurnEvent): string =>
  event._tag === "Started"
    ? `${event.at} ${event.turn} started`
    : `${event.at} ${event.turn} ended after ${event.milliseconds}${event.interrupted ? ", interrupted" : ""}`

/** Runs the script in a task that an observer with a timeout of 200 ms watches; a number lets milliseconds pass. */
const watch = (
  script: ReadonlyArray<keyof typeof frames | number>,
  end: (task: PipelineTask.PipelineTask) => Effect.Effect<unknown, unknown> = (task) =>
    Effect.andThen(task.stopWhenDone, task.run)
) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const observer = TurnObserver.make((event) => Effect.sync(() => lines.push(line(event))), { timeout: "200 millis" })
    yield* Effect.gen(function*() {
      const task = yield* PipelineTask.make(Processor.sync("Same", {}), { observers: [observer] })
      yield* task.start
      yield* settle
      for (const step of script) {
        if (typeof step === "number") yield* TestClock.adjust(step)
        else yield* task.queueFrame(frames[step](), step.startsWith("bot") ? "upstream" : "downstream")
        yield* settle
      }
      yield* end(task)
    }).pipe(Effect.scoped)
    return lines
  })

describe("TurnObserver", () => {
  it.effect("two turns: the second begins with the user, both end by themselves or with the next", () =>
    Effect.gen(function*() {
      const lines = yield* watch(
        ["user", 10, "userStops", "bot", 20, "botStops", 50, "user", 10, "userStops", "bot", 20, "botStops", 400]
      )
      deepStrictEqual(lines, ["0 1 started", "80 1 ended after 80", "80 2 started", "110 2 ended after 30"])
    }))

  it.effect("a turn is over when the bot stopped, told when the timeout has passed and not a millisecond before", () =>
    Effect.gen(function*() {
      const lines = yield* watch(["user", "userStops", "bot", 20, "botStops", 199], () => Effect.void)
      // Leaving the scope cancels the task.
      deepStrictEqual(lines, ["0 1 started", "219 1 ended after 219, interrupted"])
      deepStrictEqual(yield* watch(["user", "userStops", "bot", 20, "botStops", 200], () => Effect.void), [
        "219 1 started",
        "239 1 ended after 20"
      ])
    }))

  it.effect("the user speaks twice before the bot does: one turn", () =>
    Effect.gen(function*() {
      const lines = yield* watch(["user", 10, "userStops", 500, "user", 10, "userStops", "bot", 5, "botStops", 200])
      deepStrictEqual(lines, ["0 1 started", "525 1 ended after 525"])
    }))

  it.effect("the user speaks while the bot does: the turn is interrupted, the next begins", () =>
    Effect.gen(function*() {
      const lines = yield* watch(["user", "userStops", "bot", 30, "user", 10, "botStops", 300, "userStops", "bot", 5])
      deepStrictEqual(lines, [
        "0 1 started",
        "30 1 ended after 30, interrupted",
        "30 2 started",
        "345 2 ended after 315"
      ])
    }))

  it.effect("the bot starts and stops twice in one turn", () =>
    Effect.gen(function*() {
      const lines = yield* watch(
        ["user", "userStops", "bot", 10, "botStops", 199, "bot", 10, "botStops", 199, "text", 1]
      )
      deepStrictEqual(lines, ["0 1 started", "219 1 ended after 219"])
    }))

  it.effect("a bot that speaks by itself begins a turn", () =>
    Effect.gen(function*() {
      const lines = yield* watch(["bot", 10, "botStops", 1000, "bot", 20, "botStops", 200])
      deepStrictEqual(lines, ["0 1 started", "10 1 ended after 10", "1010 2 started", "1030 2 ended after 20"])
    }))

  it.effect("CancelFrame ends the open turn as interrupted", () =>
    Effect.gen(function*() {
      const lines = yield* watch(["user", 10], (task) => task.cancel())
      deepStrictEqual(lines, ["0 1 started", "10 1 ended after 10, interrupted"])
    }))

  it.effect("EndFrame ends the open turn, and without one there is nothing to end", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* watch(["user", 10]), ["0 1 started", "10 1 ended after 10"])
      deepStrictEqual(yield* watch(["bot", "botStops", 200, 300]), ["10 1 started", "10 1 ended after 0"])
      // The bot has finished: that was the end.
      deepStrictEqual(yield* watch(["bot", 10, "botStops", 50]), ["510 1 started", "520 1 ended after 10"])
    }))

  it.effect("a frame that passes many processors counts once", () =>
    Effect.gen(function*() {
      const [user, bot, stops] = [frames.user(), frames.bot(), frames.botStops()]
      const at = (frame: Frame.Frame, at: number): PipelineObserver.Event => ({
        _tag: "Push",
        frame,
        direction: "downstream",
        from: "a",
        to: "b",
        at
      })
      // `user` is still on its way when the bot speaks already.
      const events = [at(user, 1), at(bot, 2), at(user, 3), at(stops, 4), at(stops, 5), at(bot, 6), at(bot, 7)]
      const turns = (events: ReadonlyArray<PipelineObserver.Event>) =>
        Effect.map(Stream.runCollect(TurnObserver.turns(Stream.fromIterable(events))), (all) => all.map(line))
      deepStrictEqual(yield* turns(events), ["1 1 started", "7 1 ended after 6, interrupted"])
      // One that comes back much later is news again.
      const others = Array.from({ length: 300 }, () => at(frames.botStops(), 5))
      deepStrictEqual(yield* turns([...events, ...others, at(user, 8), at(stops, 9)]), [
        "1 1 started",
        "8 1 ended after 7",
        "8 2 started",
        "9 2 ended after 1, interrupted"
      ])
    }))

  it.effect("as a stream, for several tasks at once, from one options value", () =>
    Effect.gen(function*() {
      const streams = yield* Effect.forEach([10, 20], (milliseconds) =>
        Effect.gen(function*() {
          const task = yield* PipelineTask.make(Processor.sync("Same", {}))
          const events = PipelineObserver.events(task, { frames: TurnObserver.frames })
          const fiber = yield* TurnObserver.turns(events, { timeout: 5 }).pipe(
            Stream.map(line),
            Stream.runCollect,
            Effect.forkScoped({ startImmediately: true })
          )
          yield* task.start
          yield* task.queueFrame(frames.bot())
          yield* Effect.forkScoped(Effect.delay(task.queueFrame(frames.botStops()), milliseconds))
          yield* Effect.forkScoped(Effect.andThen(Effect.sleep(100), task.stopWhenDone))
          return fiber
        }))
      yield* TestClock.adjust(100)
      yield* settle
      deepStrictEqual(yield* Effect.forEach(streams, Fiber.join), [
        ["0 1 started", "10 1 ended after 10"],
        ["0 1 started", "20 1 ended after 20"]
      ])
    }))

  it.effect("one value watches several tasks and does not mix them up; nothing is left running", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const observer = TurnObserver.make((event) => Effect.sync(() => lines.push(line(event))))
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const tasks = yield* Effect.forEach(
          [1, 2],
          () => PipelineTask.make(Processor.sync("Same", {}), { observers: [observer] })
        )
        for (const task of tasks) {
          yield* task.start
          yield* task.queueFrame(frames.bot())
          yield* task.queueFrame(frames.botStops())
          yield* settle
        }
        yield* tasks[0]!.cancel()
        yield* settle
        deepStrictEqual(lines, ["0 1 started", "0 1 started", "0 1 ended after 0, interrupted"])
      })))
      assert.strictEqual(alive, 0)
    }))

  it.effect("callbacks run one after the other; a failing one is detached and the task goes on", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const latch = yield* Latch.make(false)
      const slow = TurnObserver.make((event) => Effect.andThen(latch.await, Effect.sync(() => lines.push(line(event)))))
      let calls = 0
      const bad = TurnObserver.make(() => Effect.andThen(Effect.sync(() => calls++), Effect.fail("no")))
      const task = yield* PipelineTask.make(Processor.sync("Same", {}), { observers: [slow, bad] })
      yield* task.start
      for (const step of ["bot", "user", "text"] as const) yield* task.queueFrame(frames[step]())
      yield* settle
      deepStrictEqual(lines, [])
      yield* TestClock.adjust("1 minute")
      yield* latch.open
      yield* settle
      deepStrictEqual(lines, ["0 1 started", "0 1 ended after 0, interrupted", "0 2 started"])
      assert.strictEqual(calls, 1)
      yield* task.stopWhenDone
      assert.strictEqual((yield* task.run)._tag, "Ended")
    }))

  it.effect("speech is seen however much else moves at once", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const observer = TurnObserver.make((event) => Effect.sync(() => lines.push(line(event))), { timeout: 1 })
      const texts = (push: Processor.Push) => {
        for (let i = 0; i < 5000; i++) push(frames.text())
      }
      const burst = Processor.sync("Burst", {
        TextFrame: (_, push) => {
          texts(push)
          push(frames.bot())
          push(frames.botStops())
          texts(push)
        }
      })
      const task = yield* PipelineTask.make(burst, { observers: [observer] })
      yield* task.start
      yield* task.queueFrame(frames.text())
      yield* settle
      yield* TestClock.adjust(1)
      yield* settle
      deepStrictEqual(lines, ["0 1 started", "0 1 ended after 0"])
    }))
})
