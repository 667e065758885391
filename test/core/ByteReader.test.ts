import * as ByteReader from "@apipeline/core/ByteReader"
import * as Frame from "@apipeline/core/Frame"
import * as Input from "@apipeline/core/Input"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { interrupt, leaks, run, settle, show, sleep } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Data, Deferred, Effect, Exit, Fiber, Latch, Queue, Schema, Stdio, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, isAtMost, strictEqual, throws } = assert

class Broken extends Data.TaggedError("Broken")<{}> {}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const bytes = (...all: ReadonlyArray<number>): Uint8Array => Uint8Array.from(all)
const count = (length: number, from = 0): Uint8Array => Uint8Array.from({ length }, (_, i) => from + i)

const cut = (all: Uint8Array, sizes: ReadonlyArray<number>): ReadonlyArray<Uint8Array> => {
  const out: Array<Uint8Array> = []
  for (let at = 0, i = 0; at < all.length; i++) {
    out.push(all.slice(at, at + sizes[i % sizes.length]!))
    at += sizes[i % sizes.length]!
  }
  return out
}

/** Texts (or samples) that came out before the stream ended, and its failure if it had one. */
const collect = Effect.fnUntraced(function*<E>(stream: Stream.Stream<Frame.TextFrame | Frame.AudioRawFrame, E>) {
  const out: Array<unknown> = []
  const exit = yield* Effect.exit(Stream.runForEach(stream, (frame) =>
    Effect.sync(() => {
      out.push(Frame.TextFrame.is(frame) ? frame.text : Array.from(frame.audio))
    })))
  if (Exit.isFailure(exit)) out.push(Cause.squash(exit.cause))
  return out
})

const failure = (reason: ByteReader.ByteReaderError["reason"]): ByteReader.ByteReaderError =>
  new ByteReader.ByteReaderError({ reason })

describe("toText", () => {
  const cases: Readonly<Record<string, readonly [input: string, lines: Array<string>]>> = {
    "lines": ["one\ntwo\n", ["one", "two"]],
    "the last without a line break": ["one\ntwo", ["one", "two"]],
    "empty lines": ["\n\na\n\n", ["", "", "a", ""]],
    "carriage returns": ["one\r\ntwo\r\n\r\nthr\ree\r", ["one", "two", "", "thr\ree"]],
    "two carriage returns": ["one\r\r\n", ["one\r"]],
    "characters of all lengths": ["aé€😀\n中文。\n", ["aé€😀", "中文。"]],
    "a byte order mark, once": ["\uFEFFa\n\uFEFFb", ["a", "\uFEFFb"]],
    "nothing": ["", []],
    "a line break": ["\n", [""]],
    "spaces": ["  a  \n \t\n", ["  a  ", " \t"]]
  }
  for (const [name, [input, lines]] of Object.entries(cases)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        for (const sizes of [[1], [2], [3, 1], [1000]]) {
          deepStrictEqual(yield* collect(ByteReader.toText(Stream.fromIterable(cut(encode(input), sizes)))), lines)
        }
      }))
  }

  it.effect("what is not UTF-8 is replaced, or fails after the lines before it", () =>
    Effect.gen(function*() {
      const input = bytes(97, 10, 98, 195, 40, 10, 99, 10)
      for (const sizes of [[1], [4], [100]]) {
        const stream = Stream.fromIterable(cut(input, sizes))
        deepStrictEqual(yield* collect(ByteReader.toText(stream)), ["a", "b\uFFFD(", "c"])
        deepStrictEqual(yield* collect(stream.pipe(ByteReader.toText({ invalid: "fail" }))), [
          "a",
          failure(new ByteReader.InvalidUtf8({ line: 2 }))
        ])
        const end = Stream.fromIterable(cut(bytes(97, 10, 226, 130), sizes))
        deepStrictEqual(yield* collect(ByteReader.toText(end)), ["a", "\uFFFD"])
        deepStrictEqual(yield* collect(ByteReader.toText(end, { invalid: "fail" })), [
          "a",
          failure(new ByteReader.InvalidUtf8({ line: 2 }))
        ])
      }
      strictEqual(failure(new ByteReader.InvalidUtf8({ line: 2 })).message, "line 2: found bytes that are not UTF-8")
    }))

  it.effect("a line that is too long fails, before it is all there", () =>
    Effect.gen(function*() {
      const tooLong = failure(new ByteReader.LineTooLong({ line: 3, maxLength: 3 }))
      for (const sizes of [[1], [3], [100]]) {
        const read = (text: string) =>
          collect(ByteReader.toText(Stream.fromIterable(cut(encode(text), sizes)), { maxLength: 3 }))
        deepStrictEqual(yield* read("abc\ndef\r\nghij\nk\n"), ["abc", "def", tooLong])
        deepStrictEqual(yield* read("abc\ndef\r\nghij"), ["abc", "def", tooLong])
        deepStrictEqual(yield* read("abc\ndef\r\nghi\r"), ["abc", "def", "ghi"])
      }
      const endless = Stream.forever(Stream.succeed(encode("aa")))
      deepStrictEqual(yield* collect(ByteReader.toText(endless, { maxLength: 3 })), [
        failure(new ByteReader.LineTooLong({ line: 1, maxLength: 3 }))
      ])
      strictEqual(tooLong.message, "line 3: found more than 3 bytes")
    }))

  it.effect("a failure of the bytes comes behind the lines before it", () =>
    Effect.gen(function*() {
      const stream = Stream.concat(Stream.make(encode("a\nb\nc")), Stream.fail(new Broken()))
      deepStrictEqual(yield* collect(ByteReader.toText(stream)), ["a", "b", new Broken()])
    }))

  it.effect("each run begins anew, and buffers may be used again", () =>
    Effect.gen(function*() {
      const buffer = new Uint8Array(2)
      const stream = Stream.fromIterable(["ab", "cd", "\ne"]).pipe(
        Stream.rechunk(1),
        Stream.map((text) => {
          buffer.set(encode(text))
          return buffer
        }),
        ByteReader.toText()
      )
      deepStrictEqual(yield* collect(stream), ["abcd", "e"])
      deepStrictEqual(yield* collect(stream), ["abcd", "e"])
    }))

  const text = Arbitrary.array(Arbitrary.schema(Schema.Literals([..."ab\n\ré€😀中", "", "\n\n", "long text"])), {
    minLength: 8,
    maxLength: 40
  })
  const sizes = Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 2, 3, 5, 7])), { minLength: 4, maxLength: 6 })
  it.effect.prop(
    "nothing is lost, wherever the bytes are cut",
    { text, sizes },
    ({ sizes, text }) =>
      Effect.gen(function*() {
        const input = text.join("")
        const expected = input.replaceAll("\r\n", "\n").replace(/\r$/, "").split("\n")
        if (input.replace(/\r$/, "") === "" || input.endsWith("\n")) expected.pop()
        if (input === "\r") expected.push("")
        const lines = yield* collect(ByteReader.toText(Stream.fromIterable(cut(encode(input), sizes))))
        deepStrictEqual(lines, expected)
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("toAudio", () => {
  const format = { sampleRate: 16000, chunkSize: 4 }

  it.effect("frames of one size, the last with the rest", () =>
    Effect.gen(function*() {
      for (const sizes of [[1], [3], [4], [5, 2], [100]]) {
        const stream = Stream.fromIterable(cut(count(10), sizes))
        deepStrictEqual(yield* collect(ByteReader.toAudio(stream, format)), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]])
      }
      deepStrictEqual(yield* collect(ByteReader.toAudio(Stream.make(count(8), count(0)), format)), [
        [0, 1, 2, 3],
        [4, 5, 6, 7]
      ])
      deepStrictEqual(yield* collect(Stream.empty.pipe(ByteReader.toAudio(format))), [])
    }))

  it.effect("the format, and 20 ms by default", () =>
    Effect.gen(function*() {
      const read = (options: ByteReader.AudioOptions) =>
        ByteReader.toAudio(Stream.make(new Uint8Array(10_000)), options).pipe(
          Stream.take(1),
          Stream.runCollect,
          Effect.map(([frame]) => [
            frame!.audio.length,
            frame!.sampleRate,
            frame!.numChannels,
            frame!.sampleWidth,
            frame!.duration
          ])
        )
      deepStrictEqual(yield* read({ sampleRate: 16000 }), [640, 16000, 1, 2, 20])
      deepStrictEqual(yield* read({ sampleRate: 8000, sampleWidth: 1 }), [160, 8000, 1, 1, 20])
      deepStrictEqual(yield* read({ sampleRate: 48000, numChannels: 2 }), [3840, 48000, 2, 2, 20])
      deepStrictEqual(yield* read({ sampleRate: 8000, numChannels: 2, sampleWidth: 3, chunkSize: 12 }), [
        12,
        8000,
        2,
        3,
        0.25
      ])
      deepStrictEqual(yield* read({ sampleRate: 10 }), [2, 10, 1, 2, 100])
    }))

  it.effect("bytes that end within a sample fail behind all whole samples", () =>
    Effect.gen(function*() {
      const read = (length: number, options: ByteReader.AudioOptions) =>
        collect(ByteReader.toAudio(Stream.fromIterable(cut(count(length), [2, 1])), options))
      const error = (found: number, expected: number) => failure(new ByteReader.IncompleteSample({ found, expected }))
      deepStrictEqual(yield* read(7, format), [[0, 1, 2, 3], [4, 5], error(1, 2)])
      deepStrictEqual(yield* read(5, format), [[0, 1, 2, 3], error(1, 2)])
      deepStrictEqual(yield* read(7, { ...format, numChannels: 2 }), [[0, 1, 2, 3], error(3, 4)])
      strictEqual(error(3, 4).message, "the last sample: found 3 bytes, expected 4")
    }))

  it.effect("each frame has bytes of its own", () =>
    Effect.gen(function*() {
      const buffer = count(4)
      const frames = yield* ByteReader.toAudio(Stream.make(buffer, buffer), format).pipe(
        Stream.tap(() => Effect.sync(() => buffer.fill(9))),
        Stream.runCollect
      )
      deepStrictEqual(Array.from(frames[0]!.audio), [0, 1, 2, 3])
      assert.notStrictEqual(frames[0]!.audio.buffer, frames[1]!.audio.buffer)
    }))

  it("options that cannot work are refused", () => {
    const refuse = (options: ByteReader.AudioOptions, message: string) => {
      throws(() => ByteReader.toAudio(Stream.empty, options), TypeError, message)
      throws(() => ByteReader.audio(Stream.empty, options), TypeError, message)
    }
    refuse({ sampleRate: 0 }, "ByteReader: sampleRate: found 0, expected a positive integer")
    refuse({ sampleRate: 8000, numChannels: 1.5 }, "ByteReader: numChannels: found 1.5, expected a positive integer")
    refuse({ sampleRate: 8000, chunkSize: -2 }, "ByteReader: chunkSize: found -2, expected a positive integer")
    refuse({ sampleRate: 8000, chunkSize: 3 }, "ByteReader: chunkSize: found 3, expected a multiple of 2")
  })

  const sizes = Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 2, 3, 5, 7, 64])), { minLength: 4, maxLength: 6 })
  const length = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 })))
  it.effect.prop(
    "nothing is lost, wherever the bytes are cut",
    { sizes, length },
    ({ length, sizes }) =>
      Effect.gen(function*() {
        const whole = count(length - length % 2)
        const frames = yield* Stream.runCollect(ByteReader.toAudio(Stream.fromIterable(cut(whole, sizes)), format))
        deepStrictEqual(frames.flatMap((frame) => Array.from(frame.audio)), Array.from(whole))
        for (const frame of frames.slice(0, -1)) strictEqual(frame.audio.length, 4)
      }),
    { arbitrary: { runs: 200 } }
  )
})

describe("processors", () => {
  it.effect("lines push text frames and end the task when asked to", () =>
    Effect.gen(function*() {
      const reader = ByteReader.lines(Stream.make(encode("one\ntw"), encode("o")), { endWhenDone: true })
      for (let i = 0; i < 2; i++) {
        const task = yield* PipelineTask.make(reader)
        deepStrictEqual((yield* task.processors).map(({ name }) => name), ["ByteReader"])
        const out = yield* Stream.runCollect(task.output)
        deepStrictEqual(show(out), ["StartFrame", "TextFrame(\"one\")", "TextFrame(\"two\")", "EndFrame"])
        strictEqual((yield* task.await)._tag, "Ended")
      }
    }))

  it.effect("otherwise the task goes on; what comes from further up passes", () =>
    Effect.gen(function*() {
      const reader = ByteReader.lines(Stream.make(encode("one")), { name: "Lines" })
      const { down } = yield* run(reader, [sleep("1 second"), Frame.TextFrame.make({ text: "two" })])
      deepStrictEqual(show(down), ["StartFrame", "TextFrame(\"one\")", "TextFrame(\"two\")", "EndFrame"])
    }))

  it.effect("audio pushes audio frames", () =>
    Effect.gen(function*() {
      const reader = ByteReader.audio(Stream.make(count(5), count(3, 5)), {
        sampleRate: 8000,
        chunkSize: 4,
        endWhenDone: true
      })
      const { down, failures } = yield* run(reader, [sleep("1 second")], { end: false })
      deepStrictEqual(down.filter(Frame.AudioRawFrame.is).map((frame) => Array.from(frame.audio)), [
        [0, 1, 2, 3],
        [4, 5, 6, 7]
      ])
      deepStrictEqual(failures, [])
    }))

  it.effect("a failure is reported with its type, and the task ends all the same when asked to", () =>
    Effect.gen(function*() {
      const broken = Stream.concat(Stream.make(encode("a\nb")), Stream.fail(new Broken()))
      const reader: Processor.Processor<Broken | ByteReader.ByteReaderError> = ByteReader.lines(broken, {
        endWhenDone: true,
        name: "Lines"
      })
      const task = yield* PipelineTask.make(reader)
      const failures = yield* Effect.forkChild(Stream.runCollect(task.failures), { startImmediately: true })
      const upstream = yield* Effect.forkChild(Stream.runCollect(task.upstream), { startImmediately: true })
      deepStrictEqual(show(yield* Stream.runCollect(task.output)), ["StartFrame", "TextFrame(\"a\")", "EndFrame"])
      const [found, ...more] = yield* Fiber.join(failures)
      strictEqual(more.length, 0)
      deepStrictEqual([found!.processor, Cause.squash(found!.cause), found!.fatal], ["Lines", new Broken(), false])
      strictEqual((yield* Fiber.join(upstream)).length, 1)
    }))

  it.effect("a fatal one cancels the task", () =>
    Effect.gen(function*() {
      const reader = ByteReader.lines(Stream.make(encode("abc")), { maxLength: 2, onError: "fatal", endWhenDone: true })
      const task = yield* PipelineTask.make(reader)
      const error = yield* Effect.flip(task.run)
      strictEqual(error.reason._tag, "ProcessorFailed")
      strictEqual(error.message, "ByteReader failed: ByteReaderError: line 1: found more than 2 bytes")
    }))

  it.effect("bytes are pulled only as fast as frames are taken", () =>
    Effect.gen(function*() {
      let pulled = 0
      const input = Stream.fromIterable(Array.from({ length: 100 }, (_, i) => encode(`${i}\n`))).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => pulled++))
      )
      const latch = yield* Latch.make()
      const taken: Array<string> = []
      const slow = Processor.queued("Slow", {
        TextFrame: (frame) => Effect.andThen(latch.await, Effect.sync(() => taken.push(frame.text)))
      }, { capacity: 2 })
      const task = yield* PipelineTask.make(Pipeline.make(ByteReader.lines(input, { endWhenDone: true }), slow))
      const running = yield* Effect.forkChild(task.run)
      yield* TestClock.adjust("1 second")
      isAtMost(pulled, 8)
      yield* latch.open
      strictEqual((yield* Fiber.join(running))._tag, "Ended")
      deepStrictEqual(taken, Array.from({ length: 100 }, (_, i) => `${i}`))
    }))

  it.effect("an interruption does not stop reading, the end of the task does, and nothing is left", () =>
    Effect.gen(function*() {
      const closed = yield* Deferred.make<void>()
      const queue = yield* Queue.unbounded<Uint8Array>()
      const input = Stream.ensuring(Stream.fromQueue(queue), Deferred.succeed(closed, undefined))
      const offer = (text: string) => Effect.andThen(Queue.offer(queue, encode(text)), settle)
      const [result, alive] = yield* leaks(run(ByteReader.lines(input), [
        { step: "act", act: () => offer("a\nb") },
        interrupt,
        { step: "act", act: () => offer("c\n") }
      ]))
      deepStrictEqual(show(result.down), [
        "StartFrame",
        "TextFrame(\"a\")",
        "StartInterruptionFrame",
        "TextFrame(\"bc\")",
        "EndFrame"
      ])
      strictEqual(yield* Deferred.isDone(closed), true)
      strictEqual(alive, 0)
    }))

  it.effect("stdin", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(ByteReader.stdin({ endWhenDone: true }))
      deepStrictEqual(show(yield* Stream.runCollect(task.output)).slice(1, -1), [
        "TextFrame(\"one\")",
        "TextFrame(\"two\")"
      ])
    }).pipe(Effect.provide(Stdio.layerTest({ stdin: Stream.make(encode("one\nt"), encode("wo")) }))))

  it.effect("streams of frames go into a task as any others", () =>
    Effect.gen(function*() {
      const input = Input.fromStream(ByteReader.toText(Stream.make(encode("a\n"))), { endWhenDone: true })
      const task = yield* PipelineTask.make(input)
      deepStrictEqual(show(yield* Stream.runCollect(task.output)), ["StartFrame", "TextFrame(\"a\")", "EndFrame"])
    }))
})
