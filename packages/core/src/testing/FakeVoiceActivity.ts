/**
 * A detector of speech that says what a script says, and checks that it was asked as often as the script says.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { FakeScript, ScriptViolation } from "../internal/fakeScript.ts"
import * as VoiceActivity from "../VoiceActivity.ts"

/**
 * What is said of the next window: a probability, maybe after some time, or a failure.
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | number
  | { readonly after: Duration.Input; readonly probability: number }
  | { readonly isRetryable: boolean; readonly message?: string | undefined }
  | "hang"

/**
 * A detector that is to be made: what it says of window after window; or a function of each window, for as many as there
 * are; or why it cannot be made.
 *
 * @category models
 * @since 0.1.0
 */
export type Script =
  | ReadonlyArray<Step>
  | ((window: Float32Array) => number)
  | { readonly isRetryable: boolean; readonly message?: string | undefined }

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Hz that detectors need. Default: 16000. */
  readonly sampleRate?: number | undefined
  /** Default: 512. */
  readonly windowSize?: number | undefined
}

/**
 * A fake, and what has become of its detectors.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fake {
  readonly service: VoiceActivity.Service
  /** In the order in which they were made. */
  readonly detectors: ReadonlyArray<{
    /** What it was made for, in Hz. */
    readonly sampleRate: number
    readonly windows: ReadonlyArray<Float32Array>
    readonly resets: () => number
    readonly isReleased: () => boolean
  }>
}

const errorOf = (
  { isRetryable, message = "scripted" }: { readonly isRetryable: boolean; readonly message?: string | undefined }
): VoiceActivity.VoiceActivityError =>
  new VoiceActivity.VoiceActivityError({ detector: "fake", isRetryable, cause: new Error(message) })

const isSteps = (script: Script): script is ReadonlyArray<Step> => Array.isArray(script)

const showScript = (script: Script): string =>
  `make (${
    isSteps(script) ? `${script.length} windows` : typeof script === "function" ? "any windows" : "which fails"
  })`

/**
 * Makes a fake. A detector, or a window, that the script does not expect dies at once, and when the scope is closed, the
 * fake dies if there were other detectors or windows than those of the script. A function instead of a script answers for
 * any number of detectors and expects none.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as FakeVoiceActivity from "@apipeline/core/testing/FakeVoiceActivity"
 *
 * const test = Effect.gen(function*() {
 *   const fake = yield* FakeVoiceActivity.make([[0.1, 0.9]])
 *   const { probability, windowSize } = yield* fake.service.make({ sampleRate: 16000 })
 *   const window = new Float32Array(windowSize)
 *   return [yield* probability(window), yield* probability(window)]
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(test) // => [0.1, 0.9]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  script: ReadonlyArray<Script> | ((window: Float32Array) => number),
  options: Options = {}
): Effect.Effect<Fake, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { sampleRate = 16000, windowSize = 512 } = options
    const detectors: Array<Fake["detectors"][number]> = []
    const checked = new FakeScript("FakeVoiceActivity", typeof script === "function" ? [] : script, showScript)
    const counted: Array<() => string | undefined> = []
    yield* checked.verifyAtClose
    yield* Effect.addFinalizer(() => {
      const wrong = counted.map((count) => count()).filter((text) => text !== undefined)
      return wrong.length === 0
        ? Effect.void
        : Effect.die(new ScriptViolation(`FakeVoiceActivity: ${wrong.join("; ")}`))
    })

    const makeDetector = Effect.fnUntraced(function*(given: { readonly sampleRate: number }) {
      const one = typeof script === "function"
        ? script
        : yield* checked.next(`make (${given.sampleRate} Hz)`, () => true)
      if (!isSteps(one) && typeof one !== "function") return yield* errorOf(one)
      const windows: Array<Float32Array> = []
      const number = detectors.length + 1
      let resets = 0
      let released = false
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          released = true
        })
      )
      detectors.push({
        sampleRate: given.sampleRate,
        windows,
        resets: () => resets,
        isReleased: () => released
      })
      const count = (): string | undefined =>
        !isSteps(one) || windows.length === one.length
          ? undefined
          : `detector ${number}: found ${windows.length} windows, expected ${one.length}`
      counted.push(count)
      const detector: VoiceActivity.Detector = {
        sampleRate,
        windowSize,
        probability: (window) =>
          Effect.suspend(() => {
            windows.push(window.slice())
            if (!isSteps(one)) return Effect.succeed(one(window))
            const step = one[windows.length - 1]
            if (step === undefined) return Effect.die(new ScriptViolation(`FakeVoiceActivity: ${count()}`))
            if (step === "hang") return Effect.never
            if (typeof step === "number") return Effect.succeed(step)
            return "isRetryable" in step
              ? Effect.fail(errorOf(step))
              : Effect.as(Effect.sleep(step.after), step.probability)
          }),
        reset: Effect.sync(() => {
          resets++
        })
      }
      return detector
    })

    return { service: VoiceActivity.VoiceActivity.of({ make: makeDetector }), detectors }
  })

/**
 * A fake as a layer: see {@link make}.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PipelineTask, Vad } from "@apipeline/core"
 * import * as Fake from "@apipeline/core/testing/FakeVoiceActivity"
 *
 * const task = PipelineTask.make(Vad.make()).pipe(
 *   Effect.provide(Fake.layer((window) => window.some((sample) => sample !== 0) ? 1 : 0))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  script: ReadonlyArray<Script> | ((window: Float32Array) => number),
  options?: Options
): Layer.Layer<VoiceActivity.VoiceActivity> =>
  Layer.effect(VoiceActivity.VoiceActivity, Effect.map(make(script, options), ({ service }) => service))
