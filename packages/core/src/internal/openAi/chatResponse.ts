/** Answers of `POST /chat/completions`, whole and in events, as parts of `effect/ai`. */
import * as AiError from "effect/ai/AiError"
import type * as Response from "effect/ai/Response"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { parseJson, refusalOf } from "./failure.ts"

// Only what is used; servers differ in the rest.
const Text = Schema.optional(Schema.NullOr(Schema.String))
const Count = Schema.optional(Schema.NullOr(Schema.Int))
const Usage = Schema.Struct({
  prompt_tokens: Count,
  completion_tokens: Count,
  prompt_tokens_details: Schema.optional(Schema.NullOr(Schema.Struct({ cached_tokens: Count }))),
  completion_tokens_details: Schema.optional(Schema.NullOr(Schema.Struct({ reasoning_tokens: Count })))
})
/** What nobody needs to understand the answer may be anything. */
const Aside = {
  id: Schema.optional(Schema.Unknown),
  model: Schema.optional(Schema.Unknown),
  created: Schema.optional(Schema.Unknown),
  usage: Schema.optional(Schema.Unknown)
}
const Called = Schema.Struct({ name: Text, arguments: Text })
const Message = {
  content: Text,
  reasoning_content: Text,
  refusal: Text
}
const Chunk = Schema.Struct({
  ...Aside,
  choices: Schema.optional(Schema.Array(Schema.Struct({
    index: Schema.optional(Schema.Int),
    delta: Schema.optional(Schema.NullOr(Schema.Struct({
      ...Message,
      tool_calls: Schema.optional(Schema.NullOr(Schema.Array(Schema.Struct({
        index: Schema.optional(Schema.Int),
        id: Text,
        function: Schema.optional(Called)
      }))))
    }))),
    finish_reason: Text
  })))
})
const Whole = Schema.Struct({
  ...Aside,
  choices: Schema.NonEmptyArray(Schema.Struct({
    message: Schema.Struct({
      ...Message,
      tool_calls: Schema.optional(Schema.NullOr(Schema.Array(Schema.Struct({ id: Text, function: Called }))))
    }),
    finish_reason: Text
  }))
})

const decodeUsage = Schema.decodeUnknownResult(Usage)
const decodeChunk = Schema.decodeUnknownResult(Chunk)
const decodeWhole = Schema.decodeUnknownResult(Whole)

/** What an answer is not. */
export const invalid = (description: string): AiError.AiErrorReason => new AiError.InvalidResponseError({ description })

const show = (text: string): string => JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text)

const reasons: Readonly<Record<string, typeof Response.FinishReason.Encoded>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  content_filter: "content-filter"
}

const toUsage = (found: unknown): typeof Response.Usage.Encoded => {
  const usage = Result.getOrUndefined(decodeUsage(found))
  const cacheRead = usage?.prompt_tokens_details?.cached_tokens ?? undefined
  const reasoning = usage?.completion_tokens_details?.reasoning_tokens ?? undefined
  return {
    inputTokens: {
      total: usage?.prompt_tokens ?? undefined,
      ...cacheRead !== undefined && { cacheRead }
    },
    outputTokens: {
      total: usage?.completion_tokens ?? undefined,
      ...reasoning !== undefined && { reasoning }
    }
  }
}

const toMetadata = (
  { created, id, model }: { readonly [K in keyof typeof Aside]?: unknown }
): Response.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  ...typeof id === "string" && { id },
  ...typeof model === "string" && { modelId: model },
  // seconds; what is out of range is no time
  ...typeof created === "number" && created >= 0 && created < 1e11 && {
    timestamp: new Date(created * 1000).toISOString()
  }
})

const toCall = (
  id: string,
  name: string,
  json: string
): Result.Result<Response.ToolCallPartEncoded, AiError.AiErrorReason> => {
  if (name === "") return Result.fail(invalid("found a call of a tool without a name"))
  const params = json.trim() === "" ? {} : parseJson(json)
  return params === undefined
    ? Result.fail(
      new AiError.InvalidOutputError({ description: `tool ${name}: found ${show(json)}, expected JSON parameters` })
    )
    : Result.succeed({ type: "tool-call", id, name, params })
}

/** A whole answer. */
export const decodeAnswer = (
  text: string,
  makeId: (index: number) => string
): Result.Result<Array<Response.PartEncoded>, AiError.AiErrorReason> =>
  Result.gen(function*() {
    const decoded = decodeWhole(parseJson(text))
    if (Result.isFailure(decoded)) return yield* Result.fail(invalid(`found ${show(text)}: ${decoded.failure.message}`))
    const { choices: [{ finish_reason, message }], usage } = decoded.success
    const parts: Array<Response.PartEncoded> = [toMetadata(decoded.success)]
    if (message.reasoning_content) parts.push({ type: "reasoning", text: message.reasoning_content })
    const said = message.content || message.refusal
    if (said) parts.push({ type: "text", text: said })
    const calls = message.tool_calls ?? []
    for (const [index, call] of calls.entries()) {
      parts.push(yield* toCall(call.id || makeId(index), call.function.name ?? "", call.function.arguments ?? ""))
    }
    parts.push({
      type: "finish",
      reason: calls.length > 0 && finish_reason === "stop" ? "tool-calls" : reasons[finish_reason ?? ""] ?? "unknown",
      usage: toUsage(usage)
    })
    return parts
  })

interface Call {
  readonly id: string
  name: string
  json: string
}

/** Some servers say with each event that there is none. */
const isError = (json: unknown): boolean =>
  typeof json === "object" && json !== null && "error" in json && json.error !== null && json.error !== undefined

/** Understands the events of an answer, one by one. */
export interface Decoder {
  /** The parts that the data of an event bring. */
  readonly push: (data: string) => Result.Result<ReadonlyArray<Response.StreamPartEncoded>, AiError.AiErrorReason>
  /** Nothing more comes: the last parts, unless too much is missing. */
  readonly end: () => Result.Result<ReadonlyArray<Response.StreamPartEncoded>, AiError.AiErrorReason>
  /** Whether the answer is complete, and the last parts have been given. */
  readonly isDone: () => boolean
}

/** Makes a {@link Decoder} for one answer. `makeId` names calls that the server has not named. */
export const makeDecoder = (makeId: (index: number) => string): Decoder => {
  type Parts = Array<Response.StreamPartEncoded>
  const calls = new Map<number, Call>()
  let open: "text" | "reasoning" | undefined
  let begun = 0
  let told = false
  let reason: string | undefined
  let usage: unknown
  let done = false

  const id = (): string => String(begun)
  const close = (parts: Parts): void => {
    if (open !== undefined) parts.push({ type: `${open}-end`, id: id() })
    open = undefined
  }
  const say = (parts: Parts, kind: "text" | "reasoning", delta: string | null | undefined): void => {
    if (!delta) return
    if (open !== kind) {
      close(parts)
      begun++
      open = kind
      parts.push({ type: `${kind}-start`, id: id() })
    }
    parts.push({ type: `${kind}-delta`, id: id(), delta })
  }

  /** Of a call without an index, as some servers send them: it has an id of its own, or goes on with the last one. */
  const indexOf = (id: string | null | undefined): number => {
    if (!id) return Math.max(0, calls.size - 1)
    return Array.from(calls).find(([, call]) => call.id === id)?.[0] ?? calls.size
  }
  const call = (
    parts: Parts,
    part: {
      readonly index?: number | undefined
      readonly id?: string | null | undefined
      readonly function?: typeof Called.Type | undefined
    }
  ): void => {
    const index = part.index ?? indexOf(part.id)
    const delta = part.function?.arguments ?? ""
    let found = calls.get(index)
    if (found === undefined) {
      close(parts)
      found = { id: part.id || makeId(index), name: part.function?.name ?? "", json: "" }
      calls.set(index, found)
      parts.push({ type: "tool-params-start", id: found.id, name: found.name })
    } else if (part.function?.name && found.name === "") {
      found.name = part.function.name
    }
    if (delta === "") return
    found.json += delta
    parts.push({ type: "tool-params-delta", id: found.id, delta })
  }

  const finish = (): Result.Result<Parts, AiError.AiErrorReason> =>
    Result.gen(function*() {
      done = true
      const parts: Parts = []
      close(parts)
      for (const { id, json, name } of calls.values()) {
        parts.push({ type: "tool-params-end", id })
        // what was cut in the middle of a call is no call
        if (reason === "length" && parseJson(json) === undefined) continue
        parts.push(yield* toCall(id, name, json))
      }
      parts.push({
        type: "finish",
        reason: calls.size > 0 && reason === "stop" ? "tool-calls" : reasons[reason ?? ""] ?? "unknown",
        usage: toUsage(usage)
      })
      return parts
    })

  const end = (): Result.Result<Parts, AiError.AiErrorReason> => {
    if (done) return Result.succeed([])
    return reason === undefined ? Result.fail(truncated) : finish()
  }

  return {
    push: (data) => {
      if (done) return Result.succeed([])
      if (data.trim() === "[DONE]") return end()
      const json = parseJson(data)
      if (isError(json)) {
        const { message = "it did not say why" } = refusalOf(json)
        return Result.fail(new AiError.InternalProviderError({ description: message }))
      }
      const decoded = decodeChunk(json)
      if (Result.isFailure(decoded)) return Result.fail(invalid(`found ${show(data)}: ${decoded.failure.message}`))
      const chunk = decoded.success
      const parts: Parts = []
      if (!told) {
        told = true
        parts.push(toMetadata(chunk))
      }
      usage = chunk.usage ?? usage
      const choice = chunk.choices?.find(({ index = 0 }) => index === 0)
      say(parts, "reasoning", choice?.delta?.reasoning_content)
      say(parts, "text", choice?.delta?.content)
      say(parts, "text", choice?.delta?.refusal)
      for (const part of choice?.delta?.tool_calls ?? []) call(parts, part)
      reason = Option.getOrUndefined(Option.fromNullishOr(choice?.finish_reason)) ?? reason
      return Result.succeed(parts)
    },
    end,
    isDone: () => done
  }
}

/** The answer stopped before its end: the connection was lost, whatever HTTP says. */
const truncated = new AiError.InternalProviderError({ description: "the answer ended before its end" })
