/**
 * Turns speech into text: a service that engines and vendors implement. `Stt` is the processor that uses it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A recogniser could not be made, or has failed.
 *
 * @example
 * ```ts
 * import { SpeechToText } from "@apipeline/core"
 *
 * const cause = new Error("the worker has exited")
 * const error = new SpeechToText.SpeechToTextError({ recognizer: "moonshine", isRetryable: true, cause })
 * error.message // => "moonshine: the worker has exited"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SpeechToTextError extends Schema.TaggedError<SpeechToTextError>()("SpeechToTextError", {
  /** Which implementation. */
  recognizer: Schema.String,
  /** Whether the same audio may be understood if it is tried again. */
  isRetryable: Schema.Boolean,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.recognizer}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A word, and when it was spoken: milliseconds from the beginning of the audio.
 *
 * @category models
 * @since 0.1.0
 */
export interface Word {
  readonly text: string
  readonly start: number
  readonly end: number
}

/**
 * What was understood. `start` and `end` are milliseconds from the beginning of the audio that was given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transcript {
  /** Empty: nobody spoke. */
  readonly text: string
  /** Whether it may still change: an interim result is replaced by the next one. */
  readonly isFinal: boolean
  readonly start: number
  readonly end: number
  /** Where the engine knows them. */
  readonly words?: ReadonlyArray<Word> | undefined
  /** BCP 47: `en`, `de-AT`. */
  readonly language?: string | undefined
}

/**
 * What a recogniser may be told about the audio.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** BCP 47. Default: what the engine assumes. */
  readonly language?: string | undefined
  /** Whether interim results are wanted. Default: true. */
  readonly interim?: boolean | undefined
}

/**
 * A recogniser of speech. Audio is mono, 16 bits, at its `sampleRate`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** Which implementation, for errors and logs: `moonshine`. */
  readonly name: string
  /** For metrics: `tiny`. */
  readonly model?: string | undefined
  /** Hz: what it needs. Whoever uses it resamples. */
  readonly sampleRate: number
  /**
   * How late its final result comes after the end of speech, in 99 of 100 cases, in milliseconds: who waits for it waits
   * no longer than that.
   */
  readonly p99Latency?: number | undefined
  /** Understands one utterance as a whole. Interrupting it ends the work. */
  readonly transcribe: (audio: Int16Array, options?: Options) => Effect.Effect<Transcript, SpeechToTextError>
  /**
   * Understands audio as it comes. Interim results come as the engine likes, each for what was said since the last final
   * one. The results end after the audio has ended and its final result is out; when nothing is read any more, the
   * work ends.
   */
  readonly stream: (
    audio: Stream.Stream<Int16Array>,
    options?: Options
  ) => Stream.Stream<Transcript, SpeechToTextError>
}

/**
 * The service that understands speech.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { SpeechToText } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const stt = yield* SpeechToText.SpeechToText
 *   return (yield* stt.transcribe(new Int16Array(16000))).text
 * })
 * const nothing = { text: "", isFinal: true, start: 0, end: 1000 }
 * const silent = SpeechToText.SpeechToText.of({
 *   name: "silent",
 *   sampleRate: 16000,
 *   transcribe: () => Effect.succeed(nothing),
 *   stream: () => Stream.succeed(nothing)
 * })
 *
 * Effect.runSync(Effect.provideService(program, SpeechToText.SpeechToText, silent)) // => ""
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class SpeechToText extends Context.Service<SpeechToText, Service>()("@apipeline/core/SpeechToText") {}
