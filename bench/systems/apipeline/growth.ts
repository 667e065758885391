/** W9: how cost and memory grow with processors, sessions and branches. */
import type { Curve, Values } from "../../protocol.ts"
import { Count, memory, type Pass, perFrame, round } from "../measure.ts"
import { text } from "../peer.ts"
import {
  ask,
  chain,
  inline,
  make,
  parallel,
  push,
  queued,
  saturate,
  sink,
  source,
  start,
  type Task,
  withTask
} from "./pipelines.ts"

/** The best of three: a curve is about the shape, not about what else the machine does. */
const best = async (frames: number, pass: Pass): Promise<number> => {
  let ns = Infinity
  for (let i = 0; i < 3; i++) ns = Math.min(ns, await perFrame(frames, pass))
  return ns
}

/** What a hop costs without the making of the frame. `hops`: the way in and out counts as a hop each. */
const curve = async (
  sizes: ReadonlyArray<number>,
  hops: (n: number) => number,
  cost: (n: number) => Promise<number>
): Promise<Curve> => {
  await cost(sizes.at(-1)!) // as compiled as it will ever be
  let kept = make()
  const making = await best(1e6, (frames) => {
    for (let i = 0; i < frames; i++) kept = make()
  })
  if (kept.text !== text) throw new Error("no frame was made")
  const points: Array<Curve[number]> = []
  for (const n of sizes) points.push({ n, value: round((await cost(n) - making) / hops(n)) })
  return points
}

const framesOf = (hops: number): number => Math.ceil(1e6 / (hops + 10))

const counted = (run: (count: Count, last: ReturnType<typeof sink>) => Promise<number>): Promise<number> => {
  const count = new Count()
  return run(count, sink(() => count.add()))
}

const processors = (kind: "inline" | "queued"): Promise<Curve> =>
  curve([1, 2, 5, 10, 20, 50, 100], (n) => n + 1, (n) =>
    counted((count, last) =>
      kind === "inline"
        ? withTask(chain(n, inline, last, source()), (task) => best(framesOf(n), ask(task, count)))
        : withTask(chain(n, queued, last), (task) => best(framesOf(n), saturate(task, count)))
    ))

const branches = (): Promise<Curve> =>
  curve(
    [1, 2, 4, 8],
    (n) => 2 * n + 2,
    (n) =>
      counted((count, last) =>
        withTask(parallel(n, inline, last), (task) => best(framesOf(2 * n), saturate(task, count)))
      )
  )

/** Ten processors each, three of them queued; twenty frames to one session, then to the next. */
const sessions = async (): Promise<Values> => {
  const nsPerHop: Array<Curve[number]> = []
  const kib: Array<Curve[number]> = []
  const count = new Count()
  const pipeline = chain(10, (i) => i % 4 === 1 ? queued() : inline(), sink(() => count.add()))
  const tasks: Array<Task> = []
  const before = await memory()
  let next = 0
  const pass: Pass = async (frames) => {
    for (let left = frames; left > 0; left -= 20) {
      const task = tasks[next++ % tasks.length]!
      const done = count.more(20)
      for (let i = 0; i < 20; i++) push(task, make())
      await done
    }
  }
  for (const n of [1, 10, 100, 1000, 10_000]) {
    while (tasks.length < n) tasks.push((await start(pipeline)).task)
    // Every session has had frames before anything is measured.
    await pass(Math.max(20 * n, 40_000))
    if (n >= 100) kib.push({ n, value: round(((await memory()).heap - before.heap) / n) })
    nsPerHop.push({ n, value: round(await best(40_000, pass) / 11) })
  }
  return { nsPerHop, kib }
}

export const growth = async (variant: string): Promise<Values> => {
  switch (variant) {
    case "processors":
      return { nsPerHop: await processors("inline") }
    case "processors-queued":
      return { nsPerHop: await processors("queued") }
    case "branches":
      return { nsPerHop: await branches() }
    default:
      return sessions()
  }
}
