/**
 * What every synthesiser of speech has to do: the checks that all of ours pass, for one of your own.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TextToSpeech from "../TextToSpeech.ts"
import { type Check, drive, expect, expectThat, pass } from "./Contract.ts"
import { leaks } from "./index.ts"

/**
 * A synthesiser under test, and what it can do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  readonly make: Effect.Effect<TextToSpeech.Service, unknown, Scope.Scope>
  /** A sentence of some words. Default: an English one. */
  readonly text?: string | undefined
  /** Whether it knows when words are spoken. */
  readonly words: boolean
  /** Whether it can speak faster. */
  readonly speed: boolean
  /** How long the sentence may take. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

interface Given {
  readonly service: TextToSpeech.Service
  readonly subject: Subject
  readonly text: string
  readonly wait: <A, E>(what: string, effect: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
}

const check = (
  name: string,
  run: (given: Given) => Effect.Effect<void, unknown, Scope.Scope>,
  applies: (subject: Subject) => boolean = () => true
): Check<Subject> => ({
  name,
  applies,
  run: (subject) =>
    Effect.flatMap(drive("a synthesiser", subject.make, subject.timeout), (service) =>
      run({
        service,
        subject,
        text: subject.text ?? "The birch canoe slid on the smooth planks.",
        wait: (what, effect) => drive(what, effect, subject.timeout)
      }))
})

const samplesOf = (parts: ReadonlyArray<TextToSpeech.Part>): Int16Array =>
  Int16Array.from(parts.flatMap((part) => part._tag === "Audio" ? Array.from(part.samples) : []))

const spoken = ({ service, wait }: Given, text: string, options?: TextToSpeech.Options) =>
  Effect.map(wait(`the audio of "${text}"`, Stream.runCollect(service.synthesize(text, options))), samplesOf)

const isSound = (samples: Int16Array): boolean => samples.some((sample) => sample !== 0)

/**
 * Everything that a synthesiser has to do. Run each check that applies as a test of its own.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as TextToSpeechContract from "@apipeline/core/testing/TextToSpeechContract"
 *
 * const conforms = (subject: TextToSpeechContract.Subject) =>
 *   Effect.forEach(
 *     TextToSpeechContract.checks.filter((check) => check.applies(subject)),
 *     (check) => Effect.scoped(check.run(subject))
 *   )
 * ```
 *
 * @category contracts
 * @since 0.1.0
 */
export const checks: ReadonlyArray<Check<Subject>> = [
  check("says what it is and makes", ({ service: { name, sampleRate, voices } }) =>
    Effect.gen(function*() {
      yield* expectThat("name", name.length > 0, name, "a name")
      yield* expectThat("sampleRate", Number.isInteger(sampleRate) && sampleRate > 0, sampleRate, "an integer of Hz")
      yield* expectThat("voices", voices.length > 0, voices, "at least one")
    })),
  check("speaks, at the speed of speech", (given) =>
    Effect.gen(function*() {
      const samples = yield* spoken(given, given.text)
      const perCharacter = samples.length * 1000 / given.service.sampleRate / given.text.length
      yield* expectThat("the audio", isSound(samples), "silence", "sound")
      yield* expectThat(
        "milliseconds per character",
        perCharacter > 10 && perCharacter < 500,
        perCharacter,
        "10 to 500"
      )
    })),
  check("a longer text takes longer", (given) =>
    Effect.gen(function*() {
      const [one, three] = [
        yield* spoken(given, given.text),
        yield* spoken(given, Array.from({ length: 3 }, () => given.text).join(" "))
      ]
      yield* expectThat(
        "samples of three sentences",
        three.length > 2 * one.length,
        three.length,
        `> ${2 * one.length}`
      )
    })),
  check("where there is nothing to say, there is no audio", (given) =>
    Effect.gen(function*() {
      for (const text of ["", " ", "\n\t "]) {
        yield* expect(`the audio of ${JSON.stringify(text)}`, (yield* spoken(given, text)).length, 0)
      }
    })),
  check("takes every text", (given) =>
    Effect.gen(function*() {
      for (
        const text of ["...", "<b>&amp;</b>", "e\u0301 \u{1F600} \u0000 \uD800", "你好。", "-o /tmp/x; $(ls) \"'`\\"]
      ) {
        yield* given.wait(JSON.stringify(text), Effect.exit(Stream.runDrain(given.service.synthesize(text))))
      }
      yield* expectThat("the audio of what follows", isSound(yield* spoken(given, given.text)), "silence", "sound")
    })),
  check("speaks with every voice", (given) =>
    Effect.forEach(given.service.voices, (voice) =>
      Effect.flatMap(
        spoken(given, given.text, { voice }),
        (samples) => expectThat(`the audio of ${voice}`, isSound(samples), "silence", "sound")
      ), { discard: true })),
  check("fails for a voice that it does not have, for good", ({ service, text, wait }) =>
    Effect.gen(function*() {
      const voice = "no such voice"
      const error = yield* wait(
        "an error",
        Effect.flip(Stream.runDrain(service.synthesize(text, { voice })))
      ) as Effect.Effect<TextToSpeech.TextToSpeechError, unknown>
      yield* expectThat("the error", error instanceof TextToSpeech.TextToSpeechError, error, "a TextToSpeechError")
      yield* expect("isRetryable", error.isRetryable, false)
      yield* expectThat("the message", error.message.includes(voice), error.message, "it names the voice")
    })),
  check(
    "speaks faster",
    (given) =>
      Effect.gen(function*() {
        const [once, twice] = [yield* spoken(given, given.text), yield* spoken(given, given.text, { speed: 2 })]
        const ratio = once.length / twice.length
        yield* expectThat("how much shorter it is", ratio > 1.4 && ratio < 2.8, ratio, "about 2")
      }),
    ({ speed }) => speed
  ),
  check(
    "tells of each word, in order, before its audio",
    ({ service, text, wait }) =>
      Effect.gen(function*() {
        const parts = yield* wait("the parts", Stream.runCollect(service.synthesize(text)))
        let millis = 0
        let at = 0
        let last = 0
        let count = 0
        for (const part of parts) {
          if (part._tag === "Audio") {
            millis += part.samples.length * 1000 / service.sampleRate
            continue
          }
          count++
          const found = text.indexOf(part.text.trim(), at)
          yield* expectThat(`the word "${part.text}"`, found >= 0, "elsewhere", `in the text, behind ${at}`)
          yield* expectThat(`the time of "${part.text}"`, part.start >= last, part.start, `not before ${last} ms`)
          yield* expectThat(`"${part.text}"`, part.start >= millis - 1, `after ${millis} ms`, "before its audio")
          at = found + part.text.trim().length
          last = part.start
        }
        yield* expectThat("words", count > 0, count, "some")
        yield* expectThat("the last word", last < millis, last, `within ${millis} ms`)
      }),
    ({ words }) => words
  ),
  check("several texts at once sound as they do alone", (given) =>
    Effect.gen(function*() {
      const { service, text, wait } = given
      const alone = yield* spoken(given, text)
      const both = yield* wait(
        "both",
        Effect.forEach([text, `${text} ${text}`, text], (text) => Stream.runCollect(service.synthesize(text)), {
          concurrency: "unbounded"
        })
      )
      for (const i of [0, 2]) {
        const length = samplesOf(both[i]!).length
        yield* expectThat("samples", Math.abs(length - alone.length) <= alone.length / 20, length, `${alone.length}`)
      }
    })),
  check("can be interrupted, and speaks afterwards", (given) =>
    Effect.gen(function*() {
      const { service, text, wait } = given
      const fiber = yield* Effect.forkChild(Stream.runDrain(service.synthesize(text)), { startImmediately: true })
      yield* pass("5 millis")
      yield* wait("the interruption", Fiber.interrupt(fiber))
      yield* expectThat("the audio of what follows", isSound(yield* spoken(given, text)), "silence", "sound")
    })),
  check("stops when no more is read, and leaves no fiber behind", (given) =>
    Effect.gen(function*() {
      const { service, text, wait } = given
      const [, alive] = yield* leaks(wait("the first part", Stream.runHead(service.synthesize(text))))
      yield* expect("fibers that are left", alive, 0)
      yield* expectThat("the audio of what follows", isSound(yield* spoken(given, text)), "silence", "sound")
    }))
]
