/**
 * Changes the sample rate of audio, whole or as it streams by: from any rate to any other.
 *
 * A band-limited interpolator: a sinc under a Kaiser window, cut off below half of the lower rate so that nothing
 * aliases. For rates in a simple ratio its coefficients are exact (one set for each position that occurs: polyphase);
 * for others they are interpolated between many.
 *
 * **Details**
 *
 * - What is more than 0.43 of the lower rate fades, what is beyond half of it is gone by 100 dB (defaults).
 * - Output is aligned with the input: a sample at a time comes out at that time. It is held back only until the input
 *   that it depends on has come: {@link Resampler.latency}.
 * - How the input is cut does not matter: the output is the same, to the bit.
 *
 * Source: J. O. Smith, Digital Audio Resampling; J. F. Kaiser's formulas for the window.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type Filter, filterOf } from "./internal/audio/sinc.ts"
import * as Pcm from "./Pcm.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Rates or options that cannot work: names the field, what was found there and what was expected.
 *
 * @example
 * ```ts
 * import { Resampler } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const result = Resampler.make({ from: 0, to: 16000 })
 * Result.isFailure(result) && result.failure.message
 * // => "Resampler: from: found 0, expected an integer from 1 to 768000"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ResamplerError extends Schema.TaggedError<ResamplerError>()("ResamplerError", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `Resampler: ${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What is resampled.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Hz. */
  readonly from: number
  /** Hz, at most 96 times more or less than `from`. */
  readonly to: number
  /** Interleaved. Default: 1. */
  readonly numChannels?: number | undefined
  /**
   * How far the filter looks to either side, in samples of the lower rate: 8 to 256. More makes it steeper, slower and
   * later; less than 22 lets more alias. Default: 48, which is 3 ms at 16 kHz.
   */
  readonly zeroCrossings?: number | undefined
}

/**
 * A stream of audio whose rate changes. Every method takes interleaved samples of all channels and returns those that
 * are ready, in an array of their own; they may be mixed.
 *
 * @see {@link make} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Resampler {
  /** Samples from -1 to 1; what is beyond stays beyond. */
  readonly push: (samples: Float32Array) => Float32Array
  /** 16-bit samples: rounded to the nearest, saturated. */
  readonly pushInt16: (samples: Int16Array) => Int16Array
  /** The bytes of 16-bit samples, cut anywhere: what is left of a sample is kept for the next bytes. */
  readonly pushBytes: (bytes: Uint8Array) => Uint8Array
  /**
   * No more input: returns the rest, as if silence followed. Altogether, as many samples have come out as the input is
   * long, rounded up. The resampler begins anew.
   */
  readonly flush: () => Float32Array
  /** {@link flush}, as 16-bit samples. */
  readonly flushInt16: () => Int16Array
  /** {@link flush}, as the bytes of 16-bit samples. */
  readonly flushBytes: () => Uint8Array
  /** Forgets all input: after an interruption, for example. */
  readonly reset: () => void
  /** How much later than the input the output comes, in seconds. */
  readonly latency: number
}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

const maxRate = 768_000
// 8 to 768 kHz; more would let a small frame with a made-up rate become a large one
const maxRatio = 96

const check = (field: string, value: number, minimum: number, maximum: number): void => {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return
  throw new ResamplerError({
    field,
    found: String(value),
    expected: `an integer from ${minimum} to ${maximum}`
  })
}

/**
 * Makes a resampler. Fails with a {@link ResamplerError} when the options cannot work: rates come from files and peers.
 *
 * @example
 * ```ts
 * import { Resampler } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const resampler = Result.getOrThrow(Resampler.make({ from: 48000, to: 16000 }))
 * const lengths = [resampler.pushInt16(new Int16Array(960)).length, resampler.flushInt16().length]
 * lengths // => [272, 48]
 * ```
 *
 * @see {@link makeUnsafe} for the same without a `Result`
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Result.Result<Resampler, ResamplerError> =>
  Result.try({
    try: () => makeUnsafe(options),
    catch: (error) => {
      if (error instanceof ResamplerError) return error
      throw error
    }
  })

/**
 * Makes a resampler, and throws the {@link ResamplerError}.
 *
 * @example
 * ```ts
 * import { Resampler } from "@apipeline/core"
 *
 * Resampler.makeUnsafe({ from: 24000, to: 48000 }).latency // => 0.002
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (options: Options): Resampler => {
  const { from, numChannels = 1, to, zeroCrossings = 48 } = options
  check("from", from, 1, maxRate)
  check("to", to, 1, maxRate)
  check("numChannels", numChannels, 1, 255)
  check("zeroCrossings", zeroCrossings, 8, 256)
  if (from > maxRatio * to || to > maxRatio * from) {
    throw new ResamplerError({
      field: "to",
      found: `${to} (from ${from})`,
      expected: `a rate at most ${maxRatio} times higher or lower`
    })
  }
  return from === to ? same(numChannels) : convert(filterOf(from, to, zeroCrossings), from, numChannels)
}

/** What turns the method for floats into those for integers and bytes. */
const complete = (
  push: (samples: Float32Array) => Float32Array,
  flush: () => Float32Array,
  reset: () => void,
  latency: number
): Resampler => {
  // the first byte of a sample whose second has not come
  let low = -1
  const flushInt16 = (): Int16Array => {
    low = -1
    return Pcm.float32ToInt16(flush())
  }
  return {
    push,
    pushInt16: (samples) => Pcm.float32ToInt16(push(Pcm.int16ToFloat32(samples))),
    pushBytes: (bytes) => {
      let all = bytes
      if (low >= 0) {
        all = new Uint8Array(bytes.length + 1)
        all[0] = low
        all.set(bytes, 1)
      }
      const whole = all.length - all.length % 2
      low = whole < all.length ? all[whole]! : -1
      return Pcm.fromFloat32(push(Pcm.toFloat32Unsafe(all.subarray(0, whole))))
    },
    flush: () => {
      low = -1
      return flush()
    },
    flushInt16,
    flushBytes: () => Pcm.fromInt16(flushInt16()),
    reset: () => {
      low = -1
      reset()
    },
    latency
  }
}

/** Samples go through, those of a channel that is cut off from the others when those have come. */
const same = (numChannels: number): Resampler => {
  let rest = new Float32Array(0)
  const reset = (): void => {
    rest = new Float32Array(0)
  }
  return complete(
    (samples) => {
      const all = new Float32Array(rest.length + samples.length)
      all.set(rest)
      all.set(samples, rest.length)
      const whole = all.length - all.length % numChannels
      rest = all.slice(whole)
      return all.slice(0, whole)
    },
    () => {
      reset()
      return new Float32Array(0)
    },
    reset,
    0
  )
}

const convert = (filter: Filter, from: number, numChannels: number): Resampler => {
  const { down, half, up } = filter
  const taps = 2 * half
  // each channel by itself: the window of the next output and what has come behind it
  const buffers = Array.from({ length: numChannels }, () => new Float64Array(taps + 4096))
  // the first window lies half in the silence before the input
  let filled = 0
  /** Where the window of the next output begins in the buffers, and where it lies between two samples, in 1/up. */
  let at = 0
  let phase = 0
  /** Samples of a channel that have come, and that have left; whole periods of both are not counted. */
  let input = 0
  let output = 0
  /** The channel of the next sample. */
  let channel = 0

  const reset = (): void => {
    for (const buffer of buffers) buffer.fill(0, 0, half)
    filled = half - 1
    at =
      phase =
      input =
      output =
      channel =
        0
  }
  reset()

  /** Makes room for more samples of each channel. */
  const reserve = (more: number): void => {
    const kept = filled - at
    const size = kept + more
    for (let c = 0; c < numChannels; c++) {
      const buffer = buffers[c]!
      // one more than is whole: a channel may be a sample ahead
      if (size + 1 <= buffer.length) {
        buffer.copyWithin(0, at, filled + 1)
      } else {
        const larger = new Float64Array(2 * size)
        larger.set(buffer.subarray(at, filled + 1))
        buffers[c] = larger
      }
    }
    filled = kept
    at = 0
  }

  const take = (samples: Float32Array): void => {
    reserve(Math.ceil((channel + samples.length) / numChannels))
    if (numChannels === 1) {
      buffers[0]!.set(samples, filled)
      filled += samples.length
      input += samples.length
      return
    }
    for (let i = 0; i < samples.length; i++) {
      buffers[channel]![filled] = samples[i]!
      if (++channel < numChannels) continue
      channel = 0
      filled++
      input++
    }
  }

  /** How many outputs have their whole window. */
  const ready = (): number => {
    const spare = filled - at - taps
    return spare < 0 ? 0 : Math.floor((spare * up + up - 1 - phase) / down) + 1
  }

  const produce = (count: number): Float32Array => {
    const out = new Float32Array(count * numChannels)
    let nextAt = at
    let nextPhase = phase
    for (let c = 0; c < numChannels; c++) {
      const buffer = buffers[c]!
      nextAt = at
      nextPhase = phase
      for (let i = c; i < out.length; i += numChannels) {
        out[i] = filter.apply(buffer, nextAt, nextPhase)
        nextPhase += down
        const whole = Math.floor(nextPhase / up)
        nextAt += whole
        nextPhase -= whole * up
      }
    }
    at = nextAt
    phase = nextPhase
    output += count
    // whole periods, so that neither number grows for ever
    const periods = Math.floor(output / up)
    output -= periods * up
    input -= periods * down
    return out
  }

  return complete(
    (samples) => {
      take(samples)
      return produce(ready())
    },
    () => {
      // a channel that is ahead of the others has no sample to go with
      channel = 0
      const count = Math.ceil(input * up / down) - output
      if (count > 0) {
        reserve(taps)
        for (const buffer of buffers) buffer.fill(0, filled, filled + taps)
        filled += taps
      }
      const rest = produce(Math.max(0, count))
      reset()
      return rest
    },
    reset,
    half / from
  )
}

// ---------------------------------------------------------------------------------------------------------------------
// whole signals
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Resamples all of a signal at once. Fails as {@link make} does.
 *
 * @example
 * ```ts
 * import { Resampler } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const speech = new Int16Array(44100)
 * Result.getOrThrow(Resampler.resample(speech, { from: 44100, to: 16000 })).length // => 16000
 * ```
 *
 * @category whole signals
 * @since 0.1.0
 */
export const resample = (samples: Int16Array, options: Options): Result.Result<Int16Array, ResamplerError> =>
  Result.map(make(options), (resampler) => {
    const body = resampler.pushInt16(samples)
    const rest = resampler.flushInt16()
    const all = new Int16Array(body.length + rest.length)
    all.set(body)
    all.set(rest, body.length)
    return all
  })
