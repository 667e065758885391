import * as DtmfAggregator from "@apipeline/core/DtmfAggregator"
import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { interrupt, leaks, run, settle, show, sleep, type Step, upstream } from "@apipeline/core/testing"
import { type DtmfKey, InputDtmfFrame, TranscriptionFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"

const { deepStrictEqual, strictEqual } = assert

const key = (key: DtmfKey): InputDtmfFrame => InputDtmfFrame.make({ key })
const keys = (all: string): ReadonlyArray<InputDtmfFrame> => Array.from(all, (one) => key(one as DtmfKey))

/** Keys as themselves, interruptions as `!`, transcriptions in brackets. */
const line = (frames: ReadonlyArray<Frame.Frame>): string =>
  frames.map((frame) =>
    InputDtmfFrame.is(frame)
      ? frame.key
      : TranscriptionFrame.is(frame)
      ? `[${frame.text}]`
      : Frame.StartInterruptionFrame.is(frame)
      ? "!"
      : frame._tag
  ).join(" ")

const out = Effect.fnUntraced(
  function*(options: DtmfAggregator.Options | undefined, steps: ReadonlyArray<Step>) {
    const { down } = yield* run(DtmfAggregator.make(options), steps)
    return line(down)
  }
)

describe("DtmfAggregator", () => {
  it.effect("the terminator ends a sequence; the first key interrupts, both ways, after it has gone on", () =>
    Effect.gen(function*() {
      const frames = keys("123#")
      const { down, up } = yield* run(DtmfAggregator.make({ userId: "ann" }), [sleep("1500 millis"), ...frames])
      strictEqual(line(down), "StartFrame 1 ! 2 3 # [DTMF: 123#] EndFrame")
      strictEqual(line(up), "!")
      deepStrictEqual(down.filter(InputDtmfFrame.is).map(({ id }) => id), frames.map(({ id }) => id))
      const { id, ...fields } = down.find(TranscriptionFrame.is)!
      deepStrictEqual(fields as object, {
        _tag: "TranscriptionFrame",
        text: "DTMF: 123#",
        userId: "ann",
        timestamp: "1970-01-01T00:00:01.500Z",
        finalized: true,
        pts: undefined,
        metadata: undefined
      })
      assert.isAbove(id, frames[3]!.id)
    }))

  it.effect("the timeout after the latest key ends a sequence; the next one interrupts anew", () =>
    Effect.gen(function*() {
      strictEqual(
        yield* out({ timeout: "100 millis" }, [
          key("1"),
          sleep("99 millis"),
          key("2"),
          sleep("99 millis"),
          Frame.IdleFrame.make(),
          sleep("1 millis"),
          key("3"),
          sleep("200 millis")
        ]),
        "StartFrame 1 ! 2 IdleFrame [DTMF: 12] 3 ! [DTMF: 3] EndFrame"
      )
      strictEqual(
        yield* out({ timeout: "100 millis" }, [
          ...keys("12#"),
          sleep("1 millis"),
          ...keys("45"),
          sleep("100 millis")
        ]),
        "StartFrame 1 ! 2 # [DTMF: 12#] 4 ! 5 [DTMF: 45] EndFrame"
      )
    }))

  it.effect("a key that is pressed at the same instant does not cut a transcription that is still on its way", () =>
    Effect.gen(function*() {
      // what the user has typed survives the interruption that the next key causes
      strictEqual(
        yield* out({ timeout: "100 millis" }, [...keys("12#45"), sleep("100 millis")]),
        "StartFrame 1 ! 2 # 4 ! 5 [DTMF: 12#] [DTMF: 45] EndFrame"
      )
    }))

  it.effect("the default timeout is 2 seconds", () =>
    Effect.gen(function*() {
      const idle = Frame.IdleFrame.make()
      strictEqual(
        yield* out(undefined, [key("1"), sleep("1999 millis"), idle, sleep("1 millis"), Frame.SyncFrame.make()]),
        "StartFrame 1 ! IdleFrame [DTMF: 1] SyncFrame EndFrame"
      )
    }))

  it.effect("EndFrame ends a sequence, before it", () =>
    Effect.gen(function*() {
      strictEqual(yield* out(undefined, keys("12")), "StartFrame 1 ! 2 [DTMF: 12] EndFrame")
    }))

  it.effect("prefix, terminator, all keys", () =>
    Effect.gen(function*() {
      strictEqual(yield* out({ prefix: "Menu: " }, keys("1#")), "StartFrame 1 ! # [Menu: 1#] EndFrame")
      strictEqual(yield* out({ terminator: "*" }, keys("12*")), "StartFrame 1 ! 2 * [DTMF: 12*] EndFrame")
      strictEqual(yield* out({ terminator: "*" }, keys("#1*")), "StartFrame # ! 1 * [DTMF: #1*] EndFrame")
      strictEqual(
        yield* out(undefined, keys("0123456789*#")),
        "StartFrame 0 ! 1 2 3 4 5 6 7 8 9 * # [DTMF: 0123456789*#] EndFrame"
      )
      strictEqual(yield* out(undefined, keys("#")), "StartFrame # ! [DTMF: #] EndFrame")
    }))

  it.effect("an interruption by others changes nothing; other frames and upstream keys pass", () =>
    Effect.gen(function*() {
      const [text, up] = [Frame.TextFrame.make({ text: "a" }), key("9")]
      const { down, up: ups } = yield* run(DtmfAggregator.make(), [
        key("1"),
        sleep("1 millis"),
        interrupt,
        text,
        upstream(up),
        sleep("1 millis"),
        key("#"),
        sleep("1 millis")
      ])
      strictEqual(line(down), "StartFrame 1 ! ! TextFrame # [DTMF: 1#] EndFrame")
      strictEqual(line(ups), "! 9")
      strictEqual(ups[1], up)
    }))

  it.effect("the first key stops what the bot is saying", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const speak = Processor.queued("Speak", {
        TextFrame: (frame) => Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => said.push(frame.text)))
      })
      const { down } = yield* run(Pipeline.make(DtmfAggregator.make(), speak), [
        Frame.TextFrame.make({ text: "one" }),
        Frame.TextFrame.make({ text: "two" }),
        sleep("1500 millis"),
        ...keys("1#"),
        sleep("5 seconds")
      ])
      deepStrictEqual(said, ["one"])
      strictEqual(line(down), "StartFrame 1 ! # [DTMF: 1#] EndFrame")
    }))

  it.effect("tasks do not share keys; one that takes over has them; nothing is left running", () =>
    Effect.gen(function*() {
      const description = DtmfAggregator.make({ timeout: "1 minute", name: "Keys" })
      strictEqual(description.name, "Keys")
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const first = yield* PipelineTask.make(description)
        yield* first.start
        yield* first.queueFrame(key("1"))
        yield* settle
        yield* first.stopTask
        yield* first.run
        const { down } = yield* run(description, [key("#")])
        strictEqual(line(down), "StartFrame # ! [DTMF: #] EndFrame")
        const second = yield* PipelineTask.takeOver(first)
        const output = yield* Effect.forkChild(Stream.runCollect(second.output), { startImmediately: true })
        yield* second.start
        yield* second.queueFrame(key("#"))
        yield* settle
        yield* second.stopWhenDone
        deepStrictEqual(show(yield* Fiber.join(output)).length, 4)
        strictEqual(line(yield* Fiber.join(output)), "StartFrame # [DTMF: 1#] EndFrame")
        const third = yield* PipelineTask.make(description)
        yield* third.start
        yield* third.queueFrame(key("1"))
        yield* settle
      })))
      strictEqual(alive, 0)
    }))
})
