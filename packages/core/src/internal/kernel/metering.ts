import * as Effect from "effect/Effect"
import * as Frame from "../../Frame.ts"
import type { MeasureOptions, Metrics, TokenUsage } from "../../Processor.ts"
import { CurrentLane } from "./lane.ts"
import type { Node } from "./node.ts"

interface Measurement {
  readonly since: number
  readonly model: string | undefined
}

/**
 * What a processor measures in band: made when one of its handlers first asks for it. Whether anything is reported is
 * what `StartFrame` says; where nothing is, a call is one comparison.
 */
export class Metering {
  private ttfb: Measurement | undefined = undefined
  /** What TTFB was measured of, until TTFAT is known. */
  private answer: Measurement | undefined = undefined
  /** The TTFB of that, and whether TTFA is still to come. */
  private first: { readonly milliseconds: number; readonly model: string | undefined; isMute: boolean } | undefined =
    undefined
  private processing: Measurement | undefined = undefined
  /** With `reportOnlyInitialTtfb`: this turn's has been reported. */
  private reported = false
  private readonly node: Node
  /** For synchronous handlers. */
  readonly sync: Metrics<void>
  /** For effectful handlers. */
  readonly effect: Metrics<Effect.Effect<void>>

  constructor(node: Node) {
    this.node = node
    this.sync = {
      startTtfb: (options) => this.startTtfb(options),
      stopTtfb: (options) => this.stopTtfb(options, true),
      ttfa: (silence) => this.ttfa(silence),
      stopTtfat: () => this.stopTtfat(true),
      startProcessing: (options) => this.startProcessing(options),
      stopProcessing: (options) => this.stopProcessing(options, true),
      tokenUsage: (usage) => this.tokenUsage(usage),
      characterUsage: (characters, options) => this.characterUsage(characters, options),
      audioUsage: (seconds, options) => this.audioUsage(seconds, options)
    }
    this.effect = {
      startTtfb: (options) => Effect.sync(() => this.startTtfb(options)),
      stopTtfb: (options) => unlessLate((valid) => this.stopTtfb(options, valid)),
      ttfa: (silence) => Effect.sync(() => this.ttfa(silence)),
      stopTtfat: () => unlessLate((valid) => this.stopTtfat(valid)),
      startProcessing: (options) => Effect.sync(() => this.startProcessing(options)),
      stopProcessing: (options) => unlessLate((valid) => this.stopProcessing(options, valid)),
      tokenUsage: (usage) => Effect.sync(() => this.tokenUsage(usage)),
      characterUsage: (characters, options) => Effect.sync(() => this.characterUsage(characters, options)),
      audioUsage: (seconds, options) => Effect.sync(() => this.audioUsage(seconds, options))
    }
  }

  /** A new turn, or a new task: what is being measured is over, and the next TTFB is an initial one. */
  reset(): void {
    this.ttfb =
      this.answer =
      this.first =
      this.processing =
        undefined
    this.reported = false
  }

  private get enabled(): boolean {
    return this.node.kernel.parameters?.enableMetrics === true && !this.node.ended
  }

  private get usageEnabled(): boolean {
    return this.node.kernel.parameters?.enableUsageMetrics === true && !this.node.ended
  }

  private begin(options: MeasureOptions | undefined): Measurement {
    return { since: options?.at ?? this.now(), model: options?.model }
  }

  private startTtfb(options: MeasureOptions | undefined): void {
    this.answer = this.first = undefined
    if (!this.enabled || (this.reported && this.node.kernel.parameters!.reportOnlyInitialTtfb)) return
    this.ttfb = this.answer = this.begin(options)
  }

  private stopTtfb(options: MeasureOptions | undefined, valid: boolean): void {
    const { ttfb } = this
    this.ttfb = undefined
    const milliseconds = this.elapsed(ttfb, options)
    if (milliseconds === undefined || !valid || !this.enabled) return
    this.reported = true
    this.node.kernel.owner.firstByte(this.node, milliseconds)
    const model = options?.model ?? ttfb!.model
    this.first = { milliseconds, model, isMute: true }
    this.report({ _tag: "Ttfb", ...this.source(model), milliseconds })
  }

  private ttfa(silence: number): void {
    const { first } = this
    if (first?.isMute !== true || !this.enabled) return
    first.isMute = false
    this.report({ _tag: "Ttfa", ...this.source(first.model), milliseconds: first.milliseconds + silence, silence })
  }

  private stopTtfat(valid: boolean): void {
    const { answer, first } = this
    this.answer = undefined
    const milliseconds = this.elapsed(answer, undefined)
    if (milliseconds === undefined || !valid || !this.enabled) return
    const thinking = first === undefined ? 0 : milliseconds - first.milliseconds
    this.report({
      _tag: "Ttfat",
      ...this.source(answer!.model),
      milliseconds,
      ...thinking > 0 && { thinking }
    })
  }

  private startProcessing(options: MeasureOptions | undefined): void {
    if (this.enabled) this.processing = this.begin(options)
  }

  private stopProcessing(options: MeasureOptions | undefined, valid: boolean): void {
    const { processing } = this
    this.processing = undefined
    const milliseconds = this.elapsed(processing, options)
    if (milliseconds === undefined || !valid || !this.enabled) return
    this.report({ _tag: "Processing", ...this.source(options?.model ?? processing!.model), milliseconds })
  }

  private tokenUsage({ model, ...usage }: TokenUsage): void {
    if (!this.usageEnabled) return
    const totalTokens = usage.totalTokens ?? usage.promptTokens + usage.completionTokens
    this.report({ _tag: "TokenUsage", ...this.source(model), ...defined(usage), totalTokens })
  }

  private characterUsage(characters: string | number, options: { readonly model?: string | undefined } = {}): void {
    if (!this.usageEnabled) return
    const n = typeof characters === "number" ? characters : Array.from(characters).length
    this.report({ _tag: "CharacterUsage", ...this.source(options.model), characters: n })
  }

  private audioUsage(seconds: number, options: { readonly model?: string | undefined } = {}): void {
    if (this.usageEnabled) this.report({ _tag: "AudioUsage", ...this.source(options.model), seconds })
  }

  private elapsed(measurement: Measurement | undefined, options: MeasureOptions | undefined): number | undefined {
    if (measurement === undefined) return undefined
    const milliseconds = (options?.at ?? this.now()) - measurement.since
    return milliseconds >= 0 ? milliseconds : undefined
  }

  private source(model: string | undefined): { readonly processor: string; readonly model?: string } {
    return model === undefined ? { processor: this.node.name } : { processor: this.node.name, model }
  }

  private report(metric: Frame.Metric): void {
    this.node.kernel.sendSystem(this.node.down, Frame.MetricsFrame.make({ data: [metric] }))
  }

  private now(): number {
    return Number(this.node.kernel.owner.clock.currentTimeNanosUnsafe()) / 1e6
  }
}

/** What an interrupted handler still measures while it unwinds does not count. */
const unlessLate = (stop: (valid: boolean) => void): Effect.Effect<void> =>
  Effect.withFiber((fiber) => {
    stop(fiber.getRef(CurrentLane)?.dying === undefined)
    return Effect.void
  })

const defined = <A extends object>(fields: A): { readonly [K in keyof A]: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as any

/** The first frame of a task whose metrics are on: who will measure, with nothing measured yet. */
export const initialMetrics = (nodes: ReadonlyArray<Node>): Frame.MetricsFrame | undefined => {
  const data = nodes.filter((node) => node.measures).flatMap(({ name: processor }): Array<Frame.Metric> => [
    { _tag: "Ttfb", processor, milliseconds: 0 },
    { _tag: "Processing", processor, milliseconds: 0 }
  ])
  return data.length === 0 ? undefined : Frame.MetricsFrame.make({ data })
}
