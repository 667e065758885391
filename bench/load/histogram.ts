/** Milliseconds, counted in steps of a tenth. Cheap to record, and to add up over processes. */

/** Pairs of a step and how often. */
export type Sparse = ReadonlyArray<readonly [step: number, count: number]>

const steps = 50_000

export class Histogram {
  private readonly counts = new Uint32Array(steps)

  record(milliseconds: number): void {
    const step = Math.max(0, Math.min(steps - 1, Math.floor(milliseconds * 10)))
    this.counts[step]!++
  }

  clear(): void {
    this.counts.fill(0)
  }

  add(sparse: Sparse): void {
    for (const [step, count] of sparse) this.counts[step]! += count
  }

  toSparse(): Sparse {
    const all: Array<readonly [number, number]> = []
    for (const [step, count] of this.counts.entries()) if (count > 0) all.push([step, count])
    return all
  }

  /** The upper end of the step below which `fraction` of what was recorded lies; 0 when nothing was. */
  quantile(fraction: number): number {
    const total = this.counts.reduce((sum, count) => sum + count, 0)
    let left = Math.ceil(total * fraction)
    if (total === 0) return 0
    for (const [step, count] of this.counts.entries()) {
      left -= count
      if (left <= 0) return (step + 1) / 10
    }
    return steps / 10
  }
}
