/**
 * The end of a pipeline that somebody listens to: it sends audio on time, in chunks of one size, and knows what was
 * played. `Transport.make` makes it, for any connection.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as AudioMixer from "./AudioMixer.ts"
import type * as Frame from "./Frame.ts"
import * as DurationOption from "./internal/durationOption.ts"
import type { Connection } from "./internal/transport/connection.ts"
import { type Playback as State, Playout, type Sent } from "./internal/transport/playout.ts"
import { InvalidOutput, TimedOut, TransportError } from "./internal/transport/transportError.ts"
import * as Processor from "./Processor.ts"
import {
  BotInterruptedFrame,
  destinationOf,
  OutputAudioEndFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame
} from "./TransportFrames.ts"
import { BotStoppedSpeakingFrame, LlmResponseEndFrame, TtsStoppedFrame } from "./VoiceFrames.ts"

/**
 * Options of an output.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `TransportOutput`. */
  readonly name?: string | undefined
  /** What is sent, in Hz; audio of other rates is resampled. Default: the `audioOutSampleRate` of `StartFrame`. */
  readonly sampleRate?: number | undefined
  /** Default: 1. */
  readonly numChannels?: number | undefined
  /** Audio per frame that is sent. Default: 40 ms, which is 4 times 10 ms as in pipecat. */
  readonly chunk?: Duration.Input | undefined
  /**
   * How far ahead of what is heard audio is sent. More bridges longer hitches, and is what a client without a buffer to
   * clear goes on playing after an interruption. Default: 100 ms.
   */
  readonly lead?: Duration.Input | undefined
  /** With `false` everything is sent at once, for who does not listen while it comes: files. Default: true. */
  readonly realTime?: boolean | undefined
  /** Audio that waits for its time before the pipeline waits. Default: 2 seconds. */
  readonly buffer?: Duration.Input | undefined
  /** After how much silence the bot has stopped speaking. Default: 350 ms, as in pipecat. */
  readonly stopAfter?: Duration.Input | undefined
  /** How often `BotSpeakingFrame` is sent. Default: 200 ms. */
  readonly speakingInterval?: Duration.Input | undefined
  /**
   * Names for which frames may have audio of their own, with a clock of its own: see `TransportFrames.toDestination`.
   * Default: none but the default one.
   */
  readonly destinations?: ReadonlyArray<string> | undefined
  /**
   * Control or data frames after which no more audio of an utterance comes. Default: `TtsStoppedFrame` and
   * `LlmResponseEndFrame`.
   */
  readonly flushOn?: ReadonlyArray<Frame.AnyClass> | undefined
  /** How long a frame may take to be sent. Default: 5 seconds. */
  readonly sendTimeout?: Duration.Input | undefined
  /** How long an interruption waits for the other side to be told of it. Default: 500 ms. */
  readonly clearTimeout?: Duration.Input | undefined
}

/**
 * What has become of the audio for one destination, in milliseconds.
 *
 * **Details**
 *
 * `played` is what the other side has had time to play. What was sent and then cleared before its time was not played;
 * what was sent to somebody who cannot be told to clear it will be.
 *
 * @category models
 * @since 0.1.0
 */
export interface Playback extends State {}

/**
 * An output, and what it has played.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransportOutput {
  readonly processor: Processor.Processor
  /** The default destination first. Empty before the start. */
  readonly playback: Effect.Effect<ReadonlyArray<Playback>>
}

const millis = (field: string, input: Duration.Input, minimum: number): number =>
  DurationOption.finiteFrom(minimum)(`TransportOutput: ${field}`, input)

const integer = (field: string, found: number, maximum: number): void => {
  if (Number.isInteger(found) && found >= 1 && found <= maximum) return
  throw new TypeError(`TransportOutput: ${field}: found ${found}, expected an integer from 1 to ${maximum}`)
}

const settings = (options: Options) => {
  if (options.sampleRate !== undefined) integer("sampleRate", options.sampleRate, 768_000)
  const numChannels = options.numChannels ?? 1
  integer("numChannels", numChannels, 255)
  const destinations = options.destinations ?? []
  if (new Set(destinations).size !== destinations.length) {
    throw new TypeError(`TransportOutput: destinations: found ${destinations.join(", ")}, expected each name once`)
  }
  return {
    numChannels,
    destinations,
    chunk: millis("chunk", options.chunk ?? 40, 1),
    lead: millis("lead", options.lead ?? 100, 0),
    capacity: millis("buffer", options.buffer ?? "2 seconds", 0),
    stopAfter: millis("stopAfter", options.stopAfter ?? 350, 0),
    speakingInterval: millis("speakingInterval", options.speakingInterval ?? 200, 1),
    sendTimeout: millis("sendTimeout", options.sendTimeout ?? "5 seconds", 1),
    clearTimeout: millis("clearTimeout", options.clearTimeout ?? 500, 1),
    flushOn: new Set(
      [OutputAudioEndFrame, ...options.flushOn ?? [TtsStoppedFrame, LlmResponseEndFrame]].map(({ tag }) => tag)
    )
  }
}

const isMessage = (frame: Frame.Frame): boolean => OutputTransportMessageFrame.is(frame)

/**
 * Makes the output of a connection.
 *
 * **Details**
 *
 * - Audio is brought into one format and cut into chunks. A chunk is sent as soon as the other side has no more than the
 *   `lead`. What is left of a chunk is filled up with silence when no more audio follows: at an `OutputAudioEndFrame`, a
 *   frame of `flushOn`, the end, or when the other side runs dry.
 * - `BotStartedSpeakingFrame` goes both ways just before the first chunk, `BotSpeakingFrame` meanwhile, and
 *   `BotStoppedSpeakingFrame` when all has been played for `stopAfter`.
 * - Chunks go on downstream when they are to be heard, other data and control frames when the audio before them has been
 *   played, so that processors behind the output know what was heard. A frame (but audio) with a `pts` goes on at that
 *   time, in milliseconds since the start of the task. `OutputTransportMessageFrame`s are sent behind the audio before
 *   them, `OutputTransportMessageUrgentFrame`s at once; neither goes on.
 * - An interruption records what was played, drops what waits (but not what is uninterruptible) and says so to the task,
 *   which counts it in chunks and frames (`drops`), cuts every destination, sends `BotInterruptedFrame` and `BotStoppedSpeakingFrame` both ways, and tells the other side to clear what it has.
 * - `EndFrame` waits until everything has been played.
 * - A frame that cannot be sent is reported, the first of a row: the pipeline goes on.
 * - Where there is an `AudioMixer`, its background is sent too, also while the bot is silent.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, TransportOutput } from "@apipeline/core"
 *
 * const output = TransportOutput.make({
 *   name: "Speaker",
 *   incoming: Stream.never,
 *   send: (frame) => Effect.log(Frame.format(frame)),
 *   close: () => Effect.void
 * }, { lead: "60 millis" })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (connection: Connection, options: Options = {}): TransportOutput => {
  const { capacity, chunk, clearTimeout, destinations, flushOn, lead, numChannels, sendTimeout, ...rest } = settings(
    options
  )
  const { carries = () => false, clear } = connection
  const realTime = options.realTime ?? true
  const flushes = connection.flushes ?? clear !== undefined
  let playouts: ReadonlyMap<string | undefined, Playout> = new Map()

  const behaviour = Effect.gen(function*() {
    const clock = yield* Clock.Clock
    const service = yield* Effect.serviceOption(AudioMixer.AudioMixer)
    const scope = yield* Effect.scope
    let mixers: ReadonlyArray<AudioMixer.Mixer> = []
    let failing = false

    const tooLate = Effect.as(
      Effect.sleep(sendTimeout),
      Exit.fail(
        new TransportError({ reason: new TimedOut({ operation: "send", milliseconds: sendTimeout }) })
      )
    )

    const sendWith =
      (context: Processor.ProcessorContext) =>
      (frame: Frame.Frame, cut: Effect.Effect<void> = Effect.never): Effect.Effect<Sent> => {
        const told = (exit: Exit.Exit<void, TransportError>): Effect.Effect<Sent> => {
          const isFirst = !failing
          failing = Exit.isFailure(exit)
          if (Exit.isSuccess(exit)) return Effect.succeed("sent")
          return Effect.as(isFirst ? context.reportCause(exit.cause) : Effect.void, "failed")
        }
        /** It takes time: until it is done, cut, or takes too much of it. */
        const wait = (fiber: Fiber.Fiber<void, TransportError>): Effect.Effect<Sent> =>
          Effect.flatMap(
            Effect.raceAllFirst([Fiber.await(fiber), Effect.asVoid(cut), tooLate]),
            (result) =>
              Effect.flatMap(Effect.andThen(Fiber.interrupt(fiber), Fiber.await(fiber)), (exit) =>
                // what was done in spite of that is done
                Exit.isSuccess(exit) ? told(exit) : result === undefined ? Effect.succeed("cut") : told(result))
          )
        return Effect.flatMap(Effect.forkChild(connection.send(frame), { startImmediately: true }), (fiber) => {
          const exit = fiber.pollUnsafe()
          return exit === undefined ? wait(fiber) : told(exit)
        })
      }

    const notCleared = Effect.fail(
      new TransportError({ reason: new TimedOut({ operation: "clear", milliseconds: clearTimeout }) })
    )

    const broadcastWith = (context: Processor.ProcessorContext) => (make: () => Frame.Frame): Effect.Effect<void> =>
      Effect.uninterruptible(
        Effect.suspend(() => Effect.andThen(context.pushDownstream(make()), context.pushUpstream(make())))
      )

    const open = Effect.fnUntraced(function*(frame: Frame.StartFrame, context: Processor.ProcessorContext) {
      const format = { sampleRate: options.sampleRate ?? frame.audioOutSampleRate, numChannels }
      const made: Array<AudioMixer.Mixer> = []
      const all = new Map<string | undefined, Playout>()
      for (const destination of [undefined, ...destinations]) {
        const mixer = Option.isNone(service) || !realTime ? undefined : yield* service.value.make(format).pipe(
          Effect.provideService(Scope.Scope, scope),
          Effect.catch((error) => Effect.as(context.report(error), undefined))
        )
        if (mixer !== undefined) made.push(mixer)
        all.set(
          destination,
          new Playout({
            ...rest,
            destination,
            format,
            chunk,
            lead,
            capacity,
            realTime,
            flushes,
            acknowledged: connection.played === undefined ? undefined : () => connection.played!(destination),
            mixer,
            clock,
            startedAt: clock.currentTimeMillisUnsafe(),
            send: sendWith(context),
            carries,
            isMessage,
            push: context.pushDownstream,
            broadcast: broadcastWith(context)
          })
        )
      }
      mixers = made
      playouts = all
    })

    const playoutOf = (frame: Frame.Frame): Playout | undefined => playouts.get(destinationOf(frame))

    const unknownDestination = (frame: Frame.Frame): TransportError =>
      new TransportError({
        reason: new InvalidOutput({
          frame: frame.name,
          field: "metadata.destination",
          found: JSON.stringify(destinationOf(frame)),
          expected: destinations.length === 0
            ? "no destination: the output has none"
            : `one of ${destinations.map((name) => JSON.stringify(name)).join(", ")}`
        })
      })

    const awaitIdle = Effect.suspend(() =>
      Effect.forEach([...playouts.values()], (playout) => playout.awaitIdle, { discard: true })
    )

    /** Whoever is further up sees the bot finish what it says: only then is the task to end. */
    const holdEnd = (context: Processor.ProcessorContext): Effect.Effect<void> =>
      Effect.flatMap(
        context.hold,
        (release) => Effect.asVoid(Effect.forkIn(Effect.ensuring(awaitIdle, release), scope))
      )

    /** Does something that a playout will take time for, and says so. */
    const enqueue = <A>(
      context: Processor.ProcessorContext,
      playout: Playout,
      put: () => A
    ): readonly [result: A, wait: Effect.Effect<void>] => {
      const wasIdle = [...playouts.values()].every(({ isIdle }) => isIdle)
      const result = put()
      const wait = wasIdle && !playout.isIdle ? Effect.andThen(holdEnd(context), playout.awaitRoom) : playout.awaitRoom
      return [result, wait]
    }

    const inOrder = (
      frame: Processor.Kinds["data"] | Processor.Kinds["control"],
      context: Processor.ProcessorContext
    ): Effect.Effect<void> =>
      Effect.suspend(() => {
        const { pts } = frame
        const playout = playoutOf(frame)
        if (playout === undefined) {
          // nobody plays anything there: it has nothing to wait for
          return isMessage(frame) ? context.report(unknownDestination(frame)) : context.pushDownstream(frame)
        }
        if (pts !== undefined) return enqueue(context, playout, () => playout.at(pts, frame))[1]
        const flush = flushOn.has(frame._tag)
        if (flush) playout.flush()
        if (playout.isPassable && !isMessage(frame) && !carries(frame)) return context.pushDownstream(frame)
        return enqueue(context, playout, () => playout.frame(frame))[1]
      })

    return {
      AudioRawFrame: (frame: Frame.AudioRawFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.suspend(() => {
          const playout = playoutOf(frame)
          if (playout === undefined) return context.report(unknownDestination(frame))
          const [result, wait] = enqueue(context, playout, () => playout.audio(frame))
          if (Result.isSuccess(result)) return wait
          const { expected, field, found } = result.failure
          const reason = new InvalidOutput({ frame: frame.name, field, found, expected })
          return Effect.andThen(context.report(new TransportError({ reason })), wait)
        }),
      data: inOrder,
      control: inOrder,
      HeartbeatFrame: (frame: Frame.HeartbeatFrame, { push }: Processor.ProcessorContext): Effect.Effect<void> =>
        push(frame),
      AudioMixerFrame: (
        frame: AudioMixer.AudioMixerFrame,
        context: Processor.ProcessorContext
      ): Effect.Effect<void> =>
        Effect.suspend(() => {
          const { enabled, loop, sound, volume } = frame
          const failed = mixers.map((mixer) => mixer.update({ enabled, loop, sound, volume })).find(Result.isFailure)
          for (const playout of playouts.values()) playout.wake()
          return Effect.andThen(
            failed === undefined ? Effect.void : context.report(failed.failure),
            inOrder(frame as Frame.AppFrame<"control">, context)
          )
        }),
      OutputTransportMessageUrgentFrame: (
        frame: OutputTransportMessageUrgentFrame,
        context: Processor.ProcessorContext
      ): Effect.Effect<void> => Effect.asVoid(sendWith(context)(frame)),
      onStart: (frame: Frame.StartFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.suspend(() => playouts.size === 0 ? open(frame, context) : Effect.void),
      run: (): Effect.Effect<void> =>
        Effect.forEach([...playouts.values()], ({ run }) => run, { concurrency: "unbounded", discard: true }),
      onInterruption: (
        _: Frame.StartInterruptionFrame,
        context: Processor.ProcessorContext
      ): Effect.Effect<void> =>
        Effect.suspend(() => {
          const broadcast = broadcastWith(context)
          const told: Array<Effect.Effect<void>> = []
          for (const [destination, playout] of playouts) {
            const { frames, utterance } = playout.interrupt()
            for (const frame of frames) told.push(context.dropped(frame))
            if (utterance === undefined) continue
            const about = destination === undefined ? {} : { metadata: { destination } }
            told.push(
              broadcast(() => BotInterruptedFrame.make({ ...utterance, ...about })),
              broadcast(() => BotStoppedSpeakingFrame.make(about))
            )
          }
          const cleared = clear === undefined
            ? Effect.void
            : Effect.catchCause(
              Effect.timeoutOrElse(clear, { duration: clearTimeout, orElse: () => notCleared }),
              context
                .reportCause
            )
          return Effect.andThen(Effect.all(told, { discard: true }), cleared)
        }),
      onCancel: (_: Frame.CancelFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.suspend(() => {
          const left = [...playouts.values()].flatMap((playout) => playout.left)
          return Effect.forEach(left, (frame) => context.dropped(frame, "cancelled"), { discard: true })
        }),
      onEnd: (): Effect.Effect<void> =>
        Effect.suspend(() => {
          for (const playout of playouts.values()) playout.flush()
          return awaitIdle
        })
    }
  })

  return {
    processor: Processor.effect(options.name ?? "TransportOutput", behaviour, {
      capacity: 1024,
      frames: [AudioMixer.AudioMixerFrame, OutputTransportMessageUrgentFrame]
    }) as Processor.Processor,
    playback: Effect.sync(() => [...playouts.values()].map((playout) => playout.report()))
  }
}
