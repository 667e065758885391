/** The script of a strict fake: which calls are expected, in which order, and which have come. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** The calls that a fake got are not those of its script. */
export class ScriptViolation extends Error {
  override readonly name = "ScriptViolation"
}

interface Came {
  readonly call: string
  readonly matches: boolean
}

export class FakeScript<Expected> {
  private readonly fake: string
  private readonly expected: ReadonlyArray<Expected>
  private readonly show: (expected: Expected) => string
  private readonly came: Array<Came> = []

  constructor(fake: string, expected: ReadonlyArray<Expected>, show: (expected: Expected) => string) {
    this.fake = fake
    this.expected = expected
    this.show = show
  }

  /** The next call has come. Dies when it is not the one that the script expects. */
  next(call: string, matches: (expected: Expected) => boolean): Effect.Effect<Expected> {
    return Effect.suspend(() => {
      const expected = this.expected[this.came.length]
      const came = { call, matches: expected !== undefined && matches(expected) }
      this.came.push(came)
      return came.matches ? Effect.succeed(expected!) : Effect.die(this.violation())
    })
  }

  /** At the close of the scope: dies when a call was not expected, or when one has not come. */
  readonly verifyAtClose: Effect.Effect<void, never, Scope.Scope> = Effect.addFinalizer(() =>
    Effect.suspend(() =>
      this.came.length === this.expected.length && this.came.every(({ matches }) => matches)
        ? Effect.void
        : Effect.die(this.violation())
    )
  )

  private violation(): ScriptViolation {
    const lines: Array<string> = []
    for (let i = 0; i < Math.max(this.expected.length, this.came.length); i++) {
      const [expected, came] = [this.expected[i], this.came[i]]
      if (came?.matches === true) lines.push(`  ${i + 1}. ${came.call}`)
      else {
        if (expected !== undefined) lines.push(`- ${i + 1}. ${this.show(expected)}`)
        if (came !== undefined) lines.push(`+ ${i + 1}. ${came.call}`)
      }
    }
    return new ScriptViolation(`${this.fake}: expected (-) and found (+) calls differ\n${lines.join("\n")}`)
  }
}

/** `({"language":"de"})`, and nothing where there is nothing to tell. */
export const showOptions = (options: object | undefined): string => {
  const given = Object.entries(options ?? {}).filter(([, value]) => value !== undefined)
  return given.length === 0 ? "" : ` ${JSON.stringify(Object.fromEntries(given))}`
}

/** Whether what was given has what is expected of it. */
export const hasOptions = (given: object | undefined, expected: object | undefined): boolean =>
  Object.entries(expected ?? {}).every(([key, value]) =>
    JSON.stringify((given as Record<string, unknown> | undefined)?.[key]) === JSON.stringify(value)
  )
