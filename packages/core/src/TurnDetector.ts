/**
 * Tells whether a speaker who has fallen silent has finished, or is only thinking: a service. Turn strategies ask it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { completionOf } from "./internal/turns/turnText.ts"

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

// ---------------------------------------------------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A detector that goes by the text alone: a few rules, no model, and nothing to wait for.
 *
 * **Details**
 *
 * - Incomplete seems what ends with an open mark (a comma, a dash, three dots), or, in English, with a word that wants
 *   another one ("and", "the", "I would like to"), a filler ("um"), or fewer digits than the number that was announced
 *   has ("my phone number is 5 5"). Recognisers put full stops after such things, too.
 * - Complete seems what ends with a question or exclamation mark or a full stop, in many scripts, and less so what ends
 *   without any mark.
 *
 * **Gotchas**
 *
 * It does not hear: a pause to think after a whole sentence is an end to it. In other languages than English only marks
 * count. It takes "I came across this and." for incomplete, and "I want to." as well, which may be an answer.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TurnDetector } from "@apipeline/core"
 *
 * const completion = (text: string) =>
 *   TurnDetector.TurnDetector.use((detector) =>
 *     detector.completion({ text, audio: new Int16Array(0), sampleRate: 16000 })
 *   ).pipe(Effect.provide(TurnDetector.layerText()), Effect.runSync)
 *
 * completion("I would like to.") // => 0.2
 * completion("I would like a coffee.") // => 0.9
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerText = (): Layer.Layer<TurnDetector> =>
  Layer.succeed(TurnDetector, {
    name: "text",
    needsAudio: false,
    completion: ({ text }) => Effect.sync(() => completionOf(text))
  })
