import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as Processor from "@apipeline/core/Processor"
import * as TextTransformer from "@apipeline/core/TextTransformer"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual } = assert

class NoSuchWord extends Schema.TaggedError<NoSuchWord>()("NoSuchWord", { word: Schema.String }) {}
class Dictionary extends Context.Service<Dictionary, ReadonlyMap<string, string>>()("test/Dictionary") {}

const text = (text: string, options?: Frame.Options): Frame.TextFrame => Frame.TextFrame.make({ text, ...options })
const texts = (...all: ReadonlyArray<string>): ReadonlyArray<Frame.TextFrame> => all.map((one) => text(one))

/** What leaves at the downstream end, between `StartFrame` and `EndFrame`. */
const run = Effect.fnUntraced(function*<E, R>(pipeline: Pipeline.Element<E, R>, frames: Iterable<Frame.Frame>) {
  const task = yield* PipelineTask.make(pipeline)
  yield* task.queueFrames(frames)
  yield* task.stopWhenDone
  return (yield* Stream.runCollect(task.output)).slice(1, -1)
})

/** Texts as their text, frames of other types as they are. */
const show = (frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<unknown> =>
  frames.map((frame) => Frame.TextFrame.is(frame) ? frame.text : frame)

describe("map", () => {
  const upper = () => TextTransformer.map((text) => text.toUpperCase())

  it.effect("replaces text frames and keeps pts and metadata; other frames pass, in order", () =>
    Effect.gen(function*() {
      const sync = Frame.SyncFrame.make()
      const audio = Frame.AudioRawFrame.make({ audio: new Uint8Array(2), sampleRate: 8000, numChannels: 1 })
      const frames = [text("a", { pts: 0, metadata: { n: 1 } }), sync, text("B"), audio, text("")]
      const out = yield* run(upper(), frames)
      deepStrictEqual(show(out), ["A", sync, "B", audio, ""])
      strictEqual(out[1], sync)
      strictEqual(out[3], audio)
      deepStrictEqual([out[0]!.pts, out[0]!.metadata, out[2]!.pts], [0, { n: 1 }, undefined])
      strictEqual(new Set([...frames, ...out].map((frame) => frame.id)).size, frames.length + 3)
    }))

  it.effect("text that goes upstream passes", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(upper())
      const upstream = yield* Effect.forkChild(Stream.runCollect(task.upstream), { startImmediately: true })
      const frame = text("a")
      yield* task.queueFrame(frame, "upstream")
      yield* task.stopWhenDone
      yield* task.run
      strictEqual((yield* Fiber.join(upstream))[0], frame)
    }))

  it.effect("what throws is a defect, which is fatal", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(TextTransformer.map(() => {
        throw new Error("no")
      }, { name: "Thrower" }))
      yield* task.queueFrames(texts("a"))
      const error = yield* Effect.flip(task.run)
      strictEqual(error.reason._tag, "ProcessorFailed")
      strictEqual(error.message, "Thrower failed: Error: no")
    }))

  it.effect("options are those of a processor", () =>
    Effect.gen(function*() {
      const out = yield* run(
        Pipeline.make(
          TextTransformer.map((text) => {
            if (text === "b") throw new Error("no")
            return `<${text}>`
          }, { name: "Brackets", capacity: 1, onError: "ignore" })
        ),
        texts("a", "b", "c")
      )
      deepStrictEqual(show(out), ["<a>", "<c>"])
    }))
})

describe("mapEffect", () => {
  const translate = () =>
    TextTransformer.mapEffect((word) =>
      Effect.gen(function*() {
        const found = (yield* Dictionary).get(word)
        yield* Effect.sleep("1 second")
        return found ?? (yield* new NoSuchWord({ word }))
      }), { name: "Translate" })
  const dictionary = Effect.provideService(Dictionary, new Map([["hello", "bonjour"], ["world", "monde"]]))

  it.effect("keeps the order, pts and metadata, and waits for each", () =>
    Effect.gen(function*() {
      const sync = Frame.SyncFrame.make()
      const fiber = yield* Effect.forkChild(
        run(translate(), [text("hello", { pts: 0, metadata: { n: 1 } }), sync, text("world")])
      )
      yield* TestClock.adjust("1999 millis")
      strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      const out = yield* Fiber.join(fiber)
      deepStrictEqual(show(out), ["bonjour", sync, "monde"])
      strictEqual(out[1], sync)
      deepStrictEqual([out[0]!.pts, out[0]!.metadata], [0, { n: 1 }])
    }).pipe(dictionary))

  it.effect("a typed failure is reported with its processor, and the next frame is transformed", () =>
    Effect.gen(function*() {
      const processor = translate()
      // the errors and the services are in the type
      const typed: Processor.Processor<NoSuchWord, Dictionary> = processor
      const task = yield* PipelineTask.make(typed)
      const failures = yield* Effect.forkChild(Stream.runCollect(task.failures), { startImmediately: true })
      const upstream = yield* Effect.forkChild(Stream.runCollect(task.upstream), { startImmediately: true })
      const output = yield* Effect.forkChild(Stream.runCollect(task.output), { startImmediately: true })
      yield* task.queueFrames(texts("hello", "there", "world"))
      yield* task.stopWhenDone
      yield* TestClock.adjust("3 seconds")
      deepStrictEqual(show((yield* Fiber.join(output)).slice(1, -1)), ["bonjour", "monde"])
      deepStrictEqual(
        (yield* Fiber.join(failures)).map(({ cause, fatal, processor }) => [Cause.squash(cause), fatal, processor]),
        [[new NoSuchWord({ word: "there" }), false, "Translate"]]
      )
      const errors = yield* Fiber.join(upstream)
      strictEqual(errors.length, 1)
      assert(Frame.ErrorFrame.is(errors[0]) && errors[0].error instanceof NoSuchWord)
    }).pipe(dictionary))

  it.effect("an interruption stops it: no late result", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(translate())
      const out: Array<Frame.Frame> = []
      const reader = yield* Effect.forkChild(
        Stream.runForEach(task.output, (frame) => Effect.sync(() => out.push(frame))),
        { startImmediately: true }
      )
      yield* task.queueFrames(texts("hello", "hello"))
      yield* TestClock.adjust("500 millis")
      yield* task.interrupt
      yield* task.queueFrames(texts("world"))
      yield* task.stopWhenDone
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(reader)
      deepStrictEqual(out.map((frame) => Frame.TextFrame.is(frame) ? frame.text : frame._tag), [
        "StartFrame",
        "StartInterruptionFrame",
        "monde",
        "EndFrame"
      ])
    }).pipe(dictionary))

  it.effect("with a capacity it has a mailbox of its own", () =>
    Effect.gen(function*() {
      const { capacity } = TextTransformer.mapEffect(Effect.succeed, { capacity: 7 }).options
      strictEqual(capacity, 7)
      const out = yield* run(TextTransformer.mapEffect(Effect.succeed, { capacity: 1 }), texts("a", "b", "c"))
      deepStrictEqual(show(out), ["a", "b", "c"])
    }))
})
