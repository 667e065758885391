/**
 * Keeps several services for one job (processors or pipelines), of which one is active: switched by hand, or when the
 * active one fails.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Frame from "./Frame.ts"
import type { Description, Order } from "./internal/kernel/switch.ts"
import * as Pipeline from "./Pipeline.ts"

// ---------------------------------------------------------------------------------------------------------------------
// frames
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a service the active one of the switcher that has it, and goes no further. A switcher that does not have it lets
 * the frame pass.
 *
 * @example
 * ```ts
 * import { ServiceSwitcher } from "@apipeline/core"
 *
 * ServiceSwitcher.SwitchServiceFrame.make({ service: "backup" }).kind // => "control"
 * ```
 *
 * Source: `ManuallySwitchServiceFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class SwitchServiceFrame extends Frame.App<SwitchServiceFrame>()(
  "SwitchServiceFrame",
  { service: Schema.String },
  { kind: "control", uninterruptible: true }
) {}

/**
 * What a service tells of itself: which voice, which sample rate, which latency. A service pushes it when it starts, and
 * whenever it gets a {@link RequestMetadataFrame}.
 *
 * @example
 * ```ts
 * import { ServiceSwitcher } from "@apipeline/core"
 *
 * ServiceSwitcher.ServiceMetadataFrame.make({ service: "primary", info: { language: "en" } })
 * ```
 *
 * Source: `ServiceMetadataFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class ServiceMetadataFrame extends Frame.App<ServiceMetadataFrame>()(
  "ServiceMetadataFrame",
  { service: Schema.String, info: Schema.Record(Schema.String, Schema.Unknown) },
  { kind: "control", uninterruptible: true }
) {}

/**
 * Asks the service that has become active for its {@link ServiceMetadataFrame}. Switchers send it, and let it go no
 * further.
 *
 * @example
 * ```ts
 * import { Processor, ServiceSwitcher } from "@apipeline/core"
 *
 * const { RequestMetadataFrame, ServiceMetadataFrame } = ServiceSwitcher
 * const metadata = () => ServiceMetadataFrame.make({ service: "primary", info: { language: "en" } })
 * const service = Processor.sync("Primary", {
 *   onStart: (_, push) => push(metadata()),
 *   RequestMetadataFrame: (_, push) => push(metadata())
 * }, { frames: [RequestMetadataFrame] })
 * ```
 *
 * Source: `ServiceSwitcherRequestMetadataFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class RequestMetadataFrame extends Frame.App<RequestMetadataFrame>()(
  "RequestMetadataFrame",
  { service: Schema.String },
  { kind: "control", uninterruptible: true }
) {}

/**
 * New settings for a service: the active one, the one that `service` names (active or not), or with `reachInactive` all
 * of them. What the services that are not active let out of it is held back, so at most one frame goes on.
 *
 * @example
 * ```ts
 * import { ServiceSwitcher } from "@apipeline/core"
 *
 * const { ServiceSettingsFrame } = ServiceSwitcher
 * ServiceSettingsFrame.make({ settings: { voice: "calm" } })
 * ServiceSettingsFrame.make({ service: "backup", settings: { voice: "calm" } })
 * ServiceSettingsFrame.make({ reachInactive: true, settings: { language: "de" } })
 * ```
 *
 * Source: `ServiceUpdateSettingsFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class ServiceSettingsFrame extends Frame.App<ServiceSettingsFrame>()(
  "ServiceSettingsFrame",
  {
    service: Schema.optionalKey(Schema.String),
    reachInactive: Schema.optionalKey(Schema.Boolean),
    settings: Schema.Record(Schema.String, Schema.Unknown)
  },
  { kind: "control", uninterruptible: true }
) {}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a strategy knows of the switcher.
 *
 * @category models
 * @since 0.1.0
 */
export interface State {
  /** The service that is active. */
  readonly active: string
  /** In the order in which they were given. */
  readonly services: ReadonlyArray<{ readonly name: string; readonly usable: boolean }>
}

/**
 * The active service has failed.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceFailure {
  readonly service: string
  readonly cause: Cause.Cause<unknown>
  /** It was reported as unusable, it was fatal, or the set-up has failed. Otherwise the service goes on. */
  readonly unusable: boolean
}

/**
 * Decides which service is active: each function answers with its name, or `undefined` to leave it as it is. A service
 * that is not usable is not switched to. Every strategy leaves {@link SwitchServiceFrame} to the switcher.
 *
 * @example
 * ```ts
 * import { Frame, type ServiceSwitcher } from "@apipeline/core"
 *
 * // questions go to another model
 * const byText: ServiceSwitcher.Strategy = {
 *   onFrame: (frame) => Frame.TextFrame.is(frame) ? frame.text.endsWith("?") ? "large" : "small" : undefined
 * }
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Strategy {
  /** The active service has failed. When another one takes its place, the failure is dealt with, and told to nobody. */
  readonly onError?: ((failure: ServiceFailure, state: State) => string | undefined) | undefined
  /** A service is usable again. */
  readonly onRecovered?: ((service: string, state: State) => string | undefined) | undefined
  /** A frame comes, in either direction: it goes into the service that is active afterwards. */
  readonly onFrame?: ((frame: Frame.Frame, state: State) => string | undefined) | undefined
}

/**
 * Another service has become active.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServiceSwitched {
  /** The switcher's name in the pipeline. */
  readonly switcher: string
  readonly from: string
  readonly to: string
  /** By a {@link SwitchServiceFrame}, or by one of the functions of the strategy. */
  readonly reason: "manual" | "frame" | "error" | "recovered"
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = never> {
  /** Default: `ServiceSwitcher`. */
  readonly name?: string | undefined
  /** A function that makes one gives every task its own. Default: {@link manual}. */
  readonly strategy?: Strategy | (() => Strategy) | undefined
  /** Runs beside the frames. A failure is logged. */
  readonly onServiceSwitched?: ((event: ServiceSwitched) => Effect.Effect<unknown, unknown, R>) | undefined
  /** The last usable service has failed, or one has recovered after that. Runs beside the frames. */
  readonly onUsableChanged?: ((usable: boolean) => Effect.Effect<unknown, unknown, R>) | undefined
}

/**
 * A service cannot be used, and no other takes its place: what a switcher reports, under its own name.
 *
 * @example
 * ```ts
 * import { ServiceSwitcher } from "@apipeline/core"
 *
 * const services = [{ service: "primary", cause: "no connection" }]
 * const error = new ServiceSwitcher.ServiceUnavailable({ switcher: "Llm", reason: "lost", services })
 * error.message // => "Llm: its active service has failed: primary (no connection)"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ServiceUnavailable extends Schema.TaggedError<ServiceUnavailable>()("ServiceUnavailable", {
  switcher: Schema.String,
  /**
   * `lost`: the active service has failed, others are usable. `noneLeft`: all have failed. `refused`: a
   * `SwitchServiceFrame` asked for one that is not usable.
   */
  reason: Schema.Literals(["lost", "noneLeft", "refused"]),
  services: Schema.Array(Schema.Struct({ service: Schema.String, cause: Schema.Defect() }))
}) {
  override get message(): string {
    const causes = this.services.map(({ cause, service }) => `${service} (${String(cause)})`).join(", ")
    switch (this.reason) {
      case "lost":
        return `${this.switcher}: its active service has failed: ${causes}`
      case "noneLeft":
        return `${this.switcher}: no service is left: ${causes}`
      case "refused":
        return `${this.switcher}: asked for a service that has failed: ${causes}`
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// strategies
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Only {@link SwitchServiceFrame} switches. When the active service is lost, that is reported.
 *
 * @example
 * ```ts
 * import { ServiceSwitcher } from "@apipeline/core"
 *
 * ServiceSwitcher.manual.onError // => undefined
 * ```
 *
 * Source: `ServiceSwitcherStrategyManual` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const manual: Strategy = {}

/**
 * When the active service is lost, the next usable one takes its place: in the order in which they were given, and after
 * the last comes the first. A failure after which the service goes on switches nothing.
 *
 * @example
 * ```ts
 * import { Cause } from "effect"
 * import { ServiceSwitcher } from "@apipeline/core"
 *
 * const failure = { service: "b", cause: Cause.fail("gone"), unusable: true }
 * const services = [{ name: "a", usable: true }, { name: "b", usable: false }, { name: "c", usable: false }]
 * ServiceSwitcher.failover.onError?.(failure, { active: "b", services }) // => "a"
 * ```
 *
 * Source: `ServiceSwitcherStrategyFailover` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const failover: Strategy = {
  onError: ({ service, unusable }, { services }) => {
    if (!unusable) return undefined
    const at = services.findIndex(({ name }) => name === service)
    return [...services.slice(at + 1), ...services.slice(0, Math.max(at, 0))].find(({ usable }) => usable)?.name
  },
  onRecovered: (service, { active, services }) =>
    services.some(({ name, usable }) => name === active && !usable) ? service : undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

type Merged<Services> = ReturnType<typeof Pipeline.merge<[Extract<Services[keyof Services], Pipeline.Element>]>>
type ErrorOf<Services> = Merged<Services> extends Pipeline.Pipeline<infer E, any> ? E : never
/** `R` as the callbacks say it, and not as the place expects it where the switcher is made. */
type Given<R> = [R][R extends any ? 0 : never]
type ServicesOf<Services> = Merged<Services> extends Pipeline.Pipeline<any, infer R> ? R : never

/**
 * Makes a switcher of services by name, of which the first is active in the beginning.
 *
 * **Details**
 *
 * - Data, control and system frames go into the active service only, in both directions. Lifecycle frames and
 *   interruptions are told to all.
 * - After a switch, what the new service lets out waits until the one before is done with what it got: order is kept
 *   and nothing is lost, and both work at the same time. What a service pushes while it is not active and has nothing
 *   left to do is held back (dropped and counted as `inactive`).
 * - A service is lost when its set-up fails, when a failure is reported as `unusable`, or when one is fatal, as defects
 *   are. It is a processor again that can be switched to after `context.recovered`. A pipeline is usable as long as all of
 *   its processors are, a switcher as long as one of its services is.
 * - When a lost service is replaced, what waits in front of it goes to the next one, and nobody waits for the rest. The
 *   frame that it failed on is gone. The task goes on, and hears of the failure in `failures`, not upstream.
 * - Failures of services that are not active are told in `failures` only, too. When nothing is left, the switcher fails
 *   ({@link ServiceUnavailable}), fatally if the failure was.
 * - Failures after which a service goes on are reported as always.
 * - A processor that is a service of its own goes by the name that the switcher has for it. Names are unique within a
 *   pipeline.
 *
 * **Gotchas**
 *
 * - A service that never finishes a frame, and is replaced by hand, makes its successor wait, until an interruption stops
 *   it.
 * - What a lost service has collected of several frames is gone with it, as the audio of an utterance is: see
 *   `SpeechToText.failover` and `TextToSpeech.failover`, which lose nothing, and for a model the plan of `Llm.make`.
 *
 * @example
 * ```ts
 * import { Data, Effect } from "effect"
 * import { Frame, Pipeline, Processor, ServiceSwitcher } from "@apipeline/core"
 *
 * class NoConnection extends Data.TaggedError("NoConnection")<{}> {}
 *
 * const primary = Processor.queued("Primary", {
 *   TextFrame: () => Effect.fail(new NoConnection())
 * }, { onError: "unusable" })
 * const backup = Processor.queued("Backup", {
 *   TextFrame: (frame, { push }) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
 * })
 *
 * const pipeline = Pipeline.make(
 *   ServiceSwitcher.make({ primary, backup }, {
 *     strategy: ServiceSwitcher.failover,
 *     onServiceSwitched: ({ from, to }) => Effect.log(`from ${from} to ${to}`)
 *   })
 * )
 * ```
 *
 * Source: `ServiceSwitcher` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Services extends { readonly [name: string]: Pipeline.Element }, R = never>(
  services: Services,
  options: Options<R> = {}
): Pipeline.Pipeline<ErrorOf<Services> | ServiceUnavailable, ServicesOf<Services> | Exclude<Given<R>, Scope.Scope>> => {
  const { name, onServiceSwitched, onUsableChanged, strategy = manual } = options
  const branches = Object.values(services) as unknown as [Pipeline.Element]
  const switching: Description = {
    name: name ?? "ServiceSwitcher",
    names: Object.keys(services),
    strategy: typeof strategy === "function" ? strategy : () => strategy,
    read,
    request: (service) => RequestMetadataFrame.make({ service }),
    complaint: (switcher, reason, services) => new ServiceUnavailable({ switcher, reason, services }),
    onServiceSwitched: onServiceSwitched as Description["onServiceSwitched"],
    onUsableChanged: onUsableChanged as Description["onUsableChanged"]
  }
  return Object.assign(Pipeline.merge(...branches), { mode: "switch" as const, switching })
}

const read = (frame: Frame.Frame): Order | undefined => {
  if (SwitchServiceFrame.is(frame)) return { order: "switch", service: frame.service }
  if (ServiceSettingsFrame.is(frame)) {
    return { order: "give", service: frame.service, toAll: frame.reachInactive === true }
  }
  return undefined
}
