/** This framework, by its public API. */
import type * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { serve } from "../protocol.ts"
import {
  ask,
  chain,
  effect,
  effectSource,
  effectWork,
  inline,
  make,
  parallel,
  push,
  queued,
  queuedEffect,
  saturate,
  type Session,
  sink,
  source,
  start,
  withTask
} from "./apipeline/pipelines.ts"
import { BargeIn, bargeIns, Count, framesFor, idle, Latency, parse, perFrame, perHop, round } from "./measure.ts"

/** Fibers of an idle pipeline, counted by a runtime that tells of each. */
const fibersOf = async (pipeline: Pipeline.Pipeline): Promise<number> => {
  let alive = 0
  const count: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => void alive++,
    recordFiberEnd: () => void alive--
  }
  const counted = start(pipeline, (effect) => Effect.provideService(effect, Metric.FiberRuntimeMetrics, count))
  const { close } = await counted
  await new Promise(setImmediate)
  const fibers = alive
  await close()
  return fibers
}

await serve("apipeline", {
  /** `10`: pushed by a processor; `task-10`: queued in the task; `effect-10`, `work-10`: handlers return Effects. */
  w1: (variant, frames) => {
    const { hops, kind } = parse(variant)
    const count = new Count()
    const last = sink(() => count.add())
    const kinds: Record<string, () => Processor.Processor> = { "": inline, effect, work: effectWork }
    const total = frames ?? framesFor(hops, kind === "" ? 2e7 : 3e6)
    if (kind === "task") {
      return withTask(chain(hops, inline, last), (task) => perHop(hops, total, saturate(task, count)))
    }
    const pipeline = chain(hops, kinds[kind]!, last, kind === "" ? source() : effectSource())
    return withTask(pipeline, (task) => perHop(hops, total, ask(task, count)))
  },
  w2: (variant, frames) => {
    const { hops, kind } = parse(variant)
    const count = new Count()
    const pipeline = chain(hops, kind === "effect" ? queuedEffect : queued, sink(() => count.add()))
    const total = frames ?? framesFor(hops, kind === "effect" ? 3e6 : 6e6)
    return withTask(pipeline, (task) => perHop(hops, total, saturate(task, count)))
  },
  w3: (variant, frames) => {
    const latency = new Latency()
    const kinds: Record<string, () => Processor.Processor> = { inline, queued, effect: queuedEffect }
    const pipeline = chain(10, kinds[variant]!, sink(latency.seen))
    return withTask(pipeline, (task) => latency.measure(frames ?? 20_000, () => push(task, make())))
  },
  w4: (_, frames) => {
    const bargeIn = new BargeIn()
    const fresh = new Set<number>()
    let interruptions = 0
    const slow = Processor.queued("Slow", {
      TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(1), push(frame))
    })
    const last = Processor.sync("Sink", {
      TextFrame: ({ id }) => fresh.has(id) ? bargeIn.fresh() : bargeIn.old(),
      onInterruption: () => void interruptions++
    })
    return withTask(chain(3, (i) => i === 1 ? slow : queued(), last), async (task) => {
      const measured = await bargeIn.measure(() => {
        for (let i = 0; i < (frames ?? 1000); i++) push(task, make())
      }, () => {
        const frame = make()
        fresh.add(frame.id)
        return Effect.runPromise(Effect.orDie(Effect.andThen(task.interrupt, task.queueFrame(frame))))
      })
      return { ...measured, copies: interruptions / bargeIns }
    })
  },
  w5: async (variant) => {
    let seen = (): void => {}
    const pipeline = chain(10, variant === "queued" ? queued : inline, sink(() => seen()))
    const tasks = await fibersOf(pipeline)
    const values = await idle<Session>({
      start: () => start(pipeline),
      stop: (session) => session.close(),
      touch: ({ task }) =>
        new Promise((resolve) => {
          seen = resolve
          push(task, make())
        })
    })
    return { ...values, tasks }
  },
  w6: async (variant, frames) => (await import("./serializers.ts")).measure("apipeline", variant, frames),
  w7: (variant, frames) => {
    const count = new Count()
    const pipeline = parallel(4, variant === "queued" ? queued : inline, sink(() => count.add()))
    return withTask(pipeline, async (task) => ({
      usPerFrame: round(await perFrame(frames ?? 2e5, saturate(task, count)) / 1000)
    }))
  },
  /** A number of sessions, or `search` for the largest that works; `frames`: for how many milliseconds. */
  w8: async (variant, frames) => {
    const { sessions } = await import("./apipeline/sessions.ts")
    const sizes = variant === "search" ? [500, 1000, 2000, 3000, 4000, 6000, 8000, 12_000, 16_000] : [Number(variant)]
    return sessions(sizes, frames ?? 3000)
  },
  w9: async (variant) => (await import("./apipeline/growth.ts")).growth(variant)
})
