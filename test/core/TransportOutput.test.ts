import * as AudioMixer from "@apipeline/core/AudioMixer"
import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineObserver from "@apipeline/core/PipelineObserver"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { capture, leaks, settle, show } from "@apipeline/core/testing"
import * as Transport from "@apipeline/core/Transport"
import {
  destinationOf,
  OutputAudioEndFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame,
  toDestination
} from "@apipeline/core/TransportFrames"
import * as TransportOutput from "@apipeline/core/TransportOutput"
import { BotStoppedSpeakingFrame, LlmResponseEndFrame, TtsStoppedFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Latch, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual } = assert

class Keep extends Frame.App<Keep>()("Keep", {}, { uninterruptible: true }) {}

const rate = 8000
/** Samples that count up, so that every one can be told from the others. */
const audio = (millis: number, from = 1, sampleRate = rate): Frame.AudioRawFrame => {
  const samples = Int16Array.from({ length: millis * sampleRate / 1000 }, (_, i) => from + i)
  return Frame.AudioRawFrame.make({ audio: new Uint8Array(samples.buffer), sampleRate, numChannels: 1 })
}
const samplesOf = (frame: Frame.AudioRawFrame): Int16Array => new Int16Array(Uint8Array.from(frame.audio).buffer)
const text = (text: string, options?: Frame.Options): Frame.TextFrame => Frame.TextFrame.make({ text, ...options })

interface Sent {
  readonly at: number
  readonly frame: Frame.Frame
}

/** A running output between two captures, and what was sent when. */
const start = Effect.fnUntraced(function*(
  options: TransportOutput.Options & {
    readonly connection?: Partial<Transport.Connection>
    readonly task?: PipelineTask.Options
  } = {}
) {
  const sent: Array<Sent> = []
  const cleared: Array<number> = []
  const { above, below, down, up } = capture()
  const times = new Map<Frame.Frame, number>()
  const connection: Transport.Connection = {
    name: "test",
    incoming: Stream.never,
    send: (frame) => Effect.map(Clock.currentTimeMillis, (at) => void sent.push({ at, frame })),
    clear: Effect.map(Clock.currentTimeMillis, (at) => void cleared.push(at)),
    close: () => Effect.void,
    ...options.connection
  }
  const output = TransportOutput.make(connection, options)
  const task = yield* PipelineTask.make(Pipeline.make(above, output.processor, below), {
    audioOutSampleRate: rate,
    ...options.task
  })
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
  const clock = yield* Clock.Clock
  const push = down.push.bind(down)
  down.push = (...frames) => {
    for (const frame of frames) times.set(frame, clock.currentTimeMillisUnsafe())
    return push(...frames)
  }
  const queue = (...frames: ReadonlyArray<Frame.Frame>) => Effect.andThen(task.queueFrames(frames), settle)
  return { task, sent, cleared, down, up, failures, output, queue, times }
})

/** When audio was sent, and how long it is. */
const chunks = (sent: ReadonlyArray<Sent>) =>
  sent.flatMap(({ at, frame }) => Frame.AudioRawFrame.is(frame) ? [[at, frame.duration] as const] : [])

const allSamples = (sent: ReadonlyArray<Sent>): Array<number> =>
  sent.flatMap(({ frame }) => Frame.AudioRawFrame.is(frame) ? Array.from(samplesOf(frame)) : [])

/** What happened downstream and when, audio left out. */
const story = (down: ReadonlyArray<Frame.Frame>, times: ReadonlyMap<Frame.Frame, number>) =>
  down.filter((frame) => times.has(frame) && !Frame.AudioRawFrame.is(frame))
    .map((frame) => `${times.get(frame)} ${show([frame])[0]!.replace(/\(.*metadata.*\)$/, "")}`)

describe("send clock", () => {
  it.effect("sends no further ahead than the lead, without a gap, and tells who speaks when", () =>
    Effect.gen(function*() {
      const { down, queue, sent, times, up } = yield* start()
      yield* queue(audio(200))
      deepStrictEqual(chunks(sent), [[0, 40], [0, 40]])
      yield* TestClock.adjust("1 second")
      deepStrictEqual(chunks(sent), [[0, 40], [0, 40], [20, 40], [60, 40], [100, 40]])
      deepStrictEqual(allSamples(sent), Array.from({ length: 1600 }, (_, i) => i + 1))
      deepStrictEqual(story(down, times), [
        "0 BotStartedSpeakingFrame",
        "550 BotStoppedSpeakingFrame"
      ])
      deepStrictEqual(
        up.filter((frame) => frame._tag.startsWith("Bot")).map((frame) => frame._tag),
        ["BotStartedSpeakingFrame", "BotStoppedSpeakingFrame"]
      )
    }))

  it.effect("audio that comes in time continues the utterance, audio that comes late begins another", () =>
    Effect.gen(function*() {
      const { down, queue, sent, times } = yield* start()
      yield* queue(audio(80))
      yield* TestClock.adjust("300 millis")
      yield* queue(audio(40))
      yield* TestClock.adjust("1 second")
      yield* queue(audio(40))
      yield* TestClock.adjust("1 second")
      deepStrictEqual(chunks(sent), [[0, 40], [0, 40], [300, 40], [1300, 40]])
      deepStrictEqual(story(down, times), [
        "0 BotStartedSpeakingFrame",
        "300 BotSpeakingFrame",
        "690 BotStoppedSpeakingFrame",
        "1300 BotStartedSpeakingFrame",
        "1690 BotStoppedSpeakingFrame"
      ])
    }))

  it.effect("BotSpeakingFrame is repeated while something is heard", () =>
    Effect.gen(function*() {
      const { down, queue, times } = yield* start()
      yield* queue(audio(640))
      yield* TestClock.adjust("2 seconds")
      deepStrictEqual(story(down, times), [
        "0 BotStartedSpeakingFrame",
        "200 BotSpeakingFrame",
        "400 BotSpeakingFrame",
        "600 BotSpeakingFrame",
        "990 BotStoppedSpeakingFrame"
      ])
    }))

  it.effect("chunks longer than the lead are sent one by one", () =>
    Effect.gen(function*() {
      const { queue, sent } = yield* start({ chunk: 200, lead: 50 })
      yield* queue(audio(600))
      yield* TestClock.adjust("1 second")
      deepStrictEqual(chunks(sent), [[0, 200], [200, 200], [400, 200]])
    }))

  it.effect("lead 0: exactly in real time", () =>
    Effect.gen(function*() {
      const { queue, sent } = yield* start({ lead: 0 })
      yield* queue(audio(120))
      yield* TestClock.adjust("1 second")
      deepStrictEqual(chunks(sent), [[0, 40], [40, 40], [80, 40]])
    }))

  it.effect("realTime false: everything at once", () =>
    Effect.gen(function*() {
      const { down, queue, sent, times } = yield* start({ realTime: false })
      yield* queue(audio(4000))
      strictEqual(chunks(sent).length, 100)
      strictEqual(chunks(sent).at(-1)?.[0], 0)
      yield* TestClock.adjust("1 second")
      deepStrictEqual(story(down, times), ["0 BotStartedSpeakingFrame", "350 BotStoppedSpeakingFrame"])
    }))

  it.effect("a send that takes time moves the clock: what is played later is not sent too early", () =>
    Effect.gen(function*() {
      const sent: Array<number> = []
      const { output, queue } = yield* start({
        connection: {
          send: () =>
            Effect.andThen(
              Effect.sleep(sent.length === 0 ? 500 : 0),
              Effect.map(Clock.currentTimeMillis, (at) => {
                sent.push(at)
              })
            )
        }
      })
      yield* queue(audio(160))
      yield* TestClock.adjust("2 seconds")
      deepStrictEqual(sent, [500, 500, 520, 560])
      deepStrictEqual(yield* output.playback, [{
        destination: undefined,
        speaking: false,
        sent: 160,
        played: 160,
        dropped: 0,
        waiting: 0,
        droppedFrames: 0
      }])
    }))
})

describe("chunks", () => {
  it.effect("however audio arrives, chunks are of one size", () =>
    Effect.gen(function*() {
      const { queue, sent } = yield* start()
      let at = 1
      for (const millis of [1, 7, 100, 13, 2, 37]) {
        yield* queue(audio(millis, at))
        at += millis * 8
      }
      yield* TestClock.adjust("1 second")
      deepStrictEqual(chunks(sent).map(([, millis]) => millis), [40, 40, 40, 40])
      deepStrictEqual(allSamples(sent), Array.from({ length: 1280 }, (_, i) => i + 1))
    }))

  for (const end of [OutputAudioEndFrame.make(), LlmResponseEndFrame.make(), TtsStoppedFrame.make()]) {
    it.effect(`full chunk, half chunk, ${end._tag}: written = full + half + silence`, () =>
      Effect.gen(function*() {
        const { down, queue, sent, times } = yield* start()
        yield* queue(audio(60))
        deepStrictEqual(chunks(sent), [[0, 40]])
        yield* queue(end)
        deepStrictEqual(chunks(sent), [[0, 40], [0, 40]])
        deepStrictEqual(allSamples(sent).slice(470, 490), [
          ...Array.from({ length: 10 }, (_, i) => 471 + i),
          ...Array.from({ length: 10 }, () => 0)
        ])
        yield* TestClock.adjust("1 second")
        // it goes on when what was said before it has been heard
        deepStrictEqual(story(down, times), [
          "0 BotStartedSpeakingFrame",
          `80 ${show([end])[0]}`,
          "430 BotStoppedSpeakingFrame"
        ])
      }))
  }

  it.effect("an utterance shorter than a chunk: nothing is sent and the bot does not speak before its end", () =>
    Effect.gen(function*() {
      const { down, queue, sent, times } = yield* start()
      yield* queue(audio(10))
      deepStrictEqual(chunks(sent), [])
      deepStrictEqual(story(down, times), [])
      yield* queue(OutputAudioEndFrame.make())
      deepStrictEqual(chunks(sent), [[0, 40]])
      yield* TestClock.adjust("1 second")
      deepStrictEqual(story(down, times), [
        "0 BotStartedSpeakingFrame",
        "40 OutputAudioEndFrame",
        "390 BotStoppedSpeakingFrame"
      ])
    }))

  it.effect("what nobody ends is sent when the other side runs dry", () =>
    Effect.gen(function*() {
      const { queue, sent } = yield* start()
      yield* queue(audio(50))
      yield* TestClock.adjust("39 millis")
      strictEqual(chunks(sent).length, 1)
      yield* TestClock.adjust("1 millis")
      deepStrictEqual(chunks(sent), [[0, 40], [40, 40]])
    }))

  it.effect("resamples, mixes and spreads channels", () =>
    Effect.gen(function*() {
      const { queue, sent } = yield* start({ sampleRate: 16000, numChannels: 2 })
      yield* queue(audio(400, 1000))
      yield* queue(OutputAudioEndFrame.make())
      yield* TestClock.adjust("2 seconds")
      const all = sent.flatMap(({ frame }) => Frame.AudioRawFrame.is(frame) ? [frame] : [])
      assert(all.every((frame) => frame.sampleRate === 16000 && frame.numChannels === 2 && frame.audio.length === 2560))
      const samples = allSamples(sent)
      strictEqual(samples.length, 2 * 16000 * 0.4)
      for (let i = 0; i < samples.length; i += 2) strictEqual(samples[i], samples[i + 1])
      assert.closeTo(samples[2 * 3200]!, 1000 + 1600, 2)
    }))

  it.effect("audio that cannot be converted is reported once, and the rest goes on", () =>
    Effect.gen(function*() {
      const { failures, output, queue, sent } = yield* start()
      const eight = () =>
        Frame.AudioRawFrame.make({ audio: new Uint8Array(80), sampleRate: rate, numChannels: 1, sampleWidth: 1 })
      const fast = Frame.AudioRawFrame.make({ audio: new Uint8Array(80), sampleRate: 4_000_000, numChannels: 1 })
      yield* queue(eight(), eight(), audio(40), fast)
      yield* TestClock.adjust("1 second")
      deepStrictEqual(failures.map((message) => message.replace(/#\d+/, "")), [
        "AudioRawFrame: sampleWidth: found 1, expected 2",
        "AudioRawFrame: from: found 4000000, expected an integer from 1 to 768000"
      ])
      deepStrictEqual(chunks(sent).map(([, millis]) => millis), [40])
      strictEqual((yield* output.playback)[0]?.sent, 40)
    }))
})

describe("order", () => {
  it.effect("frames go on when the audio before them has been played", () =>
    Effect.gen(function*() {
      const { down, queue, times } = yield* start()
      yield* queue(text("before"), audio(80), text("one"), audio(80), text("two"))
      yield* TestClock.adjust("1 second")
      deepStrictEqual(story(down, times), [
        `0 TextFrame("before")`,
        "0 BotStartedSpeakingFrame",
        `80 TextFrame("one")`,
        `160 TextFrame("two")`,
        "510 BotStoppedSpeakingFrame"
      ])
    }))

  it.effect("chunks go on when they begin to be heard, with the metadata of their audio", () =>
    Effect.gen(function*() {
      const { down, queue, times } = yield* start()
      yield* queue(Frame.copy(audio(120), { metadata: { speaker: "bot" } }))
      yield* TestClock.adjust("1 second")
      const heard = down.filter(Frame.AudioRawFrame.is)
      deepStrictEqual(heard.map((frame) => [times.get(frame), frame.metadata?.["speaker"]]), [
        [0, "bot"],
        [40, "bot"],
        [80, "bot"]
      ])
    }))

  it.effect("messages are sent in order with audio, urgent ones at once; neither goes on", () =>
    Effect.gen(function*() {
      const { down, queue, sent } = yield* start()
      yield* queue(
        audio(120),
        OutputTransportMessageFrame.make({ message: "after" }),
        OutputTransportMessageUrgentFrame.make({ message: "now" })
      )
      yield* TestClock.adjust("1 second")
      deepStrictEqual(sent.map(({ at, frame }) => [at, "message" in frame ? frame.message : frame._tag]), [
        [0, "now"],
        [0, "AudioRawFrame"],
        [0, "AudioRawFrame"],
        [20, "AudioRawFrame"],
        [20, "after"]
      ])
      assert(!down.some((frame) => "message" in frame))
    }))

  it.effect("frames that the connection carries are sent in order and go on", () =>
    Effect.gen(function*() {
      const { down, queue, sent } = yield* start({ connection: { carries: Frame.TextFrame.is } })
      yield* queue(text("a"), audio(40), text("b"), LlmResponseEndFrame.make())
      yield* TestClock.adjust("1 second")
      deepStrictEqual(show(sent.map(({ frame }) => frame)).map((line) => line.split("(640")[0]), [
        `TextFrame("a")`,
        "AudioRawFrame",
        `TextFrame("b")`
      ])
      deepStrictEqual(show(down.filter(Frame.TextFrame.is)), [`TextFrame("a")`, `TextFrame("b")`])
    }))

  it.effect("heartbeats and system frames do not wait for audio", () =>
    Effect.gen(function*() {
      const { down, queue, times } = yield* start()
      yield* queue(audio(400), Frame.HeartbeatFrame.make({ at: 1 }), Frame.MetricsFrame.make({ data: [] }))
      strictEqual(times.get(down.find((frame) => frame._tag === "MetricsFrame")!), 0)
    }))

  it.effect("frames with a pts go on at that time, 0 included; audio does not", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      const { down, queue, sent, times } = yield* start()
      yield* queue(
        text("300", { pts: 300 }),
        text("0", { pts: 0 }),
        text("100", { pts: 100 }),
        text("100 too", { pts: 100 }),
        Frame.copy(audio(40), { pts: 1e9 })
      )
      yield* TestClock.adjust("200 millis")
      yield* queue(text("50, too late", { pts: 50 }))
      yield* TestClock.adjust("1 second")
      deepStrictEqual(
        down.filter(Frame.TextFrame.is).map((frame) => `${times.get(frame)! - 60_000} ${frame.text}`),
        ["0 0", "100 100", "100 100 too", "200 50, too late", "300 300"]
      )
      strictEqual(chunks(sent).length, 1)
    }))
})

describe("interruption", () => {
  it.effect("records what was played, drops the rest, clears the other side, and says so", () =>
    Effect.gen(function*() {
      const { cleared, down, output, queue, sent, task, times, up } = yield* start()
      yield* queue(audio(400), text("heard everything"), OutputTransportMessageFrame.make({ message: "never" }))
      yield* TestClock.adjust("130 millis")
      // 220 ms were sent: 130 played, 90 on the other side
      yield* task.interrupt
      deepStrictEqual(cleared, [130])
      strictEqual(chunks(sent).length, 5)
      const [playback] = yield* output.playback
      deepStrictEqual(playback, {
        destination: undefined,
        speaking: false,
        sent: 200,
        played: 130,
        dropped: 270,
        waiting: 0,
        droppedFrames: 2
      })
      // 4 of 10 chunks went on; the others, the text and the message are missing, and the task says so
      strictEqual((yield* task.drops).interrupted, 8)
      strictEqual(down.filter(Frame.AudioRawFrame.is).length, 4)
      yield* TestClock.adjust("1 second")
      strictEqual(sent.length, 5)
      deepStrictEqual(story(down, times), [
        "0 BotStartedSpeakingFrame",
        "130 BotInterruptedFrame(played: 130, dropped: 270)",
        "130 BotStoppedSpeakingFrame",
        "130 StartInterruptionFrame"
      ])
      deepStrictEqual(
        up.filter((frame) => frame._tag.startsWith("Bot")).map((frame) => frame._tag),
        ["BotStartedSpeakingFrame", "BotInterruptedFrame", "BotStoppedSpeakingFrame"]
      )
    }))

  it.effect("what is pushed afterwards is played at once, from silence", () =>
    Effect.gen(function*() {
      const { down, queue, sent, task, times } = yield* start()
      yield* queue(audio(410))
      yield* TestClock.adjust("130 millis")
      yield* task.interrupt
      sent.length = 0
      yield* queue(audio(80, 10_000))
      deepStrictEqual(chunks(sent), [[130, 40], [130, 40]])
      // no sample of before
      strictEqual(Math.min(...allSamples(sent)), 10_000)
      yield* TestClock.adjust("1 second")
      deepStrictEqual(story(down, times).slice(4), ["130 BotStartedSpeakingFrame", "560 BotStoppedSpeakingFrame"])
    }))

  it.effect("each utterance counts for itself", () =>
    Effect.gen(function*() {
      const { down, queue, task } = yield* start()
      for (const heard of [130, 50, 90]) {
        yield* queue(audio(400))
        yield* TestClock.adjust(heard)
        yield* task.interrupt
      }
      deepStrictEqual(show(down.filter((frame) => frame._tag === "BotInterruptedFrame")), [
        "BotInterruptedFrame(played: 130, dropped: 270)",
        "BotInterruptedFrame(played: 50, dropped: 350)",
        "BotInterruptedFrame(played: 90, dropped: 310)"
      ])
    }))

  it.effect("a chunk that is on its way is stopped, if it still can be, and is not sent afterwards", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make(false)
      const sent: Array<Frame.Frame> = []
      const { output, queue, task } = yield* start({
        connection: { send: (frame) => Effect.andThen(latch.await, Effect.sync(() => sent.push(frame))) }
      })
      yield* queue(audio(400))
      yield* task.interrupt
      yield* latch.open
      yield* TestClock.adjust("1 second")
      deepStrictEqual(sent, [])
      const [playback] = yield* output.playback
      deepStrictEqual([playback?.sent, playback?.dropped], [0, 400])
    }))

  it.effect("a client that cannot be cleared plays what it has, and that counts as played", () =>
    Effect.gen(function*() {
      const { output, queue, sent, task } = yield* start({ connection: { flushes: false } })
      yield* queue(audio(400))
      yield* TestClock.adjust("130 millis")
      yield* task.interrupt
      deepStrictEqual((yield* output.playback).map(({ dropped, played }) => ({ dropped, played })), [
        { dropped: 200, played: 130 }
      ])
      sent.length = 0
      yield* queue(audio(80))
      yield* TestClock.adjust("70 millis")
      strictEqual((yield* output.playback)[0]?.played, 200)
      yield* TestClock.adjust("1 second")
      // the tail of 70 ms plays until 200
      deepStrictEqual(chunks(sent), [[140, 40], [180, 40]])
    }))

  it.effect("a client that tells what it has played is believed", () =>
    Effect.gen(function*() {
      let played = 0
      const { down, output, queue, task } = yield* start({ connection: { played: () => played } })
      yield* queue(audio(400))
      yield* TestClock.adjust("130 millis")
      played = 77
      yield* task.interrupt
      yield* queue(audio(400))
      yield* TestClock.adjust("130 millis")
      played += 100
      yield* task.interrupt
      deepStrictEqual(show(down.filter((frame) => frame._tag === "BotInterruptedFrame")), [
        "BotInterruptedFrame(played: 77, dropped: 270)",
        "BotInterruptedFrame(played: 100, dropped: 270)"
      ])
      strictEqual((yield* output.playback)[0]?.played, 177)
    }))

  it.effect("keeps what is uninterruptible, in order", () =>
    Effect.gen(function*() {
      const { down, queue, task } = yield* start()
      const [a, b, timed] = [Keep.make({}), Keep.make({}), Keep.make({ pts: 500 })]
      yield* queue(audio(40), a, text("no"), audio(400), text("no"), b, timed, text("no", { pts: 500 }))
      yield* task.interrupt
      yield* settle
      deepStrictEqual(down.filter(Keep.is), [a, b])
      yield* TestClock.adjust("1 second")
      deepStrictEqual(down.filter(Keep.is), [a, b, timed])
      deepStrictEqual(down.filter(Frame.TextFrame.is), [])
    }))

  it.effect("counts what is on its way and what does not make a chunk yet, and tells observers", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const observer = PipelineObserver.make(
        "drops",
        (event) =>
          Effect.sync(() => void (event._tag === "Drop" && seen.push(`${event.processor} ${event.frame._tag}`)))
      )
      const { queue, task } = yield* start({
        connection: { send: () => Effect.never },
        task: { observers: [observer] }
      })
      // a chunk that is being sent, another, and half of one with a text behind it
      yield* queue(audio(100), text("a"), text("b", { pts: 5000 }))
      yield* task.interrupt
      yield* settle
      strictEqual((yield* task.drops).interrupted, 5)
      const chunk = "TransportOutput AudioRawFrame"
      deepStrictEqual(seen.toSorted(), [chunk, chunk, chunk, "TransportOutput TextFrame", "TransportOutput TextFrame"])
      yield* task.interrupt
      strictEqual((yield* task.drops).interrupted, 5)
    }))

  it.effect("cuts the pushers that wait for room, too, and every destination", () =>
    Effect.gen(function*() {
      const { output, queue, sent, task } = yield* start({ destinations: ["ann", "bob"] })
      const to = (name: string) => toDestination(audio(2000), name)
      yield* queue(to("ann"), to("bob"), audio(3000), audio(3000), audio(3000), audio(3000))
      yield* TestClock.adjust("1 second")
      strictEqual(chunks(sent).length, 27 * 3)
      yield* task.interrupt
      yield* TestClock.adjust("1 second")
      strictEqual(chunks(sent).length, 27 * 3)
      const all = yield* output.playback
      deepStrictEqual(all.map(({ destination, played, waiting }) => ({ destination, played, waiting })), [
        { destination: undefined, played: 1000, waiting: 0 },
        { destination: "ann", played: 1000, waiting: 0 },
        { destination: "bob", played: 1000, waiting: 0 }
      ])
    }))

  it.effect("while the bot is silent it says nothing, and clears all the same", () =>
    Effect.gen(function*() {
      const { cleared, down, task, times } = yield* start()
      yield* task.interrupt
      deepStrictEqual(story(down, times), ["0 StartInterruptionFrame"])
      deepStrictEqual(cleared, [0])
    }))

  it.effect("does not wait for a write that hangs, and for a clear only as long as it may", () =>
    Effect.gen(function*() {
      const { down, failures, queue, task, times } = yield* start({
        connection: { send: () => Effect.never, clear: Effect.never }
      })
      yield* queue(audio(400))
      const fiber = yield* Effect.forkChild(task.interrupt, { startImmediately: true })
      yield* TestClock.adjust("499 millis")
      strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      assert(fiber.pollUnsafe() !== undefined)
      deepStrictEqual(failures, ["clear took longer than 500 ms"])
      deepStrictEqual(story(down, times).slice(1), [
        "0 BotInterruptedFrame(played: 0, dropped: 400)",
        "0 BotStoppedSpeakingFrame",
        "500 StartInterruptionFrame"
      ])
      yield* task.cancel()
    }))

  it.effect("ten thousand in a row", () =>
    Effect.gen(function*() {
      const { output, queue, sent, task } = yield* start()
      for (let i = 0; i < 10_000; i++) {
        if (i % 100 === 0) yield* task.queueFrame(audio(400))
        yield* task.interrupt
      }
      sent.length = 0
      yield* queue(audio(40))
      deepStrictEqual(chunks(sent), [[0, 40]])
      strictEqual((yield* output.playback)[0]?.waiting, 0)
    }))

  it.effect("where the task allows none, nothing is cut", () =>
    Effect.gen(function*() {
      const { cleared, queue, sent, task } = yield* start({ task: { allowInterruptions: false } })
      yield* queue(audio(400))
      yield* task.interrupt
      yield* TestClock.adjust("1 second")
      strictEqual(chunks(sent).length, 10)
      deepStrictEqual(cleared, [])
    }))
})

describe("end", () => {
  it.effect("EndFrame waits until everything was played and told", () =>
    Effect.gen(function*() {
      const { down, queue, sent, task, times } = yield* start()
      yield* queue(audio(410), text("last"))
      yield* task.stopWhenDone
      yield* TestClock.adjust("2 seconds")
      strictEqual((yield* task.run)._tag, "Ended")
      strictEqual(chunks(sent).length, 11)
      deepStrictEqual(story(down, times).slice(-3), [
        `440 TextFrame("last")`,
        "790 BotStoppedSpeakingFrame",
        "790 EndFrame"
      ])
    }))

  it.effect("whoever is further up sees the bot finish before the end, whatever is in between", () =>
    Effect.gen(function*() {
      const output = TransportOutput.make({
        name: "test",
        incoming: Stream.never,
        send: () => Effect.void,
        close: () => Effect.void
      })
      const seen: Array<string> = []
      const above = Processor.sync("Above", {
        EndFrame: () => void seen.push("the end"),
        upstream: { BotStoppedSpeakingFrame: () => void seen.push("the bot stops") }
      }, { frames: [BotStoppedSpeakingFrame] })
      const same = Processor.queued("Same", {})
      const pipeline = Pipeline.make(above, Pipeline.parallel(output.processor, same))
      const task = yield* PipelineTask.make(pipeline, { audioOutSampleRate: rate })
      yield* task.start
      yield* task.queueFrames([audio(400)])
      yield* task.stopWhenDone
      yield* TestClock.adjust("2 seconds")
      strictEqual((yield* task.run)._tag, "Ended")
      deepStrictEqual(seen, ["the bot stops", "the end"])
    }))

  it.effect("a drainTimeout ends what is held for too long", () =>
    Effect.gen(function*() {
      const { queue, task } = yield* start({ task: { drainTimeout: "1 second" } })
      yield* queue(audio(400), text("x", { pts: 1e6 }))
      yield* task.stopWhenDone
      yield* TestClock.adjust("2 seconds")
      strictEqual((yield* Effect.flip(task.run)).message, "drain took longer than 1000 ms")
      // the text, and the end that waited for it
      strictEqual((yield* task.drops).cancelled, 2)
    }))

  it.effect("so do frames that have their time still to come", () =>
    Effect.gen(function*() {
      const { down, queue, task, times } = yield* start()
      yield* queue(text("later", { pts: 700 }))
      yield* task.stopWhenDone
      yield* TestClock.adjust("1 second")
      deepStrictEqual(story(down, times), [`700 TextFrame("later")`, "700 EndFrame"])
    }))

  it.effect("an interruption of the farewell ends it, and the end is not lost", () =>
    Effect.gen(function*() {
      const { queue, sent, task } = yield* start()
      yield* queue(audio(4000))
      yield* task.stopWhenDone
      yield* TestClock.adjust("100 millis")
      yield* task.interrupt
      strictEqual((yield* task.run)._tag, "Ended")
      assert(chunks(sent).length < 8)
    }))

  it.effect("cancel does not wait, whatever hangs; nothing is left", () =>
    Effect.gen(function*() {
      const [tag, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const { queue, task } = yield* start({ connection: { send: () => Effect.never }, destinations: ["ann"] })
        yield* queue(audio(4000), text("x", { pts: 1e6 }))
        yield* task.cancel()
        // 100 chunks, one of which is being sent, and the text
        strictEqual((yield* task.drops).cancelled, 101)
        return (yield* task.run)._tag
      })))
      strictEqual(tag, "Cancelled")
      strictEqual(alive, 0)
    }))

  it.effect("an idle output holds no timer", () =>
    Effect.gen(function*() {
      const { queue } = yield* start()
      yield* queue(audio(40))
      yield* TestClock.adjust("10 seconds")
      let slept = false
      const clock = yield* Clock.Clock
      const sleep = clock.sleep.bind(clock)
      Object.assign(clock, {
        sleep: (duration: any) => {
          slept = true
          return sleep(duration)
        }
      })
      yield* queue(text("passes"))
      yield* settle
      strictEqual(slept, false)
    }))
})

describe("failures", () => {
  it.effect("a write that fails is reported, the first of a row; the next is tried", () =>
    Effect.gen(function*() {
      let broken = true
      const error = new Transport.TransportError({ reason: new Transport.WriteFailed({ cause: new Error("EPIPE") }) })
      const sent: Array<Frame.Frame> = []
      const { failures, output, queue } = yield* start({
        connection: { send: (frame) => broken ? Effect.fail(error) : Effect.sync(() => sent.push(frame)) }
      })
      yield* queue(audio(200))
      yield* TestClock.adjust("1 second")
      deepStrictEqual(failures, ["the write failed: EPIPE"])
      strictEqual((yield* output.playback)[0]?.dropped, 200)
      broken = false
      yield* queue(audio(40))
      yield* TestClock.adjust("1 second")
      strictEqual(sent.length, 1)
      broken = true
      yield* queue(audio(40))
      yield* TestClock.adjust("1 second")
      strictEqual(failures.length, 2)
    }))

  it.effect("a write that hangs is given up", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make(false)
      const { failures, queue } = yield* start({ connection: { send: () => latch.await } })
      yield* queue(audio(40))
      yield* TestClock.adjust("5 seconds")
      deepStrictEqual(failures, ["send took longer than 5000 ms"])
    }))

  it.effect("an unknown destination is reported; frames that nobody plays there pass", () =>
    Effect.gen(function*() {
      const { down, failures, queue, sent } = yield* start({ destinations: ["ann"] })
      yield* queue(toDestination(audio(40), "eve"), toDestination(text("hi"), "eve"))
      deepStrictEqual(failures.map((message) => message.replace(/#\d+/, "")), [
        `AudioRawFrame: metadata.destination: found "eve", expected one of "ann"`
      ])
      deepStrictEqual(sent, [])
      deepStrictEqual(show(down.filter(Frame.TextFrame.is)), [`TextFrame("hi")`])
    }))

  it("options that cannot work", () => {
    const make = (options: TransportOutput.Options) => () =>
      TransportOutput.make(
        { name: "", incoming: Stream.never, send: () => Effect.void, close: () => Effect.void },
        options
      )
    assert.throws(make({ chunk: 0 }), /chunk: found 0 ms, expected a finite duration of at least 1 ms/)
    assert.throws(make({ lead: -1 }), /lead: found/)
    assert.throws(make({ sampleRate: 0.5 }), /sampleRate: found 0.5, expected an integer from 1 to 768000/)
    assert.throws(make({ numChannels: 0 }), /numChannels: found 0/)
    assert.throws(make({ destinations: ["a", "a"] }), /destinations: found a, a, expected each name once/)
  })
})

describe("destinations", () => {
  it.effect("each has a clock of its own, and says who speaks", () =>
    Effect.gen(function*() {
      const { down, queue, sent } = yield* start({ destinations: ["ann"] })
      yield* queue(audio(80), toDestination(audio(80, 5000), "ann"), toDestination(text("to ann"), "ann"))
      yield* TestClock.adjust("1 second")
      const to = sent.map(({ at, frame }) => [at, destinationOf(frame)])
      deepStrictEqual(to.filter(([, name]) => name === undefined), [[0, undefined], [0, undefined]])
      deepStrictEqual(to.filter(([, name]) => name === "ann"), [[0, "ann"], [0, "ann"]])
      const told = down.filter((frame) => frame._tag.startsWith("Bot")).map((
        frame
      ) => [frame._tag, destinationOf(frame)])
      deepStrictEqual(told.filter(([, name]) => name === "ann"), [
        ["BotStartedSpeakingFrame", "ann"],
        ["BotStoppedSpeakingFrame", "ann"]
      ])
      strictEqual(told.length, 4)
    }))
})

describe("mixer", () => {
  const hum = { samples: new Int16Array(8000).fill(1000), sampleRate: rate }
  const layer = AudioMixer.layer({ sounds: { hum }, sound: "hum", volume: 1 })

  it.effect("the background goes on without a gap, under the voice, through silence and interruptions", () =>
    Effect.gen(function*() {
      const { down, queue, sent, task } = yield* start()
      yield* TestClock.adjust("200 millis")
      yield* queue(Frame.copy(audio(200), { audio: new Uint8Array(3200) }))
      yield* TestClock.adjust("200 millis")
      yield* task.interrupt
      yield* TestClock.adjust("600 millis")
      const times = chunks(sent).map(([at]) => at)
      // never more than the lead ahead, never dry, but for the moment at which the other side was cleared
      let end = 0
      for (const at of times) {
        if (at === 400 && end > 440) end = at
        end = Math.max(end, at) + 40
        assert.isAtMost(end - at, 100)
      }
      assert.isAtLeast(times.length, 25)
      const samples = allSamples(sent)
      assert(samples.slice(1000).every((sample) => sample === 1000))
      deepStrictEqual(
        down.filter((frame) => frame._tag.startsWith("Bot")).map((frame) => frame._tag),
        ["BotStartedSpeakingFrame", "BotInterruptedFrame", "BotStoppedSpeakingFrame"]
      )
      // recorders get the voice alone
      assert(down.filter(Frame.AudioRawFrame.is).every((frame) => samplesOf(frame).every((sample) => sample === 0)))
    }).pipe(Effect.provide(layer)))

  it.effect("it can be turned off and on, and does not keep the task from ending", () =>
    Effect.gen(function*() {
      const { failures, queue, sent, task } = yield* start()
      yield* TestClock.adjust("200 millis")
      yield* queue(AudioMixer.AudioMixerFrame.make({ enabled: false }))
      yield* TestClock.adjust("200 millis")
      sent.length = 0
      yield* TestClock.adjust("1 second")
      deepStrictEqual(sent, [])
      yield* queue(AudioMixer.AudioMixerFrame.make({ enabled: true }), AudioMixer.AudioMixerFrame.make({ volume: -1 }))
      yield* TestClock.adjust("100 millis")
      assert.isAbove(sent.length, 2)
      deepStrictEqual(failures, ["volume: found -1, expected a number from 0 to 10"])
      yield* task.stopWhenDone
      yield* TestClock.adjust("100 millis")
      strictEqual((yield* task.run)._tag, "Ended")
    }).pipe(Effect.provide(layer)))
})
