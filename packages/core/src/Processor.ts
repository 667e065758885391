/**
 * A processor reacts to frames and pushes frames, downstream or upstream.
 *
 * A processor value is a description: starting a task builds its state, its mailboxes and its fibers afresh, in
 * that task's scope, so one value (or one layer) serves any number of concurrent tasks.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Layer from "effect/Layer"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Tracer from "effect/Tracer"
import type * as Types from "effect/Types"
import * as Frame from "./Frame.ts"
import type { Strategy } from "./internal/kernel/lane.ts"

const TypeId = "~apipeline/Processor"

/**
 * A description of a processor. `E`: the typed failures of its handlers and of its set-up. `R`: the services that
 * they need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Processor<out E = never, out R = never> extends Pipeable {
  readonly [TypeId]: { readonly _E: Types.Covariant<E>; readonly _R: Types.Covariant<R> }
  readonly name: string
  readonly mode: "sync" | "effect"
  /** Handlers of one instance, made when a task starts. */
  readonly behaviour: Effect.Effect<object, E, R | Scope.Scope> | (() => object)
  readonly options: Options
  /** Services that its handlers were given, when it comes from a layer. */
  readonly services: Context.Context<never> | undefined
}

/**
 * Any processor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Any extends Processor<any, any> {}

/**
 * What happens to a frame that finds the mailbox full: the pusher waits (`suspend`), the new frame is dropped
 * (`dropping`), or the oldest one is (`sliding`). Only data is ever dropped, and every dropped frame is counted.
 *
 * @category models
 * @since 0.1.0
 */
export type MailboxStrategy = Strategy

/**
 * What a failure of a handler means. `report`: an `ErrorFrame` goes upstream, and the next frame is handled.
 * `unusable`: the same, and the processor is of no use any more, which a `ServiceSwitcher` around it may make up for.
 * `fatal`: as `unusable`, and where nothing makes up for it the task is cancelled; its `run` fails. `ignore`: nothing at
 * all.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorPolicy = "report" | "unusable" | "fatal" | "ignore"

/**
 * Options of every processor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Apps extends AppClasses = AppClasses> {
  /** App frames that the handlers may name. Default: none. */
  readonly frames?: Apps | undefined
  /** Frames that the mailbox in front of a `queued` processor holds. Default: 1024. */
  readonly capacity?: number | undefined
  /** Default: `suspend`. */
  readonly strategy?: MailboxStrategy | undefined
  /** Bounds the upstream mailbox too, which must then drop: waiting there could end in a deadlock. Default: unbounded. */
  readonly upstreamMailbox?: { readonly capacity: number; readonly strategy: "dropping" | "sliding" } | undefined
  /**
   * Frames that still wait for it after an interruption, though that cuts what waits: what a user says while they
   * interrupt. Default: none.
   */
  readonly keeps?: ReadonlyArray<Frame.AnyClass> | undefined
  /** Default: typed failures are reported, defects are fatal. */
  readonly onError?: ErrorPolicy | ((cause: Cause.Cause<unknown>) => ErrorPolicy) | undefined
}

/**
 * App frame classes that handlers may name by tag.
 *
 * @category models
 * @since 0.1.0
 */
export type AppClasses = ReadonlyArray<{ readonly tag: string; readonly is: (u: unknown) => boolean }>

type Instance<Class> = Class extends { readonly is: (u: unknown) => u is infer Self } ? Self : never

type Named<Apps extends AppClasses> = Frame.BuiltIn | Extract<Instance<Apps[number]>, { readonly _tag: string }>

/**
 * When a measurement begins or ends, and of which model it is.
 *
 * @category models
 * @since 0.1.0
 */
export interface MeasureOptions {
  /** Milliseconds since the epoch. Default: now, by the task's `Clock`. */
  readonly at?: number | undefined
  readonly model?: string | undefined
}

/**
 * What a model was given and gave, in tokens.
 *
 * @category models
 * @since 0.1.0
 */
export interface TokenUsage {
  readonly promptTokens: number
  readonly completionTokens: number
  /** Default: the sum of both. */
  readonly totalTokens?: number | undefined
  readonly cachedTokens?: number | undefined
  readonly reasoningTokens?: number | undefined
  readonly model?: string | undefined
}

/**
 * What a handler measures, in band: each result is a `MetricsFrame` downstream. Costs next to nothing, and does
 * nothing, where the task has not turned metrics on.
 *
 * **Details**
 *
 * - The task's `enableMetrics` turns on times, `enableUsageMetrics` usage. With `reportOnlyInitialTtfb`, TTFB is
 *   reported once, and once more after each interruption.
 * - TTFA and TTFAT are reported once after each start of TTFB; TTFA only if TTFB was.
 * - A stop without a start reports nothing. A stop that lies before the start reports nothing and ends the measurement.
 * - An interruption ends measurements without a report. What an interrupted handler stops while it unwinds is not
 *   reported either.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 *
 * const model = (prompt: string) => Stream.make("Hello, ", prompt)
 * const llm = Processor.queued("Llm", {
 *   metrics: true,
 *   TextFrame: (frame, { metrics, push }) =>
 *     Stream.unwrap(Effect.as(metrics.startTtfb({ model: "small" }), model(frame.text))).pipe(
 *       Stream.tap(() => metrics.stopTtfb()), // reports at the first of them
 *       Stream.runForEach((text) => push(Frame.TextFrame.make({ text })))
 *     )
 * })
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Metrics<out Result> {
  /** Time to the first byte, token or chunk: from here. */
  readonly startTtfb: (options?: MeasureOptions) => Result
  readonly stopTtfb: (options?: MeasureOptions) => Result
  /** What came first is audio that begins with so many milliseconds of silence: the time to the first sound (TTFA). */
  readonly ttfa: (silence: number) => Result
  /** The first token of an answer is there, which may come after thoughts (TTFAT): from the start of TTFB, too. */
  readonly stopTtfat: () => Result
  readonly startProcessing: (options?: MeasureOptions) => Result
  readonly stopProcessing: (options?: MeasureOptions) => Result
  readonly tokenUsage: (usage: TokenUsage) => Result
  /** A text, or how many characters it has. */
  readonly characterUsage: (
    characters: string | number,
    options?: { readonly model?: string | undefined }
  ) => Result
  /** Seconds of audio. */
  readonly audioUsage: (seconds: number, options?: { readonly model?: string | undefined }) => Result
}

/**
 * What a synchronous handler pushes with. `push(frame)` pushes in the direction in which the handled frame travels.
 *
 * @category models
 * @since 0.1.0
 */
export interface Push {
  (frame: Frame.Frame): void
  readonly downstream: (frame: Frame.Frame) => void
  readonly upstream: (frame: Frame.Frame) => void
  /** Barge-in from here, in both directions. The handler goes on; what it pushes from now on is new. */
  readonly interrupt: () => void
  /**
   * Says that a frame which this processor has kept will not go on: the task counts it, observers see it. Default:
   * `interrupted`.
   */
  readonly dropped: (frame: Frame.Frame, reason?: "full" | "interrupted" | "cancelled") => void
  readonly metrics: Metrics<void>
}

/**
 * What an effectful handler pushes with.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProcessorContext {
  /** The processor's name in this pipeline. */
  readonly name: string
  /** Pushes in the direction in which the handled frame travels; waits while the next mailbox is full. */
  readonly push: (frame: Frame.Frame) => Effect.Effect<void>
  readonly pushDownstream: (frame: Frame.Frame) => Effect.Effect<void>
  readonly pushUpstream: (frame: Frame.Frame) => Effect.Effect<void>
  /**
   * Barge-in from here, in both directions; returns when every other processor has been told. The handler (and a
   * fiber that it forked) goes on; what it pushes afterwards is new.
   */
  readonly interrupt: Effect.Effect<void>
  /**
   * Sends an `ErrorFrame` upstream; the handler goes on. `unusable`: this processor is of no use until it says that it
   * has `recovered`, and a `ServiceSwitcher` around it may choose another.
   */
  readonly report: (
    error: unknown,
    options?: { readonly fatal?: boolean | undefined; readonly unusable?: boolean | undefined }
  ) => Effect.Effect<void>
  /** It works again after it was reported as unusable (or failed for good in a `ServiceSwitcher`). */
  readonly recovered: Effect.Effect<void>
  /** What the kernel does when a handler fails: the processor's error policy decides. */
  readonly reportCause: (cause: Cause.Cause<unknown>) => Effect.Effect<void>
  /**
   * Says that a frame which this processor has kept will not go on: the task counts it, observers see it. Default:
   * `interrupted`.
   */
  readonly dropped: (frame: Frame.Frame, reason?: "full" | "interrupted" | "cancelled") => Effect.Effect<void>
  /**
   * Says that this processor has still something to push, of its own accord: the end of the task waits at the way in until
   * what this gives has been run. A `drainTimeout` of the task limits that.
   */
  readonly hold: Effect.Effect<Effect.Effect<void>>
  readonly metrics: Metrics<Effect.Effect<void>>
  /** The span that work belongs to now, where the task is traced: see `Tracing`. */
  readonly span: Effect.Effect<Tracer.AnySpan | undefined>
}

/**
 * What the handlers named `data`, `control` and `system` get.
 *
 * @category models
 * @since 0.1.0
 */
export type Kinds = {
  /** Every data frame, app frames included, that is not listed by tag. */
  readonly data: Frame.DataFrame | Frame.AppFrame<"data">
  /** Every control frame that is not listed by tag, lifecycle frames excepted. */
  readonly control: Frame.ControlFrame | Frame.AppFrame<"control">
  /** Every system frame that is not listed by tag, lifecycle frames excepted. */
  readonly system: Frame.SystemFrame | Frame.AppFrame<"system">
}

type Handlers<Apps extends AppClasses, Context, Result> =
  & { readonly [F in Named<Apps> as F["_tag"]]?: ((frame: F, context: Context) => Result) | undefined }
  & { readonly [K in keyof Kinds]?: ((frame: Kinds[K], context: Context) => Result) | undefined }

type Behaviour<Apps extends AppClasses, Context, Result> = Handlers<Apps, Context, Result> & {
  /** Its handlers use `metrics`: it is listed in the first `MetricsFrame`. Default: false. */
  readonly metrics?: boolean | undefined
  /** Handlers of frames that travel upstream. */
  readonly upstream?: Handlers<Apps, Context, Result> | undefined
  /** `StartFrame` arrives. What is pushed now follows it. */
  readonly onStart?: ((frame: Frame.StartFrame, context: Context) => Result) | undefined
  /** The user barged in: handlers have been stopped, mailboxes cut. Not called where interruptions are not allowed. */
  readonly onInterruption?: ((frame: Frame.StartInterruptionFrame, context: Context) => Result) | undefined
  /** `EndFrame` arrives, in order. What is pushed now precedes it; afterwards nothing can be pushed. */
  readonly onEnd?: ((frame: Frame.EndFrame, context: Context) => Result) | undefined
  /** The task is cancelled: handlers have been stopped, and nothing can be pushed any more. */
  readonly onCancel?: ((frame: Frame.CancelFrame, context: Context) => Result) | undefined
}

/**
 * Handlers by tag, and hooks, of a synchronous processor. Whatever is not listed is forwarded.
 *
 * @category models
 * @since 0.1.0
 */
export type SyncBehaviour<Apps extends AppClasses = []> = Behaviour<Apps, Push, void>

/**
 * Handlers by tag, and hooks, of an effectful processor. Whatever is not listed is forwarded.
 *
 * @category models
 * @since 0.1.0
 */
export type EffectBehaviour<Apps extends AppClasses = [], E = any, R = any> =
  & Behaviour<Apps, ProcessorContext, Effect.Effect<unknown, E, R>>
  & {
    /** Runs beside the handlers from `StartFrame` until `EndFrame` arrives here; an interruption does not stop it. */
    readonly run?: ((_: undefined, context: ProcessorContext) => Effect.Effect<unknown, E, R>) | undefined
    /** As `run`, for what makes frames of its own accord: stops as soon as the task is to end. */
    readonly source?: ((_: undefined, context: ProcessorContext) => Effect.Effect<unknown, E, R>) | undefined
  }

type Results<B> = {
  [K in keyof B]: B[K] extends (...args: never) => infer Result ? Result
    : K extends "upstream" ? Results<B[K]>
    : never
}[keyof B]

type OnlyKnown<B, Allowed> =
  & { readonly [K in Exclude<keyof B, keyof Allowed>]: never }
  & (B extends { readonly upstream: infer U }
    ? Allowed extends { readonly upstream?: infer V }
      ? { readonly upstream: { readonly [K in Exclude<keyof U, keyof NonNullable<V>>]: never } }
    : unknown
    : unknown)

/** A behaviour with nothing in it that would never be called. */
type Known<B, Allowed> = B & OnlyKnown<B, Allowed>

type ErrorOf<B> = Effect.Error<Extract<Results<B>, Effect.Effect<any, any, any>>>
type ServicesOf<B> = Exclude<Effect.Services<Extract<Results<B>, Effect.Effect<any, any, any>>>, Scope.Scope>

const Proto = {
  [TypeId]: { _E: (_: never) => _, _R: (_: never) => _ },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

const make = (
  name: string,
  mode: "sync" | "effect",
  behaviour: object | (() => object) | Effect.Effect<object, unknown, unknown>,
  options: Options | undefined
): Processor<never, never> =>
  Object.assign(Object.create(Proto), {
    name,
    mode,
    behaviour: Effect.isEffect(behaviour) ? behaviour : () => typeof behaviour === "function" ? behaviour() : behaviour,
    options: options ?? {},
    services: undefined
  })

const named = (mode: "sync" | "effect", fallback: string, queue: boolean) => (...args: ReadonlyArray<any>): any => {
  const [name, behaviour, options] = typeof args[0] === "string" ? args : [fallback, ...args]
  return make(name, mode, behaviour, queue ? { ...options, capacity: options?.capacity ?? 1024 } : options)
}

/**
 * Is this a processor?
 *
 * @example
 * ```ts
 * import { Processor } from "@apipeline/core"
 *
 * Processor.isProcessor(Processor.sync("Same", {})) // => true
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isProcessor = (u: unknown): u is Any => typeof u === "object" && u !== null && TypeId in u

/**
 * A processor of plain functions, run inline by whoever pushes: a chain of them is nested plain calls, with no
 * Effect and no allocation per hop. Give a function that returns the handlers to have state per task.
 *
 * @example
 * ```ts
 * import { Frame, Processor } from "@apipeline/core"
 *
 * const shout = Processor.sync("Shout", {
 *   TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
 * })
 * const count = Processor.sync("Count", () => {
 *   let n = 0
 *   return { TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: `${++n}: ${frame.text}` })) }
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const sync: {
  <B extends SyncBehaviour<Apps>, const Apps extends AppClasses = []>(
    name: string,
    behaviour: Known<B, SyncBehaviour<Apps>> | (() => Known<B, SyncBehaviour<Apps>>),
    options?: Options<Apps>
  ): Processor
  <B extends SyncBehaviour<Apps>, const Apps extends AppClasses = []>(
    behaviour: Known<B, SyncBehaviour<Apps>> | (() => Known<B, SyncBehaviour<Apps>>),
    options?: Options<Apps>
  ): Processor
} = named("sync", "Sync", false)

interface MakeEffect {
  <B extends EffectBehaviour<Apps>, const Apps extends AppClasses = []>(
    name: string,
    behaviour: Known<B, EffectBehaviour<Apps>>,
    options?: Options<Apps>
  ): Processor<ErrorOf<B>, ServicesOf<B>>
  <B extends EffectBehaviour<Apps>, E, R, const Apps extends AppClasses = []>(
    name: string,
    behaviour: Effect.Effect<Known<B, EffectBehaviour<Apps>>, E, R>,
    options?: Options<Apps>
  ): Processor<E | ErrorOf<B>, Exclude<R, Scope.Scope> | ServicesOf<B>>
  <B extends EffectBehaviour<Apps>, const Apps extends AppClasses = []>(
    behaviour: Known<B, EffectBehaviour<Apps>>,
    options?: Options<Apps>
  ): Processor<ErrorOf<B>, ServicesOf<B>>
  <B extends EffectBehaviour<Apps>, E, R, const Apps extends AppClasses = []>(
    behaviour: Effect.Effect<Known<B, EffectBehaviour<Apps>>, E, R>,
    options?: Options<Apps>
  ): Processor<E | ErrorOf<B>, Exclude<R, Scope.Scope> | ServicesOf<B>>
}

/**
 * A processor whose handlers return Effects, run inline in the fiber of whoever pushes: the pusher waits for it.
 * Give an Effect of the handlers to acquire state and resources per task, released when the task's scope closes.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Processor } from "@apipeline/core"
 *
 * const slow = Processor.effect("Slow", {
 *   TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 millis"), push(frame))
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const effect: MakeEffect = named("effect", "Effect", false)

/**
 * A processor with a mailbox and a fiber of its own: whoever pushes does not wait for its handlers (only for room),
 * and an interruption cuts the handler that runs, drops what waits, and keeps what is uninterruptible.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 *
 * const spell = Processor.queued("Spell", {
 *   TextFrame: (frame, { push }) =>
 *     Stream.runForEach(Stream.fromIterable(frame.text), (text) => push(Frame.TextFrame.make({ text })))
 * }, { capacity: 64 })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const queued: MakeEffect = named("effect", "Queued", true)

/**
 * Puts any processor behind a mailbox of its own.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Processor } from "@apipeline/core"
 *
 * const slow = Processor.effect("Slow", {
 *   TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 second"), push(frame))
 * })
 * const beside = Processor.concurrent(slow, { capacity: 16 })
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const concurrent = <E, R>(
  self: Processor<E, R>,
  options?: Pick<Options, "capacity" | "strategy" | "upstreamMailbox">
): Processor<E, R> =>
  Object.assign(Object.create(Proto), self, {
    options: { ...self.options, ...options, capacity: options?.capacity ?? self.options.capacity ?? 1024 }
  })

/**
 * A processor that pushes what a stream emits, from the start until the stream or the task ends. The stream is
 * pulled only as fast as the frames are taken. What comes from further up passes through.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 *
 * const words = Processor.source("Words", Stream.make("a", "b").pipe(Stream.map((text) => Frame.TextFrame.make({ text }))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const source = <E, R>(
  name: string,
  stream: Stream.Stream<Frame.Frame, E, R>,
  options?: Options & {
    /** End the task, in order, when the stream has ended or failed. Default: false. */
    readonly endWhenDone?: boolean | undefined
  }
): Processor<E, Exclude<R, Scope.Scope>> =>
  effect(name, {
    source: (_, { push, reportCause }) => {
      const all = Stream.runForEach(stream, push)
      if (options?.endWhenDone !== true) return all
      return Effect.andThen(Effect.catchCause(all, reportCause), push(Frame.EndFrame.make({})))
    }
  }, options)

/**
 * A processor that takes every data frame and passes none on. The frame is "played" when the Effect completes: the
 * next one waits for that. Control and system frames pass.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 *
 * const show = Processor.sink("Show", (frame) => Effect.log(Frame.format(frame)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const sink = <E, R>(
  name: string,
  take: (frame: Kinds["data"]) => Effect.Effect<unknown, E, R>,
  options?: Options
): Processor<E, Exclude<R, Scope.Scope>> => queued(name, { data: (frame) => take(frame) }, options)

/**
 * A processor that is a stream transformer: data frames go in as a stream, frames come out. Control and system
 * frames pass it by, and so do uninterruptible data frames. An interruption stops the stream and starts it afresh;
 * `EndFrame` ends the input and waits for the rest of the output. When the stream ends or fails by itself, what
 * arrives later is discarded.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Processor } from "@apipeline/core"
 *
 * const everyOther = Processor.fromStream("EveryOther", (frames) =>
 *   frames.pipe(Stream.zipWithIndex, Stream.filter(([, i]) => i % 2 === 0), Stream.map(([frame]) => frame)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromStream = <E, R>(
  name: string,
  f: (frames: Stream.Stream<Kinds["data"]>) => Stream.Stream<Frame.Frame, E, R>,
  options?: Options
): Processor<E, Exclude<R, Scope.Scope>> =>
  effect(
    name,
    Effect.gen(function*() {
      const handle = yield* FiberHandle.make()
      let input: Queue.Queue<Kinds["data"], Cause.Done> | undefined
      const restart = Effect.fnUntraced(function*({ push, reportCause }: ProcessorContext) {
        yield* FiberHandle.clear(handle)
        const queue = yield* Queue.bounded<Kinds["data"], Cause.Done>(options?.capacity ?? 1024)
        input = queue
        yield* Stream.runForEach(f(Stream.fromQueue(queue)), push).pipe(
          Effect.catchCause(reportCause),
          Effect.ensuring(Queue.shutdown(queue)),
          FiberHandle.run(handle)
        )
      })
      return {
        data: (frame: Kinds["data"], { push }: ProcessorContext) =>
          frame.uninterruptible || input === undefined ? push(frame) : Queue.offer(input, frame),
        onStart: (_: unknown, context: ProcessorContext) => restart(context),
        onInterruption: (_: unknown, context: ProcessorContext) => restart(context),
        onEnd: () =>
          Effect.suspend(() => input === undefined ? Effect.void : Queue.end(input)).pipe(
            Effect.andThen(FiberHandle.awaitEmpty(handle))
          )
      }
    }),
    options
  ) as Processor<E, Exclude<R, Scope.Scope>>

/**
 * A processor that is a service: its dependencies are in the type of its layer, and a pipeline names it by its class.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, out ES, out E, out R>
  extends Context.ServiceClass<Self, Id, Processor<ES>>
{
  /** Builds the description once; every task that uses it gets its own instance. */
  readonly layer: Layer.Layer<Self, E, R>
}

/**
 * Makes a processor that is a service, with a `layer`. The services that its handlers need are those of the layer.
 *
 * @example
 * ```ts
 * import { Context, Effect, Stream } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 *
 * class Translator extends Context.Service<Translator, {
 *   readonly stream: (text: string) => Stream.Stream<string>
 * }>()("app/Translator") {}
 *
 * class Translate extends Processor.Service<Translate>()("app/Translate", {
 *   make: Effect.gen(function*() {
 *     const translator = yield* Translator
 *     return Processor.queued({
 *       TextFrame: (frame, { push }) =>
 *         Stream.runForEach(translator.stream(frame.text), (text) => push(Frame.TextFrame.make({ text })))
 *     })
 *   })
 * }) {}
 * // Translate.layer: Layer<Translate, never, Translator>
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() =>
<const Id extends string, ES, RS, E, R>(
  id: Id,
  options: { readonly make: Effect.Effect<Processor<ES, RS>, E, R> }
): ServiceClass<Self, Id, ES, E, Exclude<R | RS, Scope.Scope>> => {
  const Base = Context.Service<Self, Processor<ES>>()(id)
  const layer = Layer.effect(
    Base,
    Effect.gen(function*() {
      const services = yield* Effect.context<RS>()
      return Object.assign(Object.create(Proto), yield* options.make, { name: id, services }) as Processor<ES>
    })
  )
  return Object.assign(Base, { layer }) as any // a class with a static that its type cannot gain
}
