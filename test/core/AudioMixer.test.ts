import * as AudioMixer from "@apipeline/core/AudioMixer"
import * as Frame from "@apipeline/core/Frame"
import * as Pcm from "@apipeline/core/Pcm"
import { run, sleep, type Step } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"

const { deepStrictEqual, isAtMost, strictEqual, throws } = assert

const int16 = (...all: ReadonlyArray<number>): Int16Array => Int16Array.from(all)
const bytes = (...all: ReadonlyArray<number>): Uint8Array => Pcm.fromInt16(int16(...all))
const list = (audio: Uint8Array): Array<number> => Array.from(Pcm.toInt16Unsafe(audio))
const count = (length: number, from = 1): Int16Array => Int16Array.from({ length }, (_, i) => from + i)
const sound = (samples: Int16Array, sampleRate = 8000): AudioMixer.Sound => ({ samples, sampleRate })

const mono = { sampleRate: 8000, numChannels: 1 }
const open = (options: Partial<AudioMixer.Options> = {}, format = mono) =>
  AudioMixer.make({ sounds: { a: sound(count(5)), b: sound(int16(100)) }, sound: "a", volume: 1, ...options })
    .make(format)

describe("make", () => {
  it.effect("the sound goes round and round, whatever the length of the chunks", () =>
    Effect.gen(function*() {
      const mixer = yield* open()
      deepStrictEqual([3, 1, 0, 9].map((n) => list(mixer.background(2 * n))), [
        [1, 2, 3],
        [4],
        [],
        [5, 1, 2, 3, 4, 5, 1, 2, 3]
      ])
    }))

  it.effect("is added at its volume, and saturates", () =>
    Effect.gen(function*() {
      const sounds = { a: sound(int16(10000, -10000)) }
      const half = yield* open({ sounds, volume: 0.5 })
      const audio = bytes(1000, 1000, 32000, -32000)
      deepStrictEqual(list(half.mix(audio)), [6000, -4000, 32767, -32768])
      deepStrictEqual(list(audio), [1000, 1000, 32000, -32000])
      deepStrictEqual(list((yield* open({ sounds, volume: undefined })).background(4)), [4000, -4000])
    }))

  it.effect("once, if it is not to begin anew, until it is chosen again", () =>
    Effect.gen(function*() {
      const mixer = yield* open({ loop: false })
      deepStrictEqual(list(mixer.background(14)), [1, 2, 3, 4, 5, 0, 0])
      strictEqual(mixer.isAudible(), false)
      const audio = bytes(7)
      strictEqual(mixer.mix(audio), audio)
      Result.getOrThrow(mixer.update({ sound: "a" }))
      deepStrictEqual(list(mixer.background(4)), [1, 2])
      mixer.background(100)
      Result.getOrThrow(mixer.update({ loop: true }))
      deepStrictEqual(list(mixer.background(12)), [1, 2, 3, 4, 5, 1])
    }))

  it.effect("the same on all channels; a sample that is not complete stays as it is", () =>
    Effect.gen(function*() {
      const mixer = yield* open({}, { sampleRate: 8000, numChannels: 2 })
      deepStrictEqual(list(mixer.mix(bytes(0, 10, 0, 10))), [1, 11, 2, 12])
      const odd = yield* open()
      deepStrictEqual(odd.mix(Uint8Array.of(0, 0, 9)), Uint8Array.of(1, 0, 9))
    }))

  it.effect("fades in and out within 10 ms, and stands still while it is off", () =>
    Effect.gen(function*() {
      const level = 8000
      const mixer = yield* open({ sounds: { a: sound(new Int16Array(1000).fill(level)) } })
      mixer.background(200)
      Result.getOrThrow(mixer.update({ enabled: false }))
      strictEqual(mixer.isAudible(), true)
      const out = list(mixer.background(200))
      // 80 samples at 8 kHz
      for (let i = 0; i < 100; i++) isAtMost(Math.abs(out[i]! - Math.max(0, level - (i + 1) * 100)), 1)
      strictEqual(mixer.isAudible(), false)
      const audio = bytes(5)
      strictEqual(mixer.mix(audio), audio)
      Result.getOrThrow(mixer.update({ enabled: true, volume: 0.5 }))
      const again = list(mixer.background(200))
      for (let i = 0; i < 100; i++) isAtMost(Math.abs(again[i]! - Math.min(4000, (i + 1) * 100)), 1)
      strictEqual((yield* open({ enabled: false })).isAudible(), false)
    }))

  it.effect("is resampled to the rate of the output", () =>
    Effect.gen(function*() {
      const sounds = { a: sound(new Int16Array(800).fill(1000), 16000) }
      const mixer = yield* open({ sounds })
      const out = list(mixer.background(2 * 400))
      strictEqual(out.length, 400)
      for (const sample of out.slice(50, 350)) isAtMost(Math.abs(sample - 1000), 1)
    }))

  it.effect("settings that cannot work change nothing", () =>
    Effect.gen(function*() {
      const mixer = yield* open()
      const message = (changes: Parameters<typeof mixer.update>[0]) => {
        const result = mixer.update(changes)
        assert(Result.isFailure(result))
        return result.failure.message
      }
      for (const n of [-1, 11, NaN]) {
        strictEqual(message({ volume: n, sound: "b" }), `volume: found ${n}, expected a number from 0 to 10`)
      }
      strictEqual(message({ sound: "c", volume: 0 }), `sound: found "c", expected one of "a", "b"`)
      strictEqual(message({ sound: "toString" }), `sound: found "toString", expected one of "a", "b"`)
      deepStrictEqual(list(mixer.background(6)), [1, 2, 3])
      strictEqual(
        (yield* Effect.flip(open({ sounds: { a: sound(count(5), 0) } }))).message,
        "sounds.a.sampleRate: found 0, expected an integer from 1 to 768000"
      )
      deepStrictEqual(list((yield* open({ sounds: { a: sound(int16()) } })).background(4)), [0, 0])
    }))

  it("refuses options that cannot work", () => {
    throws(
      () => AudioMixer.make({ sounds: {}, sound: "a" }),
      TypeError,
      "AudioMixer: sound: found \"a\", expected one of"
    )
    throws(
      () => AudioMixer.make({ sounds: { a: sound(count(1)) }, sound: "a", volume: NaN }),
      TypeError,
      "AudioMixer: volume: found NaN, expected a number from 0 to 10"
    )
  })

  it.effect.prop(
    "how the audio is cut makes no difference",
    {
      sizes: Arbitrary.array(Arbitrary.schema(Schema.Literals([0, 1, 2, 7, 40, 200])), { minLength: 1, maxLength: 8 }),
      at: Schema.Literals([0, 50, 200])
    },
    ({ at, sizes }) =>
      Effect.gen(function*() {
        const play = Effect.fnUntraced(function*(sizes: ReadonlyArray<number>) {
          const mixer = yield* open({ sounds: { a: sound(count(333, 900)) }, volume: 0.7 })
          const out: Array<number> = []
          const until = (end: number) => {
            for (let i = 0; out.length < end; i++) {
              const size = Math.min(end - out.length, Math.max(1, sizes[i % sizes.length]!))
              out.push(...list(mixer.mix(Pcm.fromInt16(count(size, out.length)))))
            }
          }
          until(at)
          mixer.update({ volume: 0.1 })
          until(500)
          mixer.update({ enabled: false })
          until(1000)
          return out
        })
        deepStrictEqual(yield* play(sizes), yield* play([1000]))
      })
  )
})

describe("processor", () => {
  const audio = (...samples: ReadonlyArray<number>): Frame.AudioRawFrame =>
    Frame.AudioRawFrame.make({ audio: bytes(...samples), sampleRate: 8000, numChannels: 1, pts: 5 })
  const layer = AudioMixer.layer({ sounds: { a: sound(count(3)), b: sound(int16(100)) }, sound: "a", volume: 1 })
  const out = (frames: ReadonlyArray<Frame.Frame>): Array<unknown> =>
    frames.map((frame) => Frame.AudioRawFrame.is(frame) ? list(frame.audio) : frame._tag)
  const mixed = (steps: ReadonlyArray<Step>) => run(AudioMixer.processor(), steps).pipe(Effect.provide(layer))

  it.effect("mixes into the audio that passes; frames change the background, and go on", () =>
    Effect.gen(function*() {
      const { down } = yield* mixed([
        audio(0, 0),
        audio(10, 10),
        AudioMixer.AudioMixerFrame.make({ sound: "b" }),
        audio(0),
        AudioMixer.AudioMixerFrame.make({ enabled: false }),
        audio(...Array.from({ length: 80 }, () => 0)),
        sleep("1 millis"),
        audio(1, 2)
      ])
      const [start, first, second, frame, third, , fading, last, end] = down
      deepStrictEqual(out([start!, first!, second!, frame!, third!, last!, end!]), [
        "StartFrame",
        [1, 2],
        [13, 11],
        "AudioMixerFrame",
        [100],
        [1, 2],
        "EndFrame"
      ])
      strictEqual(Frame.AudioRawFrame.is(fading) && list(fading.audio).at(-1), 0)
      strictEqual(first!.pts, 5)
    }))

  it.effect("another format has a mixer of its own, with the settings so far", () =>
    Effect.gen(function*() {
      const stereo = Frame.AudioRawFrame.make({ audio: bytes(0, 0), sampleRate: 8000, numChannels: 2 })
      const { down } = yield* mixed([AudioMixer.AudioMixerFrame.make({ sound: "b" }), audio(0), stereo])
      deepStrictEqual(out(down), ["StartFrame", "AudioMixerFrame", [100], [100, 100], "EndFrame"])
    }))

  it.effect("what cannot work is reported, and everything passes", () =>
    Effect.gen(function*() {
      const wide = (): Frame.AudioRawFrame =>
        Frame.AudioRawFrame.make({ audio: bytes(0), sampleRate: 8000, numChannels: 1, sampleWidth: 1 })
      const { down, up } = yield* mixed([
        wide(),
        wide(),
        AudioMixer.AudioMixerFrame.make({ sound: "x" }),
        audio(0),
        AudioMixer.AudioMixerFrame.make({ volume: -1 }),
        audio(0)
      ])
      deepStrictEqual(out(down), [
        "StartFrame",
        [0],
        [0],
        "AudioMixerFrame",
        [1],
        "AudioMixerFrame",
        [2],
        "EndFrame"
      ])
      deepStrictEqual(up.map((frame) => Frame.ErrorFrame.is(frame) && (frame.error as Error).message), [
        "sampleWidth: found 1, expected 2",
        "sound: found \"x\", expected one of \"a\", \"b\"",
        "volume: found -1, expected a number from 0 to 10"
      ])
    }))
})
