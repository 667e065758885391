/**
 * Arithmetic on 16-bit PCM audio, the format of `AudioRawFrame`: signed samples, little-endian, channels interleaved.
 *
 * Bytes are what travels; samples (`Int16Array`, or `Float32Array` from -1 to 1) are what one calculates with. Every
 * function returns arrays of its own and works on any machine, whatever its byte order and however the bytes are aligned.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Bytes or samples that are not what the function needs: names the field, what was found there and what was expected.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const result = Pcm.toInt16(new Uint8Array(3))
 * Result.isFailure(result) && result.failure.message // => "bytes: found 3 bytes, expected a multiple of 2"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class PcmError extends Schema.TaggedError<PcmError>()("PcmError", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

const attempt = <A>(f: () => A): Result.Result<A, PcmError> =>
  Result.try({
    try: f,
    catch: (error) => {
      if (error instanceof PcmError) return error
      throw error
    }
  })

const checkMultiple = (field: string, length: number, unit: number, of: string): void => {
  if (length % unit === 0) return
  throw new PcmError({ field, found: `${length} ${of}`, expected: `a multiple of ${unit}` })
}

const checkPositive = (field: string, value: number): void => {
  if (Number.isSafeInteger(value) && value > 0) return
  throw new PcmError({ field, found: String(value), expected: "a positive integer" })
}

// ---------------------------------------------------------------------------------------------------------------------
// bytes and samples
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Reads bytes as samples. Fails with a {@link PcmError} when their number is odd: where bytes may be cut anywhere, put
 * them through an `AudioChunker` first.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * Array.from(Result.getOrThrow(Pcm.toInt16(Uint8Array.of(0x34, 0x12, 0xff, 0xff)))) // => [4660, -1]
 * ```
 *
 * @see {@link toInt16Unsafe} for the same without a `Result`
 * @category conversions
 * @since 0.1.0
 */
export const toInt16 = (bytes: Uint8Array): Result.Result<Int16Array, PcmError> => attempt(() => toInt16Unsafe(bytes))

/**
 * Reads bytes as samples, and throws the {@link PcmError}.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Pcm.toInt16Unsafe(Uint8Array.of(0x00, 0x80))[0] // => -32768
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toInt16Unsafe = (bytes: Uint8Array): Int16Array => {
  checkMultiple("bytes", bytes.length, 2, "bytes")
  const samples = new Int16Array(bytes.length / 2)
  for (let i = 0, j = 0; i < samples.length; i++, j += 2) samples[i] = bytes[j]! | (bytes[j + 1]! << 8)
  return samples
}

/**
 * Writes samples as bytes.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.fromInt16(Int16Array.of(4660, -1))) // => [52, 18, 255, 255]
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromInt16 = (samples: Int16Array): Uint8Array => {
  const bytes = new Uint8Array(2 * samples.length)
  for (let i = 0, j = 0; i < samples.length; i++, j += 2) {
    const sample = samples[i]!
    bytes[j] = sample
    bytes[j + 1] = sample >> 8
  }
  return bytes
}

/**
 * Reads bytes as samples from -1 (inclusive) to 1 (exclusive): each is divided by 32768. Fails as {@link toInt16} does.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * Array.from(Result.getOrThrow(Pcm.toFloat32(Uint8Array.of(0x00, 0x80, 0x00, 0x40)))) // => [-1, 0.5]
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toFloat32 = (bytes: Uint8Array): Result.Result<Float32Array, PcmError> =>
  attempt(() => toFloat32Unsafe(bytes))

/**
 * Reads bytes as samples from -1 to 1, and throws the {@link PcmError}.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Pcm.toFloat32Unsafe(Uint8Array.of(0x00, 0xc0))[0] // => -0.5
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const toFloat32Unsafe = (bytes: Uint8Array): Float32Array => {
  checkMultiple("bytes", bytes.length, 2, "bytes")
  const samples = new Float32Array(bytes.length / 2)
  for (let i = 0, j = 0; i < samples.length; i++, j += 2) {
    samples[i] = ((bytes[j]! | (bytes[j + 1]! << 8)) << 16 >> 16) / 32768
  }
  return samples
}

/**
 * Writes samples from -1 to 1 as bytes: see {@link float32ToInt16}.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.fromFloat32(Float32Array.of(-1, 0.5, 2))) // => [0, 128, 0, 64, 255, 127]
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromFloat32 = (samples: Float32Array): Uint8Array => fromInt16(float32ToInt16(samples))

/**
 * Scales samples by 1 / 32768.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.int16ToFloat32(Int16Array.of(-32768, 8192))) // => [-1, 0.25]
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const int16ToFloat32 = (samples: Int16Array): Float32Array => {
  const floats = new Float32Array(samples.length)
  for (let i = 0; i < samples.length; i++) floats[i] = samples[i]! / 32768
  return floats
}

/**
 * Scales samples by 32768 and rounds to the nearest. What is beyond full scale saturates, and NaN is silence. It is the
 * exact inverse of {@link int16ToFloat32}.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.float32ToInt16(Float32Array.of(-1, 0.25, 1, -3, NaN))) // => [-32768, 8192, 32767, -32768, 0]
 * ```
 *
 * @category conversions
 * @since 0.1.0
 */
export const float32ToInt16 = (samples: Float32Array): Int16Array => {
  const integers = new Int16Array(samples.length)
  for (let i = 0; i < samples.length; i++) integers[i] = saturate(Math.round(samples[i]! * 32768))
  return integers
}

const saturate = (value: number): number => value > 32767 ? 32767 : value < -32768 ? -32768 : value

// ---------------------------------------------------------------------------------------------------------------------
// channels
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Puts channels together, sample by sample: left, right, left, right. A channel that is shorter than the longest ends in
 * silence.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.interleave([Int16Array.of(1, 2), Int16Array.of(-1)])) // => [1, -1, 2, 0]
 * ```
 *
 * @category channels
 * @since 0.1.0
 */
export const interleave = (channels: ReadonlyArray<Int16Array>): Int16Array => {
  const count = channels.length
  let length = 0
  for (const channel of channels) length = Math.max(length, channel.length)
  const samples = new Int16Array(length * count)
  for (let c = 0; c < count; c++) {
    const channel = channels[c]!
    for (let i = 0, j = c; i < channel.length; i++, j += count) samples[j] = channel[i]!
  }
  return samples
}

/**
 * Takes interleaved channels apart. Fails with a {@link PcmError} when the samples are not the same number for each
 * channel.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const [left, right] = Result.getOrThrow(Pcm.deinterleave(Int16Array.of(1, -1, 2, -2), 2))
 * const both = [Array.from(left!), Array.from(right!)]
 * both // => [[1, 2], [-1, -2]]
 * ```
 *
 * @category channels
 * @since 0.1.0
 */
export const deinterleave = (
  samples: Int16Array,
  numChannels: number
): Result.Result<Array<Int16Array>, PcmError> =>
  attempt(() => {
    checkPositive("numChannels", numChannels)
    checkMultiple("samples", samples.length, numChannels, "samples")
    const length = samples.length / numChannels
    return Array.from({ length: numChannels }, (_, c) => {
      const channel = new Int16Array(length)
      for (let i = 0, j = c; i < length; i++, j += numChannels) channel[i] = samples[j]!
      return channel
    })
  })

/**
 * Averages interleaved channels to one, which cannot saturate. Fails as {@link deinterleave} does.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * Array.from(Result.getOrThrow(Pcm.toMono(Int16Array.of(10, 20, -32768, -32768), 2))) // => [15, -32768]
 * ```
 *
 * @category channels
 * @since 0.1.0
 */
export const toMono = (samples: Int16Array, numChannels: number): Result.Result<Int16Array, PcmError> =>
  attempt(() => toMonoUnsafe(samples, numChannels))

/**
 * Averages interleaved channels to one, and throws the {@link PcmError}.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.toMonoUnsafe(Int16Array.of(1, 3), 2)) // => [2]
 * ```
 *
 * @category channels
 * @since 0.1.0
 */
export const toMonoUnsafe = (samples: Int16Array, numChannels: number): Int16Array => {
  checkPositive("numChannels", numChannels)
  checkMultiple("samples", samples.length, numChannels, "samples")
  const mono = new Int16Array(samples.length / numChannels)
  for (let i = 0, j = 0; i < mono.length; i++) {
    let sum = 0
    for (let c = 0; c < numChannels; c++) sum += samples[j++]!
    mono[i] = Math.round(sum / numChannels)
  }
  return mono
}

/**
 * Puts one channel on both sides.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.toStereo(Int16Array.of(1, 2))) // => [1, 1, 2, 2]
 * ```
 *
 * @category channels
 * @since 0.1.0
 */
export const toStereo = (mono: Int16Array): Int16Array => interleave([mono, mono])

// ---------------------------------------------------------------------------------------------------------------------
// level
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The root mean square of samples, from 0 to 1 = full scale (32768 in an `Int16Array`). That of no samples is 0.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Pcm.rms(Int16Array.of(16384, -16384)) // => 0.5
 * ```
 *
 * @category level
 * @since 0.1.0
 */
export const rms = (samples: Int16Array | Float32Array): number => {
  if (samples.length === 0) return 0
  const sum = samples instanceof Int16Array ? squares16(samples) / (32768 * 32768) : squares32(samples)
  return Math.sqrt(sum / samples.length)
}

// One loop for each type of array, which V8 compiles far better than one for both.
const squares16 = (samples: Int16Array): number => {
  let sum = 0
  for (let i = 0; i < samples.length; i++) sum += samples[i]! * samples[i]!
  return sum
}
const squares32 = (samples: Float32Array): number => {
  let sum = 0
  for (let i = 0; i < samples.length; i++) sum += samples[i]! * samples[i]!
  return sum
}

/**
 * The level of samples in dBFS: 0 is a constant at full scale, -3.01 a sine at full scale, -Infinity silence.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Pcm.dbfs(Int16Array.of(16384, -16384)).toFixed(2) // => "-6.02"
 * ```
 *
 * @category level
 * @since 0.1.0
 */
export const dbfs = (samples: Int16Array | Float32Array): number => 20 * Math.log10(rms(samples))

/**
 * The level of samples on the scale of the `minVolume` of voice activity detection: 0 is -110 dBFS or less, 1 is
 * -10 dBFS or more, linear in between. 0.6 is -50 dBFS.
 *
 * **Details**
 *
 * It is pipecat's scale (`calculate_audio_volume`: -110 to -10 LUFS). That one weighs frequencies and gates pauses
 * (ITU-R BS.1770), which needs 400 ms of audio; this is the plain {@link dbfs} of whatever it is given.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * const volumes = [Pcm.volume(new Int16Array(160)), Pcm.volume(new Int16Array(160).fill(32767))]
 * volumes // => [0, 1]
 * ```
 *
 * @category level
 * @since 0.1.0
 */
export const volume = (samples: Int16Array | Float32Array): number =>
  Math.min(1, Math.max(0, (dbfs(samples) + 110) / 100))

/**
 * The factor of a gain in dB.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Pcm.fromDecibels(-20) // => 0.1
 * ```
 *
 * @category level
 * @since 0.1.0
 */
export const fromDecibels = (decibels: number): number => 10 ** (decibels / 20)

/**
 * Makes samples louder or softer by a factor (2 is +6 dB), rounded; they saturate at full scale.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.gain(Int16Array.of(100, -20000, 20000), 2)) // => [200, -32768, 32767]
 * ```
 *
 * @category level
 * @since 0.1.0
 */
export const gain = (samples: Int16Array, factor: number): Int16Array => {
  const louder = new Int16Array(samples.length)
  for (let i = 0; i < samples.length; i++) louder[i] = saturate(Math.round(samples[i]! * factor))
  return louder
}

/**
 * Adds two sounds up; they saturate at full scale. The shorter one ends in silence.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Array.from(Pcm.mix(Int16Array.of(1, 30000, 5), Int16Array.of(2, 30000))) // => [3, 32767, 5]
 * ```
 *
 * @category level
 * @since 0.1.0
 */
export const mix = (a: Int16Array, b: Int16Array): Int16Array => {
  const [long, short] = a.length >= b.length ? [a, b] : [b, a]
  const sum = long.slice()
  for (let i = 0; i < short.length; i++) sum[i] = saturate(long[i]! + short[i]!)
  return sum
}

// ---------------------------------------------------------------------------------------------------------------------
// durations
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What bytes of 16-bit PCM mean.
 *
 * @category models
 * @since 0.1.0
 */
export interface Format {
  /** Hz. */
  readonly sampleRate: number
  /** Default: 1. */
  readonly numChannels?: number | undefined
}

/**
 * How many bytes a duration takes: whole samples of all channels, to the nearest. Throws a {@link PcmError} when the
 * duration is negative or infinite, or the format is not one of positive integers.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Pcm.byteLength("20 millis", { sampleRate: 16000 }) // => 640
 * ```
 *
 * @category durations
 * @since 0.1.0
 */
export const byteLength = (duration: Duration.Input, format: Format): number => {
  const { numChannels = 1, sampleRate } = format
  checkPositive("sampleRate", sampleRate)
  checkPositive("numChannels", numChannels)
  const millis = Duration.toMillis(duration)
  const length = Math.round(millis * sampleRate / 1000) * numChannels * 2
  if (millis >= 0 && Number.isSafeInteger(length)) return length
  throw new PcmError({ field: "duration", found: `${millis} ms`, expected: "a finite duration that is not negative" })
}

/**
 * How long bytes take to play. What is left of a sample at their end counts for nothing. Throws a {@link PcmError} when
 * the format is not one of positive integers.
 *
 * @example
 * ```ts
 * import { Duration } from "effect"
 * import { Pcm } from "@apipeline/core"
 *
 * Duration.toMillis(Pcm.duration(new Uint8Array(640), { sampleRate: 8000, numChannels: 2 })) // => 20
 * ```
 *
 * @category durations
 * @since 0.1.0
 */
export const duration = (bytes: Uint8Array, format: Format): Duration.Duration => {
  const { numChannels = 1, sampleRate } = format
  checkPositive("sampleRate", sampleRate)
  checkPositive("numChannels", numChannels)
  return Duration.millis(Math.floor(bytes.length / (2 * numChannels)) * 1000 / sampleRate)
}

/**
 * Bytes of silence. Throws as {@link byteLength} does.
 *
 * @example
 * ```ts
 * import { Pcm } from "@apipeline/core"
 *
 * Pcm.silence("10 millis", { sampleRate: 48000, numChannels: 2 }).length // => 1920
 * ```
 *
 * @category durations
 * @since 0.1.0
 */
export const silence = (duration: Duration.Input, format: Format): Uint8Array =>
  new Uint8Array(byteLength(duration, format))
