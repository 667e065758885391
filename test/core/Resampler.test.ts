import * as Pcm from "@apipeline/core/Pcm"
import * as Resampler from "@apipeline/core/Resampler"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"
import { random } from "../utils/random.ts"

const { approximately, deepStrictEqual, isAbove, isAtLeast, isAtMost, strictEqual, throws } = assert

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const concat = (parts: ReadonlyArray<Float32Array>): Float32Array =>
  Float32Array.from(parts.flatMap((part) => Array.from(part)))

const sine = (rate: number, frequency: number, length: number, amplitude = 0.95): Float32Array =>
  Float32Array.from({ length }, (_, i) => amplitude * Math.sin(2 * Math.PI * frequency * i / rate))

const noise = (length: number, seed = 1): Float32Array => {
  const { int } = random(seed)
  return Float32Array.from({ length }, () => (int(65536) - 32768) / 32768)
}

const all = (resampler: Resampler.Resampler, samples: Float32Array): Float32Array =>
  concat([resampler.push(samples), resampler.flush()])

/** In dB, without the ends, where the signal begins and stops at once. */
const ratio = (found: Float32Array, wanted: Float32Array, edge: number): number => {
  let signal = 0
  let error = 0
  for (let i = edge; i < wanted.length - edge; i++) {
    signal += wanted[i]! ** 2
    error += (found[i]! - wanted[i]!) ** 2
  }
  return 10 * Math.log10(signal / error)
}

describe("quality", () => {
  const pairs = [
    [48000, 16000],
    [16000, 24000],
    [8000, 16000],
    [44100, 16000],
    [24000, 8000],
    [24000, 48000],
    [16001, 24000] // no simple ratio: interpolated coefficients
  ] as const
  for (const [from, to] of pairs) {
    const low = Math.min(from, to)
    const edge = 400
    it(`${from} -> ${to}: a sine comes out at its place, 100 dB above the error; 16 bits allow 93`, () => {
      for (const frequency of [200, 997, 0.25 * low, 0.4 * low, 0.43 * low]) {
        const input = sine(from, frequency, from / 4)
        const wanted = sine(to, frequency, Math.ceil(Math.ceil(from / 4) * to / from))
        const output = all(Resampler.makeUnsafe({ from, to }), input)
        isAtLeast(ratio(output, wanted, edge), 100, `${frequency} Hz`)
        const integers = Result.getOrThrow(Resampler.resample(Pcm.float32ToInt16(input), { from, to }))
        isAtLeast(ratio(Pcm.int16ToFloat32(integers), wanted, edge), 93, `${frequency} Hz, 16 bits`)
      }
    })
  }

  it("nothing above half of the lower rate comes through", () => {
    for (const [from, to] of [[48000, 16000], [24000, 16000], [44100, 16000], [16000, 8000]] as const) {
      for (const times of [0.51, 0.55, 0.7, 0.9]) {
        if (times * to >= from / 2) continue
        const output = Resampler.makeUnsafe({ from, to }).push(sine(from, times * to, from / 4, 1))
        isAtMost(Pcm.dbfs(output.subarray(200)), -100, `${from} -> ${to}: ${times}`)
      }
    }
  })

  it("a constant stays what it is", () => {
    for (const [from, to] of [[48000, 16000], [16000, 44100], [16001, 24000]] as const) {
      const output = Resampler.makeUnsafe({ from, to }).push(new Float32Array(6000).fill(0.5)).subarray(500, 1500)
      for (const sample of output) approximately(sample, 0.5, 1e-6)
    }
  })

  it("more zero crossings are steeper, fewer let more through", () => {
    const at = (zeroCrossings: number, frequency: number) =>
      ratio(
        all(Resampler.makeUnsafe({ from: 48000, to: 16000, zeroCrossings }), sine(48000, frequency, 12000)),
        sine(16000, frequency, 4000),
        400
      )
    isAbove(at(128, 7500), 90)
    isAtMost(at(48, 7500), 20)
    isAbove(at(16, 1000), 60)
  })
})

describe("streams", () => {
  it("out comes as much as goes in, and as late as the latency says", () => {
    for (const [from, to] of [[48000, 16000], [16000, 24000], [44100, 16000], [8000, 44100]] as const) {
      for (const length of [0, 1, 2, 99, 1000, 4801]) {
        const resampler = Resampler.makeUnsafe({ from, to })
        const before = resampler.push(new Float32Array(length)).length
        const rest = resampler.flush().length
        strictEqual(before + rest, Math.ceil(length * to / from))
        isAtMost(rest, Math.ceil(resampler.latency * to) + 1)
      }
    }
    strictEqual(Resampler.makeUnsafe({ from: 48000, to: 16000 }).latency, 0.003)
    strictEqual(Resampler.makeUnsafe({ from: 8000, to: 16000 }).latency, 0.006)
    strictEqual(Resampler.makeUnsafe({ from: 8000, to: 8000 }).latency, 0)
  })

  const cases = [[48000, 16000], [16000, 24000], [44100, 16000], [16001, 24000], [16000, 16000]] as const
  it.effect.prop(
    "the same to the bit, wherever the input is cut",
    {
      rates: Arbitrary.schema(Schema.Literals([0, 1, 2, 3, 4])),
      numChannels: between(1, 3),
      sizes: Arbitrary.array(Arbitrary.schema(between(0, 700)), { minLength: 1, maxLength: 12 })
    },
    ({ numChannels, rates, sizes }) =>
      Effect.sync(() => {
        const [from, to] = cases[rates]!
        const options = { from, to, numChannels }
        // whole samples of all channels altogether, but cut between the channels too
        const length = 3000 * numChannels
        const samples = noise(length)
        const whole = all(Resampler.makeUnsafe(options), samples)
        const resampler = Resampler.makeUnsafe(options)
        const parts: Array<Float32Array> = []
        for (let at = 0, i = 0; at < length; i++) {
          const size = Math.max(1, sizes[i % sizes.length]!)
          parts.push(resampler.push(samples.subarray(at, at + size)))
          at += size
        }
        parts.push(resampler.flush())
        deepStrictEqual(concat(parts), whole)
      }),
    { arbitrary: { runs: 60 } }
  )

  it("channels do not touch each other", () => {
    const [left, right] = [noise(3000, 1), noise(3000, 2)]
    const both = new Float32Array(6000)
    for (let i = 0; i < 3000; i++) {
      both[2 * i] = left[i]!
      both[2 * i + 1] = right[i]!
    }
    const rates = { from: 44100, to: 16000 }
    const out = all(Resampler.makeUnsafe({ ...rates, numChannels: 2 }), both)
    deepStrictEqual(out.filter((_, i) => i % 2 === 0), all(Resampler.makeUnsafe(rates), left))
    deepStrictEqual(out.filter((_, i) => i % 2 === 1), all(Resampler.makeUnsafe(rates), right))
  })

  it("flush and reset begin anew", () => {
    const samples = noise(1000)
    const resampler = Resampler.makeUnsafe({ from: 16000, to: 24000, numChannels: 2 })
    const first = all(resampler, samples)
    deepStrictEqual(all(resampler, samples), first)
    resampler.push(noise(333, 5))
    resampler.reset()
    deepStrictEqual(all(resampler, samples), first)
    // a left sample without its right one is left out
    resampler.push(samples)
    resampler.push(Float32Array.of(0.5))
    strictEqual(resampler.flush().length, first.length - resampler.push(samples).length)
  })

  it("bytes and 16-bit samples are the same as floats, rounded", () => {
    const samples = Pcm.float32ToInt16(noise(1000))
    const bytes = Pcm.fromInt16(samples)
    for (const [from, to] of [[48000, 16000], [16000, 16000]] as const) {
      const wanted = Pcm.float32ToInt16(all(Resampler.makeUnsafe({ from, to }), Pcm.int16ToFloat32(samples)))
      const integers = Resampler.makeUnsafe({ from, to })
      deepStrictEqual(Int16Array.from([...integers.pushInt16(samples), ...integers.flushInt16()]), wanted)
      const odd = Resampler.makeUnsafe({ from, to })
      const out: Array<number> = []
      for (let at = 0; at < bytes.length; at += 7) out.push(...odd.pushBytes(bytes.subarray(at, at + 7)))
      out.push(...odd.flushBytes())
      deepStrictEqual(Pcm.toInt16Unsafe(Uint8Array.from(out)), wanted)
    }
    const resampler = Resampler.makeUnsafe({ from: 8000, to: 8000 })
    deepStrictEqual(resampler.pushBytes(Uint8Array.of(1)), new Uint8Array(0))
    resampler.reset()
    deepStrictEqual(resampler.pushBytes(Uint8Array.of(2, 3)), Uint8Array.of(2, 3))
    resampler.pushBytes(Uint8Array.of(1))
    deepStrictEqual(resampler.flushBytes(), new Uint8Array(0))
    deepStrictEqual(resampler.pushBytes(Uint8Array.of(2, 3)), Uint8Array.of(2, 3))
  })

  it("loud input saturates and does not wrap", () => {
    const square = Int16Array.from({ length: 4000 }, (_, i) => i % 40 < 20 ? 32767 : -32768)
    const out = Result.getOrThrow(Resampler.resample(square, { from: 16000, to: 24000 }))
    for (let i = 100; i < out.length - 100; i++) {
      const at = i * 2 / 3 % 20
      if (at > 3 && at < 17) strictEqual(Math.sign(out[i]!), i * 2 / 3 % 40 < 20 ? 1 : -1)
    }
  })

  it("input may be used again, and output is its own", () => {
    const resampler = Resampler.makeUnsafe({ from: 16000, to: 16000 })
    const input = Float32Array.of(0.5, 0.25)
    const output = resampler.push(input)
    input.fill(0)
    deepStrictEqual(output, Float32Array.of(0.5, 0.25))
  })
})

describe("options that cannot work", () => {
  const found = (options: Resampler.Options): string => {
    const result = Resampler.make(options)
    assert(Result.isFailure(result))
    strictEqual(result.failure._tag, "ResamplerError")
    throws(() => Resampler.makeUnsafe(options), Resampler.ResamplerError)
    assert(Result.isFailure(Resampler.resample(new Int16Array(1), options)))
    return result.failure.message
  }

  it("are named", () => {
    for (const n of [0, -8000, 0.5, NaN, Infinity, 768_001]) {
      strictEqual(found({ from: n, to: 8000 }), `Resampler: from: found ${n}, expected an integer from 1 to 768000`)
      strictEqual(found({ from: 8000, to: n }), `Resampler: to: found ${n}, expected an integer from 1 to 768000`)
    }
    for (const n of [0, 1.5, NaN, 256]) {
      strictEqual(
        found({ from: 8000, to: 16000, numChannels: n }),
        `Resampler: numChannels: found ${n}, expected an integer from 1 to 255`
      )
    }
    strictEqual(
      found({ from: 8000, to: 16000, zeroCrossings: 7 }),
      "Resampler: zeroCrossings: found 7, expected an integer from 8 to 256"
    )
    strictEqual(
      found({ from: 768_000, to: 7999 }),
      "Resampler: to: found 7999 (from 768000), expected a rate at most 96 times higher or lower"
    )
    strictEqual(found({ from: 1, to: 97 }).includes("found 97 (from 1)"), true)
  })

  it.effect.prop(
    "any two rates work, with little memory",
    { from: between(1, 768_000), to: between(1, 768_000), zeroCrossings: between(8, 64) },
    (options) =>
      Effect.sync(() => {
        const { from, to } = options
        if (from > 96 * to || to > 96 * from) return
        const output = all(Resampler.makeUnsafe(options), new Float32Array(50).fill(0.5))
        strictEqual(output.length, Math.ceil(50 * to / from))
        for (const sample of output) isAtMost(Math.abs(sample), 1)
      }),
    { arbitrary: { runs: 60 } }
  )
})
