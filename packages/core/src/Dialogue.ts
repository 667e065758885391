/**
 * A small dialogue engine behind `LanguageModel`: rules, no model, no network, no key. It is of some use by itself, and a
 * program that talks to it talks to a real model by providing another layer.
 *
 * English only. It answers
 *
 * - the time, here and in cities: _what time is it in Tokyo_
 * - dates: _what day is it_, _how many days until Christmas_, _what date is next Friday_
 * - arithmetic, in words and digits: _what is seven times eight_, _12% of 80_, _the square root of two_
 * - units: _how many kilometres is five miles_, _convert 70 Fahrenheit to Celsius_; a quantity that is only named is
 *   acknowledged: _go forward ten meters_
 * - spelling, repeating, the name that it was told: _spell pipeline_, _repeat after me_, _say that again_
 * - playing cards, which it reads back and counts: _ten of clubs_
 * - greetings, thanks, _help_; anything else in the manner of ELIZA, by handing it back
 *
 * and it sets timers by calling a tool, as a model does.
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as IdGenerator from "effect/ai/IdGenerator"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import * as Toolkit from "effect/ai/Toolkit"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { type Reply, replyTo } from "./internal/dialogue/reply.ts"
import { maxSeconds } from "./internal/dialogue/timer.ts"
import * as DurationOption from "./internal/durationOption.ts"

// ---------------------------------------------------------------------------------------------------------------------
// tools
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The tool that the engine, or a real model, sets timers with. Its result comes when the timer rings; run it in the
 * background to go on talking meanwhile.
 *
 * @example
 * ```ts
 * import { Dialogue } from "@apipeline/core"
 *
 * Dialogue.SetTimer.name // => "set_timer"
 * ```
 *
 * @category tools
 * @since 0.1.0
 */
export const SetTimer = Tool.make("set_timer", {
  description: "Sets a timer. The result comes when it rings.",
  parameters: Schema.Struct({
    /** Up to a day. */
    seconds: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: maxSeconds })),
    /** What it is for. */
    label: Schema.optionalKey(Schema.String)
  }),
  success: Schema.Struct({
    status: Schema.Literal("rang"),
    seconds: Schema.Finite,
    label: Schema.optionalKey(Schema.String)
  })
})

/**
 * The tools that the engine calls when it is given them.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Dialogue } from "@apipeline/core"
 *
 * const program = LanguageModel.generateText({ prompt: "Set a timer for no time at all.", toolkit: Dialogue.tools })
 * const runnable = Effect.provide(program, [Dialogue.layer(), Dialogue.layerTools])
 *
 * Effect.runPromise(runnable).then(({ text }) => text) // => "For how long? Say, for example: set a timer for ten seconds."
 * ```
 *
 * @category tools
 * @since 0.1.0
 */
export const tools = Toolkit.make(SetTimer)

/**
 * What {@link tools} do: a timer sleeps by the `Clock`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Dialogue, Llm, PipelineTask } from "@apipeline/core"
 *
 * const bot = Llm.make({ toolkit: Dialogue.tools, tools: { set_timer: { background: true } } })
 * const task = PipelineTask.make(bot).pipe(Effect.provide([Dialogue.layer(), Dialogue.layerTools]))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTools: Layer.Layer<Tool.HandlersFor<typeof tools.tools>> = tools.toLayer({
  set_timer: ({ label, seconds }) =>
    Effect.as(
      Effect.sleep(Duration.seconds(seconds)),
      label === undefined ? { status: "rang" as const, seconds } : { status: "rang" as const, seconds, label }
    )
})

// ---------------------------------------------------------------------------------------------------------------------
// engine
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** IANA: `Europe/Vienna`. Default: that of the machine. */
  readonly timeZone?: string | undefined
  /** How long each word takes when the answer is streamed, as those of a model do. Default: 0. */
  readonly wordDelay?: Duration.Input | undefined
}

/** What a model would count, roughly: four characters a token. */
const tokens = (characters: number): number => Math.ceil(characters / 4)

const promptLength = (prompt: Prompt.Prompt): number => {
  let length = 0
  for (const message of prompt.content) {
    if (message.role === "system") length += message.content.length
    else for (const part of message.content) if (part.type === "text") length += part.text.length
  }
  return length
}

const isTimeZone = (timeZone: string): boolean => {
  try {
    return Intl.DateTimeFormat("en-US", { timeZone }) !== undefined
  } catch {
    return false
  }
}

const fail = (method: string, reason: AiError.AiErrorReason): AiError.AiError =>
  AiError.make({ module: "Dialogue", method, reason })

/** The parts of an answer that are the same, streamed or not. */
interface Answer {
  readonly reply: Reply
  readonly call: Response.ToolCallPartEncoded | undefined
  readonly finish: Response.FinishPartEncoded
}

const metadata: Response.ResponseMetadataPartEncoded = { type: "response-metadata", modelId: "dialogue" }

/**
 * Makes the engine. What it says follows from the conversation, the `Clock` and the options alone, so that a program
 * on it can be tested.
 *
 * **Details**
 *
 * - System prompts are ignored; without anything from the user it greets, and when the user says nothing it asks whether
 *   anybody is there.
 * - An answer that is streamed comes word by word, and reports its usage at four characters a token.
 * - A request for a timer is a call of `set_timer`, if the request has that tool and may call it. The call's result is
 *   answered: when it has rung, that is announced, wherever in the conversation the result appears, and once; any other
 *   result means that the timer is running.
 * - Of a turn it reads 2000 characters.
 *
 * Fails with an `AiError`: `UnsupportedSchemaError` when an object is asked for, `InvalidRequestError` when it is to call
 * a tool and does not know with what. Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Dialogue } from "@apipeline/core"
 *
 * const program = LanguageModel.generateText({ prompt: "What is seven times eight?" })
 *
 * Effect.runPromise(Effect.provide(program, Dialogue.layer())).then(({ text }) => text) // => "7 times 8 is 56."
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<LanguageModel.LanguageModel> => {
  const timeZone = options.timeZone ?? new Intl.DateTimeFormat().resolvedOptions().timeZone
  const wordDelay = DurationOption.notNegative("Dialogue: wordDelay", options.wordDelay ?? 0)
  if (!isTimeZone(timeZone)) {
    throw new TypeError(`Dialogue: timeZone: found ${JSON.stringify(timeZone)}, expected an IANA time zone`)
  }

  const answer = Effect.fnUntraced(function*(method: string, request: LanguageModel.ProviderOptions) {
    if (request.responseFormat.type === "json") {
      return yield* fail(
        method,
        new AiError.UnsupportedSchemaError({ description: "it answers in sentences, not in JSON" })
      )
    }
    const choice = request.toolChoice
    const canSetTimer = choice !== "none" && request.tools.some((tool) => tool.name === "set_timer")
    const reply = replyTo(request.prompt, { now: yield* Clock.currentTimeMillis, timeZone, canSetTimer })
    if (reply._tag === "Say" && (choice === "required" || (typeof choice === "object" && isForced(choice)))) {
      return yield* fail(
        method,
        new AiError.InvalidRequestError({
          parameter: "toolChoice",
          description: "nothing in the conversation asks for a tool that it knows"
        })
      )
    }
    const call: Response.ToolCallPartEncoded | undefined = reply._tag === "Say" ? undefined : {
      type: "tool-call",
      id: yield* Effect.flatMap(IdGenerator.IdGenerator, (ids) => ids.generateId()),
      name: "set_timer",
      params: reply.request
    }
    const length = reply._tag === "Say" ? reply.text.length : JSON.stringify(reply.request).length
    return {
      reply,
      call,
      finish: {
        type: "finish",
        reason: call === undefined ? "stop" : "tool-calls",
        usage: {
          inputTokens: { total: tokens(promptLength(request.prompt)) },
          outputTokens: { total: tokens(length) }
        }
      }
    } satisfies Answer as Answer
  })

  return LanguageModel.make({
    generateText: (request) =>
      Effect.map(answer("generateText", request), ({ call, finish, reply }) => [
        metadata,
        ...(call === undefined ? [] : [call]),
        ...(reply._tag === "Say" ? [{ type: "text" as const, text: reply.text }] : []),
        finish
      ]),
    streamText: (request) =>
      Stream.unwrap(Effect.map(answer("streamText", request), ({ call, finish, reply }) => {
        if (reply._tag !== "Say") {
          return Stream.fromArray<Response.StreamPartEncoded>([metadata, ...(call === undefined ? [] : [call]), finish])
        }
        const id = "0"
        const words = (reply.text.match(/\s*\S+/g) ?? []).map((delta) => ({ type: "text-delta" as const, id, delta }))
        const spoken = Stream.fromArray<Response.StreamPartEncoded>(words)
        return Stream.fromArray<Response.StreamPartEncoded>([metadata, { type: "text-start", id }]).pipe(
          Stream.concat(
            wordDelay === 0 ? spoken : Stream.mapEffect(spoken, (word) => Effect.as(Effect.sleep(wordDelay), word))
          ),
          Stream.concat(Stream.fromArray<Response.StreamPartEncoded>([{ type: "text-end", id }, finish]))
        )
      }))
  })
}

const isForced = (choice: Exclude<LanguageModel.ToolChoice<string>, string>): boolean =>
  "tool" in choice || choice.mode === "required"

/**
 * {@link make} as a layer: a `Model` named `dialogue` of the provider `apipeline`.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { Dialogue } from "@apipeline/core"
 *
 * const words = LanguageModel.streamText({ prompt: "Spell Effect." }).pipe(
 *   Stream.filter((part) => part.type === "text-delta"),
 *   Stream.map((part) => part.delta),
 *   Stream.runCollect,
 *   Effect.provide(Dialogue.layer({ timeZone: "Europe/Vienna", wordDelay: "20 millis" }))
 * )
 *
 * Effect.runPromise(words) // => ["Effect:", " E,", " F,", " F,", " E,", " C,", " T."]
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Model.Model<"apipeline", LanguageModel.LanguageModel, never> =>
  Model.make("apipeline", "dialogue", Layer.effect(LanguageModel.LanguageModel, make(options)))
