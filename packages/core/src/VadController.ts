/**
 * Makes up its mind about who speaks: turns the probability of speech, window by window, into a beginning and an end.
 *
 * It is a plain object without time of its own. `Vad` is the processor around it.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

// ---------------------------------------------------------------------------------------------------------------------
// parameters
// ---------------------------------------------------------------------------------------------------------------------

/**
 * When speech is speech.
 *
 * @category models
 * @since 0.1.0
 */
export interface Params {
  /** The least probability, from 0 to 1. */
  readonly confidence: number
  /** Seconds of speech without a gap that make a beginning; shorter sounds are ignored. */
  readonly startSecs: number
  /** Seconds without speech that make an end; shorter pauses belong to it. */
  readonly stopSecs: number
  /** The least volume, from 0 to 1, on the scale of `Pcm.volume`. */
  readonly minVolume: number
}

/**
 * What the field uses: confidence 0.7, start 0.2 s, stop 0.5 s, minimum volume 0.6 (-50 dBFS).
 *
 * **Details**
 *
 * Source: `VADParams` of pipecat. With a model that tells when somebody has finished, stop 0.2 s: it looks at pauses.
 *
 * @example
 * ```ts
 * import { VadController } from "@apipeline/core"
 *
 * const params = { ...VadController.defaults, stopSecs: 0.8 }
 * params.confidence // => 0.7
 * ```
 *
 * @category constants
 * @since 0.1.0
 */
export const defaults: Params = { confidence: 0.7, startSecs: 0.2, stopSecs: 0.5, minVolume: 0.6 }

/**
 * A parameter that cannot work: names the field, what was found there and what was expected.
 *
 * @example
 * ```ts
 * import { VadController } from "@apipeline/core"
 *
 * const error = new VadController.VadParamsError({ field: "stopSecs", found: "-1", expected: "a number from 0 to 60" })
 * error.message // => "stopSecs: found -1, expected a number from 0 to 60"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class VadParamsError extends Schema.TaggedError<VadParamsError>()("VadParamsError", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

const bounds = { confidence: 1, startSecs: 60, stopSecs: 60, minVolume: 1 }

/**
 * Fills missing parameters in, those of `base`, and checks all.
 *
 * @example
 * ```ts
 * import { VadController } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const result = VadController.params({ confidence: 70 })
 * Result.isFailure(result) && result.failure.message // => "confidence: found 70, expected a number from 0 to 1"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const params = (
  changes: { readonly [K in keyof Params]?: Params[K] | undefined },
  base: Params = defaults
): Result.Result<Params, VadParamsError> => {
  const all: Record<string, number> = {}
  for (const [field, maximum] of Object.entries(bounds)) {
    const value = changes[field as keyof Params] ?? base[field as keyof Params]
    if (!(value >= 0 && value <= maximum)) {
      return Result.fail(
        new VadParamsError({ field, found: String(value), expected: `a number from 0 to ${maximum}` })
      )
    }
    all[field] = value
  }
  return Result.succeed(all as unknown as Params) // every field was just filled in
}

// ---------------------------------------------------------------------------------------------------------------------
// controller
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Where a controller is. `starting`: there is speech, not for long enough yet. `stopping`: speech has ended, not for long
 * enough yet.
 *
 * @category models
 * @since 0.1.0
 */
export type State = "quiet" | "starting" | "speaking" | "stopping"

/**
 * Follows one speaker.
 *
 * @see {@link make} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Controller {
  readonly state: () => State
  /** Speech has begun, and not ended. */
  readonly isSpeaking: () => boolean
  /** Takes the next window, and tells when it made a beginning or an end. */
  readonly push: (probability: number, volume: number) => "started" | "stopped" | undefined
  readonly params: () => Params
  /** New parameters from now on. A speech that has begun goes on. */
  readonly setParams: (params: Params) => void
  /** The audio has broken off: forgets everything, and tells when that ends a speech. */
  readonly reset: () => "stopped" | undefined
}

// pipecat takes a fifth of each window of 32 ms into its mean
const release = 0.8
const releaseSeconds = 0.032

/**
 * Makes a controller for windows of some seconds. Throws a `TypeError` when they have no length.
 *
 * **Details**
 *
 * - A window is speech when the probability and the volume are both high enough.
 * - `startSecs` and `stopSecs` are rounded to whole windows, at least one. A gap begins the count of `startSecs` anew,
 *   speech that of `stopSecs`.
 * - A volume that falls is averaged over some 0.15 s, so that soft consonants do not count as pauses; one that rises
 *   counts at once. (pipecat averages both, which makes it late after silence.)
 *
 * @example
 * ```ts
 * import { VadController } from "@apipeline/core"
 *
 * const controller = VadController.make(0.1, { ...VadController.defaults, startSecs: 0.2, stopSecs: 0.2 })
 * const seen = [0.9, 0.9, 0.1, 0.9, 0.1, 0.1].map((probability) => controller.push(probability, 0.8) ?? controller.state())
 * seen // => ["starting", "started", "stopping", "speaking", "stopping", "stopped"]
 * ```
 *
 * Source: `VADAnalyzer` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (windowSecs: number, initial: Params = defaults): Controller => {
  if (!(windowSecs > 0 && windowSecs < Infinity)) {
    throw new TypeError(`VadController: windowSecs: found ${windowSecs}, expected a finite number greater than zero`)
  }
  const keep = release ** (windowSecs / releaseSeconds)
  let params = initial
  let state: State = "quiet"
  let count = 0
  let smoothed = 0
  const windows = (seconds: number): number => Math.max(1, Math.round(seconds / windowSecs))
  const isSpeaking = (): boolean => state === "speaking" || state === "stopping"
  return {
    state: () => state,
    isSpeaking,
    params: () => params,
    setParams: (next) => {
      params = next
    },
    push: (probability, volume) => {
      // what is no number is neither loud nor speech
      if (volume >= smoothed) smoothed = volume
      else if (volume >= 0) smoothed = volume + keep * (smoothed - volume)
      else smoothed *= keep
      const speech = probability >= params.confidence && smoothed >= params.minVolume
      if (speech) {
        if (isSpeaking()) {
          state = "speaking"
          return undefined
        }
        count = state === "starting" ? count + 1 : 1
        state = "starting"
        if (count < windows(params.startSecs)) return undefined
        state = "speaking"
        return "started"
      }
      if (!isSpeaking()) {
        state = "quiet"
        return undefined
      }
      count = state === "stopping" ? count + 1 : 1
      state = "stopping"
      if (count < windows(params.stopSecs)) return undefined
      state = "quiet"
      return "stopped"
    },
    reset: () => {
      const wasSpeaking = isSpeaking()
      state = "quiet"
      smoothed = 0
      return wasSpeaking ? "stopped" : undefined
    }
  }
}
