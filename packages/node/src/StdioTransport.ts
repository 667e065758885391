/**
 * Standard input and output as a transport: lines of text, or raw PCM, as `arecord`, `aplay`, `sox` and `ffmpeg` write and
 * read it.
 *
 * @since 0.1.0
 */
import * as AudioChunker from "@apipeline/core/AudioChunker"
import * as Frame from "@apipeline/core/Frame"
import * as Pcm from "@apipeline/core/Pcm"
import * as Transport from "@apipeline/core/Transport"
import { OutputTransportMessageFrame, OutputTransportMessageUrgentFrame } from "@apipeline/core/TransportFrames"
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { invalid } from "./internal/messageConnection.ts"
import { makeWriteQueue } from "./internal/writeQueue.ts"

/**
 * Raw PCM: signed 16-bit samples, little-endian.
 *
 * @category models
 * @since 0.1.0
 */
export interface PcmFormat {
  /** Hz. */
  readonly sampleRate: number
  /** Default: 1. */
  readonly numChannels?: number | undefined
}

/**
 * What travels: each line is a text, all bytes are audio, or nothing does.
 *
 * @category models
 * @since 0.1.0
 */
export type Form = "lines" | PcmFormat | "none"

/**
 * Options of {@link make}. The end of the input ends the task, unless `input.onDisconnect` says otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> extends Transport.Options<E, R> {
  /** Default: `lines`. */
  readonly stdin?: Form | undefined
  /** Default: `lines`. */
  readonly stdout?: Form | undefined
  /** Bytes of a line; a longer one is refused. Default: 1 MiB. */
  readonly maxLine?: number | undefined
}

const readFailed = (cause: PlatformError): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.ReadFailed({ cause }) })

const writeFailed = (cause: PlatformError): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.WriteFailed({ cause }) })

/** Lines as texts; of a line that is too long, nothing is kept. */
const texts = <E>(
  bytes: Stream.Stream<Uint8Array, E>,
  maxLine: number
): Stream.Stream<Frame.Frame | Transport.TransportError, E> => {
  const tooLong = invalid("line", `more than ${maxLine} bytes`, `at most ${maxLine}`)
  return Stream.suspend(() => {
    const decoder = new TextDecoder()
    let line = ""
    let skipping = false
    const take = (text: string, last: boolean): Array<Frame.Frame | Transport.TransportError> => {
      const parts = text.split("\n")
      const out: Array<Frame.Frame | Transport.TransportError> = []
      for (const [i, part] of parts.entries()) {
        if (!skipping) line += part
        if (!skipping && line.length > maxLine) {
          out.push(tooLong)
          skipping = true
        }
        const isWhole = i < parts.length - 1 || (last && line !== "")
        if (!isWhole) continue
        if (!skipping) out.push(Frame.TextFrame.make({ text: line.endsWith("\r") ? line.slice(0, -1) : line }))
        line = ""
        skipping = false
      }
      if (skipping) line = ""
      return out
    }
    return Stream.concat(
      Stream.flattenIterable(Stream.map(bytes, (chunk) => take(decoder.decode(chunk, { stream: true }), false))),
      Stream.suspend(() => Stream.fromIterable(take(decoder.decode(), true)))
    )
  })
}

/** Bytes as audio frames of 20 ms. */
const pcm = <E>(bytes: Stream.Stream<Uint8Array, E>, { numChannels = 1, sampleRate }: PcmFormat): Stream.Stream<
  Frame.Frame,
  E
> => {
  const unit = 2 * numChannels
  const size = Math.max(unit, Pcm.byteLength("20 millis", { sampleRate, numChannels }))
  const frame = (audio: Uint8Array): Frame.Frame => Frame.AudioRawFrame.make({ audio, sampleRate, numChannels })
  return Stream.suspend(() => {
    const chunker = AudioChunker.makeChunker({ size, unit })
    return Stream.concat(
      Stream.flattenIterable(Stream.map(bytes, (chunk) => chunker.push(chunk).map(frame))),
      Stream.suspend(() => {
        const rest = chunker.flush()
        return rest === undefined ? Stream.empty : Stream.succeed(frame(rest))
      })
    )
  })
}

const isMessage = (frame: Frame.Frame): frame is OutputTransportMessageFrame | OutputTransportMessageUrgentFrame =>
  OutputTransportMessageFrame.is(frame) || OutputTransportMessageUrgentFrame.is(frame)

/** What is to be written of a frame, if anything. */
const written = (frame: Frame.Frame, form: Form): string | Uint8Array | undefined => {
  if (form === "none") return undefined
  if (form !== "lines") return Frame.AudioRawFrame.is(frame) ? frame.audio : undefined
  if (Frame.TextFrame.is(frame)) return `${frame.text}\n`
  return isMessage(frame) ? `${JSON.stringify(frame.message)}\n` : undefined
}

/**
 * Makes a transport of standard input and output.
 *
 * **Details**
 *
 * - Lines come in as `TextFrame`s, and `TextFrame`s go out as lines, messages as lines of JSON.
 * - PCM comes in as audio of 20 ms. Audio goes out in the rate and channels of `stdout`, in real time, unless
 *   `output.realTime` is false.
 * - Whoever does not read makes the pipeline wait. When nobody reads any more, that is reported.
 *
 * @example
 * ```ts
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { Effect } from "effect"
 * import { Pipeline, PipelineTask, TextTransformer } from "@apipeline/core"
 * import { NodeRunner, StdioTransport } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const transport = yield* StdioTransport.make()
 *   const shout = TextTransformer.map((text) => text.toUpperCase())
 *   const task = yield* PipelineTask.make(Pipeline.make(transport.input, shout, transport.output))
 *   yield* task.run
 * })
 *
 * NodeRunner.runMain(Effect.scoped(program).pipe(Effect.provide(NodeServices.layer)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R> = {}
): Effect.Effect<Transport.Transport<E, R>, never, Scope.Scope | Stdio.Stdio> =>
  Effect.gen(function*() {
    const { maxLine = 1024 * 1024, stdin = "lines", stdout = "lines" } = options
    const stdio = yield* Stdio.Stdio
    const bytes = Stream.mapError(stdio.stdin, readFailed)
    const incoming = stdin === "none" ? Stream.never : stdin === "lines" ? texts(bytes, maxLine) : pcm(bytes, stdin)

    const queue = yield* makeWriteQueue<string | Uint8Array>((pieces) =>
      Effect.mapError(Stream.run(pieces, stdio.stdout()), writeFailed)
    )
    const isPcm = typeof stdout === "object"
    return yield* Transport.make({
      name: "StdioTransport",
      incoming,
      send: (frame) => {
        const data = written(frame, stdout)
        return data === undefined ? Effect.void : queue.offer(data)
      },
      carries: (frame) => stdout === "lines" && Frame.TextFrame.is(frame),
      close: () => queue.end
    }, {
      ...options,
      input: { onDisconnect: "end", ...options.input },
      output: {
        ...isPcm && { sampleRate: stdout.sampleRate, numChannels: stdout.numChannels },
        ...options.output
      }
    })
  })
