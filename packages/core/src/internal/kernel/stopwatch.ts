import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Startup } from "../../PipelineObserver.ts"
import type { Node } from "./node.ts"

/** Takes the time of a task's start: all set-ups at once, then `StartFrame` from processor to processor. */
export class Stopwatch {
  private readonly clock: Clock.Clock
  private readonly since: number
  private readonly origin: number
  private mark = 0
  private readonly setups = new Map<Node, number>()
  private readonly starts = new Map<Node, number>()

  constructor(clock: Clock.Clock) {
    this.clock = clock
    this.since = clock.currentTimeMillisUnsafe()
    this.origin = this.now()
  }

  private now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6
  }

  /** The set-up of one processor. */
  timed<E, R>(node: Node, setup: Effect.Effect<void, E, R>): Effect.Effect<void, E, R> {
    return Effect.suspend(() => {
      const from = this.now()
      return Effect.map(setup, () => void this.setups.set(node, this.now() - from))
    })
  }

  /** `StartFrame` sets out. */
  start(): void {
    this.mark = this.now()
  }

  /** `StartFrame` has been told to a processor, after those before it. */
  readonly told = (node: Node): void => {
    const before = this.mark
    this.mark = this.now()
    this.starts.set(node, this.mark - before)
  }

  result(processors: ReadonlyArray<Node>): Startup {
    return {
      since: this.since,
      milliseconds: this.now() - this.origin,
      processors: processors.map((node) => ({
        processor: node.name,
        setupMillis: this.setups.get(node) ?? 0,
        startMillis: this.starts.get(node) ?? 0
      }))
    }
  }
}
