/** The figures that matter most as bars on a logarithmic scale: an SVG for light and dark pages. */
import type { Workload } from "./protocol.ts"
import type { Results, Summary } from "./results.ts"
import { show } from "./targets.ts"

interface Bar {
  readonly label: string
  readonly system: string
  readonly variant: string
  readonly key?: string | undefined
}

interface Panel {
  readonly title: string
  readonly note: string
  readonly workload: Workload
  readonly key: string
  readonly bars: ReadonlyArray<Bar>
}

const bar = (label: string, system: string, variant: string, key?: string): Bar => ({ label, system, variant, key })

const panels: ReadonlyArray<Panel> = [
  {
    title: "Inline chain of 10 processors",
    note: "CPU ns a hop, logarithmic; less is better",
    workload: "w1",
    key: "nsPerHop",
    bars: [
      bar("plain calls (the limit)", "plain", "10"),
      bar("apipeline", "apipeline", "10"),
      bar("Effect Stream.map", "effect", "10"),
      bar("RxJS map", "rxjs", "10"),
      bar("pipeline-go", "pipeline-go", "10"),
      bar("pipeline-py", "pipeline-py", "10"),
      bar("pipecat", "pipecat", "10")
    ]
  },
  {
    title: "Chain of 10 processors with a queue each",
    note: "CPU ns a hop, logarithmic; less is better",
    workload: "w2",
    key: "nsPerHop",
    bars: [
      bar("hand-written queue", "plain", "10"),
      bar("apipeline", "apipeline", "10"),
      bar("Node Transform", "node-transform", "10"),
      bar("Effect Queue", "effect", "item-10"),
      bar("WHATWG streams", "web-streams", "10"),
      bar("LiveKit stream nodes", "livekit", "10"),
      bar("RxJS observeOn", "rxjs", "10"),
      bar("pipeline-go", "pipeline-go", "10"),
      bar("pipeline-py", "pipeline-py", "10"),
      bar("pipecat", "pipecat", "10")
    ]
  },
  {
    title: "Memory of an idle pipeline of 10 queued processors",
    note: "KiB, logarithmic: heap, or resident where there is no other figure",
    workload: "w5",
    key: "heapKiB",
    bars: [
      bar("hand-written queue", "plain", "queued"),
      bar("apipeline", "apipeline", "queued"),
      bar("Node Transform", "node-transform", "queued"),
      bar("Effect Queue", "effect", "item"),
      bar("LiveKit stream nodes", "livekit", "queued"),
      bar("pipeline-go (resident)", "pipeline-go", "queued", "rssKiB"),
      bar("pipeline-py (resident)", "pipeline-py", "queued", "rssKiB"),
      bar("pipecat (resident)", "pipecat", "queued", "rssKiB")
    ]
  }
]

const width = 800
const left = 196
const right = 92
const height = 22
const gap = 62
const inner = width - left - right

const style = `
text { font: 13px system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; fill: #59636e }
.title { font-size: 15px; font-weight: 600; fill: #1f2328 }
.ours { font-weight: 600; fill: #1f2328 }
.small { font-size: 11px }
.grid { stroke: #818b98; stroke-opacity: .25 }
.spread { stroke: #59636e; stroke-opacity: .8 }
rect { fill: #8c959f; fill-opacity: .55 }
rect.ours { fill: #2f81f7; fill-opacity: 1 }
@media (prefers-color-scheme: dark) {
  text { fill: #9198a1 }
  .title, .ours { fill: #f0f6fc }
  .spread { stroke: #d1d7e0 }
}`

const px = (value: number): string => value.toFixed(1).replace(/\.0$/, "")

export const plot = (results: Results): string => {
  const parts: Array<string> = []
  let y = 8
  for (const { bars, key, note, title, workload } of panels) {
    const measured = bars.flatMap((bar) => {
      const summary = results.summary(workload, bar.system, bar.variant, bar.key ?? key)
      return summary === undefined ? [] : [{ ...bar, summary }]
    }).sort((a, b) => a.summary.median - b.summary.median)
    if (measured.length === 0) continue
    const low = Math.floor(Math.log10(Math.min(...measured.map(({ summary }) => summary.median)) * 0.7))
    const high = Math.log10(Math.max(...measured.map(({ summary }) => summary.median)) * 1.1)
    const x = (value: number): number =>
      left + Math.max(0, Math.min(1, (Math.log10(value) - low) / (high - low))) * inner
    const top = y + 34
    const bottom = top + measured.length * height
    parts.push(`<text class="title" x="0" y="${y + 14}">${title}</text>`)
    parts.push(`<text class="small" x="${width}" y="${y + 14}" text-anchor="end">${note}</text>`)
    for (let power = low; power <= high; power++) {
      const at = px(x(10 ** power))
      parts.push(`<line class="grid" x1="${at}" x2="${at}" y1="${top - 4}" y2="${bottom}"/>`)
      parts.push(`<text class="small" x="${at}" y="${bottom + 13}" text-anchor="middle">${show(10 ** power)}</text>`)
    }
    measured.forEach(({ label, summary, system }, i) =>
      parts.push(...drawn(label, system, summary, x, top + i * height))
    )
    y = bottom + gap - 28
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${y}" width="${width}" height="${y}" role="img">`,
    "<title>Cost of a hop and memory of a pipeline, logarithmic scales</title>",
    `<style>${style}\n</style>`,
    ...parts,
    "</svg>\n"
  ].join("\n")
}

const drawn = (
  label: string,
  system: string,
  { max, median, min }: Summary,
  x: (value: number) => number,
  y: number
): ReadonlyArray<string> => {
  const ours = system === "apipeline" ? ` class="ours"` : ""
  const middle = y + height / 2 - 1
  const end = Math.max(x(median), x(max))
  return [
    `<text${ours} x="${left - 10}" y="${middle + 4}" text-anchor="end">${label}</text>`,
    `<rect${ours} x="${left}" y="${y + 2}" width="${px(Math.max(2, x(median) - left))}" height="${
      height - 6
    }" rx="2"/>`,
    `<line class="spread" x1="${px(x(min))}" x2="${px(x(max))}" y1="${middle}" y2="${middle}"/>`,
    `<text${ours} x="${px(end + 7)}" y="${middle + 4}">${show(median)}</text>`
  ]
}
