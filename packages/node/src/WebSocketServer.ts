/**
 * Lets clients talk to pipelines over WebSockets, on Effect's HTTP server: each client has a session of its own, which is
 * a transport, and a task in the scope of the session.
 *
 * @since 0.1.0
 */
import type { MessageProtocol, Wire } from "@apipeline/core/MessageProtocol"
import type { PipelineTask, TaskExit } from "@apipeline/core/PipelineTask"
import * as Transport from "@apipeline/core/Transport"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Etag from "effect/http/Etag"
import type * as HttpPlatform from "effect/http/HttpPlatform"
import * as HttpRouter from "effect/http/HttpRouter"
import type * as HttpServer from "effect/http/HttpServer"
import type { ServeError } from "effect/http/HttpServerError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import type * as Stream from "effect/Stream"
import { createServer } from "node:http"
import { createServer as createTlsServer, type ServerOptions } from "node:https"
import { ClientLine, makeBucket, sizeOf } from "./internal/clientLine.ts"
import { fromSocketError, makeConnection, makeMessages } from "./internal/messageConnection.ts"
import { makePeer, type Peer } from "./internal/peer.ts"
import { makeSettings, maxMessageSize } from "./internal/serverSettings.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Somebody who is connected.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  /** Counted from 1 within a server. */
  readonly id: number
  /** With the query, as it was asked for. */
  readonly url: URL
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly remoteAddress: string | undefined
  /** `Authorization: Bearer ...`, or `?token=...`. */
  readonly token: string | undefined
}

/**
 * The messages of a client, for a transport that has more to do with them than a protocol can: a telephone call.
 *
 * @category models
 * @since 0.1.0
 */
export interface Messages {
  /** Until the client is gone. */
  readonly incoming: Stream.Stream<Wire, Transport.TransportError>
  readonly send: (message: Wire) => Effect.Effect<void, Transport.TransportError>
  /** With the code 1000, unless another is given. */
  readonly close: (reason: string, code?: number) => Effect.Effect<void, Transport.TransportError>
  /** Says why the connection is about to be closed, whoever closes it. Who says so first decides the code and the reason. */
  readonly because: (reason: string, code: number) => Effect.Effect<void>
}

/**
 * What is spoken on a path: a protocol, an Effect that makes one for each client, or a function that makes the transport
 * of each client itself (`TelephonyTransport.make`).
 *
 * @category models
 * @since 0.1.0
 */
export type Spoken<R> =
  | MessageProtocol
  | Effect.Effect<MessageProtocol, never, R | Scope.Scope>
  | ((messages: Messages, client: Client) => Effect.Effect<
    { readonly transport: Transport.Transport },
    Transport.TransportError,
    R | Scope.Scope
  >)

/**
 * How much of what a client may do. What is beyond closes its connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** At once, over all paths. Who comes when there are so many is sent away (1013). Default: 1000. */
  readonly clients?: number | undefined
  /** Bytes of one message (1009). Default: 1 MiB and 1 KiB: pipecat's clients send messages of up to 1 MiB. */
  readonly messageSize?: number | undefined
  /** Messages a second, on average (1008); three seconds' worth may come at once. Default: 200. */
  readonly messagesPerSecond?: number | undefined
  /** Messages in a row that cannot be understood (1008). Default: 50. */
  readonly invalidMessages?: number | undefined
  /** Bytes that wait for a client that does not read, before what is sent waits too. Default: 1 MiB. */
  readonly buffered?: number | undefined
  /** How long a client may not read while so much waits. Then it is dropped. Default: 4 seconds. */
  readonly slowness?: Duration.Input | undefined
}

/**
 * Options of {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /** What is spoken on which path. */
  readonly paths: Readonly<Record<string, Spoken<R>>>
  /**
   * Makes the task of a client, in the scope of its session. It is run when it has been made; the session ends when the
   * task does, or when the client leaves.
   */
  readonly session: (
    transport: Transport.Transport,
    client: Client
  ) => Effect.Effect<PipelineTask<any>, E, R | Scope.Scope>
  /** Of each transport. */
  readonly transport?: Transport.Options | undefined
  readonly limits?: Limits | undefined
  /** Who may connect (4003 otherwise). Default: everybody. */
  readonly authorize?: ((client: Client) => Effect.Effect<boolean, never, R>) | undefined
  /** Origins of the pages that may connect (4003 otherwise). Who is no browser has none, and may. Default: all. */
  readonly origins?: ReadonlyArray<string> | undefined
  /**
   * Finds out who has vanished: how often a client is pinged, and how long nothing may come then. `false`: never.
   * Default: every 15 seconds, 10 seconds.
   */
  readonly ping?: { readonly interval?: Duration.Input; readonly timeout?: Duration.Input } | false | undefined
  /** The session is ended in order after that. Default: never. */
  readonly sessionTimeout?: Duration.Input | undefined
  /** How long a session that is ended in order (by the server's end, by its timeout) may take. Default: 5 seconds. */
  readonly farewellTimeout?: Duration.Input | undefined
}

/**
 * What a server knows of its clients.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { WebSocketServer } from "@apipeline/node"
 *
 * const howMany = WebSocketServer.WebSocketServer.use(({ clients }) => Effect.map(clients, ({ length }) => length))
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class WebSocketServer extends Context.Service<WebSocketServer, {
  /** Who is connected, in the order in which they came. */
  readonly clients: Effect.Effect<ReadonlyArray<Client>>
  /** How many have come so far, those included that were sent away. */
  readonly connections: Effect.Effect<number>
}>()("@apipeline/node/WebSocketServer") {}

// ---------------------------------------------------------------------------------------------------------------------
// one client
// ---------------------------------------------------------------------------------------------------------------------

const clientOf = (id: number, request: HttpServerRequest.HttpServerRequest): Client => {
  const headers = request.headers as Readonly<Record<string, string | undefined>>
  const url = new URL(request.originalUrl, "ws://localhost")
  const bearer = /^Bearer +(\S+)$/i.exec(headers["authorization"] ?? "")
  return {
    id,
    url,
    headers,
    remoteAddress: Option.getOrUndefined(request.remoteAddress),
    token: bearer?.[1] ?? url.searchParams.get("token") ?? undefined
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// sessions
// ---------------------------------------------------------------------------------------------------------------------

const outcome = (exit: Exit.Exit<TaskExit, unknown>): string => {
  if (Exit.isFailure(exit)) return `failed: ${Cause.squash(exit.cause)}`
  const { value } = exit
  return value._tag === "Cancelled" && value.frame.reason !== undefined ?
    value.frame.reason :
    `the task has ${value._tag.toLowerCase()}`
}

/**
 * Serves the paths with an `HttpRouter`.
 *
 * **Details**
 *
 * - A client that may not connect is told by a close code: 4003 for the origin and {@link Options.authorize}, 1013 when
 *   there are too many.
 * - A client that leaves cancels its task; when the task ends, the client is closed (1000, or 1011 when it has failed).
 * - When the server is to end, sessions are ended in order: what the bot still has to say gets out, then the connection is
 *   closed (1001). What takes longer than `farewellTimeout` is cut. Use {@link layerHttp} (or a server with
 *   `disablePreemptiveShutdown`), which lets that happen first.
 * - A client that does not read, or vanishes, costs a bounded amount of memory and is dropped.
 * - Every connection is logged twice, when it comes and when it goes, with the reason.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { FrameSerializer, MessageProtocol, Pipeline, PipelineTask } from "@apipeline/core"
 * import { NodeRunner, WebSocketServer } from "@apipeline/node"
 *
 * const Echo = WebSocketServer.layer({
 *   paths: {
 *     "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat()),
 *     "/json": MessageProtocol.fromSerializer(FrameSerializer.makePipelineGoJson())
 *   },
 *   session: (transport) => PipelineTask.make(Pipeline.make(transport.input, transport.output))
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
): Layer.Layer<WebSocketServer, never, HttpRouter.HttpRouter | Exclude<R, Scope.Scope>> => {
  const config = makeSettings("WebSocketServer", options)
  const { origins, sessionTimeout } = options
  return Layer.effect(
    WebSocketServer,
    Effect.gen(function*() {
      const router = yield* HttpRouter.HttpRouter
      const services = yield* Effect.context<Exclude<R, Scope.Scope>>()
      const clock = yield* Clock.Clock
      const clients = new Map<number, Client>()
      let connections = 0

      /** Why a client may not stay, if so. */
      const refusal = Effect.fnUntraced(function*(client: Client) {
        const origin = client.headers["origin"]
        if (origins !== undefined && origin !== undefined && !origins.includes(origin)) {
          return { code: 4003, text: `the origin ${origin} is not allowed` }
        }
        if (options.authorize !== undefined && !(yield* options.authorize(client))) {
          return { code: 4003, text: "not authorized" }
        }
        // in one go, so that no two take the last place
        if (clients.size >= config.clients) return { code: 1013, text: `${clients.size} clients are connected` }
        clients.set(client.id, client)
        return undefined
      })

      /** Runs the task until it ends, of itself or because the client leaves or has been there for too long. */
      const run = Effect.fnUntraced(function*(
        client: Client,
        line: ClientLine,
        made: Effect.Effect<Transport.Transport, Transport.TransportError, R | Scope.Scope>
      ) {
        const making = Effect.gen(function*() {
          const transport = yield* made
          return { transport, task: yield* options.session(transport, client) }
        })
        // told before the scope closes the connection
        const { task, transport } = yield* Effect.onError(making, (cause) =>
          Effect.sync(() => {
            if (Cause.hasInterruptsOnly(cause)) line.because(1001, "the server goes away")
            else line.because(1011, `no session: ${Cause.squash(cause)}`)
          }))
        // an interruption of this fiber must not cancel the task: it has still to say goodbye
        const running = yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
        if (options.transport?.input?.onDisconnect === undefined) {
          yield* Effect.forkScoped(Effect.flatMap(transport.disconnected, task.cancel))
        }
        const farewell = (code: number, text: string): Effect.Effect<string> =>
          Effect.gen(function*() {
            if (line.peer.isClosed()) {
              const reason = line.because(1006, "the connection is broken")
              yield* task.cancel(reason.text)
              return reason.text
            }
            yield* Effect.logInfo(`${text}: the session ends in order`)
            yield* Effect.ignore(task.stopWhenDone)
            const done = yield* Effect.timeoutOption(Fiber.await(running), config.farewell)
            if (Option.isNone(done)) {
              yield* Effect.logWarning(`the session has not ended after ${config.farewell} ms: cut`)
              line.because(code, text)
              yield* task.cancel(text)
            }
            return line.because(code, text).text
          })
        const ended = Effect.map(Fiber.join(running), (exit) => {
          const text = outcome(exit)
          line.because(Exit.isSuccess(exit) ? 1000 : 1011, text)
          return text
        })
        const inTime = sessionTimeout === undefined
          ? ended
          : Effect.timeoutOrElse(ended, {
            duration: sessionTimeout,
            orElse: () =>
              farewell(1000, `the session has lasted ${Duration.format(Duration.fromInputUnsafe(sessionTimeout))}`)
          })
        return yield* Effect.onInterrupt(inTime, () =>
          Effect.andThen(
            line.peer.isClosed() ? Effect.void : line.peer.closeServer,
            farewell(1001, "the server goes away")
          ))
      })

      const session = Effect.fnUntraced(function*(
        client: Client,
        peer: Peer,
        socket: Socket.Socket,
        spoken: Spoken<R>
      ) {
        const opened = yield* Effect.result(Effect.mapError(socket.reader, fromSocketError))
        if (Result.isFailure(opened)) {
          return yield* Effect.logInfo(`gone before the connection was open: ${opened.failure.message}`)
        }
        const reader = opened.success
        const writer = yield* socket.writer
        const line = new ClientLine(peer, writer, clock, config)
        yield* Effect.addFinalizer(() => Effect.sync(() => clients.delete(client.id)))
        const refused = yield* refusal(client)
        if (refused !== undefined) {
          yield* Effect.logWarning(`refused: ${refused.text} (${refused.code})`)
          return yield* line.close(refused.code, refused.text)
        }
        const since = clock.currentTimeMillisUnsafe()
        const mayCome = makeBucket(clock, config.messagesPerSecond)
        const socketOptions = {
          reader: { ...reader, pull: Effect.tapError(reader.pull, (error) => Effect.sync(() => line.lost(error))) },
          writer,
          admit: (message: Wire) => {
            const size = sizeOf(message)
            if (size > config.messageSize) {
              return line.refuse(1009, `a message of ${size} bytes; the limit is ${config.messageSize}`)
            }
            return mayCome()
              ? undefined
              : line.refuse(1008, `more than ${config.messagesPerSecond} messages a second`)
          },
          onInvalid: line.onInvalid,
          onValid: line.onValid,
          room: line.room,
          close: (reason: string, code = 1000) => line.close(code, reason)
        }
        const because = (reason: string, code: number): Effect.Effect<void> =>
          Effect.sync(() => void line.because(code, reason))
        const making = typeof spoken === "function"
          ? Effect.map(spoken({ ...makeMessages(socketOptions), because }, client), ({ transport }) => transport)
          : Effect.gen(function*() {
            const protocol = Effect.isEffect(spoken) ? yield* spoken : spoken
            yield* Effect.logDebug(`speaks ${protocol.name}`)
            const connection = yield* makeConnection({ ...socketOptions, name: `client ${client.id}`, protocol })
            return yield* Transport.make(connection, options.transport)
          })
        if (config.ping !== undefined) yield* Effect.forkScoped(line.watch(config.ping))
        yield* Effect.logInfo(`connected: ${client.url.pathname}`)
        yield* run(client, line, making).pipe(
          Effect.scoped,
          Effect.onExit((exit) => {
            const { code, text } = line.because(
              1011,
              Exit.isSuccess(exit) ? exit.value : String(Cause.squash(exit.cause))
            )
            const seconds = ((clock.currentTimeMillisUnsafe() - since) / 1000).toFixed(1)
            const log = code === 1011 ? Effect.logError : Effect.logInfo
            return Effect.andThen(line.close(code, text), log(`gone after ${seconds} s: ${text} (${code})`))
          })
        )
      })

      for (const [path, spoken] of Object.entries(options.paths)) {
        yield* router.add(
          "GET",
          path as HttpRouter.PathInput,
          Effect.gen(function*() {
            const request = yield* HttpServerRequest.HttpServerRequest
            const client = clientOf(++connections, request)
            const upgrade = request.headers["upgrade"]
            if (upgrade === undefined || upgrade.toLowerCase() !== "websocket") {
              return HttpServerResponse.text("expected a WebSocket", { status: 426, headers: { upgrade: "websocket" } })
            }
            const socket = yield* request.upgrade
            yield* session(client, makePeer(request), socket, spoken).pipe(
              Effect.scoped,
              Effect.provide(services),
              Effect.catchCause((cause) =>
                Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("the session has failed", cause)
              ),
              Effect.annotateLogs({ client: client.id, remote: client.remoteAddress ?? "unknown" })
            )
            return HttpServerResponse.empty()
          }) as Effect.Effect<HttpServerResponse.HttpServerResponse>
        )
      }
      return {
        clients: Effect.sync(() => [...clients.values()]),
        connections: Effect.sync(() => connections)
      }
    })
  )
}

/**
 * Options of {@link layerHttp}.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpOptions {
  readonly port: number
  /** Default: 127.0.0.1, this machine only. */
  readonly host?: string | undefined
  /** Bytes of one WebSocket message: a larger one is not even read (1009). Default: as {@link Limits.messageSize}. */
  readonly messageSize?: number | undefined
  /** A certificate and its key, and what else Node's TLS takes: clients come by `wss://` then. Default: none, `ws://`. */
  readonly tls?: ServerOptions | undefined
}

/**
 * Node's HTTP server, set up for sessions: they say goodbye before it closes, and messages that are too big are not kept.
 *
 * Messages are not compressed, whatever clients offer (`permessage-deflate`): speech hardly shrinks, and a compressor takes
 * more memory than a session.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter, HttpServerResponse } from "effect/http"
 * import { WebSocketServer } from "@apipeline/node"
 *
 * const hello = HttpRouter.add("GET", "/", HttpServerResponse.text("hello"))
 * const main = HttpRouter.serve(hello).pipe(Layer.provide(WebSocketServer.layerHttp({ port: 8765 })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHttp = (
  options: HttpOptions
): Layer.Layer<
  HttpServer.HttpServer | HttpPlatform.HttpPlatform | Etag.Generator | NodeHttpServices,
  ServeError
> =>
  NodeHttpServer.layer(() => options.tls === undefined ? createServer() : createTlsServer(options.tls), {
    port: options.port,
    host: options.host ?? "127.0.0.1",
    disablePreemptiveShutdown: true,
    websocket: { maxPayload: options.messageSize ?? maxMessageSize }
  })

type NodeHttpServices = Layer.Success<ReturnType<typeof NodeHttpServer.layer>>
