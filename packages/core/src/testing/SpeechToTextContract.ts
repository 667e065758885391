/**
 * What every recogniser of speech has to do: the checks that all of ours pass, for one of your own.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as SpeechToText from "../SpeechToText.ts"
import { type Check, drive, expect, expectThat, pass } from "./Contract.ts"
import { leaks } from "./index.ts"

/**
 * A recogniser under test, and something that it has to understand.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  readonly make: Effect.Effect<SpeechToText.Service, unknown, Scope.Scope>
  /** One utterance, with a little silence around it, at the recogniser's rate; and its words. */
  readonly utterance: { readonly samples: Int16Array; readonly text: string }
  /** How many of the words may be wrong. Default: none. */
  readonly wordErrors?: number | undefined
  /** How long the utterance may take. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/** Without case and punctuation, which recognisers write as they like. */
const wordsOf = (text: string): ReadonlyArray<string> => text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? []

/** How many words have to be put in, taken out or replaced. */
const distance = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): number => {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (const [i, word] of a.entries()) {
    const next = [i + 1]
    for (const [j, other] of b.entries()) {
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (word === other ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}

const says = (what: string, { utterance, wordErrors = 0 }: Subject, found: string) =>
  expectThat(
    what,
    distance(wordsOf(utterance.text), wordsOf(found)) <= wordErrors,
    found,
    `"${utterance.text}", with ${wordErrors} wrong words at most`
  )

const textOf = (results: ReadonlyArray<SpeechToText.Transcript>): string =>
  results.filter(({ isFinal }) => isFinal).map(({ text }) => text).join(" ").trim()

const cut = (samples: Int16Array, size: number): ReadonlyArray<Int16Array> =>
  Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => samples.slice(i * size, (i + 1) * size))

const streamed = (
  service: SpeechToText.Service,
  chunks: ReadonlyArray<Int16Array>,
  options?: SpeechToText.Options
): Effect.Effect<Array<SpeechToText.Transcript>, SpeechToText.SpeechToTextError> =>
  Stream.runCollect(service.stream(Stream.fromIterable(chunks, { chunkSize: 1 }), options))

const check = (
  name: string,
  run: (
    service: SpeechToText.Service,
    subject: Subject,
    wait: <A, E>(what: string, effect: Effect.Effect<A, E>) => Effect.Effect<A, unknown>
  ) => Effect.Effect<void, unknown, Scope.Scope>
): Check<Subject> => ({
  name,
  applies: () => true,
  run: (subject) =>
    Effect.flatMap(
      drive("a recogniser", subject.make, subject.timeout),
      (service) => run(service, subject, (what, effect) => drive(what, effect, subject.timeout))
    )
})

const inOrder = (numbers: ReadonlyArray<number>): boolean => numbers.every((n, i) => i === 0 || numbers[i - 1]! <= n)

const times = (what: string, { end, start, words = [] }: SpeechToText.Transcript, milliseconds: number) => {
  const all = [0, start, ...words.map((word) => word.start), end, milliseconds + 50]
  return expectThat(
    what,
    inOrder(all) && words.every((word) => word.start <= word.end),
    all,
    "times in order, within the audio"
  )
}

/**
 * Everything that a recogniser has to do. Run each check as a test of its own.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as SpeechToTextContract from "@apipeline/core/testing/SpeechToTextContract"
 *
 * const conforms = (subject: SpeechToTextContract.Subject) =>
 *   Effect.forEach(SpeechToTextContract.checks, (check) => Effect.scoped(check.run(subject)))
 * ```
 *
 * @category contracts
 * @since 0.1.0
 */
export const checks: ReadonlyArray<Check<Subject>> = [
  check("says what it is and needs", ({ name, p99Latency = 1, sampleRate }) =>
    Effect.gen(function*() {
      yield* expectThat("name", name.length > 0, name, "a name")
      yield* expectThat("sampleRate", Number.isInteger(sampleRate) && sampleRate > 0, sampleRate, "an integer of Hz")
      yield* expectThat("p99Latency", p99Latency > 0 && p99Latency < Infinity, p99Latency, "milliseconds")
    })),
  check("understands an utterance as a whole", (service, subject, wait) =>
    Effect.gen(function*() {
      const { samples } = subject.utterance
      const given = samples.slice()
      const result = yield* wait("a transcript", service.transcribe(given))
      yield* says("the transcript", subject, result.text)
      yield* expect("isFinal", result.isFinal, true)
      yield* times("the transcript's times", result, samples.length * 1000 / service.sampleRate)
      yield* expectThat("the audio", given.every((sample, i) => sample === samples[i]), "changed", "as it was")
    })),
  check("hears nothing in silence, and in nothing", (service, _, wait) =>
    Effect.gen(function*() {
      for (const length of [0, 1, service.sampleRate]) {
        const { text } = yield* wait("a transcript", service.transcribe(new Int16Array(length)))
        yield* expect(`the transcript of ${length} samples of silence`, text, "")
      }
    })),
  check("understands audio as it comes, however it is cut", (service, subject, wait) =>
    Effect.gen(function*() {
      const { samples } = subject.utterance
      for (const size of [Math.round(service.sampleRate / 50), 4001, samples.length]) {
        const results = yield* wait("a stream", streamed(service, cut(samples, size)))
        yield* says(`the transcript, in chunks of ${size}`, subject, textOf(results))
        yield* expect("the last result is final", results.at(-1)?.isFinal, true)
        for (const result of results) {
          yield* times("a result's times", result, samples.length * 1000 / service.sampleRate)
        }
      }
    })),
  check("gives no interim results when none are wanted", (service, subject, wait) =>
    Effect.gen(function*() {
      const chunks = cut(subject.utterance.samples, Math.round(service.sampleRate / 50))
      const results = yield* wait("a stream", streamed(service, chunks, { interim: false }))
      yield* says("the transcript", subject, textOf(results))
      yield* expect("interim results", results.filter(({ isFinal }) => !isFinal), [])
    })),
  check("ends when audio ends that holds nothing", (service, _, wait) =>
    Effect.gen(function*() {
      for (const chunks of [[], [new Int16Array(0)], [new Int16Array(service.sampleRate)]]) {
        yield* expect("what was heard", textOf(yield* wait("a stream", streamed(service, chunks))), "")
      }
    })),
  check(
    "does not wait for the end of the audio to end when nobody reads",
    (service, subject, wait) =>
      Effect.gen(function*() {
        const audio = Stream.concat(Stream.make(subject.utterance.samples), Stream.never)
        const fiber = yield* Effect.forkChild(Stream.runDrain(service.stream(audio)), { startImmediately: true })
        yield* pass("20 millis")
        yield* wait("the end of a stream that is interrupted", Fiber.interrupt(fiber))
        const { text } = yield* wait("a transcript", service.transcribe(subject.utterance.samples))
        yield* says("the next transcript", subject, text)
      })
  ),
  check("can be interrupted, and works afterwards", (service, subject, wait) =>
    Effect.gen(function*() {
      const { samples } = subject.utterance
      const fiber = yield* Effect.forkChild(service.transcribe(samples), { startImmediately: true })
      yield* pass("5 millis")
      yield* wait("the interruption", Fiber.interrupt(fiber))
      const { text } = yield* wait("a transcript", service.transcribe(samples))
      yield* says("the next transcript", subject, text)
    })),
  check("works for several at once", (service, subject, wait) =>
    Effect.gen(function*() {
      const { samples } = subject.utterance
      const texts = yield* wait(
        "transcripts at once",
        Effect.all([
          Effect.map(service.transcribe(samples), ({ text }) => text),
          Effect.map(streamed(service, cut(samples, 4000)), textOf),
          Effect.map(service.transcribe(new Int16Array(service.sampleRate)), ({ text }) => text)
        ], { concurrency: "unbounded" })
      )
      yield* says("the first transcript", subject, texts[0])
      yield* says("the second transcript", subject, texts[1])
      yield* expect("the transcript of silence", texts[2], "")
    })),
  check("leaves no fiber behind", (service, subject, wait) =>
    Effect.gen(function*() {
      const { samples } = subject.utterance
      const [, alive] = yield* leaks(wait(
        "a transcript and a stream",
        Effect.andThen(service.transcribe(samples), Stream.runHead(service.stream(Stream.make(samples))))
      ))
      yield* expect("fibers that are left", alive, 0)
    }))
]
