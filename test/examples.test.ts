import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { expect } from "vitest"
import { node, root } from "./utils/run.ts"

/** An example whose output is always the same has it in `<name>.expected.txt` (`npm test -- -u` writes it anew). */
const suffix = ".expected.txt"
const examples = fs.readdirSync(path.join(root, "examples"))
const expected = examples.filter((file) => file.endsWith(suffix))

describe("examples", () => {
  it("every expected output is that of an example", () => {
    for (const file of expected) assert.include(examples, file.replace(suffix, ".ts"))
  })

  it.each(expected)("%s", async (file) => {
    const output = node([path.join("examples", file.replace(suffix, ".ts"))])
    await expect(output).toMatchFileSnapshot(path.join(root, "examples", file))
  }, 60_000)
})
