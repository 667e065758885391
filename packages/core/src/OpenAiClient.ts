/**
 * The connection to a service that speaks OpenAI's HTTP protocol, whoever offers it: retries, timeouts, typed errors.
 * `OpenAiLanguageModel`, `OpenAiSpeechToText` and `OpenAiTextToSpeech` use it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Headers from "effect/http/Headers"
import type * as HttpBody from "effect/http/HttpBody"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Redacted from "effect/Redacted"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { isHttpUrl, parseError, parseRetryAfter } from "./internal/openAi/failure.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A request has failed: `connection` (it did not get through, or was cut), `timeout` (nothing came for too long), `status`
 * (the service refused), `response` (what it answered cannot be understood).
 *
 * @example
 * ```ts
 * import { OpenAiClient } from "@apipeline/core"
 *
 * const error = new OpenAiClient.OpenAiError({ reason: "status", status: 429, description: "Slow down.", isRetryable: true })
 * error.message // => "HTTP 429: Slow down."
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class OpenAiError extends Schema.TaggedError<OpenAiError>()("OpenAiError", {
  reason: Schema.Literals(["connection", "timeout", "status", "response"]),
  description: Schema.String,
  isRetryable: Schema.Boolean,
  /** Of HTTP. */
  status: Schema.optionalKey(Schema.Number),
  /** What the service calls the error: `insufficient_quota`. */
  code: Schema.optionalKey(Schema.String),
  /** The part of the request that it does not like. */
  parameter: Schema.optionalKey(Schema.String),
  /** Milliseconds after which the service wants to be asked again. */
  retryAfter: Schema.optionalKey(Schema.Finite)
}) {
  override get message(): string {
    return this.status === undefined ? this.description : `HTTP ${this.status}: ${this.description}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// service
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Where paths like `/chat/completions` are below. Default: `https://api.openai.com/v1`. */
  readonly baseUrl?: string | undefined
  /** Default: none is sent. */
  readonly apiKey?: Redacted.Redacted | undefined
  /** Sent with each request. */
  readonly headers?: Headers.Input | undefined
  /** How long nothing may come: from the request to the answer, and then from part to part. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
  /**
   * When a request that failed before anything was answered is sent again, if that may help (no connection, a timeout, HTTP
   * 408, 409, 429, 500 and above). Default: twice, after about half a second and one second.
   */
  readonly retry?: Schedule.Schedule<unknown, OpenAiError> | undefined
  /**
   * A service that wants to be asked again later than that is not waited for. Otherwise its wish lengthens what `retry`
   * says. Default: 30 seconds.
   */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/**
 * Sends requests.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  readonly baseUrl: string
  /** Sends a `POST`, and gives a response that is fine and of a type that is `accepted`; its body has still to be read. */
  readonly post: (
    path: string,
    body: HttpBody.HttpBody,
    accepted: (contentType: string) => boolean
  ) => Effect.Effect<HttpClientResponse.HttpClientResponse, OpenAiError>
  /** The body as it comes. */
  readonly stream: (response: HttpClientResponse.HttpClientResponse) => Stream.Stream<Uint8Array, OpenAiError>
  /** The whole body, as text. */
  readonly text: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<string, OpenAiError>
  /** Fails a stream when no element comes for as long as the timeout. */
  readonly withTimeout: <A, E>(stream: Stream.Stream<A, E>) => Stream.Stream<A, E | OpenAiError>
}

/**
 * The connection to a service.
 *
 * @example
 * ```ts
 * import { Redacted } from "effect"
 * import { OpenAiClient } from "@apipeline/core"
 *
 * const local = OpenAiClient.layer({ baseUrl: "http://127.0.0.1:8000/v1" })
 * const hosted = OpenAiClient.layer({ apiKey: Redacted.make("sk-..."), timeout: "10 seconds" })
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class OpenAiClient extends Context.Service<OpenAiClient, Service>()("@apipeline/core/OpenAiClient") {}

/** Of an answer that is read as a whole, in characters: more is none. */
const maxText = 16 * 1024 * 1024
const maxErrorText = 16 * 1024

const connection = (error: HttpClientError.HttpClientError): OpenAiError =>
  new OpenAiError({
    reason: "connection",
    description: causeOf(error.reason) ?? error.message,
    isRetryable: error.reason._tag !== "InvalidUrlError" && error.reason._tag !== "EncodeError"
  })

/** `fetch failed` says less than what it was caused by. */
const causeOf = ({ cause }: { readonly cause?: unknown }): string | undefined => {
  if (!(cause instanceof Error)) return undefined
  return cause.cause instanceof Error && cause.cause.message !== "" ? cause.cause.message : cause.message
}

const isRetryableStatus = (status: number): boolean =>
  status === 408 || status === 409 || status === 429 || status >= 500

const make = (options: Options): (client: HttpClient.HttpClient) => Service => {
  const baseUrl = (options.baseUrl ?? "https://api.openai.com/v1").replace(/\/+$/, "")
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "30 seconds")
  const maxRetryAfter = Duration.toMillis(options.maxRetryAfter ?? "30 seconds")
  if (!isHttpUrl(baseUrl)) {
    throw new TypeError(`OpenAiClient: baseUrl: found ${JSON.stringify(baseUrl)}, expected an HTTP URL`)
  }
  if (!(Duration.toMillis(timeout) > 0)) {
    throw new TypeError(
      `OpenAiClient: timeout: found ${Duration.toMillis(timeout)} ms, expected a duration greater than zero`
    )
  }
  const late = new OpenAiError({
    reason: "timeout",
    description: `nothing came for ${Duration.format(timeout)}`,
    isRetryable: true
  })
  const schedule: Schedule.Schedule<unknown, OpenAiError> = options.retry ??
    Schedule.exponential("500 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 2 }))
  const retry = Schedule.modifyDelay(
    schedule,
    ({ duration, input }) => Effect.succeed(Math.max(Duration.toMillis(duration), input.retryAfter ?? 0))
  )

  return (client) => {
    const collect = (
      response: HttpClientResponse.HttpClientResponse,
      limit: number
    ): Effect.Effect<string, OpenAiError> =>
      service.withTimeout(service.stream(response)).pipe(
        Stream.decodeText,
        Stream.scan(() => "", (all, part) => all + part),
        Stream.takeUntil((all) => all.length > limit),
        Stream.runLast,
        Effect.map(Option.getOrElse(() => ""))
      )

    const refused = Effect.fnUntraced(function*(response: HttpClientResponse.HttpClientResponse) {
      const { status } = response
      // what was said about it may be cut, too
      const text = yield* Effect.orElseSucceed(collect(response, maxErrorText), () => "")
      const { code, message, parameter } = parseError(text)
      const retryAfter = parseRetryAfter(response.headers, yield* Clock.currentTimeMillis)
      return yield* new OpenAiError({
        reason: "status",
        status,
        description: message ?? (text.trim().slice(0, 200) || "it did not say why"),
        isRetryable: isRetryableStatus(status) && code !== "insufficient_quota" &&
          (retryAfter === undefined || retryAfter <= maxRetryAfter),
        ...code !== undefined && { code },
        ...parameter !== undefined && { parameter },
        ...retryAfter !== undefined && { retryAfter }
      })
    })

    const service: Service = {
      baseUrl,
      post: (path, body, accepted) => {
        let request = HttpClientRequest.post(baseUrl + path).pipe(HttpClientRequest.setBody(body))
        if (options.apiKey !== undefined) request = HttpClientRequest.bearerToken(request, options.apiKey)
        if (options.headers !== undefined) request = HttpClientRequest.setHeaders(request, options.headers)
        return client.execute(request).pipe(
          Effect.mapError(connection),
          Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(late) }),
          Effect.flatMap((response) => {
            if (response.status < 200 || response.status > 299) return refused(response)
            const type = (response.headers["content-type"] ?? "").replace(/;.*/s, "").trim().toLowerCase()
            return accepted(type) ? Effect.succeed(response) : Effect.andThen(
              discard(response),
              Effect.fail(
                new OpenAiError({
                  reason: "response",
                  description: `content-type: found ${JSON.stringify(type)}, which is not what was asked for`,
                  isRetryable: false
                })
              )
            )
          }),
          Effect.retry({ while: (error) => error.isRetryable, schedule: retry })
        )
      },
      stream: (response) => Stream.mapError(response.stream, connection),
      text: (response) =>
        Effect.flatMap(
          collect(response, maxText),
          (text) =>
            text.length <= maxText ? Effect.succeed(text) : Effect.fail(
              new OpenAiError({
                reason: "response",
                description: `found more than ${maxText} characters`,
                isRetryable: false
              })
            )
        ),
      withTimeout: (stream) => Stream.timeoutOrElse(stream, { duration: timeout, orElse: () => Stream.fail(late) })
    }
    return service
  }
}

/** Ends a response that nobody wants to read: its connection would stay open. */
const discard = (response: HttpClientResponse.HttpClientResponse): Effect.Effect<void> =>
  response.stream.pipe(Stream.take(1), Stream.runDrain, Effect.timeout("1 second"), Effect.ignore)

// ---------------------------------------------------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes the connection, over any `HttpClient`: `FetchHttpClient.layer`, for example.
 *
 * **Details**
 *
 * - A request that is interrupted is aborted: the service sees the connection close.
 * - `Retry-After` (seconds or a date) and OpenAI's `retry-after-ms` are honoured.
 * - `Llm` and `Stt` try again, too: for one of both, turn that off (`Schedule.recurs(0)`).
 * - The key and the headers are sent to `baseUrl` alone, and appear in no error.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { LanguageModel } from "effect/ai"
 * import { FetchHttpClient } from "effect/http"
 * import { OpenAiClient, OpenAiLanguageModel } from "@apipeline/core"
 *
 * const model = OpenAiLanguageModel.layer({ model: "llama3.2" }).pipe(
 *   Layer.provide(OpenAiClient.layer({ baseUrl: "http://127.0.0.1:11434/v1" })),
 *   Layer.provide(FetchHttpClient.layer)
 * )
 * const program = LanguageModel.generateText({ prompt: "Hello." }).pipe(Effect.provide(model))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<OpenAiClient, never, HttpClient.HttpClient> =>
  Layer.effect(OpenAiClient, Effect.map(HttpClient.HttpClient, make(options)))

const BaseUrl = Config.schema(
  Schema.String.check(Schema.makeFilter((url) => isHttpUrl(url) || "expected an HTTP URL")),
  "OPENAI_BASE_URL"
)

/**
 * {@link layer} with what the `Config` says: `OPENAI_API_KEY` and `OPENAI_BASE_URL`, both optional; `options` come first.
 *
 * @example
 * ```ts
 * import { ConfigProvider, Effect, Layer } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { OpenAiClient } from "@apipeline/core"
 *
 * const config = ConfigProvider.layer(ConfigProvider.fromUnknown({ OPENAI_BASE_URL: "http://127.0.0.1:8000/v1" }))
 * const program = OpenAiClient.OpenAiClient.useSync(({ baseUrl }) => baseUrl)
 * const client = OpenAiClient.layerConfig().pipe(Layer.provide([FetchHttpClient.layer, config]))
 *
 * Effect.runPromise(Effect.provide(program, client)) // => "http://127.0.0.1:8000/v1"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = (
  options: Options = {}
): Layer.Layer<OpenAiClient, Config.ConfigError, HttpClient.HttpClient> =>
  Layer.unwrap(
    Effect.gen(function*() {
      const apiKey = yield* Config.option(Config.Redacted("OPENAI_API_KEY"))
      const baseUrl = yield* Config.option(BaseUrl)
      return layer({
        ...options,
        apiKey: options.apiKey ?? Option.getOrUndefined(apiKey),
        baseUrl: options.baseUrl ?? Option.getOrUndefined(baseUrl)
      })
    })
  )
