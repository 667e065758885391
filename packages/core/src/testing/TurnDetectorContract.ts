/**
 * What every detector of the ends of turns has to do: the checks that all of ours pass, for one of your own.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type * as TurnDetector from "../TurnDetector.ts"
import { type Check, drive, expect, expectThat } from "./Contract.ts"
import { leaks, settle } from "./index.ts"

/**
 * A detector under test, and turns that it has to tell apart.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  readonly make: Effect.Effect<TurnDetector.Service, unknown, Scope.Scope>
  /** Turns that are complete. */
  readonly complete: ReadonlyArray<TurnDetector.Turn>
  /** Turns that are not. */
  readonly incomplete: ReadonlyArray<TurnDetector.Turn>
  /** How long an answer may take. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

interface Given {
  readonly service: TurnDetector.Service
  readonly subject: Subject
  readonly completion: (turn: TurnDetector.Turn) => Effect.Effect<number, unknown>
}

const check = (name: string, run: (given: Given) => Effect.Effect<void, unknown, Scope.Scope>): Check<Subject> => ({
  name,
  applies: () => true,
  run: (subject) =>
    Effect.gen(function*() {
      const service = yield* drive("the service", subject.make, subject.timeout)
      yield* run({
        service,
        subject,
        completion: (turn) => drive("an answer", service.completion(turn), subject.timeout)
      })
    })
})

const probability = (what: string, found: number) => expectThat(what, found >= 0 && found <= 1, found, "0 to 1")

const nothing = new Int16Array(0)

/** Hz. */
const rate = 16_000

const odd: ReadonlyArray<readonly [what: string, turn: TurnDetector.Turn]> = [
  ["no text and no audio", { text: "", audio: nothing, sampleRate: rate }],
  ["white space", { text: " \n\t ", audio: nothing, sampleRate: rate }],
  ["marks only", { text: "?!... ---", audio: nothing, sampleRate: rate }],
  ["a long text", { text: "and so on ".repeat(2_000), audio: nothing, sampleRate: rate }],
  ["one long word", { text: "a1-".repeat(10_000), audio: nothing, sampleRate: rate }],
  ["half of a character", { text: "hello \ud83d", audio: nothing, sampleRate: rate }],
  ["other scripts", { text: "مرحبا 你好 नमस्ते 👋🏽", audio: nothing, sampleRate: rate }],
  ["a single sample", { text: "hello", audio: Int16Array.of(1), sampleRate: rate }],
  ["8 seconds of silence", { text: "", audio: new Int16Array(8 * rate), sampleRate: rate }],
  ["as loud as it gets", { text: "", audio: new Int16Array(rate).fill(-32_768), sampleRate: rate }],
  ["8 kHz", { text: "hello", audio: new Int16Array(8_000), sampleRate: 8_000 }]
]

/**
 * Everything that a detector has to do. Run each check as a test of its own.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as TurnDetectorContract from "@apipeline/core/testing/TurnDetectorContract"
 *
 * const conforms = (subject: TurnDetectorContract.Subject) =>
 *   Effect.forEach(TurnDetectorContract.checks, (check) => Effect.scoped(check.run(subject)))
 * ```
 *
 * @category contracts
 * @since 0.1.0
 */
export const checks: ReadonlyArray<Check<Subject>> = [
  check("says who it is", ({ service }) => expectThat("name", service.name !== "", service.name, "a name")),
  check(
    "tells complete turns from others",
    ({ completion, subject: { complete, incomplete } }) =>
      Effect.gen(function*() {
        for (const turn of complete) {
          const found = yield* completion(turn)
          yield* expectThat(`the completion of ${JSON.stringify(turn.text)}`, found >= 0.5, found, "0.5 or more")
        }
        for (const turn of incomplete) {
          const found = yield* completion(turn)
          yield* expectThat(`the completion of ${JSON.stringify(turn.text)}`, found < 0.5, found, "less than 0.5")
        }
      })
  ),
  check(
    "gives a probability for everything",
    ({ completion }) =>
      Effect.forEach(odd, ([what, turn]) => Effect.flatMap(completion(turn), (found) => probability(what, found)), {
        discard: true
      })
  ),
  check(
    "leaves the audio as it is, and answers the same again",
    ({ completion, subject: { complete, incomplete } }) =>
      Effect.gen(function*() {
        for (const { audio, sampleRate, text } of [...complete, ...incomplete]) {
          const given = audio.slice()
          const found = yield* completion({ text, audio: given, sampleRate })
          yield* expectThat("the audio", given.every((sample, i) => sample === audio[i]), "changed", "as it was")
          yield* expect("the second answer", yield* completion({ text, audio, sampleRate }), found)
        }
      })
  ),
  check(
    "answers several at a time",
    ({ completion, service, subject: { complete, incomplete, timeout } }) =>
      Effect.gen(function*() {
        const turns = [...complete, ...incomplete]
        const alone = yield* Effect.forEach(turns, completion)
        const all = Effect.forEach(turns, service.completion, { concurrency: "unbounded" })
        yield* expect("answers at the same time", yield* drive("all", all, timeout), alone)
      })
  ),
  check(
    "a question that is given up leaves no fiber behind",
    ({ completion, service, subject: { complete } }) =>
      Effect.gen(function*() {
        const [turn] = complete
        if (turn === undefined) return
        const [, alive] = yield* leaks(Effect.gen(function*() {
          const asking = yield* Effect.forkChild(service.completion(turn), { startImmediately: true })
          yield* drive("the end of a question", Fiber.interrupt(asking))
          yield* settle
          yield* completion(turn)
        }))
        yield* expect("fibers that are left", alive, 0)
      })
  )
]
