import * as OpenAiClient from "@apipeline/core/OpenAiClient"
import * as OpenAiLanguageModel from "@apipeline/core/OpenAiLanguageModel"
import * as LanguageModelContract from "@apipeline/core/testing/LanguageModelContract"
import * as NodeHttpClient from "@effect/platform-node/NodeHttpClient"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Exit, Fiber, Layer, Redacted, Result, Schedule, Schema, Stream } from "effect"
import { AiError, LanguageModel, Prompt, type Response, Tool, Toolkit } from "effect/ai"
import { FetchHttpClient } from "effect/http"
import { decodeAnswer, makeDecoder } from "../../packages/core/src/internal/openAi/chatResponse.ts"
import {
  type Answer,
  begin,
  breakOff,
  delta,
  event,
  events,
  goOn,
  type Received,
  respond,
  serve,
  silence,
  usage,
  words
} from "../utils/openAiServer.ts"

const { deepStrictEqual, isAtLeast, isBelow, match, strictEqual } = assert

const key = "sk-secret"
const sse = "text/event-stream"

const layer = (
  url: string,
  options: OpenAiClient.Options = {},
  settings?: OpenAiLanguageModel.Options["settings"],
  http = FetchHttpClient.layer
) =>
  OpenAiLanguageModel.layer({ model: "test-1", settings }).pipe(
    Layer.provide(OpenAiClient.layer({
      baseUrl: url,
      apiKey: Redacted.make(key),
      timeout: "2 seconds",
      retry: Schedule.recurs(0),
      ...options
    })),
    Layer.provide(http)
  )

const weather = Tool.make("get_weather", {
  description: "The weather of a city.",
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ temperature: Schema.Finite })
})
const tools = Toolkit.make(weather)
const layerTools = tools.toLayer({ get_weather: () => Effect.succeed({ temperature: 4 }) })

const stream = (prompt: Prompt.RawInput) => Stream.runCollect(LanguageModel.streamText({ prompt }))

const said = (parts: ReadonlyArray<Response.StreamPart<any, any>>): string =>
  parts.map((part) => part.type === "text-delta" ? part.delta : "").join("")

/** Everything about a request but its body. */
const expectPost = ({ headers, method, path }: Received) => {
  strictEqual(method, "POST")
  strictEqual(path, "/v1/chat/completions")
  strictEqual(headers.authorization, `Bearer ${key}`)
  match(headers["content-type"] ?? "", /^application\/json/)
}

const bodyOf = ({ body }: Received): any => JSON.parse(body.toString())

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => {
    if (!AiError.isAiError(error)) throw new Error(`found ${String(error)}, expected an AiError`)
    return error
  })

const until = (condition: () => boolean) =>
  Effect.sleep("5 millis").pipe(Effect.repeat({ until: condition }), Effect.timeout("3 seconds"))

describe("requests", () => {
  it.live("a conversation with everything in it", () =>
    Effect.gen(function*() {
      const server = yield* serve(words("Four", " degrees."))
      const prompt = Prompt.make([
        { role: "system", content: "Be brief." },
        { role: "user", content: "Good morning." },
        { role: "user", content: [{ type: "text", text: "How is " }, { type: "text", text: "the weather?" }] },
        {
          role: "assistant",
          content: [{ type: "text", text: "Let me see." }, {
            type: "tool-call",
            id: "c1",
            name: "get_weather",
            params: { city: "Oslo" }
          }]
        },
        {
          role: "tool",
          content: [{
            type: "tool-result",
            id: "c1",
            name: "get_weather",
            isFailure: false,
            result: { temperature: 4 }
          }]
        },
        {
          role: "user",
          content: [{ type: "text", text: "Is it here?" }, {
            type: "file",
            mediaType: "image/png",
            data: new Uint8Array([1, 2, 3])
          }]
        }
      ])
      const parts = yield* Stream.runCollect(LanguageModel.streamText({ prompt, toolkit: tools, toolChoice: "auto" }))
        .pipe(
          Effect.provide([layer(server.url, {}, { temperature: 0.2 }), layerTools])
        )
      strictEqual(said(parts), "Four degrees.")
      strictEqual(server.requests.length, 1)
      expectPost(server.requests[0]!)
      const { tools: sent, ...body } = bodyOf(server.requests[0]!)
      deepStrictEqual(body, {
        temperature: 0.2,
        model: "test-1",
        messages: [
          { role: "system", content: "Be brief." },
          { role: "user", content: "Good morning." },
          { role: "user", content: "How is \nthe weather?" },
          {
            role: "assistant",
            content: "Let me see.",
            tool_calls: [{
              id: "c1",
              type: "function",
              function: { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" }
            }]
          },
          { role: "tool", tool_call_id: "c1", content: "{\"temperature\":4}" },
          {
            role: "user",
            content: [
              { type: "text", text: "Is it here?" },
              { type: "image_url", image_url: { url: "data:image/png;base64,AQID" } }
            ]
          }
        ],
        tool_choice: "auto",
        stream: true,
        stream_options: { include_usage: true }
      })
      strictEqual(sent.length, 1)
      strictEqual(sent[0].type, "function")
      strictEqual(sent[0].function.name, "get_weather")
      strictEqual(sent[0].function.description, "The weather of a city.")
      deepStrictEqual(sent[0].function.parameters.properties, { city: { type: "string" } })
      deepStrictEqual(sent[0].function.parameters.required, ["city"])
    }))

  it.live("says which tools may be called", () =>
    Effect.gen(function*() {
      const server = yield* serve(words("No."))
      for (
        const [toolChoice, sent] of [
          ["none", "none"],
          ["required", "required"],
          [{ tool: "get_weather" }, { type: "function", function: { name: "get_weather" } }],
          [{ oneOf: ["get_weather"], mode: "required" }, "required"],
          [{ oneOf: ["get_weather"] }, "auto"]
        ] as const
      ) {
        yield* Stream.runDrain(LanguageModel.streamText({ prompt: "Hello.", toolkit: tools, toolChoice })).pipe(
          Effect.provide([layer(server.url), layerTools])
        )
        deepStrictEqual(bodyOf(server.requests.at(-1)!).tool_choice, sent)
      }
    }))

  it.live("sends headers, and no key where there is none", () =>
    Effect.gen(function*() {
      const server = yield* serve(words("Hello."))
      yield* Effect.provide(
        stream("Hello."),
        layer(`${server.url}/`, { apiKey: undefined, headers: { "x-tenant": "7" } })
      )
      const [{ headers, path }] = server.requests as [Received]
      strictEqual(headers.authorization, undefined)
      strictEqual(headers["x-tenant"], "7")
      strictEqual(path, "/v1/chat/completions")
    }))

  it.live("fails for a file that the protocol does not know, and sends nothing", () =>
    Effect.gen(function*() {
      const server = yield* serve(words("Hello."))
      const prompt = Prompt.make([{
        role: "user",
        content: [{ type: "file", mediaType: "application/pdf", data: new Uint8Array(1) }]
      }])
      const error = yield* failure(Effect.provide(stream(prompt), layer(server.url)))
      strictEqual(error.reason._tag, "InvalidUserInputError")
      match(error.message, /application\/pdf/)
      strictEqual(server.requests.length, 0)
    }))

  it.live("asks for an object by its schema", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(200, {
        id: "1",
        choices: [{ message: { role: "assistant", content: "{\"name\":\"Ada\"}" }, finish_reason: "stop" }]
      }))
      const { value } = yield* LanguageModel.generateObject({
        prompt: "Who?",
        objectName: "person",
        schema: Schema.Struct({ name: Schema.String })
      }).pipe(Effect.provide(layer(server.url)))
      deepStrictEqual(value, { name: "Ada" })
      const { response_format: { json_schema, type } } = bodyOf(server.requests[0]!)
      strictEqual(type, "json_schema")
      strictEqual(json_schema.name, "person")
      strictEqual(json_schema.strict, true)
      deepStrictEqual(json_schema.schema.required, ["name"])
      strictEqual(json_schema.schema.additionalProperties, false)
    }))
})

describe("answers", () => {
  it.live("words, with metadata and usage", () =>
    Effect.gen(function*() {
      const server = yield* serve(words("Hello", " there."))
      const parts = yield* Effect.provide(stream("Hello."), layer(server.url))
      deepStrictEqual(parts.map(({ type }) => type), [
        "response-metadata",
        "text-start",
        "text-delta",
        "text-delta",
        "text-end",
        "finish"
      ])
      const [head] = parts as unknown as [Response.ResponseMetadataPart]
      strictEqual(head.id, "chatcmpl-1")
      strictEqual(head.modelId, "test-1")
      const finish = parts.at(-1) as Response.FinishPart
      strictEqual(finish.reason, "stop")
      strictEqual(finish.usage.inputTokens.total, 12)
      strictEqual(finish.usage.inputTokens.cacheRead, 8)
      strictEqual(finish.usage.outputTokens.total, 3)
    }))

  it.live("comes as it is sent", () =>
    Effect.gen(function*() {
      let go = () => {}
      const server = yield* serve((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.write(event(delta({ content: "One" })))
        go = () => response.end(event(delta({ content: " two" }, "stop")) + event("[DONE]"))
      })
      const heard: Array<string> = []
      const fiber = yield* LanguageModel.streamText({ prompt: "Count." }).pipe(
        Stream.runForEach((part) =>
          Effect.sync(() => {
            if (part.type === "text-delta") heard.push(part.delta)
          })
        ),
        Effect.provide(layer(server.url)),
        Effect.forkChild
      )
      yield* until(() => heard.length === 1)
      go()
      yield* Fiber.join(fiber)
      deepStrictEqual(heard, ["One", " two"])
    }))

  it.live("calls of tools in pieces, several at once, without ids", () =>
    Effect.gen(function*() {
      const server = yield* serve(events(
        delta({ content: "Let me see." }),
        delta({
          tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "get_weather", arguments: "" } }]
        }),
        delta({ tool_calls: [{ index: 0, function: { arguments: "{\"ci" } }] }),
        delta({ tool_calls: [{ index: 1, function: { name: "get_weather", arguments: "{\"city\":\"Rome\"}" } }] }),
        delta({ tool_calls: [{ index: 0, function: { arguments: "ty\":\"Oslo\"}" } }] }),
        delta({}, "tool_calls"),
        usage,
        "[DONE]"
      ))
      const parts = yield* Stream.runCollect(
        LanguageModel.streamText({ prompt: "Weather?", toolkit: tools, disableToolCallResolution: true })
      ).pipe(Effect.provide([layer(server.url), layerTools]))
      const calls = parts.flatMap((part) => part.type === "tool-call" ? [part] : [])
      deepStrictEqual(calls.map(({ name, params }) => ({ name, params })), [
        { name: "get_weather", params: { city: "Oslo" } },
        { name: "get_weather", params: { city: "Rome" } }
      ])
      strictEqual(calls[0]!.id, "a")
      strictEqual(calls[1]!.id !== "" && calls[1]!.id !== "a", true)
      strictEqual((parts.at(-1) as Response.FinishPart).reason, "tool-calls")
      strictEqual(said(parts), "Let me see.")
    }))

  it.live("calls of tools without an index", () =>
    Effect.gen(function*() {
      const part = (id: string | undefined, json: string) =>
        delta({ tool_calls: [{ id, function: { name: "get_weather", arguments: json } }] })
      const server = yield* serve(events(
        part("a", "{\"city\":"),
        part(undefined, "\"Oslo\"}"),
        part("b", "{\"city\":"),
        part("b", "\"Rome\"}"),
        delta({}, "stop"),
        "[DONE]"
      ))
      const parts = yield* Stream.runCollect(
        LanguageModel.streamText({ prompt: "Weather?", toolkit: tools, disableToolCallResolution: true })
      ).pipe(Effect.provide([layer(server.url), layerTools]))
      deepStrictEqual(parts.flatMap((part) => part.type === "tool-call" ? [[part.id, part.params]] : []), [
        ["a", { city: "Oslo" }],
        ["b", { city: "Rome" }]
      ])
      strictEqual((parts.at(-1) as Response.FinishPart).reason, "tool-calls")
    }))

  it.live("as a whole: text, calls, reasoning, usage", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(200, {
        id: "x",
        model: "test-1",
        choices: [{
          message: {
            content: null,
            reasoning_content: "Hm.",
            tool_calls: [{
              id: "a",
              type: "function",
              function: { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" }
            }]
          },
          finish_reason: "tool_calls"
        }],
        usage: { prompt_tokens: 5, completion_tokens: 6 }
      }))
      const answer = yield* LanguageModel.generateText({ prompt: "Weather?", toolkit: tools }).pipe(
        Effect.provide([layer(server.url), layerTools])
      )
      deepStrictEqual(answer.toolResults.map(({ result }) => result), [{ temperature: 4 }])
      strictEqual(answer.reasoningText, "Hm.")
      strictEqual(answer.usage.outputTokens.total, 6)
      strictEqual(bodyOf(server.requests[0]!).stream, undefined)
    }))

  it.live("ends with [DONE], even when the connection stays open", () =>
    Effect.gen(function*() {
      const server = yield* serve(begin(sse, event(delta({ content: "Hello." }, "stop")) + event("[DONE]")))
      strictEqual(said(yield* Effect.provide(stream("Hello."), layer(server.url))), "Hello.")
      yield* until(() => server.requests[0]!.aborted)
    }))

  it.live("what is of no use does no harm", () =>
    Effect.gen(function*() {
      const server = yield* serve(events(
        { ...delta({ content: "Hello." }), error: null, usage: null, id: 7, created: "now", model: null },
        { ...delta({}, "stop"), usage: { prompt_tokens: "many" } },
        "[DONE]"
      ))
      strictEqual(said(yield* Effect.provide(stream("Hello."), layer(server.url))), "Hello.")
    }))

  it.live("ends with the connection, if there was a reason", () =>
    Effect.gen(function*() {
      const server = yield* serve((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        response.end(`: comment\n\ndata: ${JSON.stringify(delta({ content: "Hello." }, "length"))}`)
      })
      const parts = yield* Effect.provide(stream("Hello."), layer(server.url))
      strictEqual(said(parts), "Hello.")
      strictEqual((parts.at(-1) as Response.FinishPart).reason, "length")
    }))

  it.live("works over Node's own client, too", () =>
    Effect.gen(function*() {
      const server = yield* serve(words("Hello."))
      const model = layer(server.url, {}, undefined, NodeHttpClient.layerNodeHttp)
      strictEqual(said(yield* Effect.provide(stream("Hello."), model)), "Hello.")
    }))
})

describe("failures", () => {
  const reasons: ReadonlyArray<
    readonly [name: string, answer: Answer, reason: string, isRetryable: boolean, message: RegExp]
  > = [
    [
      "bad request",
      respond(400, { error: { message: "Too long.", param: "messages" } }),
      "InvalidRequestError",
      false,
      /Too long/
    ],
    ["bad key", respond(401, { error: { message: "Who?" } }), "AuthenticationError", false, /./],
    ["forbidden", respond(403, "no", { "content-type": "text/plain" }), "AuthenticationError", false, /./],
    ["no such model", respond(404, { error: "model not found" }), "InvalidRequestError", false, /model not found/],
    ["rate limit", respond(429, { error: { message: "Slow." } }), "RateLimitError", true, /./],
    [
      "quota",
      respond(429, { error: { message: "Pay.", code: "insufficient_quota" } }),
      "QuotaExhaustedError",
      false,
      /./
    ],
    [
      "policy",
      respond(400, { error: { message: "No.", code: "content_filter" } }),
      "ContentPolicyError",
      false,
      /No\./
    ],
    [
      "overloaded",
      respond(503, "<html>busy</html>", { "content-type": "text/html" }),
      "InternalProviderError",
      true,
      /busy/
    ],
    ["empty error", respond(500, ""), "InternalProviderError", true, /500/],
    ["redirect", respond(304, ""), "InvalidRequestError", false, /304/],
    [
      "wrong type",
      respond(200, "<html>", { "content-type": "text/html" }),
      "InvalidResponseError",
      false,
      /text\/html/
    ],
    ["JSON instead of events", respond(200, {}), "InvalidResponseError", false, /application\/json/],
    ["nothing", events(), "InternalProviderError", true, /before its end/],
    ["cut", events(delta({ content: "Hel" })), "InternalProviderError", true, /before its end/],
    [
      "done without a reason",
      events(delta({ content: "Hel" }), "[DONE]"),
      "InternalProviderError",
      true,
      /before its end/
    ],
    ["no JSON", events(delta({ content: "Hel" }), "{\"choices\": [{"), "InvalidResponseError", false, /\[\{/],
    ["other JSON", events({ choices: "none" }), "InvalidResponseError", false, /choices/],
    [
      "an error in the middle",
      events(delta({ content: "Hel" }), { error: { message: "GPU lost" } }),
      "InternalProviderError",
      true,
      /GPU lost/
    ],
    [
      "parameters that are no JSON",
      events(
        delta(
          { tool_calls: [{ index: 0, id: "a", function: { name: "get_weather", arguments: "{\"ci" } }] },
          "tool_calls"
        )
      ),
      "InvalidOutputError",
      true,
      /get_weather/
    ],
    [
      "a connection that breaks",
      breakOff(sse, event(delta({ content: "Hel" }))),
      "NetworkError",
      true,
      /./
    ],
    ["a connection that is refused", (response) => response.destroy(), "NetworkError", true, /./],
    [
      "an event without an end",
      (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        for (let i = 0; i < 20; i++) response.write("data: " + "x".repeat(100_000))
        response.end()
      },
      "InvalidResponseError",
      false,
      /size/
    ]
  ]
  it.live.each(
    reasons.map(([name, answer, reason, isRetryable, message]) => ({ name, answer, reason, isRetryable, message }))
  )(
    "$name",
    ({ answer, isRetryable, message, reason }) =>
      Effect.gen(function*() {
        const server = yield* serve(answer)
        const error = yield* failure(Effect.provide(stream("Hello."), layer(server.url)))
        strictEqual(error.reason._tag, reason)
        strictEqual(error.isRetryable, isRetryable)
        match(error.message, message)
        assert.notInclude(JSON.stringify(error) + String(error), key)
        strictEqual(server.requests.length, 1)
      })
  )

  it.live("nobody waits for the end of an answer of the wrong type", () =>
    Effect.gen(function*() {
      const server = yield* serve(goOn("text/html", "<p>"))
      const error = yield* failure(Effect.provide(stream("Hello."), layer(server.url)))
      strictEqual(error.reason._tag, "InvalidResponseError")
      yield* until(() => server.requests[0]!.aborted)
    }))

  it.live("a whole answer that is none", () =>
    Effect.gen(function*() {
      for (const body of ["{", "[]", "{\"choices\":[]}", "{\"choices\":[{\"message\":{\"content\":7}}]}"]) {
        const server = yield* serve(respond(200, body))
        const error = yield* failure(
          Effect.provide(LanguageModel.generateText({ prompt: "Hello." }), layer(server.url))
        )
        strictEqual(error.reason._tag, "InvalidResponseError")
      }
    }))

  it.live("no server", () =>
    Effect.gen(function*() {
      const error = yield* failure(Effect.provide(stream("Hello."), layer("http://127.0.0.1:9")))
      strictEqual(error.reason._tag, "NetworkError")
    }))

  it.live("a stall before the answer, and in it, and the server sees the end of it", () =>
    Effect.gen(function*() {
      for (
        const answer of [
          silence,
          begin(sse, event(delta({ content: "Hel" }))),
          // keeps the connection alive, and says nothing
          goOn(sse, ": wait\n\n")
        ] satisfies ReadonlyArray<Answer>
      ) {
        const server = yield* serve(answer)
        const error = yield* failure(Effect.provide(stream("Hello."), layer(server.url, { timeout: "100 millis" })))
        strictEqual(error.reason._tag, "NetworkError")
        strictEqual(error.isRetryable, true)
        match(error.message, /nothing came for 100ms/)
        yield* until(() => server.requests[0]!.aborted)
      }
    }))

  it("refuses options that cannot work", () => {
    assert.throws(() => OpenAiClient.layer({ baseUrl: "localhost:80" }), TypeError, "baseUrl")
    assert.throws(() => OpenAiClient.layer({ timeout: 0 }), TypeError, "timeout")
  })
})

describe("retries", () => {
  it.live("what may help, and no more", () =>
    Effect.gen(function*() {
      const server = yield* serve(
        respond(500, "{}"),
        (response) => response.destroy(),
        respond(429, "{}"),
        words("Hello.")
      )
      const model = layer(server.url, { retry: Schedule.recurs(3) })
      strictEqual(said(yield* Effect.provide(stream("Hello."), model)), "Hello.")
      strictEqual(server.requests.length, 4)
      for (const request of server.requests) {
        expectPost(request)
        deepStrictEqual(request.body, server.requests[0]!.body)
      }
      const other = yield* serve(respond(400, "{}"), words("Hello."))
      yield* failure(Effect.provide(stream("Hello."), layer(other.url, { retry: Schedule.recurs(3) })))
      strictEqual(other.requests.length, 1)
    }))

  it.live("not after the answer has begun", () =>
    Effect.gen(function*() {
      const server = yield* serve(events(delta({ content: "Hel" })), words("Hello."))
      yield* failure(Effect.provide(stream("Hello."), layer(server.url, { retry: Schedule.recurs(3) })))
      strictEqual(server.requests.length, 1)
    }))

  it.live("a stall", () =>
    Effect.gen(function*() {
      const server = yield* serve(silence, words("Hello."))
      const model = layer(server.url, { retry: Schedule.recurs(1), timeout: "200 millis" })
      strictEqual(said(yield* Effect.provide(stream("Hello."), model)), "Hello.")
      strictEqual(server.requests[0]!.aborted, true)
    }))

  it.live("when the server wants it, in seconds, milliseconds, or as a date", () =>
    Effect.gen(function*() {
      for (
        const headers of [
          () => ({ "retry-after": "0.3" }),
          () => ({ "retry-after-ms": "300", "retry-after": "7" }),
          // has no fractions
          () => ({ "retry-after": new Date(Date.now() + 1700).toUTCString() })
        ]
      ) {
        const server = yield* serve(respond(429, "{}", headers()), words("Hello."))
        const model = layer(server.url, { retry: Schedule.recurs(1) })
        strictEqual(said(yield* Effect.provide(stream("Hello."), model)), "Hello.")
        const [first, second] = server.requests as [Received, Received]
        isAtLeast(second.at - first.at, 280)
        isBelow(second.at - first.at, 3000)
      }
    }))

  it.live("not when the server wants more patience than there is", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(429, "{}", { "retry-after": "3600" }), words("Hello."))
      const error = yield* failure(Effect.provide(stream("Hello."), layer(server.url, { retry: Schedule.recurs(1) })))
      strictEqual(error.reason._tag, "RateLimitError")
      strictEqual(Duration.toHours(error.retryAfter!), 1)
      strictEqual(server.requests.length, 1)
    }))
})

describe("interruption", () => {
  it.live("the server sees the connection close: before the answer, and in it", () =>
    Effect.gen(function*() {
      for (
        const answer of [
          silence,
          begin(sse, event(delta({ content: "Hel" })))
        ] satisfies ReadonlyArray<Answer>
      ) {
        const server = yield* serve(answer)
        let heard = 0
        const fiber = yield* LanguageModel.streamText({ prompt: "Hello." }).pipe(
          Stream.runForEach(() => Effect.sync(() => heard++)),
          Effect.provide(layer(server.url)),
          Effect.forkChild
        )
        yield* until(() => server.requests.length === 1 && (answer === silence || heard > 0))
        strictEqual(server.requests[0]!.aborted, false)
        yield* Fiber.interrupt(fiber)
        yield* until(() => server.requests[0]!.aborted)
      }
    }))

  it.live("when nobody reads on", () =>
    Effect.gen(function*() {
      const server = yield* serve(goOn(sse, event(delta({ content: "more" }))))
      const parts = yield* LanguageModel.streamText({ prompt: "Hello." }).pipe(
        Stream.take(5),
        Stream.runCollect,
        Effect.provide(layer(server.url))
      )
      strictEqual(parts.length, 5)
      yield* until(() => server.requests[0]!.aborted)
    }))
})

describe("any answer", () => {
  const values: ReadonlyArray<unknown> = [
    null,
    0,
    -1,
    1e300,
    "",
    "a",
    "{",
    true,
    [],
    {},
    [null],
    [{}],
    { index: -1 },
    { name: null },
    { arguments: 7 },
    { content: ["a"] },
    { message: {} }
  ]
  const paths = [
    ["choices"],
    ["choices", 0],
    ["choices", 0, "message"],
    ["choices", 0, "delta"],
    ["choices", 0, "finish_reason"],
    ["choices", 0, "message", "content"],
    ["choices", 0, "message", "tool_calls"],
    ["choices", 0, "message", "tool_calls", 0, "function"],
    ["choices", 0, "delta", "tool_calls", 0],
    ["choices", 0, "delta", "tool_calls", 0, "index"],
    ["usage"],
    ["usage", "prompt_tokens"],
    ["created"],
    ["id"],
    ["error"]
  ]

  const below = (end: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: end - 1 }))

  it.effect.prop("is decoded, or is invalid", {
    edits: Schema.Array(Schema.Tuple([below(paths.length), below(values.length)])).check(Schema.isMaxLength(3)),
    text: Schema.String,
    count: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 }))
  }, ({ count, edits, text }) =>
    Effect.sync(() => {
      const call = { index: 0, id: "a", function: { name: "t", arguments: "{}" } }
      const all: any = {
        ...delta({}, "stop"),
        usage: structuredClone(usage.usage),
        choices: [{
          finish_reason: "stop",
          message: { content: "a", tool_calls: [call] },
          delta: { tool_calls: [call] }
        }]
      }
      for (const [place, chosen] of edits) {
        const path = paths[place]!
        const value = structuredClone(values[chosen])
        let at = all
        for (const key of path.slice(0, -1)) at = typeof at === "object" && at !== null ? at[key] : undefined
        if (typeof at === "object" && at !== null) at[path.at(-1)!] = value
      }
      const makeId = (index: number) => `id${index}`
      for (const whole of [JSON.stringify(all), text, JSON.stringify(all).slice(0, text.length * 10)]) {
        const answer = decodeAnswer(whole, makeId)
        if (Result.isSuccess(answer)) strictEqual(answer.success.at(-1)!.type, "finish")
        const decoder = makeDecoder(makeId)
        for (let i = 0; i < count; i++) decoder.push(whole)
        decoder.end()
      }
    }), { arbitrary: { runs: Number(process.env["APIPELINE_RUNS"] ?? 1000) } })

  const piece = Arbitrary.schema(Schema.Literals<ReadonlyArray<string>>([
    "data: ",
    "data:",
    "\n",
    "\n\n",
    "\r\n\r\n",
    ": c\n\n",
    "event: x\n",
    "retry: 5\n",
    "id: 1\n",
    "{",
    "}",
    "[DONE]",
    "null",
    "é",
    "\u0000",
    "\uFEFF",
    "{\"choices\":",
    "[{\"delta\":{\"content\":\"a\"}}]}",
    "\"error\"",
    event(delta({ content: "Hello" })),
    event(delta({ tool_calls: [{ index: 0, id: "a", function: { name: "t", arguments: "{}" } }] })),
    event(delta({ tool_calls: [{ index: 3, function: { arguments: "{" } }] })),
    event(delta({}, "stop")),
    event(delta({ reasoning_content: "hm" })),
    event(usage),
    event("[DONE]"),
    event({ choices: null }),
    event({ choices: [{ delta: null, finish_reason: 7 }] }),
    event({ error: null })
  ]))

  it.live.prop("ends with a finish, or with an AiError, and never hangs", {
    pieces: Arbitrary.array(piece, { maxLength: 12 }),
    cut: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))
  }, ({ cut, pieces }) =>
    Effect.gen(function*() {
      const bytes = Buffer.from(pieces.join(""))
      const server = yield* serve((response) => {
        response.writeHead(200, { "content-type": "text/event-stream" })
        for (let at = 0; at < bytes.length; at += cut) response.write(bytes.subarray(at, at + cut))
        response.end()
      })
      const parts: Array<Response.StreamPart<any, any>> = []
      const exit = yield* LanguageModel.streamText({ prompt: "Hello.", toolCallValidation: "deferred" }).pipe(
        Stream.runForEach((part) => Effect.sync(() => parts.push(part))),
        Effect.provide(layer(server.url)),
        Effect.exit
      )
      if (Exit.isSuccess(exit)) strictEqual(parts.at(-1)?.type, "finish")
      else {strictEqual(
          AiError.isAiError(exit.cause.reasons.map((reason) => reason._tag === "Fail" && reason.error)[0]),
          true
        )}
      // whatever was begun is well-formed
      const open = new Set<string>()
      for (const part of parts) {
        if (part.type === "text-start" || part.type === "reasoning-start") open.add(part.id)
        if (part.type === "text-delta" || part.type === "reasoning-delta") strictEqual(open.has(part.id), true)
        if (part.type === "text-end" || part.type === "reasoning-end") strictEqual(open.delete(part.id), true)
      }
      if (Exit.isSuccess(exit)) strictEqual(open.size, 0)
    }).pipe(Effect.scoped), { arbitrary: { runs: 100 } })
})

describe("contract", () => {
  const requests: Array<() => boolean> = []
  const subject: LanguageModelContract.Subject = {
    open: ({ what }) =>
      Effect.gen(function*() {
        const answer: Answer = what === "failure" ? respond(503, "{}") : what === "slow"
          ? goOn(sse, event(delta({ content: "more " })))
          : (response, request) => {
            const { messages, stream, tools } = bodyOf(request)
            const call = {
              id: `call_${Math.random()}`,
              type: "function",
              function: { name: "get_weather", arguments: "{\"city\":\"Oslo\"}" }
            }
            const text = messages.at(-1).role === "tool" ? `It is ${messages.at(-1).content}.` : "Hello."
            const calls = tools !== undefined && messages.at(-1).role === "user"
            if (stream !== true) {
              return respond(200, { choices: [{ message: { content: text }, finish_reason: "stop" }] })(
                response,
                request
              )
            }
            return calls
              ? events(delta({ tool_calls: [{ index: 0, ...call }] }), delta({}, "tool_calls"), usage, "[DONE]")(
                response,
                request
              )
              : words(text)(response, request)
          }
        const server = yield* serve(answer)
        requests.push(() => server.requests.length > 0 && server.requests.every(({ aborted }) => aborted))
        return layer(server.url)
      }),
    slow: "Talk.",
    noticed: () => requests.at(-1)?.() === true,
    failure: { text: "Hello.", isRetryable: true },
    countsTokens: true,
    tool: {
      text: "How is the weather?",
      toolkit: tools,
      name: "get_weather",
      params: { city: "Oslo" },
      result: { temperature: 4 },
      answer: "4"
    }
  }
  for (const check of LanguageModelContract.checks.filter((check) => check.applies(subject))) {
    it.live(check.name, () => check.run(subject))
  }
})
