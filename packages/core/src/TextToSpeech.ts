/**
 * Turns text into speech: a service that engines and vendors implement. `Tts` is the processor that uses it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import { failoverLayer } from "./internal/speech/failoverLayer.ts"
import { failoverOf } from "./internal/speech/textToSpeech.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A voice could not be made, or has failed.
 *
 * @example
 * ```ts
 * import { TextToSpeech } from "@apipeline/core"
 *
 * const cause = new Error("there is no voice `sam`")
 * const error = new TextToSpeech.TextToSpeechError({ synthesizer: "flite", isRetryable: false, cause })
 * error.message // => "flite: there is no voice `sam`"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TextToSpeechError extends Schema.TaggedError<TextToSpeechError>()("TextToSpeechError", {
  /** Which implementation. */
  synthesizer: Schema.String,
  /** Whether the same text may be spoken if it is tried again. */
  isRetryable: Schema.Boolean,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.synthesizer}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A part of speech: audio, or a word and when it begins, in milliseconds from the beginning of the text. A word comes
 * before the audio that it is in, or together with the first of it.
 *
 * @category models
 * @since 0.1.0
 */
export type Part =
  | {
    readonly _tag: "Audio"
    /** Mono, 16 bits, at the service's `sampleRate`. */
    readonly samples: Int16Array
  }
  | { readonly _tag: "Word"; readonly text: string; readonly start: number }

/**
 * How a text is to be spoken.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** One of the service's `voices`. Default: the first. */
  readonly voice?: string | undefined
  /** 2 is twice as fast. Default: 1. */
  readonly speed?: number | undefined
  /** BCP 47. Default: what the voice speaks. */
  readonly language?: string | undefined
}

/**
 * A synthesiser of speech.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** Which implementation, for errors and logs: `flite`. */
  readonly name: string
  /** For metrics. */
  readonly model?: string | undefined
  /** Hz: what it makes. */
  readonly sampleRate: number
  /** At least one. */
  readonly voices: ReadonlyArray<string>
  /**
   * Speaks a text, most often a sentence. A text with nothing to say gives no audio. When nothing is read any more,
   * the work ends.
   */
  readonly synthesize: (text: string, options?: Options) => Stream.Stream<Part, TextToSpeechError>
}

/**
 * The service that speaks.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { TextToSpeech } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const tts = yield* TextToSpeech.TextToSpeech
 *   return yield* Stream.runCollect(tts.synthesize("Hello."))
 * })
 * const beep = TextToSpeech.TextToSpeech.of({
 *   name: "beep",
 *   sampleRate: 16000,
 *   voices: ["beep"],
 *   synthesize: () => Stream.succeed({ _tag: "Audio", samples: new Int16Array(320) })
 * })
 *
 * Effect.runSync(Effect.provideService(program, TextToSpeech.TextToSpeech, beep)).length // => 1
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TextToSpeech extends Context.Service<TextToSpeech, Service>()("@apipeline/core/TextToSpeech") {}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Another synthesiser has taken over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Switched {
  readonly from: string
  readonly to: string
  readonly error: TextToSpeechError
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
}

/**
 * Makes one synthesiser of several: when the one that is used fails, the next one says the text, and is used from then
 * on. After the last comes the first. It fails when all of them have.
 *
 * **Details**
 *
 * In the middle of a text, one that tells of its words goes on with the word that was cut, if the one before told of them,
 * too; otherwise the text is said once more. Audio comes at the rate of the first, and that of others is resampled. A voice
 * that only another one has is the default one of the one in use.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { TextToSpeech } from "@apipeline/core"
 *
 * const cause = new Error("no connection")
 * const error = new TextToSpeech.TextToSpeechError({ synthesizer: "cloud", isRetryable: true, cause })
 * const cloud = { name: "cloud", sampleRate: 16000, voices: ["nova"], synthesize: () => Stream.fail(error) }
 * const beep: TextToSpeech.Service = {
 *   name: "beep",
 *   sampleRate: 16000,
 *   voices: ["beep"],
 *   synthesize: () => Stream.succeed({ _tag: "Audio", samples: new Int16Array(320) })
 * }
 *
 * const parts = Stream.runCollect(TextToSpeech.failover([cloud, beep]).synthesize("Hello.", { voice: "nova" }))
 * Effect.runSync(parts).length // => 1
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const failover = (
  services: readonly [Service, ...ReadonlyArray<Service>],
  { onSwitched }: FailoverOptions = {}
): Service => failoverOf(services, onSwitched)

/**
 * Synthesisers of several layers as one: see {@link failover}. All of them are built.
 *
 * @example
 * ```ts
 * import type { Layer } from "effect"
 * import { TextToSpeech } from "@apipeline/core"
 *
 * const both = (cloud: Layer.Layer<TextToSpeech.TextToSpeech>, local: typeof cloud) =>
 *   TextToSpeech.layerFailover([cloud, local])
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFailover = <E, R>(
  layers: readonly [Layer.Layer<TextToSpeech, E, R>, ...ReadonlyArray<Layer.Layer<TextToSpeech, E, R>>],
  options?: FailoverOptions
): Layer.Layer<TextToSpeech, E, R> => failoverLayer(TextToSpeech, layers, (services) => failover(services, options))
