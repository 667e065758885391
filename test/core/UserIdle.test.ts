import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { act, leaks, payload, run, settle, show, sleep, type Step, upstream } from "@apipeline/core/testing"
import * as UserIdle from "@apipeline/core/UserIdle"
import {
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  FunctionCallCancelledFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame,
  UserIdleTimeoutFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual } = assert

const steps: Readonly<Record<string, () => Frame.Frame>> = {
  bot: () => BotStartedSpeakingFrame.make(),
  "/bot": () => BotStoppedSpeakingFrame.make(),
  user: () => UserStartedSpeakingFrame.make(),
  "/user": () => UserStoppedSpeakingFrame.make(),
  call: () => FunctionCallsStartedFrame.make({ callIds: ["1"] }),
  calls: () => FunctionCallsStartedFrame.make({ callIds: ["1", "2"] }),
  result: () => FunctionCallResultFrame.make({ callId: "1", result: 1 }),
  result2: () => FunctionCallResultFrame.make({ callId: "2", result: 1 }),
  cancel: () => FunctionCallCancelledFrame.make({ callId: "1" }),
  off: () => UserIdleTimeoutFrame.make({ milliseconds: 0 }),
  on: () => UserIdleTimeoutFrame.make({ milliseconds: 100 }),
  longer: () => UserIdleTimeoutFrame.make({ milliseconds: 200 })
}

/** Words are the frames above; numbers let so many milliseconds pass. */
const script = (line: string, way: (frame: Frame.Frame) => Step = (frame) => frame): ReadonlyArray<Step> =>
  line.split(" ").map((word) => /^\d+$/.test(word) ? sleep(Number(word)) : way(steps[word]!()))

/** When it told that the user is idle, with a timeout of 100 ms. */
const times = Effect.fnUntraced(
  function*(line: string, options?: UserIdle.Options, way?: (frame: Frame.Frame) => Step) {
    const log: Array<number> = []
    const since = yield* Clock.currentTimeMillis
    const onIdle = () => Effect.map(Clock.currentTimeMillis, (now) => log.push(now - since))
    yield* run(UserIdle.make({ timeout: "100 millis", onIdle, ...options }), script(line, way))
    return log
  }
)

const cases: ReadonlyArray<readonly [name: string, line: string, times: ReadonlyArray<number>]> = [
  ["the time after the bot has stopped", "bot 50 /bot 99", []],
  ["and it is told", "bot 50 /bot 100", [150]],
  ["once", "bot 50 /bot 1000", [150]],
  ["the user who starts stops it", "bot /bot 30 user 500", []],
  ["the bot that starts stops it", "bot /bot 30 bot 500", []],
  ["function calls stop it", "bot /bot 30 call 500", []],
  ["nothing before the bot has spoken", "500 user 10 /user 500", []],
  ["nothing while the bot speaks", "bot 500", []],
  ["an interruption: the user starts, then the bot stops", "bot user /bot 500", []],
  ["nor after that user has stopped, before the bot answers", "bot user /bot 10 /user 500", []],
  ["again after the next turn of the bot", "bot /bot 150 bot 50 /bot 150", [100, 300]],
  ["and after a turn of the user", "bot /bot 50 user 50 /user bot 50 /bot 150", [250]],
  ["function calls before the bot stops suppress it", "bot call /bot 500", []],
  ["until there is a result and the bot stops again", "bot call /bot 50 result 500 bot /bot 150", [650]],
  ["or until the call is cancelled", "call cancel bot /bot 150", [100]],
  ["several calls: all need a result", "calls result bot /bot 200 result2 bot /bot 150", [300]],
  ["a result that comes twice counts once", "calls result result bot /bot 200", []],
  ["a result of an unknown call changes nothing", "call result2 bot /bot 200", []],
  ["the bot that stops again starts the time anew", "bot /bot 60 /bot 150", [160]],
  ["off stops the time", "bot /bot 50 off 500", []],
  ["and nothing starts it", "off bot /bot 500", []],
  ["a new duration starts the time that runs anew", "bot /bot 50 longer 500", [250]],
  ["and counts from then on", "longer bot /bot 500", [200]],
  ["on while everybody is silent after the bot has spoken starts it at once", "off bot /bot 500 on 150", [600]],
  ["not while the bot speaks", "off bot /bot 10 bot on 500", []],
  ["not before the bot has spoken", "off on 500", []],
  ["not while the user speaks", "off bot /bot user on 500", []],
  ["not between the user and the bot's answer", "off bot /bot user 10 /user on 500", []],
  ["not while functions are called", "off bot /bot call on 500", []]
]

describe("UserIdle", () => {
  for (const [name, line, expected] of cases) {
    it.effect(`${name}: ${line}`, () =>
      Effect.gen(function*() {
        deepStrictEqual(yield* times(line), expected)
        deepStrictEqual(yield* times(line, undefined, upstream), expected)
      }))
  }

  it.effect("0, the default, turns it off until a frame says otherwise", () =>
    Effect.gen(function*() {
      for (const timeout of [undefined, 0, "0 millis"] as const) {
        deepStrictEqual(yield* times("bot /bot 500", { timeout }), [])
        deepStrictEqual(yield* times("on bot /bot 150", { timeout }), [100])
        deepStrictEqual(yield* times("bot /bot 500 on 150", { timeout }), [600])
      }
      deepStrictEqual(yield* times("bot /bot 500", { timeout: Infinity }), [])
    }))

  it.effect("pushes an IdleFrame downstream; all frames pass, the same ones", () =>
    Effect.gen(function*() {
      const frames = Object.values(steps).map((make) => make())
      const text = Frame.TextFrame.make({ text: "a" })
      const { down, up } = yield* run(UserIdle.make(), [...frames, ...frames.map(upstream), sleep("1 millis"), text])
      deepStrictEqual(payload(down).map(({ id }) => id), [...frames, text].map(({ id }) => id))
      deepStrictEqual(up.map(({ id }) => id), frames.map(({ id }) => id))
      const idle = yield* run(UserIdle.make({ timeout: "100 millis" }), [
        upstream(steps["/bot"]!()),
        sleep("100 millis")
      ])
      deepStrictEqual(show(idle.down), ["StartFrame", "IdleFrame", "EndFrame"])
      deepStrictEqual(show(idle.up), ["BotStoppedSpeakingFrame"])
    }))

  class Shy extends Schema.TaggedError<Shy>()("Shy", {}) {}
  class Log extends Context.Service<Log, Array<string>>()("test/Log") {}

  it.effect("onIdle pushes downstream, whichever way the frames go", () =>
    Effect.gen(function*() {
      const idle = UserIdle.make({
        timeout: "100 millis",
        onIdle: ({ push, pushUpstream }) =>
          Effect.andThen(
            push(Frame.TextFrame.make({ text: "down" })),
            pushUpstream(Frame.TextFrame.make({ text: "up" }))
          )
      })
      for (const way of [undefined, upstream]) {
        const { down, up } = yield* run(idle, script("bot /bot 100", way))
        deepStrictEqual(show(down).filter((line) => line.startsWith("Text")), ["TextFrame(\"down\")"])
        deepStrictEqual(show(up).filter((line) => line.startsWith("Text")), ["TextFrame(\"up\")"])
      }
    }))

  it.effect("onIdle is not stopped by the bot that speaks because of it; its failures are reported", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const processor: Processor.Processor<Shy, Log> = UserIdle.make({
        name: "Nudge",
        timeout: "100 millis",
        onIdle: ({ push }) =>
          Effect.gen(function*() {
            yield* push(Frame.TextFrame.make({ text: "Still there?" }))
            yield* Effect.sleep("50 millis")
            ;(yield* Log).push("done")
            yield* new Shy()
          })
      })
      const { down, failures, up } = yield* run(processor, script("bot /bot 110 bot 10 user 10 /bot 100")).pipe(
        Effect.provideService(Log, log)
      )
      deepStrictEqual(log, ["done"])
      deepStrictEqual(show(down).filter((line) => line.startsWith("Text")), ["TextFrame(\"Still there?\")"])
      deepStrictEqual(show(up), ["ErrorFrame(Nudge: Shy)"])
      strictEqual(failures.length, 1)
    }))

  it.effect("the end stops the time, and so does a cancel; nothing is left running", () =>
    Effect.gen(function*() {
      for (const end of [true, false]) {
        let told = 0
        const idle = UserIdle.make({ timeout: "100 millis", onIdle: () => Effect.sync(() => told++) })
        const [, alive] = yield* leaks(run(idle, [...script("bot /bot 50"), act(() => settle)], { end }))
        yield* TestClock.adjust("1 second")
        deepStrictEqual([told, alive], [0, 0])
      }
    }))

  it.effect("the end stops the time although what is behind takes its time to end", () =>
    Effect.gen(function*() {
      let told = 0
      const pipeline = Pipeline.make(
        UserIdle.make({ timeout: "100 millis", onIdle: () => Effect.sync(() => told++) }),
        Processor.effect("Slow", { onEnd: () => Effect.sleep("1 second") })
      )
      yield* run(pipeline, script("bot /bot 50"))
      strictEqual(told, 0)
    }))

  it.effect("tasks do not know of each other; one that takes over goes on", () =>
    Effect.gen(function*() {
      let told = 0
      const description = UserIdle.make({ timeout: "100 millis", onIdle: () => Effect.sync(() => told++) })
      const first = yield* PipelineTask.make(description)
      yield* first.start
      yield* first.queueFrame(steps["call"]!())
      yield* settle
      yield* first.stopTask
      yield* first.run
      yield* run(description, script("bot /bot 100"))
      strictEqual(told, 1)
      const second = yield* PipelineTask.takeOver(first)
      yield* second.start
      yield* second.queueFrames([steps["bot"]!(), steps["/bot"]!()])
      yield* TestClock.adjust("1 second")
      strictEqual(told, 1)
      yield* second.queueFrames([steps["result"]!(), steps["bot"]!(), steps["/bot"]!()])
      yield* TestClock.adjust("1 second")
      strictEqual(told, 2)
    }))
})
