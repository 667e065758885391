/**
 * A language model that follows a script, for tests: it answers each request as it was told to, checks what it is asked,
 * and remembers what became of every request.
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The model was asked what the script does not expect, or not asked what it does.
 *
 * @example
 * ```ts
 * import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
 *
 * new FakeLanguageModel.ScriptViolation({ request: 2, found: "a request", expected: "none" }).message
 * // => "request 2: found a request, expected none"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ScriptViolation extends Schema.TaggedError<ScriptViolation>()("ScriptViolation", {
  /** Which, counted from 1. */
  request: Schema.Int,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `request ${this.request}: found ${this.found}, expected ${this.expected}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What the model does next while it answers: says a piece of text, waits, calls a tool, thinks, fails, says nothing any
 * more, ends for a reason of its own, or sends whatever it likes, which may be garbage.
 *
 * @category models
 * @since 0.1.0
 */
export type Step =
  | string
  | { readonly delay: Duration.Input }
  | {
    readonly call: { readonly id: string; readonly name: string; readonly params: unknown }
  }
  | { readonly think: string }
  | { readonly fail: AiError.AiErrorReason }
  | { readonly die: unknown }
  | { readonly stall: true }
  | { readonly finish: Response.FinishReason }
  | { readonly part: unknown }
  | {
    /** Ends without the `finish` part. */
    readonly cut: true
  }

/**
 * A request as the model was sent it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  readonly method: "streamText" | "generateText"
  /** In their encoded form, without what is there by default. */
  readonly messages: ReadonlyArray<unknown>
  /** The names of the tools that it may call. */
  readonly tools: ReadonlyArray<string>
  readonly toolChoice: unknown
  /** Milliseconds since the epoch, by the `Clock`. */
  readonly at: number
  /** What has become of it. */
  readonly outcome: "running" | "completed" | "failed" | "interrupted"
}

/**
 * One request of the script, and how it is answered.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exchange {
  /** All messages that the request must have, exactly. Default: any. */
  readonly messages?: ReadonlyArray<unknown> | undefined
  /** The text of its last message. Default: any. */
  readonly last?: string | undefined
  /** The names of its tools. Default: any. */
  readonly tools?: ReadonlyArray<string> | undefined
  /** Default: the model's name for it is not looked at. */
  readonly method?: Request["method"] | undefined
  /** What the model does. `finish` follows by itself. */
  readonly reply: ReadonlyArray<Step>
  /** What `finish` says. Default: 10 tokens in, 5 out. */
  readonly usage?: Response.FinishPartEncoded["usage"] | undefined
}

/**
 * A model with a script.
 *
 * @category models
 * @since 0.1.0
 */
export interface FakeLanguageModel {
  readonly layer: Layer.Layer<LanguageModel.LanguageModel>
  readonly service: LanguageModel.LanguageModel
  /** What it was asked so far, in order. */
  readonly requests: () => ReadonlyArray<Request>
  /** Fails unless it was asked exactly what the script says. */
  readonly verify: Effect.Effect<void, ScriptViolation>
}

const defaultUsage: Response.FinishPartEncoded["usage"] = {
  inputTokens: { total: 10 },
  outputTokens: { total: 5 }
}

/** Without `options: {}`, and text alone as a string. */
const plain = (prompt: Prompt.Prompt): ReadonlyArray<unknown> =>
  Schema.encodeSync(Prompt.Prompt)(prompt).content.map((message) => {
    const { content, role } = message
    if (typeof content === "string") return { role, content }
    const [first] = content
    if (content.length === 1 && first!.type === "text" && role !== "tool") return { role, content: first!.text }
    return {
      role,
      content: content.map((part) =>
        Object.fromEntries(
          Object.entries(part).filter(([key, value]) =>
            key !== "options" && value !== undefined && !(key === "providerExecuted" && value === false)
          )
        )
      )
    }
  })

const textOf = (message: unknown): string => {
  const { content } = message as { readonly content: string | ReadonlyArray<{ readonly text?: string }> }
  return typeof content === "string" ? content : content.map(({ text }) => text ?? "").join("")
}

const show = (value: unknown): string => JSON.stringify(value) ?? "nothing"

type Mutable = { -readonly [K in keyof Request]: Request[K] }

/**
 * Makes a model that answers the requests of a script, in order, and no others.
 *
 * **Details**
 *
 * - A request that is not the next of the script dies with a {@link ScriptViolation}. When the scope closes after a
 *   success, every request of the script must have been made, and none of them wrongly: else that dies, too, and with it
 *   the test.
 * - Delays are slept, in virtual time under `TestClock`.
 * - Each text is one `text-delta`. `generateText` gives the same, as a whole.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import * as LanguageModel from "effect/ai/LanguageModel"
 * import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
 *
 * const test = Effect.gen(function*() {
 *   const fake = yield* FakeLanguageModel.make([{ last: "hi", reply: ["Hello ", "there."] }])
 *   const text = yield* LanguageModel.streamText({ prompt: "hi" }).pipe(
 *     Stream.runFold(() => "", (all, part) => part.type === "text-delta" ? all + part.delta : all),
 *     Effect.provide(fake.layer)
 *   )
 *   return [text, fake.requests()[0]?.outcome]
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(test) // => ["Hello there.", "completed"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  script: Iterable<Exchange>
): Effect.Effect<FakeLanguageModel, never, Scope.Scope> =>
  Effect.gen(function*() {
    const exchanges = Array.from(script)
    const requests: Array<Mutable> = []
    let violation: ScriptViolation | undefined

    const violated = (request: number, found: string, expected: string): Effect.Effect<never> => {
      violation ??= new ScriptViolation({ request, found, expected })
      return Effect.die(violation)
    }

    /** Takes a request in; gives what is done about it. */
    const open = (method: Request["method"], options: LanguageModel.ProviderOptions) =>
      Effect.clockWith((clock) =>
        Effect.suspend(() => {
          const request: Mutable = {
            method,
            messages: plain(options.prompt),
            tools: options.tools.map(({ name }) => name),
            toolChoice: options.toolChoice,
            at: clock.currentTimeMillisUnsafe(),
            outcome: "running"
          }
          const number = requests.push(request)
          const exchange = exchanges[number - 1]
          if (exchange === undefined) return violated(number, show(request.messages.at(-1)), "no request")
          const checks = [
            ["messages", request.messages, exchange.messages],
            ["last message", textOf(request.messages.at(-1) ?? { content: "" }), exchange.last],
            ["tools", request.tools, exchange.tools],
            ["method", request.method, exchange.method]
          ] as const
          for (const [what, found, expected] of checks) {
            if (expected === undefined || show(found) === show(expected)) continue
            return violated(number, `${what} ${show(found)}`, show(expected))
          }
          return Effect.succeed([request, exchange] as const)
        })
      )

    const partsOf = (method: Request["method"], options: LanguageModel.ProviderOptions) =>
      Stream.unwrap(Effect.map(open(method, options), ([request, exchange]) =>
        Stream.fromIterable(flow(exchange)).pipe(
          Stream.rechunk(1),
          Stream.mapEffect((action) => perform(action, method)),
          Stream.flattenIterable,
          Stream.onExit((exit) =>
            Effect.sync(() => {
              request.outcome = Exit.isSuccess(exit)
                ? "completed"
                : Exit.hasInterrupts(exit)
                ? "interrupted"
                : "failed"
            })
          )
        )))

    const service = yield* LanguageModel.make({
      streamText: (options) => partsOf("streamText", options),
      generateText: (options) => Effect.map(Stream.runCollect(partsOf("generateText", options)), whole)
    })

    const verify = Effect.suspend(() => {
      if (violation !== undefined) return Effect.fail(violation)
      if (requests.length === exchanges.length) return Effect.void
      const request = requests.length + 1
      const { last, messages } = exchanges[requests.length]!
      return Effect.fail(
        new ScriptViolation({ request, found: "no request", expected: show(last ?? messages ?? "a request") })
      )
    })
    yield* Effect.addFinalizer((exit) => Exit.isSuccess(exit) ? Effect.orDie(verify) : Effect.void)

    return {
      service,
      layer: Layer.succeed(LanguageModel.LanguageModel, service),
      requests: () => requests,
      verify
    }
  })

type Action = Step | { readonly emit: ReadonlyArray<Response.StreamPartEncoded> }

/** The parts around a reply. */
const flow = ({ reply, usage = defaultUsage }: Exchange): ReadonlyArray<Action> => {
  const actions: Array<Action> = []
  let open: "text" | "reasoning" | undefined
  let number = 0
  const close = (): void => {
    if (open !== undefined) actions.push({ emit: [{ type: `${open}-end`, id: String(number) }] })
    open = undefined
  }
  const say = (kind: "text" | "reasoning", delta: string): void => {
    const parts: Array<Response.StreamPartEncoded> = []
    if (open !== kind) {
      close()
      open = kind
      parts.push({ type: `${kind}-start`, id: String(++number) })
    }
    actions.push({ emit: [...parts, { type: `${kind}-delta`, id: String(number), delta }] })
  }
  for (const step of reply) {
    if (typeof step === "string") say("text", step)
    else if ("think" in step) say("reasoning", step.think)
    else if ("delay" in step || "part" in step) actions.push(step)
    else {
      close()
      actions.push(step)
    }
  }
  close()
  const last = reply.at(-1)
  if (typeof last === "object" && ("cut" in last || "finish" in last)) return actions.map((a) => finished(a, usage))
  const calls = reply.some((step) => typeof step === "object" && "call" in step)
  return [...actions, finished({ finish: calls ? "tool-calls" : "stop" }, usage)]
}

const finished = (action: Action, usage: Response.FinishPartEncoded["usage"]): Action =>
  typeof action === "object" && "finish" in action
    ? { emit: [{ type: "finish", reason: action.finish, usage }] }
    : action

const perform = (
  action: Action,
  method: Request["method"]
): Effect.Effect<ReadonlyArray<Response.StreamPartEncoded>, AiError.AiError> => {
  if (typeof action === "string" || "think" in action || "finish" in action || "cut" in action) {
    return Effect.succeed([])
  }
  if ("emit" in action) return Effect.succeed(action.emit)
  if ("delay" in action) return Effect.as(Effect.sleep(action.delay), [])
  if ("call" in action) return Effect.succeed([{ type: "tool-call", ...action.call }])
  if ("stall" in action) return Effect.never
  if ("die" in action) return Effect.die(action.die)
  if ("fail" in action) {
    return Effect.fail(AiError.make({ module: "FakeLanguageModel", method, reason: action.fail }))
  }
  return Effect.succeed([action.part as Response.StreamPartEncoded]) // garbage is what it is for
}

/** The parts of an answer that was not streamed. */
const whole = (parts: ReadonlyArray<Response.StreamPartEncoded>): Array<Response.PartEncoded> => {
  const all: Array<Response.PartEncoded> = []
  for (const part of parts) {
    if (part.type === "text-start" || part.type === "reasoning-start") {
      const type = part.type === "text-start" ? "text" : "reasoning"
      const text = parts.map((other) =>
        (other.type === "text-delta" || other.type === "reasoning-delta") && other.id === part.id ? other.delta : ""
      )
      all.push({ type, text: text.join("") })
    } else if (!/^(?:text|reasoning)-/.test(part.type)) all.push(part as Response.PartEncoded)
  }
  return all
}
