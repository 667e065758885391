import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as ResponseAggregator from "@apipeline/core/ResponseAggregator"
import { interrupt, payload, run, show, sleep, type Step, upstream } from "@apipeline/core/testing"
import {
  InterimTranscriptionFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  TranscriptionFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"

const { deepStrictEqual, strictEqual } = assert

const text = (text: string, options?: Frame.Options): Frame.TextFrame => Frame.TextFrame.make({ text, ...options })
const said = { userId: "ann", timestamp: "1970-01-01T00:00:00.000Z" }

/** S: start, E: end, I: interim, anything else: a transcription. A millisecond between any two. */
const turn = (steps: string): ReadonlyArray<Step> =>
  steps.split(" ").flatMap((step) => [
    step === "S"
      ? UserStartedSpeakingFrame.make()
      : step === "E"
      ? UserStoppedSpeakingFrame.make()
      : step === "I"
      ? InterimTranscriptionFrame.make({ text: "?", ...said })
      : step === "!"
      ? interrupt
      : TranscriptionFrame.make({ text: step, ...said }),
    sleep("1 millis")
  ])

const short: Readonly<Record<string, string>> = {
  UserStartedSpeakingFrame: "S",
  UserStoppedSpeakingFrame: "E",
  InterimTranscriptionFrame: "I",
  StartInterruptionFrame: "!"
}

const lines = (frames: ReadonlyArray<Frame.Frame>): string =>
  frames.slice(1, -1).map((frame) =>
    Frame.TextFrame.is(frame) ? `[${frame.text}]` : TranscriptionFrame.is(frame) ? frame.text : short[frame._tag]
  ).join(" ")

describe("user", () => {
  // what leaves, in order: [...] is an aggregate
  const cases: ReadonlyArray<readonly [steps: string, out: string]> = [
    ["S E", "S E"],
    ["S T E", "S E [T]"],
    ["S I T E", "S I E [T]"],
    ["S I E T", "S I E [T]"],
    ["S I E I T", "S I E I [T]"],
    ["S E T", "S E [T]"],
    ["S E I T", "S E I [T]"],
    ["S T1 T2 E", "S E [T1 T2]"],
    ["S I T1 I T2 E", "S I I E [T1 T2]"],
    ["S I T1 I E T2", "S I I E [T1 T2]"],
    ["T", "T"],
    ["S E E T", "S E E [T]"],
    ["S I T E S E", "S I E [T] S E"],
    ["S E T S E", "S E [T] S E"],
    ["S T1 E T2", "S E [T1] T2"],
    ["S T1 E S T2 E", "S E [T1] S E [T2]"],
    ["S E S T E", "S E S E [T]"],
    // the second S pushes T1, which is data, and overtakes it
    ["S T1 I E S T2 E", "S I E S [T1] E [T2]"],
    ["S T1 S T2 E", "S S [T1] E [T2]"],
    ["E T", "E T"],
    ["S T", "S [T]"],
    ["S ! T E", "S ! E [T]"],
    ["S T1 ! T2 E", "S ! E [T1 T2]"]
  ]
  for (const [steps, out] of cases) {
    it.effect(`${steps} gives ${out}`, () =>
      Effect.gen(function*() {
        const { down } = yield* run(ResponseAggregator.user(), turn(steps))
        strictEqual(lines(down), out)
      }))
  }

  it.effect("an interruption may clear or push what was said so far", () =>
    Effect.gen(function*() {
      const clear = yield* run(ResponseAggregator.user({ onInterruption: "clear" }), turn("S T1 ! T2 E"))
      strictEqual(lines(clear.down), "S ! T2 E")
      const flush = yield* run(ResponseAggregator.user({ onInterruption: "flush" }), turn("S T1 ! T2 E"))
      strictEqual(lines(flush.down), "S ! [T1] T2 E")
    }))
})

describe("assistant", () => {
  it.effect("the text between the markers becomes one frame, with pts and metadata of the first", () =>
    Effect.gen(function*() {
      const [start, sync, end] = [LlmResponseStartFrame.make(), Frame.SyncFrame.make(), LlmResponseEndFrame.make()]
      const parts = [text("Hello", { pts: 0, metadata: { n: 1 } }), text(", "), text("world.", { pts: 5 })]
      const { down } = yield* run(ResponseAggregator.assistant(), [start, parts[0]!, sync, parts[1]!, parts[2]!, end])
      const out = payload(down)
      deepStrictEqual(out.map(({ _tag }) => _tag), [
        "LlmResponseStartFrame",
        "SyncFrame",
        "TextFrame",
        "LlmResponseEndFrame"
      ])
      deepStrictEqual([out[0] === start, out[1] === sync, out[3] === end], [true, true, true])
      const all = out[2] as Frame.TextFrame
      deepStrictEqual([all.text, all.pts, all.metadata], ["Hello, world.", 0, { n: 1 }])
      strictEqual(parts.some(({ id }) => id === all.id), false)
    }))

  it.effect("text outside of an answer, and upstream, goes on as it is; an answer without text gives none", () =>
    Effect.gen(function*() {
      const frames = [text("a"), LlmResponseStartFrame.make(), LlmResponseEndFrame.make(), text("b")]
      const up = [LlmResponseStartFrame.make(), text("c"), LlmResponseEndFrame.make()]
      const result = yield* run(ResponseAggregator.assistant(), [...frames, ...up.map(upstream)])
      deepStrictEqual(payload(result.down).map(({ id }) => id), frames.map(({ id }) => id))
      deepStrictEqual(result.up.map(({ id }) => id), up.map(({ id }) => id))
    }))

  it.effect("an empty text is a text", () =>
    Effect.gen(function*() {
      const { down } = yield* run(ResponseAggregator.assistant(), [
        LlmResponseStartFrame.make(),
        text(""),
        LlmResponseEndFrame.make()
      ])
      deepStrictEqual(show(payload(down)), ["LlmResponseStartFrame", "TextFrame(\"\")", "LlmResponseEndFrame"])
    }))

  it.effect("an interruption pushes what was said, and the answer is over; or clears or keeps it", () =>
    Effect.gen(function*() {
      const steps = [
        LlmResponseStartFrame.make(),
        text("a"),
        sleep("1 millis"),
        interrupt,
        text("b"),
        LlmResponseEndFrame.make()
      ]
      const out = Effect.fnUntraced(
        function*(options?: ResponseAggregator.Options, task?: { readonly allowInterruptions: boolean }) {
          const { down } = yield* run(ResponseAggregator.assistant(options), steps, task)
          return show(down).slice(2, -1).join(" ")
        }
      )
      const end = "LlmResponseEndFrame"
      strictEqual(yield* out(), `StartInterruptionFrame TextFrame("a") TextFrame("b") ${end}`)
      strictEqual(yield* out({ onInterruption: "clear" }), `StartInterruptionFrame TextFrame("b") ${end}`)
      strictEqual(yield* out({ onInterruption: "keep" }), `StartInterruptionFrame TextFrame("ab") ${end}`)
      strictEqual(yield* out(undefined, { allowInterruptions: false }), `StartInterruptionFrame TextFrame("ab") ${end}`)
    }))

  it.effect("the end, and a start without an end before it, push what is left", () =>
    Effect.gen(function*() {
      const { down } = yield* run(ResponseAggregator.assistant(), [
        LlmResponseStartFrame.make(),
        text("a"),
        LlmResponseStartFrame.make(),
        text("b")
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "LlmResponseStartFrame",
        "TextFrame(\"a\")",
        "LlmResponseStartFrame",
        "TextFrame(\"b\")",
        "EndFrame"
      ])
    }))
})

describe("make", () => {
  class Begin extends Frame.App<Begin>()("Begin", {}, { kind: "control" }) {}
  class Finish extends Frame.App<Finish>()("Finish", {}, { kind: "control" }) {}

  it.effect("takes any frames and any separator", () =>
    Effect.gen(function*() {
      const aggregator = ResponseAggregator.make({
        name: "Mine",
        start: Begin,
        end: Finish,
        text: Frame.TextFrame,
        separator: "|"
      })
      strictEqual(aggregator.name, "Mine")
      const { down } = yield* run(aggregator, [Begin.make(), text("a"), text("b"), Finish.make()])
      deepStrictEqual(show(payload(down)), ["Begin", "TextFrame(\"a|b\")", "Finish"])
    }))

  it.effect("by default an interruption clears", () =>
    Effect.gen(function*() {
      const aggregator = ResponseAggregator.make({ start: Begin, end: Finish, text: Frame.TextFrame })
      const { down } = yield* run(aggregator, [Begin.make(), text("a"), sleep("1 millis"), interrupt, Finish.make()])
      deepStrictEqual(show(payload(down)), ["Begin", "Finish"])
    }))

  it.effect("StopTaskFrame leaves the text to the task that takes over; tasks do not share it", () =>
    Effect.gen(function*() {
      const description = ResponseAggregator.assistant()
      const first = yield* PipelineTask.make(Pipeline.make(description))
      yield* first.queueFrames([LlmResponseStartFrame.make(), text("a")])
      yield* first.stopTask
      yield* first.run
      const other = yield* run(description, [LlmResponseEndFrame.make()])
      deepStrictEqual(show(payload(other.down)), ["LlmResponseEndFrame"])
      const second = yield* PipelineTask.takeOver(first)
      yield* second.queueFrames([text("b"), LlmResponseEndFrame.make()])
      yield* second.stopWhenDone
      deepStrictEqual(show(payload(yield* Stream.runCollect(second.output))), [
        "TextFrame(\"ab\")",
        "LlmResponseEndFrame"
      ])
    }))
})
