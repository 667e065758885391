/**
 * A `SpeechToText` that speaks OpenAI's `POST /audio/transcriptions`, as OpenAI, Groq, faster-whisper servers, LocalAI and
 * others do.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { parseJson } from "./internal/openAi/failure.ts"
import { type Entry, multipart } from "./internal/openAi/multipart.ts"
import * as OpenAiClient from "./OpenAiClient.ts"
import * as SpeechToText from "./SpeechToText.ts"
import * as Wav from "./Wav.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** As the service calls it: `whisper-1`. */
  readonly model: string
  /** Whether times of words are asked for, by `verbose_json`: not every model has them. Default: false. */
  readonly words?: boolean | undefined
  /** Words that are likely: names, jargon. Default: none. */
  readonly prompt?: string | undefined
  /** Hz. Default: 16000. */
  readonly sampleRate?: number | undefined
  /** BCP 47, when the caller names none. Default: the service finds out. */
  readonly language?: string | undefined
  /** How much more audio has to come for an interim result: each one is a request of everything that was said. Default: none. */
  readonly interval?: Duration.Input | undefined
  /** Milliseconds. Default: not known. */
  readonly p99Latency?: number | undefined
}

const path = "/audio/transcriptions"

const Answer = Schema.Struct({
  text: Schema.String,
  words: Schema.optional(Schema.NullOr(Schema.Array(Schema.Struct({
    word: Schema.String,
    start: Schema.Finite,
    end: Schema.Finite
  }))))
})
const decodeAnswer = Schema.decodeUnknownResult(Answer)

/** OpenAI takes files of up to 25 MB: 13 minutes at 16 kHz. */
const maxSegment = Duration.minutes(10)

/** Seconds: services refuse less, and there is no word in it. */
const shortest = 0.1

const isSilent = (audio: Int16Array): boolean => audio.every((sample) => sample === 0)

/**
 * Makes the recogniser.
 *
 * **Details**
 *
 * - The protocol knows whole utterances only: `stream` listens until the audio ends, or for ten minutes, and gives one
 *   final result; with an `interval`, what has come is sent again and again for interim results.
 * - Digital silence, and what is shorter than a tenth of a second, is not sent.
 * - `language` is sent as the protocol wants it: `de` for `de-AT`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { OpenAiClient, OpenAiSpeechToText } from "@apipeline/core"
 *
 * const stt = OpenAiSpeechToText.layer({ model: "whisper-1", words: true }).pipe(
 *   Layer.provide(OpenAiClient.layerConfig()),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * Source: OpenAI's API reference, Create transcription.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<SpeechToText.Service, never, OpenAiClient.OpenAiClient> =>
  Effect.map(OpenAiClient.OpenAiClient, (client) => {
    const sampleRate = options.sampleRate ?? 16_000

    const fail = (error: OpenAiClient.OpenAiError): SpeechToText.SpeechToTextError =>
      new SpeechToText.SpeechToTextError({ recognizer: "openai-compat", isRetryable: error.isRetryable, cause: error })

    const transcribe: SpeechToText.Service["transcribe"] = Effect.fnUntraced(function*(audio, { language } = {}) {
      const end = audio.length * 1000 / sampleRate
      const spoken = language ?? options.language
      const about = { isFinal: true, start: 0, end, ...spoken !== undefined && { language: spoken } }
      if (audio.length < shortest * sampleRate || isSilent(audio)) return { ...about, text: "" }
      const entries: ReadonlyArray<Entry> = [
        ["model", options.model],
        ["response_format", options.words === true ? "verbose_json" : "json"],
        ...options.words === true ? [["timestamp_granularities[]", "word"] as const] : [],
        ...spoken === undefined ? [] : [["language", spoken.replace(/-.*/, "")] as const],
        ...options.prompt === undefined ? [] : [["prompt", options.prompt] as const],
        ["file", Wav.encode(audio, { sampleRate, numChannels: 1 }), { name: "audio.wav", type: "audio/wav" }]
      ]
      const boundary = `apipeline-${(yield* Random.next).toString(36).slice(2)}${
        (yield* Random.next).toString(36).slice(2)
      }`
      const response = yield* client.post(path, multipart(entries, boundary), (type) => type === "application/json")
      const text = yield* client.text(response)
      const answer = decodeAnswer(parseJson(text))
      if (Result.isFailure(answer)) {
        return yield* new OpenAiClient.OpenAiError({
          reason: "response",
          description: `found ${JSON.stringify(text.slice(0, 200))}: ${answer.failure.message}`,
          isRetryable: false
        })
      }
      const words = options.words === true ? answer.success.words : undefined
      return {
        ...about,
        text: answer.success.text.trim(),
        ...words && {
          words: words.map(({ end, start, word }) => ({ text: word.trim(), start: start * 1000, end: end * 1000 }))
        }
      }
    }, Effect.mapError(fail))

    return SpeechToText.fromTranscribe({
      name: "openai-compat",
      model: options.model,
      sampleRate,
      p99Latency: options.p99Latency,
      transcribe
    }, { interval: options.interval ?? Duration.infinity, maxSegment })
  })

/**
 * {@link make} as a layer.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { OpenAiClient, OpenAiSpeechToText, PipelineTask, Stt } from "@apipeline/core"
 *
 * const recognizer = OpenAiSpeechToText.layer({ model: "whisper-1" }).pipe(
 *   Layer.provide(OpenAiClient.layer({ apiKey: Redacted.make("sk-...") })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * const task = PipelineTask.make(Stt.make()).pipe(Effect.provide(recognizer))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Layer.Layer<SpeechToText.SpeechToText, never, OpenAiClient.OpenAiClient> =>
  Layer.effect(SpeechToText.SpeechToText, make(options))
