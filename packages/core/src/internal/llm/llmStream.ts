import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as ExecutionPlan from "effect/ExecutionPlan"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { LlmMessage } from "../../VoiceFrames.ts"

/** What a model does that matters here. */
export type Event =
  | { readonly _tag: "Thought" }
  | { readonly _tag: "Text"; readonly text: string }
  | { readonly _tag: "Call"; readonly id: string; readonly name: string; readonly params: unknown }
  | { readonly _tag: "Finish"; readonly reason: Response.FinishReason; readonly usage: Response.Usage }

/** Why a model has given no answer, or no more of it. */
export interface Failure {
  readonly provider: string
  readonly reason: "Provider" | "FirstToken" | "Stall" | "Output" | "Prompt"
  readonly isRetryable: boolean
  readonly cause: unknown
}

export interface Request<E> {
  readonly prompt: Prompt.Prompt
  readonly toolkit: Toolkit.WithHandler<any> | undefined
  readonly toolChoice: "auto" | "none"
  readonly firstToken: Duration.Duration
  readonly stall: Duration.Duration
  readonly fail: (failure: Failure) => E
}

const decode = Schema.decodeUnknownEffect(Prompt.Prompt)

/** The messages as `effect/ai` has them. */
export const promptOf = <E>(
  messages: ReadonlyArray<LlmMessage>,
  fail: (failure: Failure) => E,
  provider: string
): Effect.Effect<Prompt.Prompt, E> =>
  Effect.mapError(
    decode({ content: messages }),
    (cause) => fail({ provider, reason: "Prompt", isRetryable: false, cause })
  )

/** Asks a model; whatever goes wrong is a failure of this. */
export const ask = <E>(request: Request<E>): Stream.Stream<Event, E, LanguageModel.LanguageModel> =>
  Stream.unwrap(Effect.gen(function*() {
    const model = yield* LanguageModel.LanguageModel
    const provider = yield* providerName
    const { fail, firstToken, prompt, stall, toolChoice, toolkit } = request
    const failed = (cause: unknown): E => fail(failureOf(provider, cause))
    // a call of what is not there has a result that says so
    const byHand = { disableToolCallResolution: true, toolCallValidation: "deferred" } as const
    const parts = (toolkit === undefined
      ? model.streamText({ prompt, ...byHand })
      : model.streamText({ prompt, toolkit, toolChoice, ...byHand })) as Stream.Stream<
        Response.StreamPart<any, "deferred">,
        unknown
      >
    const silent = (reason: "FirstToken" | "Stall", duration: Duration.Duration) =>
      Effect.fail(
        fail({ provider, reason, isRetryable: true, cause: new Error(`nothing for ${Duration.format(duration)}`) })
      )
    const inTime = Stream.transformPull(
      Stream.catchCause(
        parts,
        (cause): Stream.Stream<never, E> =>
          Cause.hasInterruptsOnly(cause)
            ? Stream.failCause(cause as Cause.Cause<never>)
            : Stream.fail(failed(Cause.squash(cause)))
      ),
      (pull) =>
        Effect.sync(() => {
          let first = true
          return Effect.suspend(() => {
            const [reason, duration] = first ? ["FirstToken" as const, firstToken] : ["Stall" as const, stall]
            first = false
            return Effect.timeoutOrElse(pull, { duration, orElse: () => silent(reason, duration) })
          })
        })
    )
    return inTime.pipe(
      Stream.mapEffect((part): Effect.Effect<ReadonlyArray<Event>, E> => {
        switch (part.type) {
          case "text-delta":
            return Effect.succeed(part.delta === "" ? [] : [{ _tag: "Text", text: part.delta }])
          case "reasoning-delta":
            return Effect.succeed(part.delta === "" ? [] : [{ _tag: "Thought" }])
          case "tool-call":
            return Effect.succeed(
              part.providerExecuted ? [] : [{ _tag: "Call", id: part.id, name: part.name, params: part.params }]
            )
          case "finish":
            return Effect.succeed([{ _tag: "Finish", reason: part.reason, usage: part.usage }])
          case "error":
            return Effect.fail(failed(part.error))
          default:
            return Effect.succeed([])
        }
      }),
      Stream.flattenIterable
    )
  }))

/** The plan whose layers are built when they are needed for the first time, and live as long as the scope. */
export const lasting = <Config extends { provides: any; input: any; error: any; requirements: any }>(
  plan: ExecutionPlan.ExecutionPlan<Config>,
  scope: Scope.Scope,
  services: Context.Context<never>
): ExecutionPlan.ExecutionPlan<any> => {
  const once = (layer: Layer.Layer<any, any, any>): Layer.Layer<any, any, any> => {
    let built: Context.Context<any> | undefined
    return Layer.effectContext(Effect.gen(function*() {
      if (built !== undefined) return built
      const own = yield* Scope.fork(scope)
      built = yield* Layer.buildWithMemoMap(layer, Layer.CurrentMemoMap.forkOrCreate(services), own).pipe(
        // what could not be built is tried anew
        Effect.onExit((exit) => Exit.isSuccess(exit) ? Effect.void : Scope.close(own, exit))
      )
      return built
    }))
  }
  const [first, ...others] = plan.steps.map((step) => ({
    ...step,
    provide: Layer.isLayer(step.provide) ? once(step.provide as Layer.Layer<any, any, any>) : step.provide
  }))
  return ExecutionPlan.make(first!, ...others) as ExecutionPlan.ExecutionPlan<any>
}

/** Whose model there is. */
export const providerName: Effect.Effect<string> = Effect.map(
  Effect.serviceOption(Model.ProviderName),
  Option.getOrElse(() => "LanguageModel")
)

const garbage = new Set(["InvalidOutputError", "InvalidResponseError", "StructuredOutputError"])

const failureOf = (provider: string, cause: unknown): Failure => {
  if (!AiError.isAiError(cause)) return { provider, reason: "Provider", isRetryable: false, cause }
  const { isRetryable, reason } = cause
  return { provider, reason: garbage.has(reason._tag) ? "Output" : "Provider", isRetryable, cause }
}

/** How often in a row the model has called functions and been told their results, up to now. */
export const rounds = (messages: ReadonlyArray<LlmMessage>): number => {
  let count = 0
  for (let i = messages.length - 1; i >= 0; i--) {
    const { content, role } = messages[i]!
    if (role === "tool") continue
    if (role !== "assistant" || typeof content === "string" || !content.some(isCall)) break
    count++
  }
  return count
}

type Part = Readonly<Record<string, unknown>>

const isCall = ({ type }: Part): boolean => type === "tool-call"

/** With what was said before a call, as far as it is still to be heard: the model need not say it again. */
export const withUnheard = (
  messages: ReadonlyArray<LlmMessage>,
  said: ReadonlyMap<string, string>
): ReadonlyArray<LlmMessage> => {
  if (said.size === 0) return messages
  return messages.map((message) => {
    const { content, role } = message
    if (role !== "assistant" || typeof content === "string") return message
    const text = content.map(({ id }) => typeof id === "string" ? said.get(id) : undefined).find((text) => text)
    if (text === undefined) return message
    return { role, content: [{ type: "text", text }, ...content.filter(({ type }) => type !== "text")] }
  })
}
