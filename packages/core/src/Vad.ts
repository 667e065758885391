/**
 * Voice activity detection: tells when the user starts and stops speaking.
 *
 * The probability of speech comes from a `VoiceActivity` service, the decision from a `VadController`; {@link make} is
 * the processor that puts them into a pipeline.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberHandle from "effect/FiberHandle"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Frame from "./Frame.ts"
import { type Converter, isAlike, makeConverter } from "./internal/audio/monoAudio.ts"
import * as DurationOption from "./internal/durationOption.ts"
import * as Pcm from "./Pcm.ts"
import * as Processor from "./Processor.ts"
import * as VadController from "./VadController.ts"
import * as VoiceActivity from "./VoiceActivity.ts"
import { UserSpeakingFrame, UserStartedSpeakingFrame, UserStoppedSpeakingFrame } from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// frames
// ---------------------------------------------------------------------------------------------------------------------

/**
 * New parameters for the detection that it passes; those that it leaves out stay. It goes on.
 *
 * @example
 * ```ts
 * import { Vad } from "@apipeline/core"
 *
 * Vad.VadUpdateFrame.make({ stopSecs: 0.8 }).kind // => "control"
 * ```
 *
 * Source: `VADParamsUpdateFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class VadUpdateFrame extends Frame.App<VadUpdateFrame>()("VadUpdateFrame", {
  confidence: Schema.optionalKey(Schema.Finite),
  startSecs: Schema.optionalKey(Schema.Finite),
  stopSecs: Schema.optionalKey(Schema.Finite),
  minVolume: Schema.optionalKey(Schema.Finite)
}, { kind: "control", uninterruptible: true }) {}

/**
 * The parameters that are in force: sent both ways at the start and when they change, for who has to know how long after
 * the end of speech it is told.
 *
 * @example
 * ```ts
 * import { Vad, VadController } from "@apipeline/core"
 *
 * Vad.VadParamsFrame.make(VadController.defaults).stopSecs // => 0.5
 * ```
 *
 * Source: `SpeechControlParamsFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class VadParamsFrame extends Frame.App<VadParamsFrame>()("VadParamsFrame", {
  confidence: Schema.Finite,
  startSecs: Schema.Finite,
  stopSecs: Schema.Finite,
  minVolume: Schema.Finite
}, { kind: "system" }) {}

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
  /** Default: `Vad`. */
  readonly name?: string | undefined
  /** Default: `VadController.defaults`, each. */
  readonly params?: { readonly [K in keyof VadController.Params]?: VadController.Params[K] | undefined } | undefined
  /** Whether a user who starts speaking interrupts the bot. Default: false. */
  readonly interrupt?: boolean | undefined
  /** Makes what is sent when speech begins. Default: `UserStartedSpeakingFrame`, right where nobody else decides turns. */
  readonly started?: (() => Frame.Frame) | undefined
  /** Makes what is sent when speech ends. Default: `UserStoppedSpeakingFrame`. */
  readonly stopped?: (() => Frame.Frame) | undefined
  /** How often `UserSpeakingFrame` is sent while the user speaks, in time of the audio. Default: 200 ms. */
  readonly speakingInterval?: Duration.Input | undefined
  /**
   * Whether audio that waits for the detector is kept when somebody interrupts, since it is what a user says while they do
   * that. With `false` an interruption is a barrier for audio, too: where what is heard is what is played, as in an echo.
   * Default: true.
   */
  readonly keepAudio?: boolean | undefined
  /** The user has stopped when no audio has come for so long: a microphone that is muted sends none. Default: 1 second. */
  readonly audioIdleTimeout?: Duration.Input | undefined
}

/** First second, then twice as long, up to half a minute. */
const retryDelay = (failures: number): number => Math.min(30_000, 1000 * 2 ** (failures - 1))

/** A detector, and what is made for it. */
interface Listening {
  readonly detector: VoiceActivity.Detector
  readonly scope: Scope.Closeable
  readonly controller: VadController.Controller
  readonly window: Float32Array
  readonly windowsPerSpeaking: number
  filled: number
  /** Windows since `UserSpeakingFrame` was sent. */
  since: number
}

const broadcast = (
  { pushDownstream, pushUpstream }: Processor.ProcessorContext,
  make: () => Frame.Frame
): Effect.Effect<void> =>
  Effect.uninterruptible(Effect.suspend(() => Effect.andThen(pushDownstream(make()), pushUpstream(make()))))

/** Takes samples into the window, and tells how many. */
const fill = (one: Listening, samples: Float32Array): number => {
  const part = samples.subarray(0, one.window.length - one.filled)
  one.window.set(part, one.filled)
  one.filled += part.length
  return part.length
}

/**
 * Makes a processor that sends `UserStartedSpeakingFrame`, `UserSpeakingFrame` and `UserStoppedSpeakingFrame` both ways
 * as it finds speech in the audio that passes it. Put it behind the input, where no other audio comes.
 *
 * **Details**
 *
 * - Audio goes on first, the frames about it follow. They are system frames: they overtake audio that waits further down.
 * - What is found does not depend on how the audio is cut into frames. It may have any rate and number of channels; it is
 *   mixed down and resampled for the detector.
 * - A beginning always has its end: also when audio stops coming, the detector fails, or the task ends.
 * - `StartFrame` is followed by {@link VadParamsFrame}, {@link VadUpdateFrame} too. Parameters that cannot work are
 *   reported, and the old ones stay.
 * - When the detector fails, that is reported once, and audio passes. When the failure can be retried, a new one is made
 *   after 1 second, then 2, up to 30; otherwise the processor is of no more use.
 * - An interruption changes nothing: it is what somebody who speaks causes, and audio that waits for the detector is
 *   what they say. `StopTaskFrame` leaves a speech that has begun to the task that takes over.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Pipeline, PipelineTask, Processor, Vad, VoiceActivity, VoiceFrames } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(
 *   Vad.make({ params: { stopSecs: 0.8 }, interrupt: true }),
 *   Processor.effect("Show", {
 *     UserStartedSpeakingFrame: (frame, { push }) => Effect.andThen(Effect.log("listening"), push(frame))
 *   }, { frames: [VoiceFrames.UserStartedSpeakingFrame] })
 * )
 * const task = PipelineTask.make(pipeline).pipe(Effect.provide(VoiceActivity.layerEnergy()))
 * ```
 *
 * Source: `VADProcessor` and `VADController` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor<never, VoiceActivity.VoiceActivity> => {
  const initial = Result.getOrThrowWith(
    VadController.params(options.params ?? {}),
    (error) => new TypeError(`Vad: params.${error.message}`)
  )
  const { started = () => UserStartedSpeakingFrame.make(), stopped = () => UserStoppedSpeakingFrame.make() } = options
  const interval = DurationOption.notNegative("Vad: speakingInterval", options.speakingInterval ?? "200 millis")
  const idleTimeout = DurationOption.positive("Vad: audioIdleTimeout", options.audioIdleTimeout ?? "1 second")
  return Processor.effect(
    options.name ?? "Vad",
    Effect.gen(function*() {
      const service = yield* VoiceActivity.VoiceActivity
      const scope = yield* Effect.scope
      const clock = yield* Clock.Clock
      const opening = yield* FiberHandle.make<void>()
      const speaking = yield* Latch.make(false)
      let params = initial
      let listening: Listening | undefined
      let failures = 0
      let retryAt: number | undefined
      /** The format that `convert` is for; without one, it cannot be understood. */
      let format: Frame.AudioRawFrame | undefined
      let convert: Converter | undefined
      let lastAudio = 0
      let busy = false

      const opened = (detector: VoiceActivity.Detector, own: Scope.Closeable): void => {
        const windowSecs = detector.windowSize / detector.sampleRate
        listening = {
          detector,
          scope: own,
          controller: VadController.make(windowSecs, params),
          window: new Float32Array(detector.windowSize),
          windowsPerSpeaking: Math.max(1, Math.round(interval / 1000 / windowSecs)),
          filled: 0,
          since: 0
        }
        format = convert = undefined
        failures = 0
      }

      const failed = (
        error: VoiceActivity.VoiceActivityError,
        context: Processor.ProcessorContext
      ): Effect.Effect<void> =>
        Effect.suspend(() => {
          const before = listening
          listening = undefined
          failures++
          retryAt = error.isRetryable ? clock.currentTimeMillisUnsafe() + retryDelay(failures) : undefined
          return breakOff(before, context).pipe(
            Effect.andThen(before === undefined ? Effect.void : Scope.close(before.scope, Exit.fail(error))),
            // the same failure again is no news
            Effect.andThen(
              failures === 1 || !error.isRetryable
                ? context.report(error, { unusable: !error.isRetryable })
                : Effect.void
            )
          )
        })

      const open = (sampleRate: number, context: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.gen(function*() {
          retryAt = undefined
          const own = yield* Scope.fork(scope)
          yield* service.make({ sampleRate }).pipe(
            Scope.provide(own),
            Effect.onError((cause) => Scope.close(own, Exit.failCause(cause))),
            Effect.matchEffect({
              onSuccess: (detector) => Effect.sync(() => opened(detector, own)),
              onFailure: (error) => failed(error, context)
            })
          )
        })

      /** Ends a speech that has begun, and forgets what led to it. */
      const breakOff = (one: Listening | undefined, context: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.suspend(() => {
          speaking.closeUnsafe()
          format = convert = undefined
          if (one === undefined) return Effect.void
          one.filled = 0
          const end = one.controller.reset() === "stopped"
          return Effect.andThen(
            one.detector.reset,
            end ? broadcast(context, stopped) : Effect.void
          )
        })

      /** Tells what the next window means. */
      const decide = (
        one: Listening,
        probability: number,
        context: Processor.ProcessorContext
      ): Effect.Effect<void> => {
        const change = one.controller.push(probability, Pcm.volume(one.window))
        if (change === "stopped") {
          speaking.closeUnsafe()
          return broadcast(context, stopped)
        }
        if (!one.controller.isSpeaking()) return Effect.void
        if (change !== "started" && ++one.since < one.windowsPerSpeaking) return Effect.void
        one.since = 0
        const active = broadcast(context, () => UserSpeakingFrame.make())
        if (change !== "started") return active
        speaking.openUnsafe()
        return broadcast(context, started).pipe(
          Effect.andThen(options.interrupt === true ? context.interrupt : Effect.void),
          Effect.andThen(active)
        )
      }

      const listen = Effect.fnUntraced(function*(samples: Float32Array, context: Processor.ProcessorContext) {
        for (let at = 0; at < samples.length;) {
          const one = listening
          if (one === undefined) return
          at += fill(one, samples.subarray(at))
          if (one.filled < one.window.length) return
          one.filled = 0
          const probability = yield* one.detector.probability(one.window)
          // the detector may have been given up, or the speech ended, while it was at work
          if (listening === one) yield* decide(one, probability, context)
        }
      })

      const hear = (frame: Frame.AudioRawFrame, context: Processor.ProcessorContext): Effect.Effect<void> => {
        lastAudio = clock.currentTimeMillisUnsafe()
        if (listening === undefined) {
          if (retryAt === undefined || lastAudio < retryAt) return Effect.void
          return Effect.asVoid(FiberHandle.run(opening, open(frame.sampleRate, context), { onlyIfMissing: true }))
        }
        if (format === undefined || !isAlike(format, frame)) {
          format = frame
          const made = makeConverter(frame, listening.detector.sampleRate)
          convert = Result.getOrUndefined(made)
          if (Result.isFailure(made)) return context.report(made.failure)
        }
        const samples = convert?.push(frame)
        if (samples === undefined) return Effect.void
        if (listening.filled + samples.length < listening.window.length) {
          fill(listening, samples)
          return Effect.void
        }
        busy = true
        return listen(samples, context).pipe(
          Effect.catch((error) => failed(error, context)),
          Effect.ensuring(Effect.sync(() => {
            busy = false
            lastAudio = clock.currentTimeMillisUnsafe()
          }))
        )
      }

      return {
        AudioRawFrame: (frame: Frame.AudioRawFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
          Effect.andThen(context.push(frame), Effect.suspend(() => hear(frame, context))),
        VadUpdateFrame: (frame: VadUpdateFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
          Effect.suspend(() => {
            const next = VadController.params(frame, params)
            if (Result.isFailure(next)) return Effect.andThen(context.report(next.failure), context.push(frame))
            params = next.success
            listening?.controller.setParams(params)
            return Effect.andThen(context.push(frame), broadcast(context, () => VadParamsFrame.make(params)))
          }),
        onStart: (frame: Frame.StartFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
          Effect.suspend(() => {
            lastAudio = clock.currentTimeMillisUnsafe()
            if (listening?.controller.isSpeaking() === true) speaking.openUnsafe()
            return listening === undefined ? open(frame.audioInSampleRate, context) : Effect.void
          }).pipe(Effect.andThen(broadcast(context, () => VadParamsFrame.make(params)))),
        // until another task takes over, no audio can come
        StopTaskFrame: (): Effect.Effect<void> => Effect.sync(() => speaking.closeUnsafe()),
        onEnd: (_: Frame.EndFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
          Effect.suspend(() => breakOff(listening, context)),
        run: (_: undefined, context: Processor.ProcessorContext): Effect.Effect<never> =>
          Effect.forever(Effect.gen(function*() {
            yield* speaking.await
            const left = lastAudio + idleTimeout - clock.currentTimeMillisUnsafe()
            if (left > 0 || busy) return yield* Effect.sleep(Math.max(1, busy ? idleTimeout : left))
            yield* breakOff(listening, context)
          }))
      }
    }),
    { frames: [VadUpdateFrame], keeps: options.keepAudio === false ? [] : [Frame.AudioRawFrame] }
  )
}
