import * as WebSocketServer from "@apipeline/node/WebSocketServer"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { Effect, Layer, Logger, References, Schedule } from "effect"
import { HttpRouter } from "effect/http"
import * as net from "node:net"

/** Below the range that systems give to clients, so that no client of another test takes it. */
const anyPort = (): number => 20_000 + Math.floor(Math.random() * 11_999)

export interface Served {
  readonly url: string
  readonly port: number
  readonly server: WebSocketServer.WebSocketServer["Service"]
  /** Lines of the log. */
  readonly log: Array<string>
}

/** Serves sessions at a port of its own, until the scope closes. */
export const serve = <E, R>(
  options: WebSocketServer.Options<E, R>,
  http: Partial<WebSocketServer.HttpOptions> = {}
) =>
  Effect.gen(function*() {
    const log: Array<string> = []
    const logger = Logger.make(({ message }) => {
      log.push(Array.isArray(message) ? message.map(String).join(" ") : String(message))
    })
    const attempt = Effect.suspend(() => {
      const port = anyPort()
      const layer = HttpRouter.serve(WebSocketServer.layer(options), { disableLogger: true, disableListenLog: true })
        .pipe(
          Layer.provide(WebSocketServer.layerHttp({ port, ...http })),
          Layer.provide([Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Debug")])
        )
      return Effect.map(Layer.build(layer), (context) => ({ port, context }))
    })
    const { context, port } = yield* Effect.retry(attempt, Schedule.recurs(10))
    const server = yield* Effect.provide(WebSocketServer.WebSocketServer.use(Effect.succeed), context)
    return { url: `${http.tls === undefined ? "ws" : "wss"}://127.0.0.1:${port}`, port, server, log } as Served
  })

export interface WebSocketClient {
  readonly socket: NodeWS.WebSocket
  readonly received: Array<Uint8Array | string>
  /** Code and reason, once it is closed. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly isClosed: () => boolean
}

/** A client that nobody here wrote: `ws`. */
export const connect = (
  url: string,
  options?: NodeWS.ClientOptions
): Effect.Effect<WebSocketClient, Error> =>
  Effect.callback((resume) => {
    const socket = new NodeWS.WebSocket(url, { ...options })
    const received: Array<Uint8Array | string> = []
    let isClosed = false
    const closed = new Promise<{ code: number; reason: string }>((resolve) => {
      socket.on("close", (code, reason) => {
        isClosed = true
        resolve({ code, reason: String(reason) })
      })
    })
    socket.on("message", (data: Buffer, isBinary) => {
      received.push(isBinary ? new Uint8Array(data) : String(data))
    })
    socket.on("open", () => resume(Effect.succeed({ socket, received, closed, isClosed: () => isClosed })))
    socket.on("error", (error) => resume(Effect.fail(error)))
    return Effect.sync(() => socket.terminate())
  })

/** A client that has shaken hands and then does nothing at all that it is not told to: it answers no ping, no close. */
export const rawClient = (port: number, path = "/ws") =>
  Effect.callback<{
    readonly received: () => number
    readonly isClosed: () => boolean
    readonly write: (bytes: Uint8Array) => void
  }, Error>((resume) => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
    let received = 0
    let isClosed = false
    socket.on("error", (error) => resume(Effect.fail(error)))
    socket.on("close", () => {
      isClosed = true
    })
    socket.on("end", () => {
      isClosed = true
      socket.destroy()
    })
    socket.on("data", (data) => {
      if (received === 0) {
        resume(Effect.succeed({
          received: () => received,
          isClosed: () => isClosed,
          write: (bytes) => void socket.write(bytes)
        }))
      }
      received += data.length
    })
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    return Effect.sync(() => socket.destroy())
  })
