import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { checked, examples, exported } from "./utils/documentation.ts"
import { dependency, node, root } from "./utils/run.ts"

/** The examples of the documentation are programs, each in a file of its own, outside the workspace, as a user has it. */
describe("documentation", () => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-docs-"))
  const all = examples()
  const write = (file: string, content: string) => fs.writeFileSync(path.join(folder, file), content)

  beforeAll(() => {
    fs.symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"), "junction")
    write("package.json", JSON.stringify({ type: "module" }))
  })

  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

  it("every public export says what it is for, in which category, since when and, if it is a value, by an example", () => {
    const lacking = exported().flatMap(({ documentation = "", isValue, place }) =>
      [
        documentation === "" ? "a docstring" : "",
        documentation.includes("@category ") ? "" : "@category",
        documentation.includes("@since ") ? "" : "@since",
        !isValue || documentation.includes("```ts") ? "" : "an example"
      ].filter((what) => what !== "").map((what) => `${place}: ${what}`)
    )
    assert.deepStrictEqual(lacking, [])
  })

  it("every example compiles", () => {
    fs.mkdirSync(path.join(folder, "types"))
    for (const { code, id } of all) write(`types/${id}.ts`, code)
    write(
      "tsconfig.json",
      JSON.stringify({
        extends: path.join(root, "tsconfig.base.json"),
        compilerOptions: {
          types: ["node"],
          rootDir: "/",
          noEmit: true,
          composite: false,
          declarationMap: false,
          allowImportingTsExtensions: true,
          rewriteRelativeImportExtensions: false,
          noUnusedLocals: false,
          noUnusedParameters: false
        },
        include: ["types"]
      })
    )
    node([dependency("typescript/bin/tsc"), "-p", folder, "--pretty", "false"], { cwd: folder })
  }, 60_000)

  it("every value behind // => is what comes out", () => {
    const programs = all.flatMap((example) => {
      const code = checked(example)
      return code === undefined ? [] : [{ ...example, code }]
    })
    assert.isAbove(programs.length, 200)
    fs.mkdirSync(path.join(folder, "values"))
    for (const { code, id } of programs) write(`values/${id}.ts`, code)
    write(
      "main.ts",
      `import { deepStrictEqual } from "node:assert"
const failures: Array<string> = []
let place = ""
Object.assign(globalThis, {
  expectValue: (found: unknown, expected: () => unknown, expression: string) => {
    try {
      deepStrictEqual(found, expected())
    } catch (error) {
      failures.push(\`\${place}: \${expression}\\n\${String(error)}\`)
    }
  }
})
const programs: ReadonlyArray<readonly [file: string, place: string]> = ${
        JSON.stringify(programs.map(({ id, place }) => [`./values/${id}.ts`, place]))
      }
for (const [file, where] of programs) {
  place = where
  const late = new Promise((_, reject) => setTimeout(reject, 5000, new Error("still running after 5 s")).unref())
  await Promise.race([import(file), late]).catch((error) => failures.push(\`\${where}: \${error.stack}\`))
}
console.log(JSON.stringify(failures))
process.exit()
`
    )
    assert.deepStrictEqual(JSON.parse(node(["main.ts"], { cwd: folder }).trim().split("\n").at(-1)!), [])
  }, 60_000)
})
