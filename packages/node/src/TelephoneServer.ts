/**
 * Lets people who telephone talk to pipelines: calls of Twilio, Telnyx, Plivo, Exotel, Vonage and Genesys come in over
 * WebSockets, on one path of Effect's HTTP server. Each has a session of its own.
 *
 * @since 0.1.0
 */
import type { PipelineTask } from "@apipeline/core/PipelineTask"
import * as Telephony from "@apipeline/core/Telephony"
import * as TelephonyTransport from "@apipeline/core/TelephonyTransport"
import * as Transport from "@apipeline/core/Transport"
import * as ByteSize from "effect/ByteSize"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as CallSignature from "./CallSignature.ts"
import * as CallAnswer from "./internal/callAnswer.ts"
import { makeSettings } from "./internal/serverSettings.ts"
import * as WebSocketServer from "./WebSocketServer.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A call that is on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Telephone extends TelephonyTransport.TelephonyTransport<never, never, unknown> {
  /** The connection: whoever the vendor is. */
  readonly client: WebSocketServer.Client
}

/**
 * Documents that tell a vendor to which WebSocket a call goes: see {@link Options.answers}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnswerOptions {
  /**
   * Of the WebSocket, as the vendor sees it: `wss://example.com/calls`. Default: `wss://`, the host that the request was
   * for, and {@link Options.path}.
   */
  readonly url?: string | undefined
  /** Go with the call: `parameters` of `Telephony.Call`. `from` and `to` are added where the request has them. */
  readonly parameters?: Readonly<Record<string, string>> | undefined
  /** Of the audio that Vonage sends and takes, in Hz. Default: 16000. */
  readonly sampleRate?: 8000 | 16_000 | 24_000 | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /** Where calls come in. */
  readonly path: `/${string}`
  /**
   * Makes the task of a call, in the scope of its session. It is run when it has been made; the session ends when the
   * task does, or the call. Then the connection is closed, and a call that is still on is hung up: see `hangUp` of
   * `telephony`.
   */
  readonly session: (telephone: Telephone) => Effect.Effect<PipelineTask<any>, E, R | Scope.Scope>
  /** Of each call: who may call, the rate of the frames, marks, the hook that hangs up, the transport. */
  readonly telephony?: TelephonyTransport.Options<never, never, unknown, R> | undefined
  /**
   * Serves documents at `path` and the name of the vendor (`/calls/twilio`, `telnyx`, `plivo`, `vonage`), for GET and
   * POST. Default: none.
   */
  readonly answers?: AnswerOptions | undefined
  /** Messages of calls are no longer than 64 KiB, unless `maxMessageSize` of `telephony` says so. */
  readonly limits?: WebSocketServer.Limits | undefined
  /**
   * Secrets of vendors that sign their requests. Who has no signature of one of them may not connect (4003), and is given
   * no document at `/twilio` (401). Default: none.
   */
  readonly signatures?: CallSignature.Options | undefined
  /**
   * Who may connect (4003 otherwise), signed or not: a vendor that signs nothing is given a token with the URL. It does not
   * know the call yet. Default: everybody.
   */
  readonly authorize?: ((client: WebSocketServer.Client) => Effect.Effect<boolean, never, R>) | undefined
  /** As for `WebSocketServer.layer`: who has vanished is found out. Default: every 15 seconds, 10 seconds. */
  readonly ping?: { readonly interval?: Duration.Input; readonly timeout?: Duration.Input } | false | undefined
  /** The call is ended in order after that. Default: never. */
  readonly sessionTimeout?: Duration.Input | undefined
  /** How long a call that is ended in order may take to say what it still has to. Default: 5 seconds. */
  readonly farewellTimeout?: Duration.Input | undefined
}

/**
 * What a server knows of its calls.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TelephoneServer } from "@apipeline/node"
 *
 * const howMany = TelephoneServer.TelephoneServer.use(({ calls }) => Effect.map(calls, ({ length }) => length))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class TelephoneServer extends Context.Service<TelephoneServer, {
  /** That are on, in the order in which they came. */
  readonly calls: Effect.Effect<ReadonlyArray<Telephony.Call>>
  /** Who is connected, those included whose call has not started. */
  readonly clients: Effect.Effect<ReadonlyArray<WebSocketServer.Client>>
  /** How many have come so far, those included that were sent away. */
  readonly connections: Effect.Effect<number>
}>()("@apipeline/node/TelephoneServer") {}

// ---------------------------------------------------------------------------------------------------------------------
// answers
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The document that leads a call to a WebSocket: TwiML, TeXML, Plivo's XML, Vonage's NCCO. Exotel and Genesys ask for
 * none: they are told the address where their flow is set up.
 *
 * @example
 * ```ts
 * import { TelephoneServer } from "@apipeline/node"
 *
 * TelephoneServer.answer("twilio", { url: "wss://example.com/calls", parameters: { user: "ann" } }).body
 * // => `<?xml version="1.0" encoding="UTF-8"?><Response><Connect><Stream url="wss://example.com/calls">` +
 * //    `<Parameter name="user" value="ann"/></Stream></Connect></Response>`
 * ```
 *
 * @category answers
 * @since 0.1.0
 */
export const answer = (
  vendor: Extract<Telephony.Vendor, CallAnswer.Asking>,
  options: AnswerOptions & { readonly url: string }
): { readonly contentType: string; readonly body: string } =>
  CallAnswer.make(vendor, options.url, options.parameters ?? {}, options.sampleRate ?? 16_000)

/** A webhook has a few hundred bytes. */
const maxForm = ByteSize.kibibytes(64)

/** What a webhook says about the call: in its query, in a form, in JSON. */
const fields = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const query = Object.fromEntries(new URL(request.originalUrl, "http://localhost").searchParams)
  if (request.method !== "POST") return query
  const isJson = request.headers["content-type"]?.includes("json") === true
  const body = isJson
    ? Effect.map(request.json, (json) => typeof json === "object" && json !== null ? json : {})
    : Effect.map(request.urlParamsBody, UrlParams.toRecord)
  // who sends something else is answered too: nothing in it is needed
  const posted = yield* Effect.orElseSucceed(body, () => ({}))
  return { ...query, ...posted } as Readonly<Record<string, unknown>>
})

/** The names and values of a form, as they are signed. */
const form = Effect.gen(function*() {
  const request = yield* HttpServerRequest.HttpServerRequest
  const isForm = request.headers["content-type"]?.includes("application/x-www-form-urlencoded") === true
  if (request.method !== "POST" || !isForm) return []
  const body = yield* Effect.orElseSucceed(request.urlParamsBody, () => UrlParams.empty)
  return Array.from(
    body,
    ([name, value]) => [name, Redacted.isRedacted(value) ? Redacted.value(value) : value] as const
  )
})

const isSigned = (
  check: ReturnType<typeof CallSignature.make>,
  request: CallSignature.Request
): Effect.Effect<boolean> =>
  check(request).pipe(
    Effect.as(true),
    Effect.catch((error) => Effect.as(Effect.logWarning(`no signature: ${error.message}`), false))
  )

const answering = (
  vendor: CallAnswer.Asking,
  path: string,
  options: AnswerOptions,
  check: ReturnType<typeof CallSignature.make> | undefined
) =>
  Effect.gen(function*() {
    const { headers, originalUrl } = yield* HttpServerRequest.HttpServerRequest
    let said: Readonly<Record<string, unknown>>
    if (check === undefined) said = yield* fields
    else {
      const posted = yield* form
      const { pathname, search, searchParams } = new URL(originalUrl, "http://localhost")
      if (!(yield* isSigned(check, { target: pathname + search, headers, form: posted }))) {
        return HttpServerResponse.text("not signed", { status: 401 })
      }
      // nothing else is signed
      said = Object.fromEntries([...searchParams, ...posted])
    }
    const either = (...names: ReadonlyArray<string>): string | undefined =>
      names.map((name) => said[name]).find((value): value is string => typeof value === "string" && value !== "")
    const from = either("From", "from")
    const to = either("To", "to")
    const url = options.url ?? `wss://${headers["host"] ?? "localhost"}${path}`
    const parameters = {
      ...from !== undefined && { from },
      ...to !== undefined && { to },
      ...options.parameters
    }
    return CallAnswer.toResponse(answer(vendor, { ...options, url, parameters }))
  }).pipe(Effect.provideService(HttpIncomingMessage.MaxBodySize, maxForm))

// ---------------------------------------------------------------------------------------------------------------------
// calls
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Serves calls with an `HttpRouter`, beside whatever else it serves.
 *
 * **Details**
 *
 * - The vendor is found out by the first messages. When no call starts within `startTimeout` of `telephony`, or what comes
 *   before is too much, the connection is closed (1008), as when nothing can be understood in a call any more.
 * - A vendor that ends the call cancels its task; when the task ends, the call is hung up and the connection is closed
 *   (1000, or 1011 when the task has failed).
 * - When the server is to end, calls are ended in order: what the bot still has to say gets out, then they are hung up
 *   (1001). What takes longer than `farewellTimeout` is cut. Use `WebSocketServer.layerHttp`.
 * - Every call is logged when it comes and when it goes, with the reason.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { Pipeline, PipelineTask } from "@apipeline/core"
 * import { NodeRunner, TelephoneServer, WebSocketServer } from "@apipeline/node"
 *
 * const Echo = TelephoneServer.layer({
 *   path: "/calls",
 *   answers: { url: "wss://example.com/calls" },
 *   session: ({ call, transport }) =>
 *     Effect.gen(function*() {
 *       yield* Effect.log(`hello ${call.from ?? "stranger"}`)
 *       return yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
 *     })
 * })
 *
 * const main = HttpRouter.serve(Echo).pipe(Layer.provide(WebSocketServer.layerHttp({ port: 8765 })))
 *
 * NodeRunner.runMain(Layer.launch(main))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R>
): Layer.Layer<TelephoneServer, never, HttpRouter.HttpRouter | Exclude<R, Scope.Scope>> => {
  const { answers, path, telephony = {}, ...rest } = options
  const { invalidMessages = 50, messageSize = telephony.maxMessageSize ?? 65_536 } = options.limits ?? {}
  const startTimeout = Duration.toMillis(telephony.startTimeout ?? "10 seconds")
  if (!(startTimeout > 0 && startTimeout < Infinity)) {
    throw new TypeError(
      `TelephoneServer: telephony.startTimeout: found ${startTimeout} ms, expected a finite duration greater than zero`
    )
  }
  const limits = { ...options.limits, messageSize }
  makeSettings("TelephoneServer", { ...options, limits })
  const check = options.signatures === undefined ? undefined : CallSignature.make(options.signatures)
  const authorize = (client: WebSocketServer.Client): Effect.Effect<boolean, never, R> => {
    const { authorize = () => Effect.succeed(true) } = options
    if (check === undefined) return authorize(client)
    const { headers, url: { pathname, search } } = client
    return Effect.flatMap(
      isSigned(check, { target: pathname + search, headers, webSocket: true }),
      (signed) => signed ? authorize(client) : Effect.succeed(false)
    )
  }
  const telephones = new WeakMap<WebSocketServer.Client, Telephone>()

  /** Waits for the call, and gives up where there is nothing but noise. */
  const pickUp = Effect.fnUntraced(function*(messages: WebSocketServer.Messages, client: WebSocketServer.Client) {
    let started = false
    let noise = 0
    const starts = (message: string | Uint8Array): boolean =>
      Option.isSome(Telephony.detect([message], telephony)) || ++noise > invalidMessages
    const incoming = Stream.mapArrayEffect(messages.incoming, (received) => {
      // audio may come in one go with the start
      started ||= received.some(starts)
      return noise <= invalidMessages
        ? Effect.succeed(received)
        : Effect.fail(refused(`${noise} messages, none of which starts one`))
    })
    let made: TelephonyTransport.TelephonyTransport<never, never, unknown> | undefined
    made = yield* TelephonyTransport.make({
      ...messages,
      incoming,
      close: (reason) => made === undefined ? messages.close(`no call: ${reason}`, 1008) : messages.close(reason)
    }, telephony)
    const { call, transport } = made
    yield* Effect.logInfo(`${call.vendor} ${call.callId ?? call.streamId ?? ""}`)
    yield* Effect.forkScoped(watchInvalid(transport, messages, invalidMessages))
    telephones.set(client, { ...made, client })
    return made
  })

  const server = WebSocketServer.layer<E, R>({
    ...rest,
    paths: { [path]: pickUp },
    session: (_, client) => Effect.suspend(() => options.session(telephones.get(client)!)),
    transport: telephony.transport,
    limits,
    authorize
  })
  const { twilio } = options.signatures ?? {}
  const documents = answers === undefined ? [] : CallAnswer.asking.flatMap((vendor) => {
    const check = vendor === "twilio" && twilio !== undefined ? CallSignature.make({ twilio }) : undefined
    const document = answering(vendor, path, answers, check)
    return (["GET", "POST"] as const).map((method) => HttpRouter.add(method, `${path}/${vendor}`, document))
  })
  const service = Layer.effect(
    TelephoneServer,
    Effect.map(WebSocketServer.WebSocketServer, ({ clients, connections }) => ({
      calls: Effect.map(clients, (all) => all.flatMap((client) => telephones.get(client)?.call ?? [])),
      clients,
      connections
    }))
  )
  return Layer.mergeAll(Layer.provide(service, server), ...documents)
}

const refused = (reason: string): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.ConnectionClosed({ reason }) })

/** Ends a call in which nothing comes any more that can be understood: so many messages in a row. */
const watchInvalid = (
  transport: Transport.Transport,
  messages: WebSocketServer.Messages,
  limit: number
): Effect.Effect<void> => {
  let understood = 0
  let invalid = 0
  return Stream.runForEach(
    transport.events,
    (event) =>
      event._tag !== "InvalidMessage" ? Effect.void : Effect.flatMap(transport.received, ({ frames }) => {
        invalid = frames === understood ? invalid + 1 : 1
        understood = frames
        if (invalid < limit) return Effect.void
        const reason = `too many messages that cannot be understood; the last: ${event.error.message}`
        return Effect.andThen(messages.because(reason, 1008), transport.close(reason))
      })
  )
}
