/**
 * Breaks the kernel in named ways, one at a time, in a copy, and shows that the tests notice each time.
 *
 *     npm run mutations             all of them
 *     npm run mutations -- salvage  those whose name contains a word
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"

interface Mutation {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
}

const internal = (file: string) => `packages/core/src/internal/kernel/${file}.ts`

const mutations: ReadonlyArray<Mutation> = [
  {
    name: "skip the drain: the end does not wait until all is at rest",
    file: internal("kernel"),
    find: "if (this.active === 0) return this.top.down.emit",
    replace: "if (true) return this.top.down.emit"
  },
  {
    name: "forget to await the interrupted handler",
    file: internal("kernel"),
    find: "lane !== asker && lanes.has(lane) && !lane.still",
    replace: "false && lane !== asker && lanes.has(lane) && !lane.still"
  },
  {
    name: "forward the interruption first, cut afterwards",
    file: internal("kernel"),
    find:
      "return this.allowInterruptions ? this.tell(frame, origin, asker, true) : this.tell(frame, origin, asker, false)",
    replace: "const told = this.tell(frame, origin, asker, false); this.tell(frame, origin, asker, true); return told"
  },
  {
    name: "drop the salvage of uninterruptible frames in the mailbox",
    file: internal("lane"),
    find: "      if (this.isKept(item)) kept.push(item)\n      else this.drop(item, \"interrupted\")",
    replace: "      this.drop(item, \"interrupted\")"
  },
  {
    name: "drop the salvage of what a synchronous handler had still to push",
    file: internal("lane"),
    find: "if (killed && left.length > 0) this.salvaged = [...left.toReversed(), ...this.salvaged]",
    replace: "if (killed) void left"
  },
  {
    name: "let all who wait for room in before the first of them goes on",
    file: internal("lane"),
    find: "      const waiter = this.waiters.shift()!\n      this.items.push(waiter.item)\n      settle(waiter)",
    replace: "      const admitted = this.waiters.splice(0, this.mailbox.capacity - this.size)\n" +
      "      for (const waiter of admitted) this.items.push(waiter.item)\n      admitted.forEach(settle)"
  },
  {
    name: "do not hold the lanes while an interruption spreads",
    file: internal("lane"),
    find: "    this.items = kept\n    this.head = 0\n    this.pause()",
    replace: "    this.items = kept\n    this.head = 0\n    this.pauses = 0"
  },
  {
    name: "interrupt the handler that asked for the interruption",
    file: internal("lane"),
    find: "const killed = !asks && !this.guarded",
    replace: "const killed = !this.guarded"
  },
  {
    name: "interrupt handlers of uninterruptible frames",
    file: internal("lane"),
    find: "const killed = !asks && !this.guarded",
    replace: "const killed = !asks"
  },
  {
    name: "run pushes of strangers inline instead of through a mailbox",
    file: internal("port"),
    find: "if (inside !== undefined && inside === this.lane) return",
    replace: "if (true) return"
  },
  {
    name: "make pushes of strangers the plain calls that the lane's own are",
    file: internal("pusher"),
    find: "!self.handling || running.lane !== self.lane",
    replace: "!self.handling"
  },
  {
    name: "hold a synchronous handler's pushes back for room on another edge",
    file: internal("pusher"),
    find: "} else if ((this.blocked & way) !== 0) {",
    replace: "} else if (this.blocked !== 0) {"
  },
  {
    name: "call on past an edge that has become a queue",
    file: internal("kernel"),
    find: "    first.entry = lane\n    this.forget()\n",
    replace: "    first.entry = lane\n"
  },
  {
    name: "see to no end of room in front of a synchronous handler's pushes",
    file: internal("pusher"),
    find: "if (result !== undefined || next.pending !== undefined) self.wait(",
    replace: "if (result !== undefined) self.wait("
  },
  {
    name: "take over from a lane whose handler is still at work",
    file: internal("port"),
    find: "    if (this.busy === undefined) return false\n",
    replace: "    if (true) return false\n"
  },
  {
    name: "de-duplicate for ever, by a global set",
    file: internal("fan"),
    find: "count.entered > 0 ? count.out < count.entered : most === count.left[index]",
    replace: "most === 0"
  },
  {
    name: "let the end go when the first branch has passed it",
    file: internal("fan"),
    find: "if (this.ended.size === this.firsts.length) {",
    replace: "if (this.ended.size === 1) {"
  },
  {
    name: "release a synchronised batch when the first branch is done",
    file: internal("fan"),
    find: "while (this.batches[0]?.missing.size === 0)",
    replace: "while (this.batches.length > 0 && this.batches[0]!.missing.size < this.firsts.length)"
  },
  {
    name: "wait for room while an interruption waits for the handler",
    file: internal("port"),
    find: "return next.entry!.offer(frame, kernel.held || (from !== undefined && from.held))",
    replace: "return next.entry!.offer(frame, kernel.held)"
  },
  {
    name: "swallow failures of handlers",
    file: internal("node"),
    find: "if (Cause.hasInterruptsOnly(cause)) return",
    replace: "if (cause !== undefined) return"
  }
]

const root = path.resolve(import.meta.dirname, "..")
const copy = fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-mutations-"))
process.on("exit", () => fs.rmSync(copy, { recursive: true, force: true }))

const configs = fs.readdirSync(root).filter((name) => /^tsconfig.*\.json$/.test(name))
const parts = ["packages", "test", "examples", "package.json", "vitest.config.ts", ...configs]
for (const name of parts) {
  fs.cpSync(path.join(root, name), path.join(copy, name), {
    recursive: true,
    filter: (file) => !/\/(node_modules|dist)$/.test(file)
  })
}
// The copy has the project's dependencies, and itself for the workspace's packages.
fs.mkdirSync(path.join(copy, "node_modules/@apipeline"), { recursive: true })
for (const name of fs.readdirSync(path.join(root, "node_modules"))) {
  if (name !== "@apipeline") {
    fs.symlinkSync(path.join(root, "node_modules", name), path.join(copy, "node_modules", name))
  }
}
for (const name of ["core", "node"]) {
  fs.symlinkSync(path.join(copy, "packages", name), path.join(copy, "node_modules/@apipeline", name))
}

const suite = [
  "test/core/Processor.test.ts",
  "test/core/Parallel.test.ts",
  "test/core/PipelineTask.test.ts",
  "test/property"
]
const passes = (): boolean =>
  spawnSync(process.execPath, ["node_modules/vitest/vitest.mjs", "run", "--bail=1", ...suite], {
    cwd: copy,
    env: { ...process.env, APIPELINE_RUNS: "400" },
    stdio: process.env["VERBOSE"] === undefined ? "ignore" : "inherit",
    timeout: 120_000
  }).status === 0

const wanted = mutations.filter(({ name }) => process.argv.slice(2).every((word) => name.includes(word)))
console.log("the suite as it is ...")
if (!passes()) throw new Error("the suite fails without any mutation")
let unnoticed = 0
for (const { file, find, name, replace } of wanted) {
  const target = path.join(copy, file)
  const source = fs.readFileSync(target, "utf8")
  if (source.split(find).length !== 2) throw new Error(`${name}: ${file} does not have its place exactly once`)
  fs.writeFileSync(target, source.replace(find, () => replace))
  const noticed = !passes()
  fs.writeFileSync(target, source)
  if (!noticed) unnoticed++
  console.log(`${noticed ? "noticed  " : "UNNOTICED"} ${name}`)
}
console.log(`${wanted.length - unnoticed} passed, ${unnoticed} failed`)
process.exitCode = unnoticed === 0 ? 0 : 1
