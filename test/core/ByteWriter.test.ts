import * as ByteReader from "@apipeline/core/ByteReader"
import * as ByteWriter from "@apipeline/core/ByteWriter"
import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as Processor from "@apipeline/core/Processor"
import { act, interrupt, leaks, payload, run, settle, show, sleep } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Context, Data, Effect, Fiber, PlatformError, Schema, Sink, Stdio, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual } = assert

class Broken extends Data.TaggedError("Broken")<{ readonly text: string }> {}
class Disk extends Context.Service<Disk, Array<string>>()("test/Disk") {}
class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const decode = (bytes: string | Uint8Array): string =>
  typeof bytes === "string" ? `string: ${bytes}` : new TextDecoder().decode(bytes)
const audio = Frame.AudioRawFrame.make({ audio: Uint8Array.of(0, 255), sampleRate: 8000, numChannels: 1 })
const image = Frame.ImageRawFrame.make({
  image: Uint8Array.of(1, 2, 3),
  width: 1,
  height: 1,
  format: "RAW",
  mode: "RGB"
})

/** Writes to a list, each after a second. */
const slow = (written: Array<string>) => (bytes: Uint8Array) =>
  Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => written.push(decode(bytes))))

describe("formats", () => {
  it("lines", () => {
    strictEqual(ByteWriter.lines(text("a")), "a\n")
    strictEqual(ByteWriter.lines(text("")), "\n")
    for (const other of [audio, image, Keep.make({ n: 1 })]) strictEqual(ByteWriter.lines(other), undefined)
  })

  it("raw", () => {
    strictEqual(ByteWriter.raw(text("a")), "a")
    strictEqual(ByteWriter.raw(audio), audio.audio)
    strictEqual(ByteWriter.raw(image), image.image)
    strictEqual(ByteWriter.raw(Keep.make({ n: 1 })), undefined)
  })
})

describe("toFunction", () => {
  it.effect("writes lines in UTF-8, in order; what it does not write passes", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const sync = Frame.SyncFrame.make()
      const writer = ByteWriter.toFunction((bytes) => Effect.sync(() => written.push(decode(bytes))))
      const { down } = yield* run(writer, [text("é"), audio, sync, text(""), text("€😀")])
      deepStrictEqual(written, ["é\n", "\n", "€😀\n"])
      deepStrictEqual(payload(down).map((frame) => frame.name), [audio.name, sync.name])
      strictEqual(down[1], audio)
    }))

  it.effect("writes the payload as it is, and nothing for an empty one", () =>
    Effect.gen(function*() {
      const written: Array<Array<number>> = []
      const write = (bytes: Uint8Array) => Effect.sync(() => written.push(Array.from(bytes)))
      const keep = Keep.make({ n: 1 })
      const { down } = yield* run(ByteWriter.toFunction(write, { format: ByteWriter.raw }), [
        text("a"),
        text(""),
        audio,
        image,
        keep
      ])
      deepStrictEqual(written, [[97], [0, 255], [1, 2, 3]])
      deepStrictEqual(payload(down), [keep])
    }))

  it.effect("writes what a function makes of frames", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const writer = ByteWriter.toFunction((bytes) => Effect.sync(() => written.push(decode(bytes))), {
        name: "Numbers",
        format: (frame) => Keep.is(frame) ? `${frame.n};` : undefined
      })
      strictEqual(writer.name, "Numbers")
      yield* run(writer, [Keep.make({ n: 1 }), text("a"), Keep.make({ n: 2 })])
      deepStrictEqual(written, ["1;", "2;"])
    }))

  it.effect("passThrough passes each frame when it is written; the pusher does not wait", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const frames = ["a", "b", "c"].map(text)
      const task = yield* PipelineTask.make(ByteWriter.toFunction(slow(written), { passThrough: true }))
      const out: Array<Frame.Frame> = []
      const reader = yield* Effect.forkChild(
        Stream.runForEach(task.output, (frame) => Effect.sync(() => out.push(frame))),
        { startImmediately: true }
      )
      yield* task.queueFrames(frames)
      yield* task.stopWhenDone
      yield* TestClock.adjust("2500 millis")
      deepStrictEqual(written, ["a\n", "b\n"])
      deepStrictEqual(show(out), ["StartFrame", "TextFrame(\"a\")", "TextFrame(\"b\")"])
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(reader)
      deepStrictEqual(show(out).slice(-2), ["TextFrame(\"c\")", "EndFrame"])
      for (const [i, frame] of frames.entries()) strictEqual(out[i + 1], frame)
    }))

  it.effect("when its mailbox is full, whoever pushes waits", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const task = yield* PipelineTask.make(ByteWriter.toFunction(slow(written), { capacity: 1 }), { capacity: 1 })
      const running = yield* Effect.forkChild(task.run, { startImmediately: true })
      let queued = 0
      yield* Effect.forkChild(
        Effect.andThen(
          Effect.forEach(Array.from({ length: 20 }, (_, i) => text(`${i}`)), (frame) =>
            Effect.andThen(task.queueFrame(frame), Effect.sync(() => queued++))),
          task.stopWhenDone
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("500 millis")
      assert.isAtMost(queued, 5)
      deepStrictEqual(written, [])
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(running)
      deepStrictEqual(
        written,
        Array.from({ length: 20 }, (_, i) =>
          `${i}\n`)
      )
    }))

  it.effect("a failure is reported with its type, and the next frame is written", () =>
    Effect.gen(function*() {
      for (const passThrough of [true, false]) {
        const written: Array<string> = []
        const writer: Processor.Processor<Broken, Disk> = ByteWriter.toFunction((bytes) =>
          Effect.gen(function*() {
            const text = decode(bytes)
            if (text === "b\n") return yield* new Broken({ text })
            ;(yield* Disk).push(text)
          }), { passThrough })
        const { down, failures } = yield* run(writer, ["a", "b", "c"].map(text)).pipe(
          Effect.provideService(Disk, written)
        )
        deepStrictEqual(written, ["a\n", "c\n"])
        deepStrictEqual(
          failures.map(({ cause, processor }) => [Cause.squash(cause), processor]),
          [[new Broken({ text: "b\n" }), "ByteWriter"]]
        )
        strictEqual(payload(down).length, passThrough ? 3 : 0)
      }
    }))

  it.effect("a fatal failure cancels the task", () =>
    Effect.gen(function*() {
      const writer = ByteWriter.toFunction(() => Effect.fail(new Broken({ text: "x" })), { onError: "fatal" })
      const task = yield* PipelineTask.make(writer)
      yield* task.queueFrame(text("a"))
      strictEqual((yield* Effect.flip(task.run)).reason._tag, "ProcessorFailed")
    }))

  it.effect("an interruption stops the write and cuts what waits, except what is uninterruptible", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const format = (frame: Frame.Frame) =>
        Keep.is(frame) ? `${frame.n}` : Frame.TextFrame.is(frame) ? frame.text : undefined
      const writer = ByteWriter.toFunction(slow(written), { format, passThrough: true })
      const { down } = yield* run(writer, [
        text("a"),
        text("b"),
        Keep.make({ n: 1 }),
        text("c"),
        sleep("1500 millis"),
        interrupt,
        text("d")
      ])
      deepStrictEqual(written, ["a", "1", "d"])
      deepStrictEqual(down.map((frame) => frame._tag), [
        "StartFrame",
        "TextFrame",
        "StartInterruptionFrame",
        "Keep",
        "TextFrame",
        "EndFrame"
      ])
    }))
})

describe("toSink", () => {
  it.effect("runs the sink from the start to the end, for each task anew", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const sink = Sink.forEach((bytes: Uint8Array) => Effect.sync(() => log.push(decode(bytes)))).pipe(
        Sink.ensuring(Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => log.push("done"))))
      )
      const writer = ByteWriter.toSink(sink)
      for (let i = 0; i < 2; i++) {
        const { down } = yield* run(writer, [text("a"), audio, text("b")])
        deepStrictEqual(log.splice(0), ["a\n", "b\n", "done"])
        deepStrictEqual(payload(down), [audio])
      }
    }))

  it.effect("takes a frame only when the sink asks for it", () =>
    Effect.gen(function*() {
      const written: Array<string> = []
      const writer = ByteWriter.toSink(Sink.forEach(slow(written)), { format: ByteWriter.raw })
      const { down } = yield* run(writer, [
        ...["a", "b", "c", "d"].map(text),
        sleep("1500 millis"),
        interrupt,
        text("e")
      ])
      // the sink has asked for "b" when the interruption comes: that is its own
      deepStrictEqual(written, ["a", "b", "e"])
      deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", "EndFrame"])
    }))

  it.effect("a failing sink is reported, and so is every frame that comes later", () =>
    Effect.gen(function*() {
      for (const passThrough of [true, false]) {
        const sink = Sink.forEach((bytes: Uint8Array) => Effect.fail(new Broken({ text: decode(bytes) })))
        const writer: Processor.Processor<Broken | ByteWriter.WriterClosed> = ByteWriter.toSink(sink, { passThrough })
        const frames = ["a", "b", "c"].map(text)
        const { down, exit, failures } = yield* run(writer, [frames[0]!, act(() => settle), ...frames.slice(1)])
        const closed = (i: number) => new ByteWriter.WriterClosed({ writer: "ByteWriter", frame: frames[i]!.name })
        deepStrictEqual(failures.map(({ cause }) => Cause.squash(cause)), [
          new Broken({ text: "a\n" }),
          closed(1),
          closed(2)
        ])
        strictEqual(closed(1).message, `ByteWriter is closed: ${frames[1]!.name} was not written`)
        strictEqual(exit._tag, "Success")
        deepStrictEqual(payload(down).length, passThrough ? 3 : 0)
      }
    }))

  it.effect("a sink that is done early", () =>
    Effect.gen(function*() {
      const { exit, failures } = yield* run(ByteWriter.toSink(Sink.take<Uint8Array>(1)), [
        text("a"),
        act(() => settle),
        text("b")
      ])
      deepStrictEqual(failures.map(({ cause }) => (Cause.squash(cause) as { readonly _tag: string })._tag), [
        "WriterClosed"
      ])
      strictEqual(exit._tag, "Success")
    }))

  it.effect("nothing is left when the task is cancelled", () =>
    Effect.gen(function*() {
      const writer = ByteWriter.toSink(Sink.forEach(() => Effect.never))
      const [{ down }, alive] = yield* leaks(run(writer, [text("a"), text("b"), sleep("1 second")], { end: false }))
      deepStrictEqual(show(down), ["StartFrame"])
      strictEqual(alive, 0)
    }))
})

describe("standard output", () => {
  const layer = (out: Array<string>, err: Array<string>) => {
    const into = (list: Array<string>) => (options?: { readonly endOnDone?: boolean | undefined }) =>
      Sink.forEach((chunk: string | Uint8Array) => Effect.sync(() => list.push(decode(chunk)))).pipe(
        Sink.ensuring(Effect.sync(() => list.push(`endOnDone: ${options?.endOnDone}`)))
      )
    return Stdio.layerTest({ stdout: into(out), stderr: into(err) })
  }

  it.effect("lines to each, which stays open", () =>
    Effect.gen(function*() {
      const out: Array<string> = []
      const err: Array<string> = []
      const pipeline = Pipeline.make(
        ByteWriter.stderr({ passThrough: true }),
        ByteWriter.stdout({ format: ByteWriter.raw })
      )
      yield* run(pipeline, [text("a"), text("b")]).pipe(Effect.provide(layer(out, err)))
      deepStrictEqual(out, ["a", "b", "endOnDone: false"])
      deepStrictEqual(err, ["a\n", "b\n", "endOnDone: false"])
    }))

  it.effect("a failure of the platform is reported", () =>
    Effect.gen(function*() {
      const error = PlatformError.systemError({ _tag: "WriteZero", module: "Stdio", method: "stdout" })
      const { failures } = yield* run(ByteWriter.stdout(), [text("a")]).pipe(
        Effect.provide(Stdio.layerTest({ stdout: () => Sink.fail(error) }))
      )
      strictEqual(Cause.squash(failures[0]!.cause), error)
    }))
})

describe("properties", () => {
  const lines = Arbitrary.array(Arbitrary.schema(Schema.Literals(["", "a", "é€", "😀", "two words ", "\t", "x\ry"])), {
    minLength: 3,
    maxLength: 30
  })
  const sizes = Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 2, 3, 7])), { minLength: 2, maxLength: 5 })

  it.effect.prop("what is written can be read again", { lines, sizes }, ({ lines, sizes }) =>
    Effect.gen(function*() {
      const bytes: Array<number> = []
      const writer = ByteWriter.toFunction((chunk) => Effect.sync(() => bytes.push(...chunk)))
      yield* run(writer, lines.map(text))
      const chunks: Array<Uint8Array> = []
      for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]!) {
        chunks.push(Uint8Array.from(bytes.slice(at, at + sizes[i % sizes.length]!)))
      }
      const read = yield* Stream.runCollect(ByteReader.toText(Stream.fromIterable(chunks)))
      deepStrictEqual(read.map((frame) => frame.text), lines)
    }), { arbitrary: { runs: 100 } })
})
