import * as IdleProcessor from "@apipeline/core/IdleProcessor"
import * as Mute from "@apipeline/core/Mute"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import * as ResponseAggregator from "@apipeline/core/ResponseAggregator"
import * as SpeechToText from "@apipeline/core/SpeechToText"
import * as Stt from "@apipeline/core/Stt"
import { act, capture, leaks, payload, run, type RunOptions, settle, show, sleep } from "@apipeline/core/testing"
import * as FakeSpeechToText from "@apipeline/core/testing/FakeSpeechToText"
import * as TurnObserver from "@apipeline/core/TurnObserver"
import * as TurnStart from "@apipeline/core/TurnStart"
import * as TurnStop from "@apipeline/core/TurnStop"
import * as TurnStrategy from "@apipeline/core/TurnStrategy"
import * as UserIdle from "@apipeline/core/UserIdle"
import * as UserTurn from "@apipeline/core/UserTurn"
import { InputDtmfFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { frameOf, inWords, steps, trace } from "../utils/turns.ts"

const { deepStrictEqual, strictEqual, throws } = assert

const A = TurnStop.speechTimeout({ timeout: "100 millis" })

const out = (line: string, options: UserTurn.Options = {}) =>
  Effect.map(trace(UserTurn.make({ stop: [A], ...options }), line), (out) => out.trace)

const left = (options: UserTurn.Options, line: string, how?: RunOptions) => {
  const turns: Processor.Processor = UserTurn.make(options)
  return run(turns, steps(line), how)
}

describe("UserTurn", () => {
  it.effect("a turn: what it goes by passes, the same frames; what it says goes both ways", () =>
    Effect.gen(function*() {
      const line = ["S", "T:hello", "E"].map(frameOf)
      const { down, up } = yield* run(UserTurn.make(), [
        line[0]!,
        act(() => settle),
        line[1]!,
        sleep("1 second"),
        line[2]!,
        sleep("600 millis")
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "VadUserStartedSpeakingFrame",
        "UserStartedSpeakingFrame",
        "StartInterruptionFrame",
        "TranscriptionFrame(text: \"hello\", userId: \"user\", timestamp: \"\")",
        "VadUserStoppedSpeakingFrame",
        "UserStoppedSpeakingFrame",
        "EndFrame"
      ])
      deepStrictEqual(show(up), ["UserStartedSpeakingFrame", "StartInterruptionFrame", "UserStoppedSpeakingFrame"])
      deepStrictEqual(payload(down).filter((frame) => line.includes(frame)), line)
      const all = [...payload(down), ...payload(up)].map(({ id }) => id)
      strictEqual(new Set(all).size, all.length)
    }))

  it.effect("text before the end of voice activity: the strategy ends the turn, not the watchdog", () =>
    Effect.gen(function*() {
      const events: Array<UserTurn.Event> = []
      const onEvent = (event: UserTurn.Event) => Effect.sync(() => events.push(event))
      strictEqual(yield* out("S T 50 E 1000", { onEvent, stopTimeout: "200 millis" }), "S user ! T 50 E 100 /user")
      deepStrictEqual(events, [
        { _tag: "TurnStarted", strategy: "vad" },
        { _tag: "TurnStopped", reason: "strategy", strategy: "speechTimeout" }
      ])
    }))

  it.effect("the watchdog ends a turn in which nothing is understood; not while the user speaks", () =>
    Effect.gen(function*() {
      const events: Array<UserTurn.Event> = []
      const onEvent = (event: UserTurn.Event) => Effect.sync(() => events.push(event))
      const stopTimeout = "200 millis"
      strictEqual(yield* out("S E 1000", { onEvent, stopTimeout }), "S user ! E 200 /user")
      deepStrictEqual(events[1], { _tag: "TurnStopped", reason: "timeout", strategy: undefined })
      strictEqual(yield* out("S 1000 E 1000", { stopTimeout }), "S user ! 1000 E 200 /user")
      strictEqual(yield* out("S E 150 I 150 I 1000", { stopTimeout }), "S user ! E 150 I 150 I 200 /user")
      strictEqual(yield* out("S E 6000"), "S user ! E 5000 /user")
    }))

  it.effect("what is said after a noise is answered at once: the turn that it began goes on", () =>
    Effect.gen(function*() {
      strictEqual(yield* out("S E 1000 S T 50 E 1000"), "S user ! E 1000 S T 50 E 100 /user")
      strictEqual(yield* out("S E 4990 S T 50 E 1000"), "S user ! E 4990 S T 50 E 100 /user")
    }))

  it.effect("both sides' strategies are told of turns, in their order, once each, whoever ends it", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const spy = <Decision>(name: string) =>
        TurnStrategy.make<Decision>(name, ["TranscriptionFrame"], () => ({
          push: () => void told.push(`${name} text`),
          turnStarted: () => void told.push(`${name} started`),
          turnStopped: () => void told.push(`${name} stopped`)
        }))
      const start = [spy<TurnStart.Decision>("a"), TurnStart.vad(), spy<TurnStart.Decision>("b")]
      const stop = [spy<TurnStop.Decision>("c"), A, spy<TurnStop.Decision>("d")]
      const options = { start, stop, stopTimeout: "200 millis" } as const
      const around = (what: string) => ["a", "b", "c", "d"].map((name) => `${name} ${what}`)
      yield* out("S T E 1000", options)
      deepStrictEqual(told.splice(0), [...around("started"), ...around("text"), ...around("stopped")])
      yield* out("S E 1000", options)
      deepStrictEqual(told.splice(0), [...around("started"), ...around("stopped")])
    }))

  it.effect("a transcription that begins a turn is told to stop strategies after its beginning", () =>
    Effect.gen(function*() {
      strictEqual(yield* out("T 1000 T 1000"), "user ! T 100 /user 900 user ! T 100 /user")
    }))

  it.effect("what waits when a turn begins is cut, but not what was understood", () =>
    Effect.gen(function*() {
      strictEqual(yield* out("I+T 50"), "user ! I T 50 /user")
      strictEqual(yield* out("I T 50"), "user ! I T 50 /user")
    }))

  it.effect("interrupt: always, never, or only while an answer is expected or spoken", () =>
    Effect.gen(function*() {
      const line = "S E T 100 T 100 bot T 100 /bot S E T 100"
      strictEqual(
        yield* out(line),
        "S user ! E T 100 /user user ! T 100 /user user ! T 100 /user S user ! E T 100 /user"
      )
      strictEqual(
        yield* out(line, { interrupt: "never" }),
        "S user E T 100 /user user T 100 /user user T 100 /user S user E T 100 /user"
      )
      strictEqual(
        yield* out(line, { interrupt: "answering" }),
        "S user E T 100 /user user ! T 100 /user user ! T 100 /user S user E T 100 /user"
      )
      const asked = { interrupt: "answering" } as const
      strictEqual(yield* out("typed S", asked), "typed S user ! /user")
      strictEqual(yield* out("context S", asked), "context S user ! /user")
      strictEqual(yield* out("context bot /bot S", asked), "context S user /user")
      strictEqual(yield* out("bot S", asked), "S user ! /user")
    }))

  it.effect("turns of others pass when they say something new", () =>
    Effect.gen(function*() {
      strictEqual(yield* out("user user /user /user user"), "user /user user /user")
      const external = { start: [TurnStart.vad(), TurnStart.external()], stop: [TurnStop.external()] }
      strictEqual(yield* out("S user T E /user 1000 /user", external), "S user ! T E /user")
      strictEqual(yield* out("user S T E 10 /user 1000", external), "user S T E 10 /user")
    }))

  it.effect("proposals and an aggregator behind: one of each, and no proposal", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(
        UserTurn.make({ start: [TurnStart.external()], stop: [TurnStop.external()] }),
        ResponseAggregator.user()
      )
      const { down } = yield* run(pipeline, steps("propose T:hello T:there /propose 1000"))
      deepStrictEqual(show(down), [
        "StartFrame",
        "UserStartedSpeakingFrame",
        "StartInterruptionFrame",
        "UserStoppedSpeakingFrame",
        "TextFrame(\"hello there\")",
        "EndFrame"
      ])
    }))

  it.effect("a strategy of one's own in a few lines: its deadlines, its questions", () =>
    Effect.gen(function*() {
      const keys = TurnStrategy.make<TurnStart.Decision>("keys", [InputDtmfFrame], () => ({
        push: () => TurnStart.start
      }))
      const pause = TurnStrategy.make<TurnStop.Decision>("pause", [InputDtmfFrame], () => {
        let until: number | undefined
        let question: Effect.Effect<void> | undefined
        return {
          push: (_, now) => {
            until = now + 100
            return undefined
          },
          deadline: () => question === undefined ? until : undefined,
          question: () => question,
          wake: (now) => {
            if (question !== undefined) return "stop"
            if (until !== undefined && now >= until) question = Effect.sleep("30 millis")
            return undefined
          },
          turnStopped: () => {
            until = question = undefined
          }
        }
      })
      strictEqual(
        yield* out("key 50 key 200 key 500", { start: [keys], stop: [pause] }),
        "key user ! 50 key 130 /user 70 key user ! 130 /user"
      )
    }))

  it.effect("onEvent runs beside the frames; its failures are reported, its services are asked for", () =>
    Effect.gen(function*() {
      class Log extends Context.Service<Log, Array<string>>()("test/Log") {}
      class Sad extends Schema.TaggedError<Sad>()("Sad", {}) {}
      const turns: Processor.Processor<Sad, Log> = UserTurn.make({
        onEvent: (event) =>
          Effect.sleep("1 hour").pipe(
            Effect.andThen(Log.use((log) => Effect.sync(() => log.push(event._tag)))),
            Effect.andThen(Effect.fail(new Sad()))
          )
      })
      const log: Array<string> = []
      const { trace: line, up } = yield* trace(turns, "S T E 700 3600000").pipe(Effect.provideService(Log, log))
      strictEqual(line, "S user ! T E 600 /user")
      deepStrictEqual(log, ["TurnStarted", "TurnStopped"])
      strictEqual(inWords(up), "user ! /user ErrorFrame ErrorFrame")
    }))

  it.effect("a turn that is open is over before the end; nothing comes after, and nothing is left running", () =>
    Effect.gen(function*() {
      for (const line of ["S", "S T E", "T", "S E 50", "S bot"]) {
        const [{ down }, alive] = yield* leaks(left({ mute: [Mute.functionCall] }, line))
        deepStrictEqual(show(down).slice(-2), ["UserStoppedSpeakingFrame", "EndFrame"], line)
        strictEqual(alive, 0)
      }
      const [{ down }, alive] = yield* leaks(left({ mute: [Mute.always] }, "S bot"))
      deepStrictEqual(show(down).slice(-2), ["UserMuteStoppedFrame", "EndFrame"])
      strictEqual(alive, 0)
    }))

  it.effect("cancel: at once, and nothing is left running", () =>
    Effect.gen(function*() {
      const [{ down }, alive] = yield* leaks(left({}, "S T E 50", { end: false }))
      strictEqual(inWords(down), "S user ! T E")
      strictEqual(alive, 0)
    }))

  it.effect("what cuts the text before a transcription that waits for room cuts neither it nor what is told about it", () =>
    Effect.gen(function*() {
      const slow = Processor.queued("Slow", { TextFrame: () => Effect.sleep("1 hour") }, { capacity: 1 })
      const turns = UserTurn.make({ stop: [TurnStop.speechTimeout({ timeout: 0 })], interrupt: "never" })
      const { trace: line } = yield* trace(Pipeline.make(turns, slow), "S E text text 100 T 100 ! 100 T")
      strictEqual(line, "S user E 200 /user ! T 100 user /user T")
    }))

  it.effect("StopTaskFrame leaves a turn to the task that takes over, which makes up for what fell due meanwhile", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const onEvent = ({ _tag }: UserTurn.Event) => Effect.sync(() => events.push(_tag))
      const { above, below, down } = capture()
      const task = yield* PipelineTask.make(Pipeline.make(above, UserTurn.make({ stop: [A], onEvent }), below))
      const running = yield* Effect.forkScoped(task.run, { startImmediately: true })
      for (const word of ["S", "T", "E"]) {
        yield* task.queueFrame(frameOf(word))
        yield* settle
      }
      yield* TestClock.adjust("50 millis")
      yield* task.stopTask
      yield* Fiber.join(running)
      yield* TestClock.adjust("1 hour")
      deepStrictEqual(show(down).slice(-2), ["VadUserStoppedSpeakingFrame", "StopTaskFrame"])
      deepStrictEqual(events, ["TurnStarted"])
      down.length = 0
      const next = yield* PipelineTask.takeOver(task)
      const again = yield* Effect.forkScoped(next.run, { startImmediately: true })
      yield* settle
      strictEqual(inWords(down), "/user")
      yield* next.stopWhenDone
      yield* Fiber.join(again)
      deepStrictEqual(show(down), ["StartFrame", "UserStoppedSpeakingFrame", "EndFrame"])
    }))

  it.effect("an interruption from elsewhere changes nothing", () =>
    Effect.gen(function*() {
      strictEqual(yield* out("S T ! E 50 ! 100"), "S user ! T ! E 50 ! 50 /user")
    }))

  it.effect("turns that begin again and again are boring: each is told once, in order", () =>
    Effect.gen(function*() {
      const count = 500
      const slow = Processor.queued("Slow", {
        TextFrame: (_, { push }) => Effect.andThen(Effect.sleep("1 hour"), push(_))
      })
      const frames = Array.from({ length: count }, () => "S+text+E+T").join(" 100 ")
      const { trace: line } = yield* trace(Pipeline.make(UserTurn.make({ stop: [A] }), slow), `${frames} 100`)
      const words = line.split(" ").filter((word) => !/^\d+$/.test(word))
      // what was understood waits behind the text until the next turn cuts that
      const [first, later] = [["S", "user", "!", "E", "/user"], ["S", "user", "!", "E", "T", "/user"]]
      deepStrictEqual(words, [first, ...Array.from({ length: count - 1 }, () => later)].flat())
    }))

  it("refuses what cannot work", () => {
    throws(() => UserTurn.make({ stopTimeout: 0 }), "UserTurn: stopTimeout: found 0 ms, expected a duration greater")
  })
})

describe("UserTurn and others", () => {
  it.effect("Stt: its time to the last result, told at the start; nothing is understood while the user is muted", () =>
    Effect.gen(function*() {
      const { service } = yield* FakeSpeechToText.make([
        FakeSpeechToText.stream(FakeSpeechToText.final("go on", { after: "400 millis" })),
        FakeSpeechToText.stream([])
      ], { p99Latency: 900 })
      const pipeline = Pipeline.make(Stt.make(), UserTurn.make({ stop: [A], mute: [Mute.always] }))
      const { trace: line } = yield* trace(pipeline, "10 S audio 100 E 2000 S audio 50 bot audio 50 E /bot 2000").pipe(
        Effect.provideService(SpeechToText.SpeechToText, service)
      )
      strictEqual(line, "stt 10 S user ! audio 100 E 400 F:go_on /user 1600 S user ! audio 50 E /user mute 50 /mute")
    }).pipe(Effect.scoped))

  it.effect("UserIdle goes by turns, not by voice activity", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(
        UserTurn.make({ start: [TurnStart.minWords({ words: 2 })], stop: [A] }),
        UserIdle.make({ timeout: "1 second" })
      )
      const idle = Effect.fnUntraced(function*(line: string) {
        return (yield* trace(pipeline, line)).trace
      })
      strictEqual(yield* idle("bot /bot 1000"), "1000 IdleFrame")
      strictEqual(yield* idle("bot /bot 300 S 1000"), "300 S 700 IdleFrame")
      strictEqual(yield* idle("bot /bot 300 S 100 T E 2000"), "300 S 100 user ! T E 100 /user")
      strictEqual(yield* idle("bot S T:a_b /bot E 2000 bot /bot 1000"), "S user ! T:a_b E 100 /user 2900 IdleFrame")
    }))

  it.effect("IdleProcessor that counts turns only", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(
        UserTurn.make({ stop: [A] }),
        IdleProcessor.make({ timeout: "1 second", frames: ["UserStartedSpeakingFrame"], repeat: false })
      )
      strictEqual((yield* trace(pipeline, "900 S T E 1000")).trace, "900 S user ! T E 100 /user 900 IdleFrame")
    }))

  it.effect("TurnObserver: a barge-in ends the turn as interrupted", () =>
    Effect.gen(function*() {
      const turns: Array<string> = []
      const observer = TurnObserver.make((turn) =>
        Effect.sync(() =>
          turns.push(
            turn._tag === "Started" ? `${turn.turn}` : `/${turn.turn}${turn.interrupted ? " interrupted" : ""}`
          )
        )
      )
      yield* run(UserTurn.make({ stop: [A] }), steps("S T E 200 bot 500 S /bot T E 200 bot 100 /bot 3000"), {
        observers: [observer]
      })
      deepStrictEqual(turns, ["1", "/1 interrupted", "2", "/2"])
    }))
})
