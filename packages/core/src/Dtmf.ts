/**
 * The tones of telephone keys (dual-tone multi-frequency): audio that dials, or answers a menu that asks for a key.
 *
 * `DtmfAggregator` is the other direction, for keys that the user presses.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Pcm from "./Pcm.ts"
import { DtmfKey } from "./VoiceFrames.ts"

/**
 * The two frequencies of each key, in Hz: that of its row and that of its column.
 *
 * Source: ITU-T Q.23.
 *
 * @example
 * ```ts
 * import { Dtmf } from "@apipeline/core"
 *
 * Dtmf.frequencies["5"] // => [770, 1336]
 * ```
 *
 * @category constants
 * @since 0.1.0
 */
export const frequencies: Readonly<Record<DtmfKey, readonly [row: number, column: number]>> = {
  "1": [697, 1209],
  "2": [697, 1336],
  "3": [697, 1477],
  "4": [770, 1209],
  "5": [770, 1336],
  "6": [770, 1477],
  "7": [852, 1209],
  "8": [852, 1336],
  "9": [852, 1477],
  "*": [941, 1209],
  "0": [941, 1336],
  "#": [941, 1477]
}

/**
 * Options of {@link tone} and {@link sequence}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Hz. Default: 8000. The highest tone is at 1477 Hz: 4000 is the least that works. */
  readonly sampleRate?: number | undefined
  /** Of each tone. Default: 100 ms. Receivers need 40 ms (ITU-T Q.24). */
  readonly duration?: Duration.Input | undefined
  /** Silence after each tone. Default: 60 ms. Receivers need 40 ms (ITU-T Q.24). */
  readonly gap?: Duration.Input | undefined
  /** Of the row's frequency, in dBFS (its peak); that of the column is 2 dB louder. -8 or less, so that
   * their sum stays below full scale. Default: -10. */
  readonly level?: number | undefined
}

/** The higher frequency loses more on the line (ETSI ES 201 235-2: 2 dB). */
const twist = 2

/** Begins and ends a tone within 2 ms, without a click; receivers allow 5 ms. */
const ramp = 0.002

interface Plan {
  readonly sampleRate: number
  readonly length: number
  readonly gap: number
  readonly row: number
  readonly column: number
}

const plan = (options: Options): Plan => {
  const { duration = "100 millis", gap = "60 millis", level = -10, sampleRate = 8000 } = options
  if (!Number.isInteger(sampleRate) || sampleRate < 4000) {
    throw new TypeError(`Dtmf: sampleRate: found ${sampleRate}, expected an integer of at least 4000`)
  }
  if (!(level <= -8)) throw new TypeError(`Dtmf: level: found ${level}, expected -8 dBFS or less`)
  return {
    sampleRate,
    length: Pcm.byteLength(duration, { sampleRate }) / 2,
    gap: Pcm.byteLength(gap, { sampleRate }) / 2,
    row: 32768 * Pcm.fromDecibels(level),
    column: 32768 * Pcm.fromDecibels(level + twist)
  }
}

const isKey = (key: string): key is DtmfKey => Object.hasOwn(frequencies, key)

const write = (samples: Int16Array, at: number, key: string, { column, length, row, sampleRate }: Plan): void => {
  if (!isKey(key)) {
    throw new TypeError(`Dtmf: key: found ${JSON.stringify(key)}, expected one of ${DtmfKey.literals.join(" ")}`)
  }
  const [low, high] = frequencies[key]
  const steps = 2 * Math.PI / sampleRate
  const edge = Math.min(length / 2, ramp * sampleRate)
  for (let i = 0; i < length; i++) {
    const near = Math.min(i, length - 1 - i)
    const envelope = near < edge ? 0.5 - 0.5 * Math.cos(Math.PI * near / edge) : 1
    samples[at + i] = Math.round(envelope * (row * Math.sin(low * steps * i) + column * Math.sin(high * steps * i)))
  }
}

/**
 * The tone of a key, and the silence after it, as 16-bit samples of one channel. Throws a `TypeError` when the key or an
 * option cannot be (a `PcmError` for durations).
 *
 * @example
 * ```ts
 * import { Dtmf, Frame, Pcm } from "@apipeline/core"
 *
 * const audio = Pcm.fromInt16(Dtmf.tone("5"))
 * Frame.AudioRawFrame.make({ audio, sampleRate: 8000, numChannels: 1 }).duration // => 160
 * ```
 *
 * @category tones
 * @since 0.1.0
 */
export const tone = (key: DtmfKey, options: Options = {}): Int16Array => sequence([key], options)

/**
 * The tones of several keys, one after the other, each with its silence. Throws as {@link tone} does.
 *
 * @example
 * ```ts
 * import { Dtmf } from "@apipeline/core"
 *
 * Dtmf.sequence(["1", "2", "#"], { sampleRate: 16000 }).length // => 7680
 * ```
 *
 * @category tones
 * @since 0.1.0
 */
export const sequence = (keys: Iterable<DtmfKey>, options: Options = {}): Int16Array => {
  const all = Array.from(keys)
  const steps = plan(options)
  const samples = new Int16Array(all.length * (steps.length + steps.gap))
  for (const [i, key] of all.entries()) write(samples, i * (steps.length + steps.gap), key, steps)
  return samples
}
