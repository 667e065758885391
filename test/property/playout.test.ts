import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import { capture, settle } from "@apipeline/core/testing"
import { OutputAudioEndFrame } from "@apipeline/core/TransportFrames"
import * as TransportOutput from "@apipeline/core/TransportOutput"
import { assert, it } from "@effect/vitest"
import { Clock, Effect, Stream } from "effect"
import { TestClock } from "effect/testing"
import { random } from "../utils/random.ts"

/**
 * Random audio, in random pieces, with random pauses, ends and interruptions, to an output with random options. Samples
 * count up, so that each can be told from all others; padding is 0.
 */
const scenario = (seed: number) =>
  Effect.gen(function*() {
    const { int, pick } = random(seed)
    const rate = 1000
    const options = { chunk: pick([10, 20, 40, 200]), lead: pick([0, 20, 100, 300]), buffer: pick([0, 500, 2000]) }
    const flushes = pick([true, false])
    const { lead } = options
    const delay = pick([0, 0, 0, 15])
    let end = 0
    let next = 1
    let last = 0
    let pushed = 0
    /** Nothing up to this sample may be sent any more. */
    let stale = 0
    let sent = 0
    let padding = 0
    const where = `seed ${seed}`
    const problems: Array<string> = []
    const expect = (so: boolean, problem: string): void => {
      if (!so && problems.length < 5) problems.push(problem)
    }
    const output = TransportOutput.make({
      name: "far end",
      incoming: Stream.never,
      close: () => Effect.void,
      clear: Effect.map(Clock.currentTimeMillis, (now) => {
        if (flushes) end = now
      }),
      flushes,
      send: (frame) =>
        Effect.gen(function*() {
          if (!Frame.AudioRawFrame.is(frame)) return
          const begun = stale
          if (delay > 0) yield* Effect.sleep(int(delay))
          const now = yield* Clock.currentTimeMillis
          const { duration } = frame
          expect(duration === options.chunk, `a chunk of ${duration} ms`)
          end = Math.max(end, now) + duration
          expect(end - now <= Math.max(lead, duration), `${end - now} ms ahead`)
          for (const sample of new Int16Array(Uint8Array.from(frame.audio).buffer)) {
            if (sample === 0) padding++
            else {
              expect(sample > last, `sample ${sample} after ${last}`)
              // what was on its way when it was cut has been sent
              expect(sample > begun, `sample ${sample}, cut with all up to ${begun}, at ${now}`)
              last = sample
            }
          }
          sent += duration
        })
    }, options)
    const { below, down } = capture()
    const task = yield* PipelineTask.make(Pipeline.make(output.processor, below), { audioOutSampleRate: rate })
    yield* task.start
    let interruptions = 0
    for (let i = 0; i < 40; i++) {
      switch (pick(["audio", "audio", "audio", "pause", "end", "text", "interrupt"])) {
        case "audio": {
          const length = 1 + int(400)
          const samples = Int16Array.from({ length }, (_, i) => next + i)
          next += length
          pushed += length
          yield* task.queueFrame(
            Frame.AudioRawFrame.make({ audio: new Uint8Array(samples.buffer), sampleRate: rate, numChannels: 1 })
          )
          break
        }
        case "pause":
          yield* TestClock.adjust(1 + int(700))
          break
        case "end":
          yield* task.queueFrame(OutputAudioEndFrame.make())
          break
        case "text":
          yield* task.queueFrame(Frame.TextFrame.make({ text: String(next - 1) }))
          break
        default:
          interruptions++
          stale = next - 1
          yield* task.interrupt
      }
      if (pick([true, false])) yield* settle
    }
    yield* task.stopWhenDone
    yield* TestClock.adjust("10 minutes")
    assert.deepStrictEqual(problems, [], where)
    assert.strictEqual((yield* task.run)._tag, "Ended", where)
    const [playback] = yield* output.playback
    assert.strictEqual(playback!.waiting, 0, where)
    assert.strictEqual(playback!.sent, sent, where)
    if (interruptions === 0) {
      assert.strictEqual(last, pushed, `${where}: all of it`)
      assert.strictEqual(sent, pushed + padding, where)
      assert.strictEqual(playback!.played, sent, where)
      // a text goes on when the audio before it has been heard, never earlier
      assert.deepStrictEqual(playback!.dropped, 0, where)
    }
    assert.isAtMost(playback!.played, sent, where)
    const speaking = down.filter(({ _tag }) => _tag === "BotStartedSpeakingFrame" || _tag === "BotStoppedSpeakingFrame")
    for (const [i, frame] of speaking.entries()) {
      assert.strictEqual(frame._tag, i % 2 === 0 ? "BotStartedSpeakingFrame" : "BotStoppedSpeakingFrame", where)
    }
    assert.strictEqual(speaking.length % 2, 0, where)
  })

const seeds = Array.from({ length: 300 }, (_, i) => i + Number(process.env["SEED"] ?? 0))

it.effect("whatever is said, and whenever it is cut", () =>
  Effect.forEach(seeds, (seed) => Effect.scoped(scenario(seed)), { discard: true }))
