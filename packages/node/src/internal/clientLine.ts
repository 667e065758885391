/** The line to one client of a WebSocket server: how it is closed, and what a client may do to it. */
import type { Wire } from "@apipeline/core/MessageProtocol"
import type * as Transport from "@apipeline/core/Transport"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Socket from "effect/socket/Socket"
import { closed, closeEvent, fromSocketError } from "./messageConnection.ts"
import type { Peer } from "./peer.ts"

/** Milliseconds, bytes, and numbers: see `WebSocketServer.Limits`. */
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

export const sizeOf = (message: Wire): number =>
  typeof message === "string" ? Buffer.byteLength(message) : message.length

/** Three seconds' worth at once, and `perSecond` on average. */
export const makeBucket = (clock: Clock.Clock, perSecond: number): () => boolean => {
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

/** With which code `ws` has closed because of what it could not read, by the codes of its errors. */
const violation = (cause: unknown): number => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
  if (!code.startsWith("WS_ERR_")) return 1006
  return code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" ? 1009 : code === "WS_ERR_INVALID_UTF8" ? 1007 : 1002
}

/** A connection that is closed only once, with a code and a reason of whoever is first. */
export class ClientLine {
  readonly peer: Peer
  readonly writer: Socket.Writer
  readonly clock: Clock.Clock
  private readonly settings: Settings
  private reason: { readonly code: number; readonly text: string } | undefined
  private stuckSince: number | undefined
  private invalid = 0

  constructor(peer: Peer, writer: Socket.Writer, clock: Clock.Clock, settings: Settings) {
    this.peer = peer
    this.writer = writer
    this.clock = clock
    this.settings = settings
  }

  /** Why it is to be closed, or was: for the first that asks. */
  because(code: number, text: string): { readonly code: number; readonly text: string } {
    return this.reason ??= { code, text }
  }

  /** Nothing comes any more: the other side has closed, or the connection is broken. */
  lost(error: Socket.SocketError): void {
    const { message, reason } = fromSocketError(error)
    if (reason._tag === "ConnectionClosed") this.because(reason.code ?? 1006, reason.reason)
    else this.because(reason._tag === "ReadFailed" ? violation(reason.cause) : 1006, message)
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
