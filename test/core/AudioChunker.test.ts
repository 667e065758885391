import * as AudioChunker from "@apipeline/core/AudioChunker"
import * as Frame from "@apipeline/core/Frame"
import { interrupt, run, show, sleep } from "@apipeline/core/testing"
import { LlmResponseEndFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"

const { deepStrictEqual, strictEqual, throws } = assert

const count = (length: number, from = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i)
const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const lists = (all: ReadonlyArray<Uint8Array>): Array<Array<number>> => all.map((one) => Array.from(one))

describe("makeChunker", () => {
  it("carries the rest over, odd bytes too", () => {
    const chunker = AudioChunker.makeChunker({ size: 4 })
    deepStrictEqual(lists(chunker.push(count(3))), [])
    strictEqual(chunker.pending(), 3)
    deepStrictEqual(lists(chunker.push(count(0))), [])
    deepStrictEqual(lists(chunker.push(count(7, 3))), [[0, 1, 2, 3], [4, 5, 6, 7]])
    strictEqual(chunker.pending(), 2)
    deepStrictEqual(lists(chunker.push(count(2, 10))), [[8, 9, 10, 11]])
    strictEqual(chunker.pending(), 0)
    strictEqual(chunker.flush(), undefined)
  })

  it("flushes whole samples, padded or not, and can be used again", () => {
    const chunker = AudioChunker.makeChunker({ size: 8, unit: 4 })
    chunker.push(count(7))
    deepStrictEqual(chunker.flush(), count(4))
    strictEqual(chunker.pending(), 0)
    chunker.push(count(7, 10))
    deepStrictEqual(chunker.flush({ pad: true }), Uint8Array.of(10, 11, 12, 13, 0, 0, 0, 0))
    chunker.push(count(3))
    strictEqual(chunker.flush({ pad: true }), undefined)
    deepStrictEqual(lists(chunker.push(count(8, 20))), [Array.from(count(8, 20))])
  })

  it("reset forgets what waits", () => {
    const chunker = AudioChunker.makeChunker({ size: 4 })
    chunker.push(count(3))
    chunker.reset()
    strictEqual(chunker.pending(), 0)
    deepStrictEqual(lists(chunker.push(count(5, 8))), [[8, 9, 10, 11]])
  })

  it("chunks are copies: buffers may be used again", () => {
    const chunker = AudioChunker.makeChunker({ size: 4 })
    const buffer = count(6)
    const [whole] = chunker.push(buffer)
    buffer.fill(99)
    const [carried] = chunker.push(buffer)
    chunker.push(buffer)
    deepStrictEqual(lists([whole!, carried!]), [[0, 1, 2, 3], [4, 5, 99, 99]])
  })

  it("a size of gigabytes takes no more memory than the bytes that came", () => {
    const chunker = AudioChunker.makeChunker({ size: 2 ** 40 })
    for (let i = 0; i < 100; i++) deepStrictEqual(chunker.push(count(1001)), [])
    strictEqual(chunker.flush()?.length, 100_100)
  })

  it("refuses options that cannot work", () => {
    for (const n of [0, -2, 1.5, NaN, Infinity]) {
      throws(() => AudioChunker.makeChunker({ size: n }), TypeError, `AudioChunker: size: found ${n}, expected`)
      throws(
        () => AudioChunker.makeChunker({ size: 4, unit: n }),
        TypeError,
        `AudioChunker: unit: found ${n}, expected`
      )
    }
    throws(
      () => AudioChunker.makeChunker({ size: 3 }),
      TypeError,
      "AudioChunker: size: found 3, expected a multiple of 2"
    )
  })

  it.effect.prop(
    "however bytes arrive, the same chunks leave",
    {
      sizes: Arbitrary.array(Arbitrary.schema(between(0, 40)), { maxLength: 30 }),
      unit: between(1, 6),
      units: between(1, 8)
    },
    ({ sizes, unit, units }) =>
      Effect.sync(() => {
        const size = unit * units
        const chunker = AudioChunker.makeChunker({ size, unit })
        const all = count(sizes.reduce((a, b) => a + b, 0))
        const out: Array<Uint8Array> = []
        let at = 0
        for (const n of sizes) {
          out.push(...chunker.push(all.subarray(at, at += n)))
          strictEqual(chunker.pending(), at % size)
        }
        for (const chunk of out) strictEqual(chunk.length, size)
        const rest = chunker.flush()
        if (rest !== undefined) out.push(rest)
        deepStrictEqual(out.flatMap((chunk) => Array.from(chunk)), Array.from(all.subarray(0, at - at % unit)))
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("make", () => {
  const audio = (length: number, from: number, options?: Frame.Options & { rate?: number }): Frame.AudioRawFrame =>
    Frame.AudioRawFrame.make({
      audio: count(length, from),
      sampleRate: options?.rate ?? 1000,
      numChannels: 1,
      ...options
    })

  const out = (frames: ReadonlyArray<Frame.Frame>): Array<unknown> =>
    frames.map((frame) => Frame.AudioRawFrame.is(frame) ? Array.from(frame.audio) : frame._tag)

  it.effect("frames of one length, the rest before EndFrame", () =>
    Effect.gen(function*() {
      const text = Frame.TextFrame.make({ text: "a" })
      const { down } = yield* run(AudioChunker.make({ duration: 2 }), [audio(6, 0), text, audio(4, 6), audio(0, 0)])
      deepStrictEqual(out(down), [
        "StartFrame",
        [0, 1, 2, 3],
        "TextFrame",
        [4, 5, 6, 7],
        [],
        [8, 9],
        "EndFrame"
      ])
      strictEqual(down[2], text)
    }))

  it.effect("padded, and before the frames that end the audio", () =>
    Effect.gen(function*() {
      const chunker = AudioChunker.make({ duration: 2, pad: true, flushOn: [LlmResponseEndFrame] })
      const { down } = yield* run(chunker, [
        audio(6, 1),
        LlmResponseEndFrame.make(),
        audio(2, 7)
      ])
      deepStrictEqual(out(down), [
        "StartFrame",
        [1, 2, 3, 4],
        [5, 6, 0, 0],
        "LlmResponseEndFrame",
        [7, 8, 0, 0],
        "EndFrame"
      ])
    }))

  it.effect("another format begins anew", () =>
    Effect.gen(function*() {
      const { down } = yield* run(AudioChunker.make({ duration: 2 }), [
        audio(2, 0),
        audio(2, 2, { rate: 500 }),
        audio(2, 4, { rate: 500 })
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "AudioRawFrame(2 B, 1 kHz, mono, 1 ms)",
        "AudioRawFrame(2 B, 0.5 kHz, mono, 2 ms)",
        "AudioRawFrame(2 B, 0.5 kHz, mono, 2 ms)",
        "EndFrame"
      ])
    }))

  it.effect("an interruption clears what waits", () =>
    Effect.gen(function*() {
      const steps = [audio(6, 0), sleep("1 millis"), interrupt, audio(4, 6)]
      const chunker = AudioChunker.make({ duration: 2 })
      deepStrictEqual(out((yield* run(chunker, steps)).down), [
        "StartFrame",
        [0, 1, 2, 3],
        "StartInterruptionFrame",
        [6, 7, 8, 9],
        "EndFrame"
      ])
      deepStrictEqual(out((yield* run(chunker, steps, { allowInterruptions: false })).down), [
        "StartFrame",
        [0, 1, 2, 3],
        "StartInterruptionFrame",
        [4, 5, 6, 7],
        [8, 9],
        "EndFrame"
      ])
    }))

  it.effect("time and metadata are those of where a frame begins", () =>
    Effect.gen(function*() {
      const { down } = yield* run(AudioChunker.make({ duration: 2 }), [
        audio(6, 0, { pts: 100, metadata: { n: 1 } }),
        audio(8, 6, { pts: 103, metadata: { n: 2 } }),
        audio(2, 14, { metadata: { n: 3 } })
      ])
      deepStrictEqual(down.filter(Frame.AudioRawFrame.is).map((frame) => [frame.pts, frame.metadata]), [
        [100, { n: 1 }],
        [102, { n: 1 }],
        [104, { n: 2 }],
        [106, { n: 2 }]
      ])
    }))

  it("refuses a duration that cannot work", () => {
    for (const n of [0, -1, Infinity]) {
      throws(() => AudioChunker.make({ duration: n }), TypeError, `AudioChunker: duration: found ${n} ms, expected`)
    }
  })
})
