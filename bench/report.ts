/** The results as Markdown, which is what the terminal shows too. */
import type { Results, Summary } from "./results.ts"
import { curves, type Row, type Table, tables } from "./tables.ts"
import { show, verdicts } from "./targets.ts"

const cell = ({ max, median, min }: Summary): string =>
  brief(min) === brief(max) ? brief(median) : `${brief(median)} (${brief(min)}–${brief(max)})`

/** 694K rather than 694,100. */
const brief = (value: number): string =>
  value < 1e5 ? show(value) : value.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 })

const aligned = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  const line = (row: ReadonlyArray<string>): string =>
    `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`
  return [line(rows[0]!), rule, ...rows.slice(1).map(line)].join("\n")
}

const variantOf = ({ sizes, variant }: Row, size: string): string | undefined =>
  sizes?.includes(size) === false ? undefined : variant.replace("*", size)

const table = (results: Results, { against, columns, more, rows, title, workload }: Table): string => {
  const summary = (row: Row, i: number): Summary | undefined => {
    const { key, size } = columns[i]!
    const variant = variantOf(row, size)
    return variant === undefined ? undefined : results.summary(workload, row.system, variant, key)
  }
  const body: Array<ReadonlyArray<string>> = []
  for (const row of rows) {
    const summaries = columns.map((_, i) => summary(row, i))
    if (summaries.every((summary) => summary === undefined)) {
      const failed = columns.flatMap(({ size }) =>
        results.find(workload, row.system, row.variant.replace("*", size))?.failed ?? []
      )
      if (failed.length === 0) continue
      body.push([row.label, ...columns.map((_, i) => i === 0 ? failed[0]! : ""), ...against === undefined ? [] : [""]])
      continue
    }
    const cells = summaries.map((summary) => summary === undefined ? "–" : cell(summary))
    if (against !== undefined) {
      const ours = summary(rows[0]!, against)?.median
      const theirs = summaries[against]?.median
      const ratio = ours === undefined || theirs === undefined ? undefined : theirs / ours
      cells.push(ratio === undefined ? "–" : `${show(more === undefined ? ratio : 1 / ratio)}×`)
    }
    body.push([row.label, ...cells])
  }
  if (body.length === 0) return ""
  const head = ["", ...columns.map(({ title }) => title)]
  if (against !== undefined) head.push(`cost × ours, ${columns[against]!.title}`)
  const notes = new Set(
    rows.flatMap((row) =>
      columns.flatMap(({ size }) => {
        const note = results.find(workload, row.system, variantOf(row, size) ?? "")?.notes
        return note === undefined ? [] : `${row.system}: ${note}.`
      })
    )
  )
  return [`## ${title}`, "", aligned([head, ...body]), ...notes.size === 0 ? [] : ["", ...notes]].join("\n")
}

const growth = (results: Results): string => {
  const measured = curves.flatMap(({ key, title, variant }) => {
    const curve = results.curve(variant, key)
    return curve === undefined ? [] : [{ title, curve }]
  })
  if (measured.length === 0) return ""
  const lines = measured.map(({ curve, title }) => [
    title,
    curve.map(({ n, value }) => `${show(n)}: ${show(value)}`).join(", ")
  ])
  return ["## W9: growth", "", aligned([["", "size: figure"], ...lines])].join("\n")
}

const marks = { true: "met", false: "**missed**", undefined: "–" }

const targets = (results: Results): string => {
  const all = verdicts(results)
  const count = (met: boolean | undefined): number => all.filter((verdict) => verdict.met === met).length
  const lines = all.filter(({ met }) => met !== undefined)
    .map(({ found, met, target }) => [marks[`${met!}`], target, found])
  const sum = `${count(true)} met, ${count(false)} missed, ${count(undefined)} not measured in this run.`
  return ["## Targets", "", sum, ...lines.length === 0 ? [] : ["", aligned([["", "target", "found"], ...lines])]]
    .join("\n")
}

export const report = (results: Results, about: ReadonlyArray<string>): string =>
  [
    "# Benchmark",
    about.join("\n"),
    targets(results),
    ...tables.map((one) => table(results, one)),
    growth(results)
  ].filter((section) => section !== "").join("\n\n") + "\n"
