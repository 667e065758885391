/** The TCP connection under an upgraded request: what WebSockets do not let one see or do. */
import * as Effect from "effect/Effect"
import type { HttpServerRequest } from "effect/http/HttpServerRequest"
import type { Server, Socket } from "node:net"

/** RFC 6455, 5.5.2: final, ping, no payload; what a server sends is not masked. */
const ping = Uint8Array.of(0x89, 0x00)

export interface Peer {
  readonly isClosed: () => boolean
  readonly awaitClosed: Effect.Effect<void>
  /** Bytes that were sent and that the other side has not taken. */
  readonly waiting: () => number
  /** Waits until fewer wait. */
  readonly awaitDrain: Effect.Effect<void>
  /** Bytes that have come, pongs included. */
  readonly bytesRead: () => number
  readonly ping: Effect.Effect<void>
  /** At once, without a word. */
  readonly destroy: Effect.Effect<void>
  /** The server that it has come to takes no more connections. */
  readonly closeServer: Effect.Effect<void>
}

const once = (socket: Socket, event: "close" | "drain"): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    const done = (): void => resume(Effect.void)
    socket.once(event, done)
    return Effect.sync(() => socket.off(event, done))
  })

export const makePeer = (request: HttpServerRequest): Peer => {
  // the server is Node's: its requests are `IncomingMessage`s
  const { socket } = request.source as { readonly socket: Socket }
  return {
    isClosed: () => socket.destroyed,
    awaitClosed: Effect.suspend(() => socket.destroyed ? Effect.void : once(socket, "close")),
    waiting: () => socket.writableLength,
    awaitDrain: Effect.suspend(() =>
      socket.destroyed || !socket.writableNeedDrain
        ? Effect.void
        : Effect.raceFirst(once(socket, "drain"), once(socket, "close"))
    ),
    bytesRead: () => socket.bytesRead,
    // between two messages: a message is written in one go
    ping: Effect.sync(() => {
      if (socket.writable) socket.write(ping)
    }),
    destroy: Effect.sync(() => {
      socket.destroy()
    }),
    closeServer: Effect.sync(() => {
      // Node's `http` puts it there, and nothing else says which server it is
      const { server } = socket as { readonly server?: Server }
      if (server?.listening === true) server.close()
    })
  }
}
