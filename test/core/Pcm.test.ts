import * as Pcm from "@apipeline/core/Pcm"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Result, Schema } from "effect"

const { approximately, deepStrictEqual, isAtMost, strictEqual, throws } = assert

const int16 = (...all: ReadonlyArray<number>): Int16Array => Int16Array.from(all)
const bytes = (...all: ReadonlyArray<number>): Uint8Array => Uint8Array.from(all)
const list = (samples: Iterable<number>): Array<number> => Array.from(samples)
const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const sample = Arbitrary.schema(between(-32768, 32767))
const samples = Arbitrary.map(Arbitrary.array(sample, { maxLength: 100 }), (all) => Int16Array.from(all))

const failure = (result: Result.Result<unknown, Pcm.PcmError>): ReadonlyArray<string> => {
  assert(Result.isFailure(result))
  const { expected, field, found } = result.failure
  strictEqual(result.failure._tag, "PcmError")
  return [field, found, expected]
}

describe("conversions", () => {
  it("bytes are little-endian, at any alignment", () => {
    const all = bytes(9, 0x34, 0x12, 0xff, 0xff, 0x00, 0x80, 0xff, 0x7f)
    deepStrictEqual(Pcm.toInt16Unsafe(all.subarray(1)), int16(0x1234, -1, -32768, 32767))
    deepStrictEqual(Pcm.fromInt16(int16(0x1234, -1, -32768, 32767)), all.slice(1))
    deepStrictEqual(
      Pcm.toFloat32Unsafe(all.subarray(1)),
      Float32Array.of(0x1234 / 32768, -1 / 32768, -1, 32767 / 32768)
    )
    deepStrictEqual(Pcm.fromFloat32(Pcm.toFloat32Unsafe(all.subarray(1))), all.slice(1))
  })

  it("an odd number of bytes is an error, not a shift", () => {
    for (const read of [Pcm.toInt16, Pcm.toFloat32]) {
      deepStrictEqual(failure(read(new Uint8Array(5))), ["bytes", "5 bytes", "a multiple of 2"])
    }
    throws(() => Pcm.toInt16Unsafe(new Uint8Array(1)), Pcm.PcmError, "bytes: found 1 bytes, expected a multiple of 2")
    throws(() => Pcm.toFloat32Unsafe(new Uint8Array(1)), Pcm.PcmError)
    strictEqual(Result.getOrThrow(Pcm.toInt16(new Uint8Array(0))).length, 0)
  })

  it("floats saturate, round to the nearest, and NaN is silence", () => {
    const floats = Float32Array.of(1, 1.5, Infinity, -1, -1.5, -Infinity, NaN, 0.4 / 32768, 0.6 / 32768, -0.6 / 32768)
    deepStrictEqual(list(Pcm.float32ToInt16(floats)), [
      32767,
      32767,
      32767,
      -32768,
      -32768,
      -32768,
      0,
      0,
      1,
      -1
    ])
  })

  it("every 16-bit value survives every way", () => {
    const all = Int16Array.from({ length: 65536 }, (_, i) => i - 32768)
    deepStrictEqual(Pcm.toInt16Unsafe(Pcm.fromInt16(all)), all)
    deepStrictEqual(Pcm.float32ToInt16(Pcm.int16ToFloat32(all)), all)
    deepStrictEqual(Pcm.toFloat32Unsafe(Pcm.fromInt16(all)), Pcm.int16ToFloat32(all))
  })

  it("results share no memory with what they are made of", () => {
    const source = bytes(1, 2, 3, 4)
    const samples = Pcm.toInt16Unsafe(source)
    source.fill(0)
    deepStrictEqual(list(samples), [0x0201, 0x0403])
    const one = int16(1, 2)
    const sum = Pcm.mix(one, int16())
    one.fill(9)
    deepStrictEqual(list(sum), [1, 2])
  })
})

describe("channels", () => {
  it("interleave and deinterleave", () => {
    deepStrictEqual(list(Pcm.interleave([int16(1, 2), int16(3), int16(5, 6)])), [1, 3, 5, 2, 0, 6])
    deepStrictEqual(list(Pcm.interleave([])), [])
    deepStrictEqual(Result.getOrThrow(Pcm.deinterleave(int16(1, 3, 5, 2, 0, 6), 3)), [
      int16(1, 2),
      int16(3, 0),
      int16(5, 6)
    ])
    deepStrictEqual(failure(Pcm.deinterleave(int16(1, 2, 3), 2)), ["samples", "3 samples", "a multiple of 2"])
    for (const n of [0, -1, 1.5, NaN, Infinity]) {
      deepStrictEqual(failure(Pcm.deinterleave(int16(1), n)), ["numChannels", String(n), "a positive integer"])
      deepStrictEqual(failure(Pcm.toMono(int16(1), n)), ["numChannels", String(n), "a positive integer"])
    }
  })

  it("mono is the mean, stereo is twice", () => {
    deepStrictEqual(list(Pcm.toMonoUnsafe(int16(32767, 32767, -32768, -32768, 1, 2, -1, -2), 2)), [
      32767,
      -32768,
      2,
      -1
    ])
    deepStrictEqual(failure(Pcm.toMono(int16(1, 2, 3), 2)), ["samples", "3 samples", "a multiple of 2"])
    throws(() => Pcm.toMonoUnsafe(int16(1, 2, 3), 2), Pcm.PcmError)
  })

  it.effect.prop(
    "taken apart and put together again",
    { samples, n: between(1, 8) },
    ({ n, samples }) =>
      Effect.sync(() => {
        const whole = samples.slice(0, samples.length - samples.length % n)
        deepStrictEqual(Pcm.interleave(Result.getOrThrow(Pcm.deinterleave(whole, n))), whole)
        deepStrictEqual(Pcm.toMonoUnsafe(Pcm.toStereo(samples), 2), samples)
      })
  )
})

describe("level", () => {
  it("of a constant, a sine and silence", () => {
    const sine = Float32Array.from({ length: 1600 }, (_, i) => Math.sin(2 * Math.PI * i / 16))
    approximately(Pcm.rms(sine), Math.SQRT1_2, 1e-6)
    approximately(Pcm.dbfs(sine), -3.0103, 1e-4)
    approximately(Pcm.dbfs(Pcm.float32ToInt16(sine)), -3.0103, 1e-3)
    strictEqual(Pcm.dbfs(new Int16Array(10).fill(-32768)), 0)
    strictEqual(Pcm.dbfs(new Int16Array(10)), -Infinity)
    strictEqual(Pcm.rms(int16()), 0)
    strictEqual(Pcm.rms(new Float32Array(0)), 0)
  })

  it("volume is pipecat's scale", () => {
    const at = (dbfs: number) => Pcm.volume(new Float32Array(100).fill(Pcm.fromDecibels(dbfs)))
    approximately(at(-50), 0.6, 1e-6)
    approximately(at(-35), 0.75, 1e-6)
    strictEqual(at(0), 1)
    strictEqual(at(-120), 0)
    strictEqual(Pcm.volume(int16()), 0)
  })

  it("gain saturates and rounds", () => {
    deepStrictEqual(list(Pcm.gain(int16(1, 3, -3, 32767, -32768), 0.5)), [1, 2, -1, 16384, -16384])
    deepStrictEqual(list(Pcm.gain(int16(20000, -20000), 4)), [32767, -32768])
    deepStrictEqual(list(Pcm.gain(int16(5, -5), 0)), [0, 0])
  })

  it.effect.prop("mixing saturates, in either order", { a: samples, b: samples }, ({ a, b }) =>
    Effect.sync(() => {
      const mixed = Pcm.mix(a, b)
      deepStrictEqual(Pcm.mix(b, a), mixed)
      strictEqual(mixed.length, Math.max(a.length, b.length))
      for (const [i, sample] of mixed.entries()) {
        strictEqual(sample, Math.max(-32768, Math.min(32767, (a[i] ?? 0) + (b[i] ?? 0))))
      }
    }))
})

describe("durations", () => {
  it("bytes and back", () => {
    strictEqual(Pcm.byteLength("20 millis", { sampleRate: 16000 }), 640)
    strictEqual(Pcm.byteLength("20 millis", { sampleRate: 44100, numChannels: 2 }), 3528)
    strictEqual(Pcm.byteLength(0, { sampleRate: 8000 }), 0)
    strictEqual(Pcm.byteLength("1 hour", { sampleRate: 48000, numChannels: 2 }), 691_200_000)
    strictEqual(Duration.toMillis(Pcm.duration(new Uint8Array(641), { sampleRate: 16000 })), 20)
    strictEqual(Duration.toMillis(Pcm.duration(new Uint8Array(3528), { sampleRate: 44100, numChannels: 2 })), 20)
    deepStrictEqual(Pcm.silence("1 millis", { sampleRate: 8000 }), new Uint8Array(16))
  })

  it("refuses what cannot be", () => {
    const refused = (f: () => unknown, message: string) => throws(f, Pcm.PcmError, message)
    for (const n of [0, -8000, 0.5, NaN, Infinity]) {
      const message = `sampleRate: found ${n}, expected a positive integer`
      refused(() => Pcm.byteLength(1, { sampleRate: n }), message)
      refused(() => Pcm.duration(bytes(), { sampleRate: n }), message)
      refused(() => Pcm.silence(1, { sampleRate: 8000, numChannels: n }), `numChannels: found ${n}`)
    }
    const expected = "expected a finite duration that is not negative"
    refused(() => Pcm.byteLength(Duration.infinity, { sampleRate: 8000 }), `duration: found Infinity ms, ${expected}`)
    refused(() => Pcm.silence(-1, { sampleRate: 8000 }), `duration: found -1 ms, ${expected}`)
  })

  it.effect.prop("a duration of bytes takes those bytes", { n: between(0, 100_000), rate: between(1, 384_000) }, (
    { n, rate }
  ) =>
    Effect.sync(() => {
      const format = { sampleRate: rate, numChannels: 2 }
      const length = Pcm.byteLength(Pcm.duration(new Uint8Array(4 * n), format), format)
      isAtMost(Math.abs(length - 4 * n), 0)
    }))
})
