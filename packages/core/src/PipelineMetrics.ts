/**
 * What each processor of a task does, in numbers: as Effect `Metric`s for exporters, and as a snapshot per task.
 * Collected when a task is made with `enableMetrics`; otherwise nothing is counted and nothing is paid.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type * as Frame from "./Frame.ts"

const processingBoundaries = Metric.exponentialBoundaries({ start: 0.01, factor: 4, count: 12 })
const ttfbBoundaries = Metric.exponentialBoundaries({ start: 1, factor: 2, count: 16 })

/**
 * Frames that reached a processor. Attributes: `task`, `processor`, `kind`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.framesIn.id // => "apipeline_frames_in_total"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const framesIn = Metric.counter("apipeline_frames_in_total", {
  description: "Frames that reached a processor",
  incremental: true
})

/**
 * Frames that a processor pushed or let pass. Attributes: `task`, `processor`, `kind`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.framesOut.id // => "apipeline_frames_out_total"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const framesOut = Metric.counter("apipeline_frames_out_total", {
  description: "Frames that left a processor",
  incremental: true
})

/**
 * Frames that did not arrive. Attributes: `task`, `processor`, `reason`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.dropped.id // => "apipeline_frames_dropped_total"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const dropped = Metric.counter("apipeline_frames_dropped_total", {
  description: "Frames that did not arrive",
  incremental: true
})

/**
 * Failures of handlers. Attributes: `task`, `processor`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.errors.id // => "apipeline_errors_total"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const errors = Metric.counter("apipeline_errors_total", {
  description: "Failures of handlers",
  incremental: true
})

/**
 * Interruptions that a processor was told of. Attributes: `task`, `processor`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.interruptions.id // => "apipeline_interruptions_total"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const interruptions = Metric.counter("apipeline_interruptions_total", {
  description: "Interruptions that a processor was told of",
  incremental: true
})

/**
 * How long data handlers took, what they waited for included. Attributes: `task`, `processor`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.processing.id // => "apipeline_processing_milliseconds"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const processing = Metric.histogram("apipeline_processing_milliseconds", {
  description: "How long data handlers took",
  boundaries: processingBoundaries
})

/**
 * From the start of a measurement to the first byte, token or chunk. Attributes: `task`, `processor`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.ttfb.id // => "apipeline_ttfb_milliseconds"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const ttfb = Metric.histogram("apipeline_ttfb_milliseconds", {
  description: "How long it took until the first byte, token or chunk",
  boundaries: ttfbBoundaries
})

/**
 * The frames that wait in a processor's mailbox. Attributes: `task`, `processor`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.queueDepth.id // => "apipeline_queue_depth"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const queueDepth = Metric.gauge("apipeline_queue_depth", {
  description: "Frames that wait in a mailbox"
})

/**
 * The most frames that have waited in a processor's mailbox. Attributes: `task`, `processor`.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.queueHighWater.id // => "apipeline_queue_high_water"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const queueHighWater = Metric.gauge("apipeline_queue_high_water", {
  description: "The most frames that have waited in a mailbox"
})

/**
 * The numbers of one processor of a task.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProcessorMetrics {
  readonly processor: string
  readonly framesIn: Readonly<Record<Frame.Kind, number>>
  readonly framesOut: Readonly<Record<Frame.Kind, number>>
  readonly dropped: number
  readonly errors: number
  readonly interruptions: number
  /** Data handlers that ran to their end. */
  readonly handled: number
  /** Milliseconds that they took together. */
  readonly processingMillis: number
  /** Measurements of the time to the first byte, token or chunk. */
  readonly ttfbs: number
  /** Milliseconds that they took together. */
  readonly ttfbMillis: number
  /** The frames that wait in its mailbox (0 for an inline processor). */
  readonly queueDepth: number
  /** The most frames that have waited in its mailbox (0 for an inline processor). */
  readonly queueHighWater: number
}

/**
 * Counts for one processor; every number goes to the task's snapshot and to Effect's registry.
 *
 * @internal
 */
export class Meter {
  readonly in: Record<Frame.Kind, number> = { system: 0, control: 0, data: 0 }
  readonly out: Record<Frame.Kind, number> = { system: 0, control: 0, data: 0 }
  dropped = 0
  errors = 0
  interruptions = 0
  handled = 0
  processingMillis = 0
  ttfbs = 0
  ttfbMillis = 0
  private depth = 0
  private highWater = 0
  private readonly attributes: { readonly task: string; readonly processor: string }
  private readonly context: Context.Context<never>
  private readonly counters: Record<"in" | "out", Record<Frame.Kind, Metric.Counter<number>>>
  private readonly times: Metric.Histogram<number>
  private readonly depths: Metric.Gauge<number>
  private readonly highWaters: Metric.Gauge<number>

  constructor(task: string, processor: string, context: Context.Context<never>) {
    this.attributes = { task, processor }
    this.context = context
    // The same series as `Metric.withAttributes` names, but that one puts the series' key together at every update.
    const own = <Options>({ description, id }: Metric.Metric<any, any>, more: Options) =>
      [id, { description, attributes: this.attributes, ...more }] as const
    const byKind = (metric: Metric.Counter<number>) => {
      const counter = (kind: Frame.Kind) =>
        Metric.counter(...own(metric, { attributes: { ...this.attributes, kind }, incremental: true }))
      return { system: counter("system"), control: counter("control"), data: counter("data") }
    }
    this.counters = { in: byKind(framesIn), out: byKind(framesOut) }
    this.times = Metric.histogram(...own(processing, { boundaries: processingBoundaries }))
    this.depths = Metric.gauge(...own(queueDepth, {}))
    this.highWaters = Metric.gauge(...own(queueHighWater, {}))
  }

  count(way: "in" | "out", kind: Frame.Kind): void {
    this[way][kind]++
    this.counters[way][kind].updateUnsafe(1, this.context)
  }

  took(milliseconds: number): void {
    this.handled++
    this.processingMillis += milliseconds
    this.times.updateUnsafe(milliseconds, this.context)
  }

  firstByte(milliseconds: number): void {
    this.ttfbs++
    this.ttfbMillis += milliseconds
    Metric.withAttributes(ttfb, this.attributes).updateUnsafe(milliseconds, this.context)
  }

  waits(depth: number, highWater: number): void {
    if (depth !== this.depth) this.depths.updateUnsafe(this.depth = depth, this.context)
    if (highWater !== this.highWater) this.highWaters.updateUnsafe(this.highWater = highWater, this.context)
  }

  drop(reason: string): void {
    this.dropped++
    Metric.withAttributes(dropped, { ...this.attributes, reason }).updateUnsafe(1, this.context)
  }

  error(): void {
    this.errors++
    Metric.withAttributes(errors, this.attributes).updateUnsafe(1, this.context)
  }

  interruption(): void {
    this.interruptions++
    Metric.withAttributes(interruptions, this.attributes).updateUnsafe(1, this.context)
  }

  snapshot(depth: number, highWater: number): ProcessorMetrics {
    this.waits(depth, highWater)
    return {
      processor: this.attributes.processor,
      framesIn: { ...this.in },
      framesOut: { ...this.out },
      dropped: this.dropped,
      errors: this.errors,
      interruptions: this.interruptions,
      handled: this.handled,
      processingMillis: this.processingMillis,
      ttfbs: this.ttfbs,
      ttfbMillis: this.ttfbMillis,
      queueDepth: depth,
      queueHighWater: highWater
    }
  }
}

const columns: ReadonlyArray<readonly [title: string, cell: (row: ProcessorMetrics) => string]> = [
  ["processor", (row) => row.processor],
  ["in", (row) => String(row.framesIn.data + row.framesIn.control + row.framesIn.system)],
  ["out", (row) => String(row.framesOut.data + row.framesOut.control + row.framesOut.system)],
  ["dropped", (row) => String(row.dropped)],
  ["errors", (row) => String(row.errors)],
  ["interruptions", (row) => String(row.interruptions)],
  ["waited at most", (row) => String(row.queueHighWater)],
  ["mean ms", (row) => row.handled === 0 ? "-" : (row.processingMillis / row.handled).toFixed(3)]
]

/**
 * A snapshot as a table for people.
 *
 * @example
 * ```ts
 * import { PipelineMetrics } from "@apipeline/core"
 *
 * PipelineMetrics.table([]) // "processor  in  out  dropped  errors  interruptions  waited at most  mean ms"
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const table = (rows: ReadonlyArray<ProcessorMetrics>): string => {
  const cells = [columns.map(([title]) => title), ...rows.map((row) => columns.map(([, cell]) => cell(row)))]
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]!.length)))
  return cells.map((line) =>
    line.map((cell, i) => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)).join("  ").trimEnd()
  ).join("\n")
}
