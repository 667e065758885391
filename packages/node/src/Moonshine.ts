/**
 * Understands English without a network: Moonshine, a neural recogniser, in workers.
 *
 * @since 0.1.0
 */
import * as SpeechToText from "@apipeline/core/SpeechToText"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Recognizer from "./internal/recognizer.ts"
import type { WorkerOptions } from "./SpeechEngine.ts"

/**
 * Options of {@link make} and {@link layer}. A worker with `tiny` takes 400 MB of memory, one with `base` 510 MB.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends WorkerOptions {
  /**
   * `tiny` understands 9 seconds of speech in one second of a core, `base` 4.5, with half as many errors in noise. They
   * load in 2 and 4 seconds. Default: `tiny`.
   */
  readonly model?: "tiny" | "base" | undefined
}

/**
 * Makes a recogniser; its workers end with the scope.
 *
 * **Details**
 *
 * - All who use it share its workers. A final result waits for a free worker, an interim one is only looked for when a
 *   worker is free, and gives way to a final one.
 * - An interrupted `transcribe` is taken back, or its worker stops between two words.
 * - When a worker crashes, another one is started, and does the same work again, once. What fails then, what takes longer
 *   than `timeout`, and what finds `maxWaiting` others waiting, is an error that can be retried.
 * - `stream` looks at what was said since the last final result again with every second of audio. Speech of more than 15
 *   seconds is cut where it is quietest; each part has a final result. When nothing was said since an interim result (all
 *   is 30 dB quieter), that is the final one, at once.
 * - The times of words are guessed from their length, within the part that is loud. Silence (below -60 dBFS) is `""`
 *   without a look at it.
 *
 * A package that is not installed is an error with `SpeechEngine.MissingPackage` as its cause, which names it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Moonshine } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const stt = yield* Moonshine.make({ model: "base" })
 *   const { text } = yield* stt.transcribe(new Int16Array(16_000))
 *   return text
 * }).pipe(Effect.scoped)
 * ```
 *
 * Source: the models of `@usefulsensors/moonshine-js` 0.1.7 (MIT), run by `onnxruntime-web` 1.22.0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<SpeechToText.Service, SpeechToText.SpeechToTextError, Scope.Scope> =>
  Recognizer.make("moonshine", "moonshineWorker", { ...options, model: options.model ?? "tiny" }, {
    tiny: 1500,
    base: 3000
  })

/**
 * {@link make} as a layer. Provide it once, where the program begins: each one that is built loads the model.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { SpeechToText } from "@apipeline/core"
 * import { Moonshine } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const stt = yield* SpeechToText.SpeechToText
 *   return yield* stt.transcribe(new Int16Array(16_000))
 * }).pipe(Effect.provide(Moonshine.layer({ workers: 2 })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<SpeechToText.SpeechToText, SpeechToText.SpeechToTextError> =>
  Layer.effect(SpeechToText.SpeechToText, make(options))
