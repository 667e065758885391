/** Whether a runner takes one more session. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { monitorEventLoopDelay } from "node:perf_hooks"

/**
 * A runner does not take a session: it has as many as it may have (`sessions`), its event loop is late (`lag`, in
 * milliseconds), or it is about to end (`draining`).
 *
 * @example
 * ```ts
 * import { Cluster } from "@apipeline/node"
 *
 * const error = new Cluster.Refused({ reason: "lag", runner: "10.0.0.7:7700", found: 75, limit: 50 })
 * error.message // => "10.0.0.7:7700 takes no more sessions: lag: found 75, expected less than 50"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused extends Schema.TaggedError<Refused>()("Cluster.Refused", {
  reason: Schema.Literals(["sessions", "lag", "draining"]),
  runner: Schema.String,
  found: Schema.Finite,
  limit: Schema.Finite
}) {
  override get message(): string {
    if (this.reason === "draining") return `${this.runner} takes no more sessions: it is about to end`
    return `${this.runner} takes no more sessions: ${this.reason}: found ${this.found}, expected less than ${this.limit}`
  }
}

export interface Options {
  readonly runner: string
  readonly sessions: number
  /** Milliseconds. */
  readonly lag: number
  readonly currentSessions: () => number
  readonly currentLag: () => number
}

export class Admission {
  readonly options: Options
  /** No new ones. */
  isDraining = false
  /** None at all: those that are here are on their way out. */
  isLeaving = false
  /** Sessions that are being made. */
  starting = 0

  constructor(options: Options) {
    this.options = options
  }

  /** Why a session is not taken, if so. One that has lost its runner is, as long as that is possible. */
  refusal(isNew: boolean): Refused | undefined {
    const { currentLag, currentSessions, lag, runner, sessions } = this.options
    if (this.isLeaving || (this.isDraining && isNew)) {
      return new Refused({ reason: "draining", runner, found: currentSessions(), limit: 0 })
    }
    if (!isNew) return undefined
    const found = currentSessions() + this.starting
    if (found >= sessions) return new Refused({ reason: "sessions", runner, found, limit: sessions })
    const late = currentLag()
    return late >= lag ? new Refused({ reason: "lag", runner, found: late, limit: lag }) : undefined
  }
}

/** How late the event loop is, in milliseconds: the mean of the last whole second. */
export const makeLag: Effect.Effect<() => number, never, Scope.Scope> = Effect.gen(function*() {
  const resolution = 20
  const histogram = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const histogram = monitorEventLoopDelay({ resolution })
      histogram.enable()
      return histogram
    }),
    (histogram) => Effect.sync(() => histogram.disable())
  )
  let lag = 0
  yield* Effect.sync(() => {
    // it measures the time between two timers, of which `resolution` is meant
    if (histogram.count > 0) lag = Math.max(0, histogram.mean / 1e6 - resolution)
    histogram.reset()
  }).pipe(Effect.delay("1 second"), Effect.forever, Effect.forkScoped)
  return () => lag
})
