/**
 * Speech without a key and without a network: Silero, Moonshine and flite in one layer.
 *
 * @since 0.1.0
 */
import * as SpeechToText from "@apipeline/core/SpeechToText"
import type * as TextToSpeech from "@apipeline/core/TextToSpeech"
import type * as VoiceActivity from "@apipeline/core/VoiceActivity"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Flite from "./Flite.ts"
import * as Moonshine from "./Moonshine.ts"
import * as Sherpa from "./Sherpa.ts"
import * as Silero from "./Silero.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly stt?: Sherpa.Options | undefined
  readonly tts?: Flite.Options | undefined
  readonly vad?: Silero.Options | undefined
}

const isMissing = (error: SpeechToText.SpeechToTextError): boolean =>
  typeof error.cause === "object" && error.cause !== null && "_tag" in error.cause &&
  error.cause._tag === "MissingPackage"

/**
 * Voice activity, recognition and synthesis. Recognition is that of `Sherpa` when `sherpa-onnx-node` is installed, and of
 * `Moonshine` otherwise.
 *
 * **Details**
 *
 * It loads when it is built, in 2 to 4 seconds, and takes some 700 MB of memory and three threads, however many
 * conversations there are: provide it once, where the program begins. When its scope closes, the threads end.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { SpeechToText } from "@apipeline/core"
 * import { SpeechDefaults } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const stt = yield* SpeechToText.SpeechToText
 *   return stt.name
 * }).pipe(Effect.provide(SpeechDefaults.layer({ stt: { model: "base" }, tts: { voice: "rms" } })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<
  SpeechToText.SpeechToText | TextToSpeech.TextToSpeech | VoiceActivity.VoiceActivity,
  SpeechToText.SpeechToTextError | TextToSpeech.TextToSpeechError | VoiceActivity.VoiceActivityError
> =>
  Layer.mergeAll(
    Layer.effect(
      SpeechToText.SpeechToText,
      Effect.catchIf(Sherpa.make(options.stt), isMissing, () => Moonshine.make(options.stt))
    ),
    Flite.layer(options.tts),
    Silero.layer(options.vad)
  )
