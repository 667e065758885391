import type * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"

/** How services are tried again: after a while, and once more after twice as long. */
export const retryTwice = (first: Duration.Input): Schedule.Schedule<unknown> =>
  Schedule.upTo(Schedule.exponential(first), { times: 2 })
