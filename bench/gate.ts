/**
 * Keeps what has been won: what a hop costs, in hops of a hand-written chain of plain calls in the same process, so that
 * the machine's speed does not matter. The limits leave room for a busy machine, and what is over one is measured again
 * before it fails. `npm run bench:gate`, and part of CI.
 */
import type * as Pipeline from "@apipeline/core/Pipeline"
import {
  ask,
  chain,
  effect,
  effectSource,
  inline,
  make,
  queued,
  saturate,
  sink,
  source,
  withTask
} from "./systems/apipeline/pipelines.ts"
import { Count, cpu, type Pass } from "./systems/measure.ts"

interface Limit {
  readonly name: string
  readonly hops: number
  readonly pipeline: (last: ReturnType<typeof sink>) => Pipeline.Pipeline
  readonly feed: typeof ask
  /** Times the cost of the hand-written chain; about twice what is measured. */
  readonly limit: number
}

const limits: ReadonlyArray<Limit> = [
  { name: "W1, 10 sync", hops: 10, pipeline: (last) => chain(10, inline, last, source()), feed: ask, limit: 6 },
  { name: "W1, 100 sync", hops: 100, pipeline: (last) => chain(100, inline, last, source()), feed: ask, limit: 6 },
  {
    name: "W1, 10 effect",
    hops: 10,
    pipeline: (last) => chain(10, effect, last, effectSource()),
    feed: ask,
    limit: 30
  },
  { name: "W2, 10 queued", hops: 10, pipeline: (last) => chain(10, queued, last), feed: saturate, limit: 28 }
]

class Hop {
  private readonly next: Hop | undefined
  private readonly count: Count
  constructor(next: Hop | undefined, count: Count) {
    this.next = next
    this.count = count
  }
  process(frame: unknown): void {
    if (this.next === undefined) this.count.add()
    else this.next.process(frame)
  }
}

const byHand = (hops: number): Pass => {
  const count = new Count()
  let first = new Hop(undefined, count)
  for (let i = 0; i < hops; i++) first = new Hop(first, count)
  return (frames) => {
    for (let i = 0; i < frames; i++) first.process(make())
  }
}

/** The ratio of the best of some rounds, in which both take turns. */
const ratio = ({ feed, hops, pipeline }: Limit): Promise<number> => {
  const count = new Count()
  const plain = byHand(hops)
  return withTask(pipeline(sink(() => count.add())), async (task) => {
    const ours = feed(task, count)
    const best = { ours: Infinity, plain: Infinity }
    const frames = 1_000_000 / hops
    for (let round = 0; round < 8; round++) {
      for (const [name, pass] of [["plain", plain], ["ours", ours]] as const) {
        const start = cpu()
        await pass(frames)
        best[name] = Math.min(best[name], cpu() - start)
      }
    }
    return best.ours / best.plain
  })
}

let failed = false
for (const limit of limits) {
  let found = Infinity
  for (let attempt = 0; attempt < 3 && found > limit.limit; attempt++) found = Math.min(found, await ratio(limit))
  const met = found <= limit.limit
  failed ||= !met
  console.log(`${met ? "met   " : "MISSED"} ${limit.name}: ${found.toFixed(1)}x a plain call, at most ${limit.limit}x`)
}
process.exit(failed ? 1 : 0)
