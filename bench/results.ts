/** What the samples say together. */
import type { Curve, Line, Workload } from "./protocol.ts"

export interface Summary {
  readonly median: number
  readonly min: number
  readonly max: number
}

export interface Result {
  readonly workload: Workload
  readonly system: string
  readonly variant: string
  /** Of each sample. */
  readonly values: Record<string, Array<number> | Curve>
  readonly notes?: string | undefined
  /** Why there are no values. */
  readonly failed?: string | undefined
}

const isNumber = (value: unknown): value is number => typeof value === "number"

export const collect = (results: Array<Result>, line: Line): void => {
  const { notes, system, values, variant, workload } = line
  let result = results.find((r) => r.workload === workload && r.system === system && r.variant === variant)
  if (result === undefined) {
    result = { workload, system, variant, values: {}, ...notes !== undefined && { notes } }
    results.push(result)
  }
  for (const [key, value] of Object.entries(values)) {
    if (!isNumber(value)) result.values[key] = value
    else if (Number.isFinite(value)) {
      const samples = (result.values[key] ??= []) as Array<number> // one key never has both
      samples.push(Number(value.toPrecision(4)))
    }
  }
}

export class Results {
  readonly all: ReadonlyArray<Result>

  constructor(all: ReadonlyArray<Result>) {
    this.all = all
  }

  find(workload: Workload, system: string, variant: string): Result | undefined {
    return this.all.find((r) => r.workload === workload && r.system === system && r.variant === variant)
  }

  summary(workload: Workload, system: string, variant: string, key: string): Summary | undefined {
    const samples = this.find(workload, system, variant)?.values[key]
    if (samples === undefined || !samples.every(isNumber) || samples.length === 0) return undefined
    const sorted = samples.toSorted((a, b) => a - b)
    const middle = sorted.length >> 1
    const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
    return { median, min: sorted[0]!, max: sorted.at(-1)! }
  }

  curve(variant: string, key: string): Curve | undefined {
    const values = this.find("w9", "apipeline", variant)?.values[key]
    return values === undefined || values.some(isNumber) ? undefined : values as Curve
  }
}
