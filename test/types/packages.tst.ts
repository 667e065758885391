import * as core from "@apipeline/core"
import type * as Frame from "@apipeline/core/Frame"
import { expect, test } from "tstyche"

test("a module is the same by namespace and by path", () => {
  expect(core.Frame).type.toBe<typeof Frame>()
})

test("internal modules are out of reach", () => {
  expect<typeof core>().type.not.toHaveProperty("internal")
})
