/**
 * Tells whether a speaker who has fallen silent has finished, or is only thinking: a service. Turn strategies ask it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A detector of turns has failed.
 *
 * @example
 * ```ts
 * import { TurnDetector } from "@apipeline/core"
 *
 * const cause = new Error("no answer")
 * new TurnDetector.TurnDetectorError({ detector: "remote", isRetryable: true, cause }).message // => "remote: no answer"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TurnDetectorError extends Schema.TaggedError<TurnDetectorError>()("TurnDetectorError", {
  /** Which implementation. */
  detector: Schema.String,
  /** Whether it may work if it is asked again. */
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
 * What is known of a turn when its speaker falls silent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn {
  /** What was said so far, as far as it is understood already; may be empty. */
  readonly text: string
  /** What was heard: mono, 16 bits, `sampleRate`; at most the last 8 seconds. Empty where audio is not kept. */
  readonly audio: Int16Array
  /** Hz. */
  readonly sampleRate: number
}

/**
 * A detector of the ends of turns.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** Which implementation, for errors and logs. */
  readonly name: string
  /** Whether it wants to hear: audio is kept for it only then. */
  readonly needsAudio: boolean
  /** The probability, from 0 to 1, that the turn is complete. */
  readonly completion: (turn: Turn) => Effect.Effect<number, TurnDetectorError>
}

/**
 * The service that knows when a turn is complete.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TurnDetector } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const detector = yield* TurnDetector.TurnDetector
 *   return yield* detector.completion({ text: "I would like", audio: new Int16Array(0), sampleRate: 16000 })
 * })
 * const byMark = TurnDetector.TurnDetector.of({
 *   name: "by mark",
 *   needsAudio: false,
 *   completion: ({ text }) => Effect.succeed(/[.!?]$/.test(text) ? 0.9 : 0.1)
 * })
 *
 * Effect.runSync(Effect.provideService(program, TurnDetector.TurnDetector, byMark)) // => 0.1
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TurnDetector extends Context.Service<TurnDetector, Service>()("@apipeline/core/TurnDetector") {}
