import * as Dtmf from "@apipeline/core/Dtmf"
import * as Pcm from "@apipeline/core/Pcm"
import { DtmfKey } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"

const { approximately, deepStrictEqual, isAbove, isAtMost, strictEqual, throws } = assert

const rows = [697, 770, 852, 941]
const columns = [1209, 1336, 1477, 1633]

/** The amplitude of a frequency, 1 = full scale: a single bin of a Fourier transform under a Hann window. */
const amplitude = (samples: Int16Array, frequency: number, sampleRate: number): number => {
  let re = 0
  let im = 0
  for (let i = 0; i < samples.length; i++) {
    const weight = 1 - Math.cos(2 * Math.PI * i / samples.length)
    re += weight * samples[i]! * Math.cos(2 * Math.PI * frequency * i / sampleRate)
    im += weight * samples[i]! * Math.sin(2 * Math.PI * frequency * i / sampleRate)
  }
  return 2 * Math.hypot(re, im) / samples.length / 32768
}

const decibels = (amplitude: number): number => 20 * Math.log10(amplitude)

describe("tone", () => {
  it("has the two frequencies of its key (ITU-T Q.23), at their levels, and no other", () => {
    for (const sampleRate of [8000, 16000, 44100]) {
      for (const [i, key] of [..."123456789*0#"].entries()) {
        const samples = Dtmf.tone(key as DtmfKey, { sampleRate, duration: "200 millis", gap: 0 })
        const body = samples.subarray(sampleRate / 50, -sampleRate / 50)
        const [row, column] = [rows[Math.floor(i / 3)]!, columns[i % 3]!]
        deepStrictEqual(Dtmf.frequencies[key as DtmfKey], [row, column])
        for (const frequency of [...rows, ...columns]) {
          const level = decibels(amplitude(body, frequency, sampleRate))
          if (frequency === row) approximately(level, -10, 0.1)
          else if (frequency === column) approximately(level, -8, 0.1)
          else isAtMost(level, -50, `${key}: ${frequency} Hz at ${sampleRate}`)
        }
      }
    }
  })

  it("lasts as long as it should, begins and ends softly, and is followed by silence", () => {
    const samples = Dtmf.tone("0")
    strictEqual(samples.length, 8 * 160)
    deepStrictEqual(samples.subarray(800), new Int16Array(480))
    for (const i of [0, 799]) strictEqual(samples[i]! + 0, 0)
    for (let i = 0; i < 4; i++) isAtMost(Math.abs(samples[i]!), 1500)
    isAbove(Pcm.dbfs(samples.subarray(100, 700)), -10)
    strictEqual(Dtmf.tone("0", { sampleRate: 16000, duration: "40 millis", gap: "40 millis" }).length, 1280)
    strictEqual(Dtmf.tone("0", { duration: 0, gap: 0 }).length, 0)
    strictEqual(Dtmf.tone("0", { duration: 0.125, gap: 0 }).length, 1)
  })

  it("never reaches full scale", () => {
    for (const level of [-8, -10, -30]) {
      const samples = Dtmf.sequence(DtmfKey.literals, { level, sampleRate: 48000, duration: "1 second" })
      const peak = samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0)
      // both at their peak at once, which comes near in a second
      approximately(decibels(peak / 32768), decibels(10 ** (level / 20) + 10 ** ((level + 2) / 20)), 0.1)
      isAtMost(peak, 32767)
    }
  })
})

describe("sequence", () => {
  it("is the tones one after the other", () => {
    const options = { sampleRate: 16000 }
    const keys = ["1", "*", "1"] as const
    deepStrictEqual(
      Dtmf.sequence(keys, options),
      Int16Array.from(keys.flatMap((key) => Array.from(Dtmf.tone(key, options))))
    )
    strictEqual(Dtmf.sequence([]).length, 0)
  })

  it("refuses what cannot be", () => {
    throws(
      () => Dtmf.tone("A" as DtmfKey),
      TypeError,
      "Dtmf: key: found \"A\", expected one of 0 1 2 3 4 5 6 7 8 9 * #"
    )
    throws(() => Dtmf.tone("toString" as DtmfKey), TypeError, "Dtmf: key: found \"toString\"")
    for (const n of [0, 3999, 8000.5, NaN, Infinity]) {
      throws(() => Dtmf.tone("1", { sampleRate: n }), TypeError, `Dtmf: sampleRate: found ${n}, expected an integer of`)
    }
    for (const n of [-7, 0, NaN]) throws(() => Dtmf.tone("1", { level: n }), TypeError, `Dtmf: level: found ${n}`)
    throws(() => Dtmf.tone("1", { duration: -1 }), Pcm.PcmError)
    throws(() => Dtmf.tone("1", { gap: Infinity }), Pcm.PcmError)
  })
})
