/**
 * A `TextToSpeech` that speaks OpenAI's `POST /audio/speech`, as OpenAI, Kokoro and Piper servers, LocalAI and others do.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpBody from "effect/http/HttpBody"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as OpenAiClient from "./OpenAiClient.ts"
import * as Pcm from "./Pcm.ts"
import * as TextToSpeech from "./TextToSpeech.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** As the service calls it: `tts-1`. */
  readonly model: string
  /** What the service calls its voices; the first is the default. Default: those that all of OpenAI's models have. */
  readonly voices?: readonly [string, ...ReadonlyArray<string>] | undefined
  /** How to speak, for models that take it: `cheerful`. Default: nothing is said about it. */
  readonly instructions?: string | undefined
  /** Hz of what the service sends. Default: 24000. */
  readonly sampleRate?: number | undefined
}

const path = "/audio/speech"

const raw = new Set(["audio/pcm", "audio/l16", "audio/x-raw", "audio/raw", "application/octet-stream", ""])

const noVoice = (voice: string, voices: ReadonlyArray<string>): OpenAiClient.OpenAiError =>
  new OpenAiClient.OpenAiError({
    reason: "response",
    description: `voice: found ${JSON.stringify(voice)}, expected one of ${voices.join(", ")}`,
    isRetryable: false
  })

/**
 * Makes the synthesiser.
 *
 * **Details**
 *
 * - Audio is given as it comes, in the pieces in which it comes. When nobody reads on, the request is aborted.
 * - The protocol tells no times of words, and takes no language.
 * - `speed` is from 0.25 to 4.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { OpenAiClient, OpenAiTextToSpeech } from "@apipeline/core"
 *
 * const tts = OpenAiTextToSpeech.layer({ model: "kokoro", voices: ["af_heart", "bm_lewis"] }).pipe(
 *   Layer.provide(OpenAiClient.layer({ baseUrl: "http://127.0.0.1:8880/v1" })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * Source: OpenAI's API reference, Create speech.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<TextToSpeech.Service, never, OpenAiClient.OpenAiClient> =>
  Effect.map(OpenAiClient.OpenAiClient, (client) => {
    const voices = options.voices ?? ["alloy", "echo", "fable", "onyx", "nova", "shimmer"]

    const fail = (error: OpenAiClient.OpenAiError): TextToSpeech.TextToSpeechError =>
      new TextToSpeech.TextToSpeechError({ synthesizer: "openai-compat", isRetryable: error.isRetryable, cause: error })

    const request = (input: string, { speed, voice = voices[0]! }: TextToSpeech.Options) =>
      voices.includes(voice)
        ? client.post(
          path,
          HttpBody.jsonUnsafe({
            model: options.model,
            voice,
            input,
            response_format: "pcm",
            ...speed !== undefined && { speed: Math.min(4, Math.max(0.25, speed)) },
            ...options.instructions !== undefined && { instructions: options.instructions }
          }),
          (type) => raw.has(type)
        )
        : Effect.fail(noVoice(voice, voices))

    return {
      name: "openai-compat",
      model: options.model,
      sampleRate: options.sampleRate ?? 24_000,
      voices,
      synthesize: (text, settings = {}) =>
        // not a single letter to say: services refuse that
        text.trim() === ""
          ? Stream.empty
          : Stream.unwrap(
            Effect.map(request(text, settings), (response) => client.withTimeout(samples(client.stream(response))))
          ).pipe(
            Stream.map((samples): TextToSpeech.Part => ({ _tag: "Audio", samples })),
            Stream.mapError(fail)
          )
    }
  })

/** Bytes in any pieces as samples; half a sample waits for its other half. */
const samples = (
  bytes: Stream.Stream<Uint8Array, OpenAiClient.OpenAiError>
): Stream.Stream<Int16Array, OpenAiClient.OpenAiError> =>
  Stream.suspend(() => {
    let rest: Uint8Array = new Uint8Array(0)
    return bytes.pipe(
      Stream.map((chunk) => {
        const all = new Uint8Array(rest.length + chunk.length)
        all.set(rest)
        all.set(chunk, rest.length)
        rest = all.slice(all.length - all.length % 2)
        return Pcm.toInt16Unsafe(all.subarray(0, all.length - rest.length))
      }),
      Stream.filter((samples) => samples.length > 0),
      Stream.concat(Stream.suspend(() => rest.length === 0 ? Stream.empty : Stream.fail(half)))
    )
  })

const half = new OpenAiClient.OpenAiError({
  reason: "connection",
  description: "the audio ended within a sample",
  isRetryable: true
})

/**
 * {@link make} as a layer.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { OpenAiClient, OpenAiTextToSpeech, PipelineTask, Tts } from "@apipeline/core"
 *
 * const voice = OpenAiTextToSpeech.layer({ model: "tts-1" }).pipe(
 *   Layer.provide(OpenAiClient.layer({ apiKey: Redacted.make("sk-...") })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * const task = PipelineTask.make(Tts.make()).pipe(Effect.provide(voice))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<TextToSpeech.TextToSpeech, never, OpenAiClient.OpenAiClient> =>
  Layer.effect(TextToSpeech.TextToSpeech, make(options))
