import * as Frame from "@apipeline/core/Frame"
import * as MemoryTransport from "@apipeline/core/MemoryTransport"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import { settle } from "@apipeline/core/testing"
import type * as TransportContract from "@apipeline/core/testing/TransportContract"
import {
  InputTransportMessageFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame
} from "@apipeline/core/TransportFrames"
import { TranscriptionFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { transportContract } from "../utils/transportContract.ts"

const { deepStrictEqual, strictEqual } = assert

const subject: TransportContract.Subject = {
  open: (frames, options) =>
    Effect.gen(function*() {
      const { client, transport } = yield* MemoryTransport.make({ capacity: 1024, flushes: true, ...options })
      const received: Array<Frame.Frame> = []
      let closed = false
      yield* Effect.forEach(frames, client.send)
      yield* client.received.pipe(
        Stream.runForEach((signal) =>
          Effect.sync(() => {
            if (signal._tag !== "Frame") return
            const { frame } = signal
            const isMessage = OutputTransportMessageFrame.is(frame) || OutputTransportMessageUrgentFrame.is(frame)
            received.push(isMessage ? InputTransportMessageFrame.make({ message: frame.message }) : frame)
          })
        ),
        Effect.ensuring(Effect.sync(() => {
          closed = true
        })),
        Effect.forkDetach({ startImmediately: true })
      )
      return {
        transport,
        farEnd: { received: () => received, isClosed: () => closed, hangUp: client.close("hung up") }
      }
    }),
  sampleRate: 8000,
  audioIn: true,
  audioOut: true,
  paced: true,
  staysOpen: true,
  carries: {
    in: [
      Frame.TextFrame.make({ text: "a" }),
      InputTransportMessageFrame.make({ message: { n: 1 } }),
      TranscriptionFrame.make({ text: "b", userId: "ann", timestamp: "" })
    ],
    out: [
      Frame.TextFrame.make({ text: "a" }),
      OutputTransportMessageFrame.make({ message: { n: 1 } }),
      Frame.TextFrame.make({ text: "b" })
    ]
  }
}

transportContract("memory", subject, { time: "virtual" })

describe("memory", () => {
  it.effect("the client is told to clear what it has not played", () =>
    Effect.gen(function*() {
      const { client, transport } = yield* MemoryTransport.make()
      const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
      yield* task.start
      yield* client.send(Frame.TextFrame.make({ text: "a" }))
      yield* settle
      yield* task.interrupt
      yield* transport.close("enough")
      const signals = yield* Stream.runCollect(client.received)
      deepStrictEqual(signals.map(({ _tag }) => _tag), ["Frame", "Clear"])
    }))

  it.effect("a client that does not read makes the pipeline wait, with bounded memory, and give up", () =>
    Effect.gen(function*() {
      const { client, transport } = yield* MemoryTransport.make({ capacity: 4 })
      const task = yield* PipelineTask.make(Pipeline.make(transport.output))
      const failures = yield* Effect.forkChild(Stream.runHead(task.failures), { startImmediately: true })
      yield* task.start
      const texts = Array.from({ length: 2000 }, (_, i) => Frame.TextFrame.make({ text: String(i) }))
      const queueing = yield* Effect.forkChild(task.queueFrames(texts))
      yield* TestClock.adjust("5 seconds")
      assert.match(String(yield* Fiber.join(failures)), /send took longer than 5000 ms/)
      yield* Fiber.interrupt(queueing)
      yield* task.cancel()
      yield* client.close("bye")
      strictEqual((yield* Stream.runCollect(client.received)).length, 4)
    }))
})
