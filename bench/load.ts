/** `npm run bench:load`: how many sessions over WebSockets one server process carries. See README.md. */
import { type ChildProcess, fork } from "node:child_process"
import { writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { monitorEventLoopDelay } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { Histogram } from "./load/histogram.ts"
import type { FromClients, FromServer, Load, Memory, Order, Traffic, Turns } from "./load/messages.ts"

const usage = `node bench/load.ts [options]
  --sessions n|search  so many (search: as many as keep the target)
  --seconds s          how long each load is measured, after a warm-up as long (10)
  --processes n        that the clients are in (as many as there are other cores, at most 4)
  --rounds n           a number is too much when it fails so many times (3)
  --json               prints the results as JSON
A search is saved in bench/results/load.md and load.json.`

const { values: flags } = parseArgs({
  options: {
    sessions: { type: "string", default: "search" },
    seconds: { type: "string", default: "10" },
    processes: { type: "string" },
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

if (flags.help) {
  console.log(usage)
  process.exit(0)
}

const wrong = (text: string): never => {
  console.error(`${text}\n${usage}`)
  process.exit(2)
}

const integer = (flag: string, text: string, maximum: number): number => {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= maximum) return value
  return wrong(`--${flag}: found ${text}, expected an integer from 1 to ${maximum}`)
}

/** The target: added latency in milliseconds that 99 of 100 frames keep. */
const target = 30
/** Clients that send later than that (the 99th percentile, in milliseconds) are the ones that are measured. */
const tolerableLateness = 15
/** Milliseconds between two looks at how late the event loop is. */
const resolution = 2
const mostSessions = 10_000
const seconds = integer("seconds", flags.seconds, 600)
/** The compiler takes its time, the more so the fewer sessions there are. */
const warmUp = 1000 * Math.max(3, seconds)
const rounds = integer("rounds", flags.rounds, 100)
const processes = flags.processes === undefined
  ? Math.max(1, Math.min(4, availableParallelism() - 1))
  : integer("processes", flags.processes, 16)

const say = (line: string): void => console.error(line)
const here = fileURLToPath(new URL("./load/", import.meta.url))

// ---------------------------------------------------------------------------------------------------------------------
// processes
// ---------------------------------------------------------------------------------------------------------------------

/** A process that is told what to do, and answers. It is killed when the test ends, however that is. */
class Part<Answer extends { readonly is: string }> {
  private readonly child: ChildProcess
  private readonly answers: Array<Answer> = []
  private wake: (() => void) | undefined
  private ended: string | undefined

  constructor(file: string, args: ReadonlyArray<number>, execArgv: ReadonlyArray<string> = []) {
    this.child = fork(`${here}${file}`, args.map(String), { execArgv: [...execArgv] })
    this.child.on("message", (answer) => {
      this.answers.push(answer as Answer)
      this.wake?.()
    })
    this.child.on("exit", (code, signal) => {
      this.ended = `${file} has ended (${signal ?? code})`
      this.wake?.()
    })
  }

  tell(order: Order): void {
    if (this.child.connected) this.child.send(order)
  }

  async answer<Is extends Answer["is"]>(is: Is, milliseconds: number): Promise<Extract<Answer, { readonly is: Is }>> {
    const end = performance.now() + milliseconds
    for (;;) {
      const [answer] = this.answers
      if (answer?.is === is) return this.answers.shift() as Extract<Answer, { readonly is: Is }>
      if (answer !== undefined) throw new Error(JSON.stringify(answer))
      if (this.ended !== undefined) throw new Error(this.ended)
      const left = end - performance.now()
      if (left <= 0) throw new Error(`no answer within ${milliseconds} ms: expected ${is}`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  async left(milliseconds: number): Promise<void> {
    for (const end = performance.now() + milliseconds; this.ended === undefined && performance.now() < end;) {
      await sleep(10)
    }
  }

  kill(): void {
    this.child.kill("SIGKILL")
  }
}

const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })

/** Below the range that systems give to clients. */
const anyPort = (): number => 20_000 + Math.floor(Math.random() * 11_999)

const startServer = async () => {
  for (let attempt = 1;; attempt++) {
    const port = anyPort()
    const server = new Part<FromServer>("server.ts", [port], ["--expose-gc"])
    try {
      const { memory } = await server.answer("listening", 20_000)
      return { server, port, idle: memory }
    } catch (error) {
      server.kill()
      if (attempt === 5) throw error
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// one load
// ---------------------------------------------------------------------------------------------------------------------

interface Outcome {
  readonly sessions: number
  readonly seconds: number
  /** Milliseconds. */
  readonly latency: Quantiles
  readonly lateness: Quantiles
  readonly traffic: Omit<Traffic, "latency" | "lateness">
  /** What the server needed while the load was measured. */
  readonly load: Load
  /** Bytes of a session: what the program holds, what the process takes. */
  readonly perSession: { readonly held: number; readonly rss: number }
  /**
   * Milliseconds that this process was late meanwhile, which does nothing but wait: if that is much, the machine has
   * other things to do, and the figures are not those of the server. The 99th percentile.
   */
  readonly machine: number
  /** When all have left: sessions, and bytes that are still held for each that there was. */
  readonly after: { readonly clients: number; readonly held: number; readonly turns: Turns }
  /** Nothing, or what it did not keep. */
  readonly missed: ReadonlyArray<string>
}

interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

const quantiles = (histogram: Histogram): Quantiles => ({
  p50: histogram.quantile(0.5),
  p99: histogram.quantile(0.99),
  p999: histogram.quantile(0.999),
  max: histogram.quantile(1)
})

const counts = [
  "sent",
  "received",
  "interruptions",
  "unconfirmed",
  "cut",
  "lost",
  "stale",
  "duplicated",
  "reordered",
  "damaged",
  "closed"
] as const

const faults = ["lost", "stale", "duplicated", "reordered", "damaged", "unconfirmed", "closed"] as const

const measure = async (sessions: number): Promise<Outcome> => {
  const { idle, port, server } = await startServer()
  const parts: Array<Part<FromClients>> = []
  const everybody = (order: Order): void => {
    for (const part of parts) part.tell(order)
  }
  try {
    for (let i = 0, first = 0; i < processes; i++) {
      const share = Math.floor((sessions + i) / processes)
      if (share > 0) parts.push(new Part<FromClients>("clients.ts", [port, share, first]))
      first += share
    }
    await Promise.all(parts.map((part) => part.answer("connected", 60_000)))
    await sleep(warmUp)
    const machine = monitorEventLoopDelay({ resolution })
    server.tell({ do: "begin" })
    everybody({ do: "begin" })
    machine.enable()
    await sleep(seconds * 1000)
    machine.disable()
    server.tell({ do: "end" })
    // the server collects its garbage now: that is not part of what is measured
    const { load } = await server.answer("busy", 30_000)
    everybody({ do: "end" })
    const reports = await Promise.all(parts.map((part) => part.answer("done", 30_000)))
    // nobody says anything for so long: speech has its end before the session has
    await sleep(1500)
    everybody({ do: "close" })
    await Promise.all(parts.map((part) => part.left(10_000)))
    await sleep(1000)
    server.tell({ do: "close" })
    const gone = await server.answer("gone", 10_000)
    const late = Math.max(0, machine.percentile(99) / 1e6 - resolution)
    return outcome(sessions, idle, load, reports.map(({ traffic }) => traffic), gone, late)
  } finally {
    for (const part of [server, ...parts]) part.kill()
  }
}

const outcome = (
  sessions: number,
  idle: Memory,
  load: Load,
  all: ReadonlyArray<Traffic>,
  gone: Extract<FromServer, { is: "gone" }>,
  machine: number
): Outcome => {
  const [latency, lateness] = [new Histogram(), new Histogram()]
  for (const traffic of all) {
    latency.add(traffic.latency)
    lateness.add(traffic.lateness)
  }
  const sums = Object.fromEntries(
    counts.map((key) => [key, all.reduce((sum, traffic) => sum + traffic[key], 0)])
  ) as Record<(typeof counts)[number], number>
  const missed = faults.filter((key) => sums[key] > 0).map((key) => `${sums[key]} ${key}`)
  const late = latency.quantile(0.99)
  if (late > target) missed.push(`p99 ${late} ms`)
  if (load.sessions !== sessions) missed.push(`${load.sessions} of ${sessions} sessions`)
  if (gone.clients > 0) missed.push(`${gone.clients} sessions left`)
  if (gone.turns.started !== gone.turns.stopped) missed.push("a beginning of speech without its end")
  if (sessions > 0 && gone.turns.started === 0) missed.push("no speech detected")
  const slow = lateness.quantile(0.99)
  if (slow > tolerableLateness) missed.push(`the clients are ${slow} ms late: they are measured, not the server`)
  return {
    sessions,
    seconds,
    latency: quantiles(latency),
    lateness: quantiles(lateness),
    traffic: { ...sums, why: all.find(({ why }) => why !== undefined)?.why },
    load,
    perSession: {
      held: (load.memory.held - idle.held) / sessions,
      rss: (load.memory.rss - idle.rss) / sessions
    },
    machine,
    after: { clients: gone.clients, held: (gone.memory.held - idle.held) / sessions, turns: gone.turns },
    missed
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// search
// ---------------------------------------------------------------------------------------------------------------------

const all: Array<Outcome> = []

const brief = (value: number, digits = 1): string => value.toFixed(digits)

const tryOut = async (sessions: number): Promise<Outcome> => {
  const found = await measure(sessions)
  all.push(found)
  const { latency, load, machine, missed } = found
  say(
    `${sessions} sessions: p99 ${brief(latency.p99)} ms, CPU ${brief(load.cpu, 2)}, lag p99 ${
      brief(load.lag.p99)
    } ms, waited for a core ${load.waited === undefined ? "?" : brief(100 * load.waited, 0)} %, an idle process ${
      brief(machine)
    } ms: ${missed.length === 0 ? "kept" : missed.join(", ")}`
  )
  return found
}

/** Whatever else the machine does for a moment must not decide: a size counts as too many when all rounds fail. */
const keeps = async (sessions: number): Promise<boolean> => {
  for (let round = 0; round < rounds; round++) if ((await tryOut(sessions)).missed.length === 0) return true
  return false
}

/** Doubles until it is too much, then halves the interval down to a tenth. */
const search = async (): Promise<void> => {
  let good = 0
  let bad = 50
  while (bad <= mostSessions && await keeps(bad)) [good, bad] = [bad, 2 * bad]
  if (bad > mostSessions) return
  while (bad - good > Math.max(5, good / 10)) {
    const middle = Math.round((good + bad) / 2)
    if (await keeps(middle)) good = middle
    else bad = middle
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// report
// ---------------------------------------------------------------------------------------------------------------------

const kib = (bytes: number): string => `${Math.round(bytes / 1024)} KiB`

const report = ({ after, lateness, latency, load, machine, missed, perSession, sessions, traffic }: Outcome): string =>
  [
    `${sessions} sessions for ${seconds} s${missed.length === 0 ? "" : `; missed: ${missed.join(", ")}`}`,
    `added latency     p50 ${brief(latency.p50)}, p99 ${brief(latency.p99)}, p99.9 ${brief(latency.p999)}, most ${
      brief(latency.max)
    } ms`,
    `frames            ${traffic.sent} sent, ${traffic.received} came back, ${traffic.cut} cut by ${traffic.interruptions} interruptions`,
    `                  ${faults.map((key) => `${traffic[key]} ${key}`).join(", ")}${
      traffic.why === undefined ? "" : ` (${traffic.why})`
    }`,
    `server            ${brief(load.cpu, 2)} cores of CPU, ${
      brief(1000 * load.cpu / sessions, 2)
    } ms a second each; event loop busy ${brief(100 * load.utilization, 0)} %, late p50 ${brief(load.lag.p50)}, p99 ${
      brief(load.lag.p99)
    }, most ${brief(load.lag.max)} ms`,
    `memory a session  ${kib(perSession.held)} held, ${kib(perSession.rss)} of the process; ${
      kib(after.held)
    } held when all have left`,
    `clients           late p50 ${brief(lateness.p50)}, p99 ${brief(lateness.p99)} ms; an idle process: p99 ${
      brief(machine)
    } ms`
  ].join("\n")

if (flags.sessions === "search") await search()
else await tryOut(integer("sessions", flags.sessions, mostSessions))

const best = all.filter(({ missed }) => missed.length === 0).sort((a, b) => b.sessions - a.sessions)[0]
const shown = best ?? all.at(-1)!

// one thread does all the work; others collect garbage
const conclusion = ({ load: { cpu }, sessions }: Outcome): string =>
  `sessions per core  ${sessions} that kept the target, ${Math.floor(sessions / cpu)} by CPU time`

const row = ({ latency, load, machine, missed, sessions, traffic }: Outcome): string =>
  `| ${
    [
      sessions,
      brief(latency.p50),
      brief(latency.p99),
      `${traffic.lost} / ${traffic.stale}`,
      brief(load.cpu, 2),
      brief(1000 * load.cpu / sessions, 1),
      load.waited === undefined ? "–" : `${brief(100 * load.waited, 0)} %`,
      brief(machine),
      missed.length === 0 ? "kept" : missed.join(", ")
    ].join(" | ")
  } |`

const columns = [
  "sessions",
  "p50, ms",
  "p99, ms",
  "lost / stale",
  "CPU, cores",
  "CPU of one, ms/s",
  "waited for a core",
  "idle process late, ms",
  `target: p99 ${target} ms, nothing lost`
]

const save = (best: Outcome): void => {
  const date = new Date().toISOString().slice(0, 10)
  const text = `# Sessions over WebSockets

${date}, Node ${process.versions.node}, ${process.platform} ${process.arch}, ${availableParallelism()} cores, on which the clients run, too; ${seconds} s each, after a warm-up. \`npm run bench:load\`, see [README.md](../README.md).

\`\`\`text
${report(best)}

${conclusion(best)}
\`\`\`

Every load that was tried, in order:

| ${columns.join(" | ")} |
|${" -- |".repeat(columns.length)}
${all.map(row).join("\n")}
`
  writeFileSync(`${here}../results/load.md`, text)
  const json = { date, node: process.versions.node, cores: availableParallelism(), target, seconds, best, all }
  writeFileSync(`${here}../results/load.json`, `${JSON.stringify(json, undefined, 2)}\n`)
}

if (flags.json) console.log(JSON.stringify({ node: process.versions.node, target, best, all }, undefined, 2))
else console.log(best === undefined ? report(shown) : `${report(shown)}\n\n${conclusion(best)}`)
if (flags.sessions === "search" && best !== undefined) save(best)
process.exit(best === undefined ? 1 : 0)
