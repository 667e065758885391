import * as Frame from "@apipeline/core/Frame"
import * as G711 from "@apipeline/core/G711"
import * as Pcm from "@apipeline/core/Pcm"
import * as Wav from "@apipeline/core/Wav"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Data, Effect, Exit, Result, Schema, Stream } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"

const { deepStrictEqual, isAtMost, strictEqual, throws } = assert

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const recording = (name: string): Uint8Array =>
  new Uint8Array(fs.readFileSync(path.join(import.meta.dirname, "..", "fixtures", "audio", name)))

// ---------------------------------------------------------------------------------------------------------------------
// files by hand
// ---------------------------------------------------------------------------------------------------------------------

const concat = (...parts: ReadonlyArray<Uint8Array | ReadonlyArray<number> | string>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => typeof part === "string" ? Array.from(Buffer.from(part)) : Array.from(part)))
const u16 = (n: number): Uint8Array => Uint8Array.of(n & 255, n >> 8)
const u32 = (n: number): Uint8Array => concat(u16(n & 0xffff), u16(n >>> 16))
const chunk = (id: string, data: Uint8Array | ReadonlyArray<number>, size = data.length): Uint8Array =>
  concat(id, u32(size), data)

interface Fmt {
  readonly tag?: number
  readonly channels?: number
  readonly rate?: number
  readonly block?: number
  readonly bits?: number
}
const fmtBytes = ({ bits = 16, block, channels = 1, rate = 16000, tag = 1 }: Fmt): Uint8Array => {
  const blockAlign = block ?? channels * Math.ceil(bits / 8)
  return concat(u16(tag), u16(channels), u32(rate), u32(rate * blockAlign), u16(blockAlign), u16(bits))
}
const fmt = (options: Fmt = {}): Uint8Array => chunk("fmt ", fmtBytes(options))
const tail = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]
const extensible = (options: Fmt, guid: ReadonlyArray<number> = tail): Uint8Array =>
  chunk("fmt ", concat(fmtBytes({ ...options, tag: 0xfffe }), u16(22), u16(0), u32(0), u16(options.tag ?? 1), guid))
const riff = (...chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const body = concat("WAVE", ...chunks)
  return concat("RIFF", u32(body.length), body)
}

const read = (bytes: Uint8Array): Wav.Decoded => Result.getOrThrow(Wav.decode(bytes))
const samples = (bytes: Uint8Array): Array<number> => Array.from(read(bytes).samples)
const floats = (bytes: Uint8Array): Array<number> =>
  Array.from(Result.getOrThrow(Wav.makeFloatReader().push(bytes)), (sample) => sample)
const message = (bytes: Uint8Array): string => {
  const result = Wav.decode(bytes)
  assert(Result.isFailure(result), "it was read")
  return result.failure.message
}

describe("encodings", () => {
  const bytesOf = (array: Float32Array | Float64Array | Int32Array): Uint8Array => new Uint8Array(array.buffer)

  it("8 bits are unsigned", () => {
    const file = riff(fmt({ bits: 8 }), chunk("data", [0, 127, 128, 255]))
    deepStrictEqual(samples(file), [-32768, -256, 0, 32512])
    deepStrictEqual(floats(file), [-1, -1 / 128, 0, 127 / 128])
    strictEqual(read(file).format.bitsPerSample, 8)
  })

  it("16 bits", () => {
    const file = riff(fmt(), chunk("data", [0x34, 0x12, 0xff, 0xff, 0, 0x80]))
    deepStrictEqual(samples(file), [0x1234, -1, -32768])
    deepStrictEqual(floats(file), [0x1234 / 32768, -1 / 32768, -1])
    deepStrictEqual(read(file).format, { encoding: "pcm", bitsPerSample: 16, sampleRate: 16000, numChannels: 1 })
  })

  it("24 bits, rounded and saturated", () => {
    const data = [0, 0, 0x80, 0xff, 0xff, 0x7f, 0x7f, 0x34, 0x12, 0x80, 0x34, 0x12, 0xff, 0xff, 0xff]
    const file = riff(fmt({ bits: 24 }), chunk("data", data))
    deepStrictEqual(samples(file), [-32768, 32767, 0x1234, 0x1235, 0])
    deepStrictEqual(floats(file), [-1, 0x7fffff, 0x12347f, 0x123480, -1].map((n, i) => i === 0 ? n : n / 0x800000))
  })

  it("32 bits, rounded and saturated", () => {
    const data = bytesOf(Int32Array.of(-0x80000000, 0x7fffffff, 0x12347fff, 0x12348000, -1))
    const file = riff(fmt({ bits: 32 }), chunk("data", data))
    deepStrictEqual(samples(file), [-32768, 32767, 0x1234, 0x1235, 0].map((n) => n + 0))
    strictEqual(floats(file)[0], -1)
  })

  it("float of 32 and 64 bits", () => {
    const values = [0, 0.5, -1, 1, 2, -2, NaN, Infinity]
    for (const array of [Float32Array.from(values), Float64Array.from(values)]) {
      const file = riff(fmt({ tag: 3, bits: 8 * array.BYTES_PER_ELEMENT }), chunk("data", bytesOf(array)))
      deepStrictEqual(samples(file), [0, 16384, -32768, 32767, 32767, -32768, 0, 32767])
      deepStrictEqual(floats(file), [0, 0.5, -1, 1, 2, -2, 0, 0])
      strictEqual(read(file).format.encoding, "float")
    }
  })

  it("A-law and µ-law", () => {
    const codes = Uint8Array.from({ length: 256 }, (_, i) => i)
    for (const [tag, law] of [[6, "alaw"], [7, "mulaw"]] as const) {
      const file = riff(fmt({ tag, bits: 8, rate: 8000 }), chunk("data", codes))
      deepStrictEqual(read(file).samples, G711.decode(codes, law))
      deepStrictEqual(floats(file), Array.from(G711.decode(codes, law), (n) => n / 32768))
      deepStrictEqual(read(file).format, { encoding: law, bitsPerSample: 8, sampleRate: 8000, numChannels: 1 })
    }
  })

  it("WAVE_FORMAT_EXTENSIBLE", () => {
    deepStrictEqual(samples(riff(extensible({ channels: 2 }), chunk("data", [1, 0, 2, 0]))), [1, 2])
    strictEqual(read(riff(extensible({ tag: 3, bits: 32 }), chunk("data", []))).format.encoding, "float")
  })

  it("a sample in a larger container", () => {
    const data = [0, 0, 0x34, 0x12, 0, 0, 0, 0x80]
    const file = riff(fmt({ bits: 20, block: 4 }), chunk("data", data))
    deepStrictEqual(samples(file), [0x1234, -32768])
    strictEqual(read(file).format.bitsPerSample, 32)
    strictEqual(read(riff(fmt({ bits: 12 }), chunk("data", []))).format.bitsPerSample, 16)
  })
})

describe("files as programs leave them behind", () => {
  const data = [1, 0, 2, 0, 3, 0]

  it("sizes that are not known yet", () => {
    for (const size of [0, 0xffffffff, 0xfffffffe, 0x7fffffff, 0x7ffff000]) {
      const { missing, samples } = read(riff(fmt(), chunk("data", data, size)))
      deepStrictEqual([Array.from(samples), missing], [[1, 2, 3], 0])
    }
    deepStrictEqual(samples(riff(fmt(), chunk("data", []))), [])
  })

  it("cut short, in the middle of a sample too", () => {
    const { missing, samples } = read(riff(fmt(), chunk("data", data, 100)))
    deepStrictEqual([Array.from(samples), missing], [[1, 2, 3], 94])
    const odd = read(riff(fmt({ channels: 2 }), chunk("data", [...data, 4], 100)))
    deepStrictEqual([Array.from(odd.samples), odd.missing], [[1, 2], 93])
  })

  it("other chunks before and behind the data", () => {
    const file = riff(
      chunk("JUNK", new Uint8Array(28)),
      chunk("bext", [1, 2, 3]),
      [0] as any, // the byte that pads it
      fmt(),
      chunk("LIST", concat("INFOISFT", u32(5), "x")),
      [0] as any,
      chunk("data", data),
      chunk("id3 ", new Uint8Array(100))
    )
    deepStrictEqual(samples(file), [1, 2, 3])
  })

  it("odd chunks that are not padded", () => {
    deepStrictEqual(samples(riff(chunk("bext", [1, 2, 3]), fmt(), chunk("data", data))), [1, 2, 3])
    deepStrictEqual(samples(riff(fmt(), chunk("cue ", [1]), chunk("data", data))), [1, 2, 3])
  })

  it("a format chunk that is longer than it need be", () => {
    deepStrictEqual(samples(riff(chunk("fmt ", concat(fmtBytes({}), u16(0))), chunk("data", data))), [1, 2, 3])
    deepStrictEqual(samples(riff(chunk("fmt ", concat(fmtBytes({}), new Uint8Array(60))), chunk("data", data))), [
      1,
      2,
      3
    ])
  })

  it("a wrong size in the RIFF header, a wrong block size", () => {
    const file = riff(fmt({ block: 7 }), chunk("data", data))
    for (const size of [0, 4, 0xffffffff]) {
      file.set(u32(size), 4)
      deepStrictEqual(samples(file), [1, 2, 3])
    }
  })

  it("RF64 and BW64", () => {
    for (const id of ["RF64", "BW64"]) {
      const ds64 = chunk("ds64", concat(u32(0), u32(0), u32(4), u32(0), u32(0), u32(0), u32(0)))
      const file = riff(ds64, fmt(), chunk("data", data, 0xffffffff))
      file.set(Buffer.from(id))
      deepStrictEqual(samples(file), [1, 2])
    }
  })

  it("bytes that are part of a larger buffer", () => {
    deepStrictEqual(samples(concat([9, 9, 9], riff(fmt({ bits: 24 }), chunk("data", [0, 1, 0]))).subarray(3)), [1])
  })
})

describe("what is no WAV file", () => {
  it("names the field, what was found and what was expected", () => {
    const data = chunk("data", [1, 0])
    strictEqual(
      message(new Uint8Array(0)),
      "wav: RIFF (byte 0): found the end of the bytes, expected a header of 12 bytes"
    )
    strictEqual(
      message(concat("RIFX", u32(4), "WAVE")),
      "wav: RIFF (byte 0): found \"RIFX\", expected \"RIFF\" or \"RF64\""
    )
    strictEqual(
      message(Uint8Array.of(0xff, 0xfb, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
      "wav: RIFF (byte 0): found bytes ff fb 90 00, expected \"RIFF\" or \"RF64\""
    )
    strictEqual(message(concat("RIFF", u32(4), "AVI ")), "wav: RIFF.form (byte 8): found \"AVI \", expected \"WAVE\"")
    strictEqual(message(riff()), "wav: fmt (byte 12): found the end of the bytes, expected a chunk of that name")
    strictEqual(message(riff(fmt())), "wav: data (byte 36): found the end of the bytes, expected a chunk of that name")
    strictEqual(message(riff(data)), "wav: data (byte 12): found no chunk \"fmt \" before it, expected one")
    strictEqual(
      message(riff(chunk("fmt ", [1, 0, 1, 0]), data)),
      "wav: fmt.size (byte 16): found 4 bytes, expected at least 16 bytes"
    )
    strictEqual(
      message(riff(fmt({ tag: 0x55 }), data)),
      "wav: fmt.formatTag (byte 20): found 0x0055, expected 1 (PCM), 3 (float), 6 (A-law) or 7 (µ-law)"
    )
    strictEqual(
      message(riff(fmt({ channels: 0 }), data)),
      "wav: fmt.numChannels (byte 22): found 0, expected at least 1"
    )
    strictEqual(message(riff(fmt({ rate: 0 }), data)), "wav: fmt.sampleRate (byte 24): found 0, expected at least 1 Hz")
    strictEqual(
      message(riff(fmt({ bits: 33 }), data)),
      "wav: fmt.bitsPerSample (byte 34): found 33, expected 1 to 32"
    )
    strictEqual(
      message(riff(fmt({ tag: 3, bits: 16 }), data)),
      "wav: fmt.bitsPerSample (byte 34): found 16, expected 32 or 64"
    )
    strictEqual(message(riff(fmt({ tag: 7 }), data)), "wav: fmt.bitsPerSample (byte 34): found 16, expected 8")
    strictEqual(
      message(riff(fmt({ tag: 0xfffe }), data)),
      "wav: fmt.size (byte 16): found 16 bytes, expected 40 bytes, as WAVE_FORMAT_EXTENSIBLE has"
    )
    strictEqual(
      message(riff(extensible({ tag: 3, bits: 32 }, [...tail.slice(0, 13), 0x72]), data)),
      "wav: fmt.subFormat (byte 44): found 03 00 00 00 00 00 10 00 80 00 00 aa 00 38 9b 72, " +
        "expected a subtype that stands for a format tag"
    )
    strictEqual(
      message(concat(riff(fmt()), new Uint8Array(8))),
      "wav: chunk (byte 36): found bytes 00 00 00 00, expected four characters"
    )
  })

  it("sizes that are made up cost nothing", () => {
    strictEqual(
      message(riff(chunk("JUNK", [1, 2, 3], 0xffffffff))),
      "wav: fmt (byte 23): found the end of the bytes, expected a chunk of that name"
    )
    const file = riff(
      fmt({ channels: 65535, bits: 32, rate: 0xffffffff, block: 0 }),
      chunk("data", [1, 2, 3], 0x7fffeffe)
    )
    deepStrictEqual(read(file), {
      format: { encoding: "pcm", bitsPerSample: 32, sampleRate: 0xffffffff, numChannels: 65535 },
      samples: new Int16Array(0),
      missing: 0x7fffeffe - 3
    })
  })
})

describe("streaming", () => {
  const speech = recording("goforward.wav")
  const file = riff(
    chunk("LIST", [1, 2, 3]),
    fmt({ bits: 24, channels: 2, rate: 44100 }),
    chunk("data", Uint8Array.from({ length: 600 }, (_, i) => i * 7))
  )

  it("the same samples, wherever the bytes are cut", () => {
    const whole = read(file)
    for (let size = 1; size < 80; size++) {
      const reader = Wav.makeReader()
      const out: Array<number> = []
      for (let at = 0; at < file.length; at += size) {
        out.push(...Result.getOrThrow(reader.push(file.slice(at, at + size))))
        strictEqual(reader.format() === undefined, at + size < 12 + 11 + 24, `${at + size}`)
      }
      Result.getOrThrow(reader.end())
      deepStrictEqual(out, Array.from(whole.samples))
      strictEqual(reader.missing(), 0)
    }
  })

  it.effect("frames of one length", () =>
    Effect.gen(function*() {
      const frames = yield* Wav.toAudio(Stream.fromIterable([speech.subarray(0, 1001), speech.subarray(1001)])).pipe(
        Stream.runCollect
      )
      strictEqual(frames.length, Math.ceil((speech.length - 44) / 640))
      for (const frame of frames.slice(0, -1)) strictEqual(frame.audio.length, 640)
      deepStrictEqual([frames[0]!.sampleRate, frames[0]!.numChannels, frames[0]!.sampleWidth], [16000, 1, 2])
      deepStrictEqual(concat(...frames.map((frame) => frame.audio)), speech.slice(44))
      const long = yield* Stream.runCollect(Wav.toAudio(Stream.make(speech), { duration: "1 second" }))
      deepStrictEqual(long.map((frame) => frame.audio.length), [32000, 32000, speech.length - 44 - 64000])
      strictEqual(Frame.AudioRawFrame.is(long[0]), true)
    }))

  class Broken extends Data.TaggedError("Broken")<{}> {}

  it.effect("failures come behind what was read before them", () =>
    Effect.gen(function*() {
      const outcome = Effect.fnUntraced(function*<E>(stream: Stream.Stream<Uint8Array, E>) {
        const out: Array<unknown> = []
        const exit = yield* Effect.exit(
          Stream.runForEach(Wav.toAudio(stream, { duration: 1 }), (frame) =>
            Effect.sync(() => out.push(frame.audio.length)))
        )
        if (Exit.isFailure(exit)) {
          out.push(Cause.squash(exit.cause))
        }
        return out
      })
      const broken = Stream.concat(Stream.make(speech.subarray(0, 44 + 70)), Stream.fail(new Broken()))
      deepStrictEqual(yield* outcome(broken), [32, 32, new Broken()])
      deepStrictEqual(yield* outcome(Stream.make(speech.subarray(0, 40))), [
        new Wav.WavError({ field: "data", found: "the end of the bytes", expected: "a chunk of that name", offset: 40 })
      ])
      deepStrictEqual(yield* outcome(Stream.make(concat("RIFF", u32(0), "AVI "))), [
        new Wav.WavError({ field: "RIFF.form", found: "\"AVI \"", expected: "\"WAVE\"", offset: 8 })
      ])
      deepStrictEqual(yield* outcome(Stream.make(speech.subarray(0, 44 + 33))), [32])
      throws(() =>
        Wav.toAudio(Stream.empty, { duration: -1 }), Pcm.PcmError)
    }))
})

describe("writing", () => {
  it("the header of PCM is the canonical one: a recording comes out byte by byte", () => {
    const speech = recording("librivox-0880.wav")
    const { format, samples } = read(speech)
    deepStrictEqual(Wav.encode(samples, format), speech)
  })

  it("all encodings can be read again", () => {
    const samples = Int16Array.from({ length: 1001 }, (_, i) => (i * 7919) % 65536 - 32768)
    for (const encoding of ["pcm", "float", "alaw", "mulaw"] as const) {
      const file = Wav.encode(samples, { sampleRate: 8000, numChannels: 1, encoding })
      strictEqual(file.length % 2, 0)
      const again = read(file)
      deepStrictEqual(again.format, {
        encoding,
        bitsPerSample: { pcm: 16, float: 32, alaw: 8, mulaw: 8 }[encoding],
        sampleRate: 8000,
        numChannels: 1
      })
      const law = encoding === "alaw" || encoding === "mulaw" ? encoding : undefined
      deepStrictEqual(again.samples, law === undefined ? samples : G711.decode(G711.encode(samples, law), law))
      strictEqual(new DataView(file.buffer).getUint32(4, true), file.length - 8)
      strictEqual(again.missing, 0)
    }
  })

  it.effect("a stream: the header first, and the same with the size to write over it", () =>
    Effect.gen(function*() {
      const options = { sampleRate: 16000, numChannels: 2, encoding: "mulaw" } as const
      const parts = [Int16Array.of(1, 2, 3, 4), new Int16Array(0), Int16Array.of(5, 6)]
      const out = yield* Stream.runCollect(Wav.encodeStream(Stream.fromIterable(parts), options))
      strictEqual(out.length, 4)
      const file = concat(...out)
      strictEqual(read(file).samples.length, 6)
      const view = new DataView(file.buffer)
      deepStrictEqual([view.getUint32(4, true), view.getUint32(54, true)], [0xffffffff, 0xffffffff])
      file.set(Wav.header({ ...options, dataLength: file.length - out[0]!.length }))
      deepStrictEqual(file, Wav.encode(Int16Array.of(1, 2, 3, 4, 5, 6), options))
    }))

  it("sizes that do not fit are left unknown", () => {
    const view = new DataView(Wav.header({ sampleRate: 48000, dataLength: 5e9 }).buffer)
    deepStrictEqual([view.getUint32(4, true), view.getUint32(40, true)], [0xffffffff, 0xffffffff])
  })

  it("refuses what cannot be written", () => {
    const refused = (options: Parameters<typeof Wav.header>[0], text: string) =>
      throws(() => Wav.header(options), TypeError, text)
    for (const n of [0, -1, 1.5, NaN, 2 ** 32]) refused({ sampleRate: n }, `Wav: sampleRate: found ${n}, expected`)
    refused({ sampleRate: 8000, numChannels: 0 }, "Wav: numChannels: found 0, expected an integer from 1 to 32767")
    refused({ sampleRate: 8000, numChannels: 40000 }, "Wav: numChannels: found 40000")
    refused({ sampleRate: 8000, dataLength: -1 }, "Wav: dataLength: found -1")
  })
})

describe("fuzzing", () => {
  const byte = Arbitrary.schema(between(0, 255))
  const file = riff(
    chunk("LIST", [1, 2, 3]),
    extensible({ bits: 24, channels: 2 }),
    chunk("data", Uint8Array.from({ length: 60 }, (_, i) => i))
  )

  /** Reads in pieces; neither throws nor gives more samples than there are bytes. */
  const survives = (bytes: Uint8Array, size: number): void => {
    const whole = Wav.decode(bytes)
    const reader = Wav.makeReader()
    const out: Array<number> = []
    let error: Wav.WavError | undefined
    for (let at = 0; at < bytes.length && error === undefined; at += size) {
      const result = reader.push(bytes.subarray(at, at + size))
      if (Result.isSuccess(result)) out.push(...result.success)
      else error = result.failure
    }
    if (error === undefined) error = Result.getOrUndefined(Result.flip(reader.end()))
    isAtMost(out.length, bytes.length)
    if (Result.isSuccess(whole)) deepStrictEqual(out, Array.from(whole.success.samples))
    deepStrictEqual(error, Result.getOrUndefined(Result.flip(whole)))
    Result.isSuccess(Wav.makeFloatReader().push(bytes))
  }

  it.effect.prop(
    "a file in which bytes are changed, and that is cut",
    {
      changes: Arbitrary.array(Arbitrary.all([Arbitrary.schema(between(0, file.length - 1)), byte]), { maxLength: 6 }),
      length: between(0, file.length),
      size: between(1, 50)
    },
    ({ changes, length, size }) =>
      Effect.sync(() => {
        const bytes = file.slice()
        for (const [at, value] of changes) bytes[at] = value
        survives(bytes, size)
        survives(bytes.subarray(0, length), size)
      }),
    { arbitrary: { runs: 1000 } }
  )

  it.effect.prop(
    "chunks in any order and of any size",
    {
      chunks: Arbitrary.array(
        Arbitrary.all([
          Arbitrary.schema(Schema.Literals(["fmt ", "data", "ds64", "LIST", "\0\0\0\0"])),
          Arbitrary.array(byte, { maxLength: 45 }),
          Arbitrary.schema(Schema.Literals([-1, 0, 1, 15, 16, 40, 41, 0xffffffff]))
        ]),
        { maxLength: 6 }
      ),
      size: between(1, 50)
    },
    ({ chunks, size }) =>
      Effect.sync(() => {
        survives(riff(...chunks.map(([id, data, n]) => chunk(id, data, n < 0 ? data.length : n))), size)
        survives(riff(fmt(), ...chunks.map(([id, data, n]) => chunk(id, data, n < 0 ? data.length : n))), size)
      }),
    { arbitrary: { runs: 1000 } }
  )
})
