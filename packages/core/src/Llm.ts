/**
 * Has a language model answer, and runs the functions that it calls.
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as ExecutionPlan from "effect/ExecutionPlan"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as Frame from "./Frame.ts"
import * as LlmStream from "./internal/llm/llmStream.ts"
import { type Call, type Settings, ToolCalls } from "./internal/llm/toolCalls.ts"
import { retryTwice } from "./internal/retryTwice.ts"
import * as Processor from "./Processor.ts"
import {
  FunctionCallResultFrame,
  LlmContextFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  LlmTextFrame
} from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A model has given no answer, or no more of it.
 *
 * **Details**
 *
 * `reason`: the provider has failed (`Provider`), said nothing at all for too long (`FirstToken`), or nothing more
 * (`Stall`), has sent what is no answer (`Output`); or the messages of the conversation are none (`Prompt`).
 *
 * @example
 * ```ts
 * import { Llm } from "@apipeline/core"
 *
 * const cause = new Error("nothing for 10s")
 * new Llm.LlmError({ provider: "openai", reason: "Stall", isRetryable: true, cause }).message
 * // => "openai: Stall: nothing for 10s"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class LlmError extends Schema.TaggedError<LlmError>()("LlmError", {
  /** Whose model: the name of an `effect/ai` `Model`, or `LanguageModel`. */
  provider: Schema.String,
  reason: Schema.Literals(["Provider", "FirstToken", "Stall", "Output", "Prompt"]),
  /** Whether the same request may be answered if it is made again. */
  isRetryable: Schema.Boolean,
  /** An `AiError` where the provider failed with one. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.provider}: ${this.reason}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a handler of a tool can do besides giving a result: say something at once (a `TtsSpeakFrame`), end the task (an
 * `EndFrame`), interrupt. A tool that uses it has it among its `dependencies`.
 *
 * @example
 * ```ts
 * import { Tool, Toolkit } from "effect/ai"
 * import { Frame, Llm } from "@apipeline/core"
 *
 * const HangUp = Tool.make("hang_up", { dependencies: [Llm.ToolContext] })
 * const handlers = Toolkit.make(HangUp).toLayer({
 *   hang_up: () => Llm.ToolContext.use(({ push }) => push(Frame.EndFrame.make({ reason: "the caller said good-bye" })))
 * })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class ToolContext extends Context.Service<ToolContext, {
  readonly callId: string
  readonly functionName: string
  /** Downstream: to the voice and the output. */
  readonly push: (frame: Frame.Frame) => Effect.Effect<void>
  readonly pushUpstream: (frame: Frame.Frame) => Effect.Effect<void>
  readonly interrupt: Effect.Effect<void>
}>()("@apipeline/core/Llm/ToolContext") {}

/**
 * How a tool is run.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolOptions {
  /**
   * By its handler, or by the client, which sends a `FunctionCallResultFrame` and needs no handler. Default: `here`.
   */
  readonly run?: "here" | "client" | undefined
  /**
   * The model does not wait for the result: it is told that the tool is running, and of the result when that is there; it
   * speaks up by itself then. Default: false.
   */
  readonly background?: boolean | undefined
  /** Whether an interruption cancels it. Default: true, and false in the background. */
  readonly cancelOnInterruption?: boolean | undefined
  /** After which the result is that it has timed out. Default: 30 seconds, and none in the background. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Tools extends Record<string, Tool.Any> = {}, Own = {}, R = never> {
  /** Default: `Llm`. */
  readonly name?: string | undefined
  /** What the model may call. */
  readonly toolkit?: Toolkit.Toolkit<Tools> | Toolkit.WithHandler<Tools> | undefined
  /** How tools are run, by name. */
  readonly tools?: Own | undefined
  /** Instructions that precede the conversation. Default: none. */
  readonly system?: string | undefined
  /** How often in a row the model may call tools; then it has to answer. Default: 10. */
  readonly maxToolRounds?: number | undefined
  /**
   * When a request is made again that has failed before the first token, and may succeed. Default: twice, after 250 and
   * 500 milliseconds. A provider that wants to be asked later than that is asked then, or not again if it is longer than
   * the user waits for a first token (`timeout.firstToken`).
   */
  readonly retry?: Schedule.Schedule<unknown, LlmError> | undefined
  /** How long the model may be silent, in the beginning and later. Default: 15 and 10 seconds. */
  readonly timeout?: {
    readonly firstToken?: Duration.Input | undefined
    readonly stall?: Duration.Input | undefined
  } | undefined
  /** Whether a `ServiceSwitcher` may choose another one after this. Default: all but a `Prompt`. */
  readonly unusable?: ((error: LlmError) => boolean) | undefined
  /** Done about a failure besides reporting it: an apology, for example. Default: nothing. */
  readonly onError?:
    | ((error: LlmError, context: Processor.ProcessorContext) => Effect.Effect<unknown, never, R>)
    | undefined
  /** For metrics. Default: the name of an `effect/ai` `Model`. */
  readonly model?: string | undefined
}

/** The tools that need a handler. */
type Handled<Tools, Own> = {
  [Name in keyof Tools as Own extends { readonly [N in Name]: { readonly run: "client" } } ? never : Name]: Tools[Name]
}

type ServicesOf<Tools extends Record<string, Tool.Any>, Own> =
  | Tool.HandlersFor<Handled<Tools, Own> extends Record<string, Tool.Any> ? Handled<Tools, Own> : never>
  | Exclude<Tool.HandlerServices<Tools[keyof Tools]>, ToolContext>

/** A plan of models: see {@link make}. */
type Plan<Provides, Input, E, R> = ExecutionPlan.ExecutionPlan<{
  provides: Provides
  input: Input
  error: E
  requirements: R
}>

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

const settingsOf = (
  { background = false, cancelOnInterruption = !background, run = "here", timeout }: ToolOptions
): Settings => ({
  run,
  background,
  cancelOnInterruption,
  timeout: Duration.fromInputUnsafe(timeout ?? (background ? Duration.infinity : "30 seconds"))
})

/** Long before there are so many calls, what was said before the first of them has been heard. */
const maxSaid = 64

const twice = retryTwice("250 millis")

/** Milliseconds after which the provider wants to be asked again. */
const retryAfter = ({ cause }: LlmError): number =>
  AiError.isAiError(cause) && cause.retryAfter !== undefined ? Duration.toMillis(cause.retryAfter) : 0

/**
 * Makes a processor that has a model answer each `LlmContextFrame`, from either side: with `LlmResponseStartFrame`,
 * `LlmTextFrame`s as they come, and `LlmResponseEndFrame`.
 *
 * **Details**
 *
 * - The model is the `LanguageModel` of `effect/ai`: any provider's layer, or a plan of several. With a `plan`, a model that
 *   fails before its first token is replaced by the next one, for the same request. What fails later has said something
 *   already: its answer ends there. Each layer of the plan is built once, when it is needed, and lives as long as the
 *   processor.
 * - An interruption aborts the request, and nothing of it comes any more.
 * - Tools run side by side, beside the frames, when the answer that called them is complete. `FunctionCallsStartedFrame`,
 *   `FunctionCallInProgressFrame` and then `FunctionCallResultFrame` or `FunctionCallCancelledFrame` go both ways. Who
 *   collects the results asks again: `LlmContext` does.
 * - A tool that fails, dies, takes too long, is not there, or was called with what it does not take has a result that says
 *   so to the model, with `isFailure`.
 * - Text that precedes a call and has not been heard yet is in the next request all the same.
 * - A request that fails before the first token is made again, as `retry` says. After that the failure is reported
 *   upstream, as an {@link LlmError}, and the next request is answered as always. The answer that has begun has an end in
 *   any case.
 * - Reports times to the first token (`Ttfb`), also of a thought, and to the first of the answer (`Ttfat`), processing
 *   times and tokens, where the task has metrics turned on.
 *
 * **Gotchas**
 *
 * A `ServiceSwitcher` around it replaces a model that fails, but the request is gone: have `onServiceSwitched` run the
 * context again (`LlmContext.run`). A plan does that by itself.
 *
 * @example
 * ```ts
 * import { Effect, ExecutionPlan, type Layer, Schema } from "effect"
 * import { type LanguageModel, Tool, Toolkit } from "effect/ai"
 * import { Llm } from "@apipeline/core"
 *
 * const Weather = Tool.make("weather", { parameters: Schema.Struct({ city: Schema.String }), success: Schema.String })
 * const toolkit = Toolkit.make(Weather)
 * const handlers = toolkit.toLayer({ weather: ({ city }) => Effect.succeed(`It rains in ${city}.`) })
 *
 * const llm = Llm.make({ toolkit, system: "You are brief.", tools: { weather: { timeout: "5 seconds" } } })
 *
 * const withFallback = (primary: Layer.Layer<LanguageModel.LanguageModel>, backup: typeof primary) =>
 *   Llm.make({ plan: ExecutionPlan.make({ provide: primary }, { provide: backup }) })
 * ```
 *
 * Source: `LLMService` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <
    Provides,
    Input,
    EP,
    RP,
    Tools extends Record<string, Tool.Any> = {},
    const Own extends { readonly [Name in keyof Tools]?: ToolOptions } = {},
    R = never
  >(
    options: Options<Tools, Own, R> & { readonly plan: Plan<Provides, Input, EP, RP> }
  ): Processor.Processor<
    LlmError,
    ServicesOf<Tools, Own> | R | RP | Exclude<LanguageModel.LanguageModel, Provides>
  >
  <
    Tools extends Record<string, Tool.Any> = {},
    const Own extends { readonly [Name in keyof Tools]?: ToolOptions } = {},
    R = never
  >(
    options?: Options<Tools, Own, R> & { readonly plan?: undefined }
  ): Processor.Processor<LlmError, ServicesOf<Tools, Own> | R | LanguageModel.LanguageModel>
} = (
  options: Options<any, any, any> & { readonly plan?: Plan<any, any, any, any> | undefined } = {}
): Processor.Processor<any, any> => {
  const {
    maxToolRounds = 10,
    name = "Llm",
    onError,
    plan,
    retry = twice,
    system,
    timeout: { firstToken = "15 seconds", stall = "10 seconds" } = {},
    unusable = ({ reason }) => reason !== "Prompt"
  } = options
  const tools: Readonly<Record<string, ToolOptions>> = options.tools ?? {}
  const patience = Duration.toMillis(firstToken)
  const again = Schedule.modifyDelay(
    retry as Schedule.Schedule<unknown, LlmError>,
    ({ duration, input }) => Effect.succeed(Math.max(Duration.toMillis(duration), retryAfter(input)))
  )
  const settings = (name: string): Settings => settingsOf(Object.hasOwn(tools, name) ? tools[name]! : {})
  const fail = (failure: LlmStream.Failure): LlmError => new LlmError(failure)

  const behaviour = Effect.gen(function*() {
    const scope = yield* Effect.scope
    const services = yield* Effect.context<any>()
    const lock = yield* Semaphore.make(1)
    const models = plan === undefined ? undefined : LlmStream.lasting(plan, scope, services)
    const model = options.model ?? Option.getOrUndefined(yield* Effect.serviceOption(Model.ModelName))
    const provider = yield* LlmStream.providerName
    const toolkit: Toolkit.WithHandler<any> | undefined = options.toolkit === undefined
      ? undefined
      : Effect.isEffect(options.toolkit)
      ? yield* options.toolkit as Effect.Effect<Toolkit.WithHandler<any>>
      : options.toolkit as Toolkit.WithHandler<any>
    const calls = new ToolCalls<any>(scope, toolkit, settings, ({ id, name }, context) => {
      const own = { callId: id, functionName: name, ...context, push: context.pushDownstream }
      return (effect) => Effect.provideContext(effect, Context.add(services, ToolContext, own))
    })
    /** What was said before a call and may not have been heard. */
    const said = new Map<string, string>()
    /** The answer that has begun. */
    let open = false
    let failing = false

    const end = ({ pushDownstream }: Processor.ProcessorContext): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (!open) return Effect.void
        open = false
        return pushDownstream(LlmResponseEndFrame.make())
      })

    /** One answer, up to its end; gives the calls that it asks for. */
    const answer = Effect.fnUntraced(
      function*(messages: LlmContextFrame["messages"], context: Processor.ProcessorContext) {
        const { metrics, pushDownstream } = context
        const prompt = yield* LlmStream.promptOf(messages, fail, provider)
        let text = ""
        const asked: Array<Call> = []
        let finish: Extract<LlmStream.Event, { readonly _tag: "Finish" }> | undefined
        const mustSpeak = LlmStream.rounds(messages) >= maxToolRounds
        const events = LlmStream.ask({
          prompt,
          toolkit,
          toolChoice: mustSpeak ? "none" : "auto",
          firstToken: Duration.fromInputUnsafe(firstToken),
          stall: Duration.fromInputUnsafe(stall),
          fail
        })
        const planned = models === undefined
          ? events
          : Stream.mapError(
            Stream.withExecutionPlan(events, models, { preventFallbackOnPartialStream: true }),
            // of a layer that could not be built
            (cause) =>
              cause instanceof LlmError ? cause : fail({ provider, reason: "Provider", isRetryable: false, cause })
          )
        yield* Stream.runForEach(planned, (event): Effect.Effect<void> => {
          switch (event._tag) {
            case "Thought":
              return metrics.stopTtfb()
            case "Text": {
              const first = text === "" && asked.length === 0
              text += event.text
              const push = pushDownstream(LlmTextFrame.make({ text: event.text }))
              return first ? Effect.andThen(Effect.andThen(metrics.stopTtfb(), metrics.stopTtfat()), push) : push
            }
            case "Call":
              asked.push(event)
              return metrics.stopTtfb()
            case "Finish":
              finish = event
              return metrics.tokenUsage(usageOf(event.usage, model))
          }
        }).pipe(
          Effect.retry({
            schedule: again,
            while: (error: LlmError) =>
              error.isRetryable && retryAfter(error) <= patience && text === "" && asked.length === 0
          })
        )
        const problem = problemOf(finish?.reason, asked.length > 0, mustSpeak)
        if (problem !== undefined) {
          return yield* fail({
            provider: "LanguageModel",
            reason: "Output",
            isRetryable: false,
            cause: new Error(problem)
          })
        }
        if (text !== "") { for (const { id } of asked) said.set(id, text) }
        while (said.size > maxSaid) said.delete(said.keys().next().value!)
        return asked
      }
    )

    const failed = (error: LlmError, context: Processor.ProcessorContext): Effect.Effect<void, never, any> =>
      Effect.suspend(() => {
        const lost = unusable(error)
        failing = failing || lost
        const report = context.report(error, { unusable: lost })
        return onError === undefined ? report : Effect.andThen(report, onError(error, context))
      })

    const respond = ({ messages, skipTts }: LlmContextFrame, context: Processor.ProcessorContext) =>
      lock.withPermit(Effect.gen(function*() {
        const { metrics, pushDownstream } = context
        const start = LlmResponseStartFrame.make({ ...skipTts === true && { skipTts } })
        open = true
        yield* pushDownstream(start)
        yield* metrics.startProcessing({ model })
        yield* metrics.startTtfb({ model })
        const all = system === undefined ? messages : [{ role: "system", content: system } as const, ...messages]
        const result = yield* Effect.result(answer(LlmStream.withUnheard(all, said), context))
        yield* metrics.stopProcessing()
        yield* end(context)
        if (result._tag === "Failure") return yield* failed(result.failure as LlmError, context)
        if (failing) {
          failing = false
          yield* context.recovered
        }
        if (result.success.length > 0) yield* calls.start(result.success, start.id, context)
      }))

    return {
      metrics: true,
      LlmContextFrame: respond,
      upstream: { LlmContextFrame: respond },
      FunctionCallResultFrame: (frame: FunctionCallResultFrame, { push }: Processor.ProcessorContext) =>
        Effect.suspend(() => calls.answered(frame.callId) === "here" ? Effect.void : push(frame)),
      onInterruption: (_: unknown, context: Processor.ProcessorContext) =>
        Effect.suspend(() => {
          said.clear()
          return Effect.andThen(end(context), calls.cancel("interrupted", context))
        }),
      onEnd: (_: unknown, context: Processor.ProcessorContext) => calls.cancel("all", context)
    }
  })

  return Processor.queued(name, behaviour as Effect.Effect<any, any, any>, {
    frames: [FunctionCallResultFrame, LlmContextFrame]
  })
}

/** Why an answer is none. */
const problemOf = (
  reason: Response.FinishReason | undefined,
  hasCalls: boolean,
  mustSpeak: boolean
): string | undefined => {
  if (reason === undefined) return "the answer has broken off"
  if (reason === "error") return "the provider has ended the answer with an error"
  if (hasCalls && (reason === "length" || reason === "content-filter")) return `a call was cut off: ${reason}`
  return hasCalls && mustSpeak ? "a call, where there must be none any more" : undefined
}

const usageOf = (
  { inputTokens, outputTokens }: Response.Usage,
  model: string | undefined
): Processor.TokenUsage => ({
  promptTokens: inputTokens.total ?? 0,
  completionTokens: outputTokens.total ?? 0,
  cachedTokens: inputTokens.cacheRead,
  reasoningTokens: outputTokens.reasoning,
  model
})
