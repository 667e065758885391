import * as Pcm from "@apipeline/core/Pcm"
import * as VadController from "@apipeline/core/VadController"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { concat, noise, recording } from "../utils/speech.ts"

const { deepStrictEqual, isAbove, isAtMost, isBelow, strictEqual } = assert

/** When speech begins and ends, in seconds. */
const turns = Effect.fnUntraced(function*(samples: Int16Array, sampleRate = 16000) {
  const detector = VoiceActivity.makeEnergy({ sampleRate })
  const seconds = detector.windowSize / sampleRate
  const controller = VadController.make(seconds)
  const all: Array<number> = []
  for (const [i, probability] of (yield* VoiceActivity.probabilities(detector, samples)).entries()) {
    const at = i * detector.windowSize
    const change = controller.push(probability, Pcm.volume(samples.subarray(at, at + detector.windowSize)))
    if (change !== undefined) all.push((i + 1) * seconds)
  }
  return all
})

describe("layerEnergy", () => {
  it.effect("makes detectors for the rate that is asked for, with windows of 32 ms", () =>
    Effect.gen(function*() {
      const { make } = yield* VoiceActivity.VoiceActivity
      for (const [sampleRate, windowSize] of [[16000, 512], [8000, 256], [48000, 1536], [1, 1]] as const) {
        const detector = yield* make({ sampleRate })
        deepStrictEqual([detector.sampleRate, detector.windowSize], [sampleRate, windowSize])
        const probability = yield* detector.probability(new Float32Array(windowSize))
        isAtMost(probability, 1)
      }
    }).pipe(Effect.provide(VoiceActivity.layerEnergy())))

  it.effect("finds each of the recordings as one turn, in silence and in noise 25 dB below", () =>
    Effect.gen(function*() {
      for (const name of ["goforward.wav", "cards-005.wav", "librivox-0880.wav"] as const) {
        const speech = recording(name)
        for (const below of [60, 25]) {
          const silent = concat(new Int16Array(16000), speech, new Int16Array(16000))
          const noisy = Pcm.mix(silent, noise(silent.length, Pcm.dbfs(speech) - below))
          const [begin, end, ...more] = yield* turns(noisy)
          deepStrictEqual(more, [])
          // 0.2 s of speech make a beginning, 0.5 s of silence an end
          isAbove(begin!, 1.15, name)
          isBelow(begin!, 2.0, name)
          isAbove(end!, 1 + speech.length / 16000 - 0.5, name)
          isBelow(end!, 1 + speech.length / 16000 + 0.5, name)
        }
      }
    }))

  it.effect("noise that does not change is no speech; noise that rises is for 2 seconds", () =>
    Effect.gen(function*() {
      for (const level of [-80, -60, -50, -40]) deepStrictEqual(yield* turns(noise(80000, level)), [])
      const rising = yield* turns(concat(noise(48000, -60), noise(96000, -35)))
      strictEqual(rising.length, 2)
      isBelow(rising[1]! - rising[0]!, 2.6)
    }))

  it.effect("hum and offset are no speech", () =>
    Effect.gen(function*() {
      const hum = Int16Array.from({ length: 48000 }, (_, i) =>
        i < 16000 ? 0 : Math.round(300 * Math.sin(2 * Math.PI * 20 * i / 16000)))
      deepStrictEqual(yield* turns(hum), [])
      deepStrictEqual(yield* turns(new Int16Array(48000).fill(2000)), [])
      deepStrictEqual(yield* turns(new Int16Array(48000)), [])
    }))

  it.effect("reset forgets the noise", () =>
    Effect.gen(function*() {
      const detector = VoiceActivity.makeEnergy({ sampleRate: 16000 })
      const samples = concat(noise(32000, -30), recording("goforward.wav").subarray(0, 32000))
      const first = yield* VoiceActivity.probabilities(detector, samples)
      yield* detector.reset
      deepStrictEqual(yield* VoiceActivity.probabilities(detector, samples), first)
      for (const probability of first) {
        isAtMost(probability, 1)
        isAbove(probability, 0)
      }
    }))
})

describe("VoiceActivityError", () => {
  it("says who failed and why", () => {
    const make = (cause: unknown) => new VoiceActivity.VoiceActivityError({ detector: "x", isRetryable: false, cause })
    strictEqual(make(new Error("gone")).message, "x: gone")
    strictEqual(make("gone").message, "x: gone")
    strictEqual(make("gone")._tag, "VoiceActivityError")
  })
})
