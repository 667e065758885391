/** Clients of a WebSocket server whose sessions are in a cluster: what they are told, and what is told of them. */
import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as MessageProtocol from "@apipeline/core/MessageProtocol"
import * as Processor from "@apipeline/core/Processor"
import * as Cluster from "@apipeline/node/Cluster"
import * as WebSocketServer from "@apipeline/node/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Logger, Metric, Ref, Scope, Tracer } from "effect"
import { HttpRouter } from "effect/http"
import { freePorts } from "../../examples/support/Postgres.ts"
import { node } from "../utils/run.ts"
import { until } from "../utils/until.ts"
import { connect, serve, type WebSocketClient } from "../utils/webSocket.ts"

const { deepStrictEqual, strictEqual } = assert

const json = FrameSerializer.makePipelineGoJson()

class Heard extends Context.Service<Heard, Ref.Ref<number>>()("Heard") {
  static readonly layer = Layer.effect(Heard, Ref.make(0))
}

/** Counts, fails and says goodbye. */
const counting = Processor.queued(
  "Counting",
  Effect.map(Heard, (heard) => ({
    TextFrame: ({ text }: Frame.TextFrame, { push, report }: Processor.ProcessorContext) => {
      if (text === "fail") return report(new Error("no route"), { fatal: true })
      if (text === "end") return push(Frame.EndFrame.make())
      return Effect.flatMap(
        Ref.updateAndGet(heard, (n) => n + 1),
        (n) => push(Frame.TextFrame.make({ text: `${text} ${n}` }))
      )
    },
    EndFrame: (frame: Frame.EndFrame, { push }: Processor.ProcessorContext) =>
      Effect.andThen(push(Frame.TextFrame.make({ text: "goodbye" })), push(frame))
  }))
)

const options = { services: Heard.layer, pipeline: counting }
const Bot = Cluster.session("bot", options)
const Patient = Cluster.session("patient", { ...options, grace: "10 seconds" })

const start = <R>(
  session: Cluster.Session<R>,
  single: Cluster.SingleOptions = {},
  more: Partial<Cluster.ServeOptions> = {}
) =>
  Effect.gen(function*() {
    const layer = session.layer.pipe(Layer.provideMerge(Cluster.layerSingle({ currentLag: () => 0, ...single })))
    const cluster = yield* Layer.build(layer as Layer.Layer<Cluster.Cluster | Cluster.Gateway, never, never>)
    const scope = yield* Scope.make()
    const server = yield* serve(
      Cluster.serve(session, { paths: { "/ws": MessageProtocol.fromSerializer(json) }, ...more })
    )
      .pipe(Effect.provide(cluster), Scope.provide(scope))
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    return { ...server, url: `${server.url}/ws`, stop: Scope.close(scope, Exit.void), cluster }
  })

const say = ({ socket }: WebSocketClient, text: string) =>
  socket.send(json.encodeUnsafe(Frame.TextFrame.make({ text })))
const heard = ({ received }: WebSocketClient) =>
  received.flatMap((message) => {
    const frame = json.decodeUnsafe(message)
    return Frame.TextFrame.is(frame) ? [frame.text] : []
  })
const hear = (client: WebSocketClient, ...texts: ReadonlyArray<string>) =>
  until(`hears ${texts.join()}`, 5000, Effect.sync(() => heard(client).length >= texts.length)).pipe(
    Effect.andThen(Effect.sync(() => deepStrictEqual(heard(client), texts)))
  )
const closed = (client: WebSocketClient) => Effect.promise(() => client.closed)

describe("clients", () => {
  it.live("are answered, and closed when their session is over: in order, or failed", () =>
    Effect.gen(function*() {
      const { log, url } = yield* start(Bot)
      const client = yield* connect(url)
      say(client, "a")
      yield* hear(client, "a 1")
      say(client, "fail")
      const { code, reason } = yield* closed(client)
      strictEqual(code, 1011)
      assert.include(reason, "no route")
      const other = yield* connect(url)
      say(other, "b")
      yield* hear(other, "b 1")
      say(other, "end")
      deepStrictEqual(yield* closed(other), { code: 1000, reason: "the task has ended" })
      deepStrictEqual(heard(other), ["b 1", "goodbye"])
      assert.isTrue(log.some((line) => line === "the session is at localhost"))
    }))

  it.live("are told to try again when there is no room", () =>
    Effect.gen(function*() {
      const { cluster, url } = yield* start(Bot, { capacity: { sessions: 1 } })
      const client = yield* connect(url)
      say(client, "a")
      yield* hear(client, "a 1")
      const late = yield* connect(url)
      const { code, reason } = yield* closed(late)
      strictEqual(code, 1013)
      assert.include(reason, "found 1, expected less than 1")
      client.socket.close(1000)
      const sessions = Effect.provide(Cluster.Cluster.use(({ sessions }) => sessions), cluster)
      yield* until("it is gone", 5000, Effect.map(sessions, ({ length }) => length === 0))
      const again = yield* connect(url)
      say(again, "b")
      yield* hear(again, "b 1")
    }))

  it.live("who talk nonsense are closed, after a while", () =>
    Effect.gen(function*() {
      const { url } = yield* start(Bot, {}, { limits: { invalidMessages: 3 } })
      const client = yield* connect(url)
      client.socket.send("nonsense")
      client.socket.send("nonsense")
      say(client, "a")
      yield* hear(client, "a 1")
      for (let n = 0; n < 3; n++) client.socket.send("nonsense")
      const { code, reason } = yield* closed(client)
      strictEqual(code, 1008)
      assert.match(reason, /^too many messages that cannot be understood/)
    }))

  it.live("who have a grace find their session again", () =>
    Effect.gen(function*() {
      const { cluster, url } = yield* start(Patient)
      const client = yield* connect(url)
      say(client, "a")
      yield* hear(client, "a 1")
      const sessions = Effect.provide(Cluster.Cluster.use(({ sessions }) => sessions), cluster)
      const [id] = yield* sessions
      client.socket.close(1000)
      yield* closed(client)
      const again = yield* connect(`${url}?session=${id}`)
      say(again, "b")
      yield* hear(again, "b 2")
      strictEqual((yield* sessions).length, 1)
      // not an id that we give
      const other = yield* connect(`${url}?session=${encodeURIComponent("g0:../..")}`)
      say(other, "c")
      yield* hear(other, "c 1")
    }))

  it.live("hear what the bot has still to say when the server ends", () =>
    Effect.gen(function*() {
      const { stop, url } = yield* start(Bot)
      const client = yield* connect(url)
      say(client, "a")
      yield* hear(client, "a 1")
      yield* stop
      const { code } = yield* closed(client)
      assert.include([1000, 1001], code)
      deepStrictEqual(heard(client), ["a 1", "goodbye"])
    }))
})

describe("what is told of them", () => {
  it.live("health, readiness, metrics and spans", () => {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    return Effect.gen(function*() {
      const [port] = yield* freePorts(1)
      const layer = HttpRouter.serve(Cluster.layerHealth, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provide(WebSocketServer.layerHttp({ port: port! })),
        Layer.provideMerge(Bot.layer),
        Layer.provideMerge(Cluster.layerSingle({ currentLag: () => 0, capacity: { sessions: 1 } })),
        Layer.provide(Logger.layer([]))
      )
      const context = yield* Layer.build(layer)
      const get = (path: string) =>
        Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${port}${path}`)
          return [response.status, await response.json()]
        })
      const connect = Effect.provide(Cluster.connect(Bot), context)
      yield* connect
      deepStrictEqual(yield* get("/health"), [200, { ready: true, sessions: 1, attached: 1 }])
      deepStrictEqual(yield* get("/ready"), [200, { ready: true, sessions: 1, attached: 1 }])
      const refusal = yield* Effect.flip(connect)
      strictEqual(refusal._tag, "Cluster.Refused")

      const value = (id: string) => Effect.map(Metric.snapshot, (all) => all.find((metric) => metric.id === id)?.state)
      deepStrictEqual(yield* value("apipeline_cluster_sessions"), { value: 1 })
      deepStrictEqual(yield* value("apipeline_cluster_attached"), { value: 1 })
      const refused = yield* value("apipeline_cluster_refused_total")
      assert.isAtLeast((refused as { count: number }).count, 12)

      yield* Effect.provide(Cluster.Cluster.use(({ drain }) => drain), context)
      strictEqual((yield* get("/health"))[0], 200)
      strictEqual((yield* get("/ready"))[0], 503)
      const names = new Set(spans.map(({ name }) => name))
      assert.isTrue(names.has("Cluster.attach"))
      assert.isTrue(names.has("Cluster.session"))
      strictEqual(spans.find(({ name }) => name === "Cluster.session")?.attributes.get("runner"), "localhost")
    }).pipe(Effect.withTracer(tracer))
  })
})

it("npm run cluster, without a database", () => {
  const said = node(["examples/cluster.ts", "--single", "--sessions", "4"])
  assert.include(said, "numbers lost: 0, said twice: 0, out of order: 0")
  assert.include(said, "4 of 4 sessions still know how many numbers they were told")
}, 60_000)
