import type { Check } from "@apipeline/core/testing/Contract"
import { describe, it } from "@effect/vitest"

/** Runs every check that applies: in virtual time, or with what is real. */
export const contract = <Subject>(
  name: string,
  checks: ReadonlyArray<Check<Subject>>,
  subject: Subject,
  options: {
    readonly time: "virtual" | "real"
    /** Milliseconds of real time for each. */
    readonly timeout?: number
  }
): void => {
  const test = options.time === "virtual" ? it.effect : it.live
  describe(`${name}: contract`, () => {
    for (const check of checks) if (check.applies(subject)) test(check.name, () => check.run(subject), options.timeout)
  })
}
