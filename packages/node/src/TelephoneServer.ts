/**
 * Lets people who telephone talk to pipelines: calls of Twilio, Telnyx, Plivo, Exotel, Vonage and Genesys come in over
 * WebSockets, on one path of Effect's HTTP server. Each has a session of its own.
 *
 * @since 0.1.0
 */
import type { PipelineTask } from "@apipeline/core/PipelineTask"
import type { Call, Vendor } from "@apipeline/core/Telephony"
import * as TelephonyTransport from "@apipeline/core/TelephonyTransport"
import type * as Transport from "@apipeline/core/Transport"
import type * as Arr from "effect/Array"
import * as ByteSize from "effect/ByteSize"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpIncomingMessage from "effect/http/HttpIncomingMessage"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import type * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as UrlParams from "effect/http/UrlParams"
import * as Layer from "effect/Layer"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as CallAnswer from "./internal/callAnswer.ts"
import { fromSocketError } from "./internal/messageConnection.ts"
import * as Sessions from "./internal/sessions.ts"
import type { Client, Limits } from "./WebSocketServer.ts"

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
  readonly client: Client
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
  readonly limits?: Limits | undefined
  /**
   * Who may connect (4003 otherwise): vendors sign their requests, or are given a token with the URL. It does not know
   * the call yet. Default: everybody.
   */
  readonly authorize?: ((client: Client) => Effect.Effect<boolean, never, R>) | undefined
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
 * @category services
 * @since 0.1.0
 */
export class TelephoneServer extends Context.Service<TelephoneServer, {
  /** That are on, in the order in which they came. */
  readonly calls: Effect.Effect<ReadonlyArray<Call>>
  /** Who is connected, those included whose call has not started. */
  readonly clients: Effect.Effect<ReadonlyArray<Client>>
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
  vendor: Extract<Vendor, CallAnswer.Asking>,
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

const answering = (vendor: CallAnswer.Asking, path: string, options: AnswerOptions) =>
  Effect.gen(function*() {
    const { headers } = yield* HttpServerRequest.HttpServerRequest
    const said = yield* fields
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

const nameOf = ({ callId, streamId, vendor }: Call): string => `a call of ${vendor}, ${callId ?? streamId ?? "no id"}`

/**
 * Serves calls with an `HttpRouter`, beside whatever else it serves.
 *
 * **Details**
 *
 * - The vendor is found out by the first messages. When no call starts within `startTimeout` of `telephony` the
 *   connection is closed (1008).
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
  const { answers, path, telephony = {} } = options
  const maxMessageSize = telephony.maxMessageSize ?? 65_536
  const config = Sessions.settings("TelephoneServer", {
    ...options,
    limits: { ...options.limits, messageSize: options.limits?.messageSize ?? maxMessageSize }
  })
  const startTimeout = Duration.toMillis(telephony.startTimeout ?? "10 seconds")
  Sessions.positive("TelephoneServer", "telephony.startTimeout", startTimeout)
  return Layer.effect(
    TelephoneServer,
    Effect.gen(function*() {
      const router = yield* HttpRouter.HttpRouter
      const services = yield* Effect.context<Exclude<R, Scope.Scope>>()
      const sessions = yield* Sessions.make<Exclude<R, Scope.Scope>>(
        config,
        options as Sessions.Options<Exclude<R, Scope.Scope>>
      )
      const calls = new Map<number, Call>()

      const open = Effect.fnUntraced(function*(line: Sessions.Line) {
        const { client, reader, writer } = line
        let started = false
        let before = 0
        const admit = (message: string | Uint8Array): Effect.Effect<void, Transport.TransportError> | undefined =>
          line.admit(message) ??
            (started || ++before <= config.invalidMessages
              ? undefined
              : line.refuse(1008, `${before} messages, and no call has started`))
        const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<string | Uint8Array>, Transport.TransportError> = Effect
          .mapError(reader.pull, fromSocketError).pipe(
            Effect.flatMap((messages) => {
              for (const message of messages) {
                const refused = admit(message)
                if (refused !== undefined) return Effect.andThen(refused, Effect.succeed(messages))
              }
              return Effect.succeed(messages)
            })
          )
        const write = (message: string | Uint8Array): Effect.Effect<void, Transport.TransportError> =>
          Effect.mapError(writer.write(message), fromSocketError)
        yield* Effect.logInfo(`connected: ${client.url.pathname}`)
        const telephone = yield* TelephonyTransport.make({
          incoming: Stream.fromPull(Effect.succeed(pull)),
          send: (message) =>
            Effect.suspend(() => {
              const wait = line.room()
              return wait === undefined ? write(message) : Effect.andThen(wait, write(message))
            }),
          close: (reason) => line.close(1000, reason)
        }, telephony as TelephonyTransport.Options<never, never, unknown, never>).pipe(
          Effect.tapError((error) =>
            Effect.sync(() => {
              if (error.reason._tag === "TimedOut") line.because(1008, `no call has started within ${startTimeout} ms`)
              else line.because(1000, `no call: ${error.message}`)
            })
          )
        )
        started = true
        const { call, transport } = telephone
        yield* Effect.acquireRelease(
          Effect.sync(() => void calls.set(client.id, call)),
          () => Effect.sync(() => void calls.delete(client.id))
        )
        yield* Effect.logInfo(nameOf(call))
        yield* Effect.forkScoped(watchInvalid(line, transport))
        const task = yield* options.session({ ...telephone, client })
        return { task, transport, cancels: telephony.transport?.input?.onDisconnect === undefined }
      })

      yield* router.add(
        "GET",
        path,
        Effect.provide(sessions.serve(open), services) as Effect.Effect<HttpServerResponse.HttpServerResponse>
      )
      if (answers !== undefined) {
        for (const vendor of CallAnswer.asking) {
          for (const method of ["GET", "POST"] as const) {
            yield* router.add(method, `${path}/${vendor}`, answering(vendor, path, answers))
          }
        }
      }
      return {
        calls: Effect.sync(() => [...calls.values()]),
        clients: sessions.clients,
        connections: sessions.connections
      }
    })
  )
}

/** Ends a connection from which nothing comes that can be understood. What can be is counted by the transport. */
const watchInvalid = (line: Sessions.Line, transport: Transport.Transport): Effect.Effect<void> => {
  let understood = 0
  return Effect.asVoid(Effect.ignore(Stream.runForEach(transport.events, (event) =>
    Effect.gen(function*() {
      if (event._tag !== "InvalidMessage") return
      const { frames } = yield* transport.received
      if (frames !== understood) line.onValid()
      understood = frames
      yield* Effect.tapError(line.onInvalid(event.error), (error) => transport.close(error.message))
    }))))
}
