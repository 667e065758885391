/**
 * Understands English without a network, twice as fast as `Moonshine` and with the same models: for those who have
 * installed `sherpa-onnx-node`.
 *
 * @since 0.1.0
 */
import * as SpeechToText from "@apipeline/core/SpeechToText"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Recognizer from "./internal/recognizer.ts"
import type * as Moonshine from "./Moonshine.ts"

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Moonshine.Options {
  /** What is imported: a package or a URL. Default: `sherpa-onnx-node`. */
  readonly module?: string | undefined
}

/**
 * Makes a recogniser; its workers end with the scope. It is used like `Moonshine.make`, but an interrupted `transcribe`
 * that has begun, and an interim result that is in the way, are only dropped when they are done. A crash of the native
 * library ends the process.
 *
 * Without the package it fails with `SpeechEngine.MissingPackage` as the cause.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Moonshine, Sherpa } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const stt = yield* Effect.catch(Sherpa.make(), () => Moonshine.make())
 *   return yield* stt.transcribe(new Int16Array(16_000))
 * }).pipe(Effect.scoped)
 * ```
 *
 * Source: sherpa-onnx 1.13.8 (Apache-2.0), with the models of `@usefulsensors/moonshine-js` 0.1.7 (MIT).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<SpeechToText.Service, SpeechToText.SpeechToTextError, Scope.Scope> =>
  Recognizer.make("sherpa", "sherpaWorker", { ...options, model: options.model ?? "tiny" }, { tiny: 1000, base: 1500 })

/**
 * {@link make} as a layer. Provide it once, where the program begins.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { SpeechToText } from "@apipeline/core"
 * import { Moonshine, Sherpa } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const stt = yield* SpeechToText.SpeechToText
 *   return yield* stt.transcribe(new Int16Array(16_000))
 * }).pipe(Effect.provide(Layer.catch(Sherpa.layer(), () => Moonshine.layer())))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<SpeechToText.SpeechToText, SpeechToText.SpeechToTextError> =>
  Layer.effect(SpeechToText.SpeechToText, make(options))
