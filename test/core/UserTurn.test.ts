import { payload } from "@apipeline/core/testing"
import * as UserTurn from "@apipeline/core/UserTurn"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { inWords, trace } from "../utils/turns.ts"

const { strictEqual } = assert

describe("UserTurn", () => {
  it.effect("the order of a turn", () =>
    Effect.gen(function*() {
      const out = yield* trace(UserTurn.make(), "S T 100 E 1000")
      strictEqual(out.trace, "S user ! T 100 E 600 /user")
      strictEqual(inWords(out.up), "user ! /user")
      strictEqual(payload(out.down).length, 5)
    }))
})
