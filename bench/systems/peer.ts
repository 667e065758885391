/** The workloads for any system of which one can make a chain. */
import type { Measure, Workload } from "../protocol.ts"
import { BargeIn, Count, framesFor, idle, Latency, parse, type Pass, perFrame, perHop, round } from "./measure.ts"

let ids = 0

/** A text frame as one would write it without a framework. */
export class TextFrame {
  readonly _tag = "TextFrame"
  readonly kind = "data"
  readonly id = ++ids
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** Twenty characters. */
export const text = "hello, hello, hello!"

const make = (): TextFrame => new TextFrame(text)

export interface Chain {
  /** A push returns when the frame is through. */
  readonly inline?: boolean | undefined
  readonly push: (frame: TextFrame) => void
  /** Fibers, or loops that wait. */
  readonly tasks?: number | undefined
  /** Without it the chain is simply forgotten. */
  readonly stop?: (() => void | Promise<void>) | undefined
}

export interface Options {
  readonly hops: number
  readonly seen: (frame: TextFrame) => void
  /** The hop that takes a millisecond for each frame. */
  readonly slow?: number | undefined
}

/** How one kind of chain is made: what runs inline, or has a queue at each hop. */
export type MakeChain = (options: Options) => Chain

/** Types of packages are not there when the packages are not: so those that are needed are written down. */
export const load = async <A>(name: string): Promise<A> => await import(name)

/** Frames that are under way at a time, as a bounded mailbox would allow. */
const window = 1024

const flood = (push: (frame: TextFrame) => void): Pass => (frames) => {
  for (let i = 0; i < frames; i++) push(make())
}

/** Pushes and waits, a window at a time. */
const feed = (push: (frame: TextFrame) => void, count: Count): Pass => async (frames) => {
  for (let left = frames; left > 0; left -= window) {
    const batch = Math.min(window, left)
    const done = count.more(batch)
    for (let i = 0; i < batch; i++) push(make())
    await done
  }
}

/** Four branches; a frame leaves when the first of them lets it out, and once. */
const parallel = (chain: MakeChain, out: () => void): (frame: TextFrame) => void => {
  const copies = new Map<number, number>()
  const seen = ({ id }: TextFrame): void => {
    const n = copies.get(id) ?? 0
    if (n === 3) copies.delete(id)
    else copies.set(id, n + 1)
    if (n === 0) out()
  }
  const branches = Array.from({ length: 4 }, () => chain({ hops: 2, seen }))
  return (frame) => {
    for (const branch of branches) branch.push(frame)
  }
}

/**
 * The workloads for chains by their kind, which a variant begins with: `inline` is what W1 means otherwise, `queued`
 * W2. `cost`: what a hop of each takes, in ns, from which follows how many frames a measurement takes.
 */
export const workloads = (
  kinds: Readonly<Record<string, MakeChain>>,
  cost: Readonly<Record<string, number>>
): { readonly [W in Workload]?: Measure } => {
  const of = (kind: string): readonly [chain: MakeChain, frames: (hops: number) => number] => {
    const chain = kinds[kind]
    if (chain === undefined) throw new Error(`no chain of kind "${kind}"`)
    return [chain, (hops) => framesFor(hops, 3e8 / (cost[kind] ?? 100))] // 0.3 s
  }
  const chained = (byDefault: string): Measure => (variant, frames) => {
    const { hops, kind } = parse(variant)
    const [chain, enough] = of(kind === "" ? byDefault : kind)
    const count = new Count()
    const { inline, push } = chain({ hops, seen: () => count.add() })
    return perHop(hops, frames ?? enough(hops), inline === true ? flood(push) : feed(push, count))
  }
  return {
    w1: chained("inline"),
    w2: chained("queued"),
    w3: (variant, frames) => {
      const latency = new Latency()
      const { push } = of(variant)[0]({ hops: 10, seen: latency.seen })
      return latency.measure(frames ?? 20_000, () => push(make()))
    },
    w4: (variant, frames) => {
      const bargeIn = new BargeIn()
      const rebuilt = (seen: () => void): Chain => of(variant)[0]({ hops: 3, slow: 1, seen })
      let old: Chain
      return bargeIn.measure(() => {
        old = rebuilt(bargeIn.old)
        for (let i = 0; i < (frames ?? 1000); i++) old.push(make())
      }, async () => {
        await old.stop?.()
        rebuilt(bargeIn.fresh).push(make())
      })
    },
    w5: async (variant) => {
      const [chain] = of(variant)
      let seen = (): void => {}
      const { tasks = 0 } = chain({ hops: 10, seen })
      const measured = await idle<Chain>({
        start: () => chain({ hops: 10, seen: () => seen() }),
        stop: (chain) => chain.stop?.(),
        touch: (chain) =>
          new Promise((resolve) => {
            seen = resolve
            chain.push(make())
          })
      })
      return { ...measured, tasks }
    },
    w7: async (variant, frames) => {
      const count = new Count()
      const [chain, enough] = of(variant)
      const pass = feed(parallel(chain, () => count.add()), count)
      return { usPerFrame: round(await perFrame(frames ?? enough(8), pass) / 1000) }
    }
  }
}
