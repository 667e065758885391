/**
 * Tells speech from everything else: a service that gives the probability of speech in a short window of audio.
 *
 * Models implement it (`layer`s of other packages); {@link layerEnergy} needs none. `Vad` is the processor that turns
 * probabilities into "the user has started speaking".
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Pcm from "./Pcm.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A detector could not be made, or has failed.
 *
 * @example
 * ```ts
 * import { VoiceActivity } from "@apipeline/core"
 *
 * const cause = new Error("the worker has exited")
 * const error = new VoiceActivity.VoiceActivityError({ detector: "silero", isRetryable: true, cause })
 * error.message // => "silero: the worker has exited"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class VoiceActivityError extends Schema.TaggedError<VoiceActivityError>()("VoiceActivityError", {
  /** Which implementation. */
  detector: Schema.String,
  /** Whether a new detector may work. */
  isRetryable: Schema.Boolean,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.detector}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Looks at one stream of audio, window after window. It remembers what it needs of the windows before.
 *
 * @category models
 * @since 0.1.0
 */
export interface Detector {
  /** Hz: what it needs, whatever it was made for. Whoever uses it resamples. */
  readonly sampleRate: number
  /** Samples per window, of one channel. */
  readonly windowSize: number
  /**
   * The probability of speech in a window, from 0 to 1. Windows come one after the other; the array is good until the
   * Effect is done.
   */
  readonly probability: (window: Float32Array) => Effect.Effect<number, VoiceActivityError>
  /** The next window does not follow the one before: forgets what it remembers. */
  readonly reset: Effect.Effect<void>
}

/**
 * Makes detectors, one for each stream of audio.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** Makes a detector for audio that comes at a rate, in Hz; it is released with the scope. */
  readonly make: (options: {
    readonly sampleRate: number
  }) => Effect.Effect<Detector, VoiceActivityError, Scope.Scope>
}

/**
 * The service that makes detectors of speech.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { VoiceActivity } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const service = yield* VoiceActivity.VoiceActivity
 *   const detector = yield* service.make({ sampleRate: 16000 })
 *   return yield* detector.probability(new Float32Array(detector.windowSize))
 * }).pipe(Effect.scoped, Effect.provide(VoiceActivity.layerEnergy()))
 *
 * const confidence = await Effect.runPromise(program)
 * confidence < 0.01 // => true
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class VoiceActivity extends Context.Service<VoiceActivity, Service>()("@apipeline/core/VoiceActivity") {}

// ---------------------------------------------------------------------------------------------------------------------
// energy
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link makeEnergy} and {@link layerEnergy}.
 *
 * @category models
 * @since 0.1.0
 */
export interface EnergyOptions {
  /** By how many dB speech is louder than the noise where the probability is 0.5. Default: 10. */
  readonly threshold?: number | undefined
  /** The loudest noise that is believed at the beginning, in dBFS, before pauses have been heard. Default: -45. */
  readonly maxInitialNoise?: number | undefined
}

// 32 ms, the window of Silero: results mean the same when a model takes over.
const windowSeconds = 0.032
// Speech has pauses and stop consonants in it: the quietest window of this many seconds is noise.
const memorySeconds = 2
const blocks = 8
/** Of the probability, in dB: 0.5 becomes 0.7 within 1.3 dB. */
const slope = 1.5
/** Hz: hum, rumble and offset lie below, voices above. */
const highPass = 90
/** dBFS: no noise is taken for quieter, or every sound after digital silence would be speech. */
const quietest = -65

/**
 * Makes a detector that goes by loudness alone: speech is what is well above the noise, which is the quietest that was
 * heard in the last 2 seconds. It works in a quiet place, and takes every other sudden sound for speech too. It cannot
 * fail, and works at any rate.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { VoiceActivity } from "@apipeline/core"
 *
 * const detector = VoiceActivity.makeEnergy({ sampleRate: 16000 })
 * const tone = Float32Array.from({ length: 512 }, (_, i) => 0.3 * Math.sin(2 * Math.PI * 440 * i / 16000))
 * Effect.runSync(detector.probability(tone)) > 0.99 // => true
 * ```
 *
 * @category energy
 * @since 0.1.0
 */
export const makeEnergy = (options: EnergyOptions & { readonly sampleRate: number }): Detector => {
  const { maxInitialNoise = -45, sampleRate, threshold = 10 } = options
  const windowSize = Math.max(1, Math.round(sampleRate * windowSeconds))
  const windowsPerBlock = Math.max(1, Math.round(memorySeconds / windowSeconds / blocks))
  const decay = Math.exp(-2 * Math.PI * highPass / sampleRate)
  // the quietest windows of the blocks before, and of the one that is being filled
  const minima = new Float64Array(blocks)
  let current = 0
  let seen = 0
  let block = 0
  let input = 0
  let output = 0
  const reset = (): void => {
    minima.fill(maxInitialNoise)
    current = Infinity
    seen = block = 0
    input = output = 0
  }
  reset()
  const level = (window: Float32Array): number => {
    let sum = 0
    for (let i = 0; i < window.length; i++) {
      const sample = window[i]!
      output = decay * (output + sample - input)
      input = sample
      sum += output * output
    }
    return Math.max(quietest, 10 * Math.log10(sum / window.length))
  }
  const probability = (window: Float32Array): number => {
    const loudness = level(window)
    current = Math.min(current, loudness)
    let noise = current
    for (let i = 0; i < blocks; i++) noise = Math.min(noise, minima[i]!)
    if (++seen === windowsPerBlock) {
      minima[block] = current
      block = (block + 1) % blocks
      current = Infinity
      seen = 0
    }
    return 1 / (1 + Math.exp((threshold - (loudness - noise)) / slope))
  }
  return {
    sampleRate,
    windowSize,
    probability: (window) => Effect.sync(() => probability(window)),
    reset: Effect.sync(reset)
  }
}

/**
 * Detectors that go by loudness, without a model: see {@link makeEnergy}.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, PipelineTask, Vad, VoiceActivity } from "@apipeline/core"
 *
 * const task = PipelineTask.make(Pipeline.make(Vad.make())).pipe(
 *   Effect.provide(VoiceActivity.layerEnergy({ threshold: 12 }))
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerEnergy = (options: EnergyOptions = {}): Layer.Layer<VoiceActivity> =>
  Layer.succeed(VoiceActivity, { make: ({ sampleRate }) => Effect.sync(() => makeEnergy({ ...options, sampleRate })) })

// ---------------------------------------------------------------------------------------------------------------------
// whole recordings
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The probabilities of all windows of a recording, for tests and for finding thresholds; the last window is left out
 * when it is not complete.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { VoiceActivity } from "@apipeline/core"
 *
 * const detector = VoiceActivity.makeEnergy({ sampleRate: 8000 })
 * Effect.runSync(VoiceActivity.probabilities(detector, new Int16Array(8000))).length // => 31
 * ```
 *
 * @category running
 * @since 0.1.0
 */
export const probabilities = (
  detector: Detector,
  samples: Int16Array
): Effect.Effect<Array<number>, VoiceActivityError> => {
  const floats = Pcm.int16ToFloat32(samples)
  const { windowSize } = detector
  const starts = Array.from({ length: Math.floor(floats.length / windowSize) }, (_, i) => i * windowSize)
  return Effect.forEach(starts, (at) => detector.probability(floats.slice(at, at + windowSize)))
}
