/**
 * Says something when the bot cannot: silence after a failure is the worst of answers.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Frame from "./Frame.ts"
import * as Pcm from "./Pcm.ts"
import * as Processor from "./Processor.ts"
import { OutputAudioEndFrame } from "./TransportFrames.ts"
import { TtsSpeakFrame } from "./Tts.ts"
import { AggregatedTextFrame } from "./VoiceFrames.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `Apology`. */
  readonly name?: string | undefined
  /** What is said. Default: `Sorry, something went wrong. Please try again.` */
  readonly text?: string | undefined
  /** The text as audio, for when the voice itself may fail: mono, 16 bits. Default: the voice says it. */
  readonly audio?: { readonly samples: Int16Array; readonly sampleRate: number } | undefined
  /** The processors whose failures are apologised for. Default: `Llm`. */
  readonly processors?: ReadonlyArray<string> | undefined
  /** Failures within this time after an apology are covered by it. Default: 10 seconds. */
  readonly interval?: Duration.Input | undefined
}

/**
 * Makes a processor that says a text downstream when a processor behind it reports a failure. It stands before those:
 * failures travel upstream.
 *
 * **Details**
 *
 * - Without `audio`, the text is a `TtsSpeakFrame` that does not join the conversation of the model. With it, the audio
 *   itself is pushed, behind an `AggregatedTextFrame`.
 * - A failure that ends the task is not apologised for. `ErrorFrame`s go on.
 *
 * @example
 * ```ts
 * import { Apology, Pipeline, type Processor, Tts } from "@apipeline/core"
 *
 * const bot = (llm: Processor.Processor) => Pipeline.make(Apology.make({ text: "Sorry?" }), llm, Tts.make())
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor => {
  const { audio, processors = ["Llm"], text = "Sorry, something went wrong. Please try again." } = options
  const interval = Duration.toMillis(options.interval ?? "10 seconds")
  return Processor.effect(
    options.name ?? "Apology",
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let last = -Infinity
      const frames = (): ReadonlyArray<Frame.Frame> =>
        audio === undefined
          ? [TtsSpeakFrame.make({ text, appendToContext: false })]
          : [
            AggregatedTextFrame.make({ text, aggregatedBy: "sentence", willBeSpoken: true }),
            Frame.AudioRawFrame.make({
              audio: Pcm.fromInt16(audio.samples),
              sampleRate: audio.sampleRate,
              numChannels: 1
            }),
            OutputAudioEndFrame.make()
          ]
      return {
        upstream: {
          ErrorFrame: (frame: Frame.ErrorFrame, context: Processor.ProcessorContext) =>
            Effect.suspend(() => {
              const now = clock.currentTimeMillisUnsafe()
              const isOurs = !frame.fatal && processors.includes(frame.processor ?? "")
              if (!isOurs || now - last < interval) return context.push(frame)
              last = now
              return Effect.andThen(
                context.push(frame),
                Effect.forEach(frames(), context.pushDownstream, { discard: true })
              )
            })
        }
      }
    })
  )
}
