/** What all systems in JavaScript measure with. */
import { setTimeout as sleep } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** CPU time of this process so far, in ns. */
export const cpu = (): number => {
  const { system, user } = process.cpuUsage()
  return (user + system) * 1000
}

export const round = (value: number): number => Number(value.toPrecision(4))

/** `item-10` is the kind `item` with 10 hops; `10` has the kind "". */
export const parse = (variant: string): { readonly kind: string; readonly hops: number } => {
  const at = variant.lastIndexOf("-")
  return { kind: variant.slice(0, Math.max(at, 0)), hops: Number(variant.slice(at + 1)) }
}

/** Sends this many frames, and ends when all have come out. */
export type Pass = (frames: number) => void | Promise<void>

/** CPU time a frame, in ns, after a warm-up. */
export const perFrame = async (frames: number, pass: Pass): Promise<number> => {
  for (let i = 0; i < 4; i++) await pass(Math.ceil(frames / 10))
  const start = cpu()
  await pass(frames)
  return (cpu() - start) / frames
}

/** CPU time a hop. */
export const perHop = async (hops: number, frames: number, pass: Pass): Promise<{ readonly nsPerHop: number }> => ({
  nsPerHop: round(await perFrame(frames, pass) / hops)
})

/** As many frames as make about this many hops; a frame itself costs about as much as five. */
export const framesFor = (hops: number, total: number): number => Math.ceil(total / Math.max(hops, 5))

export const quantile = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = Float64Array.from(values).sort()
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? Number.NaN
}

/** Counts frames at the end of a chain, and tells when all have come. */
export class Count {
  private n = 0
  private expected = Infinity
  private done: (() => void) | undefined = undefined

  add(): void {
    if (++this.n >= this.expected) this.done?.()
  }

  /** Resolves when this many more frames have come. */
  more(frames: number): Promise<void> {
    this.expected = this.n + frames
    return new Promise((resolve) => {
      this.done = resolve
    })
  }
}

/**
 * W3. `push` sends one frame, the system calls `seen` when it comes out. Each push is made from a fresh turn of the
 * event loop, when nothing else is left to do.
 */
export class Latency {
  private start = 0
  private samples: Array<number> = []
  private arrived: (() => void) | undefined = undefined

  readonly seen = (): void => {
    this.samples.push((performance.now() - this.start) * 1000)
    if (this.arrived !== undefined) setImmediate(this.arrived)
  }

  async measure(frames: number, push: () => void): Promise<{ readonly p50us: number; readonly p99us: number }> {
    for (const rounds of [Math.ceil(frames / 4), frames]) {
      this.samples = []
      for (let i = 0; i < rounds; i++) {
        await new Promise<void>((resolve) => {
          this.arrived = resolve
          this.start = performance.now()
          push()
        })
      }
    }
    return { p50us: round(quantile(this.samples, 0.5)), p99us: round(quantile(this.samples, 0.99)) }
  }
}

/** W4: what comes out, and when the new frame does. */
export class BargeIn {
  private cut = false
  private seen = 0
  private stale = 0
  private busy: (() => void) | undefined = undefined
  private through: (() => void) | undefined = undefined

  /** An old frame has come out. */
  readonly old = (): void => {
    if (this.cut) this.stale++
    if (++this.seen === 80) this.busy?.()
  }

  /** The new one has. */
  readonly fresh = (): void => this.through?.()

  /**
   * `push` queues the old frames; `interrupt` makes way for the new one and pushes it. Some rounds: the first runs code
   * that has not been compiled yet.
   */
  async measure(
    push: () => void,
    interrupt: () => void | Promise<void>
  ): Promise<{ readonly newFrameMs: number; readonly stale: number }> {
    const samples: Array<number> = []
    for (let round = 0; round < bargeIns; round++) {
      const busy = new Promise<void>((resolve) => {
        this.busy = resolve
      })
      const through = new Promise<void>((resolve) => {
        this.through = resolve
      })
      this.cut = false
      this.seen = 0
      push()
      await busy
      await sleep(0.3) // in the middle of a frame
      const start = performance.now()
      this.cut = true
      await interrupt()
      await through
      samples.push(performance.now() - start)
      await sleep(30) // for what is stale and late
    }
    return { newFrameMs: round(quantile(samples, 0.5)), stale: this.stale }
  }
}

export const bargeIns = 5

const collect = async (): Promise<void> => {
  setFlagsFromString("--expose-gc")
  const gc: () => void = runInNewContext("gc")
  for (let i = 0; i < 3; i++) {
    await sleep(5)
    gc()
  }
}

/** KiB that the process holds after a garbage collection. */
export const memory = async (): Promise<{ readonly heap: number; readonly rss: number }> => {
  await collect()
  const { external, heapUsed, rss } = process.memoryUsage()
  return { heap: (heapUsed + external) / 1024, rss: rss / 1024 }
}

/** W5: many of them, idle, after one frame has gone through each (`touch`). */
export const idle = async <A>(
  { start, stop, touch }: {
    readonly start: () => A | Promise<A>
    readonly touch: (pipeline: A) => Promise<void>
    readonly stop: (pipeline: A) => void | Promise<void>
  },
  pipelines = 500
): Promise<Record<string, number>> => {
  let all: Array<A> = []
  const startAll = async (n: number): Promise<number> => {
    const begin = cpu()
    for (let i = 0; i < n; i++) all.push(await start())
    const used = cpu() - begin
    for (const pipeline of all) await touch(pipeline)
    return used
  }
  const stopAll = async (): Promise<number> => {
    const begin = cpu()
    for (const pipeline of all) await stop(pipeline)
    all = []
    return cpu() - begin
  }
  const timers = (): number => process.getActiveResourcesInfo().length
  // A few at a time, again and again: what is resident grows once and stays, and must not have grown yet.
  for (let i = 0; i < 40; i++) {
    await startAll(25)
    await stopAll()
  }
  const before = await memory()
  const resources = timers()
  const started = await startAll(pipelines)
  const during = await memory()
  const stopped = await stopAll()
  const after = await memory()
  const each = (value: number): number => round(value / pipelines)
  return {
    heapKiB: each(during.heap - before.heap),
    rssKiB: each(during.rss - before.rss),
    startUs: each(started / 1000),
    stopUs: each(stopped / 1000),
    left: each(Math.max(0, after.heap - before.heap)),
    leftTimers: Math.max(0, timers() - resources)
  }
}
