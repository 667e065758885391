/** Conversations and tools in the form of `POST /chat/completions`. */
import * as AiError from "effect/ai/AiError"
import type * as LanguageModel from "effect/ai/LanguageModel"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import type * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as Result from "effect/Result"
import { toBase64 } from "../wire/bytes.ts"

type Json = Readonly<Record<string, unknown>>

const text = (result: unknown): string => typeof result === "string" ? result : JSON.stringify(result) ?? "null"

/** A file of the user in the form that the protocol has for it; `undefined`: it has none. */
const file = ({ data, mediaType }: Prompt.FilePart): Json | undefined => {
  if (mediaType.startsWith("image/")) {
    const type = mediaType === "image/*" ? "image/jpeg" : mediaType
    const url = data instanceof Uint8Array ? `data:${type};base64,${toBase64(data)}` : String(data)
    return { type: "image_url", image_url: { url: /^(?:https?|data):/.test(url) ? url : `data:${type};base64,${url}` } }
  }
  if (data instanceof Uint8Array && (mediaType === "audio/wav" || mediaType === "audio/mpeg")) {
    return {
      type: "input_audio",
      input_audio: { data: toBase64(data), format: mediaType === "audio/wav" ? "wav" : "mp3" }
    }
  }
  return undefined
}

const toolMessage = ({ id, modelOutput, result }: Prompt.ToolResultPart): Json => ({
  role: "tool",
  tool_call_id: id,
  content: modelOutput === undefined
    ? text(result)
    : modelOutput.map((part) => part.type === "text" ? part.text : `(a file: ${part.mediaType})`).join("\n")
})

const userMessage = (message: Prompt.UserMessage): Result.Result<Json, AiError.AiErrorReason> => {
  if (message.content.every((part) => part.type === "text")) {
    return Result.succeed({ role: "user", content: message.content.map((part) => part.text).join("\n") })
  }
  const content: Array<Json> = []
  for (const part of message.content) {
    const encoded = part.type === "text" ? { type: "text", text: part.text } : file(part)
    if (encoded === undefined) {
      return Result.fail(
        new AiError.InvalidUserInputError({
          description: `found a file of type ${
            part.type === "file" ? part.mediaType : part.type
          }, expected an image, audio/wav or audio/mpeg`
        })
      )
    }
    content.push(encoded)
  }
  return Result.succeed({ role: "user", content })
}

const assistantMessages = ({ content }: Prompt.AssistantMessage): ReadonlyArray<Json> => {
  const said = content.map((part) => part.type === "text" ? part.text : "").join("")
  const calls = content.flatMap((part) =>
    part.type === "tool-call"
      ? [{ id: part.id, type: "function", function: { name: part.name, arguments: JSON.stringify(part.params ?? {}) } }]
      : []
  )
  const results = content.flatMap((part) => part.type === "tool-result" ? [toolMessage(part)] : [])
  if (said === "" && calls.length === 0) return results
  return [
    { role: "assistant", content: said === "" ? null : said, ...calls.length > 0 && { tool_calls: calls } },
    ...results
  ]
}

/** The messages of a conversation. */
export const toMessages = (prompt: Prompt.Prompt): Result.Result<ReadonlyArray<Json>, AiError.AiErrorReason> => {
  const messages: Array<Json> = []
  for (const message of prompt.content) {
    switch (message.role) {
      case "system":
        messages.push({ role: "system", content: message.content })
        break
      case "user": {
        const encoded = userMessage(message)
        if (Result.isFailure(encoded)) return Result.fail(encoded.failure)
        messages.push(encoded.success)
        break
      }
      case "assistant":
        messages.push(...assistantMessages(message))
        break
      case "tool":
        for (const part of message.content) if (part.type === "tool-result") messages.push(toolMessage(part))
    }
  }
  return Result.succeed(messages)
}

const toTools = (tools: ReadonlyArray<Tool.Any>): Result.Result<ReadonlyArray<Json>, AiError.AiErrorReason> => {
  const encoded: Array<Json> = []
  for (const tool of tools) {
    if (Tool.isProviderDefined(tool)) {
      return Result.fail(
        new AiError.ToolConfigurationError({
          toolName: tool.name,
          description: "tools that the provider runs are not part of this protocol"
        })
      )
    }
    const description = Tool.getDescription(tool)
    encoded.push({
      type: "function",
      function: {
        name: tool.name,
        ...description !== undefined && { description },
        parameters: Tool.getJsonSchema(tool)
      }
    })
  }
  return Result.succeed(encoded)
}

const toToolChoice = (choice: LanguageModel.ToolChoice<string>): unknown => {
  if (typeof choice === "string") return choice
  return "tool" in choice ? { type: "function", function: { name: choice.tool } } : choice.mode ?? "auto"
}

const toResponseFormat = (
  format: LanguageModel.ProviderOptions["responseFormat"]
): Result.Result<Json, AiError.AiErrorReason> => {
  if (format.type === "text") return Result.succeed({})
  return Result.try({
    try: () => ({
      response_format: {
        type: "json_schema",
        json_schema: { name: format.objectName, strict: true, schema: toCodecOpenAI(format.schema as never).jsonSchema }
      }
    }),
    catch: (cause) =>
      new AiError.UnsupportedSchemaError({ description: cause instanceof Error ? cause.message : String(cause) })
  })
}

/** The body of a request. `settings` are sent as they are. */
export const toBody = (
  options: LanguageModel.ProviderOptions,
  model: string,
  settings: Json,
  stream: boolean
): Result.Result<Json, AiError.AiErrorReason> =>
  Result.gen(function*() {
    const messages = yield* toMessages(options.prompt)
    const tools = yield* toTools(options.tools)
    const format = yield* toResponseFormat(options.responseFormat)
    return {
      ...settings,
      model,
      messages,
      ...tools.length > 0 && { tools, tool_choice: toToolChoice(options.toolChoice) },
      ...format,
      ...stream && { stream: true, stream_options: { include_usage: true } }
    }
  })
