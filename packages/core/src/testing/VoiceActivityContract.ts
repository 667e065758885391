/**
 * What every detector of speech has to do: the checks that all of ours pass, for one of your own.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Pcm from "../Pcm.ts"
import * as Resampler from "../Resampler.ts"
import type * as VoiceActivity from "../VoiceActivity.ts"
import { type Check, drive, expect, expectThat } from "./Contract.ts"
import { leaks } from "./index.ts"

/**
 * A detector under test, and speech that it has to hear.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  readonly make: Effect.Effect<VoiceActivity.Service, unknown, Scope.Scope>
  /** A second or more of speech. */
  readonly speech: { readonly samples: Int16Array; readonly sampleRate: number }
  /** How long the speech may take. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
}

interface Given {
  readonly service: VoiceActivity.Service
  readonly detector: VoiceActivity.Detector
  readonly speech: ReadonlyArray<Float32Array>
  readonly silence: ReadonlyArray<Float32Array>
  readonly sampleRate: number
  readonly probabilities: (
    detector: VoiceActivity.Detector,
    windows: ReadonlyArray<Float32Array>
  ) => Effect.Effect<Array<number>, unknown>
}

const windowsOf = (samples: Int16Array, sampleRate: number, detector: VoiceActivity.Detector) => {
  const { windowSize } = detector
  const floats = Pcm.int16ToFloat32(
    Result.getOrThrow(Resampler.resample(samples, { from: sampleRate, to: detector.sampleRate }))
  )
  return Array.from(
    { length: Math.floor(floats.length / windowSize) },
    (_, i) => floats.slice(i * windowSize, (i + 1) * windowSize)
  )
}

const check = (
  name: string,
  run: (given: Given) => Effect.Effect<void, unknown, Scope.Scope>
): Check<Subject> => ({
  name,
  applies: () => true,
  run: ({ make, speech: { sampleRate, samples }, timeout }) =>
    Effect.gen(function*() {
      const service = yield* drive("the service", make, timeout)
      const detector = yield* drive("a detector", service.make({ sampleRate }), timeout)
      yield* run({
        service,
        detector,
        sampleRate,
        speech: windowsOf(samples, sampleRate, detector),
        silence: Array.from({ length: 20 }, () => new Float32Array(detector.windowSize)),
        probabilities: (detector, windows) =>
          drive("probabilities", Effect.forEach(windows, detector.probability), timeout)
      })
    })
})

const noise = (length: number): Float32Array => {
  let state = 1
  return Float32Array.from({ length }, () => {
    state = Math.imul(state, 1_664_525) + 1_013_904_223 | 0
    return state / 2 ** 31
  })
}

const near = (what: string, found: ReadonlyArray<number>, expected: ReadonlyArray<number>) =>
  expectThat(
    what,
    found.length === expected.length && found.every((p, i) => Math.abs(p - expected[i]!) < 1e-3),
    found,
    JSON.stringify(expected)
  )

/**
 * Everything that a detector has to do. Run each check as a test of its own.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as VoiceActivityContract from "@apipeline/core/testing/VoiceActivityContract"
 *
 * const conforms = (subject: VoiceActivityContract.Subject) =>
 *   Effect.forEach(VoiceActivityContract.checks, (check) => Effect.scoped(check.run(subject)))
 * ```
 *
 * @category contracts
 * @since 0.1.0
 */
export const checks: ReadonlyArray<Check<Subject>> = [
  check(
    "says what it needs, for every rate",
    ({ service }) =>
      Effect.forEach(
        [8000, 16000, 44100, 48000],
        (rate) =>
          Effect.flatMap(drive("a detector", service.make({ sampleRate: rate })), ({ sampleRate, windowSize }) =>
            Effect.gen(function*() {
              const millis = windowSize * 1000 / sampleRate
              yield* expectThat(
                "sampleRate",
                Number.isInteger(sampleRate) && sampleRate > 0,
                sampleRate,
                "an integer of Hz"
              )
              yield* expectThat("windowSize", Number.isInteger(windowSize) && windowSize > 0, windowSize, "an integer")
              yield* expectThat("the window's milliseconds", millis >= 5 && millis <= 100, millis, "5 to 100")
            })),
        { discard: true }
      )
  ),
  check(
    "hears speech, and nothing in silence",
    ({ detector, probabilities, silence, speech }) =>
      Effect.gen(function*() {
        for (const p of yield* probabilities(detector, silence)) {
          yield* expectThat("the probability in silence", p < 0.5, p, "less than 0.5")
        }
        const found = yield* probabilities(detector, speech)
        const share = found.filter((p) => p > 0.5).length / found.length
        yield* expectThat("windows with speech", share > 0.3, share, "more than 0.3 of them")
      })
  ),
  check("gives a probability for everything", ({ detector, probabilities, speech }) =>
    Effect.gen(function*() {
      const { windowSize } = detector
      const loud = new Float32Array(windowSize).map((_, i) => i % 2 === 0 ? 1 : -1)
      const windows = [noise(windowSize), loud, new Float32Array(windowSize).fill(1), ...speech]
      for (const p of yield* probabilities(detector, windows)) {
        yield* expectThat("a probability", p >= 0 && p <= 1, p, "0 to 1")
      }
    })),
  check(
    "leaves windows as they are, and does not keep them",
    ({ detector, probabilities, speech }) =>
      Effect.gen(function*() {
        const expected = yield* probabilities(detector, speech)
        yield* detector.reset
        const window = new Float32Array(detector.windowSize)
        const found: Array<number> = []
        for (const one of speech) {
          window.set(one)
          found.push(...yield* probabilities(detector, [window]))
          yield* expectThat("the window", window.every((sample, i) => sample === one[i]), "changed", "as it was")
        }
        yield* near("the probabilities of one array that is used again", found, expected)
      })
  ),
  check("after a reset it is as new", ({ detector, probabilities, speech }) =>
    Effect.gen(function*() {
      const first = yield* probabilities(detector, speech)
      yield* detector.reset
      yield* near("the probabilities after a reset", yield* probabilities(detector, speech), first)
    })),
  check(
    "detectors do not know of each other",
    ({ detector, probabilities, sampleRate, service, silence, speech }) =>
      Effect.gen(function*() {
        const other = yield* drive("another detector", service.make({ sampleRate }))
        const alone = yield* probabilities(detector, speech)
        yield* detector.reset
        const found = yield* drive(
          "both",
          Effect.all([
            Effect.forEach(speech, detector.probability),
            Effect.forEach([...silence, ...silence], other.probability)
          ], { concurrency: "unbounded" })
        )
        yield* near("the probabilities beside another one", found[0], alone)
      })
  ),
  check(
    "is released with its scope, and leaves no fiber behind",
    ({ sampleRate, service, silence }) =>
      Effect.gen(function*() {
        const use = Effect.scoped(Effect.flatMap(service.make({ sampleRate }), (detector) =>
          Effect.forEach(silence.slice(0, 2), () =>
            detector.probability(new Float32Array(detector.windowSize)))))
        const [, alive] = yield* leaks(drive("a detector", use))
        yield* expect("fibers that are left", alive, 0)
      })
  )
]
