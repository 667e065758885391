/**
 * A `LanguageModel` that speaks OpenAI's `POST /chat/completions`, as OpenAI, vLLM, llama.cpp, Ollama, Groq and many others do.
 *
 * Effect's own provider for this protocol, `@effect/ai-openai-compat`, is not out for Effect 4.1 yet.
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as IdGenerator from "effect/ai/IdGenerator"
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Model from "effect/ai/Model"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import type * as Response from "effect/ai/Response"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Sse from "effect/encoding/Sse"
import * as HttpBody from "effect/http/HttpBody"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { toReason } from "./internal/openAi/aiError.ts"
import { toBody } from "./internal/openAi/chatRequest.ts"
import { decodeAnswer, type Decoder, invalid, makeDecoder } from "./internal/openAi/chatResponse.ts"
import * as OpenAiClient from "./OpenAiClient.ts"

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** As the service calls it: `gpt-4.1-mini`. */
  readonly model: string
  /** Sent with each request as it is: `{ temperature: 0.2, max_tokens: 200 }`. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined
}

const path = "/chat/completions"

/** An event is at most so long, in characters. */
const maxEventSize = 1024 * 1024

/**
 * Makes the model.
 *
 * **Details**
 *
 * - An answer is streamed as it comes. When nobody reads on, the request is aborted.
 * - What failed before the first part of the answer has been tried again as the `OpenAiClient` says.
 * - An answer that ends without a `finish_reason` is a failure: it was cut.
 * - Files of the user are sent if they are images, `audio/wav` or `audio/mpeg`; reasoning is received, not sent.
 * - Objects are asked for by `response_format: json_schema`; a service must know it.
 *
 * Fails with an `AiError`; its `isRetryable` says whether the same request may succeed later.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Stream } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { FetchHttpClient } from "effect/http"
 * import { OpenAiClient, OpenAiLanguageModel } from "@apipeline/core"
 *
 * const model = OpenAiLanguageModel.layer({ model: "gpt-4.1-mini", settings: { temperature: 0.2 } }).pipe(
 *   Layer.provide(OpenAiClient.layerConfig()),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * const program = LanguageModel.streamText({ prompt: "Tell me a joke." }).pipe(
 *   Stream.runForEach((part) => part.type === "text-delta" ? Effect.log(part.delta) : Effect.void),
 *   Effect.provide(model)
 * )
 * ```
 *
 * Source: OpenAI's API reference, Chat Completions.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<LanguageModel.LanguageModel, never, OpenAiClient.OpenAiClient> =>
  Effect.flatMap(OpenAiClient.OpenAiClient, (client) => {
    const fail = (method: string) => (reason: AiError.AiErrorReason): AiError.AiError =>
      AiError.make({ module: "OpenAiLanguageModel", method, reason })
    const failed = (error: OpenAiClient.OpenAiError): AiError.AiErrorReason => toReason(error, client.baseUrl + path)

    const request = (
      provider: LanguageModel.ProviderOptions,
      stream: boolean
    ): Effect.Effect<HttpClientResponse.HttpClientResponse, AiError.AiErrorReason> =>
      Effect.fromResult(toBody(provider, options.model, options.settings ?? {}, stream)).pipe(
        Effect.flatMap((body) =>
          Effect.mapError(
            client.post(
              path,
              HttpBody.jsonUnsafe(body),
              (type) => type === (stream ? "text/event-stream" : "application/json")
            ),
            failed
          )
        )
      )

    const makeId = Effect.gen(function*() {
      const ids = yield* IdGenerator.IdGenerator
      const id = yield* ids.generateId()
      return (index: number): string => `${id}_${index}`
    })

    return LanguageModel.make({
      codecTransformer: toCodecOpenAI,
      generateText: (provider) =>
        Effect.gen(function*() {
          const response = yield* request(provider, false)
          const text = yield* Effect.mapError(client.text(response), failed)
          return yield* Effect.fromResult(decodeAnswer(text, yield* makeId))
        }).pipe(Effect.mapError(fail("generateText"))),
      streamText: (provider) =>
        Stream.unwrap(Effect.gen(function*() {
          const decoder = makeDecoder(yield* makeId)
          const response = yield* request(provider, true)
          return client.withTimeout(parts(Stream.mapError(client.stream(response), failed), decoder)).pipe(
            Stream.mapError((error) => error instanceof OpenAiClient.OpenAiError ? failed(error) : error)
          )
        })).pipe(Stream.mapError(fail("streamText")))
    })
  })

type Parts = ReadonlyArray<Response.StreamPartEncoded>

/** Bytes to events to parts. It ends with the last part, whether or not the connection does. */
const parts = (
  bytes: Stream.Stream<Uint8Array, AiError.AiErrorReason>,
  decoder: Decoder
): Stream.Stream<Response.StreamPartEncoded, AiError.AiErrorReason> =>
  Stream.transformPull(Stream.decodeText(bytes), (pull) =>
    Effect.sync(() => {
      let found: Array<Response.StreamPartEncoded> = []
      let failure: AiError.AiErrorReason | undefined
      const take = (result: Result.Result<Parts, AiError.AiErrorReason>): void => {
        if (failure !== undefined) return
        if (Result.isFailure(result)) failure = result.failure
        else found.push(...result.success)
      }
      const parser = Sse.makeParser((event) => {
        if (event._tag === "Event") take(decoder.push(event.data))
      }, { maxEventSize })
      const feed = (texts: ReadonlyArray<string>): void => {
        for (const text of texts) {
          const error = parser.feed(text)
          if (error !== undefined) take(Result.fail(invalid(error.message)))
        }
      }
      type Next = Pull.Pull<Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>, AiError.AiErrorReason>
      const next: Next = Effect.suspend((): Next => {
        if (found.length > 0) {
          const some = found
          found = []
          // `length` was looked at
          return Effect.succeed(some as unknown as Arr.NonEmptyReadonlyArray<Response.StreamPartEncoded>)
        }
        if (failure !== undefined) return Effect.fail(failure)
        if (decoder.isDone()) return Cause.done()
        return Effect.flatMap(
          Pull.catchDone(Effect.map(pull, feed), () =>
            Effect.sync(() => {
              // an event whose empty line was not sent
              feed(["\n\n"])
              if (!decoder.isDone()) take(decoder.end())
            })),
          () => next
        )
      })
      return next
    }))

/**
 * {@link make} as a layer: a `Model` of the provider `openai-compat`.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { OpenAiClient, OpenAiLanguageModel } from "@apipeline/core"
 *
 * const local = OpenAiLanguageModel.layer({ model: "qwen3" }).pipe(
 *   Layer.provide(OpenAiClient.layer({ baseUrl: "http://127.0.0.1:8000/v1" })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options
): Model.Model<"openai-compat", LanguageModel.LanguageModel, OpenAiClient.OpenAiClient> =>
  Model.make("openai-compat", options.model, Layer.effect(LanguageModel.LanguageModel, make(options)))
