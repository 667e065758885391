/**
 * Reads and writes WAV files, whole or as they stream by.
 *
 * Reads PCM of 8 to 32 bits, float of 32 and 64 bits, A-law and µ-law, in plain and in `WAVE_FORMAT_EXTENSIBLE` form,
 * and the large files of RF64 and BW64. A header is never trusted: nothing is allocated by what it states, and headers
 * as real programs leave them behind are understood (see {@link Reader}).
 *
 * Source: Multimedia Programming Interface and Data Specifications 1.0 (RIFF), `mmreg.h`, EBU Tech 3306 (RF64).
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as AudioChunker from "./AudioChunker.ts"
import * as Frame from "./Frame.ts"
import * as G711 from "./G711.ts"
import * as Internal from "./internal/audio/wav.ts"
import * as Pcm from "./Pcm.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How samples are coded: integers, floating point, or one of the laws of G.711.
 *
 * @category models
 * @since 0.1.0
 */
export type Encoding = "pcm" | "float" | "alaw" | "mulaw"

/**
 * What the header says about the samples.
 *
 * @category models
 * @since 0.1.0
 */
export interface Format {
  readonly encoding: Encoding
  /** Of the container: 20 bits in 3 bytes are 24. */
  readonly bitsPerSample: number
  /** Hz. */
  readonly sampleRate: number
  readonly numChannels: number
}

/**
 * What is no WAV file, or not one of these: names the field, the byte where it is, what was found there and what was
 * expected.
 *
 * @example
 * ```ts
 * import { Wav } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const result = Wav.decode(new TextEncoder().encode("ID3 is no WAV file"))
 * Result.isFailure(result) && result.failure.message
 * // => "wav: RIFF (byte 0): found \"ID3 \", expected \"RIFF\" or \"RF64\""
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class WavError extends Schema.TaggedError<WavError>()("WavError", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String,
  /** In bytes from the beginning of the file. */
  offset: Schema.Finite
}) {
  override get message(): string {
    return `wav: ${this.field} (byte ${this.offset}): found ${this.found}, expected ${this.expected}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// reading
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Reads one file from bytes that may be cut anywhere. The samples of all channels are interleaved.
 *
 * **Details**
 *
 * What real files are like, and what becomes of it:
 *
 * - The size of the data is 0, `0xFFFFFFFF` or close to 2 GiB, because it was streamed: everything up to the end is
 *   audio.
 * - The file ends before the data does: what is there is read, and `missing` tells how much is not. A sample that is not
 *   complete is left out.
 * - Other chunks, before the data: they are skipped, whatever their size, with or without the byte that pads an odd one.
 *   Behind the data everything is ignored. So is the size in the RIFF header.
 * - The block size is wrong: that which follows from the channels and the bits is used.
 *
 * After a failure the reader is of no more use.
 *
 * @see {@link makeReader} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Reader<out Samples> {
  /** Known as soon as the header has been read. */
  readonly format: () => Format | undefined
  /** Takes more bytes and returns the samples that they completed, often none. */
  readonly push: (bytes: Uint8Array) => Result.Result<Samples, WavError>
  /** No more bytes. Fails when there was no format or no data chunk. */
  readonly end: () => Result.Result<void, WavError>
  /** How many bytes of the data have not come; 0 where the header does not tell. */
  readonly missing: () => number
}

const failed = (fault: Internal.Fault): Result.Result<never, WavError> => Result.fail(new WavError(fault))

const reader = <Samples extends Int16Array | Float32Array>(
  decode: (bytes: Uint8Array, format: Format) => Samples,
  make: (length: number) => Samples
): Reader<Samples> => {
  const parser = new Internal.Parser()
  return {
    format: () => parser.format,
    push: (bytes) => {
      let samples: Samples | undefined
      const fault = parser.push(bytes, (found, format) => {
        samples = decode(found, format)
      })
      return fault === undefined ? Result.succeed(samples ?? make(0)) : failed(fault)
    },
    end: () => {
      const fault = parser.end()
      return fault === undefined ? Result.void : failed(fault)
    },
    missing: () => parser.left === Infinity ? 0 : parser.left
  }
}

/**
 * Makes a reader that gives 16-bit samples, the format of pipelines. Those of higher precision are rounded; float
 * samples beyond full scale saturate, and NaN is silence.
 *
 * @example
 * ```ts
 * import { Wav } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const file = Wav.encode(Int16Array.of(1, -1, 2), { sampleRate: 16000 })
 * const reader = Wav.makeReader()
 * const seen = [file.subarray(0, 47), file.subarray(47)].map((bytes) => Array.from(Result.getOrThrow(reader.push(bytes))))
 * seen // => [[1], [-1, 2]]
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const makeReader = (): Reader<Int16Array> => reader(Internal.toInt16, (length) => new Int16Array(length))

/**
 * Makes a reader that gives samples from -1 to 1 and keeps their precision, up to that of 32-bit floats.
 *
 * @example
 * ```ts
 * import { Wav } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const file = Wav.encode(Int16Array.of(16384, -32768), { sampleRate: 16000 })
 * Array.from(Result.getOrThrow(Wav.makeFloatReader().push(file))) // => [0.5, -1]
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const makeFloatReader = (): Reader<Float32Array> =>
  reader(Internal.toFloat32, (length) => new Float32Array(length))

/**
 * A file that has been read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoded {
  readonly format: Format
  /** Interleaved. */
  readonly samples: Int16Array
  /** How many bytes the file was cut short by. */
  readonly missing: number
}

/**
 * Reads a whole file: see {@link Reader} for what it makes of damaged ones.
 *
 * @example
 * ```ts
 * import { Wav } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const file = Wav.encode(Int16Array.of(1, -1), { sampleRate: 44100, numChannels: 2 })
 * const { format, samples } = Result.getOrThrow(Wav.decode(file))
 * const seen = [format.sampleRate, format.numChannels, ...samples]
 * seen // => [44100, 2, 1, -1]
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array): Result.Result<Decoded, WavError> => {
  const reader = makeReader()
  return Result.flatMap(
    reader.push(bytes),
    (samples) => Result.map(reader.end(), () => ({ format: reader.format()!, samples, missing: reader.missing() }))
  )
}

/**
 * Reads a file as it streams by, as audio frames of one length: mono and stereo stay what they are.
 *
 * **Details**
 *
 * Frames come as soon as they are complete, the last with the rest. They have no `pts`. A header that is no good fails
 * the stream with a {@link WavError} before the first frame; a file that is cut short does not. Throws a `PcmError` when
 * the duration cannot be one.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Wav } from "@apipeline/core"
 *
 * const file = Wav.encode(new Int16Array(400), { sampleRate: 8000 })
 * const lengths = Wav.toAudio(Stream.make(file.subarray(0, 100), file.subarray(100))).pipe(
 *   Stream.map((frame) => frame.audio.length),
 *   Stream.runCollect
 * )
 *
 * await Effect.runPromise(lengths) // => [320, 320, 160]
 * ```
 *
 * @category reading
 * @since 0.1.0
 */
export const toAudio = <E, R>(
  bytes: Stream.Stream<Uint8Array, E, R>,
  options: {
    /** Audio per frame. Default: 20 ms. */
    readonly duration?: Duration.Input | undefined
  } = {}
): Stream.Stream<Frame.AudioRawFrame, E | WavError, R> => {
  const { duration = "20 millis" } = options
  Pcm.byteLength(duration, { sampleRate: 8000 })
  return Stream.transformPull(bytes, (upstream) =>
    Effect.sync(() => {
      const reader = makeReader()
      let chunker: AudioChunker.Chunker | undefined
      let last: Pull.Pull<never, WavError> | undefined
      const frame = (audio: Uint8Array): Frame.AudioRawFrame => {
        const { numChannels, sampleRate } = reader.format()!
        return Frame.AudioRawFrame.make({ audio, sampleRate, numChannels })
      }
      const take = (bytes: Uint8Array, out: Array<Frame.AudioRawFrame>): WavError | undefined => {
        const samples = reader.push(bytes)
        if (Result.isFailure(samples)) return samples.failure
        if (samples.success.length === 0) return undefined
        if (chunker === undefined) {
          const { numChannels, sampleRate } = reader.format()!
          const unit = 2 * numChannels
          const size = Math.max(unit, Pcm.byteLength(duration, { sampleRate, numChannels }))
          chunker = AudioChunker.makeChunker({ size, unit })
        }
        for (const audio of chunker.push(Pcm.fromInt16(samples.success))) out.push(frame(audio))
        return undefined
      }
      const give = (out: Array<Frame.AudioRawFrame>): Pull.Pull<Arr.NonEmptyReadonlyArray<Frame.AudioRawFrame>, any> =>
        Arr.isArrayNonEmpty(out) ? Effect.succeed(out) : pull
      const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Frame.AudioRawFrame>, E | WavError> = Effect.suspend(() =>
        last ?? Pull.matchEffect(upstream, {
          onSuccess: (chunks) => {
            const out: Array<Frame.AudioRawFrame> = []
            for (const chunk of chunks) {
              const error = take(chunk, out)
              if (error === undefined) continue
              last = Effect.fail(error)
              break
            }
            return give(out)
          },
          onFailure: Effect.failCause,
          onDone: () => {
            const rest = chunker?.flush()
            last = Result.match(reader.end(), { onFailure: Effect.fail, onSuccess: () => Cause.done() })
            return give(rest === undefined ? [] : [frame(rest)])
          }
        })
      )
      return pull
    }))
}

// ---------------------------------------------------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What is written.
 *
 * @category models
 * @since 0.1.0
 */
export interface WriteOptions {
  /** Hz. */
  readonly sampleRate: number
  /** Default: 1. */
  readonly numChannels?: number | undefined
  /** 16-bit PCM, 32-bit float, or 8 bits of G.711. Default: `pcm`. */
  readonly encoding?: Encoding | undefined
}

const bitsOf: Readonly<Record<Encoding, number>> = { pcm: 16, float: 32, alaw: 8, mulaw: 8 }

const check = (field: string, value: number, maximum: number): void => {
  if (Number.isInteger(value) && value > 0 && value <= maximum) return
  throw new TypeError(`Wav: ${field}: found ${value}, expected an integer from 1 to ${maximum}`)
}

/**
 * The header of a file, with which it begins: 44 bytes for PCM, 58 for other encodings. Throws a `TypeError` when the
 * format cannot be written.
 *
 * **Details**
 *
 * Without `dataLength` the sizes are `0xFFFFFFFF`, which readers take for "up to the end": right for a stream that cannot
 * be gone back in. The header with the size is as long, so it can be written over the first one when the size is known.
 * Sizes that do not fit (4 GiB and more) are left unknown.
 *
 * @example
 * ```ts
 * import { Wav } from "@apipeline/core"
 *
 * const lengths = [Wav.header({ sampleRate: 8000 }).length, Wav.header({ sampleRate: 8000, encoding: "mulaw" }).length]
 * lengths // => [44, 58]
 * ```
 *
 * @category writing
 * @since 0.1.0
 */
export const header = (
  options: WriteOptions & {
    /** Bytes of samples. Default: unknown. */
    readonly dataLength?: number | undefined
  }
): Uint8Array => {
  const { dataLength = Infinity, encoding = "pcm", numChannels = 1, sampleRate } = options
  const bits = bitsOf[encoding]
  check("sampleRate", sampleRate, 0xffffffff)
  if (!(dataLength >= 0)) throw new TypeError(`Wav: dataLength: found ${dataLength}, expected a number of bytes`)
  // the block size has 16 bits
  check("numChannels", numChannels, Math.floor(0xffff * 8 / bits))
  const unit = numChannels * bits / 8
  const plain = encoding === "pcm"
  const bytes = new Uint8Array(plain ? 44 : 58)
  const view = new DataView(bytes.buffer)
  let at = 0
  const id = (name: string): void => {
    for (let i = 0; i < 4; i++) bytes[at++] = name.charCodeAt(i)
  }
  const u16 = (value: number): void => {
    view.setUint16(at, value, true)
    at += 2
  }
  const u32 = (value: number): void => {
    view.setUint32(at, Math.min(value, 0xffffffff), true)
    at += 4
  }
  id("RIFF")
  u32(bytes.length - 8 + dataLength + (dataLength % 2 || 0)) // the remainder of Infinity is NaN
  id("WAVE")
  id("fmt ")
  u32(plain ? 16 : 18)
  u16(Internal.tags[encoding])
  u16(numChannels)
  u32(sampleRate)
  u32(sampleRate * unit)
  u16(unit)
  u16(bits)
  if (!plain) {
    u16(0)
    id("fact")
    u32(4)
    u32(Math.floor(dataLength / unit))
  }
  id("data")
  u32(dataLength)
  return bytes
}

/**
 * Codes samples as a file has them, without a header: what follows the {@link header} of a stream.
 *
 * @example
 * ```ts
 * import { Wav } from "@apipeline/core"
 *
 * Array.from(Wav.encodeSamples(Int16Array.of(0, -1), "mulaw")) // => [255, 127]
 * ```
 *
 * @category writing
 * @since 0.1.0
 */
export const encodeSamples = (samples: Int16Array, encoding: Encoding = "pcm"): Uint8Array => {
  if (encoding === "pcm") return Pcm.fromInt16(samples)
  if (encoding !== "float") return G711.encode(samples, encoding)
  const view = new DataView(new ArrayBuffer(4 * samples.length))
  for (let i = 0; i < samples.length; i++) view.setFloat32(4 * i, samples[i]! / 32768, true)
  return new Uint8Array(view.buffer)
}

/**
 * Writes a whole file. Throws as {@link header} does.
 *
 * @example
 * ```ts
 * import { Wav } from "@apipeline/core"
 *
 * Wav.encode(new Int16Array(16000), { sampleRate: 16000 }).length // => 32044
 * ```
 *
 * @category writing
 * @since 0.1.0
 */
export const encode = (samples: Int16Array, options: WriteOptions): Uint8Array => {
  const data = encodeSamples(samples, options.encoding)
  const head = header({ ...options, dataLength: data.length })
  const file = new Uint8Array(head.length + data.length + data.length % 2)
  file.set(head)
  file.set(data, head.length)
  return file
}

/**
 * Writes a file as its samples come: the header first, with unknown sizes, which every reader of streams understands.
 * To have the sizes in a file, write {@link header} with its `dataLength` over its beginning when the stream has ended.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Wav } from "@apipeline/core"
 *
 * const samples = Stream.make(new Int16Array(160), new Int16Array(160))
 * const lengths = Wav.encodeStream(samples, { sampleRate: 8000 }).pipe(
 *   Stream.map((bytes) => bytes.length),
 *   Stream.runCollect
 * )
 *
 * await Effect.runPromise(lengths) // => [44, 320, 320]
 * ```
 *
 * @category writing
 * @since 0.1.0
 */
export const encodeStream = <E, R>(
  samples: Stream.Stream<Int16Array, E, R>,
  options: WriteOptions
): Stream.Stream<Uint8Array, E, R> =>
  Stream.concat(
    Stream.succeed(header(options)),
    Stream.map(samples, (some) => encodeSamples(some, options.encoding))
  )
