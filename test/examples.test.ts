import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { expect } from "vitest"
import { node, root } from "./utils/run.ts"

/** What an example reads is in `<name>.input.txt`; one whose output is always the same has it in `<name>.expected.txt` (`npm test -- -u` writes it anew). */
const suffix = ".expected.txt"
const examples = fs.readdirSync(path.join(root, "examples"))
const expected = examples.filter((file) => file.endsWith(suffix))

describe("examples", () => {
  it("every expected output is that of an example", () => {
    for (const file of expected) assert.include(examples, file.replace(suffix, ".ts"))
  })

  it.each(expected)("%s", async (file) => {
    const name = file.slice(0, -suffix.length)
    const input = path.join(root, "examples", `${name}.input.txt`)
    const output = node([path.join("examples", `${name}.ts`)], {
      input: fs.existsSync(input) ? fs.readFileSync(input, "utf8") : ""
    })
    await expect(output).toMatchFileSnapshot(path.join(root, "examples", file))
  }, 60_000)
})
