/** Where the gateways of other processes bring the frames of sessions to: and where a load balancer looks after a runner. */
import type { Serializer } from "@apipeline/core/FrameSerializer"
import { type WebSocket, WebSocketServer } from "@effect/platform-node/NodeWS"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import type { Host } from "./host.ts"
import { codes, ignore } from "./link.ts"
import * as WebSocketLink from "./webSocketLink.ts"

/**
 * A runner could not listen.
 *
 * @example
 * ```ts
 * import { Cluster } from "@apipeline/node"
 *
 * const error = new Cluster.ListenError({ host: "10.0.0.7", port: 7701, cause: "EADDRINUSE" })
 * error.message // => "cannot listen at 10.0.0.7:7701: EADDRINUSE"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ListenError extends Data.TaggedError("Cluster.ListenError")<{
  readonly host: string
  readonly port: number
  readonly cause: unknown
}> {
  override get message(): string {
    return `cannot listen at ${this.host}:${this.port}: ${this.cause}`
  }
}

/** The kind of session follows. */
const path = "/session/"

/** How long a connection may take to say who it is. */
const helloTimeout = 5000

const accept = (host: Host["Service"], socket: WebSocket, serializer: Serializer<string>): void => {
  const link = WebSocketLink.make(socket, serializer)
  const timer = setTimeout(() => link.close(codes.stale, `no greeting after ${helloTimeout} ms`), helloTimeout)
  link.onClose = () => clearTimeout(timer)
  link.onPacket = (packet) => {
    clearTimeout(timer)
    link.onPacket = ignore
    if (packet._tag !== "Hello") return link.close(codes.malformed, `found ${packet._tag}, expected Hello`)
    const session = host.sessions.get(packet.hello.session)
    if (session === undefined) return link.close(codes.stale, "the session is not here")
    session.accept(link, packet.hello)
  }
}

export const listen = (options: {
  readonly host: string
  readonly port: number
  readonly runner: Host["Service"]
  readonly isReady: () => boolean
}): Effect.Effect<number, ListenError, Scope.Scope> =>
  Effect.gen(function*() {
    const { host, isReady, port, runner } = options
    const sockets = new WebSocketServer({
      noServer: true,
      maxPayload: WebSocketLink.maxPayload,
      perMessageDeflate: false
    })
    const server = createServer((request, response) => {
      const isHealth = request.url === "/health"
      const isUp = isHealth || isReady()
      if (!isHealth && request.url !== "/ready") response.writeHead(404).end()
      else {
        response.writeHead(isUp ? 200 : 503, { "content-type": "application/json" }).end(JSON.stringify({
          runner: runner.runner,
          ready: isReady(),
          draining: runner.admission.isDraining,
          sessions: runner.sessions.size,
          lag: Number(runner.admission.options.currentLag().toFixed(1))
        }))
      }
    })
    server.on("upgrade", (request, socket, head) => {
      const { url = "" } = request
      const serializer = url.startsWith(path) ? runner.kinds.get(decodeURIComponent(url.slice(path.length))) : undefined
      if (serializer === undefined) socket.end("HTTP/1.1 404 Not Found\r\n\r\n")
      else sockets.handleUpgrade(request, socket, head, (webSocket) => accept(runner, webSocket, serializer))
    })
    yield* Effect.acquireRelease(
      Effect.callback<Server, ListenError>((resume) => {
        server.once("error", (cause) => resume(Effect.fail(new ListenError({ host, port, cause }))))
        server.listen(port, host, () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          for (const socket of sockets.clients) socket.terminate()
          server.close()
          server.closeAllConnections()
        })
    )
    return (server.address() as AddressInfo).port
  })

export const urlOf = (base: string, name: string): string => `${base}${path}${encodeURIComponent(name)}`
