/**
 * Turns speech into text: a service that engines and vendors implement. `Stt` is the processor that uses it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as DurationOption from "./internal/durationOption.ts"
import { failoverLayer } from "./internal/speech/failoverLayer.ts"
import { failoverOf, streamOf } from "./internal/speech/speechToText.ts"

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

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link fromTranscribe}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FromTranscribeOptions {
  /** How much more audio has to come until what was said is looked at again. Default: 1 second. */
  readonly interval?: Duration.Input | undefined
  /** The longest audio that is understood as a whole. Default: 15 seconds. */
  readonly maxSegment?: Duration.Input | undefined
}

/**
 * Makes a recogniser of one that understands whole utterances only.
 *
 * **Details**
 *
 * - For interim results, everything that has come since the last final one is understood again and again: one at a time,
 *   each time all that is there. A result like the one before is not told, and a failure is none until the audio has ended.
 * - When the audio has ended, what is under way is given up, and the final result is that of the whole.
 * - Audio longer than `maxSegment` is cut at the quietest place of its last third, and each part has a final result.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { SpeechToText } from "@apipeline/core"
 *
 * const counting = SpeechToText.fromTranscribe({
 *   name: "counting",
 *   sampleRate: 1000,
 *   transcribe: ({ length }) => Effect.succeed({ text: `${length} samples`, isFinal: true, start: 0, end: length })
 * })
 * const results = Stream.runCollect(counting.stream(Stream.make(new Int16Array(500), new Int16Array(500))))
 *
 * const all = await Effect.runPromise(results)
 * all.at(-1)?.text // => "1000 samples"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromTranscribe = (
  recognizer: Omit<Service, "stream">,
  { interval = "1 second", maxSegment = "15 seconds" }: FromTranscribeOptions = {}
): Service => ({
  ...recognizer,
  stream: streamOf(
    recognizer,
    DurationOption.positive("SpeechToText: interval", interval),
    DurationOption.positive("SpeechToText: maxSegment", maxSegment)
  )
})

/**
 * Another recogniser has taken over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Switched {
  readonly from: string
  readonly to: string
  readonly error: SpeechToTextError
}

/**
 * Options of {@link failover}.
 *
 * @category models
 * @since 0.1.0
 */
export interface FailoverOptions {
  /** Default: nothing. */
  readonly onSwitched?: ((event: Switched) => Effect.Effect<void>) | undefined
  /** How much audio of a stream is kept while there is no final result for it. Default: 1 minute. */
  readonly keep?: Duration.Input | undefined
}

/**
 * Makes one recogniser of several: when the one that is used fails, the next one gets the same audio, and is used from
 * then on. After the last comes the first. It fails when all of them have.
 *
 * **Details**
 *
 * A stream goes on where its last final result ended: what was said since then is given to the next recogniser again.
 * Audio comes at the rate of the first, and is resampled for others. `p99Latency` is that of the slowest.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { SpeechToText } from "@apipeline/core"
 *
 * const cause = new Error("no connection")
 * const error = new SpeechToText.SpeechToTextError({ recognizer: "cloud", isRetryable: true, cause })
 * const cloud = SpeechToText.fromTranscribe({ name: "cloud", sampleRate: 16000, transcribe: () => Effect.fail(error) })
 * const local = SpeechToText.fromTranscribe({
 *   name: "local",
 *   sampleRate: 16000,
 *   transcribe: () => Effect.succeed({ text: "hello", isFinal: true, start: 0, end: 1000 })
 * })
 *
 * const both = SpeechToText.failover([cloud, local])
 * Effect.runSync(both.transcribe(new Int16Array(16000))).text // => "hello"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const failover = (
  services: readonly [Service, ...ReadonlyArray<Service>],
  { keep = "1 minute", onSwitched }: FailoverOptions = {}
): Service => failoverOf(services, onSwitched, Duration.fromInputUnsafe(keep))

/**
 * Recognisers of several layers as one: see {@link failover}. All of them are built.
 *
 * @example
 * ```ts
 * import type { Layer } from "effect"
 * import { SpeechToText } from "@apipeline/core"
 *
 * const both = (cloud: Layer.Layer<SpeechToText.SpeechToText>, local: typeof cloud) =>
 *   SpeechToText.layerFailover([cloud, local])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFailover = <E, R>(
  layers: readonly [Layer.Layer<SpeechToText, E, R>, ...ReadonlyArray<Layer.Layer<SpeechToText, E, R>>],
  options?: FailoverOptions
): Layer.Layer<SpeechToText, E, R> => failoverLayer(SpeechToText, layers, (services) => failover(services, options))
