/**
 * The beginning of a pipeline that somebody speaks to: it passes on what comes over a connection. `Transport.make` makes
 * it, for any connection.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import * as Frame from "./Frame.ts"
import { type FormatConverter, hasFormat, makeFormatConverter } from "./internal/audio/audioFormat.ts"
import { isAlike } from "./internal/audio/monoAudio.ts"
import { checkPositiveInteger } from "./internal/positiveInteger.ts"
import { InvalidMessage, TransportError } from "./internal/transport/transportError.ts"
import * as Processor from "./Processor.ts"
import {
  ClientConnectedFrame,
  ClientDisconnectedFrame,
  InputTransportStartAudioStreamingFrame,
  InputTransportStopAudioStreamingFrame
} from "./TransportFrames.ts"

/**
 * Options of an input.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `TransportInput`. */
  readonly name?: string | undefined
  /** What is passed on, in Hz; audio of other rates is resampled. Default: the `audioInSampleRate` of `StartFrame`. */
  readonly sampleRate?: number | undefined
  /** More or less channels are mixed to so many. Default: 1. */
  readonly numChannels?: number | undefined
  /** Whether audio is passed on from the start, or from `InputTransportStartAudioStreamingFrame` on. Default: true. */
  readonly audioStreaming?: boolean | undefined
  /**
   * Which frames may come from outside. Default: data, app frames, and of the others `StartInterruptionFrame`, `EndFrame`
   * and `CancelFrame`.
   */
  readonly accepts?: ((frame: Frame.Frame) => boolean) | undefined
  /**
   * What it means when the other side is gone: `cancel` the task, `end` it when all that came has been worked on, or
   * nothing. Default: `cancel`.
   */
  readonly onDisconnect?: "cancel" | "end" | "ignore" | undefined
}

/**
 * What has come in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Received {
  /** Frames that were passed on. */
  readonly frames: number
  /** Audio frames that came while audio was not wanted. */
  readonly muted: number
  /** Messages that could not be understood, and frames that may not come from outside. */
  readonly refused: number
  /** Frames that came after the task had begun to end. */
  readonly late: number
}

/**
 * An input, and what feeds it.
 *
 * @category models
 * @since 0.1.0
 */
export interface TransportInput {
  readonly processor: Processor.Processor
  /** Passes frames on; waits before the start of the task, and while the pipeline is full. */
  readonly receive: (items: ReadonlyArray<Frame.Frame | TransportError>) => Effect.Effect<void>
  /** Nothing more comes. */
  readonly disconnected: (reason: string) => Effect.Effect<void>
  readonly received: Effect.Effect<Received>
}

const steering: ReadonlySet<string> = new Set(["StartInterruptionFrame", "EndFrame", "CancelFrame"])

const acceptsByDefault = (frame: Frame.Frame): boolean =>
  Frame.isData(frame) || Frame.isApp(frame) || steering.has(frame._tag)

/**
 * Makes an input.
 *
 * **Details**
 *
 * - Audio is brought to one rate and number of channels. It may stop coming at any time: a microphone that is muted
 *   sends nothing.
 * - Audio frames that come to it from further up are treated like those from outside.
 * - What cannot be understood, or may not come from outside, is reported and left out; the first of a row only.
 * - `ClientConnectedFrame` is the first frame, `ClientDisconnectedFrame` the last.
 * - As soon as the task is to end, what comes is thrown away.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, PipelineTask, TransportInput } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const input = TransportInput.make({ onDisconnect: "end" })
 *   const task = yield* PipelineTask.make(input.processor)
 *   yield* task.start
 *   yield* input.receive([Frame.TextFrame.make({ text: "hello" })])
 *   yield* input.disconnected("that was all")
 *   return (yield* task.run)._tag
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => "Ended"
 * ```
 *
 * Source: `BaseInputTransport` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): TransportInput => {
  const { accepts = acceptsByDefault, onDisconnect = "cancel" } = options
  for (const field of ["sampleRate", "numChannels"] as const) {
    const found = options[field]
    if (found !== undefined) checkPositiveInteger(`TransportInput: ${field}`, found)
  }
  const count = { frames: 0, muted: 0, refused: 0, late: 0 }
  /** Opens when the task runs, and stays open. */
  const begun = Latch.makeUnsafe(false)
  let context: Processor.ProcessorContext | undefined
  let format = { sampleRate: options.sampleRate ?? 16_000, numChannels: options.numChannels ?? 1 }
  let streaming = options.audioStreaming ?? true
  let source: Frame.AudioRawFrame | undefined
  let converter: FormatConverter | undefined
  let refusing = false

  const invalid = (field: string, found: string, expected: string): TransportError =>
    new TransportError({ reason: new InvalidMessage({ field, found, expected }) })

  const refuse = (error: TransportError, { report }: Processor.ProcessorContext): Effect.Effect<void> => {
    count.refused++
    if (refusing) return Effect.void
    refusing = true
    return report(error)
  }

  const push = (frame: Frame.Frame, context: Processor.ProcessorContext): Effect.Effect<void> => {
    count.frames++
    refusing = false
    return context.pushDownstream(frame)
  }

  const converted = (from: Frame.AudioRawFrame, audio: Uint8Array): Frame.AudioRawFrame =>
    Frame.AudioRawFrame.make({ audio, ...format, pts: from.pts, metadata: from.metadata })

  /** What the resampler holds back belongs to the audio before. */
  const rest = (context: Processor.ProcessorContext): Effect.Effect<void> => {
    const audio = converter?.flush()
    return audio === undefined || audio.length === 0 ? Effect.void : push(converted(source!, audio), context)
  }

  const hear = (frame: Frame.AudioRawFrame, context: Processor.ProcessorContext): Effect.Effect<void> => {
    if (!streaming) {
      count.muted++
      return Effect.void
    }
    if (hasFormat(frame, format) && converter === undefined) return push(frame, context)
    let before: Effect.Effect<void> = Effect.void
    if (source === undefined || !isAlike(source, frame)) {
      before = rest(context)
      source = frame
      converter = undefined
      if (!hasFormat(frame, format)) {
        const made = makeFormatConverter(frame, format)
        if (Result.isFailure(made)) {
          source = undefined
          const { expected, field, found } = made.failure
          return Effect.andThen(before, refuse(invalid(`audio.${field}`, found, expected), context))
        }
        converter = made.success
      }
    }
    if (converter === undefined) return Effect.andThen(before, push(frame, context))
    const audio = converter.push(frame.audio)
    return audio.length === 0 ? before : Effect.andThen(before, push(converted(frame, audio), context))
  }

  const one = (item: Frame.Frame | TransportError, context: Processor.ProcessorContext): Effect.Effect<void> => {
    if (!("_tag" in item) || !Frame.isFrame(item)) return refuse(item as TransportError, context)
    if (!accepts(item)) return refuse(invalid("frame", item._tag, "a frame that may come from outside"), context)
    return Frame.AudioRawFrame.is(item) ? hear(item, context) : push(item, context)
  }

  const receive = (items: ReadonlyArray<Frame.Frame | TransportError>): Effect.Effect<void> =>
    Effect.suspend(() => {
      let i = 0
      return Effect.whileLoop({
        while: () => i < items.length,
        body: () => {
          if (context !== undefined) return one(items[i++]!, context)
          if (!begun.isOpen()) return begun.await
          count.late += items.length - i
          i = items.length
          return Effect.void
        },
        step: () => {}
      })
    })

  const disconnected = (reason: string): Effect.Effect<void> =>
    Effect.andThen(
      begun.await,
      Effect.suspend(() => {
        if (context === undefined) return Effect.void
        const gone = Effect.andThen(rest(context), context.pushDownstream(ClientDisconnectedFrame.make({ reason })))
        if (onDisconnect === "ignore") return gone
        const last = onDisconnect === "end" ? Frame.EndFrame.make() : Frame.CancelFrame.make({ reason })
        return Effect.andThen(gone, context.pushDownstream(last))
      })
    )

  const turn = (on: boolean) => (frame: Frame.Frame, { push }: Processor.ProcessorContext): Effect.Effect<void> => {
    streaming = on
    return push(frame)
  }

  const audioStreaming = {
    InputTransportStartAudioStreamingFrame: turn(true),
    InputTransportStopAudioStreamingFrame: turn(false)
  }

  const processor = Processor.effect(
    options.name ?? "TransportInput",
    Effect.sync(() => ({
      ...audioStreaming,
      AudioRawFrame: (frame: Frame.AudioRawFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.suspend(() => hear(frame, context)),
      upstream: audioStreaming,
      onStart: (frame: Frame.StartFrame): Effect.Effect<void> =>
        Effect.sync(() => {
          format = { ...format, sampleRate: options.sampleRate ?? frame.audioInSampleRate }
        }),
      source: (_: undefined, own: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.ensuring(
          Effect.andThen(
            own.pushDownstream(ClientConnectedFrame.make()),
            Effect.suspend(() => {
              context = own
              begun.openUnsafe()
              return Effect.never
            })
          ),
          Effect.sync(() => {
            context = undefined
          })
        )
    })),
    {
      frames: [InputTransportStartAudioStreamingFrame, InputTransportStopAudioStreamingFrame]
    }
  )

  return { processor, receive, disconnected, received: Effect.sync(() => ({ ...count })) }
}
