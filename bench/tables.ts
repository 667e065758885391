/** What is measured, of whom, and how the results are laid out. */
import type { Workload } from "./protocol.ts"

export interface Column {
  readonly title: string
  /** What takes the place of `*` in a row's variant. */
  readonly size: string
  readonly key: string
}

export interface Row {
  readonly label: string
  readonly system: string
  readonly variant: string
  /** Default: all that the table has. */
  readonly sizes?: ReadonlyArray<string> | undefined
}

export interface Table {
  readonly workload: Workload
  readonly title: string
  readonly columns: ReadonlyArray<Column>
  /** Ours first. */
  readonly rows: ReadonlyArray<Row>
  /** Which column says how many times as much as ours a system takes. Default: none. */
  readonly against?: number | undefined
  readonly more?: "is better" | undefined
  /** Samples, where five would take too long. */
  readonly samples?: number | undefined
  /** Sizes that a quick run leaves out. */
  readonly slow?: ReadonlyArray<string> | undefined
}

const row = (system: string, label: string, variant = "*", sizes?: ReadonlyArray<string>): Row => ({
  system,
  label,
  variant,
  sizes
})

const columns = (sizes: ReadonlyArray<string>, keys: Record<string, string>): ReadonlyArray<Column> =>
  sizes.flatMap((size) => Object.entries(keys).map(([key, title]) => ({ size, key, title: title.replace("*", size) })))

const foreign = (w: Workload, sizes?: ReadonlyArray<string>): ReadonlyArray<Row> => [
  row("pipeline-go", "pipeline-go", "*", sizes),
  row("pipeline-py", "pipeline-py", "*", sizes),
  row("pipecat", "pipecat", "*", sizes),
  ...w === "w2" ? [row("pipecat", "pipecat, default options", "*-defaults", ["10"])] : []
]

const queued = ["queued"]

export const tables: ReadonlyArray<Table> = [
  {
    workload: "w1",
    title: "W1: inline chain of N processors, CPU ns a hop",
    columns: columns(["1", "10", "100"], { nsPerHop: "N = *" }),
    against: 1,
    slow: ["1", "100"],
    rows: [
      row("apipeline", "**apipeline**, `sync`"),
      row("apipeline", "apipeline, `sync`, from the task's queue", "task-*", ["10"]),
      row("apipeline", "apipeline, `effect`, handlers that only push", "effect-*", ["10"]),
      row("apipeline", "apipeline, `effect`, handlers that do something first", "work-*", ["10"]),
      row("plain", "hand-written chain of plain calls"),
      row("plain", "the same, with a handler and a push for each processor", "handlers-*", ["10", "100"]),
      row("plain", "the same, with the bookkeeping of a processor", "base-*", ["10", "100"]),
      row("rxjs", "RxJS `map`", "*", ["10", "100"]),
      row("effect", "Effect `Stream.map`", "*", ["10", "100"]),
      ...foreign("w1")
    ]
  },
  {
    workload: "w2",
    title: "W2: chain of N processors with a queue each, saturated, CPU ns a hop",
    columns: columns(["10", "100"], { nsPerHop: "N = *" }),
    against: 0,
    slow: ["100"],
    rows: [
      row("apipeline", "**apipeline**, `queued`"),
      row("apipeline", "apipeline, `queued`, handlers that return Effects", "effect-*", ["10"]),
      row("plain", "hand-written queue and microtask"),
      row("plain", "the same, with the bookkeeping of a processor", "queuedBase-*"),
      row("effect", "Effect `Queue`, whole batches", "batch-*"),
      row("effect", "Effect `Queue`, one by one", "item-*"),
      row("node-transform", "Node `Transform`"),
      row("web-streams", "WHATWG `TransformStream`"),
      row("livekit", "LiveKit agents, stream nodes"),
      row("rxjs", "RxJS `observeOn(asap)`"),
      ...foreign("w2")
    ]
  },
  {
    workload: "w3",
    title: "W3: one frame at a time through 10 processors, µs",
    columns: columns(["inline", "queued"], { p50us: "* p50", p99us: "* p99" }),
    against: 2,
    rows: [
      row("apipeline", "**apipeline**"),
      row("apipeline", "apipeline, handlers that return Effects", "effect", queued),
      row("plain", "hand-written"),
      row("effect", "Effect `Queue`, one by one", "item", queued),
      row("node-transform", "Node `Transform`", "*", queued),
      row("livekit", "LiveKit agents, stream nodes", "*", queued),
      ...foreign("w3")
    ]
  },
  {
    workload: "w4",
    title: "W4: interruption with 1,000 frames queued before a processor that takes 1 ms each",
    columns: columns(queued, { newFrameMs: "new frame, ms", stale: "stale frames", copies: "interruption frames" }),
    rows: [
      row("apipeline", "**apipeline**"),
      row("plain", "hand-written (clears its queues)"),
      row("effect", "Effect `Queue` (rebuilt)", "item"),
      row("node-transform", "Node `Transform` (rebuilt)"),
      row("livekit", "LiveKit agents, stream nodes (rebuilt)"),
      ...foreign("w4")
    ]
  },
  {
    workload: "w5",
    title: "W5: idle pipelines of 10 queued processors, each",
    columns: columns(queued, {
      heapKiB: "heap KiB",
      rssKiB: "RSS KiB",
      tasks: "tasks",
      startUs: "start, CPU µs",
      stopUs: "stop, CPU µs",
      left: "KiB left"
    }),
    rows: [
      row("apipeline", "**apipeline**"),
      row("plain", "hand-written"),
      row("effect", "Effect `Queue`", "item"),
      row("node-transform", "Node `Transform`"),
      row("livekit", "LiveKit agents, stream nodes"),
      ...foreign("w5")
    ]
  },
  ...(["proto", "json"] as const).map((format): Table => ({
    workload: "w6",
    title: `W6: ${format === "proto" ? "protobuf" : "JSON"}, operations a CPU second`,
    columns: columns([`${format}-text`, `${format}-audio`], { encPerSec: "encode *", decPerSec: "decode *" })
      .map((column) => ({ ...column, title: column.title.replace(`${format}-`, "") })),
    against: 2,
    more: "is better",
    rows: [
      row("apipeline", "**apipeline**"),
      ...format === "proto"
        ? [
          row("protobufjs", "protobufjs, static"),
          row("ts-proto", "ts-proto"),
          row("bufbuild-es", "@bufbuild/protobuf"),
          ...foreign("w6")
        ]
        : [
          row("JSON+base64", "`JSON` and base64"),
          row("effect-schema", "Effect Schema JSON codec"),
          ...foreign("w6").filter(({ system }) => system !== "pipecat")
        ]
    ]
  })),
  {
    workload: "w7",
    title: "W7: 4 parallel branches of 2 processors, CPU µs a frame",
    columns: columns(["inline", "queued"], { usPerFrame: "*" }),
    against: 0,
    rows: [
      row("apipeline", "**apipeline**"),
      row("plain", "hand-written"),
      row("effect", "Effect `Queue`, one by one", "item", queued),
      row("node-transform", "Node `Transform`", "*", queued),
      row("livekit", "LiveKit agents, stream nodes", "*", queued),
      ...foreign("w7")
    ]
  },
  {
    workload: "w8",
    title: "W8: live sessions in one process (50 audio frames a second, 10 processors, 3 of them queued)",
    columns: columns(["search"], {
      sessions: "sessions",
      p50ms: "p50 ms",
      p99ms: "p99 ms",
      loopLagP99ms: "loop lag p99 ms",
      cpuPercent: "CPU %",
      heapKiBPerSession: "heap KiB a session",
      failedAt: "too many",
      failedP99ms: "p99 ms then",
      failedCpuPercent: "CPU % then"
    }),
    samples: 1,
    rows: [row("apipeline", "**apipeline**")]
  }
]

/** Curves of W9: one point for each size. */
export const curves: ReadonlyArray<{ readonly variant: string; readonly key: string; readonly title: string }> = [
  { variant: "processors", key: "nsPerHop", title: "ns a hop, by inline processors" },
  { variant: "processors-queued", key: "nsPerHop", title: "ns a hop, by queued processors" },
  { variant: "branches", key: "nsPerHop", title: "ns a hop, by branches" },
  { variant: "sessions", key: "nsPerHop", title: "ns a hop, by sessions" },
  { variant: "sessions", key: "kib", title: "heap KiB a session, by sessions" }
]

export interface Case {
  readonly workload: Workload
  readonly system: string
  readonly variant: string
  readonly samples: number
}

/** All processes to be run, each once a sample. */
export const cases = (samples: number, quick: boolean): ReadonlyArray<Case> => {
  const all = new Map<string, Case>()
  const add = (case_: Case): void => void all.set(`${case_.workload} ${case_.system} ${case_.variant}`, case_)
  for (const { columns, rows, samples: few, slow, workload } of tables) {
    for (const { sizes, system, variant } of rows) {
      for (const { size } of columns) {
        if (sizes?.includes(size) === false || (quick && slow?.includes(size) === true)) continue
        add({ workload, system, variant: variant.replace("*", size), samples: few ?? samples })
      }
    }
  }
  for (const { variant } of curves) {
    if (!quick || variant === "processors") add({ workload: "w9", system: "apipeline", variant, samples: 1 })
  }
  return [...all.values()]
}
