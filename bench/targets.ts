/** What we want to reach. Every ratio is of medians of one run. */
import type { Workload } from "./protocol.ts"
import type { Results } from "./results.ts"

export interface Verdict {
  readonly target: string
  readonly found: string
  /** Absent when something was not measured. */
  readonly met: boolean | undefined
}

export const show = (value: number): string => {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2
  return value.toLocaleString("en", { maximumFractionDigits: digits })
}

/** Of ours: what, in which variant, how it is called there. */
type Figure = readonly [workload: Workload, variant: string, key: string]

export const verdicts = (results: Results): ReadonlyArray<Verdict> => {
  const all: Array<Verdict> = []

  const median = (system: string, [workload, variant, key]: Figure): number | undefined =>
    results.summary(workload, system, variant, key)?.median

  const add = (target: string, value: number | undefined, met: (value: number) => boolean, found: string): void => {
    const measured = value !== undefined
    all.push({ target, met: measured ? met(value) : undefined, found: measured ? found : "not measured" })
  }

  const atMost = (what: string, figure: Figure, limit: number, unit: string): void => {
    const value = median("apipeline", figure)
    add(`${what}: at most ${show(limit)}${unit}`, value, (value) => value <= limit, `${show(value ?? 0)}${unit}`)
  }

  const atLeast = (what: string, figure: Figure, limit: number): void => {
    const value = median("apipeline", figure)
    add(`${what}: at least ${show(limit)}`, value, (value) => value >= limit, show(value ?? 0))
  }

  /** `costs`: ours over theirs is at most the limit; `faster`: we are so many times as fast; both by CPU time. */
  const against = (
    what: string,
    system: string,
    figure: Figure,
    kind: "costs" | "faster",
    limit: number
  ): void => {
    const cost = (value: number): number => figure[2].endsWith("PerSec") ? 1 / value : value
    const ours = median("apipeline", figure)
    const theirs = median(system, figure)
    const factor = ours === undefined || theirs === undefined ? undefined : cost(ours) / cost(theirs)
    const ratio = factor === undefined || kind === "costs" ? factor : 1 / factor
    const met = (ratio: number): boolean => kind === "costs" ? ratio <= limit : ratio >= limit
    const words = kind === "costs" ? `at most ${limit}× the cost of` : `at least ${limit}× as fast as`
    add(`${what}: ${words} ${system}`, ratio, met, `${show(ratio ?? 0)}×`)
  }

  for (const n of ["10", "100"]) {
    const hop: Figure = ["w1", n, "nsPerHop"]
    const what = `W1, ${n} \`sync\``
    against(what, "plain", hop, "costs", 2.5)
    against(what, "pipeline-go", hop, "faster", 3)
    against(what, "pipeline-py", hop, "faster", 100)
    against(what, "pipecat", hop, "faster", 400)
  }
  atMost("W1, 10 `effect`", ["w1", "effect-10", "nsPerHop"], 150, " ns a hop")

  const queue: Figure = ["w2", "10", "nsPerHop"]
  atMost("W2, 10 `queued`", queue, 80, " ns a hop")
  against("W2, 10 `queued`", "pipeline-go", queue, "faster", 15)
  against("W2, 10 `queued`", "pipecat", queue, "faster", 200)
  against("W2, 10 `queued`", "livekit", queue, "faster", 20)
  against("W2, 10 `queued`", "node-transform", queue, "faster", 1)

  atMost("W3, 10 `queued`, p50", ["w3", "queued", "p50us"], 12, " µs")
  atMost("W3, 10 `queued`, p99", ["w3", "queued", "p99us"], 60, " µs")

  atMost("W4, new frame through", ["w4", "queued", "newFrameMs"], 2, " ms")
  atMost("W4, stale frames", ["w4", "queued", "stale"], 0, "")
  const copies = median("apipeline", ["w4", "queued", "copies"])
  add("W4, interruption frames: exactly 1", copies, (copies) => copies === 1, String(copies))

  atMost("W5, 10 `queued`, idle", ["w5", "queued", "heapKiB"], 60, " KiB of heap")
  atMost("W5, start", ["w5", "queued", "startUs"], 150, " µs")
  atMost("W5, stop", ["w5", "queued", "stopUs"], 150, " µs")
  atMost("W5, what is left of it", ["w5", "queued", "left"], 1, " KiB")
  atMost("W5, timers left", ["w5", "queued", "leftTimers"], 0, "")

  for (const payload of ["text", "audio"]) {
    for (const [key, word] of [["encPerSec", "encode"], ["decPerSec", "decode"]] as const) {
      const proto: Figure = ["w6", `proto-${payload}`, key]
      against(`W6, protobuf, ${word} ${payload}`, "protobufjs", proto, "faster", 1.2)
      against(`W6, protobuf, ${word} ${payload}`, "pipeline-go", proto, "faster", 1)
      against(`W6, JSON, ${word} ${payload}`, "JSON+base64", ["w6", `json-${payload}`, key], "costs", 2)
    }
  }

  for (const kind of ["inline", "queued"]) {
    against(`W7, ${kind}`, "pipeline-go", ["w7", kind, "usPerFrame"], "faster", 10)
    against(`W7, ${kind}`, "pipecat", ["w7", kind, "usPerFrame"], "faster", 100)
  }

  atLeast("W8, sessions with a p99 within 20 ms", ["w8", "search", "sessions"], 2000)

  for (const [what, variant, key] of growing) {
    const curve = results.curve(variant, key) ?? []
    // The smaller half together: where there is one hop only, a compiler's luck decides.
    const small = curve.slice(0, curve.length >> 1)
    const large = curve.slice(curve.length >> 1)
    const base = small.reduce((sum, { value }) => sum + value, 0) / small.length
    const growth = curve.length === 0 ? undefined : Math.max(...large.map(({ value }) => value)) / base - 1
    const [from, to] = [small, large].map((part) => part.map(({ n }) => show(n)).join(", "))
    const found = `${show((growth ?? 0) * 100)}% (at worst of ${to}, against ${from})`
    add(`W9, ${what}: grows by at most 25%`, growth, (growth) => growth <= 0.25, found)
  }
  return all
}

const growing = [
  ["cost of a hop, with inline processors", "processors", "nsPerHop"],
  ["cost of a hop, with queued processors", "processors-queued", "nsPerHop"],
  ["cost of a hop, with branches", "branches", "nsPerHop"],
  ["cost of a hop, with sessions", "sessions", "nsPerHop"],
  ["memory of a session, with sessions", "sessions", "kib"]
] as const
