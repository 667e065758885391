/**
 * Lets some frames pass and drops the others.
 *
 * Filters decide about data and control frames. System frames always pass, and so do lifecycle frames: no predicate is
 * ever called for them.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type * as Frame from "./Frame.ts"
import type { Selection } from "./FrameLogger.ts"
import * as Processor from "./Processor.ts"

/**
 * Options of a filter.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<Processor.Options, "capacity" | "strategy" | "onError"> {
  /** Default: `FrameFilter`. */
  readonly name?: string | undefined
  /** The way of the frames that are filtered; those that go the other way pass. Default: `downstream`. */
  readonly direction?: Frame.Direction | "both" | undefined
}

/** Handlers for the directions that are filtered. */
const inDirection = <H extends object>(options: Options, handlers: H): H & { readonly upstream?: H } => {
  const { direction = "downstream" } = options
  const down = direction === "upstream" ? undefined : handlers
  const up = direction === "downstream" ? undefined : { upstream: handlers }
  return { ...down, ...up } as H & { readonly upstream?: H }
}

/**
 * Makes a filter of a predicate: the data and control frames for which it is false are dropped.
 *
 * **Gotchas**
 *
 * Control frames are asked for too, `HeartbeatFrame` and `SyncFrame` among them: a filter in a branch of a synchronised
 * pipeline had better let those pass. When the predicate throws, that is a defect, which is fatal.
 *
 * @example
 * ```ts
 * import { Frame, FrameFilter, Pipeline } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(
 *   FrameFilter.make((frame) => !Frame.TextFrame.is(frame) || frame.text !== "")
 * )
 * ```
 *
 * Source: `FunctionFilter` of pipecat, pipeline-py and pipeline-go.
 *
 * @see {@link makeEffect} for a predicate that is an Effect
 * @category constructors
 * @since 0.1.0
 */
export const make = (predicate: Predicate.Predicate<Frame.Frame>, options: Options = {}): Processor.Processor => {
  const pass = (frame: Frame.Frame, push: Processor.Push): void => {
    if (predicate(frame)) push(frame)
  }
  return Processor.sync(options.name ?? "FrameFilter", inDirection(options, { data: pass, control: pass }), options)
}

/**
 * Makes a filter of an effectful predicate: the data and control frames for which it succeeds with false are dropped,
 * and so are those for which it fails, which is reported. The next frame waits until the predicate is done.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, FrameFilter, Pipeline } from "@apipeline/core"
 *
 * const allowed = (text: string) => Effect.as(Effect.sleep("1 millis"), text !== "secret")
 * const pipeline = Pipeline.make(
 *   FrameFilter.makeEffect((frame) => Frame.TextFrame.is(frame) ? allowed(frame.text) : Effect.succeed(true))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeEffect = <E, R>(
  predicate: (frame: Frame.Frame) => Effect.Effect<boolean, E, R>,
  options: Options = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  const pass = (frame: Frame.Frame, { push }: Processor.ProcessorContext): Effect.Effect<void, E, R> =>
    Effect.flatMap(predicate(frame), (passes) => passes ? push(frame) : Effect.void)
  const handlers = inDirection(options, { data: pass, control: pass })
  return Processor.effect(options.name ?? "FrameFilter", handlers, options)
}

/**
 * Makes a filter that lets the data and control frames of some types pass, by class or by tag, and drops all others.
 *
 * **Gotchas**
 *
 * What is not listed is dropped, control frames too: `byType([])` even stops heartbeats.
 *
 * @example
 * ```ts
 * import { Frame, FrameFilter, Pipeline } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(FrameFilter.byType([Frame.TextFrame, "AudioRawFrame"], { direction: "both" }))
 * ```
 *
 * Source: `FrameFilter` of pipecat and pipeline-py, `TypeFilter` of pipeline-go.
 *
 * @category constructors
 * @since 0.1.0
 */
export const byType = (types: Selection, options: Options = {}): Processor.Processor => {
  const tags = new Set<string>(types.map((type) => typeof type === "string" ? type : type.tag))
  return make((frame) => tags.has(frame._tag), options)
}

/**
 * Makes a filter that drops all data. Control frames pass, unlike those of `byType([])`.
 *
 * @example
 * ```ts
 * import { FrameFilter, Pipeline } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(FrameFilter.nothing())
 * ```
 *
 * Source: `NullFilter` of pipecat, which drops control frames too.
 *
 * @category constructors
 * @since 0.1.0
 */
export const nothing = (options: Options = {}): Processor.Processor =>
  Processor.sync(options.name ?? "FrameFilter", inDirection(options, { data: () => {} }), options)

/**
 * Makes a filter that lets everything pass.
 *
 * @example
 * ```ts
 * import { FrameFilter, Pipeline } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(FrameFilter.identity())
 * ```
 *
 * Source: `IdentityFilter` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const identity = (options: Options = {}): Processor.Processor =>
  Processor.sync(options.name ?? "FrameFilter", {}, options)
