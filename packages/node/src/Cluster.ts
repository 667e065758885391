/**
 * Past one machine: sessions live on many runners, and any gateway reaches them.
 *
 * A session is one conversation, with one pipeline task, on exactly one runner at a time. Effect Cluster says on which, and
 * sees to it that there is no second one; frames go over a WebSocket between the client's gateway and that runner. When the
 * runner dies, is stopped or overloaded, the session goes on elsewhere.
 *
 * `layerSingle` is the same in one process, without a database. The deployment page, `packages/node/README.md`, tells
 * what is promised and how to run it.
 *
 * @since 0.1.0
 */
import type * as Frame from "@apipeline/core/Frame"
import type { MessageProtocol } from "@apipeline/core/MessageProtocol"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as Transport from "@apipeline/core/Transport"
import type * as RunnerStorage from "effect/cluster/RunnerStorage"
import type { Sharding } from "effect/cluster/Sharding"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { SocketServerError } from "effect/socket/SocketServer"
import type { SqlClient } from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Refused } from "./internal/cluster/admission.ts"
import type * as ClientEnd from "./internal/cluster/clientEnd.ts"
import type * as DataPlane from "./internal/cluster/dataPlane.ts"
import * as SessionEntity from "./internal/cluster/entity.ts"
import { makeSerializer } from "./internal/cluster/frames.ts"
import { Gateway } from "./internal/cluster/gateway.ts"
import { Host } from "./internal/cluster/host.ts"
import * as Janitor from "./internal/cluster/janitor.ts"
import * as Layers from "./internal/cluster/layers.ts"
import * as Protocol from "./internal/cluster/protocol.ts"
import * as RemoteSession from "./internal/cluster/remote.ts"
import * as Served from "./internal/cluster/serve.ts"
import * as Snapshots from "./internal/cluster/snapshots.ts"
import { type OpenSession, type SessionContext, SessionMovedFrame, type Spec } from "./internal/cluster/spec.ts"
import type * as WebSocketServer from "./WebSocketServer.ts"

export { Refused } from "./internal/cluster/admission.ts"
export { type Counts, type Notice, type Remote, Unavailable } from "./internal/cluster/clientEnd.ts"
export { ListenError } from "./internal/cluster/dataPlane.ts"
export { Gateway } from "./internal/cluster/gateway.ts"
export { Host } from "./internal/cluster/host.ts"
export type { Signal } from "./internal/cluster/inbox.ts"
export { SessionFailed } from "./internal/cluster/protocol.ts"
export { type SessionContext, SessionMovedFrame } from "./internal/cluster/spec.ts"

// ---------------------------------------------------------------------------------------------------------------------
// sessions
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a session keeps when it moves. `S`: its state, `A`: the services that it is in.
 *
 * @category models
 * @since 0.1.0
 */
export interface SnapshotOptions<S, A = never> {
  readonly schema: Schema.Codec<S, any>
  /** Taken when the session leaves a runner in order, and every so often in case that it does not. */
  readonly take: Effect.Effect<S, unknown, A>
  /** Default: 5 seconds. */
  readonly every?: Duration.Input | undefined
}

/**
 * Options of {@link session}. `A`: the services that each session has for itself, `S`: the state that it keeps, `E`: how
 * it may fail, `R`: what its runner has to provide.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionOptions<A, S, E, R> {
  /**
   * The pipeline between the input and the output (a `Pipeline.Service`, too, whose layer the runner or `services`
   * provide), or what makes the task of a transport: the `session` of a `WebSocketServer` is one.
   */
  readonly pipeline:
    | Pipeline.Element<any, R | A>
    | ((
      transport: Transport.Transport,
      context: SessionContext
    ) => Effect.Effect<PipelineTask.PipelineTask<any>, E, R | A | Scope.Scope>)
  /** Made anew for each session, before its pipeline. Default: none. */
  readonly services?: Layer.Layer<A, E, R> | undefined
  /** Default: nothing is kept: a moved session begins anew, with a {@link SessionMovedFrame}. */
  readonly snapshot?: SnapshotOptions<S, A> | undefined
  /** Puts back what {@link SnapshotOptions.take} has taken, before the pipeline is made. */
  readonly restore?: ((snapshot: S) => Effect.Effect<void, unknown, A>) | undefined
  /** Of the transport on the runner. */
  readonly transport?: Transport.Options | undefined
  /** App frames of your own that clients send or get. */
  readonly frames?: ReadonlyArray<Frame.AnyClass> | undefined
  /**
   * Frames that are sent to the gateway besides audio and messages; its protocol may leave out some more. Default: all data
   * frames that have a JSON form.
   */
  readonly carries?: ((frame: Frame.Frame) => boolean) | undefined
  /**
   * How long a session is kept whose client has left: it may come back with the session's id, through any gateway.
   * Default: 0, the session ends with the client.
   */
  readonly grace?: Duration.Input | undefined
  /** How long a session is kept whose gateway was lost, at least. Default: 15 seconds. */
  readonly orphanTimeout?: Duration.Input | undefined
  /** Media frames that wait on either side, before the oldest is dropped. Default: 100, two seconds of 20 ms each. */
  readonly mediaCapacity?: number | undefined
  /** Control that is under way on either side, before what is sent waits. Default: 256. */
  readonly controlCapacity?: number | undefined
}

/**
 * A kind of session: {@link SessionLayer} runs sessions of it, {@link connect} and {@link serve} reach them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Session<out R = never> {
  readonly name: string
  /** Runs sessions of this kind, on a runner. */
  readonly layer: Layer.Layer<never, never, Host | Sharding | R>
  /** How long a session is kept whose client has left, in milliseconds. */
  readonly grace: number
  readonly [Internals]: { readonly entity: Protocol.SessionEntity; readonly spec: Spec<any> }
}

const Internals = "~apipeline/Cluster/Session"

const nonNegative = (field: string, found: number): number => {
  if (found >= 0 && found < Infinity) return found
  throw new TypeError(`Cluster.session: ${field}: found ${found} ms, expected a finite duration`)
}

const count = (field: string, found: number): number => {
  if (Number.isInteger(found) && found > 0) return found
  throw new TypeError(`Cluster.session: ${field}: found ${found}, expected a positive integer`)
}

/** A pipeline that is a service is a class, and so a function. */
const isElement = <R, F>(pipeline: Pipeline.Element<any, R> | F): pipeline is Pipeline.Element<any, R> =>
  typeof pipeline !== "function" || Context.isKey(pipeline)

const openWith = <A, S, E, R>(
  { pipeline, restore, services = Layer.empty as Layer.Layer<any>, snapshot }: SessionOptions<A, S, E, R>
) =>
  Effect.fnUntraced(function*(context: SessionContext) {
    const outer = yield* Effect.context<R>()
    const inner = yield* Layer.build(Layer.fresh(services))
    const all = Context.merge(outer, inner) as Context.Context<R | A>
    const provided = <B, E2, R2>(effect: Effect.Effect<B, E2, R2>) =>
      Effect.provide(effect, all) as Effect.Effect<B, unknown, Exclude<R2, R | A>>
    const json = snapshot === undefined ? undefined : Schema.fromJsonString(Schema.toCodecJson(snapshot.schema))
    const opened: OpenSession = {
      make: (transport) =>
        provided<PipelineTask.PipelineTask<any>, unknown, R | A | Scope.Scope>(
          isElement(pipeline)
            ? PipelineTask.make(Pipeline.make(transport.input, pipeline, transport.output))
            : pipeline(transport, context)
        ) as Effect.Effect<PipelineTask.PipelineTask<any>, unknown, Scope.Scope>,
      take: json === undefined
        ? Effect.succeed("")
        : Effect.flatMap(provided(snapshot!.take), Schema.encodeEffect(json)) as Effect.Effect<string, unknown>,
      restore: (data) =>
        json === undefined || restore === undefined
          ? Effect.void
          : Effect.flatMap(
            Schema.decodeEffect(json)(data),
            (state) => provided(restore(state))
          ) as Effect.Effect<void, unknown>
    }
    return opened
  })

/**
 * Describes a kind of session, for gateways and runners alike.
 *
 * **Details**
 *
 * - The pipeline runs on one runner, with a transport whose other side is the client, wherever that is connected. It begins
 *   with the first client, and ends as on one machine; when it ends, so does the session.
 * - When the runner dies, another begins a new pipeline. It has what `restore` makes of the last snapshot, and nothing
 *   else of the old one. A `SessionMovedFrame` is the first that it hears of the client.
 * - Media (audio and images) is sent at most once, in order, the oldest dropped when it does not get through. Everything
 *   else is sent again until it has arrived: in order, and once. What a pipeline has taken and not finished when its
 *   machine dies is lost with it.
 *
 * @example
 * ```ts
 * import { Context, Effect, Layer, Ref, Schema } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 * import { Cluster } from "@apipeline/node"
 *
 * class Heard extends Context.Service<Heard, Ref.Ref<number>>()("Heard") {
 *   static readonly layer = Layer.effect(Heard, Ref.make(0))
 * }
 * const counting = Processor.queued(
 *   "Counting",
 *   Effect.map(Heard, (heard) => ({
 *     TextFrame: (_: Frame.TextFrame, { push }: Processor.ProcessorContext) =>
 *       Effect.flatMap(Ref.updateAndGet(heard, (n) => n + 1), (n) => push(Frame.TextFrame.make({ text: `${n}` })))
 *   }))
 * )
 *
 * const Counter = Cluster.session("counter", {
 *   services: Heard.layer,
 *   pipeline: counting,
 *   snapshot: { schema: Schema.Int, take: Heard.use(Ref.get) },
 *   restore: (n) => Heard.use(Ref.set(n))
 * })
 *
 * Counter.name // => "counter"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const session = <A = never, S = never, E = never, R = never>(
  name: string,
  options: SessionOptions<A, S, E, R>
): Session<Exclude<R, Scope.Scope | A>> => {
  const { carries, frames = [], snapshot } = options
  const grace = nonNegative("grace", Duration.toMillis(options.grace ?? 0))
  const orphan = nonNegative("orphanTimeout", Duration.toMillis(options.orphanTimeout ?? "15 seconds"))
  const every = snapshot === undefined ? undefined : Duration.fromInputUnsafe(snapshot.every ?? "5 seconds")
  const spec: Spec<Exclude<R, Scope.Scope | A>> = {
    name,
    serializer: makeSerializer([SessionMovedFrame, ...frames]),
    grace,
    orphanTimeout: Math.max(orphan, grace),
    mediaCapacity: count("mediaCapacity", options.mediaCapacity ?? 100),
    controlCapacity: count("controlCapacity", options.controlCapacity ?? 256),
    transport: options.transport,
    carries: carries ?? isData,
    open: openWith(options) as Spec<any>["open"],
    snapshotEvery: every,
    hasSnapshot: snapshot !== undefined
  }
  const entity = Protocol.makeEntity(name)
  return { name, grace, layer: layerOf(entity, spec), [Internals]: { entity, spec } }
}

const isData = (frame: Frame.Frame): boolean => (frame.kind ?? "data") === "data"

const layerOf = <R>(
  entity: Protocol.SessionEntity,
  spec: Spec<R>
): Layer.Layer<never, never, Host | Sharding | R> => {
  const entities = SessionEntity.layer(entity, spec)
  // built last, so closed first: who leaves does so while the line to the gateways is still there
  return Layer.effectDiscard(Effect.gen(function*() {
    const host = yield* Host
    host.kinds.set(spec.name, spec.serializer)
    yield* Effect.addFinalizer(() => Layers.drain(host))
  })).pipe(Layer.provide(entities)) as Layer.Layer<never, never, Host | Sharding | R>
}

// ---------------------------------------------------------------------------------------------------------------------
// clients
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link connect}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectOptions extends ClientEnd.Options {}

/**
 * Connects to a session, for who is no client of a `WebSocketServer`: telephones, tests, other programs. Makes one
 * unless the `id` is that of one that is there (or that was: its snapshot is).
 *
 * **Details**
 *
 * A runner that has no room refuses; another is asked then, up to twelve times. Fails with the last refusal, or when none
 * answers. Afterwards it follows the session from runner to runner, and tells in `notices`.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Stream } from "effect"
 * import { Frame, Processor } from "@apipeline/core"
 * import { Cluster } from "@apipeline/node"
 *
 * const Echo = Cluster.session("echo", { pipeline: Processor.sync("Same", {}) })
 *
 * const program = Effect.gen(function*() {
 *   const remote = yield* Cluster.connect(Echo)
 *   yield* remote.send(Frame.TextFrame.make({ text: "hello" }))
 *   const [signal] = yield* Stream.runCollect(Stream.take(remote.received, 1))
 *   return signal?._tag === "Frame" && Frame.TextFrame.is(signal.frame) ? signal.frame.text : undefined
 * }).pipe(Effect.scoped, Effect.provide(Echo.layer.pipe(Layer.provideMerge(Cluster.layerSingle()))))
 *
 * await Effect.runPromise(program) // => "hello"
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const connect = <R>(
  session: Session<R>,
  options: ConnectOptions = {}
): Effect.Effect<
  ClientEnd.Remote,
  Refused | Protocol.SessionFailed | ClientEnd.Unavailable,
  Gateway | Scope.Scope
> => RemoteSession.connect(session[Internals].entity, session[Internals].spec, options)

/**
 * Options of {@link serve}: those of a `WebSocketServer`, but for what the session decides.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServeOptions<R = never>
  extends Omit<WebSocketServer.Options<never, R>, "session" | "transport" | "paths">
{
  /** What is spoken on which path. */
  readonly paths: Readonly<Record<string, MessageProtocol | Effect.Effect<MessageProtocol, never, R | Scope.Scope>>>
  /** The session that a client comes back to. Default: `?session=...` of its URL, if its kind of session has a `grace`. */
  readonly sessionId?: ((client: WebSocketServer.Client) => string | undefined) | undefined
}

/** An id that we may have given. */
const plausible = /^\w{1,16}:[-\w]{1,100}$/

/**
 * Lets clients talk to sessions over WebSockets: the options for `WebSocketServer.layer`.
 *
 * **Details**
 *
 * - The server's own rules hold: who may connect, limits, pings, farewell. The transport is on the runner; see `transport`
 *   of {@link session}.
 * - A client for whom no runner has room is closed with 1013, to try again later.
 * - When the server is to end, sessions are ended in order; those that have a `grace` are kept, and their clients may come
 *   back by another gateway.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { FrameSerializer, MessageProtocol, Processor } from "@apipeline/core"
 * import { Cluster, NodeRunner, WebSocketServer } from "@apipeline/node"
 *
 * const Echo = Cluster.session("echo", { pipeline: Processor.sync("Same", {}) })
 *
 * const sockets = WebSocketServer.layer(Cluster.serve(Echo, {
 *   paths: { "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat()) }
 * }))
 * const main = HttpRouter.serve(Layer.merge(sockets, Cluster.layerHealth)).pipe(
 *   Layer.provide(WebSocketServer.layerHttp({ port: 8765 })),
 *   Layer.merge(Echo.layer),
 *   Layer.provide(Cluster.layerSingle())
 * )
 *
 * NodeRunner.runMain(Layer.launch(main))
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const serve = <R, R2 = never>(
  session: Session<R>,
  options: ServeOptions<R2>
): WebSocketServer.Options<never, Gateway | R2> => {
  const { paths, sessionId, ...rest } = options
  const idOf = sessionId ?? ((client: WebSocketServer.Client) => {
    const id = session.grace > 0 ? client.url.searchParams.get("session") : null
    return id !== null && plausible.test(id) ? id : undefined
  })
  const remotes = new WeakMap<Transport.Transport, Served.RemoteTransport>()
  const spoken = (
    protocol: MessageProtocol | Effect.Effect<MessageProtocol, never, R2 | Scope.Scope>
  ): WebSocketServer.Spoken<Gateway | R2> =>
  (messages, client) =>
    Effect.gen(function*() {
      const spoken = Effect.isEffect(protocol) ? yield* protocol : protocol
      const remote = yield* connect(session, { id: idOf(client), flushes: spoken.flushes }).pipe(
        Effect.catch((error) => Served.refuse(messages, error.message))
      )
      const transport = yield* Served.join(messages, spoken, remote, options.limits?.invalidMessages ?? 50)
      remotes.set(transport, transport)
      return { transport }
    })
  return {
    ...rest,
    paths: Object.fromEntries(Object.entries(paths).map(([path, protocol]) => [path, spoken(protocol)])),
    session: (transport) => Effect.orDie(Served.makeTask(remotes.get(transport)!, session.grace > 0))
  }
}

/**
 * Puts a frame into the pipeline of a session, from anywhere in the cluster: the answer of a tool, a payment that has
 * arrived. It is in the database before it is tried, and survives every runner; whoever sends the same `id` again gets the
 * first answer, and the pipeline no second frame. Costs some 30 ms: it is not for what comes by the dozen per second.
 *
 * Gives `no session` when there was no pipeline to take it. Fails when the frame has no JSON form.
 *
 * @example
 * ```ts
 * import { Frame, Processor } from "@apipeline/core"
 * import { Cluster } from "@apipeline/node"
 *
 * const Echo = Cluster.session("echo", { pipeline: Processor.sync("Same", {}) })
 *
 * const paid = (session: string, receipt: string) =>
 *   Cluster.deliver(Echo, session, receipt, Frame.TextFrame.make({ text: "thank you" }))
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export const deliver = <R>(
  session: Session<R>,
  sessionId: string,
  id: string,
  frame: Frame.Frame
) =>
  Effect.gen(function*() {
    const { sharding } = yield* Gateway
    const { entity, spec } = session[Internals]
    const clientOf = yield* sharding.makeClient(entity)
    return yield* clientOf(sessionId).Deliver({ id, frame: yield* spec.serializer.encode(frame) })
  })

// ---------------------------------------------------------------------------------------------------------------------
// processes
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How many sessions a runner takes. Beyond, new ones are refused, and the gateway asks another runner; those that have
 * lost theirs are taken in any case.
 *
 * @category models
 * @since 0.1.0
 */
export interface Capacity {
  /** Default: 200. Measure: see the capacity sheet. */
  readonly sessions?: number | undefined
  /** How late the event loop may be, on average over a second. Default: 30 ms, a chunk of speech and a half. */
  readonly lag?: Duration.Input | undefined
}

/**
 * What gateways do when they do not find a session.
 *
 * @category models
 * @since 0.1.0
 */
export interface GatewayOptions {
  /** How long a client waits for a runner. Default: 10 seconds. */
  readonly attachTimeout?: Duration.Input | undefined
  /** How long a session that has lost its runner is looked for. Default: 1 minute. */
  readonly giveUp?: Duration.Input | undefined
  /**
   * Generations of the deployment that there may be, the same for all processes of a cluster. Default: `g0` to `g7`, to be
   * used in turn.
   */
  readonly groups?: ReadonlyArray<string> | undefined
}

/**
 * Options of {@link layerRunner}.
 *
 * @category models
 * @since 0.1.0
 */
export interface RunnerOptions extends GatewayOptions {
  /** Where the other processes of the cluster reach this one. Nobody else should. */
  readonly host: string
  /** For what runners and gateways have to agree upon. */
  readonly port: number
  /** For frames, `/health` and `/ready`. */
  readonly dataPort: number
  /** Where it listens. Default: the `host`. */
  readonly listenHost?: string | undefined
  /** The generation of the deployment: sessions stay within theirs as long as it has a runner. Default: `g0`. */
  readonly group?: string | undefined
  readonly capacity?: Capacity | undefined
  /** Its share of sessions, compared with other runners. Default: 1. */
  readonly weight?: number | undefined
  /** How long a runner that is told to end waits for its sessions to end by themselves. Default: 0, it hands them over. */
  readonly drainTimeout?: Duration.Input | undefined
  /** How long a session may take to finish what it has begun, before it is handed over. Default: 2 seconds. */
  readonly handOverTimeout?: Duration.Input | undefined
  /** Messages and snapshots that are older are deleted. Default: 1 day. */
  readonly keep?: Duration.Input | undefined
}

/**
 * What a process knows of its part of the cluster.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Cluster } from "@apipeline/node"
 *
 * const program = Cluster.Cluster.use(({ sessions }) => sessions).pipe(Effect.provide(Cluster.layerSingle()))
 *
 * await Effect.runPromise(program) // => []
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class Cluster extends Context.Service<Cluster, {
  /** Ids of the sessions that run here. */
  readonly sessions: Effect.Effect<ReadonlyArray<string>>
  /** Clients of this process that have a session. */
  readonly attached: Effect.Effect<number>
  /** Whether clients should be sent here: there are runners, and this one (if it is one) is not about to end. */
  readonly isReady: Effect.Effect<boolean>
  /** Takes no more sessions from now on, waits up to `drainTimeout`, and hands over those that are left. */
  readonly drain: Effect.Effect<void>
}>()("@apipeline/node/Cluster") {}

const layerCluster: Layer.Layer<Cluster, never, Gateway> = Layer.effect(
  Cluster,
  Effect.map(Gateway, ({ attached, host, isReady }) => ({
    sessions: Effect.sync(() => host === undefined ? [] : [...host.sessions.keys()]),
    attached: Effect.sync(() => attached.size),
    isReady: Effect.sync(() => isReady() && host?.admission.isDraining !== true),
    drain: host === undefined ? Effect.void : Layers.drain(host)
  }))
)

const gatewaySettings = (options: GatewayOptions) => ({
  attachTimeout: Duration.toMillis(options.attachTimeout ?? "10 seconds"),
  giveUp: Duration.toMillis(options.giveUp ?? "1 minute")
})

const hostSettings = (options: Pick<RunnerOptions, "capacity" | "drainTimeout" | "handOverTimeout">) => ({
  sessions: options.capacity?.sessions ?? 200,
  lag: Duration.toMillis(options.capacity?.lag ?? 30),
  drainTimeout: Duration.toMillis(options.drainTimeout ?? 0),
  handOverTimeout: Duration.toMillis(options.handOverTimeout ?? "2 seconds")
})

const knownGroup = (group: string, groups: ReadonlyArray<string>): string => {
  if (groups.includes(group)) return group
  throw new TypeError(`Cluster.layerRunner: group: found ${group}, expected one of ${groups.join(", ")}`)
}

/**
 * Runs sessions, for the gateways of a cluster; is a gateway, too. Needs the database of the cluster: a `PgClient.layer` of
 * `@effect/sql-pg`, with at least two connections.
 *
 * @example
 * ```ts
 * import { Layer, Redacted } from "effect"
 * import { PgClient } from "@effect/sql-pg"
 * import { Processor } from "@apipeline/core"
 * import { Cluster, NodeRunner } from "@apipeline/node"
 *
 * const Echo = Cluster.session("echo", { pipeline: Processor.sync("Same", {}) })
 *
 * const main = Echo.layer.pipe(
 *   Layer.provide(Cluster.layerRunner({ host: "10.0.0.7", port: 7700, dataPort: 7701 })),
 *   Layer.provide(PgClient.layer({ url: Redacted.make("postgres://10.0.0.1/apipeline"), maxConnections: 5 }))
 * )
 *
 * NodeRunner.runMain(Layer.launch(main))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRunner = (
  options: RunnerOptions
): Layer.Layer<
  Cluster | Gateway | Host | Sharding,
  DataPlane.ListenError | SocketServerError | SqlError,
  SqlClient
> => {
  const { dataPort, host, port } = options
  const groups = options.groups ?? Layers.allGroups
  const group = knownGroup(options.group ?? "g0", groups)
  const listenHost = options.listenHost ?? host
  return layerCluster.pipe(
    Layer.provideMerge(Layers.layerGateway(gatewaySettings(options))),
    Layer.provideMerge(
      Layers.layerDataPlane({ host: listenHost, port: dataPort }).pipe(
        Layer.provideMerge(Layers.layerHost({
          ...hostSettings(options),
          runner: `${host}:${port}`,
          url: `ws://${host}:${dataPort}`
        }))
      )
    ),
    Layer.merge(Janitor.layer(Duration.fromInputUnsafe(options.keep ?? "1 day"), group)),
    Layer.provideMerge(
      Layers.layerRunnerSharding({ host, port, listenHost, group, groups, weight: options.weight ?? 1 })
    ),
    Layer.provide(Snapshots.layerSql)
  )
}

/**
 * Reaches the sessions of a cluster, and runs none. Needs the database of the cluster, as {@link layerRunner} does.
 *
 * @example
 * ```ts
 * import { Layer, Redacted } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { PgClient } from "@effect/sql-pg"
 * import { FrameSerializer, MessageProtocol, Processor } from "@apipeline/core"
 * import { Cluster, NodeRunner, WebSocketServer } from "@apipeline/node"
 *
 * const Echo = Cluster.session("echo", { pipeline: Processor.sync("Same", {}) })
 *
 * const sockets = WebSocketServer.layer(Cluster.serve(Echo, {
 *   paths: { "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat()) }
 * }))
 * const main = HttpRouter.serve(Layer.merge(sockets, Cluster.layerHealth)).pipe(
 *   Layer.provide(WebSocketServer.layerHttp({ port: 8765 })),
 *   Layer.provide(Cluster.layerGateway()),
 *   Layer.provide(PgClient.layer({ url: Redacted.make("postgres://10.0.0.1/apipeline"), maxConnections: 5 }))
 * )
 *
 * NodeRunner.runMain(Layer.launch(main))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerGateway = (
  options: GatewayOptions = {}
): Layer.Layer<Cluster | Gateway, SqlError, SqlClient> =>
  layerCluster.pipe(
    Layer.provideMerge(Layers.layerGateway(gatewaySettings(options))),
    Layer.provide(Layers.layerGatewaySharding({ groups: options.groups ?? Layers.allGroups }))
  )

/**
 * Options of {@link layerSingle}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SingleOptions extends Pick<GatewayOptions, "attachTimeout" | "giveUp"> {
  readonly capacity?: Capacity | undefined
  /** As for a runner. Sessions have nowhere to go afterwards: they end. */
  readonly drainTimeout?: Duration.Input | undefined
  readonly handOverTimeout?: Duration.Input | undefined
  /** How late the event loop is, in milliseconds. Default: it is measured. */
  readonly currentLag?: (() => number) | undefined
}

/**
 * A cluster of this one process, without a database: the same sessions, and the same gateway.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { Processor } from "@apipeline/core"
 * import { Cluster } from "@apipeline/node"
 *
 * const Echo = Cluster.session("echo", { pipeline: Processor.sync("Same", {}) })
 * const main = Echo.layer.pipe(Layer.provideMerge(Cluster.layerSingle({ capacity: { sessions: 50 } })))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSingle = (
  options: SingleOptions = {}
): Layer.Layer<Cluster | Gateway | Host | Sharding | RunnerStorage.RunnerStorage> =>
  layerCluster.pipe(
    Layer.provideMerge(Layers.layerGateway(gatewaySettings(options))),
    Layer.provideMerge(Layers.layerHost({
      ...hostSettings(options),
      runner: "localhost",
      url: "",
      currentLag: options.currentLag
    })),
    Layer.provideMerge(Layers.layerSingleSharding),
    Layer.provide(Snapshots.layerMemory)
  )

/**
 * `GET /health`: this process answers. `GET /ready`: clients should be sent here (503 otherwise). For a gateway, beside its
 * WebSockets; a runner has them at its data port.
 *
 * @example
 * ```ts
 * import { Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { Cluster, WebSocketServer } from "@apipeline/node"
 *
 * const main = HttpRouter.serve(Cluster.layerHealth).pipe(
 *   Layer.provide(WebSocketServer.layerHttp({ port: 8765 })),
 *   Layer.provide(Cluster.layerSingle())
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerHealth: Layer.Layer<never, never, HttpRouter.HttpRouter | Cluster> = Layer.effectDiscard(
  Effect.gen(function*() {
    const router = yield* HttpRouter.HttpRouter
    const cluster = yield* Cluster
    const answer = (path: "/health" | "/ready") =>
      Effect.gen(function*() {
        const ready = yield* cluster.isReady
        const sessions = (yield* cluster.sessions).length
        return HttpServerResponse.jsonUnsafe(
          { ready, sessions, attached: yield* cluster.attached },
          { status: path === "/health" || ready ? 200 : 503 }
        )
      })
    yield* router.add("GET", "/health", answer("/health"))
    yield* router.add("GET", "/ready", answer("/ready"))
  })
)

// ---------------------------------------------------------------------------------------------------------------------
// configuration
// ---------------------------------------------------------------------------------------------------------------------

const optional = <A>(config: Config.Config<A>) => Config.map(Config.option(config), Option.getOrUndefined)

/**
 * The options of a runner from the environment: `APIPELINE_HOST`, `APIPELINE_PORT` (7700), `APIPELINE_DATA_PORT` (7701),
 * `APIPELINE_LISTEN_HOST`, `APIPELINE_GROUP`, `APIPELINE_SESSIONS`, `APIPELINE_LAG`, `APIPELINE_DRAIN_TIMEOUT`,
 * `APIPELINE_HAND_OVER_TIMEOUT`.
 *
 * @example
 * ```ts
 * import { ConfigProvider, Effect } from "effect"
 * import { Cluster } from "@apipeline/node"
 *
 * const provider = ConfigProvider.layer(ConfigProvider.fromUnknown({ APIPELINE_HOST: "10.0.0.7" }))
 * const options = await Effect.runPromise(Effect.provide(Cluster.runnerConfig, provider))
 *
 * options.dataPort // => 7701
 * ```
 *
 * @category configuration
 * @since 0.1.0
 */
export const runnerConfig: Config.Config<RunnerOptions> = Config.all({
  host: Config.String("APIPELINE_HOST"),
  port: Config.Port("APIPELINE_PORT").pipe(Config.withDefault(7700)),
  dataPort: Config.Port("APIPELINE_DATA_PORT").pipe(Config.withDefault(7701)),
  listenHost: optional(Config.String("APIPELINE_LISTEN_HOST")),
  group: optional(Config.String("APIPELINE_GROUP")),
  capacity: Config.all({
    sessions: optional(Config.Int("APIPELINE_SESSIONS")),
    lag: optional(Config.Duration("APIPELINE_LAG"))
  }),
  drainTimeout: optional(Config.Duration("APIPELINE_DRAIN_TIMEOUT")),
  handOverTimeout: optional(Config.Duration("APIPELINE_HAND_OVER_TIMEOUT"))
})
