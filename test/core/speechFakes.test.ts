import * as Pcm from "@apipeline/core/Pcm"
import * as FakeSpeechToText from "@apipeline/core/testing/FakeSpeechToText"
import * as FakeTextToSpeech from "@apipeline/core/testing/FakeTextToSpeech"
import * as FakeVoiceActivity from "@apipeline/core/testing/FakeVoiceActivity"
import * as SpeechToTextContract from "@apipeline/core/testing/SpeechToTextContract"
import * as TextToSpeechContract from "@apipeline/core/testing/TextToSpeechContract"
import * as VoiceActivityContract from "@apipeline/core/testing/VoiceActivityContract"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import * as Wav from "@apipeline/core/Wav"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Fiber, Layer, Result, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"
import { contract } from "../utils/contract.ts"

const { deepStrictEqual, strictEqual } = assert

const { format, samples } = Result.getOrThrow(
  Wav.decode(
    new Uint8Array(fs.readFileSync(path.join(import.meta.dirname, "..", "fixtures", "audio", "cards-005.wav")))
  )
)
const speech = { samples, sampleRate: format.sampleRate }

contract("FakeSpeechToText", SpeechToTextContract.checks, {
  make: Effect.map(
    FakeSpeechToText.make((_, audio) => [
      FakeSpeechToText.final(() => audio().some((sample) => sample !== 0) ? "Hello there." : "", { after: "20 millis" })
    ]),
    ({ service }) => service
  ),
  utterance: { samples, text: "hello there" }
}, { time: "virtual" })

contract("FakeTextToSpeech", TextToSpeechContract.checks, {
  make: Effect.map(
    FakeTextToSpeech.make((text, { speed = 1, voice = "fake" }) => {
      if (voice !== "fake") {
        return [FakeTextToSpeech.fails({ isRetryable: false, message: `there is no voice "${voice}"` })]
      }
      const words = text.split(/\s+/).filter((word) => word !== "")
      return words.flatMap((word, i) => [
        FakeTextToSpeech.word(word, 300 * i / speed),
        FakeTextToSpeech.audio(300 / speed, { after: "10 millis" })
      ])
    }),
    ({ service }) => service
  ),
  words: true,
  speed: true
}, { time: "virtual" })

contract("FakeVoiceActivity", VoiceActivityContract.checks, {
  make: Effect.map(
    FakeVoiceActivity.make((window) => Pcm.volume(window) > 0.5 ? 0.9 : 0.1),
    ({ service }) => service
  ),
  speech
}, { time: "virtual" })

contract("VoiceActivity.layerEnergy", VoiceActivityContract.checks, {
  make: Effect.map(Layer.build(VoiceActivity.layerEnergy()), Context.get(VoiceActivity.VoiceActivity)),
  speech
}, { time: "virtual" })

/** Why the scope of a test could not be closed, or the test itself has failed. */
const violation = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) =>
  Effect.map(
    Effect.exit(Effect.scoped(effect)),
    (exit) => Exit.isSuccess(exit) ? "none" : (Cause.squash(exit.cause) as Error).message
  )

const silence = (millis: number): Int16Array => new Int16Array(16 * millis)

describe("a fake is strict", () => {
  it.effect("about a call that has not come", () =>
    Effect.gen(function*() {
      const { final, stream, transcribe } = FakeSpeechToText
      const message = yield* violation(Effect.gen(function*() {
        const { service } = yield* FakeSpeechToText.make([
          transcribe(final("a"), { milliseconds: 10 }),
          stream(final("b"), { language: "de" }),
          transcribe(final("c"))
        ])
        yield* service.transcribe(silence(10))
      }))
      strictEqual(
        message,
        "FakeSpeechToText: expected (-) and found (+) calls differ\n" +
          "  1. transcribe (10 ms)\n" +
          "- 2. stream {\"language\":\"de\"}\n" +
          "- 3. transcribe"
      )
    }))

  it.effect("about a call that is not the one that is expected, at once", () =>
    Effect.gen(function*() {
      const { final, stream } = FakeSpeechToText
      let after = false
      const message = yield* violation(Effect.gen(function*() {
        const { service } = yield* FakeSpeechToText.make([stream(final("b"), { language: "de" })])
        yield* Stream.runDrain(service.stream(Stream.make(silence(10)), { language: "en" }))
        after = true
      }))
      strictEqual(after, false)
      strictEqual(
        message,
        "FakeSpeechToText: expected (-) and found (+) calls differ\n" +
          "- 1. stream {\"language\":\"de\"}\n" +
          "+ 1. stream {\"language\":\"en\"}"
      )
    }))

  it.effect("even when what it died of was swallowed", () =>
    Effect.gen(function*() {
      const message = yield* violation(Effect.gen(function*() {
        const { service } = yield* FakeTextToSpeech.make([FakeTextToSpeech.synthesize("Hello.", [], { voice: "b" })])
        yield* Effect.exit(Stream.runDrain(service.synthesize("Hello.", { voice: "a" })))
      }))
      strictEqual(
        message,
        "FakeTextToSpeech: expected (-) and found (+) calls differ\n" +
          "- 1. synthesize \"Hello.\" {\"voice\":\"b\"}\n" +
          "+ 1. synthesize \"Hello.\" {\"voice\":\"a\"}"
      )
    }))

  it.effect("about detectors and windows", () =>
    Effect.gen(function*() {
      const use = (script: ReadonlyArray<FakeVoiceActivity.Script>, windows: number) =>
        violation(Effect.gen(function*() {
          const { service } = yield* FakeVoiceActivity.make(script)
          const detector = yield* service.make({ sampleRate: 8000 })
          for (let i = 0; i < windows; i++) yield* detector.probability(new Float32Array(512))
        }))
      strictEqual(yield* use([[0.1, 0.2]], 2), "none")
      strictEqual(yield* use([[0.1, 0.2]], 1), "FakeVoiceActivity: detector 1: found 1 windows, expected 2")
      strictEqual(yield* use([[0.1]], 2), "FakeVoiceActivity: detector 1: found 2 windows, expected 1")
      strictEqual(
        yield* use([[0.1], { isRetryable: true }], 1),
        "FakeVoiceActivity: expected (-) and found (+) calls differ\n" +
          "  1. make (8000 Hz)\n" +
          "- 2. make (which fails)"
      )
      strictEqual(yield* use([{ isRetryable: true, message: "no" }], 1), "fake: no")
    }))

  it.effect("a layer too", () =>
    Effect.gen(function*() {
      const message = yield* violation(
        Effect.provide(Effect.void, FakeTextToSpeech.layer([FakeTextToSpeech.synthesize("Hello.")]))
      )
      strictEqual(
        message,
        "FakeTextToSpeech: expected (-) and found (+) calls differ\n- 1. synthesize \"Hello.\""
      )
    }))
})

describe("a fake keeps to its script", () => {
  it.effect("results of a stream come when their audio has come, and time has passed", () =>
    Effect.gen(function*() {
      const { final, interim, stream } = FakeSpeechToText
      const { calls, service } = yield* FakeSpeechToText.make([
        stream([
          interim("a", { at: 20 }),
          interim("b", { at: 30, after: "15 millis" }),
          final("c", { after: "5 millis" })
        ])
      ])
      const seen: Array<readonly [string, number]> = []
      const audio = Stream.range(1, 5).pipe(
        Stream.rechunk(1),
        Stream.mapEffect((i) => Effect.as(Effect.sleep("10 millis"), silence(10).fill(i)))
      )
      const fiber = yield* service.stream(audio).pipe(
        Stream.runForEach(({ end, text }) => Effect.sync(() => seen.push([text, end]))),
        Effect.forkChild({ startImmediately: true })
      )
      for (let i = 0; i < 12; i++) yield* TestClock.adjust("5 millis")
      yield* Fiber.join(fiber)
      deepStrictEqual(seen, [["a", 20], ["b", 40], ["c", 50]])
      deepStrictEqual(calls.map(({ audio, outcome }) => [audio().length, outcome()]), [[800, "done"]])
    }))

  it.effect("it tells how each call has ended", () =>
    Effect.gen(function*() {
      const { audio, fails, hangs, synthesize } = FakeTextToSpeech
      const { calls, service } = yield* FakeTextToSpeech.make([
        synthesize("a", [audio(10), fails({ after: "1 second" })]),
        synthesize("b", hangs),
        synthesize("c", [])
      ])
      const fibers = yield* Effect.forEach(["a", "b", "c"], (text) =>
        Effect.forkChild(Effect.exit(Stream.runCollect(service.synthesize(text))), { startImmediately: true }))
      yield* TestClock.adjust("999 millis")
      deepStrictEqual(
        calls.map(({ outcome }) =>
          outcome()
        ),
        ["running", "running", "done"]
      )
      yield* TestClock.adjust("1 millis")
      yield* Fiber.interrupt(fibers[1]!)
      deepStrictEqual(calls.map(({ outcome }) => outcome()), ["failed", "interrupted", "done"])
    }))
})
