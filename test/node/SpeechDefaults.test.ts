import * as Sherpa from "@apipeline/node/Sherpa"
import * as SpeechDefaults from "@apipeline/node/SpeechDefaults"
import * as SpeechEngine from "@apipeline/node/SpeechEngine"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { start } from "../utils/child.ts"
import { recording } from "../utils/speech.ts"

const { deepStrictEqual, strictEqual } = assert

const fake = new URL("../fixtures/fakeSherpa.ts", import.meta.url).href

describe("SpeechDefaults", () => {
  it("hears, understands and speaks in a program that ends by itself, and prints nothing of its own", async () => {
    const { code, stderr, stdout } = await start(["test/fixtures/speechProgram.ts"]).ended
    strictEqual(stderr, "")
    strictEqual(code, 0)
    const { engine, left, speech, text } = JSON.parse(stdout)
    deepStrictEqual({ engine, left, speech }, { engine: "moonshine", left: [], speech: true })
    strictEqual(text.toLowerCase().replaceAll(/[^a-z ]/g, ""), "please call me tomorrow morning")
  }, 60_000)

  it.live("fails as a whole when one engine does", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Layer.build(SpeechDefaults.layer({ tts: { voice: "sam" as "slt" } })))
      strictEqual(error.message, "flite: voice: found sam, expected one of slt, rms, kal16, kal")
    }), 60_000)
})

describe("Sherpa", () => {
  it.live("is given the models and the vocabulary, and what was said", () =>
    Effect.gen(function*() {
      const stt = yield* Sherpa.make({ module: fake })
      deepStrictEqual([stt.name, stt.model, stt.sampleRate], ["sherpa", "tiny", 16_000])
      strictEqual((yield* stt.transcribe(recording("goforward.wav"))).text, "▁Hello 15043 44580")
    }), 60_000)

  it.live(
    "a worker that crashes in the middle of a sentence is replaced, and the caller may try again",
    () =>
      Effect.gen(function*() {
        const stt = yield* Sherpa.make({ module: fake })
        const poison = new Int16Array(16_000).fill(16_384)
        const error = yield* Effect.flip(stt.transcribe(poison))
        deepStrictEqual([error.message, error.isRetryable], ["sherpa: Crash: the worker has exited with code 11", true])
        strictEqual((yield* stt.transcribe(new Int16Array(1600).fill(99))).text, "▁Hello 15043 1600")
      }),
    60_000
  )

  it.live("without its package it says which one is missing", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Sherpa.make({ module: "@apipeline/not-there" }))
      strictEqual(error.isRetryable, false)
      assert.instanceOf(error.cause, SpeechEngine.MissingPackage)
      strictEqual(
        error.message,
        "sherpa: the package sherpa-onnx-node is missing: npm install sherpa-onnx-node@1.13.8"
      )
    }), 60_000)
})
