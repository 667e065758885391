import * as TransportContract from "@apipeline/core/testing/TransportContract"
import { describe, it } from "@effect/vitest"
import { Effect, type Layer } from "effect"

/** Runs every check that applies: in virtual time, or with what is real. */
export const transportContract = <R = never>(
  name: string,
  subject: TransportContract.Subject<R>,
  options: { readonly time: "virtual" | "real"; readonly layer?: Layer.Layer<R, unknown> }
): void => {
  const test = options.time === "virtual" ? it.effect : it.live
  describe(`${name}: contract`, () => {
    for (const check of TransportContract.checks) {
      if (!check.applies(subject)) continue
      test(check.name, () => {
        const run = check.run(subject)
        return (options.layer === undefined ? run : Effect.provide(run, options.layer)) as Effect.Effect<void, unknown>
      })
    }
  })
}
