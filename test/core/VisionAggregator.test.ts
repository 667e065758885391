import * as Frame from "@apipeline/core/Frame"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import { act, interrupt, payload, run, show, sleep, upstream } from "@apipeline/core/testing"
import * as VisionAggregator from "@apipeline/core/VisionAggregator"
import { VisionImageFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"

const { deepStrictEqual, strictEqual } = assert

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text, metadata: { of: "the text" } })
const image = (n: number, options?: Frame.Options): Frame.ImageRawFrame =>
  Frame.ImageRawFrame.make({
    image: new Uint8Array([n, n, n]),
    width: 1,
    height: 1,
    format: "raw",
    mode: "RGB",
    ...options
  })

describe("VisionAggregator", () => {
  it.effect("a text and the image that follows become one frame, with pts and metadata of the image", () =>
    Effect.gen(function*() {
      const [question, sync, picture] = [
        text("What is it?"),
        Frame.SyncFrame.make(),
        image(1, { pts: 0, metadata: { n: 1 } })
      ]
      const { down } = yield* run(VisionAggregator.make(), [question, sync, picture])
      const [first, out] = payload(down)
      strictEqual(payload(down).length, 2)
      strictEqual(first, sync)
      assert(VisionImageFrame.is(out))
      const { id, ...fields } = out
      deepStrictEqual(fields as object, {
        _tag: "VisionImageFrame",
        pts: 0,
        metadata: { n: 1 },
        text: "What is it?",
        image: new Uint8Array([1, 1, 1]),
        width: 1,
        height: 1,
        format: "raw",
        mode: "RGB"
      })
      strictEqual(out.image, picture.image)
      assert.isAbove(id, picture.id)
    }))

  it.effect("each text is used once; what finds no partner goes on as it is", () =>
    Effect.gen(function*() {
      const [alone, a, b, one, two, left] = [image(1), text("a"), text("b"), image(2), image(3), text("left")]
      const up = [image(4), text("up")]
      const result = yield* run(VisionAggregator.make(), [alone, a, b, one, two, left, ...up.map(upstream)])
      const out = payload(result.down)
      deepStrictEqual(out.map((frame) => VisionImageFrame.is(frame) ? [frame.text, frame.image[0]] : frame.id), [
        alone.id,
        a.id,
        ["b", 2],
        two.id,
        left.id
      ])
      deepStrictEqual([out[0] === alone, out[1] === a, out[3] === two, out[4] === left], [true, true, true, true])
      strictEqual(result.down.at(-1)!._tag, "EndFrame")
      deepStrictEqual(result.up.map(({ id }) => id), up.map(({ id }) => id))
    }))

  it.effect("an interruption clears the text that waits, if the task allows it", () =>
    Effect.gen(function*() {
      const drops: Array<object> = []
      const drop = act((task) => Effect.map(task.drops, (found) => drops.push(found)))
      const steps = [text("a"), sleep("1 millis"), interrupt, image(1)]
      const { down } = yield* run(VisionAggregator.make(), [...steps, drop])
      deepStrictEqual(drops, [{ full: 0, interrupted: 1, cancelled: 0, ended: 0, inactive: 0 }])
      deepStrictEqual(show(down), [
        "StartFrame",
        "StartInterruptionFrame",
        "ImageRawFrame(1x1 raw RGB, 3 B)",
        "EndFrame"
      ])
      const whole = yield* run(VisionAggregator.make(), steps, { allowInterruptions: false })
      deepStrictEqual(payload(whole.down).map(({ _tag }) => _tag), ["VisionImageFrame"])
    }))

  it.effect("tasks do not share the text; one that takes over has it", () =>
    Effect.gen(function*() {
      const description = VisionAggregator.make({ name: "Eyes" })
      strictEqual(description.name, "Eyes")
      const first = yield* PipelineTask.make(description)
      yield* first.queueFrame(text("a"))
      yield* first.stopTask
      yield* first.run
      const other = yield* run(description, [image(1)])
      deepStrictEqual(payload(other.down).map(({ _tag }) => _tag), ["ImageRawFrame"])
      const second = yield* PipelineTask.takeOver(first)
      yield* second.queueFrame(image(2))
      yield* second.stopWhenDone
      const [out, ...rest] = payload(yield* Stream.runCollect(second.output))
      deepStrictEqual([(out as VisionImageFrame).text, rest.length], ["a", 0])
    }))
})
