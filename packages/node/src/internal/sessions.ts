/** Who is connected to a server over WebSockets, for how long, and what may not be done: for every kind of session. */
import type { Wire } from "@apipeline/core/MessageProtocol"
import type { PipelineTask, TaskExit } from "@apipeline/core/PipelineTask"
import type * as Transport from "@apipeline/core/Transport"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Socket from "effect/socket/Socket"
import { closed, closeEvent, fromSocketError } from "./messageConnection.ts"
import { makePeer, type Peer } from "./peer.ts"

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
 * What every kind of server lets one set.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = never> {
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

export interface Settings {
  readonly clients: number
  readonly messageSize: number
  readonly messagesPerSecond: number
  readonly invalidMessages: number
  readonly buffered: number
  readonly slowness: number
  readonly ping: { readonly interval: number; readonly timeout: number } | undefined
  readonly farewell: number
}

export const maxMessageSize = 1024 * 1024 + 1024

export const positive = (server: string, field: string, found: number): number => {
  if (found > 0 && found < Infinity) return found
  throw new TypeError(`${server}: ${field}: found ${found}, expected a finite number greater than zero`)
}

export const settings = (server: string, options: Options<any>): Settings => {
  const { farewellTimeout, limits = {}, ping = {} } = options
  const check = (field: string, found: number): number => positive(server, field, found)
  return {
    clients: check("limits.clients", limits.clients ?? 1000),
    messageSize: check("limits.messageSize", limits.messageSize ?? maxMessageSize),
    messagesPerSecond: check("limits.messagesPerSecond", limits.messagesPerSecond ?? 200),
    invalidMessages: check("limits.invalidMessages", limits.invalidMessages ?? 50),
    buffered: check("limits.buffered", limits.buffered ?? 1024 * 1024),
    slowness: check("limits.slowness", Duration.toMillis(limits.slowness ?? "4 seconds")),
    ping: ping === false ? undefined : {
      interval: check("ping.interval", Duration.toMillis(ping.interval ?? "15 seconds")),
      timeout: check("ping.timeout", Duration.toMillis(ping.timeout ?? "10 seconds"))
    },
    farewell: check("farewellTimeout", Duration.toMillis(farewellTimeout ?? "5 seconds"))
  }
}

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

const sizeOf = (message: Wire): number => typeof message === "string" ? Buffer.byteLength(message) : message.length

/** Three seconds' worth at once, and `perSecond` on average. */
const makeBucket = (clock: Clock.Clock, perSecond: number): () => boolean => {
  let tokens = 3 * perSecond
  let last = clock.currentTimeMillisUnsafe()
  return () => {
    const now = clock.currentTimeMillisUnsafe()
    tokens = Math.min(3 * perSecond, tokens + (now - last) * perSecond / 1000)
    last = now
    if (tokens < 1) return false
    tokens--
    return true
  }
}

/** A connection that is closed only once, with a code and a reason of whoever is first. */
export class Line {
  readonly client: Client
  readonly peer: Peer
  readonly reader: Socket.Reader
  readonly writer: Socket.Writer
  private readonly clock: Clock.Clock
  private readonly settings: Settings
  private readonly mayCome: () => boolean
  private reason: { readonly code: number; readonly text: string } | undefined
  private stuckSince: number | undefined
  private invalid = 0

  constructor(
    client: Client,
    peer: Peer,
    { reader, writer }: { readonly reader: Socket.Reader; readonly writer: Socket.Writer },
    clock: Clock.Clock,
    settings: Settings
  ) {
    this.client = client
    this.peer = peer
    this.reader = reader
    this.writer = writer
    this.clock = clock
    this.settings = settings
    this.mayCome = makeBucket(clock, settings.messagesPerSecond)
  }

  /** Why it is to be closed, or was: for the first that asks. */
  because(code: number, text: string): { readonly code: number; readonly text: string } {
    return this.reason ??= { code, text }
  }

  /** Says goodbye and waits until the other side has, too; then there is nobody left to wait for. */
  close(code: number, text: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const reason = this.because(code, text)
      return Effect.andThen(
        Effect.ignore(this.writer.write(closeEvent(reason.code, reason.text))),
        this.peer.awaitClosed
      )
    }).pipe(
      Effect.timeoutOption("900 millis"),
      Effect.andThen(this.peer.destroy)
    )
  }

  /** Ends the connection without a goodbye, which would not be read. */
  drop(code: number, text: string): Effect.Effect<never, Transport.TransportError> {
    return Effect.suspend(() => {
      const reason = this.because(code, text)
      return Effect.andThen(this.peer.destroy, Effect.fail(closed(reason.text, reason.code)))
    })
  }

  /** Refuses to go on: what is left of the connection is closed with its scope. */
  refuse(code: number, text: string): Effect.Effect<never, Transport.TransportError> {
    return Effect.suspend(() => {
      const reason = this.because(code, text)
      return Effect.fail(closed(reason.text, reason.code))
    })
  }

  /** Judges a message by its size and by how many there were before. */
  readonly admit = (message: Wire): Effect.Effect<never, Transport.TransportError> | undefined => {
    const { messageSize, messagesPerSecond } = this.settings
    const size = sizeOf(message)
    if (size > messageSize) return this.refuse(1009, `a message of ${size} bytes; the limit is ${messageSize}`)
    return this.mayCome() ? undefined : this.refuse(1008, `more than ${messagesPerSecond} messages a second`)
  }

  readonly onValid = (): void => {
    this.invalid = 0
  }

  readonly onInvalid = (error: Transport.TransportError): Effect.Effect<void, Transport.TransportError> =>
    ++this.invalid < this.settings.invalidMessages
      ? Effect.void
      : this.refuse(1008, `too many messages that cannot be understood; the last: ${error.message}`)

  /** Room for one more message. A client that has not read for too long is dropped. */
  readonly room = (): Effect.Effect<void, Transport.TransportError> | undefined => {
    const { buffered, slowness } = this.settings
    if (this.peer.isClosed()) return this.refuse(1006, "the connection is broken")
    const waiting = this.peer.waiting()
    if (waiting <= buffered) {
      this.stuckSince = undefined
      return undefined
    }
    const now = this.clock.currentTimeMillisUnsafe()
    this.stuckSince ??= now
    const left = this.stuckSince + slowness - now
    const drop = Effect.suspend(() =>
      this.drop(1008, `the client does not read: ${this.peer.waiting()} bytes wait, for ${slowness} ms`)
    )
    if (left <= 0) return drop
    return Effect.timeoutOrElse(this.peer.awaitDrain, { duration: left, orElse: () => drop }).pipe(
      Effect.andThen(Effect.suspend(() => this.room() ?? Effect.void))
    )
  }

  /** Drops a client from which nothing comes, not even the answer to a ping. */
  readonly watch = ({ interval, timeout }: NonNullable<Settings["ping"]>): Effect.Effect<void> =>
    Effect.gen({ self: this }, function*() {
      for (;;) {
        const before = this.peer.bytesRead()
        yield* Effect.sleep(interval)
        if (this.peer.bytesRead() !== before) continue
        yield* this.peer.ping
        yield* Effect.sleep(timeout)
        if (this.peer.bytesRead() !== before) continue
        yield* Effect.ignore(this.drop(1006, `the client does not answer: no byte for ${interval + timeout} ms`))
        return
      }
    })
}

// ---------------------------------------------------------------------------------------------------------------------
// sessions
// ---------------------------------------------------------------------------------------------------------------------

/** What a connection has become. */
export interface Session {
  readonly transport: Pick<Transport.Transport, "disconnected">
  readonly task: PipelineTask<any>
  /** Whether the task is cancelled when the client leaves because nobody else does that. */
  readonly cancels: boolean
}

export interface Sessions {
  readonly clients: Effect.Effect<ReadonlyArray<Client>>
  readonly connections: Effect.Effect<number>
  /** Answers a request: with a session, which lasts as long as the answer takes. */
  readonly serve: <E, R>(
    open: (line: Line) => Effect.Effect<Session, E, R>
  ) => Effect.Effect<
    HttpServerResponse.HttpServerResponse,
    never,
    HttpServerRequest.HttpServerRequest | Exclude<R, Scope.Scope>
  >
}

const outcome = (exit: Exit.Exit<TaskExit, unknown>): string => {
  if (Exit.isFailure(exit)) return `failed: ${Cause.squash(exit.cause)}`
  const { value } = exit
  return value._tag === "Cancelled" && value.frame.reason !== undefined ?
    value.frame.reason :
    `the task has ${value._tag.toLowerCase()}`
}

export const make = <R>(config: Settings, options: Options<R>): Effect.Effect<Sessions, never, R> =>
  Effect.gen(function*() {
    const services = yield* Effect.context<R>()
    const clock = yield* Clock.Clock
    const { origins, sessionTimeout } = options
    const clients = new Map<number, Client>()
    let connections = 0

    /** Why a client may not stay, if so. */
    const refusal = Effect.fnUntraced(function*(client: Client) {
      const origin = client.headers["origin"]
      if (origins !== undefined && origin !== undefined && !origins.includes(origin)) {
        return { code: 4003, text: `the origin ${origin} is not allowed` }
      }
      if (options.authorize !== undefined && !(yield* Effect.provide(options.authorize(client), services))) {
        return { code: 4003, text: "not authorized" }
      }
      if (clients.size >= config.clients) return { code: 1013, text: `${clients.size} clients are connected` }
      return undefined
    })

    /** Runs the task until it ends, of itself or because the client leaves or has been there for too long. */
    const run = Effect.fnUntraced(function*(line: Line, { cancels, task, transport }: Session) {
      // an interruption of this fiber must not cancel the task: it has still to say goodbye
      const running = yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
      if (cancels) yield* Effect.forkScoped(Effect.flatMap(transport.disconnected, task.cancel))
      const farewell = (text: string): Effect.Effect<string> =>
        Effect.gen(function*() {
          if (line.peer.isClosed()) {
            yield* task.cancel(text)
            return text
          }
          yield* Effect.logInfo(`${text}: the session ends in order`)
          yield* Effect.ignore(task.stopWhenDone)
          const done = yield* Effect.timeoutOption(Fiber.await(running), config.farewell)
          if (Option.isNone(done)) {
            yield* Effect.logWarning(`the session has not ended after ${config.farewell} ms: cut`)
            yield* task.cancel(text)
          }
          return text
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
          orElse: () => {
            const text = `the session has lasted ${Duration.format(Duration.fromInputUnsafe(sessionTimeout))}`
            return Effect.tap(farewell(text), () => Effect.sync(() => line.because(1000, text)))
          }
        })
      return yield* Effect.onInterrupt(
        inTime,
        () => Effect.tap(farewell("the server goes away"), (text) => Effect.sync(() => line.because(1001, text)))
      )
    })

    const session = <E, R>(line: Line, open: (line: Line) => Effect.Effect<Session, E, R>) =>
      Effect.gen(function*() {
        const { client } = line
        const refused = yield* refusal(client)
        if (refused !== undefined) {
          yield* Effect.logWarning(`refused: ${refused.text} (${refused.code})`)
          return yield* line.close(refused.code, refused.text)
        }
        const since = clock.currentTimeMillisUnsafe()
        yield* Effect.acquireRelease(
          Effect.sync(() => void clients.set(client.id, client)),
          () => Effect.sync(() => void clients.delete(client.id))
        )
        if (config.ping !== undefined) yield* Effect.forkScoped(line.watch(config.ping))
        // told before the scope closes the connection
        const opened = Effect.onError(open(line), (cause) =>
          Effect.sync(() => {
            if (Cause.hasInterruptsOnly(cause)) line.because(1001, "the server goes away")
            else line.because(1011, `no session: ${Cause.squash(cause)}`)
          }))
        yield* Effect.flatMap(opened, (session) => run(line, session)).pipe(
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

    return {
      clients: Effect.sync(() => [...clients.values()]),
      connections: Effect.sync(() => connections),
      serve: (open) =>
        Effect.gen(function*() {
          const request = yield* HttpServerRequest.HttpServerRequest
          const client = clientOf(++connections, request)
          const upgrade = request.headers["upgrade"]
          if (upgrade === undefined || upgrade.toLowerCase() !== "websocket") {
            return HttpServerResponse.text("expected a WebSocket", { status: 426, headers: { upgrade: "websocket" } })
          }
          yield* Effect.gen(function*() {
            const socket = yield* request.upgrade
            const reader = yield* Effect.mapError(socket.reader, fromSocketError)
            const writer = yield* socket.writer
            const line = new Line(client, makePeer(request), { reader, writer }, clock, config)
            yield* session(line, open)
          }).pipe(
            Effect.scoped,
            Effect.catchCause((cause) =>
              Cause.hasInterruptsOnly(cause) ? Effect.void : Effect.logError("the session has failed", cause)
            ),
            Effect.annotateLogs({ client: client.id, remote: client.remoteAddress ?? "unknown" })
          )
          return HttpServerResponse.empty()
        })
    }
  })
