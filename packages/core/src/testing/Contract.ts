/**
 * What the contract suites of this package have in common: a check, how it fails, and how it waits.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"

/**
 * An implementation does not do what it has to.
 *
 * @example
 * ```ts
 * import * as Contract from "@apipeline/core/testing/Contract"
 *
 * new Contract.ContractViolation({ what: "voices", found: "0", expected: "at least 1" }).message
 * // => "voices: found 0, expected at least 1"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ContractViolation extends Schema.TaggedError<ContractViolation>()("ContractViolation", {
  what: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.what}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * One thing that an implementation has to do. It fails with a {@link ContractViolation} when it does not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check<in Subject> {
  readonly name: string
  /** Whether the subject can do what is checked. */
  readonly applies: (subject: Subject) => boolean
  readonly run: (subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>
}

const show = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value) ?? "nothing"

/**
 * Fails unless both values look the same as JSON.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as Contract from "@apipeline/core/testing/Contract"
 *
 * const error = Effect.runSync(Effect.flip(Contract.expect("voices", [], ["slt"])))
 * error.message // => "voices: found [], expected [\"slt\"]"
 * ```
 *
 * @category checking
 * @since 0.1.0
 */
export const expect = (what: string, found: unknown, expected: unknown): Effect.Effect<void, ContractViolation> =>
  expectThat(what, show(found) === show(expected), found, show(expected))

/**
 * Fails unless a condition holds.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as Contract from "@apipeline/core/testing/Contract"
 *
 * const error = Effect.runSync(Effect.flip(Contract.expectThat("rate", false, 0, "more than 0")))
 * error.message // => "rate: found 0, expected more than 0"
 * ```
 *
 * @category checking
 * @since 0.1.0
 */
export const expectThat = (
  what: string,
  holds: boolean,
  found: unknown,
  expected: string
): Effect.Effect<void, ContractViolation> =>
  holds ? Effect.void : Effect.fail(new ContractViolation({ what, found: show(found), expected }))

/**
 * Lets time pass: virtual time where there is a `TestClock`, else real time.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as Contract from "@apipeline/core/testing/Contract"
 *
 * const later = Effect.andThen(Contract.pass("1 second"), Effect.log("a second later, by whatever clock there is"))
 * ```
 *
 * @category waiting
 * @since 0.1.0
 */
export const pass = (duration: Duration.Input): Effect.Effect<void> =>
  Clock.clockWith((clock) => "adjust" in clock ? TestClock.adjust(duration) : Effect.sleep(duration))

/**
 * Lets time pass until something is so.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as Contract from "@apipeline/core/testing/Contract"
 *
 * let done = false
 * const waiting = Effect.as(Contract.until("done", () => done), "it is")
 * setTimeout(() => (done = true), 10)
 * await Effect.runPromise(waiting) // => "it is"
 * ```
 *
 * @category waiting
 * @since 0.1.0
 */
export const until = (
  what: string,
  condition: () => boolean,
  /** Default: 5 seconds. */
  timeout: Duration.Input = "5 seconds"
): Effect.Effect<void, ContractViolation> =>
  Effect.gen(function*() {
    for (let left = Duration.toMillis(timeout); !condition(); left -= 5) {
      if (left <= 0) {
        return yield* Effect.fail(new ContractViolation({ what, found: "nothing", expected: "it to happen" }))
      }
      yield* Effect.yieldNow
      yield* pass("5 millis")
    }
  })

/**
 * Runs an Effect and lets time pass until it is done.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as Contract from "@apipeline/core/testing/Contract"
 *
 * const slow = Effect.as(Effect.sleep("20 millis"), "done")
 * await Effect.runPromise(Contract.drive("slow", slow)) // => "done"
 * ```
 *
 * @category waiting
 * @since 0.1.0
 */
export const drive = <A, E, R>(
  what: string,
  effect: Effect.Effect<A, E, R>,
  /** Default: 30 seconds. */
  timeout: Duration.Input = "30 seconds"
): Effect.Effect<A, E | ContractViolation, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    yield* until(what, () => fiber.pollUnsafe() !== undefined, timeout)
    return yield* Fiber.join(fiber)
  })
