/** Options that are durations, in milliseconds; a `TypeError` when one cannot work. */
import * as Duration from "effect/Duration"

const expecting =
  (what: string, isGood: (found: number) => boolean) => (field: string, input: Duration.Input): number => {
    const found = Duration.toMillis(input)
    if (isGood(found)) return found
    throw new TypeError(`${field}: found ${found} ms, expected ${what}`)
  }

export const notNegative = expecting("a duration", (found) => found >= 0)

export const positive = expecting("a duration greater than zero", (found) => found > 0)

export const positiveFinite = expecting(
  "a finite duration greater than zero",
  (found) => found > 0 && found < Infinity
)

export const finiteFrom = (minimum: number) =>
  expecting(`a finite duration of at least ${minimum} ms`, (found) => found >= minimum && found < Infinity)
