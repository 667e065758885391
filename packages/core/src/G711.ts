/**
 * G.711, the codec of telephone lines: 16-bit samples in 8 bits, by µ-law (PCMU: North America, Japan) or A-law (PCMA:
 * elsewhere).
 *
 * It has no state and no frames: any number of samples may be coded at once, at any rate (telephones use 8 kHz).
 *
 * Source: ITU-T G.711, tables 1a, 1b (A-law) and 2a, 2b (µ-law). Which side of a decision value a sample that lies on it
 * falls to is that of the reference implementation in ITU-T G.191: negative samples are coded by their ones' complement.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Pcm from "./Pcm.ts"

/**
 * Which of the two laws.
 *
 * @category models
 * @since 0.1.0
 */
export type Law = "mulaw" | "alaw"

// ---------------------------------------------------------------------------------------------------------------------
// tables
// ---------------------------------------------------------------------------------------------------------------------

// All bits are sent inverted; the magnitude has 13 bits, with a bias of 33 that makes every segment a power of two.
const mulawOf = (linear: number): number => {
  const sign = linear < 0 ? 0 : 0x80
  const magnitude = Math.min(0x1fff, (linear < 0 ? ~linear : linear) + 33)
  const segment = 26 - Math.clz32(magnitude)
  return sign | (~((segment << 4) | ((magnitude >> (segment + 1)) & 15)) & 0x7f)
}

const linearOfMulaw = (code: number): number => {
  const segment = (~code >> 4) & 7
  const magnitude = ((((~code & 15) << 1) + 33) << segment) - 33
  return (code & 0x80 ? magnitude : -magnitude) * 4
}

// Every other bit is sent inverted; the magnitude has 11 bits, and the first two segments have steps of one size.
const alawOf = (linear: number): number => {
  const sign = linear < 0 ? 0 : 0x80
  const magnitude = linear < 0 ? ~linear : linear
  const segment = Math.max(0, 28 - Math.clz32(magnitude))
  return (sign | (segment << 4) | ((magnitude >> Math.max(0, segment - 1)) & 15)) ^ 0x55
}

const linearOfAlaw = (code: number): number => {
  const bits = code ^ 0x55
  const segment = (bits >> 4) & 7
  const step = ((bits & 15) << 1) + 1
  const magnitude = segment === 0 ? step : (step + 32) << (segment - 1)
  return (bits & 0x80 ? magnitude : -magnitude) * 8
}

interface Tables {
  /** By the upper bits of a sample. */
  readonly encode: Uint8Array
  /** How many of its lower bits do not matter. */
  readonly shift: number
  readonly mask: number
  readonly decode: Int16Array
}

const makeTables = (bits: number, encode: (linear: number) => number, decode: (code: number) => number): Tables => {
  const size = 1 << bits
  return {
    encode: Uint8Array.from({ length: size }, (_, i) => encode(i < size / 2 ? i : i - size)),
    shift: 16 - bits,
    mask: size - 1,
    decode: Int16Array.from({ length: 256 }, (_, code) => decode(code))
  }
}

let mulaw: Tables | undefined
let alaw: Tables | undefined

const tablesOf = (law: Law): Tables =>
  law === "mulaw"
    ? mulaw ??= makeTables(14, mulawOf, linearOfMulaw)
    : alaw ??= makeTables(12, alawOf, linearOfAlaw)

// ---------------------------------------------------------------------------------------------------------------------
// samples
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Encodes 16-bit samples, one byte each. What is beyond the range of the law (32635 for µ-law) saturates.
 *
 * @example
 * ```ts
 * import { G711 } from "@apipeline/core"
 *
 * const coded = [G711.encode(Int16Array.of(0, -1, 32767), "mulaw"), G711.encode(Int16Array.of(0, -1), "alaw")]
 * coded.map((bytes) => Array.from(bytes)) // => [[255, 127, 128], [213, 85]]
 * ```
 *
 * @category samples
 * @since 0.1.0
 */
export const encode = (samples: Int16Array, law: Law): Uint8Array => {
  const { encode, mask, shift } = tablesOf(law)
  const bytes = new Uint8Array(samples.length)
  for (let i = 0; i < samples.length; i++) bytes[i] = encode[(samples[i]! >> shift) & mask]!
  return bytes
}

/**
 * Decodes bytes to 16-bit samples, one each. Every byte is a sample: there is nothing that could be malformed.
 *
 * @example
 * ```ts
 * import { G711 } from "@apipeline/core"
 *
 * Array.from(G711.decode(Uint8Array.of(0xff, 0x80, 0x00), "mulaw")) // => [0, 32124, -32124]
 * ```
 *
 * @category samples
 * @since 0.1.0
 */
export const decode = (bytes: Uint8Array, law: Law): Int16Array => {
  const { decode } = tablesOf(law)
  const samples = new Int16Array(bytes.length)
  for (let i = 0; i < bytes.length; i++) samples[i] = decode[bytes[i]!]!
  return samples
}

// ---------------------------------------------------------------------------------------------------------------------
// bytes
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Encodes the bytes of 16-bit PCM, as audio frames have them; half as many come out. Fails with a `PcmError` when their
 * number is odd.
 *
 * @example
 * ```ts
 * import { G711 } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * Array.from(Result.getOrThrow(G711.fromPcm(Uint8Array.of(0, 0, 255, 127), "mulaw"))) // => [255, 128]
 * ```
 *
 * @category bytes
 * @since 0.1.0
 */
export const fromPcm = (pcm: Uint8Array, law: Law): Result.Result<Uint8Array, Pcm.PcmError> =>
  Result.map(Pcm.toInt16(pcm), (samples) => encode(samples, law))

/**
 * Decodes to the bytes of 16-bit PCM, as audio frames have them: twice as many.
 *
 * @example
 * ```ts
 * import { G711 } from "@apipeline/core"
 *
 * Array.from(G711.toPcm(Uint8Array.of(0xff, 0x80), "mulaw")) // => [0, 0, 124, 125]
 * ```
 *
 * @category bytes
 * @since 0.1.0
 */
export const toPcm = (bytes: Uint8Array, law: Law): Uint8Array => Pcm.fromInt16(decode(bytes, law))
