import * as Frame from "@apipeline/core/Frame"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as TransportContract from "@apipeline/core/testing/TransportContract"
import * as Wav from "@apipeline/core/Wav"
import * as FileTransport from "@apipeline/node/FileTransport"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result, Stream } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { transportContract } from "../utils/transportContract.ts"

const { deepStrictEqual, strictEqual } = assert

const directory = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-"))),
  (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true }))
)

const ramp = (length: number): Int16Array => Int16Array.from({ length }, (_, i) => i % 30_000)

const decode = (file: string): Wav.Decoded => Result.getOrThrow(Wav.decode(new Uint8Array(fs.readFileSync(file))))

const subject = (realTime: boolean): TransportContract.Subject => ({
  open: (frames, options) =>
    Effect.gen(function*() {
      const place = fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-"))
      const [read, write] = [path.join(place, "in.wav"), path.join(place, "out.wav")]
      const samples = frames.flatMap((frame) => Array.from(Pcm.toInt16Unsafe((frame as Frame.AudioRawFrame).audio)))
      fs.writeFileSync(read, Wav.encode(Int16Array.from(samples), { sampleRate: 16_000 }))
      const transport = yield* Effect.provide(
        FileTransport.make({ read, write, realTime, ...options }),
        NodeServices.layer
      )
      return {
        transport,
        farEnd: {
          received: () => {
            const bytes = new Uint8Array(fs.readFileSync(write))
            if (bytes.length < 44) return []
            const { samples } = Result.getOrThrow(Wav.decode(bytes))
            return [Frame.AudioRawFrame.make({ audio: Pcm.fromInt16(samples), sampleRate: 16_000, numChannels: 1 })]
          },
          isClosed: () => {
            const bytes = fs.readFileSync(write)
            return bytes.length >= 44 && bytes.readUInt32LE(40) === bytes.length - 44
          }
        }
      }
    }),
  sampleRate: 16_000,
  audioIn: true,
  audioOut: true,
  paced: realTime,
  staysOpen: false,
  carries: { in: [], out: [] }
})

transportContract("files, in real time", subject(true), { time: "real" })
transportContract("files, at full speed", subject(false), { time: "real" })

describe("files", () => {
  it.live("a minute through a pipeline at full speed: every sample, in no time", () =>
    Effect.gen(function*() {
      const place = yield* directory
      const [read, write] = [path.join(place, "in.wav"), path.join(place, "out.wav")]
      const samples = ramp(60 * 16_000 + 17)
      fs.writeFileSync(read, Wav.encode(samples, { sampleRate: 16_000 }))
      const since = Date.now()
      yield* Effect.scoped(Effect.gen(function*() {
        const transport = yield* FileTransport.make({ read, write, realTime: false })
        const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output), {
          audioOutSampleRate: 16_000
        })
        strictEqual((yield* task.run)._tag, "Ended")
      }))
      assert.isBelow(Date.now() - since, 10_000)
      const out = decode(write)
      strictEqual(out.format.sampleRate, 16_000)
      deepStrictEqual(out.samples.slice(0, samples.length), samples)
      // the last chunk is filled up
      strictEqual(out.samples.length % 640, 0)
      assert(out.samples.slice(samples.length).every((sample) => sample === 0))
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("in real time, audio comes when it could have been spoken", () =>
    Effect.gen(function*() {
      const place = yield* directory
      const read = path.join(place, "in.wav")
      fs.writeFileSync(read, Wav.encode(ramp(8000), { sampleRate: 16_000 }))
      const transport = yield* FileTransport.make({ read })
      const task = yield* PipelineTask.make(transport.input)
      const since = performance.now()
      const times: Array<number> = []
      yield* Stream.runForEach(task.output, (frame) =>
        Effect.sync(() => {
          if (Frame.AudioRawFrame.is(frame)) times.push(performance.now() - since)
        }))
      strictEqual(times.length, 25)
      for (const [i, at] of times.entries()) assert.isAtLeast(at, 20 * i)
      assert.isBelow(times.at(-1)!, 1000)
    }).pipe(Effect.provide(NodeServices.layer)))

  for (
    const [what, content] of [
      ["is not there", undefined],
      ["is no WAV file", new Uint8Array(1000).fill(7)],
      ["is empty", new Uint8Array(0)]
    ] as const
  ) {
    it.live(`a file that ${what} is told, and ends the task`, () =>
      Effect.gen(function*() {
        const place = yield* directory
        const read = path.join(place, "in.wav")
        if (content !== undefined) fs.writeFileSync(read, content)
        const transport = yield* FileTransport.make({ read })
        const task = yield* PipelineTask.make(transport.input)
        const failures = yield* Effect.forkChild(Stream.runCollect(task.failures), { startImmediately: true })
        strictEqual((yield* task.run)._tag, "Ended")
        assert.match((yield* Fiber.join(failures)).map(({ cause }) => String(cause)).join(), /the read failed/)
      }).pipe(Effect.provide(NodeServices.layer)))
  }

  it.live("a file that cannot be written is an error at once", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(FileTransport.make({ write: "/no/such/directory/out.wav" }))
      strictEqual(error.reason._tag, "WriteFailed")
    }).pipe(Effect.provide(NodeServices.layer)))

  it.live("nothing was said: a file without samples", () =>
    Effect.gen(function*() {
      const place = yield* directory
      const write = path.join(place, "out.wav")
      yield* Effect.scoped(FileTransport.make({ write }))
      deepStrictEqual([decode(write).samples.length, decode(write).format.sampleRate], [0, 24_000])
    }).pipe(Effect.provide(NodeServices.layer)))
})
