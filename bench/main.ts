/** `npm run bench`, or with the peers in other languages `npm run bench:peers`: see README.md. */
import { execFile } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { setUpPeers } from "./peers/setup.ts"
import { plot } from "./plot.ts"
import type { Line } from "./protocol.ts"
import { report } from "./report.ts"
import { collect, type Result, Results } from "./results.ts"
import { setUp } from "./setup.ts"
import { type Case, cases } from "./tables.ts"

const { values: flags } = parseArgs({
  options: {
    peers: { type: "boolean", default: false },
    only: { type: "string" },
    samples: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

const usage = `node bench/main.ts [options]
  --peers      also pipeline-go, pipeline-py and pipecat (installs them into bench/.scratch)
  --only w1,w3 these workloads
  --samples n  processes for each figure (5); the median counts
  --quick      one sample of the main sizes: under a minute, and rough
  --json       prints the results as JSON instead of tables
A complete run is saved in bench/results/, any other in bench/.scratch/.`

if (flags.help) {
  console.log(usage)
  process.exit(0)
}

const here = fileURLToPath(new URL(".", import.meta.url))
const say = (line: string): void => console.error(line)

const node = (file: string, ...args: Array<string>): ReadonlyArray<string> => [
  process.execPath,
  `${here}systems/${file}.ts`,
  ...args
]

const files: Record<string, string> = {
  apipeline: "apipeline",
  plain: "plain",
  effect: "effect",
  rxjs: "rxjs",
  "node-transform": "nodeStream",
  "web-streams": "webStream",
  livekit: "livekit"
}

const peers = new Map<string, { readonly command?: ReadonlyArray<string>; readonly missing?: string }>()

const commandOf = (system: string): ReadonlyArray<string> | undefined => {
  const peer = peers.get(system)
  if (peer !== undefined) return peer.command
  if (files[system] !== undefined) return node(files[system])
  return system.startsWith("pipe") ? undefined : node("serializers", system)
}

/** What takes its time gets less of it in a quick run. */
const quickly: Record<string, (variant: string) => ReadonlyArray<string>> = {
  w6: (variant) => [variant, "--frames", "160"],
  w8: () => ["2000", "--frames", "2000"]
}

const run = ({ system, variant, workload }: Case): Promise<Line | string> =>
  new Promise((resolve) => {
    const [command = "", ...args] = commandOf(system)!
    const rest = flags.quick ? quickly[workload]?.(variant) ?? [variant] : [variant]
    execFile(command, [...args, workload, ...rest], { timeout: 300_000 }, (error, stdout, stderr) => {
      try {
        if (error !== null) throw error
        resolve({ ...JSON.parse(stdout) as Line, variant })
      } catch {
        const why = /^\w*Error.*/m.exec(stderr)?.[0] ?? error?.message ?? stdout
        resolve(/ERR_MODULE_NOT_FOUND|Cannot find/.test(why) ? "not installed" : why.slice(0, 200))
      }
    })
  })

const samples = flags.quick ? 1 : Number(flags.samples ?? 5)
const only = flags.only?.toLowerCase().split(",")

setUp()
if (flags.peers) { for (const peer of await setUpPeers(`${here}.scratch`, say)) peers.set(peer.system, peer) }

const wanted = cases(samples, flags.quick).filter(({ system, workload }) =>
  (only === undefined || only.includes(workload)) && commandOf(system) !== undefined
)
const results: Array<Result> = []
const total = wanted.reduce((sum, case_) => sum + case_.samples, 0)
const begin = performance.now()
let done = 0
// Samples of all systems by turns: what else the machine does meanwhile meets all of them.
for (let sample = 0; sample < samples; sample++) {
  for (const case_ of wanted) {
    if (sample >= case_.samples || results.some((result) => result.failed !== undefined && same(result, case_))) {
      continue
    }
    const line = await run(case_)
    const name = `${case_.workload} ${case_.system} ${case_.variant}`
    if (typeof line === "string") {
      const { system, variant, workload } = case_
      results.push({ workload, system, variant, values: {}, failed: line })
      say(`${name}: ${line}`)
    } else collect(results, line)
    done++
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${done}/${total} ${name}`)
    else if (done % 50 === 0) say(`${done}/${total} after ${seconds()} s`)
  }
}
if (process.stderr.isTTY) process.stderr.write("\r\x1b[K")

const about = [
  `${new Date().toISOString().slice(0, 10)}, Node ${process.versions.node}, ${process.platform} ${process.arch}, ` +
  `${availableParallelism()} cores; ${samples} ${
    samples === 1 ? "sample" : "samples"
  } of each figure, by turns, each in a process of its own; ` +
  "median (least–most). CPU time is that of the whole process, garbage collector and compiler included; W3, W4 and " +
  "W8 are wall time. Logging is off everywhere. Only ratios of one run mean anything.",
  ...[...peers].flatMap(([system, { missing }]) => missing === undefined ? [] : `Not measured: ${system} (${missing}).`)
]
const all = new Results(results)
const markdown = report(all, about)
const folder = flags.quick || only !== undefined ? `${here}.scratch/` : `${here}results/`
mkdirSync(folder, { recursive: true })
const json = `{\n"about": ${JSON.stringify(about)},\n"results": [\n${
  results.map((r) => JSON.stringify(r)).join(",\n")
}\n]}\n`
writeFileSync(`${folder}latest.json`, json)
writeFileSync(`${folder}latest.md`, markdown)
writeFileSync(`${folder}plot.svg`, plot(all))
console.log(flags.json ? json : markdown)
say(
  `${done} processes in ${seconds()} s; saved in ${folder === `${here}results/` ? "bench/results" : "bench/.scratch"}`
)

function same(a: Pick<Case, "workload" | "system" | "variant">, b: Case): boolean {
  return a.workload === b.workload && a.system === b.system && a.variant === b.variant
}

function seconds(): number {
  return Math.round((performance.now() - begin) / 1000)
}
