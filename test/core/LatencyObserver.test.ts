import { Frame, PipelineTask, Processor } from "@apipeline/core"
import * as LatencyObserver from "@apipeline/core/LatencyObserver"
import * as PipelineObserver from "@apipeline/core/PipelineObserver"
import { settle } from "@apipeline/core/testing"
import * as VoiceFrames from "@apipeline/core/VoiceFrames"
import { describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

class Silence extends Frame.App<Silence>()("Silence", { since: Schema.Finite }, { kind: "system" }) {}
class ClientConnectedFrame extends Frame.App<ClientConnectedFrame>()("ClientConnectedFrame", {}, { kind: "system" }) {}

const user = () => VoiceFrames.UserStartedSpeakingFrame.make()
const userStops = () => VoiceFrames.UserStoppedSpeakingFrame.make()
const bot = () => VoiceFrames.BotStartedSpeakingFrame.make()
const botStops = () => VoiceFrames.BotStoppedSpeakingFrame.make()
const silence = (since: number) => Silence.make({ since })
const client = () => ClientConnectedFrame.make()
const call = (...callIds: Array<string>) => VoiceFrames.FunctionCallsStartedFrame.make({ callIds })
const result = (callId: string) => VoiceFrames.FunctionCallResultFrame.make({ callId, result: 1 })
const cancelled = (callId: string) => VoiceFrames.FunctionCallCancelledFrame.make({ callId })
const metric = (_tag: "Ttfb" | "Processing", processor: string, milliseconds: number) =>
  Frame.MetricsFrame.make({ data: [{ _tag, processor, milliseconds }] })
const tokens = () =>
  Frame.MetricsFrame.make({
    data: [{ _tag: "TokenUsage", processor: "Llm", promptTokens: 1, completionTokens: 1, totalTokens: 2 }]
  })

const interrupt = "interrupt"

/** `Answer 300 at 500: Ttfb Llm 100+50`: steps are what, where, from when, for how long. */
const line = ({ _tag, at, milliseconds, steps }: LatencyObserver.Latency): string =>
  `${_tag} ${milliseconds} at ${at}` + (steps.length === 0 ? "" : ": ") +
  steps.map((step) => `${step.what} ${step.name} ${step.since}+${step.milliseconds}`).join(", ")

/** Runs the script in an observed task; a number lets milliseconds pass. */
const watch = (
  script: ReadonlyArray<Frame.Frame | number | typeof interrupt>,
  options?: LatencyObserver.Options
) =>
  Effect.gen(function*() {
    const lines: Array<string> = []
    const observer = LatencyObserver.make((latency) => Effect.sync(() => lines.push(line(latency))), options)
    const task = yield* PipelineTask.make(Processor.sync("Same", {}), { observers: [observer], enableMetrics: true })
    yield* task.start
    for (const step of script) {
      if (typeof step === "number") yield* TestClock.adjust(step)
      else if (step === interrupt) yield* task.interrupt
      else yield* task.queueFrame(step)
    }
    yield* task.stopWhenDone
    yield* task.run
    yield* settle
    return lines
  })

const detector = { silence: { tag: "Silence", before: (frame: Silence) => frame.since } }

describe("LatencyObserver", () => {
  it.effect("from when the user stops to when the bot starts, each time", () =>
    Effect.gen(function*() {
      const lines = yield* watch([user(), 100, userStops(), 300, bot(), 50, botStops(), user(), userStops(), 70, bot()])
      deepStrictEqual(lines, ["Answer 300 at 400", "Answer 70 at 520"])
    }))

  it.effect("a detector's silence counts from when it was", () =>
    Effect.gen(function*() {
      const lines = yield* watch([user(), 500, silence(200), 300, bot()], detector)
      deepStrictEqual(lines, ["Answer 500 at 800"])
    }))

  it.effect("the user's turn: from silence to its end; without a detector there is none", () =>
    Effect.gen(function*() {
      const script = [user(), 500, silence(200), 100, userStops(), 300, bot()]
      deepStrictEqual(yield* watch(script, detector), ["Answer 600 at 900: UserTurn user 300+300"])
      deepStrictEqual(yield* watch(script), ["Answer 300 at 1800"])
    }))

  it.effect("the way from silence to text, to the first token, to the first audio", () =>
    Effect.gen(function*() {
      const text = () =>
        VoiceFrames.TranscriptionFrame.make({ text: "hi", userId: "ann", timestamp: "2025-01-01T00:00:00.000Z" })
      const token = () => VoiceFrames.LlmTextFrame.make({ text: "Hel" })
      const late = [user(), 500, userStops(), 100, text(), 200, token(), 10, token(), 300, bot()]
      deepStrictEqual(yield* watch(late), [
        "Answer 610 at 1110: Text user 500+100, Token model 600+200, Audio bot 800+310"
      ])
      const early = [user(), 400, text(), 100, silence(50), 150, token(), 300, bot(), botStops()]
      deepStrictEqual(yield* watch([...early, user(), userStops(), 5, bot()], detector), [
        "Answer 500 at 2060: Text user 1560+0, Token model 1560+200, Audio bot 1760+300",
        "Answer 5 at 2065"
      ])
      // what an interruption discards, and what comes too late
      deepStrictEqual(yield* watch([userStops(), 10, token(), interrupt, 20, token(), 5, text(), 5, bot()]), [
        "Answer 40 at 2105: Token model 2065+30, Audio bot 2095+10"
      ])
    }))

  it.effect("the user pauses within the turn: only the last silence counts", () =>
    Effect.gen(function*() {
      const lines = yield* watch([
        user(),
        500,
        silence(200),
        metric("Ttfb", "Stt", 10),
        400,
        silence(200),
        100,
        userStops(),
        100,
        bot()
      ], detector)
      deepStrictEqual(lines, ["Answer 400 at 1100: UserTurn user 700+300"])
    }))

  it.effect("the breakdown has what was measured meanwhile, in the order in which it began", () =>
    Effect.gen(function*() {
      const lines = yield* watch([
        metric("Ttfb", "Early", 5),
        user(),
        metric("Ttfb", "Early", 5),
        userStops(),
        100,
        metric("Ttfb", "Llm", 60),
        metric("Processing", "Aggregator", 90),
        tokens(),
        100,
        metric("Processing", "Aggregator", 1),
        metric("Processing", "Other", 2),
        metric("Ttfb", "Tts", 30),
        bot(),
        metric("Ttfb", "Late", 5)
      ])
      deepStrictEqual(lines, [
        "Answer 200 at 200: Processing Aggregator 10+90, Ttfb Llm 40+60, Ttfb Tts 170+30, Processing Other 198+2"
      ])
    }))

  it.effect("the duration of function calls; cancelled and foreign ones are none", () =>
    Effect.gen(function*() {
      const lines = yield* watch([
        user(),
        userStops(),
        10,
        call("a", "b", "c"),
        100,
        result("b"),
        cancelled("a"),
        result("a"),
        result("x"),
        50,
        result("c"),
        bot()
      ])
      deepStrictEqual(lines, ["Answer 160 at 160: FunctionCall b 10+100, FunctionCall c 10+150"])
    }))

  it.effect("an interruption discards stale metrics and function calls", () =>
    Effect.gen(function*() {
      const lines = yield* watch([
        user(),
        userStops(),
        metric("Ttfb", "Llm", 40),
        call("a"),
        50,
        interrupt,
        50,
        result("a"),
        metric("Ttfb", "Llm", 30),
        bot()
      ])
      deepStrictEqual(lines, ["Answer 100 at 100: Ttfb Llm 70+30"])
    }))

  it.effect("the user who speaks again discards everything", () =>
    Effect.gen(function*() {
      const lines = yield* watch([user(), userStops(), 50, metric("Ttfb", "Llm", 40), user(), 50, bot()])
      deepStrictEqual(lines, [])
    }))

  it.effect("a bot that speaks by itself, or again, has no latency", () =>
    Effect.gen(function*() {
      const lines = yield* watch([50, bot(), 50, botStops(), user(), userStops(), 10, bot(), botStops(), 10, bot()])
      deepStrictEqual(lines, ["Answer 10 at 110"])
    }))

  it.effect("the greeting is measured from the first connection, once", () =>
    Effect.gen(function*() {
      const script = [client(), 100, client(), metric("Ttfb", "Tts", 80), 50, bot(), botStops(), client(), 10, bot()]
      deepStrictEqual(yield* watch(script), ["Greeting 150 at 150: Ttfb Tts 20+80"])
    }))

  it.effect("no greeting where the user spoke first", () =>
    Effect.gen(function*() {
      const lines = yield* watch([client(), 100, user(), 50, bot(), botStops(), client(), 20, bot()])
      deepStrictEqual(lines, [])
    }))

  it.effect("the zeros of the first MetricsFrame are no measurements", () =>
    Effect.gen(function*() {
      const lines = yield* watch([client(), metric("Ttfb", "Tts", 0), 10, bot()])
      deepStrictEqual(lines, ["Greeting 10 at 10"])
    }))

  it.effect("as a stream, through a pipeline in which every frame is seen several times", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(Processor.queued("Slow", {
        UserStoppedSpeakingFrame: (frame, { push }) => Effect.andThen(Effect.sleep(30), push(frame))
      }, { frames: [VoiceFrames.UserStoppedSpeakingFrame] }))
      const fiber = yield* LatencyObserver.latencies(PipelineObserver.events(task)).pipe(
        Stream.map(line),
        Stream.runCollect,
        Effect.forkScoped({ startImmediately: true })
      )
      yield* task.start
      yield* task.queueFrame(userStops())
      yield* TestClock.adjust(100)
      yield* task.queueFrame(bot(), "upstream")
      yield* task.stopWhenDone
      deepStrictEqual(yield* Fiber.join(fiber), ["Answer 100 at 100"])
    }))
})
