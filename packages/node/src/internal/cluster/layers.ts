/** A process of a cluster: how it finds the others, and what it is for them. */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import * as NodeSocketServer from "@effect/platform-node/NodeSocketServer"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as Runners from "effect/cluster/Runners"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Sharding from "effect/cluster/Sharding"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as SocketRunner from "effect/cluster/SocketRunner"
import * as SqlMessageStorage from "effect/cluster/SqlMessageStorage"
import * as SqlRunnerStorage from "effect/cluster/SqlRunnerStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Socket from "effect/socket/Socket"
import { Admission, makeLag } from "./admission.ts"
import * as DataPlane from "./dataPlane.ts"
import { Gateway } from "./gateway.ts"
import { Host } from "./host.ts"
import * as Lease from "./lease.ts"
import * as Metrics from "./metrics.ts"
import * as Peers from "./peers.ts"
import { defaultGroup } from "./protocol.ts"
import { Snapshots } from "./snapshots.ts"

/** Long leases, because of the database, and everything else fast: see the deployment page. */
const config = {
  shardLockRefreshInterval: "6 seconds",
  shardLockExpiration: "20 seconds",
  refreshAssignmentsInterval: "500 millis",
  entityMessagePollInterval: "1 second",
  entityTerminationTimeout: "5 seconds",
  sendRetryInterval: "50 millis",
  entityMailboxCapacity: 512,
  simulateRemoteSerialization: false
} as const satisfies Partial<ShardingConfig.ShardingConfig["Service"]>

/** Milliseconds since a lease was confirmed for which it is believed, while the database is away: less than it lasts. */
const trusted = 16_000

export const allGroups: ReadonlyArray<string> = ["g0", "g1", "g2", "g3", "g4", "g5", "g6", "g7"]

// ---------------------------------------------------------------------------------------------------------------------
// between runners
// ---------------------------------------------------------------------------------------------------------------------

// Those of `NodeClusterSocket` leave Nagle's algorithm on, which costs 88 ms for each message that waits for an answer.
const tcp = { noDelay: true, keepAlive: true } as const

const layerClientProtocol: Layer.Layer<Runners.RpcClientProtocol, never, RpcSerialization.RpcSerialization> = Layer
  .effect(Runners.RpcClientProtocol)(Effect.gen(function*() {
    const serialization = yield* RpcSerialization.RpcSerialization
    return {
      codecFor: serialization.codecFor,
      make: Effect.fnUntraced(function*({ host, port }: RunnerAddress.RunnerAddress) {
        const socket = yield* NodeSocket.makeNet({ ...tcp, openTimeout: 1000, timeout: 5500, host, port })
        return yield* RpcClient.makeProtocolSocket().pipe(
          Effect.provideService(Socket.Socket, socket),
          Effect.provideService(RpcSerialization.RpcSerialization, serialization)
        )
      }, Effect.orDie)
    }
  }))

const layerStorage = Layer.mergeAll(
  SqlMessageStorage.layer.pipe(Layer.provide(NodeCrypto.layerDigest)),
  Lease.layer(trusted).pipe(Layer.provide(SqlRunnerStorage.layer))
)

interface Membership {
  readonly groups: ReadonlyArray<string>
}

export const layerRunnerSharding = (
  options: Membership & {
    readonly host: string
    readonly port: number
    readonly listenHost: string
    readonly group: string
    readonly weight: number
  }
) => {
  const { group, groups, host, listenHost, port, weight } = options
  const address = RunnerAddress.make(host, port)
  return SocketRunner.layer.pipe(
    Layer.provide(NodeSocketServer.layer({ ...tcp, host: listenHost, port })),
    Layer.provide(layerClientProtocol),
    Layer.merge(Peers.watch(Peers.nameOf(address))),
    Layer.provide(Peers.layerHealth),
    Layer.provideMerge(layerStorage),
    Layer.provide(ShardingConfig.layer({
      ...ShardingConfig.defaults,
      ...config,
      runnerAddress: Option.some(address),
      runnerShardWeight: weight,
      availableShardGroups: groups,
      assignedShardGroups: [group]
    })),
    Layer.provide(RpcSerialization.layerSchemaBinary())
  )
}

export const layerGatewaySharding = ({ groups }: Membership) =>
  SocketRunner.layerClientOnly.pipe(
    Layer.provide(layerClientProtocol),
    Layer.provideMerge(layerStorage),
    Layer.provide(ShardingConfig.layer({
      ...ShardingConfig.defaults,
      ...config,
      runnerAddress: Option.none(),
      availableShardGroups: groups,
      assignedShardGroups: []
    })),
    Layer.provide(RpcSerialization.layerSchemaBinary())
  )

export const layerSingleSharding = Sharding.layer.pipe(
  Layer.provideMerge(Runners.layerNoop),
  Layer.provideMerge(MessageStorage.layerMemory),
  Layer.provideMerge(RunnerStorage.layerMemory),
  Layer.provide(RunnerHealth.layerNoop),
  Layer.provide(ShardingConfig.layer({
    ...ShardingConfig.defaults,
    ...config,
    availableShardGroups: [defaultGroup],
    assignedShardGroups: [defaultGroup]
  }))
)

// ---------------------------------------------------------------------------------------------------------------------
// roles
// ---------------------------------------------------------------------------------------------------------------------

export const layerHost = (options: {
  readonly runner: string
  readonly url: string
  readonly sessions: number
  readonly lag: number
  readonly handOverTimeout: number
  readonly drainTimeout: number
  /** Tests tell how late the event loop is. */
  readonly currentLag?: (() => number) | undefined
}): Layer.Layer<Host, never, Snapshots> =>
  Layer.effect(
    Host,
    Effect.gen(function*() {
      const snapshots = yield* Snapshots
      const { handOverTimeout, lag, runner, sessions: limit, url } = options
      const currentLag = options.currentLag ?? (yield* makeLag)
      const sessions: Host["Service"]["sessions"] = new Map()
      const admission = new Admission({
        runner,
        sessions: limit,
        lag,
        currentLag,
        currentSessions: () => sessions.size
      })
      yield* Effect.sync(() => Metrics.lag.updateUnsafe(currentLag(), Metrics.registry)).pipe(
        Effect.delay("1 second"),
        Effect.forever,
        Effect.forkScoped
      )
      const { drainTimeout } = options
      return Host.of({ runner, url, admission, sessions, snapshots, handOverTimeout, drainTimeout, kinds: new Map() })
    })
  )

export const layerDataPlane = (options: {
  readonly host: string
  readonly port: number
}): Layer.Layer<never, DataPlane.ListenError, Host> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const runner = yield* Host
    yield* DataPlane.listen({ ...options, runner, isReady: () => !runner.admission.isDraining })
  }))

/** Takes no more sessions, waits for those that are there to end, and hands over what is left. */
export const drain = (host: Host["Service"]): Effect.Effect<void> =>
  Effect.gen(function*() {
    const { admission, drainTimeout: millis, runner, sessions } = host
    if (!admission.isDraining && sessions.size > 0) yield* Effect.logInfo(`${runner} drains ${sessions.size} sessions`)
    admission.isDraining = true
    const empty: Effect.Effect<void> = Effect.suspend(() =>
      sessions.size === 0 ? Effect.void : Effect.andThen(Effect.sleep("50 millis"), empty)
    )
    if (millis > 0) yield* Effect.timeoutOption(empty, millis)
    admission.isLeaving = true
    yield* Effect.forEach([...sessions.values()], ({ handOver }) => handOver, {
      concurrency: "unbounded",
      discard: true
    })
  })

/** How often a gateway looks which generations have runners. */
const groupsInterval = "500 millis"

export const layerGateway = (options: {
  readonly attachTimeout: number
  readonly giveUp: number
}): Layer.Layer<Gateway, never, Sharding.Sharding | RunnerStorage.RunnerStorage> =>
  Layer.effect(
    Gateway,
    Effect.gen(function*() {
      const storage = yield* RunnerStorage.RunnerStorage
      const sharding = yield* Sharding.Sharding
      const host = Option.getOrUndefined(yield* Effect.serviceOption(Host))
      let groups: ReadonlyArray<string> = host === undefined ? [] : [defaultGroup]
      const unwilling = new Set<string>()
      const look = Effect.map(storage.getRunners, (runners) => {
        const found = new Set(runners.flatMap(([{ groups }, isHealthy]) => isHealthy ? groups : []))
        // the order in which they were found stays: sessions go where they went, until it is refused
        groups = [
          ...groups.filter((group) => found.has(group)),
          ...[...found].filter((group) => !groups.includes(group))
        ]
        for (const group of unwilling) if (!found.has(group)) unwilling.delete(group)
      })
      yield* Effect.ignore(look)
      yield* Effect.ignore(look).pipe(
        Effect.delay(groupsInterval),
        Effect.forever,
        Effect.withTracerEnabled(false),
        Effect.forkScoped
      )
      return Gateway.of({
        ...options,
        sharding,
        host,
        groups: Effect.sync(() => {
          const willing = groups.filter((group) => !unwilling.has(group))
          return willing.length > 0 ? willing : groups
        }),
        prefer: (group, isWilling) => {
          if (!isWilling) unwilling.add(group)
          else if (groups[0] !== group && !unwilling.has(group)) {
            groups = [group, ...groups.filter((other) => other !== group)]
          }
        },
        isReady: () => groups.length > 0,
        attached: new Set()
      })
    })
  )
