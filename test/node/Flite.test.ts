import * as Pcm from "@apipeline/core/Pcm"
import * as SpeechToText from "@apipeline/core/SpeechToText"
import * as TextToSpeechContract from "@apipeline/core/testing/TextToSpeechContract"
import * as TextToSpeech from "@apipeline/core/TextToSpeech"
import * as Flite from "@apipeline/node/Flite"
import * as Moonshine from "@apipeline/node/Moonshine"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { phrases, speakable, wordStarts } from "../../packages/node/src/internal/fliteText.ts"
import { contract } from "../utils/contract.ts"
import { random } from "../utils/random.ts"
import { audioOf, concat, pause, shared, wordErrors } from "../utils/speech.ts"

const { deepStrictEqual, isAbove, isAtMost, isBelow, strictEqual } = assert

const flite = shared(TextToSpeech.TextToSpeech, Flite.layer())

contract("Flite", TextToSpeechContract.checks, { make: flite, words: true, speed: true }, {
  time: "real",
  timeout: 60_000
})

const speak = (text: string, options?: TextToSpeech.Options) =>
  Effect.flatMap(flite, (tts) => Stream.runCollect(tts.synthesize(text, options)))

const wordsOf = (parts: ReadonlyArray<TextToSpeech.Part>) =>
  parts.flatMap((part) => part._tag === "Word" ? [part.text] : [])

describe("Flite", () => {
  const stt = shared(SpeechToText.SpeechToText, Moonshine.layer())

  it.live("is understood", () =>
    Effect.gen(function*() {
      const { transcribe } = yield* stt
      const text =
        "The weather is nice today, but tomorrow it will rain. Please call me at seven o'clock in the morning."
      for (const voice of ["slt", "rms"]) {
        const found = (yield* transcribe(concat(pause(0.3), audioOf(yield* speak(text, { voice })), pause(0.3)))).text
        const [errors, total] = wordErrors(text, found.replaceAll("7", "seven"))
        isAtMost(errors / total, 0.2, `${voice}: ${found}`)
      }
    }), 60_000)

  it.live("tells each word where it is spoken", () =>
    Effect.gen(function*() {
      const parts = yield* speak("Hello there, my name is Sam. Bye!")
      deepStrictEqual(wordsOf(parts), ["Hello", "there,", "my", "name", "is", "Sam.", "Bye!"])
      const starts = parts.flatMap((part) => part._tag === "Word" ? [part.start] : [])
      const audio = audioOf(parts)
      // behind the comma there is a pause, and "my" begins behind it
      const loudness = (from: number, to: number) => Pcm.rms(audio.subarray(from * 16, to * 16))
      isBelow(loudness(starts[2]! - 50, starts[2]!), 0.01)
      isAbove(loudness(starts[2]!, starts[2]! + 150), 0.02)
    }), 60_000)

  it.live("speaks at the speed that is asked for", () =>
    Effect.gen(function*() {
      const once = audioOf(yield* speak("One, two, three, four.")).length
      for (const speed of [0.25, 0.5, 2, 4]) {
        const ratio = once / audioOf(yield* speak("One, two, three, four.", { speed })).length
        isBelow(Math.abs(ratio / speed - 1), 0.25, `${speed}: ${ratio}`)
      }
    }), 60_000)

  it.live("has the first audio of a long text soon", () =>
    Effect.gen(function*() {
      const text = "This goes on and on, and does not come to an end, ".repeat(400)
      const start = performance.now()
      const parts = yield* Effect.flatMap(flite, (tts) => Stream.runCollect(Stream.take(tts.synthesize(text), 10)))
      deepStrictEqual(wordsOf(parts).slice(0, 3), ["This", "goes", "on"])
      isBelow(performance.now() - start, 3000)
    }), 60_000)

  it.live("is told what it cannot do", () =>
    Effect.gen(function*() {
      const failure = (options: TextToSpeech.Options) => Effect.flip(speak("Hello.", options))
      for (
        const [options, message] of [
          [{ voice: "sam" }, "voice: found sam, expected one of slt, rms, kal16, kal"],
          [{ speed: 0 }, "speed: found 0, expected a number from 0.25 to 4"],
          [{ speed: Number.NaN }, "speed: found NaN, expected a number from 0.25 to 4"],
          [{ language: "fr" }, "language: found fr, expected en"]
        ] as const
      ) {
        const error = yield* failure(options)
        deepStrictEqual([error.message, error.isRetryable], [`flite: ${message}`, false])
      }
      const voice = yield* Effect.flip(Flite.make({ voice: "sam" as "slt" }))
      strictEqual(voice.message, "flite: voice: found sam, expected one of slt, rms, kal16, kal")
    }))

  it.live("takes any text, and loses no word of it", () =>
    Effect.gen(function*() {
      const { text } = random(3)
      for (let i = 0; i < 60; i++) {
        const given = text(80)
        const parts = yield* speak(given)
        // what nothing is said of has no parts; else the words are those of the text
        const found = wordsOf(parts).join("")
        // oxlint-disable-next-line no-control-regex -- they are what is left out
        if (parts.length > 0) strictEqual(found, given.replaceAll(/[\s\u0000-\u001f\u007f]+/g, ""))
      }
    }), 60_000)

  it.live(
    "a text that takes too long is an error that can be retried, and the next one is spoken",
    () =>
      Effect.gen(function*() {
        const tts = yield* Flite.make({ timeout: "20 millis" })
        const long = "a".repeat(180).replaceAll(/.{50}/g, "$& ")
        const error = yield* Effect.flip(Stream.runDrain(tts.synthesize(`${long} 123456789012345678901234567890`)))
        deepStrictEqual([error.message, error.isRetryable], ["flite: Timeout: no result after 20ms", true])
        // where others use the machine, this may take too long as well
        const short = Effect.retry(Stream.runCollect(tts.synthesize("Yes.", { voice: "kal" })), { times: 50 })
        isAbove(audioOf(yield* short).length, 1000)
      }),
    60_000
  )
})

describe("the text of flite", () => {
  it("cuts it into sentences, and those that are long at a comma", () => {
    const texts = (text: string) => phrases(text).map(({ words }) => words.join(" "))
    deepStrictEqual(texts("Dr. Smith is here. Is he? Yes"), ["Dr. Smith is here.", "Is he?", "Yes"])
    const clause = "and then he went to the next town on the road,"
    const long = texts(Array.from({ length: 12 }, () => clause).join(" "))
    deepStrictEqual(long, Array.from({ length: 4 }, () => Array.from({ length: 3 }, () => clause).join(" ")))
    for (const one of phrases("x".repeat(5000))) isAtMost(one.words.join(" ").length, 201)
  })

  it("says what can be said in ASCII", () => {
    deepStrictEqual(
      ["Café", "“don’t”", "5€", "20°", "👋", "Straße", "世界", "a\u0000b", "–", "100%", "\ud800"].map(speakable),
      ["Cafe", "\"don't\"", "5 euros", "20 degrees", "", "Strasse", "", "ab", "", "100%", ""]
    )
  })

  it("gives words the time of the sounds between two pauses", () => {
    const sounds = [["pau", 100], ["a", 200], ["b", 300], ["pau", 500], ["c", 600], ["d", 700], ["pau", 800]] as const
    deepStrictEqual(wordStarts(phrases("ab, c d")[0]!, sounds), [100, 500, 600])
    // one pause more than commas: all in proportion
    deepStrictEqual(wordStarts(phrases("ab c d")[0]!, sounds), [100, 500, 600])
    deepStrictEqual(wordStarts(phrases("ab")[0]!, []), [0])
  })
})
