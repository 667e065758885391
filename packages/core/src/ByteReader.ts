/**
 * Reads frames from a stream of bytes: text frames from its lines, or audio frames from its samples.
 *
 * {@link toText} and {@link toAudio} give streams of frames, for `Input.fromStream` or `task.queueFrames`; {@link lines},
 * {@link audio} and {@link stdin} are processors. Bytes may be cut anywhere. They are pulled only as fast as the frames
 * are taken, and no more than one line or one frame is held.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type * as PlatformError from "effect/PlatformError"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Frame from "./Frame.ts"
import { checkPositiveInteger } from "./internal/positiveInteger.ts"
import * as Processor from "./Processor.ts"

declare const TextDecoder: {
  new(label: string, options: { readonly fatal: boolean; readonly ignoreBOM: boolean }): {
    decode(bytes: Uint8Array): string
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The bytes are not UTF-8, and the options say that this is a failure.
 *
 * @example
 * ```ts
 * import { ByteReader } from "@apipeline/core"
 *
 * new ByteReader.InvalidUtf8({ line: 3 }).message
 * // => "line 3: found bytes that are not UTF-8"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidUtf8 extends Schema.TaggedError<InvalidUtf8>()("InvalidUtf8", {
  /** The first is 1. */
  line: Schema.Finite
}) {
  override get message(): string {
    return `line ${this.line}: found bytes that are not UTF-8`
  }
}

/**
 * A line is longer than the options allow.
 *
 * @example
 * ```ts
 * import { ByteReader } from "@apipeline/core"
 *
 * new ByteReader.LineTooLong({ line: 3, maxLength: 1024 }).message
 * // => "line 3: found more than 1024 bytes"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class LineTooLong extends Schema.TaggedError<LineTooLong>()("LineTooLong", {
  line: Schema.Finite,
  maxLength: Schema.Finite
}) {
  override get message(): string {
    return `line ${this.line}: found more than ${this.maxLength} bytes`
  }
}

/**
 * The bytes ended within a sample. All that came before has been read.
 *
 * @example
 * ```ts
 * import { ByteReader } from "@apipeline/core"
 *
 * new ByteReader.IncompleteSample({ found: 1, expected: 2 }).message
 * // => "the last sample: found 1 bytes, expected 2"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class IncompleteSample extends Schema.TaggedError<IncompleteSample>()("IncompleteSample", {
  found: Schema.Finite,
  expected: Schema.Finite
}) {
  override get message(): string {
    return `the last sample: found ${this.found} bytes, expected ${this.expected}`
  }
}

/**
 * The one error of this module; `reason` tells which.
 *
 * @example
 * ```ts
 * import { ByteReader } from "@apipeline/core"
 *
 * const reason = new ByteReader.InvalidUtf8({ line: 3 })
 * new ByteReader.ByteReaderError({ reason }).message // => "line 3: found bytes that are not UTF-8"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ByteReaderError extends Schema.TaggedError<ByteReaderError>()("ByteReaderError", {
  reason: Schema.Union([InvalidUtf8, LineTooLong, IncompleteSample])
}) {
  override get message(): string {
    return this.reason.message
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How lines are read.
 *
 * @category models
 * @since 0.1.0
 */
export interface TextOptions {
  /** The bytes that a line may have. Default: 1,048,576. */
  readonly maxLength?: number | undefined
  /** What becomes of bytes that are not UTF-8: `replace` by U+FFFD, or `fail`. Default: `replace`. */
  readonly invalid?: "replace" | "fail" | undefined
}

/**
 * What the bytes are, and how many of them go in a frame.
 *
 * @category models
 * @since 0.1.0
 */
export interface AudioOptions {
  /** Hz. */
  readonly sampleRate: number
  /** Default: 1. */
  readonly numChannels?: number | undefined
  /** Bytes per sample. Default: 2. */
  readonly sampleWidth?: number | undefined
  /** Bytes per frame, a multiple of `numChannels` x `sampleWidth`; the last may have fewer. Default: 20 ms. */
  readonly chunkSize?: number | undefined
}

/**
 * Options of every reader that is a processor.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReaderOptions extends Pick<Processor.Options, "onError"> {
  /** Default: `ByteReader`. */
  readonly name?: string | undefined
  /** Ends the task, in order, when there is no more to come: also when reading has failed. Default: false. */
  readonly endWhenDone?: boolean | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// decoding
// ---------------------------------------------------------------------------------------------------------------------

/** Takes bytes apart; an error ends it. */
interface Decoder<A> {
  readonly push: (bytes: Uint8Array, out: Array<A>) => ByteReaderError["reason"] | undefined
  readonly end: (out: Array<A>) => ByteReaderError["reason"] | undefined
}

/** What was complete before an error comes out before it. */
const decode = <E, R, A>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  make: () => Decoder<A>
): Stream.Stream<A, E | ByteReaderError, R> =>
  Stream.transformPull(bytes, (upstream) =>
    Effect.sync(() => {
      const decoder = make()
      let last: Pull.Pull<never, ByteReaderError> | undefined
      const give = (out: Array<A>): Pull.Pull<Arr.NonEmptyReadonlyArray<A>, E | ByteReaderError> =>
        Arr.isArrayNonEmpty(out) ? Effect.succeed(out) : pull
      const stop = (reason: ByteReaderError["reason"]): void => {
        last = Effect.fail(new ByteReaderError({ reason }))
      }
      const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<A>, E | ByteReaderError> = Effect.suspend(() =>
        last ?? Pull.matchEffect(upstream, {
          onSuccess: (chunks) => {
            const out: Array<A> = []
            for (const chunk of chunks) {
              const reason = decoder.push(chunk, out)
              if (reason === undefined) continue
              stop(reason)
              break
            }
            return give(out)
          },
          onFailure: Effect.failCause,
          onDone: () => {
            const out: Array<A> = []
            const reason = decoder.end(out)
            last = Cause.done()
            if (reason !== undefined) stop(reason)
            return give(out)
          }
        })
      )
      return pull
    }))

const newline = 10
const carriageReturn = 13

const concat = (parts: ReadonlyArray<Uint8Array>, length: number): Uint8Array => {
  const all = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Lines are cut before they are decoded: no character of UTF-8 has a byte in it that is a line break. */
const textDecoder = ({ invalid = "replace", maxLength = 1_048_576 }: TextOptions): Decoder<Frame.TextFrame> => {
  const decoder = new TextDecoder("utf-8", { fatal: invalid === "fail", ignoreBOM: true })
  let line = 1
  let parts: Array<Uint8Array> = []
  let length = 0
  const put = (last: Uint8Array, out: Array<Frame.TextFrame>): ByteReaderError["reason"] | undefined => {
    const all = length === 0 ? last : concat([...parts, last], length + last.length)
    parts = []
    length = 0
    const bytes = all.at(-1) === carriageReturn ? all.subarray(0, -1) : all
    if (bytes.length > maxLength) return new LineTooLong({ line, maxLength })
    const decoded = Result.try(() => decoder.decode(bytes))
    if (Result.isFailure(decoded)) return new InvalidUtf8({ line })
    const text = decoded.success
    out.push(Frame.TextFrame.make({ text: line === 1 && text.startsWith("\uFEFF") ? text.slice(1) : text }))
    line++
    return undefined
  }
  return {
    push: (bytes, out) => {
      let from = 0
      for (let to = bytes.indexOf(newline); to >= 0; to = bytes.indexOf(newline, from)) {
        const reason = put(bytes.subarray(from, to), out)
        if (reason !== undefined) return reason
        from = to + 1
      }
      if (from === bytes.length) return undefined
      // a copy: whoever reads may use its buffer again
      parts.push(bytes.slice(from))
      length += bytes.length - from
      // one more may be the carriage return
      return length > maxLength + 1 ? new LineTooLong({ line, maxLength }) : undefined
    },
    end: (out) => length === 0 ? undefined : put(new Uint8Array(0), out)
  }
}

interface Sizes extends Required<{ readonly [K in keyof AudioOptions]: number }> {}

const sizes = (options: AudioOptions): Sizes => {
  const { numChannels = 1, sampleRate, sampleWidth = 2 } = options
  const unit = numChannels * sampleWidth
  const { chunkSize = Math.max(1, Math.round(sampleRate / 50)) * unit } = options
  for (const [field, value] of Object.entries({ sampleRate, numChannels, sampleWidth, chunkSize })) {
    checkPositiveInteger(`ByteReader: ${field}`, value)
  }
  if (chunkSize % unit === 0) return { sampleRate, numChannels, sampleWidth, chunkSize }
  throw new TypeError(`ByteReader: chunkSize: found ${chunkSize}, expected a multiple of ${unit}`)
}

const audioDecoder = ({ chunkSize, ...format }: Sizes): Decoder<Frame.AudioRawFrame> => {
  let chunk = new Uint8Array(chunkSize)
  let filled = 0
  return {
    push: (bytes, out) => {
      for (let from = 0; from < bytes.length;) {
        const part = bytes.subarray(from, from + chunkSize - filled)
        chunk.set(part, filled)
        filled += part.length
        from += part.length
        if (filled < chunkSize) break
        out.push(Frame.AudioRawFrame.make({ audio: chunk, ...format }))
        chunk = new Uint8Array(chunkSize)
        filled = 0
      }
      return undefined
    },
    end: (out) => {
      const expected = format.numChannels * format.sampleWidth
      const found = filled % expected
      if (filled > found) out.push(Frame.AudioRawFrame.make({ audio: chunk.slice(0, filled - found), ...format }))
      return found === 0 ? undefined : new IncompleteSample({ found, expected })
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// streams
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Reads the lines of a stream of bytes, in UTF-8, as text frames.
 *
 * **Details**
 *
 * A line ends with `\n` or `\r\n`, which are not part of it; the last may end without. An empty line is a frame without
 * text. A byte order mark at the beginning is skipped.
 *
 * **Example** (Cut anywhere)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { ByteReader } from "@apipeline/core"
 *
 * const bytes = Stream.make(Uint8Array.of(104, 195), Uint8Array.of(169, 13), Uint8Array.of(10, 33))
 * const texts = ByteReader.toText(bytes).pipe(Stream.map((frame) => frame.text), Stream.runCollect)
 *
 * await Effect.runPromise(texts) // => ["hé", "!"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const toText: {
  (
    options?: TextOptions
  ): <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<Frame.TextFrame, E | ByteReaderError, R>
  <E, R>(
    bytes: Stream.Stream<Uint8Array, E, R>,
    options?: TextOptions
  ): Stream.Stream<Frame.TextFrame, E | ByteReaderError, R>
} = dual(
  (args) => Stream.isStream(args[0]),
  <E, R>(
    bytes: Stream.Stream<Uint8Array, E, R>,
    options: TextOptions = {}
  ): Stream.Stream<Frame.TextFrame, E | ByteReaderError, R> => decode(bytes, () => textDecoder(options))
)

/**
 * Reads a stream of bytes, which are samples, as audio frames of one size. Each frame has its own copy of the bytes.
 * Throws a `TypeError` when the options cannot work.
 *
 * **Example** (Frames of two samples)
 *
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { ByteReader } from "@apipeline/core"
 *
 * const bytes = Stream.make(Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6))
 * const sizes = ByteReader.toAudio(bytes, { sampleRate: 16000, chunkSize: 4 }).pipe(
 *   Stream.map((frame) => frame.audio.length),
 *   Stream.runCollect
 * )
 *
 * await Effect.runPromise(sizes) // => [4, 2]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const toAudio: {
  (
    options: AudioOptions
  ): <E, R>(bytes: Stream.Stream<Uint8Array, E, R>) => Stream.Stream<Frame.AudioRawFrame, E | ByteReaderError, R>
  <E, R>(
    bytes: Stream.Stream<Uint8Array, E, R>,
    options: AudioOptions
  ): Stream.Stream<Frame.AudioRawFrame, E | ByteReaderError, R>
} = dual(
  2,
  <E, R>(
    bytes: Stream.Stream<Uint8Array, E, R>,
    options: AudioOptions
  ): Stream.Stream<Frame.AudioRawFrame, E | ByteReaderError, R> => {
    const all = sizes(options)
    return decode(bytes, () => audioDecoder(all))
  }
)

// ---------------------------------------------------------------------------------------------------------------------
// processors
// ---------------------------------------------------------------------------------------------------------------------

const source = <E, R>(
  frames: Stream.Stream<Frame.Frame, E, R>,
  options: ReaderOptions
): Processor.Processor<E, Exclude<R, Scope.Scope>> =>
  Processor.effect(options.name ?? "ByteReader", {
    source: (_: undefined, { push, reportCause }: Processor.ProcessorContext): Effect.Effect<void, E, R> => {
      const all = Stream.runForEach(frames, push)
      if (options.endWhenDone !== true) return all
      const end = push(Frame.EndFrame.make())
      return Effect.matchCauseEffect(all, {
        onSuccess: () => end,
        onFailure: (cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.andThen(reportCause(cause), end)
      })
    }
  }, { onError: options.onError })

/**
 * Makes a processor that pushes the lines of a stream of bytes as text frames, from the start of the task until the
 * bytes or the task end. An interruption does not stop it. When reading fails, that is reported.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { ByteReader, Frame, PipelineTask } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const bytes = Stream.encodeText(Stream.make("one\ntw", "o\n"))
 *   const task = yield* PipelineTask.make(ByteReader.lines(bytes, { endWhenDone: true }))
 *   const frames = yield* Stream.runCollect(task.output)
 *   return frames.filter(Frame.TextFrame.is).map((frame) => frame.text)
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => ["one", "two"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const lines = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  options: ReaderOptions & TextOptions = {}
): Processor.Processor<E | ByteReaderError, Exclude<R, Scope.Scope>> => source(toText(bytes, options), options)

/**
 * Makes a processor that pushes the samples of a stream of bytes as audio frames: see {@link toAudio} and
 * {@link lines}.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { ByteReader, Pipeline, Processor } from "@apipeline/core"
 *
 * const recorded = Stream.make(new Uint8Array(64000))
 * const pipeline = Pipeline.make(
 *   ByteReader.audio(recorded, { sampleRate: 16000, chunkSize: 640, endWhenDone: true }),
 *   Processor.sync("Same", {})
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const audio = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  options: ReaderOptions & AudioOptions
): Processor.Processor<E | ByteReaderError, Exclude<R, Scope.Scope>> => source(toAudio(bytes, options), options)

/**
 * Makes a processor that pushes the lines of standard input: see {@link lines}.
 *
 * @example
 * ```ts
 * import { Pipeline } from "@apipeline/core"
 * import { ByteReader, ByteWriter } from "@apipeline/core"
 *
 * const echo = Pipeline.make(ByteReader.stdin({ endWhenDone: true }), ByteWriter.stdout())
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const stdin = (
  options: ReaderOptions & TextOptions = {}
): Processor.Processor<PlatformError.PlatformError | ByteReaderError, Stdio.Stdio> =>
  lines(Stream.unwrap(Effect.map(Stdio.Stdio, ({ stdin }) => stdin)), options)
