/** What a client is told while a real `Tts` speaks over a transport: which words are heard, and when. */
import * as Frame from "@apipeline/core/Frame"
import * as MemoryTransport from "@apipeline/core/MemoryTransport"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Rtvi from "@apipeline/core/Rtvi"
import type * as RtviMessage from "@apipeline/core/RtviMessage"
import { settle } from "@apipeline/core/testing"
import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
import * as TextToSpeech from "@apipeline/core/TextToSpeech"
import { InputTransportMessageFrame, OutputTransportMessageUrgentFrame } from "@apipeline/core/TransportFrames"
import * as Tts from "@apipeline/core/Tts"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual } = assert
const { audio, fails, synthesize, word } = Fake

/** `new`, `in-progress` and `completed` with what has been heard, a bar, and what has not. */
const show = ({ data, type }: RtviMessage.Server): string => {
  if (type === "bot-tts-text" || type === "bot-llm-text") return `${type} "${(data as { text: string }).text}"`
  if (type !== "bot-output") return type
  const { spoken_progress: progress, spoken_status: status, text } = data as RtviMessage.ServerData<"bot-output">
  return progress === undefined
    ? `${type} unspoken ${text}`
    : `${type} ${status} ${progress.accumulated_text}|${progress.remaining_text}`
}

/** What a client is told and hears, in order, each with the milliseconds since the first frame was given. */
const converse = (
  script: ReadonlyArray<Fake.Call>,
  steps: ReadonlyArray<Frame.Frame | number | "interrupt">
) =>
  Effect.gen(function*() {
    const { service } = yield* Fake.make(script)
    const clock = yield* Clock.Clock
    const told: Array<string> = []
    let heard = 0
    const { client, transport } = yield* MemoryTransport.make()
    const rtvi = yield* Rtvi.make()
    const task = yield* PipelineTask.make(
      Pipeline.make(transport.input, rtvi.processor, Tts.make(), transport.output),
      { audioOutSampleRate: 16_000, observers: [rtvi.observer] }
    ).pipe(Effect.provideService(TextToSpeech.TextToSpeech, service))
    yield* Stream.runForEach(client.received, (signal) =>
      Effect.sync(() => {
        if (signal._tag !== "Frame") return
        if (Frame.AudioRawFrame.is(signal.frame)) heard += signal.frame.duration
        if (!OutputTransportMessageUrgentFrame.is(signal.frame)) return
        told.push(`${clock.currentTimeMillisUnsafe()} ${show(signal.frame.message as RtviMessage.Server)}`)
      })).pipe(Effect.forkScoped({ startImmediately: true }))
    yield* task.start
    const data = { version: "2.1.0" }
    yield* client.send(
      InputTransportMessageFrame.make({ message: { label: "rtvi-ai", type: "client-ready", id: "1", data } })
    )
    yield* settle
    for (const step of steps) {
      if (step === "interrupt") yield* task.interrupt
      else if (typeof step === "number") {
        for (let i = 0; i < step; i += 10) yield* TestClock.adjust(10)
      } else yield* task.queueFrame(step)
      yield* settle
    }
    yield* task.stopWhenDone
    for (let i = 0; i < 100; i++) yield* TestClock.adjust(10)
    yield* task.run
    return { told: told.slice(1), heard }
  }).pipe(Effect.scoped)

const answer = (...tokens: ReadonlyArray<string>): ReadonlyArray<Frame.Frame> => [
  Voice.LlmResponseStartFrame.make(),
  ...tokens.map((text) => Voice.LlmTextFrame.make({ text })),
  Voice.LlmResponseEndFrame.make()
]

describe("a client of a bot that speaks", () => {
  it.effect("sees each sentence begin, word by word as it is heard, and end", () =>
    Effect.gen(function*() {
      const { heard, told } = yield* converse([
        synthesize("Hello there.", [word("Hello", 0), audio(200), word("there", 200), audio(300)]),
        synthesize("It costs $5.", [word("It", 0), audio(100), word("costs", 100), audio(400)])
      ], [...answer("Hello ", "there. ", "It costs $5."), 2000])
      deepStrictEqual(told, [
        "0 bot-llm-started",
        "0 bot-llm-text \"Hello \"",
        "0 bot-llm-text \"there. \"",
        "0 bot-llm-text \"It costs $5.\"",
        "0 bot-transcription",
        "0 bot-tts-started",
        "0 bot-started-speaking",
        "0 bot-output new |Hello there.",
        "0 bot-tts-text \"Hello\"",
        "0 bot-output in-progress Hello| there.",
        "0 bot-transcription",
        "0 bot-llm-stopped",
        "0 bot-tts-stopped",
        "200 bot-tts-text \"there.\"",
        "200 bot-output completed Hello there.|",
        "520 bot-output new |It costs $5.",
        "520 bot-tts-text \"It\"",
        "520 bot-output in-progress It| costs $5.",
        "600 bot-tts-text \"costs\"",
        "600 bot-output in-progress It costs| $5.",
        "1000 bot-tts-text \"$5.\"",
        "1000 bot-output completed It costs $5.|",
        "1350 bot-stopped-speaking"
      ])
      deepStrictEqual(heard, 1000)
    }))

  it.effect("is told after an interruption of what was heard, and of nothing else", () =>
    Effect.gen(function*() {
      const { told } = yield* converse([
        synthesize("One two three.", [audio(900)]),
        synthesize("Four.", [audio(100)])
      ], [...answer("One two three. ", "Four."), 400, "interrupt", 1000])
      deepStrictEqual(told, [
        "0 bot-llm-started",
        "0 bot-llm-text \"One two three. \"",
        "0 bot-llm-text \"Four.\"",
        "0 bot-transcription",
        "0 bot-tts-started",
        "0 bot-started-speaking",
        "0 bot-output new |One two three.",
        "0 bot-tts-text \"One\"",
        "0 bot-output in-progress One| two three.",
        "0 bot-transcription",
        "0 bot-llm-stopped",
        "0 bot-tts-stopped",
        "280 bot-tts-text \"two\"",
        "280 bot-output in-progress One two| three.",
        "400 bot-interrupted",
        "400 bot-stopped-speaking"
      ])
    }))

  it.effect("may read what could not be said", () =>
    Effect.gen(function*() {
      const { told } = yield* converse([
        synthesize("One.", [fails({ isRetryable: false })]),
        synthesize("Two.", [audio(100)])
      ], [...answer("One. ", "Two."), 1000])
      deepStrictEqual(told, [
        "0 bot-llm-started",
        "0 bot-llm-text \"One. \"",
        "0 bot-llm-text \"Two.\"",
        "0 bot-transcription",
        "0 error",
        "0 bot-output unspoken One.",
        "0 bot-transcription",
        "0 bot-llm-stopped",
        "0 bot-tts-started",
        "0 bot-tts-stopped",
        "0 bot-started-speaking",
        "0 bot-output new |Two.",
        "0 bot-tts-text \"Two.\"",
        "0 bot-output completed Two.|",
        "470 bot-stopped-speaking"
      ])
    }))

  it.effect("reads an answer in writing", () =>
    Effect.gen(function*() {
      const [, ...rest] = answer("One. ", "Two.")
      const { heard, told } = yield* converse([], [Voice.LlmResponseStartFrame.make({ skipTts: true }), ...rest, 1000])
      deepStrictEqual(told, [
        "0 bot-llm-started",
        "0 bot-llm-text \"One. \"",
        "0 bot-llm-text \"Two.\"",
        "0 bot-transcription",
        "0 bot-output unspoken One.",
        "0 bot-transcription",
        "0 bot-llm-stopped",
        "0 bot-output unspoken Two."
      ])
      deepStrictEqual(heard, 0)
    }))
})
