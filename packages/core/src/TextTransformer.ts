/**
 * Changes the text of text frames, by a pure or an effectful function.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"

/**
 * Options of a transformer, and of any processor: with a `capacity` it has a mailbox and a fiber of its own.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<Processor.Options, "capacity" | "strategy" | "onError"> {
  /** Default: `TextTransformer`. */
  readonly name?: string | undefined
}

const withText = (frame: Frame.TextFrame, text: string): Frame.TextFrame =>
  Frame.TextFrame.make({ text, pts: frame.pts, metadata: frame.metadata })

/**
 * Makes a processor that replaces each downstream text frame by a new one, with `f` of its text and the same `pts` and
 * metadata. When `f` throws, that is a defect. All other frames pass.
 *
 * @example
 * ```ts
 * import { Pipeline, SentenceAggregator, TextTransformer } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(
 *   SentenceAggregator.make(),
 *   TextTransformer.map((text) => text.toUpperCase(), { name: "Upper" })
 * )
 * ```
 *
 * Source: `StatelessTextTransformer` of pipeline-py and pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const map = (f: (text: string) => string, options: Options = {}): Processor.Processor =>
  Processor.sync(options.name ?? "TextTransformer", {
    TextFrame: (frame, push) => push(withText(frame, f(frame.text)))
  }, options)

/**
 * Makes a processor that replaces each downstream text frame by a new one, with what `f` of its text succeeds with and
 * the same `pts` and metadata. All other frames pass, in order.
 *
 * The next frame waits until `f` is done. An interruption stops `f`, and a failure is reported: that frame is not
 * pushed, the next one is transformed.
 *
 * @example
 * ```ts
 * import { Effect, Schema } from "effect"
 * import { Pipeline, TextTransformer } from "@apipeline/core"
 *
 * class NoSuchWord extends Schema.TaggedError<NoSuchWord>()("NoSuchWord", { word: Schema.String }) {}
 *
 * const words = new Map([["hello", "bonjour"]])
 * const translate = TextTransformer.mapEffect((word) =>
 *   words.has(word) ? Effect.succeed(words.get(word)!) : Effect.fail(new NoSuchWord({ word }))
 * )
 * const pipeline = Pipeline.make(translate) // Pipeline<NoSuchWord>
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const mapEffect = <E, R>(
  f: (text: string) => Effect.Effect<string, E, R>,
  options: Options = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> =>
  Processor.effect(options.name ?? "TextTransformer", {
    TextFrame: (frame: Frame.TextFrame, { push }: Processor.ProcessorContext) =>
      Effect.flatMap(f(frame.text), (text) => push(withText(frame, text)))
  }, options)
