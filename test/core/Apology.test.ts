import * as Apology from "@apipeline/core/Apology"
import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import { payload, run, show, sleep } from "@apipeline/core/testing"
import * as Tts from "@apipeline/core/Tts"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

const { deepStrictEqual, strictEqual } = assert

const failing = (name: string) =>
  Processor.effect(name, {
    TextFrame: (frame, { push, report }) => Effect.andThen(report(new Error(frame.text)), push(frame))
  })

const apologize = (options: Apology.Options, names: ReadonlyArray<string>, texts: ReadonlyArray<string>) =>
  run(
    Pipeline.make(Apology.make(options), ...names.map(failing)),
    texts.flatMap((text) => [Frame.TextFrame.make({ text }), sleep("1 second")])
  )

describe("make", () => {
  it.effect("says a text after a failure, once in a while, and the failure goes on", () =>
    Effect.gen(function*() {
      const { down, up } = yield* apologize({ text: "Sorry.", interval: "2 seconds" }, ["Llm"], ["a", "b", "c", "d"])
      const said = down.filter(Tts.TtsSpeakFrame.is)
      deepStrictEqual(said.map(({ appendToContext, text }) => [text, appendToContext]), [
        ["Sorry.", false],
        ["Sorry.", false]
      ])
      strictEqual(up.filter(Frame.ErrorFrame.is).length, 4)
    }))

  it.effect("only of the processors that it is for", () =>
    Effect.gen(function*() {
      const others = yield* apologize({}, ["Stt"], ["a"])
      deepStrictEqual(others.down.filter(Tts.TtsSpeakFrame.is), [])
      const own = yield* apologize({ processors: ["Stt", "Llm"] }, ["Stt", "Llm"], ["a"])
      deepStrictEqual(own.down.filter(Tts.TtsSpeakFrame.is).map(({ text }) => text), [
        "Sorry, something went wrong. Please try again."
      ])
    }))

  it.effect("with a voice of its own", () =>
    Effect.gen(function*() {
      const audio = { samples: new Int16Array(160).fill(5), sampleRate: 16000 }
      const { down } = yield* apologize({ text: "Sorry.", audio, processors: ["Tts"] }, ["Tts"], ["a"])
      deepStrictEqual(show(payload(down)), [
        `TextFrame("a")`,
        `AggregatedTextFrame(text: "Sorry.", aggregatedBy: "sentence", willBeSpoken: true)`,
        "AudioRawFrame(320 B, 16 kHz, mono, 10 ms)",
        "OutputAudioEndFrame"
      ])
    }))
})
