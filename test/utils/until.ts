import { Effect } from "effect"

/** Waits until something is so, in real time. */
export const until = <E, R>(
  what: string,
  millis: number,
  condition: Effect.Effect<boolean, E, R>
): Effect.Effect<void, E | Error, R> =>
  Effect.gen(function*() {
    const since = performance.now()
    while (!(yield* condition)) {
      if (performance.now() - since > millis) return yield* Effect.fail(new Error(`not within ${millis} ms: ${what}`))
      yield* Effect.sleep(50)
    }
  })
