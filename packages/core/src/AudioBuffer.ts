/**
 * Records a conversation: what the user and the bot say, as two tracks on one time line, and turn by turn.
 *
 * The recording is a stream of events with a second of audio each, so that hours of it take no more memory than minutes.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Frame from "./Frame.ts"
import { Recorder } from "./internal/audio/recorder.ts"
import * as DurationOption from "./internal/durationOption.ts"
import { checkPositiveInteger } from "./internal/positiveInteger.ts"
import * as Pcm from "./Pcm.ts"
import * as Processor from "./Processor.ts"
import {
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// frames
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Starts the recording of the {@link make} that it passes; it goes on.
 *
 * @example
 * ```ts
 * import { AudioBuffer } from "@apipeline/core"
 *
 * AudioBuffer.StartRecordingFrame.make().kind // => "control"
 * ```
 *
 * Source: `AudioBufferStartRecordingFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class StartRecordingFrame extends Frame.App<StartRecordingFrame>()("StartRecordingFrame", {}, {
  kind: "control",
  uninterruptible: true
}) {}

/**
 * Stops the recording, which can be started again; it goes on.
 *
 * @example
 * ```ts
 * import { AudioBuffer } from "@apipeline/core"
 *
 * AudioBuffer.StopRecordingFrame.make().kind // => "control"
 * ```
 *
 * Source: `AudioBufferStopRecordingFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class StopRecordingFrame extends Frame.App<StopRecordingFrame>()("StopRecordingFrame", {}, {
  kind: "control",
  uninterruptible: true
}) {}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whose audio it is.
 *
 * @category models
 * @since 0.1.0
 */
export type Speaker = "user" | "bot"

/**
 * The next piece of a recording. Both tracks are of the same length, one channel each, with silence where nobody spoke.
 *
 * @category models
 * @since 0.1.0
 */
export interface Audio {
  readonly _tag: "Audio"
  readonly user: Int16Array
  readonly bot: Int16Array
  /** Hz. */
  readonly sampleRate: number
  /** Where it begins, in milliseconds from the beginning of the recording. */
  readonly at: number
}

/**
 * What a speaker said in a turn, without the silence around it. Comes when the turn is over; one of more than 10 minutes
 * comes in pieces.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn {
  readonly _tag: "Turn"
  /** Counted from 1, as by `TurnObserver`. */
  readonly turn: number
  readonly speaker: Speaker
  readonly audio: Int16Array
  /** Hz. */
  readonly sampleRate: number
}

/**
 * What a recording consists of.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = { readonly _tag: "Started"; readonly sampleRate: number } | Audio | Turn | {
  readonly _tag: "Stopped"
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `AudioBuffer`. */
  readonly name?: string | undefined
  /** Of the recording, in Hz; audio of other rates is resampled. Default: the `audioInSampleRate` of `StartFrame`. */
  readonly sampleRate?: number | undefined
  /** Whose audio a frame is; `undefined`: it is not recorded. Default: what {@link label} has written. */
  readonly speakerOf?: ((frame: Frame.AudioRawFrame) => Speaker | undefined) | undefined
  /** Audio per event. Default: 1 second. */
  readonly duration?: Duration.Input | undefined
  /** Whether it records from the start. Default: false, from {@link StartRecordingFrame} on. */
  readonly autoStart?: boolean | undefined
  /** Whether there are {@link Turn} events. Default: false. */
  readonly turns?: boolean | undefined
  /** Events that may wait to be taken; then the pipeline waits. Default: 64, about a minute. */
  readonly capacity?: number | undefined
}

/**
 * Both tracks mixed to one channel.
 *
 * @example
 * ```ts
 * import { AudioBuffer } from "@apipeline/core"
 *
 * const tracks = { user: Int16Array.of(1, 2), bot: Int16Array.of(10, 20) }
 * Array.from(AudioBuffer.mono(tracks)) // => [11, 22]
 * ```
 *
 * @category merging
 * @since 0.1.0
 */
export const mono = ({ bot, user }: Pick<Audio, "user" | "bot">): Int16Array => Pcm.mix(user, bot)

/**
 * Both tracks side by side, interleaved: the user on the left, the bot on the right.
 *
 * @example
 * ```ts
 * import { AudioBuffer } from "@apipeline/core"
 *
 * const tracks = { user: Int16Array.of(1, 2), bot: Int16Array.of(10, 20) }
 * Array.from(AudioBuffer.stereo(tracks)) // => [1, 10, 2, 20]
 * ```
 *
 * @category merging
 * @since 0.1.0
 */
export const stereo = ({ bot, user }: Pick<Audio, "user" | "bot">): Int16Array => Pcm.interleave([user, bot])

// ---------------------------------------------------------------------------------------------------------------------
// processor
// ---------------------------------------------------------------------------------------------------------------------

const frames = [
  StartRecordingFrame,
  StopRecordingFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame,
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame
] as const

/** How long a recording that is cancelled may take to be written. */
const grace = "5 seconds"

/**
 * Makes a processor that writes whose audio it is into the metadata of the audio that passes it downstream, as `speaker`.
 * Put one behind the input and one behind the voice of the bot.
 *
 * @example
 * ```ts
 * import { AudioBuffer, Pipeline, Processor } from "@apipeline/core"
 *
 * const [input, bot, output] = ["Input", "Bot", "Output"].map((name) => Processor.sync(name, {}))
 * const pipeline = Pipeline.make(input!, AudioBuffer.label("user"), bot!, AudioBuffer.label("bot"), output!)
 * ```
 *
 * **Gotchas**
 *
 * Audio of the user that passes the second one becomes the bot's: whatever listens to the user should keep it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const label = (speaker: Speaker): Processor.Processor =>
  Processor.sync(`AudioBuffer.label(${speaker})`, {
    AudioRawFrame: (frame, push) => push(Frame.copy(frame, { metadata: { ...frame.metadata, speaker } }))
  })

const speakerOfMetadata = ({ metadata }: Frame.AudioRawFrame): Speaker | undefined => {
  const speaker = metadata?.["speaker"]
  return speaker === "user" || speaker === "bot" ? speaker : undefined
}

/**
 * Makes a processor that lets everything pass and records the audio. The function gets the recording as a stream, from
 * the start of the task on; `EndFrame` waits until it is done.
 *
 * **Details**
 *
 * - Tracks are aligned by the clock. Silence is put in where a speaker sends nothing for more than 0.2 s (a muted
 *   microphone sends nothing at all); less is jitter. What turns out to have been late takes its place back.
 * - Audio of any rate is resampled, channels are mixed down to one. Audio that cannot be is reported once and left out.
 * - An interruption cuts what the bot has sent and not said yet, unless the task does not allow interruptions.
 * - The user's part of a turn begins up to a second before it was noticed that the user speaks.
 * - A task that is cancelled still delivers what it has, within 5 seconds. When the function has failed (which is
 *   reported) or is done, later events are discarded.
 * - Put it where both audio streams pass, behind the output, where the bot's audio is paced.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { AudioBuffer, PipelineTask, Wav } from "@apipeline/core"
 *
 * const write = (bytes: Uint8Array) => Effect.log(`${bytes.length} bytes`)
 * const recorder = AudioBuffer.make((recording) =>
 *   recording.pipe(
 *     Stream.filter((event) => event._tag === "Audio"),
 *     Stream.map(AudioBuffer.stereo),
 *     (samples) => Wav.encodeStream(samples, { sampleRate: 16000, numChannels: 2 }),
 *     Stream.runForEach(write)
 *   ), { sampleRate: 16000, autoStart: true })
 * const task = PipelineTask.make(recorder)
 * ```
 *
 * Source: `AudioBufferProcessor` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E, R>(
  record: (recording: Stream.Stream<Event>) => Effect.Effect<unknown, E, R>,
  options: Options = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  const { capacity = 64, duration = "1 second", sampleRate, speakerOf = speakerOfMetadata } = options
  const millis = DurationOption.positiveFinite("AudioBuffer: duration", duration)
  checkPositiveInteger("AudioBuffer: sampleRate", sampleRate ?? 1)
  checkPositiveInteger("AudioBuffer: capacity", capacity)
  return Processor.effect(
    options.name ?? "AudioBuffer",
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const services = yield* Effect.context<R>()
      const queue = yield* Queue.bounded<Event, Cause.Done>(capacity)
      const started = yield* Deferred.make<Processor.ProcessorContext>()
      const done = yield* Deferred.make<void>()
      /** Events that are not in the queue yet: a handler that is interrupted leaves them for the next one. */
      const waiting: Array<Event> = []
      let recorder: Recorder | undefined
      const now = (): number => clock.currentTimeMillisUnsafe()

      // handlers of system frames run beside those of audio
      const one = yield* Semaphore.make(1)
      const giveAll: Effect.Effect<void> = Effect.suspend(() => {
        if (waiting.length === 0) return Effect.void
        return Effect.flatMap(Queue.offer(queue, waiting[0]!), () => {
          waiting.shift()
          return giveAll
        })
      })
      const give = Effect.suspend(() => waiting.length === 0 ? Effect.void : one.withPermit(giveAll))
      /** Event after event: a long silence must not be in memory all at once. */
      const settle = (at: number): Effect.Effect<void> =>
        Effect.suspend(() => {
          const more = recorder!.next(at)
          return more ? Effect.andThen(give, settle(at)) : give
        })

      yield* Effect.forkScoped(
        Deferred.await(started).pipe(
          Effect.flatMap(({ reportCause }) =>
            Effect.catchCause(
              Effect.provideContext(Effect.suspend(() => record(Stream.fromQueue(queue))), services),
              reportCause
            )
          ),
          Effect.ensuring(Effect.andThen(Queue.shutdown(queue), Deferred.succeed(done, undefined)))
        )
      )
      // forked before, so it is still there when this runs
      yield* Effect.addFinalizer(() =>
        Effect.suspend(() => {
          if (recorder === undefined) return Effect.void
          recorder.stop(now())
          Queue.offerAllUnsafe(queue, waiting)
          return Effect.andThen(
            Queue.end(queue),
            Effect.interruptible(Effect.timeoutOption(Deferred.await(done), grace))
          )
        })
      )

      const told = (frame: Frame.Frame, { push }: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.andThen(
          push(frame),
          Effect.suspend(() => {
            recorder?.told(frame, now())
            return give
          })
        )
      const speech = {
        UserStartedSpeakingFrame: told,
        UserStoppedSpeakingFrame: told,
        BotStartedSpeakingFrame: told,
        BotStoppedSpeakingFrame: told
      }
      return {
        ...speech,
        upstream: speech,
        AudioRawFrame: (frame: Frame.AudioRawFrame, { push, report }: Processor.ProcessorContext) =>
          Effect.andThen(
            push(frame),
            Effect.suspend((): Effect.Effect<void> => {
              if (recorder?.recording !== true || frame.audio.length === 0) return Effect.void
              const speaker = speakerOf(frame)
              if (speaker === undefined) return Effect.void
              const at = now()
              const take = Effect.suspend(() => {
                const error = recorder!.push(speaker, frame, at)
                return error === undefined ? settle(at) : Effect.andThen(report(error), give)
              })
              return Effect.andThen(settle(at - frame.duration), take)
            })
          ),
        StartRecordingFrame: (frame: StartRecordingFrame, { push }: Processor.ProcessorContext) =>
          Effect.suspend(() => {
            recorder?.start()
            return Effect.andThen(give, push(frame))
          }),
        StopRecordingFrame: (frame: StopRecordingFrame, { push }: Processor.ProcessorContext) =>
          Effect.suspend(() => {
            recorder?.stop(now())
            return Effect.andThen(give, push(frame))
          }),
        onStart: (frame: Frame.StartFrame, context: Processor.ProcessorContext) =>
          Effect.suspend(() => {
            if (recorder !== undefined) return Effect.void
            const rate = sampleRate ?? frame.audioInSampleRate
            const size = Math.max(1, Math.round(rate * millis / 1000))
            recorder = new Recorder({ rate, size, turns: options.turns === true }, (event) => waiting.push(event))
            if (options.autoStart === true) recorder.start()
            return Effect.andThen(Deferred.succeed(started, context), give)
          }),
        onInterruption: () => Effect.sync(() => recorder?.interrupted(now())),
        onEnd: () =>
          Effect.suspend(() => {
            recorder?.stop(now())
            return Effect.andThen(give, Effect.andThen(Queue.end(queue), Deferred.await(done)))
          })
      }
    }),
    { frames }
  )
}
