import * as Frame from "@apipeline/core/Frame"
import * as LatencyObserver from "@apipeline/core/LatencyObserver"
import * as Pcm from "@apipeline/core/Pcm"
import * as PipelineObserver from "@apipeline/core/PipelineObserver"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import { leaks } from "@apipeline/core/testing"
import * as Transport from "@apipeline/core/Transport"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, Stream } from "effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { Worker } from "node:worker_threads"
import { afterAll } from "vitest"
import * as Bot from "../../examples/support/Bot.ts"
import * as Caller from "../../examples/support/Caller.ts"
import * as FastClock from "../../examples/support/FastClock.ts"
import { cut, type Recording, recording, wordErrors, words } from "../utils/speech.ts"

const { deepStrictEqual, isAbove, isAtLeast, isAtMost, isBelow, strictEqual } = assert

// The bot of the examples with its real engines, loaded once. What is measured is printed, a line each.

const runtime = ManagedRuntime.make(Bot.layer())
afterAll(() => runtime.dispose())

type Services = ManagedRuntime.ManagedRuntime.Services<typeof runtime>

const bot = <A, E>(name: string, timeout: number, effect: Effect.Effect<A, E, Services>): void =>
  it(name, () => runtime.runPromise(effect), timeout)

const print = (text: string): void => void process.stdout.write(`${text}\n`)

setFlagsFromString("--expose-gc")
const gc = runInNewContext("gc") as () => void

const answered: Caller.When = { _tag: "AfterAnswer", pause: 200 }

const frame = (samples: Int16Array): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: Pcm.fromInt16(samples), sampleRate: 16_000, numChannels: 1 })

const line = (name: Recording, when: Caller.When = answered): Caller.Line => ({
  name,
  audio: Stream.map(Stream.fromIterable(cut(recording(name), 320)), frame),
  when
})

/** What is seen of a conversation. Times are of `performance.now()`: of the machine, whatever clock there is. */
interface Seen {
  readonly transcripts: Array<string>
  readonly errors: Array<unknown>
  readonly latencies: Array<number>
  readonly interruptions: Array<number>
  /** When audio was sent. */
  readonly sent: Array<number>
  /** When the caller began to play a recording. */
  readonly lines: Array<number>
}

const observer = (seen: Seen): PipelineObserver.PipelineObserver => {
  const known = new WeakSet<Frame.Frame>()
  return PipelineObserver.make("Seen", (event) =>
    Effect.sync(() => {
      if (event._tag === "Task" && event.event === "Interrupted") seen.interruptions.push(performance.now())
      if (event._tag !== "Push" || known.has(event.frame)) return
      known.add(event.frame)
      if (Voice.TranscriptionFrame.is(event.frame)) seen.transcripts.push(event.frame.text)
      if (Frame.ErrorFrame.is(event.frame)) seen.errors.push(event.frame.error)
    }), { frames: [Frame.ErrorFrame.tag, Voice.TranscriptionFrame.tag] })
}

const over = Effect.fnUntraced(function*(connection: Transport.Connection, seen: Seen) {
  const transport = yield* Transport.make({
    ...connection,
    send: (frame) =>
      Effect.suspend(() => {
        if (Frame.AudioRawFrame.is(frame)) seen.sent.push(performance.now())
        return connection.send(frame)
      })
  }, { input: { onDisconnect: "end" } })
  const { pipeline } = yield* Bot.make(transport)
  const latency = LatencyObserver.make(
    ({ _tag, milliseconds }) => Effect.sync(() => _tag === "Answer" && seen.latencies.push(milliseconds)),
    { silence: { tag: Voice.VadUserStoppedSpeakingFrame.tag, before: () => Bot.stopMillis } }
  )
  const task = yield* PipelineTask.make(pipeline, {
    audioInSampleRate: 16_000,
    audioOutSampleRate: 16_000,
    observers: [observer(seen), latency]
  })
  yield* task.run
})

const nothing = (): Seen => ({ transcripts: [], errors: [], latencies: [], interruptions: [], sent: [], lines: [] })

const converse = (lines: ReadonlyArray<Caller.Line>, patience = 10_000) =>
  Effect.suspend(() => {
    const seen = nothing()
    return Effect.gen(function*() {
      const onLine = () => Effect.sync(() => void seen.lines.push(performance.now()))
      yield* over(yield* Caller.make({ lines, patience, onLine }), seen)
      return seen
    }).pipe(Effect.scoped)
  })

/** Up to three times: the machine may have had something else to do. */
const best = <A, E, R>(measure: Effect.Effect<A, E, R>, of: (found: A) => number, limit: number) =>
  Effect.gen(function*() {
    let found = yield* measure
    for (let round = 1; round < 3 && of(found) > limit; round++) {
      const next = yield* measure
      if (of(next) < of(found)) found = next
    }
    isAtMost(of(found), limit)
    return found
  })

const sorted = (values: ReadonlyArray<number>): Array<number> => values.toSorted((a, b) => a - b)
const median = (values: ReadonlyArray<number>): number => sorted(values)[Math.floor(values.length / 2)]!
const round = (milliseconds: number): number => Math.round(milliseconds)

/** Milliseconds of a recording before somebody speaks. */
const onset = (name: Recording): number => cut(recording(name), 160).findIndex((part) => Pcm.dbfs(part) > -35) * 10

describe("the bot", () => {
  bot(
    "understands what comes over the transport",
    60_000,
    Effect.gen(function*() {
      const names = [
        "librivox-0870.wav",
        "librivox-0880.wav",
        "goforward.wav",
        "cards-001.wav",
        "cards-005.wav"
      ] as const
      const found: Record<string, readonly [number, number]> = {}
      // two at a time, as fast as the models allow: nothing must depend on when audio comes
      yield* Effect.forEach(names, (name) =>
        Effect.gen(function*() {
          const { errors, transcripts } = yield* converse([line(name)], 20_000)
          deepStrictEqual(errors, [])
          found[name] = wordErrors(words[name], transcripts.join(" "))
        }), { concurrency: 2 }).pipe(Effect.provide(FastClock.layer(2)))
      const rate = (of: ReadonlyArray<string>): number => {
        const sum = (index: 0 | 1): number => of.reduce((total, name) => total + found[name]![index], 0)
        return sum(0) / sum(1)
      }
      const librivox = rate(names.slice(0, 2))
      print(
        `word error rate of the whole audio path (tiny): LibriVox ${(100 * librivox).toFixed(1)} %, ` +
          `all ${(100 * rate(names)).toFixed(1)} %`
      )
      isAtMost(librivox, 0.05)
      isAtMost(rate(names), 0.1)
    })
  )

  bot(
    "answers soon, and is silent soon",
    120_000,
    Effect.gen(function*() {
      const conversation = converse([
        line("goforward.wav"),
        line("cards-001.wav"),
        line("librivox-0880.wav"),
        line("cards-005.wav", { _tag: "BargeIn", after: 700 })
      ])
      const seen = yield* best(conversation, ({ latencies }) => median(latencies), 1500)
      deepStrictEqual(seen.errors, [])
      strictEqual(seen.latencies.length, 4)
      print(
        `end of speech -> first audio: p50 ${round(median(seen.latencies))} ms, of ${
          sorted(seen.latencies).map(round).join(", ")
        } ms`
      )
      const speech = seen.lines[3]! + onset("cards-005.wav")
      const interrupted = seen.interruptions.find((at) => at > speech)!
      // between the barge-in and the next answer
      const before = seen.sent.filter((at) => at < interrupted + 1000)
      const silent = before.at(-1)!
      isAbove(silent, speech, "the bot spoke when it was interrupted")
      print(
        `barge-in -> silence on the wire: ${round(Math.max(0, silent - interrupted))} ms after the interruption, ${
          round(silent - speech)
        } ms after the first sound of the user (${round(interrupted - speech)} ms to notice it)`
      )
      isAtMost(silent - interrupted, 100)
      isAtMost(silent - speech, 800)
    })
  )

  bot(
    "three conversations leave the event loop free",
    90_000,
    Effect.gen(function*() {
      const resolution = 10
      /** The 99th percentile of the delay meanwhile, in milliseconds. */
      const during = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
        Effect.suspend(() => {
          const delay = monitorEventLoopDelay({ resolution })
          delay.enable()
          return Effect.map(effect, (value) => {
            delay.disable()
            // the interval of the timer is part of what it finds
            return [value, Math.max(0, delay.percentile(99) / 1e6 - resolution)] as const
          })
        })
      const measure = Effect.gen(function*() {
        const [, idle] = yield* during(Effect.sleep("2 seconds"))
        const [seen, busy] = yield* during(Effect.forEach(
          ["cards-001.wav", "goforward.wav", "cards-005.wav"] as const,
          (name) => converse([line(name)]),
          { concurrency: "unbounded" }
        ))
        for (const { errors, transcripts } of seen) {
          deepStrictEqual(errors, [])
          isAtLeast(transcripts.length, 1)
        }
        return { idle, busy }
      })
      // what others do on this machine delays it as well; but that excuses only so much
      const { busy, idle } = yield* best(measure, ({ busy, idle }) => busy - Math.min(idle, 30), 30)
      print(
        `event-loop delay with 3 conversations: p99 ${busy.toFixed(1)} ms, and ${idle.toFixed(1)} ms without any`
      )
    })
  )

  bot(
    "50 conversations leave nothing behind",
    150_000,
    Effect.gen(function*() {
      const settled = Effect.gen(function*() {
        yield* Effect.sleep("300 millis")
        for (let i = 0; i < 3; i++) {
          gc()
          yield* Effect.sleep("20 millis")
        }
        const count: Record<string, number> = {}
        for (const name of process.getActiveResourcesInfo()) count[name] = (count[name] ?? 0) + 1
        const { arrayBuffers, heapUsed } = process.memoryUsage()
        return { heap: heapUsed + arrayBuffers, handles: count }
      })
      const one = (i: number) =>
        Effect.gen(function*() {
          const lines = [line("cards-001.wav")]
          if (i % 5 === 0) lines.push(line("cards-001.wav", { _tag: "BargeIn", after: 300 }))
          const seen = yield* converse(lines, 40_000)
          deepStrictEqual(seen.errors, [])
          strictEqual(seen.transcripts.length, lines.length)
          return seen.interruptions.length
        })
      const many = (n: number) =>
        Effect.forEach(Array.from({ length: n }, (_, i) => i), one, { concurrency: 5 }).pipe(
          Effect.provide(FastClock.layer(4))
        )
      yield* many(10)
      const before = yield* settled
      const started = performance.now()
      const [interruptions, fibers] = yield* leaks(many(50))
      const seconds = (performance.now() - started) / 1000
      const after = yield* settled
      const grown = after.heap - before.heap
      print(
        `50 conversations in ${seconds.toFixed(0)} s: ${fibers} fibers left, heap ${grown < 0 ? "" : "+"}${
          round(grown / 1024)
        } KiB of ${round(before.heap / 1024)}, ${
          Object.entries(after.handles).map(([name, n]) => `${n} ${name}`).join(", ")
        }`
      )
      isAtLeast(interruptions.reduce((a, b) => a + b), 50)
      strictEqual(fibers, 0)
      isBelow(grown, 50 * 16 * 1024)
      for (const name of new Set([...Object.keys(before.handles), ...Object.keys(after.handles)])) {
        isAtMost(after.handles[name] ?? 0, before.handles[name] ?? 0, name)
      }
    })
  )

  it(
    "goes on when all its workers crash, while the user speaks and while it speaks itself",
    () =>
      Effect.gen(function*() {
        const workers: Array<Worker> = []
        const note = (worker: Worker): void => void workers.push(worker)
        process.on("worker", note)
        yield* Effect.addFinalizer(() => Effect.sync(() => process.off("worker", note)))
        const services = yield* Layer.build(Bot.layer())
        // not those that take their place
        const crash = Effect.suspend(() =>
          Effect.forEach(workers.splice(0), (worker) => Effect.promise(() => worker.terminate()), {
            concurrency: "unbounded",
            discard: true
          })
        )
        const seen = nothing()
        yield* Effect.gen(function*() {
          const speech = line("goforward.wav")
          // in the middle of a word
          let frames = 0
          const audio = Stream.tap(speech.audio, () => ++frames === 75 ? Effect.forkChild(crash) : Effect.void)
          const lines = [{ ...speech, audio }, line("cards-001.wav")]
          const onLine = () => Effect.sync(() => void seen.lines.push(performance.now()))
          const connection = yield* Caller.make({ lines, patience: 20_000, onLine })
          let sent = 0
          const send: Transport.Connection["send"] = (frame) =>
            Effect.andThen(connection.send(frame), Frame.AudioRawFrame.is(frame) && ++sent === 10 ? crash : Effect.void)
          yield* over({ ...connection, send }, seen)
        }).pipe(Effect.scoped, Effect.provideContext(services))
        deepStrictEqual(seen.errors, [])
        const [errors] = wordErrors(`${words["goforward.wav"]} ${words["cards-001.wav"]}`, seen.transcripts.join(" "))
        isAtMost(errors, 1, seen.transcripts.join(" "))
        strictEqual(seen.latencies.length, 2)
        strictEqual(workers.length, 3)
      }).pipe(Effect.scoped, Effect.runPromise),
    90_000
  )

  bot(
    "an hour of silence is an hour of nothing",
    60_000,
    Effect.gen(function*() {
      const tenth = new Int16Array(1600)
      const silence = (seconds: number): Transport.Connection => ({
        name: "silence",
        incoming: Stream.map(Stream.range(1, seconds * 10), () => frame(tenth)),
        send: () => Effect.void,
        close: () => Effect.void
      })
      const started = performance.now()
      gc()
      const memory = process.memoryUsage().arrayBuffers
      const hear = (seconds: number) =>
        Effect.gen(function*() {
          const seen = nothing()
          yield* Effect.scoped(over(silence(seconds), seen))
          deepStrictEqual(seen, nothing())
        })
      // the model takes half a millisecond for 32 of sound: a minute for an hour
      yield* hear(60)
      yield* hear(3600).pipe(Effect.provide(VoiceActivity.layerEnergy()))
      const seconds = (performance.now() - started) / 1000
      print(`an hour of silence: ${seconds.toFixed(1)} s, no transcription, no error`)
      gc()
      isBelow(process.memoryUsage().arrayBuffers - memory, 5e6)
    })
  )
})
