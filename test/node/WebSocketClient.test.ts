import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as MessageProtocol from "@apipeline/core/MessageProtocol"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import { leaks } from "@apipeline/core/testing"
import type * as TransportContract from "@apipeline/core/testing/TransportContract"
import type * as Transport from "@apipeline/core/Transport"
import {
  InputTransportMessageFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame
} from "@apipeline/core/TransportFrames"
import * as WebSocketClient from "@apipeline/node/WebSocketClient"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, type Layer, Schedule, Scope, Stream } from "effect"
import { Socket } from "effect/socket"
import { transportContract } from "../utils/transportContract.ts"
import { serve } from "../utils/webSocket.ts"

const { deepStrictEqual, strictEqual } = assert

const messages = [InputTransportMessageFrame, OutputTransportMessageFrame, OutputTransportMessageUrgentFrame]
const json = FrameSerializer.makeJson({ frames: messages })
const protocol = MessageProtocol.fromSerializer(json)
const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })

/** A server that nobody here wrote (`ws`), at a port of its own, until the scope closes. */
const listen = (onConnection: (socket: NodeWS.WebSocket, n: number) => void, at?: number) =>
  Effect.acquireRelease(
    Effect.retry(
      Effect.callback<{ readonly url: string; readonly port: number; readonly server: NodeWS.WebSocketServer }, Error>(
        (resume) => {
          const port = at ?? 20_000 + Math.floor(Math.random() * 11_999)
          const server = new NodeWS.WebSocketServer({ port, host: "127.0.0.1" })
          let n = 0
          server.on("error", (error) => resume(Effect.fail(error)))
          server.on("connection", (socket) => onConnection(socket, ++n))
          server.on("listening", () => resume(Effect.succeed({ url: `ws://127.0.0.1:${port}`, port, server })))
        }
      ),
      Schedule.spaced("20 millis").pipe(Schedule.upTo({ times: 10 }))
    ),
    ({ server }) =>
      Effect.callback<void>((resume) => {
        for (const client of server.clients) client.terminate()
        server.close(() => resume(Effect.void))
      })
  )

const subject: TransportContract.Subject<Socket.WebSocketConstructor> = {
  open: (frames, options) =>
    Effect.gen(function*() {
      const received: Array<Frame.Frame> = []
      let isClosed = false
      const sockets: Array<NodeWS.WebSocket> = []
      const { url } = yield* listen((socket) => {
        sockets.push(socket)
        socket.on("message", (data, isBinary) => {
          const frame = json.decodeUnsafe(isBinary ? new Uint8Array(data as Buffer) : String(data))
          if (Frame.StartInterruptionFrame.is(frame)) return
          received.push(
            OutputTransportMessageFrame.is(frame) || OutputTransportMessageUrgentFrame.is(frame)
              ? InputTransportMessageFrame.make({ message: frame.message })
              : frame
          )
        })
        socket.on("close", () => {
          isClosed = true
        })
        for (const frame of frames) socket.send(json.encodeUnsafe(frame))
      })
      const transport = yield* WebSocketClient.make({ url, protocol, ...options })
      return {
        transport,
        farEnd: {
          received: () => received,
          isClosed: () => isClosed,
          hangUp: Effect.sync(() => sockets[0]!.close(1000))
        }
      }
    }),
  sampleRate: 16_000,
  audioIn: true,
  audioOut: true,
  paced: true,
  staysOpen: true,
  carries: {
    in: [text("a"), InputTransportMessageFrame.make({ message: { n: 1 } }), text("b")],
    out: [text("a"), OutputTransportMessageFrame.make({ message: { n: 1 } }), text("b")]
  }
}

const constructors: Readonly<Record<string, Layer.Layer<Socket.WebSocketConstructor>>> = {
  global: Socket.layerWebSocketConstructorGlobal,
  ws: NodeWS.layerWebSocketConstructor
}

for (const [name, layer] of Object.entries(constructors)) {
  transportContract(`WebSocket client, ${name}`, subject, { time: "real", layer })
}

const until = (condition: () => boolean, millis = 5000): Effect.Effect<void, Error> =>
  Effect.gen(function*() {
    for (let left = millis; !condition(); left -= 5) {
      if (left <= 0) return yield* Effect.fail(new Error(`not within ${millis} ms: ${condition}`))
      yield* Effect.sleep(5)
    }
  })

const soon = Schedule.spaced("20 millis").pipe(Schedule.upTo({ times: 50 }))

/** A running task behind the transport; what came in, and what happened. */
const run = Effect.fnUntraced(function*(transport: Transport.Transport) {
  const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
  const events: Array<string> = []
  yield* Effect.forkScoped(Stream.runForEach(transport.events, ({ _tag }) => Effect.sync(() => events.push(_tag))), {
    startImmediately: true
  })
  const running = yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
  yield* task.start
  return { task, events, running }
})

describe("reconnecting", () => {
  it.live("a connection that breaks is made again; the task notices nothing, and nothing that waits is lost", () =>
    Effect.gen(function*() {
      const received: Array<string> = []
      const sockets: Array<NodeWS.WebSocket> = []
      const accept = (socket: NodeWS.WebSocket) => {
        sockets.push(socket)
        socket.on("message", (data) => received.push((json.decodeUnsafe(String(data)) as Frame.TextFrame).text))
      }
      const first = yield* Scope.make()
      const { port, url } = yield* Scope.provide(listen(accept), first)
      const transport = yield* WebSocketClient.make({ url, protocol, reconnect: soon })
      const { events, task } = yield* run(transport)
      yield* task.queueFrame(text("one"))
      yield* until(() => received.length === 1)
      yield* Scope.close(first, Exit.void)
      yield* until(() => events.includes("ConnectionLost"))
      yield* task.queueFrames([text("two"), text("three")])
      yield* Effect.sleep(50)
      yield* listen(accept, port)
      yield* until(() => received.length === 3)
      deepStrictEqual(received, ["one", "two", "three"])
      deepStrictEqual(events, ["ClientConnected", "ConnectionLost", "ConnectionRestored"])
      strictEqual(yield* task.phase, "Running")
    }).pipe(Effect.provide(Socket.layerWebSocketConstructorGlobal)))

  it.live("the first connection may take several attempts, each with a URL of its own", () =>
    Effect.gen(function*() {
      let asked = 0
      const port = 20_000 + Math.floor(Math.random() * 11_999)
      const making = yield* Effect.forkChild(Effect.scoped(WebSocketClient.make({
        url: Effect.sync(() => `ws://127.0.0.1:${port}/?n=${++asked}`),
        protocol,
        reconnect: soon
      })))
      yield* until(() => asked > 2)
      const urls: Array<string | undefined> = []
      const { server } = yield* listen(() => {}, port)
      server.on("connection", (_, request) => urls.push(request.url))
      yield* Fiber.join(making)
      yield* until(() => urls.length > 0)
      strictEqual(urls[0], `/?n=${asked}`)
    }).pipe(Effect.provide(Socket.layerWebSocketConstructorGlobal)))

  it.live("when no connection can be made in the end, that is the error, or the end of the task", () =>
    Effect.gen(function*() {
      const twice = Schedule.spaced("5 millis").pipe(Schedule.upTo({ times: 2 }))
      const error = yield* Effect.flip(WebSocketClient.make({ url: "ws://127.0.0.1:9", protocol, reconnect: twice }))
      assert(["ReadFailed", "ConnectionClosed"].includes(error.reason._tag), error.message)

      const scope = yield* Scope.make()
      const { server, url } = yield* Scope.provide(listen(() => {}), scope)
      const transport = yield* WebSocketClient.make({ url, protocol, reconnect: twice })
      const { events, running } = yield* run(transport)
      assert(server.clients.size === 1)
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Fiber.join(running)
      assert(exit._tag === "Success" && exit.value._tag === "Cancelled")
      deepStrictEqual(events, ["ClientConnected", "ConnectionLost", "ClientDisconnected"])
    }).pipe(Effect.provide(Socket.layerWebSocketConstructorGlobal)))

  for (const [code, again] of [[1000, false], [1011, true], [1012, true], [4003, false], [1008, false]] as const) {
    it.live(`close code ${code}: ${again ? "again" : "that was it"}`, () =>
      Effect.gen(function*() {
        let connections = 0
        const { url } = yield* listen((socket, n) => {
          connections = n
          if (n === 1) socket.close(code, "because")
        })
        const transport = yield* WebSocketClient.make({ url, protocol, reconnect: soon })
        const { events } = yield* run(transport)
        if (again) yield* until(() => connections === 2 && events.includes("ConnectionRestored"))
        else {
          strictEqual(yield* transport.disconnected, `because (${code})`)
          yield* Effect.sleep(60)
          strictEqual(connections, 1)
        }
      }).pipe(Effect.provide(NodeWS.layerWebSocketConstructor)))
  }

  it.live("with reconnect false the first break is the end", () =>
    Effect.gen(function*() {
      const { url } = yield* listen((socket) => socket.terminate())
      const transport = yield* WebSocketClient.make({ url, protocol, reconnect: false })
      yield* transport.disconnected
    }).pipe(Effect.provide(Socket.layerWebSocketConstructorGlobal)))

  it.live("a scope that closes while there is no connection leaves nothing behind", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { url } = yield* Scope.provide(listen(() => {}), scope)
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const transport = yield* WebSocketClient.make({ url, protocol, reconnect: Schedule.spaced("1 hour") })
        const { events, task } = yield* run(transport)
        yield* Scope.close(scope, Exit.void)
        yield* until(() => events.includes("ConnectionLost"))
        yield* task.queueFrame(text("waits"))
      })))
      strictEqual(alive, 0)
    }).pipe(Effect.provide(Socket.layerWebSocketConstructorGlobal)))

  it.live("a server that does not read makes what is sent wait", () =>
    Effect.gen(function*() {
      const { url } = yield* listen((socket) => socket.pause())
      const transport = yield* WebSocketClient.make({
        url,
        protocol,
        buffered: 100_000,
        output: { sendTimeout: "200 millis" }
      })
      const { task } = yield* run(transport)
      const failures = yield* Effect.forkChild(Stream.runHead(task.failures), { startImmediately: true })
      const long = "x".repeat(100_000)
      yield* Effect.forkScoped(task.queueFrames(Array.from({ length: 500 }, () => text(long))))
      assert.match(String((yield* Fiber.join(failures))._tag), /Some/)
    }).pipe(Effect.provide(NodeWS.layerWebSocketConstructor)))
})

describe("our server and our client", () => {
  it.live("talk", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        paths: { "/": protocol },
        session: (transport) => PipelineTask.make(Pipeline.make(transport.input, transport.output))
      })
      const transport = yield* WebSocketClient.make({ url: served.url, protocol })
      const task = yield* PipelineTask.make(Pipeline.make(transport.output, transport.input))
      const echoed = yield* Effect.forkChild(
        Stream.runCollect(Stream.take(Stream.filter(task.output, (frame) => frame.metadata?.["wire"] === true), 3)),
        { startImmediately: true }
      )
      yield* task.queueFrames(["a", "b", "c"].map((text) => Frame.TextFrame.make({ text, metadata: { wire: true } })))
      deepStrictEqual((yield* Fiber.join(echoed)).map((frame) => (frame as Frame.TextFrame).text), ["a", "b", "c"])
    }).pipe(Effect.provide(Socket.layerWebSocketConstructorGlobal)))
})
