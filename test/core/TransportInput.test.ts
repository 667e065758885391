import * as Frame from "@apipeline/core/Frame"
import * as MemoryTransport from "@apipeline/core/MemoryTransport"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import { capture, leaks, settle, show } from "@apipeline/core/testing"
import * as Transport from "@apipeline/core/Transport"
import {
  InputTransportMessageFrame,
  InputTransportStartAudioStreamingFrame,
  InputTransportStopAudioStreamingFrame
} from "@apipeline/core/TransportFrames"
import * as TransportInput from "@apipeline/core/TransportInput"
import * as Vad from "@apipeline/core/Vad"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import { InputDtmfFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual } = assert

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const audio = (millis: number, sampleRate = 16000, numChannels = 1): Frame.AudioRawFrame => {
  const samples = Int16Array.from({ length: millis * sampleRate * numChannels / 1000 }, (_, i) => i)
  return Frame.AudioRawFrame.make({ audio: new Uint8Array(samples.buffer), sampleRate, numChannels })
}
const samplesOf = (frames: ReadonlyArray<Frame.Frame>): number =>
  frames.reduce((sum, frame) => Frame.AudioRawFrame.is(frame) ? sum + frame.numFrames : sum, 0)

/** A running task behind the input of a transport in memory. */
const start = Effect.fnUntraced(function*<E = never, R = never>(
  options: MemoryTransport.ConnectionOptions & Transport.Options<E, R> & {
    readonly task?: PipelineTask.Options
    /** Behind the input. */
    readonly behind?: Pipeline.Element<never, never>
  } = {}
) {
  const { client, transport } = yield* MemoryTransport.make(options)
  const { above, below, down, up } = capture()
  const behind = options.behind === undefined ? below : Pipeline.make(options.behind, below)
  const task = yield* PipelineTask.make(Pipeline.make(above, transport.input, behind), options.task)
  const failures: Array<string> = []
  yield* Effect.forkScoped(
    Stream.runForEach(task.failures, ({ cause }) =>
      Effect.sync(() => {
        const error = Cause.squash(cause)
        failures.push(error instanceof Error ? error.message : String(error))
      })),
    { startImmediately: true }
  )
  yield* task.start
  yield* settle
  const send = (...frames: ReadonlyArray<Frame.Frame>) => Effect.andThen(Effect.forEach(frames, client.send), settle)
  return { client, transport, task, down, up, failures, send }
})

const payload = (down: ReadonlyArray<Frame.Frame>) =>
  show(down.filter((frame) => !Frame.isLifecycle(frame) && !frame._tag.startsWith("Client")))

describe("frames", () => {
  it.effect("what comes in passes, the same and in order, between connected and disconnected", () =>
    Effect.gen(function*() {
      const { client, down, send } = yield* start({ input: { onDisconnect: "ignore" } })
      const frames = [
        text("a"),
        audio(20),
        InputTransportMessageFrame.make({ message: { hello: "world" } }),
        text("b"),
        InputDtmfFrame.make({ key: "#" })
      ]
      for (const frame of frames) yield* send(frame)
      yield* client.close("bye")
      yield* settle
      deepStrictEqual(down.slice(2, -1), frames)
      deepStrictEqual(show(down.filter((frame) => frame._tag.startsWith("Client"))), [
        "ClientConnectedFrame",
        `ClientDisconnectedFrame(reason: "bye")`
      ])
    }))

  it.effect("a thousand frames sent before the task runs are not lost", () =>
    Effect.gen(function*() {
      const { client, transport } = yield* MemoryTransport.make({ capacity: 16, input: { onDisconnect: "end" } })
      const sending = yield* Effect.forkChild(
        Effect.andThen(
          Effect.forEach(Array.from({ length: 1000 }, (_, i) => text(String(i))), client.send),
          client.close("that was all")
        )
      )
      yield* settle
      strictEqual(sending.pollUnsafe(), undefined)
      const task = yield* PipelineTask.make(transport.input)
      const out = yield* Stream.runCollect(task.output)
      yield* Fiber.join(sending)
      deepStrictEqual(
        out.filter(Frame.TextFrame.is).map((frame) => frame.text),
        Array.from({ length: 1000 }, (_, i) => String(i))
      )
      strictEqual((yield* transport.received).frames, 1000)
    }))

  it.effect("frames that may not come from outside are refused, the first of a row is reported", () =>
    Effect.gen(function*() {
      const { down, failures, send, transport } = yield* start()
      yield* send(
        Frame.ErrorFrame.make({ error: "boom", fatal: true }),
        Frame.StartFrame.make(),
        Frame.StopTaskFrame.make(),
        text("fine"),
        Frame.MetricsFrame.make({ data: [] })
      )
      deepStrictEqual(payload(down), [`TextFrame("fine")`])
      deepStrictEqual(failures, [
        "frame: found ErrorFrame, expected a frame that may come from outside",
        "frame: found MetricsFrame, expected a frame that may come from outside"
      ])
      strictEqual((yield* transport.received).refused, 4)
    }))

  it.effect("what may come can be chosen", () =>
    Effect.gen(function*() {
      const { down, send } = yield* start({ input: { accepts: Frame.AudioRawFrame.is } })
      yield* send(text("no"), audio(20))
      strictEqual(payload(down).length, 1)
    }))

  it.effect("an interruption and the end may come from outside", () =>
    Effect.gen(function*() {
      const { down, send, task } = yield* start()
      yield* send(text("a"))
      yield* send(Frame.StartInterruptionFrame.make(), Frame.EndFrame.make())
      strictEqual((yield* task.run)._tag, "Ended")
      deepStrictEqual(show(down).filter((line) => !line.startsWith("Client")), [
        "StartFrame",
        `TextFrame("a")`,
        "StartInterruptionFrame",
        "EndFrame"
      ])
    }))

  it.effect("one message that is invalid is told, and the rest goes on", () =>
    Effect.gen(function*() {
      const reason = new Transport.InvalidMessage({ field: "message", found: "garbage", expected: "a frame" })
      const error = new Transport.TransportError({ reason })
      const transport = yield* Transport.make({
        name: "test",
        incoming: Stream.make(text("a"), error, error, text("b"), error),
        send: () => Effect.void,
        close: () => Effect.void
      }, { input: { onDisconnect: "end" } })
      const task = yield* PipelineTask.make(transport.input)
      const failures = yield* Effect.forkChild(Stream.runCollect(task.failures), { startImmediately: true })
      const out = yield* Stream.runCollect(task.output)
      deepStrictEqual(payload(out), [`TextFrame("a")`, `TextFrame("b")`])
      strictEqual((yield* Fiber.join(failures)).length, 2)
      const events = yield* Stream.runCollect(transport.events)
      deepStrictEqual(events.map(({ _tag }) => _tag), [
        "ClientConnected",
        "InvalidMessage",
        "InvalidMessage",
        "InvalidMessage",
        "ClientDisconnected"
      ])
    }))
})

describe("audio", () => {
  it.effect("is brought to the rate and the channels of the pipeline, complete", () =>
    Effect.gen(function*() {
      const { client, down, send, task } = yield* start({ input: { onDisconnect: "end" } })
      for (let i = 0; i < 50; i++) yield* send(audio(20, 44_100, 2))
      yield* client.close("done")
      yield* task.run
      const all = down.filter(Frame.AudioRawFrame.is)
      assert(all.every((frame) => frame.sampleRate === 16_000 && frame.numChannels === 1 && frame.audio.length > 0))
      strictEqual(samplesOf(all), 16_000)
    }))

  it.effect("of the right format passes untouched, whatever came before", () =>
    Effect.gen(function*() {
      const { down, send } = yield* start()
      const frame = audio(20)
      yield* send(frame, audio(20, 8000), frame, frame)
      const all = down.filter(Frame.AudioRawFrame.is)
      strictEqual(all[0], frame)
      deepStrictEqual(all.slice(-2), [frame, frame])
      strictEqual(samplesOf(all), 4 * 320)
    }))

  it.effect("that cannot be converted is refused", () =>
    Effect.gen(function*() {
      const { down, failures, send } = yield* start()
      const odd = { audio: new Uint8Array(30), numChannels: 1 }
      yield* send(
        Frame.AudioRawFrame.make({ ...odd, sampleRate: 16_000, sampleWidth: 3 }),
        Frame.AudioRawFrame.make({ ...odd, sampleRate: 1 }),
        audio(20)
      )
      strictEqual(payload(down).length, 1)
      deepStrictEqual(failures, ["audio.sampleWidth: found 3, expected 2"])
    }))

  it.effect("may stop and come again: nothing happens", () =>
    Effect.gen(function*() {
      const { down, failures, send } = yield* start()
      yield* send(audio(20))
      yield* TestClock.adjust("1 hour")
      yield* send(audio(20))
      strictEqual(payload(down).length, 2)
      deepStrictEqual(failures, [])
    }))

  it.effect("an audio frame from further up is treated like one from outside", () =>
    Effect.gen(function*() {
      const { down, task } = yield* start()
      yield* task.queueFrame(audio(1000, 8000))
      yield* settle
      const all = down.filter(Frame.AudioRawFrame.is)
      assert(all.every((frame) => frame.sampleRate === 16_000))
      assert.closeTo(samplesOf(all), 16_000, 200)
    }))

  it.effect("streaming can wait for the start, and be stopped and started again, from both sides", () =>
    Effect.gen(function*() {
      const { down, send, task, transport } = yield* start({ input: { audioStreaming: false } })
      yield* send(audio(20), text("a"))
      strictEqual(samplesOf(down), 0)
      yield* task.queueFrame(InputTransportStartAudioStreamingFrame.make(), "upstream")
      yield* send(audio(20))
      strictEqual(samplesOf(down), 320)
      yield* task.queueFrame(InputTransportStopAudioStreamingFrame.make())
      yield* send(audio(20), text("b"))
      strictEqual(samplesOf(down), 320)
      yield* task.queueFrame(InputTransportStartAudioStreamingFrame.make())
      yield* send(audio(20))
      strictEqual(samplesOf(down), 640)
      deepStrictEqual(show(down.filter(Frame.TextFrame.is)), [`TextFrame("a")`, `TextFrame("b")`])
      strictEqual((yield* transport.received).muted, 2)
    }))

  const detector: Layer.Layer<VoiceActivity.VoiceActivity> = Layer.succeed(VoiceActivity.VoiceActivity, {
    make: () =>
      Effect.succeed({
        sampleRate: 16_000,
        windowSize: 320,
        probability: (window) => Effect.succeed(window[0]! > 0.1 ? 1 : 0),
        reset: Effect.void
      })
  })
  const loud = (): Frame.AudioRawFrame => {
    const samples = new Int16Array(320).fill(16_000)
    return Frame.AudioRawFrame.make({ audio: new Uint8Array(samples.buffer), sampleRate: 16_000, numChannels: 1 })
  }

  for (const audioPassthrough of [true, false]) {
    it.effect(`VAD hears it, and it ${audioPassthrough ? "passes" : "stays"}`, () =>
      Effect.gen(function*() {
        const { down, send } = yield* start({ vad: Vad.make(), audioPassthrough })
        for (let i = 0; i < 15; i++) yield* send(loud())
        strictEqual(samplesOf(down), audioPassthrough ? 15 * 320 : 0)
        strictEqual(down.filter((frame) => frame._tag === "UserStartedSpeakingFrame").length, 1)
        // muted in the middle of a word
        yield* TestClock.adjust("2 seconds")
        strictEqual(down.filter((frame) => frame._tag === "UserStoppedSpeakingFrame").length, 1)
      }).pipe(Effect.provide(detector)))
  }
})

describe("the end", () => {
  it.effect("the client goes: the task is cancelled, and told why", () =>
    Effect.gen(function*() {
      const { client, task, transport } = yield* start()
      yield* client.close("closed by the client")
      const exit = yield* task.run
      strictEqual(exit._tag === "Cancelled" ? exit.frame.reason : exit._tag, "closed by the client")
      strictEqual(yield* transport.disconnected, "closed by the client")
    }))

  it.effect("with onDisconnect end, what came before is worked on", () =>
    Effect.gen(function*() {
      const { client, down, send, task } = yield* start({ input: { onDisconnect: "end" } })
      yield* send(text("a"), text("b"))
      yield* client.close("eof")
      strictEqual((yield* task.run)._tag, "Ended")
      deepStrictEqual(payload(down), [`TextFrame("a")`, `TextFrame("b")`])
    }))

  it.effect("as soon as the task is to end, what comes is thrown away, and the client is still watched", () =>
    Effect.gen(function*() {
      const { client, send, task, transport } = yield* start()
      yield* task.stopWhenDone
      yield* task.run
      yield* send(...Array.from({ length: 1000 }, () => audio(20)))
      strictEqual((yield* transport.received).late, 1000)
      yield* client.close("bye")
      strictEqual(yield* transport.disconnected, "bye")
    }))

  it.effect("when the scope closes, the client is told, and nothing is left", () =>
    Effect.gen(function*() {
      const [client, alive] = yield* leaks(Effect.scoped(Effect.map(start(), ({ client }) => client)))
      strictEqual(alive, 0)
      strictEqual((yield* Effect.flip(client.send(text("late")))).message, "the transport was closed")
    }))

  it.effect("a close that hangs is given up", () =>
    Effect.gen(function*() {
      const transport = yield* Transport.make({
        name: "test",
        incoming: Stream.never,
        send: () => Effect.void,
        close: () => Effect.never
      })
      const closing = yield* Effect.forkChild(transport.close("enough"), { startImmediately: true })
      yield* TestClock.adjust("999 millis")
      strictEqual(closing.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(closing)
      strictEqual(yield* transport.disconnected, "enough")
      yield* Effect.forkChild(TestClock.adjust("1 second"))
    }))

  it("options that cannot work", () => {
    assert.throws(() => TransportInput.make({ sampleRate: 0 }), /sampleRate: found 0, expected a positive integer/)
    assert.throws(() => TransportInput.make({ numChannels: 1.5 }), /numChannels: found 1.5/)
  })
})

describe("with an output", () => {
  it.effect("whoever is further up sees the bot finish its farewell before the end", () =>
    Effect.gen(function*() {
      const { client, transport } = yield* MemoryTransport.make()
      const { above, below, down, up } = capture()
      const task = yield* PipelineTask.make(Pipeline.make(transport.input, above, transport.output, below))
      yield* task.start
      yield* task.queueFrame(audio(400, 24_000))
      yield* task.stopWhenDone
      const received = yield* Effect.forkChild(Stream.runCollect(client.received))
      yield* TestClock.adjust("2 seconds")
      strictEqual((yield* task.run)._tag, "Ended")
      yield* transport.close("done")
      const signals = yield* Fiber.join(received)
      strictEqual(
        samplesOf(signals.flatMap((signal) => signal._tag === "Frame" ? [signal.frame] : [])),
        9600
      )
      deepStrictEqual(up.filter((frame) => frame._tag.startsWith("Bot")).map((frame) => frame._tag), [
        "BotStartedSpeakingFrame",
        "BotSpeakingFrame",
        "BotStoppedSpeakingFrame"
      ])
      strictEqual(down.at(-1)?._tag, "EndFrame")
      strictEqual((yield* transport.playback)[0]?.played, 400)
    }))
})
