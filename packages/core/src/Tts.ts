/**
 * Says what the bot has to say: text goes in, audio and words come out. The processor of the service `TextToSpeech`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Frame from "./Frame.ts"
import * as DurationOption from "./internal/durationOption.ts"
import { retryTwice } from "./internal/retryTwice.ts"
import { settingsHandler } from "./internal/speech/serviceSettings.ts"
import { SegmentFrame, speaker } from "./internal/speech/speaker.ts"
import { sayable } from "./internal/speech/spoken.ts"
import { Segment, Synthesis } from "./internal/speech/synthesis.ts"
import * as Pipeline from "./Pipeline.ts"
import * as Processor from "./Processor.ts"
import * as Sentence from "./Sentence.ts"
import { ServiceSettingsFrame } from "./ServiceSwitcher.ts"
import * as TextAggregator from "./TextAggregator.ts"
import * as TextToSpeech from "./TextToSpeech.ts"
import { LlmResponseEndFrame, LlmResponseStartFrame, LlmTextFrame } from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// frames
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Says a text, whatever the model says. With `appendToContext: false` the model does not hear of it.
 *
 * @example
 * ```ts
 * import { Tts } from "@apipeline/core"
 *
 * Tts.TtsSpeakFrame.make({ text: "One moment, please." }).kind // => "data"
 * ```
 *
 * Source: `TTSSpeakFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class TtsSpeakFrame extends Frame.App<TtsSpeakFrame>()("TtsSpeakFrame", {
  text: Schema.String,
  appendToContext: Schema.optionalKey(Schema.Boolean)
}) {}

/**
 * As {@link TtsSpeakFrame}, but an interruption does not cut it: the sentence that is being said begins again, and those
 * after it follow.
 *
 * **Gotchas**
 *
 * What has reached the output is cut there. Where every word has to be heard without a break, mute the user.
 *
 * @example
 * ```ts
 * import { Tts } from "@apipeline/core"
 *
 * Tts.TtsAnnounceFrame.make({ text: "This call is recorded." }).uninterruptible // => true
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class TtsAnnounceFrame extends Frame.App<TtsAnnounceFrame>()("TtsAnnounceFrame", {
  text: Schema.String,
  appendToContext: Schema.optionalKey(Schema.Boolean)
}, { uninterruptible: true }) {}

const settingsFields = {
  voice: Schema.optionalKey(Schema.String),
  speed: Schema.optionalKey(Schema.Finite),
  language: Schema.optionalKey(Schema.String)
}

/**
 * How everything is spoken that comes from now on; what is not given stays. `speed`: 2 is twice as fast. `language`:
 * BCP 47. Goes on.
 *
 * @example
 * ```ts
 * import { Tts } from "@apipeline/core"
 *
 * Tts.TtsUpdateFrame.make({ voice: "slt", speed: 1.2 }).uninterruptible // => true
 * ```
 *
 * Source: `TTSUpdateSettingsFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class TtsUpdateFrame extends Frame.App<TtsUpdateFrame>()("TtsUpdateFrame", settingsFields, {
  kind: "control",
  uninterruptible: true
}) {}

const Settings = Schema.Struct(settingsFields)

// ---------------------------------------------------------------------------------------------------------------------
// processor
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Changes text before it is spoken. `MarkdownFilter.makeFilter` makes one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Filter {
  readonly filter: (text: string) => string
  /** An interruption: what comes next does not follow what came before. */
  readonly reset?: (() => void) | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends TextToSpeech.Options {
  /** Default: `Tts`. */
  readonly name?: string | undefined
  /** What is spoken in one piece: a sentence, or what the model gives, as it comes. Default: `sentence`. */
  readonly aggregation?: TextAggregator.Mode | undefined
  /** Spans that are not taken apart: see `Sentence.Options`. */
  readonly tags?: ReadonlyArray<Sentence.TagPair> | undefined
  /** Each makes a filter for one task; they are applied in order, to each piece. Default: none. */
  readonly filters?: ReadonlyArray<() => Filter> | undefined
  /** How many pieces are made while one is being spoken. Default: 1. */
  readonly lookAhead?: number | undefined
  /** When a piece is tried again after a failure for which that may help. Default: twice, after 100 and 200 ms. */
  readonly retry?: Schedule.Schedule<unknown, TextToSpeech.TextToSpeechError> | undefined
  /** How long the service may take for the first, and for each other, part of a piece. Default: 10 seconds. */
  readonly timeout?: Duration.Input | undefined
}

const twice = retryTwice("100 millis")

/**
 * Makes a processor (or rather two in a row) that speaks the text of a model.
 *
 * **Details**
 *
 * - The `LlmTextFrame`s of an answer become sentences, and go no further. Of each sentence come an `AggregatedTextFrame`
 *   and then its audio, at the service's rate, with a `TtsTextFrame` for each word right before the audio it is in. All
 *   that is spoken comes between `TtsStartedFrame` and `TtsStoppedFrame`. Everything else passes, in order.
 * - The words, put together, are the text that is spoken. When each is spoken is what the service tells; otherwise it is
 *   estimated, from the length of the text.
 * - While a sentence is spoken, the next one is being made. The first audio of a sentence goes on as soon as it is there.
 * - An interruption cuts all of it, with the exception of {@link TtsAnnounceFrame}s, and nothing follows it.
 * - A failure that may pass is tried again, by the schedule `retry`, and goes on where the audio ended. Then it is
 *   reported, as `unusable` when trying again is of no use; what could not be said goes on as an `AggregatedTextFrame`
 *   that will not be spoken, and the next sentence is tried. See `TextToSpeech.failover` for another service to take over.
 * - An answer whose `LlmResponseStartFrame` says `skipTts` passes unspoken, with an `AggregatedTextFrame` for each
 *   sentence. So does a sentence without a letter or a digit.
 * - A `ServiceSettingsFrame` with a `voice`, `speed` or `language` does what a {@link TtsUpdateFrame} does, unless it is for
 *   another name than that of the options.
 * - Metrics: TTFB and processing time of each sentence, from when it is given to the service, and the time to the first
 *   sound (`Ttfa`) of each speech; usage is its characters.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { MarkdownFilter, Pipeline, PipelineTask, TextToSpeech, Tts } from "@apipeline/core"
 *
 * const beep: TextToSpeech.Service = {
 *   name: "beep",
 *   sampleRate: 16000,
 *   voices: ["beep"],
 *   synthesize: () => Stream.succeed({ _tag: "Audio", samples: new Int16Array(1600) })
 * }
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Pipeline.make(Tts.make({ filters: [() => MarkdownFilter.makeFilter()] })))
 *   yield* task.queueFrame(Tts.TtsSpeakFrame.make({ text: "**Hello** there." }))
 *   yield* task.stopWhenDone
 *   return (yield* Stream.runCollect(task.output)).map((frame) => frame._tag)
 * }).pipe(Effect.scoped, Effect.provideService(TextToSpeech.TextToSpeech, beep))
 *
 * const spoken = await Effect.runPromise(program)
 * spoken.slice(1, 4) // => ["TtsStartedFrame", "AggregatedTextFrame", "TtsTextFrame"]
 * ```
 *
 * Source: `TTSService` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Pipeline.Pipeline<never, TextToSpeech.TextToSpeech> =>
  build(TextToSpeech.TextToSpeech, options)

/**
 * As {@link make}, with a service that is given: for several of them in one pipeline, as in a `ServiceSwitcher`.
 *
 * @example
 * ```ts
 * import { ServiceSwitcher, type TextToSpeech, Tts } from "@apipeline/core"
 *
 * const either = (first: TextToSpeech.Service, second: TextToSpeech.Service) =>
 *   ServiceSwitcher.make({ first: Tts.fromService(first), second: Tts.fromService(second) }, {
 *     strategy: ServiceSwitcher.failover
 *   })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromService = (service: TextToSpeech.Service, options: Options = {}): Pipeline.Pipeline =>
  build(Effect.succeed(service), options)

const build = <R>(acquire: Effect.Effect<TextToSpeech.Service, never, R>, options: Options) => {
  const { aggregation = "sentence", lookAhead = 1, name = "Tts", retry = twice, tags } = options
  const timeout = DurationOption.positiveFinite("Tts: timeout", options.timeout ?? "10 seconds")
  if (!Number.isInteger(lookAhead) || lookAhead < 0) {
    throw new TypeError(`Tts: lookAhead: found ${lookAhead}, expected an integer of at least 0`)
  }
  const text = Processor.effect(
    `${name}.text`,
    Effect.gen(function*() {
      const service = yield* acquire
      const synthesis = new Synthesis({
        service,
        clock: yield* Clock.Clock,
        scope: yield* Effect.scope,
        limit: 1 + lookAhead,
        retry,
        timeout
      })
      const aggregator = TextAggregator.makeAggregator({ mode: aggregation, tags })
      const filters = (options.filters ?? []).map((make) => make())
      let speech: TextToSpeech.Options = given(options)
      let answering = false
      let skipping = false

      const say = (
        pieces: ReadonlyArray<string>,
        context: Processor.ProcessorContext,
        frame: { readonly appendToContext?: boolean | undefined; readonly uninterruptible?: boolean } = {}
      ): Effect.Effect<void> => {
        const { appendToContext = true, uninterruptible = false } = frame
        const solid = pieces.filter((text) => text.trim() !== "")
        return Effect.forEach(solid, (text, i) => {
          const spoken = skipping ? text : filters.reduce((text, { filter }) => filter(text), text)
          const segment = new Segment({
            text,
            spoken,
            aggregatedBy: aggregation,
            aloud: !skipping && sayable.test(spoken),
            closes: !answering && i === solid.length - 1,
            appendToContext,
            uninterruptible,
            speech
          })
          return Effect.andThen(
            segment.aloud ? synthesis.add(segment) : Effect.void,
            context.push(SegmentFrame.make({ segment }))
          )
        }, { discard: true })
      }

      const flush = (context: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.suspend(() => say(aggregator.flush().map(({ text }) => text), context))

      const speak = (frame: TtsSpeakFrame | TtsAnnounceFrame, context: Processor.ProcessorContext) =>
        Effect.suspend(() => {
          const skipped = skipping
          skipping = false
          const all = say(Sentence.split(frame.text, { tags }), context, frame)
          return Effect.ensuring(
            all,
            Effect.sync(() => {
              skipping = skipped
            })
          )
        })

      const update = (found: TextToSpeech.Options, { report }: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.suspend(() => {
          const { voice } = found
          const isKnown = voice === undefined || service.voices.includes(voice)
          speech = { ...speech, ...given(isKnown ? found : { ...found, voice: undefined }) }
          return isKnown ? Effect.void : report(unknownVoice(service, voice))
        })

      const settings = settingsHandler(
        Settings,
        () => name,
        update,
        (cause) => new TextToSpeech.TextToSpeechError({ synthesizer: service.name, isRetryable: false, cause })
      )

      return {
        LlmResponseStartFrame: (frame: LlmResponseStartFrame, context: Processor.ProcessorContext) =>
          Effect.andThen(
            flush(context),
            Effect.suspend(() => {
              answering = true
              skipping = frame.skipTts === true
              return context.push(frame)
            })
          ),
        LlmTextFrame: (frame: LlmTextFrame, context: Processor.ProcessorContext) =>
          Effect.andThen(
            Effect.suspend(() => skipping ? context.push(frame) : Effect.void),
            Effect.suspend(() => say(aggregator.push(frame.text).map(({ text }) => text), context))
          ),
        LlmResponseEndFrame: (frame: LlmResponseEndFrame, context: Processor.ProcessorContext) =>
          Effect.andThen(
            flush(context),
            Effect.suspend(() => {
              answering = skipping = false
              return context.push(frame)
            })
          ),
        TtsSpeakFrame: speak,
        TtsAnnounceFrame: speak,
        TtsUpdateFrame: (frame: TtsUpdateFrame, context: Processor.ProcessorContext) =>
          Effect.andThen(update(frame, context), context.push(frame)),
        ServiceSettingsFrame: settings,
        upstream: { ServiceSettingsFrame: settings },
        onInterruption: (_: Frame.StartInterruptionFrame, { pushDownstream }: Processor.ProcessorContext) =>
          Effect.suspend(() => {
            aggregator.reset()
            for (const { reset } of filters) reset?.()
            answering = skipping = false
            return Effect.forEach(synthesis.cut(), (segment) => pushDownstream(SegmentFrame.make({ segment })), {
              discard: true
            })
          }),
        onEnd: (_: Frame.EndFrame, context: Processor.ProcessorContext) => flush(context)
      }
    }),
    {
      frames: [
        LlmResponseEndFrame,
        LlmResponseStartFrame,
        LlmTextFrame,
        ServiceSettingsFrame,
        TtsAnnounceFrame,
        TtsSpeakFrame,
        TtsUpdateFrame
      ]
    }
  )
  return Pipeline.make(text, speaker(name, acquire))
}

/** Without what is not given. */
const given = ({ language, speed, voice }: TextToSpeech.Options): TextToSpeech.Options => ({
  ...voice !== undefined && { voice },
  ...speed !== undefined && { speed },
  ...language !== undefined && { language }
})

const unknownVoice = ({ name, voices }: TextToSpeech.Service, found: string): TextToSpeech.TextToSpeechError =>
  new TextToSpeech.TextToSpeechError({
    synthesizer: name,
    isRetryable: false,
    cause: new Error(`voice: found ${JSON.stringify(found)}, expected one of ${voices.join(", ")}`)
  })
