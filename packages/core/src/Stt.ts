/**
 * Hears what the user says: audio goes in, transcriptions come out. The processor of the service `SpeechToText`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Frame from "./Frame.ts"
import { AudioReplay } from "./internal/audio/audioReplay.ts"
import { type Converter, isAlike, makeConverter } from "./internal/audio/monoAudio.ts"
import * as DurationOption from "./internal/durationOption.ts"
import { retryTwice } from "./internal/retryTwice.ts"
import { Recognition } from "./internal/speech/recognition.ts"
import { settingsHandler } from "./internal/speech/serviceSettings.ts"
import { Utterance } from "./internal/speech/utterance.ts"
import * as Pcm from "./Pcm.ts"
import * as Processor from "./Processor.ts"
import { RequestMetadataFrame, ServiceSettingsFrame } from "./ServiceSwitcher.ts"
import * as SpeechToText from "./SpeechToText.ts"
import { VadParamsFrame } from "./Vad.ts"
import {
  UserMuteStartedFrame,
  UserMuteStoppedFrame,
  VadUserStartedSpeakingFrame,
  VadUserStoppedSpeakingFrame
} from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// frames
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How late transcriptions come after the end of speech, in 99 of 100 cases, in milliseconds: strategies for the end of a
 * turn wait that long. Follows `StartFrame`, and answers a `RequestMetadataFrame`.
 *
 * @example
 * ```ts
 * import { Stt } from "@apipeline/core"
 *
 * Stt.SttMetadataFrame.make({ service: "moonshine", p99Latency: 1000 }).kind // => "control"
 * ```
 *
 * Source: `STTMetadataFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class SttMetadataFrame extends Frame.App<SttMetadataFrame>()("SttMetadataFrame", {
  service: Schema.String,
  p99Latency: Schema.Finite
}, { kind: "control", uninterruptible: true }) {}

/**
 * The user speaks another language from now on (BCP 47): the next utterance is understood as that, in continuous mode
 * what follows. Goes on.
 *
 * @example
 * ```ts
 * import { Stt } from "@apipeline/core"
 *
 * Stt.SttUpdateFrame.make({ language: "de" }).uninterruptible // => true
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class SttUpdateFrame extends Frame.App<SttUpdateFrame>()("SttUpdateFrame", {
  language: Schema.String
}, { kind: "control", uninterruptible: true }) {}

// ---------------------------------------------------------------------------------------------------------------------
// processor
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `Stt`. */
  readonly name?: string | undefined
  /**
   * `segmented`: what is said between `VadUserStartedSpeakingFrame` and `VadUserStoppedSpeakingFrame`. `continuous`: all
   * audio, where the service knows by itself when somebody speaks. Default: `segmented`.
   */
  readonly mode?: "segmented" | "continuous" | undefined
  /**
   * Whether results are wanted while the user speaks. With `false`, an utterance is understood as a whole when it has
   * ended. Default: true.
   */
  readonly interim?: boolean | undefined
  /** BCP 47. Default: what the service assumes. */
  readonly language?: string | undefined
  /** Who speaks, for transcriptions. Default: empty. */
  readonly userId?: string | undefined
  /**
   * Audio from before speech was noticed: more than voice activity detection takes to notice it. Default: 500 ms, for
   * the 200 ms of `Vad`.
   */
  readonly preRoll?: Duration.Input | undefined
  /** When the same audio is tried again after a failure for which that may help. Default: twice, after 250 and 500 ms. */
  readonly retry?: Schedule.Schedule<unknown, SpeechToText.SpeechToTextError> | undefined
  /**
   * How long each attempt may take for its final result, from the end of the audio on. In continuous mode, a stream that
   * has told nothing so long after something was said is begun anew, with the audio that is not understood yet. Default:
   * 10 seconds.
   */
  readonly timeout?: Duration.Input | undefined
  /**
   * The most audio that is kept while there is no final result for it: a longer utterance is understood in parts, and in
   * continuous mode what is older is not tried again. Default: 30 seconds.
   */
  readonly maxUtterance?: Duration.Input | undefined
}

/** Milliseconds: what pipecat assumes of a service that does not tell. */
const defaultP99Latency = 1000

const Settings = Schema.Struct({ language: Schema.optionalKey(Schema.String) })

const twice = retryTwice("250 millis")

/**
 * Makes a processor that turns what the user says into `InterimTranscriptionFrame`s and `TranscriptionFrame`s.
 *
 * **Details**
 *
 * - Audio passes, and so does everything else. Audio of any rate and number of channels is brought into the form that the
 *   service needs.
 * - Utterances are understood one after the other: their results come in order, each final one as soon as it is there. A
 *   text that is not final goes on only if no other result follows at once. `finalized` is the last one of an utterance.
 *   Where nothing was said, there is no transcription.
 * - `timestamp` is when the result came.
 * - A failure that may pass is tried again with the same audio, by the schedule `retry`; if that is exhausted while the
 *   user still speaks, once more when the user has stopped. Then it is reported, as `unusable` when trying again is of no
 *   use. For another service to take over in the middle of an utterance, see `SpeechToText.failover`: the audio of an
 *   utterance does not follow a `ServiceSwitcher`.
 * - Between `UserMuteStartedFrame` and `UserMuteStoppedFrame` nothing is heard: what the user is just saying is dropped,
 *   and so is an utterance that began meanwhile.
 * - An interruption changes nothing: it is what somebody who speaks causes.
 * - A `ServiceSettingsFrame` with a `language` does what a {@link SttUpdateFrame} does, unless it is for another name.
 * - `EndFrame` waits for what has been said up to then.
 * - Metrics, up to the last result: TTFB from the end of speech, which voice activity detection tells later
 *   (`VadParamsFrame` says how much), and processing time from then on; usage is the seconds of audio that the service got.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, PipelineTask, SpeechToText, Stt, Vad, VoiceActivity, VoiceFrames } from "@apipeline/core"
 *
 * const vad = Vad.make({
 *   started: () => VoiceFrames.VadUserStartedSpeakingFrame.make(),
 *   stopped: () => VoiceFrames.VadUserStoppedSpeakingFrame.make()
 * })
 * const recognizer = SpeechToText.fromTranscribe({
 *   name: "always hello",
 *   sampleRate: 16000,
 *   transcribe: () => Effect.succeed({ text: "hello", isFinal: true, start: 0, end: 1000 })
 * })
 * const task = PipelineTask.make(Pipeline.make(vad, Stt.make())).pipe(
 *   Effect.provideService(SpeechToText.SpeechToText, recognizer),
 *   Effect.provide(VoiceActivity.layerEnergy())
 * )
 * ```
 *
 * Source: `STTService` and `SegmentedSTTService` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor<never, SpeechToText.SpeechToText> =>
  build(SpeechToText.SpeechToText, options)

/**
 * As {@link make}, with a service that is given: for several of them in one pipeline, as in a `ServiceSwitcher`.
 *
 * **Gotchas**
 *
 * A switcher that replaces one with another loses the utterance that the first one has failed on: only the next one goes to
 * the other. To lose nothing, have one `Stt` of several services instead: `SpeechToText.failover` hands the audio over in
 * the middle of an utterance.
 *
 * @example
 * ```ts
 * import { ServiceSwitcher, SpeechToText, Stt } from "@apipeline/core"
 *
 * const either = (first: SpeechToText.Service, second: SpeechToText.Service) =>
 *   ServiceSwitcher.make({ first: Stt.fromService(first), second: Stt.fromService(second) }, {
 *     strategy: ServiceSwitcher.failover
 *   })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromService = (service: SpeechToText.Service, options: Options = {}): Processor.Processor =>
  build(Effect.succeed(service), options)

const build = <R>(acquire: Effect.Effect<SpeechToText.Service, never, R>, options: Options) => {
  const { interim = true, mode = "segmented", retry = twice, userId = "" } = options
  const preRoll = DurationOption.finiteFrom(0)("Stt: preRoll", options.preRoll ?? 500)
  const timeout = DurationOption.finiteFrom(1)("Stt: timeout", options.timeout ?? "10 seconds")
  const maxUtterance = DurationOption.finiteFrom(1000)("Stt: maxUtterance", options.maxUtterance ?? "30 seconds")
  const continuous = mode === "continuous"
  const streams = continuous || interim
  return Processor.effect(
    options.name ?? "Stt",
    Effect.gen(function*() {
      const service = yield* acquire
      const { p99Latency = defaultP99Latency } = service
      const scope = yield* Effect.scope
      const clock = yield* Clock.Clock
      const inSamples = (milliseconds: number): number => Math.round(milliseconds * service.sampleRate / 1000)
      const [kept, longest] = [inSamples(preRoll), inSamples(maxUtterance)]
      const before = new AudioReplay()
      let language = options.language
      let context: Processor.ProcessorContext
      let worker: Fiber.Fiber<void> | undefined
      /** What is being said. */
      let utterance: Utterance | undefined
      let speaking: boolean | undefined
      let stoppedAt: number | undefined
      /** Milliseconds from the end of speech until it is told. */
      let told = 0
      let muted = false
      /** The format that `convert` is for; without one, it cannot be understood. */
      let format: Frame.AudioRawFrame | undefined
      let convert: Converter | undefined

      const recognition = new Recognition({
        service,
        clock,
        continuous,
        interim,
        userId,
        retry,
        timeout,
        context: () => context,
        speaking: () => speaking,
        stoppedAt: () => stoppedAt,
        told: () => told
      })

      const begin = (next: Utterance): void => {
        utterance = next
        recognition.listen(next)
      }

      const stop = (): void => {
        utterance?.stop(clock.currentTimeMillisUnsafe())
        utterance = undefined
      }

      const hear = (samples: Int16Array): void => {
        if (utterance === undefined) {
          before.push(samples)
          before.release(before.end - kept)
          return
        }
        utterance.push(samples)
        const { replay } = utterance
        if (replay.length <= longest) return
        if (continuous) replay.release(replay.end - longest)
        else begin(utterance.part(service.sampleRate, streams))
      }

      const metadata = Effect.suspend(() =>
        context.pushDownstream(SttMetadataFrame.make({ service: service.name, p99Latency }))
      )

      const update = ({ language: spoken }: { readonly language?: string }): Effect.Effect<void> =>
        Effect.sync(() => {
          if (spoken === undefined) return
          language = spoken
          if (!continuous) return
          stop()
          begin(new Utterance(language))
        })

      const settings = settingsHandler(
        Settings,
        ({ name }) => name,
        update,
        (cause) => new SpeechToText.SpeechToTextError({ recognizer: service.name, isRetryable: false, cause })
      )

      const heard = {
        VadUserStartedSpeakingFrame: (
          frame: VadUserStartedSpeakingFrame,
          { push }: Processor.ProcessorContext
        ): Effect.Effect<void> =>
          Effect.suspend(() => {
            speaking = true
            recognition.speaks()
            if (!continuous && !muted && utterance === undefined) {
              begin(new Utterance(language, before.split(before.start)))
            }
            return push(frame)
          }),
        VadUserStoppedSpeakingFrame: (
          frame: VadUserStoppedSpeakingFrame,
          { push }: Processor.ProcessorContext
        ): Effect.Effect<unknown> =>
          // the frame first: its transcription follows it
          Effect.andThen(
            push(frame),
            Effect.suspend(() => {
              speaking = false
              stoppedAt = clock.currentTimeMillisUnsafe()
              recognition.falls()
              if (continuous) return Effect.forkIn(recognition.measureLate(stoppedAt, p99Latency), scope)
              stop()
              return Effect.void
            })
          ),
        VadParamsFrame: (frame: VadParamsFrame, { push }: Processor.ProcessorContext): Effect.Effect<void> =>
          Effect.suspend(() => {
            told = frame.stopSecs * 1000
            return push(frame)
          })
      }

      const mute = {
        UserMuteStartedFrame: (
          frame: UserMuteStartedFrame,
          { push }: Processor.ProcessorContext
        ): Effect.Effect<void> =>
          Effect.suspend(() => {
            muted = true
            before.release(before.end)
            if (!continuous) {
              utterance?.drop()
              utterance = undefined
            }
            return push(frame)
          }),
        UserMuteStoppedFrame: (
          frame: UserMuteStoppedFrame,
          { push }: Processor.ProcessorContext
        ): Effect.Effect<void> =>
          Effect.suspend(() => {
            muted = false
            return push(frame)
          })
      }

      return {
        ...heard,
        ...mute,
        upstream: { ...mute, ServiceSettingsFrame: settings },
        metrics: true,
        AudioRawFrame: (frame: Frame.AudioRawFrame, { push, report }: Processor.ProcessorContext) =>
          Effect.andThen(
            push(frame),
            Effect.suspend(() => {
              if (muted) return Effect.void
              if (format === undefined || !isAlike(format, frame)) {
                format = frame
                const made = makeConverter(frame, service.sampleRate)
                convert = Result.getOrUndefined(made)
                if (Result.isFailure(made)) return report(made.failure)
              }
              if (convert !== undefined) hear(Pcm.float32ToInt16(convert.push(frame)))
              return Effect.void
            })
          ),
        SttUpdateFrame: (frame: SttUpdateFrame, { push }: Processor.ProcessorContext) =>
          Effect.andThen(update(frame), push(frame)),
        ServiceSettingsFrame: settings,
        RequestMetadataFrame: () => metadata,
        onStart: (_: Frame.StartFrame, own: Processor.ProcessorContext) =>
          Effect.gen(function*() {
            context = own
            if (worker === undefined) {
              worker = yield* Effect.forkIn(recognition.run, scope)
              if (continuous) begin(new Utterance(language))
            }
            yield* metadata
          }),
        onEnd: () =>
          Effect.suspend(() => {
            stop()
            return Effect.andThen(recognition.end, worker === undefined ? Effect.void : Fiber.join(worker))
          })
      }
    }),
    {
      frames: [
        RequestMetadataFrame,
        ServiceSettingsFrame,
        SttUpdateFrame,
        UserMuteStartedFrame,
        UserMuteStoppedFrame,
        VadParamsFrame,
        VadUserStartedSpeakingFrame,
        VadUserStoppedSpeakingFrame
      ]
    }
  )
}
