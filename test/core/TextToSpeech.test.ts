import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
import * as TextToSpeechContract from "@apipeline/core/testing/TextToSpeechContract"
import * as TextToSpeech from "@apipeline/core/TextToSpeech"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { contract } from "../utils/contract.ts"

const { deepStrictEqual, strictEqual } = assert
const { audio, fails, synthesize, word } = Fake

contract("TextToSpeech.failover", TextToSpeechContract.checks, {
  make: Effect.gen(function*() {
    const broken = yield* Fake.make((text) => text.trim() === "" ? [] : [audio(10), fails()], {
      sampleRate: 16000,
      voices: ["fake"]
    })
    const working = yield* Fake.make((text, { voice = "fake" }) => {
      if (voice !== "fake") return [fails({ isRetryable: false, message: `there is no voice "${voice}"` })]
      return text.split(/\s+/).filter((word) => word !== "").map(() => audio(300))
    }, { sampleRate: 8000 })
    return TextToSpeech.failover([broken.service, working.service])
  }),
  words: false,
  speed: false
}, { time: "virtual" })

const rate = 1000

/** Words by their name, and milliseconds of audio with their value. */
const heard = (service: TextToSpeech.Service, options?: TextToSpeech.Options) =>
  Effect.map(
    Stream.runCollect(service.synthesize("one two three", options)),
    (parts) =>
      parts.map((part) =>
        part._tag === "Word"
          ? `${part.text}@${part.start}`
          : `${part.samples.length * 1000 / service.sampleRate}x${part.samples[0]}`
      ).join(" ")
  )

const timed = (value: number, milliseconds: number) => [
  word("one", 0),
  audio(milliseconds, { value }),
  word("two", milliseconds),
  audio(milliseconds, { value }),
  word("three", 2 * milliseconds),
  audio(milliseconds, { value })
]

describe("failover", () => {
  it.effect("the next one says what was not said, and is used from then on", () =>
    Effect.gen(function*() {
      const first = yield* Fake.make([synthesize("one two three", fails())], { sampleRate: rate, voices: ["a"] })
      const second = yield* Fake.make([
        synthesize("one two three", timed(2, 10), { speed: 2 }),
        synthesize("one two three", timed(3, 10))
      ], { sampleRate: rate, name: "second" })
      const switched: Array<string> = []
      const both = TextToSpeech.failover([first.service, second.service], {
        onSwitched: ({ from, to }) => Effect.sync(() => switched.push(`${from} -> ${to}`))
      })
      strictEqual(yield* heard(both, { voice: "a", speed: 2 }), "one@0 10x2 two@10 10x2 three@20 10x2")
      strictEqual(yield* heard(both), "one@0 10x3 two@10 10x3 three@20 10x3")
      deepStrictEqual(second.calls.map(({ options }) => options), [{ speed: 2 }, {}])
      deepStrictEqual(switched, ["fake -> second"])
    }))

  it.effect("in the middle of a text it goes on with the word that was cut", () =>
    Effect.gen(function*() {
      const first = yield* Fake.make([
        synthesize("one two three", [word("one", 0), audio(20), word("two", 20), audio(5), fails()])
      ], { sampleRate: rate })
      const second = yield* Fake.make([synthesize("one two three", timed(2, 10))], { sampleRate: rate })
      const both = TextToSpeech.failover([first.service, second.service])
      strictEqual(yield* heard(both), "one@0 20x1 two@20 5x1 10x2 three@35 10x2")
    }))

  it.effect("or says it once more, where no words are known", () =>
    Effect.gen(function*() {
      const cases = [
        [[audio(20), fails()], timed(2, 10), "20x1 one@20 10x2 two@30 10x2 three@40 10x2"],
        [[word("one", 0), audio(20), fails()], [audio(30, { value: 2 })], "one@0 20x1 30x2"],
        [[audio(20), fails()], [audio(30, { value: 2 })], "20x1 30x2"]
      ] as const
      for (const [before, after, expected] of cases) {
        const first = yield* Fake.make([synthesize("one two three", before)], { sampleRate: rate })
        const second = yield* Fake.make([synthesize("one two three", after)], { sampleRate: rate })
        strictEqual(yield* heard(TextToSpeech.failover([first.service, second.service])), expected)
      }
    }))

  it.effect("fails when all have", () =>
    Effect.gen(function*() {
      const fakes = yield* Effect.forEach(["a", "b"], (message) =>
        Fake.make([synthesize("one two three", fails({ message }))], { sampleRate: rate }))
      const both = TextToSpeech.failover([fakes[0]!.service, fakes[1]!.service])
      strictEqual((yield* Effect.flip(heard(both))).message, "fake: b")
    }))
})
