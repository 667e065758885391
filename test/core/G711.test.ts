import * as G711 from "@apipeline/core/G711"
import * as Pcm from "@apipeline/core/Pcm"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { createHash } from "node:crypto"

const { deepStrictEqual, isAtLeast, isAtMost, strictEqual } = assert

const every = Int16Array.from({ length: 65536 }, (_, i) => i - 32768)
const codes = Uint8Array.from({ length: 256 }, (_, i) => i)
const laws = ["mulaw", "alaw"] as const
const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const one = (sample: number, law: G711.Law): number => G711.encode(Int16Array.of(sample), law)[0]!
const level = (code: number, law: G711.Law): number => G711.decode(Uint8Array.of(code), law)[0]!

describe("ITU-T G.711", () => {
  it("µ-law: the first value of each segment in table 2a and 2b (14 bits)", () => {
    const table = [
      [8031, 0b10000000],
      [4191, 0b10001111],
      [2079, 0b10011111],
      [1023, 0b10101111],
      [495, 0b10111111],
      [231, 0b11001111],
      [99, 0b11011111],
      [33, 0b11101111],
      [2, 0b11111110],
      [0, 0b11111111]
    ] as const
    for (const [value, code] of table) {
      strictEqual(level(code, "mulaw"), 4 * value)
      strictEqual(one(4 * value, "mulaw"), code)
      strictEqual(Math.abs(level(code & 0x7f, "mulaw")), 4 * value)
      if (value !== 0) strictEqual(one(-4 * value, "mulaw"), code & 0x7f)
    }
  })

  it("A-law: the first value of each segment in table 1a and 1b (13 bits), even bits inverted", () => {
    const table = [
      [4032, 0b11111111],
      [2112, 0b11110000],
      [1056, 0b11100000],
      [528, 0b11010000],
      [264, 0b11000000],
      [132, 0b10110000],
      [66, 0b10100000],
      [33, 0b10010000],
      [1, 0b10000000]
    ] as const
    for (const [value, code] of table) {
      strictEqual(level(code ^ 0x55, "alaw"), 8 * value)
      strictEqual(one(8 * value, "alaw"), code ^ 0x55)
      strictEqual(level(code ^ 0x55 ^ 0x80, "alaw"), -8 * value)
      strictEqual(one(-8 * value, "alaw"), code ^ 0x55 ^ 0x80)
    }
  })

  // of `audioop.ulaw2lin(bytes(range(256)), 2)` and `alaw2lin` of CPython 3.11; `alawmulaw` 6.0.0 gives the same
  it("all 256 codes decode as in CPython", () => {
    strictEqual(
      sha256(G711.toPcm(codes, "mulaw")),
      "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"
    )
    strictEqual(
      sha256(G711.toPcm(codes, "alaw")),
      "e04788d110e58ff8c70c93b8480190d973e3b67876b6119abbaec766cc75c174"
    )
  })

  it("every code survives a round trip; µ-law's negative zero becomes zero", () => {
    for (const law of laws) {
      const again = G711.encode(G711.decode(codes, law), law)
      deepStrictEqual(again, codes.map((code) => law === "mulaw" && code === 0x7f ? 0xff : code))
    }
  })

  it("no sample is further from its level than half a step of the segment", () => {
    for (const law of laws) {
      const coded = G711.encode(every, law)
      const levels = G711.decode(coded, law)
      for (const [i, sample] of every.entries()) {
        if (Math.abs(sample) > 32635) continue
        const segment = ((law === "mulaw" ? ~coded[i]! : coded[i]! ^ 0x55) >> 4) & 7
        const step = law === "mulaw" ? 8 << segment : 16 << Math.max(0, segment - 1)
        isAtMost(Math.abs(levels[i]! - sample), step / 2, `${law} ${sample}`)
      }
    }
  })

  it("is odd, but for samples that lie on a decision value, and never falls", () => {
    for (const law of laws) {
      const coded = G711.decode(G711.encode(every, law), law)
      for (let i = 1; i < coded.length; i++) isAtMost(coded[i - 1]!, coded[i]!)
      for (let n = 1; n < 32768; n++) {
        // -0 and 0 are the same level
        strictEqual(coded[32768 - n]! + coded[32768 + n - 1]! + 0, 0)
      }
    }
  })

  it("saturates", () => {
    for (const sample of [32124, 32635, 32767]) strictEqual(one(sample, "mulaw"), 0x80)
    for (const sample of [-32124, -32635, -32768]) strictEqual(one(sample, "mulaw"), 0x00)
    strictEqual(one(32767, "alaw"), 0xaa)
    strictEqual(one(-32768, "alaw"), 0x2a)
  })

  it("a sine keeps 33 dB of signal over noise, over 30 dB of level (ITU-T G.712)", () => {
    for (const law of laws) {
      for (const db of [-3, -13, -23, -33]) {
        const sine = Pcm.float32ToInt16(
          Float32Array.from({ length: 8000 }, (_, i) => Pcm.fromDecibels(db) * Math.sin(2 * Math.PI * i * 1003 / 8000))
        )
        const coded = G711.decode(G711.encode(sine, law), law)
        const noise = Int16Array.from(sine, (sample, i) => coded[i]! - sample)
        isAtLeast(Pcm.dbfs(sine) - Pcm.dbfs(noise), 33, `${law} at ${db} dB`)
      }
    }
  })
})

describe("bytes", () => {
  it("are those of 16-bit PCM", () => {
    for (const law of laws) {
      deepStrictEqual(Result.getOrThrow(G711.fromPcm(Pcm.fromInt16(every), law)), G711.encode(every, law))
      deepStrictEqual(G711.toPcm(codes, law), Pcm.fromInt16(G711.decode(codes, law)))
      strictEqual(G711.encode(new Int16Array(0), law).length, 0)
      strictEqual(G711.toPcm(new Uint8Array(0), law).length, 0)
      const result = G711.fromPcm(new Uint8Array(3), law)
      strictEqual(
        Result.isFailure(result) && result.failure.message,
        "bytes: found 3 bytes, expected a multiple of 2"
      )
    }
  })
})
