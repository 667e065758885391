import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as TransportContract from "@apipeline/core/testing/TransportContract"
import { InputTransportMessageFrame, OutputTransportMessageFrame } from "@apipeline/core/TransportFrames"
import * as StdioTransport from "@apipeline/node/StdioTransport"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, PlatformError, Sink, Stdio, Stream } from "effect"
import { start } from "../utils/child.ts"
import { transportContract } from "../utils/transportContract.ts"

const { deepStrictEqual, strictEqual } = assert

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const bytes = (data: string | Uint8Array): Uint8Array =>
  typeof data === "string" ? new TextEncoder().encode(data) : data

/** Input from chunks; what was written so far, and whether that is over. */
const stdio = (input: Stream.Stream<Uint8Array, PlatformError.PlatformError>) => {
  const out: Array<Uint8Array> = []
  let over = false
  const layer = Stdio.layerTest({
    stdin: input,
    stdout: () =>
      Sink.forEach((data: string | Uint8Array) => Effect.sync(() => out.push(bytes(data)))).pipe(
        Sink.mapEnd((end) => {
          over = true
          return end
        })
      )
  })
  return { layer, written: () => new Uint8Array(Buffer.concat(out)), isOver: () => over }
}

const subject = (
  form: StdioTransport.Form,
  toFrames: (written: Uint8Array) => ReadonlyArray<Frame.Frame>,
  rest: Pick<TransportContract.Subject, "audioIn" | "audioOut" | "carries">
): TransportContract.Subject => ({
  open: (frames, options) =>
    Effect.gen(function*() {
      const input = frames.map((frame) =>
        Frame.AudioRawFrame.is(frame) ? frame.audio : bytes(`${(frame as Frame.TextFrame).text}\n`)
      )
      const { isOver, layer, written } = stdio(Stream.fromIterable(input))
      const transport = yield* StdioTransport.make({ ...options, stdin: form, stdout: form }).pipe(
        Effect.provide(layer)
      )
      return { transport, farEnd: { received: () => toFrames(written()), isClosed: isOver } }
    }),
  sampleRate: 8000,
  paced: true,
  staysOpen: false,
  ...rest
})

const lines = (written: Uint8Array): ReadonlyArray<Frame.Frame> =>
  new TextDecoder().decode(written).split("\n").slice(0, -1).map((line) =>
    line.startsWith("{") ? InputTransportMessageFrame.make({ message: JSON.parse(line) }) : text(line)
  )

transportContract(
  "stdio, lines",
  subject("lines", lines, {
    audioIn: false,
    audioOut: false,
    carries: {
      in: [text("a"), text("b")],
      out: [text("a"), OutputTransportMessageFrame.make({ message: { n: 1 } }), text("b")]
    }
  }),
  { time: "virtual" }
)

transportContract(
  "stdio, PCM",
  subject({ sampleRate: 8000 }, (audio) => [Frame.AudioRawFrame.make({ audio, sampleRate: 8000, numChannels: 1 })], {
    audioIn: true,
    audioOut: true,
    carries: { in: [], out: [] }
  }),
  { time: "virtual" }
)

/** What comes in through a transport that reads these chunks, and failures. */
const read = Effect.fnUntraced(function*(
  chunks: Stream.Stream<Uint8Array, PlatformError.PlatformError>,
  options: StdioTransport.Options
) {
  const transport = yield* StdioTransport.make(options).pipe(Effect.provide(stdio(chunks).layer))
  const task = yield* PipelineTask.make(transport.input)
  const failures = yield* Effect.forkChild(Stream.runCollect(task.failures), { startImmediately: true })
  const out = yield* Stream.runCollect(task.output)
  return {
    frames: out.filter(Frame.isData),
    failures: (yield* Fiber.join(failures)).map(({ cause }) => String(cause)),
    reason: yield* transport.disconnected
  }
})

const chunks = (...all: ReadonlyArray<string | Uint8Array>) => Stream.fromIterable(all.map(bytes))
const textsOf = (frames: ReadonlyArray<Frame.Frame>) => frames.map((frame) => (frame as Frame.TextFrame).text)

describe("lines", () => {
  it.effect("may be cut anywhere, end in CRLF, be empty, and the last one need not end", () =>
    Effect.gen(function*() {
      const all = bytes("one\ntwo\r\n\nthrée 👋\nlast")
      for (const size of [1, 2, 3, 100]) {
        const parts = Array.from(
          { length: Math.ceil(all.length / size) },
          (_, i) => all.slice(i * size, (i + 1) * size)
        )
        const { frames } = yield* read(chunks(...parts), {})
        deepStrictEqual(textsOf(frames), ["one", "two", "", "thrée 👋", "last"])
      }
    }))

  it.effect("that are too long are refused, whole, and not kept", () =>
    Effect.gen(function*() {
      const long = "x".repeat(60)
      const { failures, frames } = yield* read(chunks("a\n", long, long, long, "\nb\n", long + long + "\nc\n"), {
        maxLine: 100
      })
      deepStrictEqual(textsOf(frames), ["a", "b", "c"])
      strictEqual(failures.length, 2)
      assert.match(failures[0]!, /line: found more than 100 bytes, expected at most 100/)
    }))

  it.effect("an input that fails is told, and ends the task", () =>
    Effect.gen(function*() {
      const error = PlatformError.systemError({ module: "Stdio", method: "stdin", _tag: "Unknown" })
      const { failures, frames, reason } = yield* read(Stream.concat(chunks("a\n"), Stream.fail(error)), {})
      deepStrictEqual(textsOf(frames), ["a"])
      assert.match(failures.join(), /the read failed/)
      assert.match(reason, /the read failed/)
    }))
})

describe("PCM", () => {
  it.effect("comes in frames of 20 ms, however it is cut, with a rest", () =>
    Effect.gen(function*() {
      const all = Uint8Array.from({ length: 1001 }, (_, i) => i)
      const parts = Array.from({ length: 143 }, (_, i) => all.slice(i * 7, (i + 1) * 7))
      const { frames } = yield* read(chunks(...parts), { stdin: { sampleRate: 8000 }, input: { sampleRate: 8000 } })
      deepStrictEqual(frames.map((frame) => (frame as Frame.AudioRawFrame).audio.length), [320, 320, 320, 40])
      deepStrictEqual(
        Buffer.concat(frames.map((frame) => (frame as Frame.AudioRawFrame).audio)),
        Buffer.from(all.slice(0, 1000))
      )
    }))
})

describe("output", () => {
  it.effect("that nobody reads any more is reported, once; the task goes on", () =>
    Effect.gen(function*() {
      const error = PlatformError.systemError({ module: "Stdio", method: "stdout", _tag: "Unknown" })
      const layer = Stdio.layerTest({ stdin: Stream.never, stdout: () => Sink.fail(error) })
      const transport = yield* StdioTransport.make().pipe(Effect.provide(layer))
      const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
      const failures = yield* Effect.forkChild(Stream.runCollect(task.failures), { startImmediately: true })
      yield* task.queueFrames([text("a"), text("b"), text("c")])
      yield* task.stopWhenDone
      strictEqual((yield* task.run)._tag, "Ended")
      const told = (yield* Fiber.join(failures)).map(({ cause }) => String(cause))
      strictEqual(told.length, 1)
      assert.match(told[0]!, /the write failed/)
    }))

  it("the real thing: what comes in goes out, and the process ends with its input", async () => {
    const child = start(["test/fixtures/stdio.ts"], "hello\nwor")
    await child.printed("HELLO")
    child.end("ld\nlast")
    const { code, stderr, stdout } = await child.ended
    deepStrictEqual([code, stdout, stderr], [0, "HELLO\nWORLD\nLAST\n", ""])
  })
})
