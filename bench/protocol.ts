/**
 * How a system under test is called: `<command> <workload> <variant> [--frames N]`, one JSON line on stdout. Programs in
 * Go and Python speak it too, see peers/.
 */

export type Workload = "w1" | "w2" | "w3" | "w4" | "w5" | "w6" | "w7" | "w8" | "w9"

/** A curve of W9: the figure at each size. */
export type Curve = ReadonlyArray<{ readonly n: number; readonly value: number }>

export type Values = Readonly<Record<string, number | Curve>>

/** What a program prints. */
export interface Line {
  readonly system: string
  readonly workload: Workload
  readonly variant: string
  readonly values: Values
  readonly notes?: string | undefined
}

/** Measures one variant; `frames` overrides how many frames it takes. */
export type Measure = (variant: string, frames: number | undefined) => Values | Promise<Values>

/** Runs the program: measures what the arguments name and prints the line. */
export const serve = async (
  system: string,
  workloads: { readonly [W in Workload]?: Measure },
  args: ReadonlyArray<string> = process.argv.slice(2)
): Promise<void> => {
  const [workload, variant] = args as [Workload, string]
  const measure = workloads[workload]
  if (measure === undefined || variant === undefined) {
    console.error(`usage: <${Object.keys(workloads).join("|")}> <variant> [--frames N]`)
    process.exit(2)
  }
  const at = args.indexOf("--frames")
  const values = await measure(variant, at < 0 ? undefined : Number(args[at + 1]))
  console.log(JSON.stringify({ system, workload, variant, values } satisfies Line))
  process.exit(0) // whatever timers or streams a system keeps
}
