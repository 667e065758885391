import * as Frame from "@apipeline/core/Frame"
import * as GatedAggregator from "@apipeline/core/GatedAggregator"
import * as HoldAggregator from "@apipeline/core/HoldAggregator"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { act, interrupt, payload, run, show, sleep, upstream } from "@apipeline/core/testing"
import { LlmResponseEndFrame, LlmResponseStartFrame, UserStartedSpeakingFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"

const { deepStrictEqual, strictEqual, throws } = assert

class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const audio = (): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: new Uint8Array(2), sampleRate: 8000, numChannels: 1 })
const image = (): Frame.ImageRawFrame =>
  Frame.ImageRawFrame.make({ image: new Uint8Array(3), width: 1, height: 1, format: "raw", mode: "RGB" })

const same = (actual: ReadonlyArray<Frame.Frame>, expected: ReadonlyArray<Frame.Frame>): void => {
  deepStrictEqual(actual.map(String), expected.map(String))
  for (const [i, frame] of expected.entries()) strictEqual(actual[i], frame)
}

const gate = (options?: Partial<GatedAggregator.Options>): Processor.Processor =>
  GatedAggregator.make({ opens: Frame.ImageRawFrame.is, closes: LlmResponseStartFrame.is, ...options })

describe("GatedAggregator", () => {
  it.effect("the opener goes first, then what was held", () =>
    Effect.gen(function*() {
      const [start, a, b, sound, picture, sound2, end] = [
        LlmResponseStartFrame.make(),
        text("a"),
        text("b"),
        audio(),
        image(),
        audio(),
        LlmResponseEndFrame.make()
      ] as const
      const frames = [start, a, b, sound, picture, sound2, end]
      const expected = [picture, start, a, b, sound, sound2, end]
      same(payload((yield* run(gate(), frames)).down), expected)
      // open from the beginning: the closer is held as well
      same(payload((yield* run(gate({ startOpen: true }), frames)).down), expected)
      const before = text("before")
      same(payload((yield* run(gate({ startOpen: true }), [before, ...frames])).down), [before, ...expected])
      same(payload((yield* run(gate(), [before, ...frames])).down), [picture, before, start, a, b, sound, sound2, end])
    }))

  it.effect("closes and opens again and again", () =>
    Effect.gen(function*() {
      const frames = Array.from({ length: 3 }, () => [LlmResponseStartFrame.make(), text("a"), image(), text("b")])
      const { down } = yield* run(gate({ startOpen: true }), frames.flat())
      same(payload(down), frames.flatMap(([start, a, picture, b]) => [picture!, start!, a!, b!]))
    }))

  it.effect("system and upstream frames pass and are not asked for, nor are lifecycle frames", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const never = (frame: Frame.Frame): boolean => {
        asked.push(frame._tag)
        return false
      }
      const [user, up, held] = [UserStartedSpeakingFrame.make(), image(), text("a")]
      const result = yield* run(gate({ opens: never, closes: never }), [
        held,
        upstream(up),
        user,
        sleep("1 millis"),
        act(() => Effect.sync(() => deepStrictEqual(asked, ["TextFrame"])))
      ])
      same(result.up, [up])
      deepStrictEqual(result.down.map(({ _tag }) => _tag), [
        "StartFrame",
        "UserStartedSpeakingFrame",
        "TextFrame",
        "EndFrame"
      ])
      deepStrictEqual(asked, ["TextFrame"])
    }))

  it.effect("an interruption clears what is held but uninterruptible frames, and leaves the gate as it is", () =>
    Effect.gen(function*() {
      const [keep, keep2, picture] = [Keep.make({ n: 1 }), Keep.make({ n: 2 }), image()]
      const steps = [
        text("a"),
        keep,
        text("b"),
        Frame.SyncFrame.make(),
        keep2,
        sleep("1 millis"),
        interrupt,
        text("c"),
        picture,
        text("d")
      ]
      const { down } = yield* run(gate(), steps)
      deepStrictEqual(show(down), [
        "StartFrame",
        "StartInterruptionFrame",
        "ImageRawFrame(1x1 raw RGB, 3 B)",
        "Keep(n: 1)",
        "Keep(n: 2)",
        "TextFrame(\"c\")",
        "TextFrame(\"d\")",
        "EndFrame"
      ])
      strictEqual(down[3], keep)
      strictEqual(down[4], keep2)
      const whole = yield* run(gate(), steps, { allowInterruptions: false })
      deepStrictEqual(show(payload(whole.down)), [
        "ImageRawFrame(1x1 raw RGB, 3 B)",
        "TextFrame(\"a\")",
        "Keep(n: 1)",
        "TextFrame(\"b\")",
        "SyncFrame",
        "Keep(n: 2)",
        "TextFrame(\"c\")",
        "TextFrame(\"d\")"
      ])
    }))

  it.effect("an interruption in the midst of the release stops it", () =>
    Effect.gen(function*() {
      const keep = Keep.make({ n: 1 })
      for (const mode of ["sync", "effect", "queued"] as const) {
        const p = mode === "sync"
          ? Processor.sync("P", {
            TextFrame: (frame, push) => {
              push(frame)
              if (frame.text === "b") push.interrupt()
            }
          })
          : (mode === "effect" ? Processor.effect : Processor.queued)("P", {
            TextFrame: (frame, { interrupt, push }) =>
              Effect.andThen(push(frame), frame.text === "b" ? interrupt : Effect.void)
          })
        const { down } = yield* run(Pipeline.make(gate({ opens: Frame.SyncFrame.is }), p), [
          text("a"),
          text("b"),
          text("c"),
          keep,
          text("d"),
          Frame.SyncFrame.make(),
          sleep("1 millis"),
          text("e")
        ])
        const lines = show(down)
        deepStrictEqual(lines.slice(lines.indexOf("StartInterruptionFrame")), [
          "StartInterruptionFrame",
          "Keep(n: 1)",
          "TextFrame(\"e\")",
          "EndFrame"
        ], mode)
      }
    }))

  it.effect("the end lets what is held go before it, or drops it but uninterruptible frames", () =>
    Effect.gen(function*() {
      const frames = [text("a"), Frame.SyncFrame.make(), Keep.make({ n: 1 }), text("b")]
      const flushed = yield* run(gate(), frames)
      same(payload(flushed.down), frames)
      strictEqual(flushed.down.at(-1)!._tag, "EndFrame")
      const dropped = yield* run(gate({ atEnd: "drop" }), frames)
      same(payload(dropped.down), [frames[2]!])
    }))

  it.effect("is bounded: drops the new or the oldest data, never anything else, and reports it once", () =>
    Effect.gen(function*() {
      const [a, b, c, d, keep, sync, picture] = [
        text("a"),
        text("b"),
        text("c"),
        text("d"),
        Keep.make({ n: 1 }),
        Frame.SyncFrame.make(),
        image()
      ]
      const frames = [a, keep, b, sync, c, d, picture]
      const dropping = yield* run(gate({ capacity: 2, name: "Gate" }), [...frames, sleep("1 millis")])
      same(payload(dropping.down), [picture, a, keep, b, sync])
      deepStrictEqual(show(dropping.up), ["ErrorFrame(Gate: Gate holds 2 frames already: frames are dropped)"])
      const error = dropping.up[0] as Frame.ErrorFrame
      assert(error.error instanceof HoldAggregator.HoldOverflow)
      deepStrictEqual([error.fatal, error.error.processor, error.error.capacity], [false, "Gate", 2])
      const sliding = yield* run(gate({ capacity: 2, strategy: "sliding" }), [...frames, sleep("1 millis")])
      same(payload(sliding.down), [picture, keep, sync, c, d])
      strictEqual(sliding.up.length, 1)
      const again = yield* run(gate({ capacity: 1, closes: Frame.TextFrame.is }), [
        a,
        b,
        c,
        image(),
        text("x"),
        text("y"),
        sleep("1 millis")
      ])
      deepStrictEqual(show(payload(again.down)), [
        "ImageRawFrame(1x1 raw RGB, 3 B)",
        "TextFrame(\"a\")",
        "TextFrame(\"x\")"
      ])
      strictEqual(again.up.length, 2)
    }))

  it.effect("holds 1024 data frames unless told otherwise", () =>
    Effect.gen(function*() {
      const frames = Array.from({ length: 1025 }, (_, i) => text(String(i)))
      const { down, up } = yield* run(gate(), [...frames, sleep("1 millis")])
      same(payload(down), frames.slice(0, 1024))
      strictEqual(up.length, 1)
      const all = yield* run(gate({ capacity: Infinity }), [...frames, sleep("1 millis")])
      same(payload(all.down), frames)
      deepStrictEqual(all.up, [])
    }))

  it("a capacity that is none throws", () => {
    for (const capacity of [0, -1, 1.5, NaN]) {
      throws(() => gate({ capacity }), `GatedAggregator: capacity: found ${capacity}, expected a positive integer`)
    }
  })

  it.effect("StopTaskFrame leaves what is held to the task that takes over; tasks do not share it", () =>
    Effect.gen(function*() {
      const description = gate()
      const [a, b, picture] = [text("a"), text("b"), image()]
      const first = yield* PipelineTask.make(description)
      yield* first.queueFrame(a)
      yield* first.stopTask
      yield* first.run
      const other = yield* run(description, [picture])
      same(payload(other.down), [picture])
      const second = yield* PipelineTask.takeOver(first)
      yield* second.queueFrames([b, picture])
      yield* second.stopWhenDone
      same(payload(yield* Stream.runCollect(second.output)), [picture, a, b])
    }))
})
