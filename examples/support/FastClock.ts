/** A clock that runs faster than the world: what waits waits less, and what is computed takes as long as it takes. */
import { Clock, Duration, Effect, Layer } from "effect"

/** 4 makes a minute of 15 seconds. */
export const layer = (factor: number): Layer.Layer<never> =>
  Layer.effect(
    Clock.Clock,
    Effect.map(Clock.Clock, (clock): Clock.Clock => {
      const start = clock.currentTimeMillisUnsafe()
      const startNanos = clock.monotonicTimeNanosUnsafe()
      const millis = (): number => start + (clock.currentTimeMillisUnsafe() - start) * factor
      const nanos = (): bigint =>
        startNanos + BigInt(Math.round(Number(clock.monotonicTimeNanosUnsafe() - startNanos) * factor))
      const unixNanos = (): bigint => BigInt(Math.round(millis() * 1e6))
      return {
        currentTimeMillisUnsafe: millis,
        currentTimeMillis: Effect.sync(millis),
        currentTimeNanosUnsafe: unixNanos,
        currentTimeNanos: Effect.sync(unixNanos),
        monotonicTimeNanosUnsafe: nanos,
        monotonicTimeNanos: Effect.sync(nanos),
        sleep: (duration) => clock.sleep(Duration.millis(Duration.toMillis(duration) / factor))
      }
    })
  )
