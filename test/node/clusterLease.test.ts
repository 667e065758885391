/** What a runner believes while the database is away, and how it finds out that another one is dead. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer } from "effect"
import { PersistenceError } from "effect/cluster/ClusterError"
import * as Runner from "effect/cluster/Runner"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import { RunnerHealth } from "effect/cluster/RunnerHealth"
import { RunnerStorage } from "effect/cluster/RunnerStorage"
import * as ShardId from "effect/cluster/ShardId"
import { TestClock } from "effect/testing"
import { createServer } from "node:net"
import { freePorts } from "../../examples/support/Postgres.ts"
import * as Lease from "../../packages/node/src/internal/cluster/lease.ts"
import * as Peers from "../../packages/node/src/internal/cluster/peers.ts"
import { until } from "../utils/until.ts"

const { deepStrictEqual, strictEqual } = assert

const address = RunnerAddress.make("h", 1)
const shards = [1, 2, 3].map((n) => ShardId.make("g0", n))

/** A database whose locks go with its connection. */
const makeDatabase = () => {
  const held = new Set<string>()
  const others = new Set<string>()
  const calls = { refresh: 0, acquire: 0 }
  let isUp = true
  let hangs = false
  const whenUp = <A>(get: () => A): Effect.Effect<A, PersistenceError> =>
    Effect.suspend(() =>
      hangs ? Effect.never : isUp ? Effect.sync(get) : Effect.fail(new PersistenceError({ cause: "away" }))
    )
  const storage = {
    refresh: (_: unknown, ids: Iterable<ShardId.ShardId>) =>
      whenUp(() => {
        calls.refresh++
        return [...ids].filter((id) => held.has(String(id)))
      }),
    acquire: (_: unknown, ids: Iterable<ShardId.ShardId>) =>
      whenUp(() => {
        calls.acquire++
        const free = [...ids].filter((id) => !others.has(String(id)))
        for (const id of free) held.add(String(id))
        return free
      })
  } as unknown as RunnerStorage["Service"]
  return {
    storage,
    calls,
    stop: Effect.sync(() => {
      isUp = false
      held.clear()
    }),
    start: Effect.sync(() => {
      isUp = true
      hangs = false
    }),
    hang: Effect.sync(() => {
      hangs = true
    }),
    take: (id: ShardId.ShardId) => Effect.sync(() => others.add(String(id)))
  }
}

const start = Effect.gen(function*() {
  const database = makeDatabase()
  const lease = yield* Lease.make(database.storage, 16_000)
  deepStrictEqual(yield* lease.acquire(address, shards), shards)
  const refresh = Effect.map(lease.refresh(address, shards), (held) => held.map(String))
  return { database, lease, refresh, all: shards.map(String) }
})

describe("Lease", () => {
  it.effect("a database that comes back in time has never been away, and the locks are ours again", () =>
    Effect.gen(function*() {
      const { all, database, refresh } = yield* start
      deepStrictEqual(yield* refresh, all)
      yield* database.stop
      yield* TestClock.adjust("6 seconds")
      deepStrictEqual(yield* refresh, all)
      yield* database.start
      // at once, not only when somebody asks
      yield* TestClock.adjust("1 second")
      strictEqual(database.calls.acquire, 2)
      deepStrictEqual(yield* refresh, all)
      strictEqual(database.calls.acquire, 2)
    }))

  it.effect("what another runner has taken meanwhile is lost", () =>
    Effect.gen(function*() {
      const { all, database, refresh } = yield* start
      yield* database.stop
      deepStrictEqual(yield* refresh, all)
      yield* database.take(shards[1]!)
      yield* database.start
      yield* TestClock.adjust("1 second")
      deepStrictEqual(yield* refresh, [all[0], all[2]])
    }))

  it.effect("a lease that is too old is not believed", () =>
    Effect.gen(function*() {
      const { all, database, lease, refresh } = yield* start
      yield* database.stop
      yield* TestClock.adjust("12 seconds")
      deepStrictEqual(yield* refresh, all)
      yield* TestClock.adjust("6 seconds")
      assert.isTrue(Exit.isFailure(yield* Effect.exit(refresh)))
      yield* database.start
      // nor taken again: whoever has waited that long may have them
      deepStrictEqual(yield* refresh, [])
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(lease.refresh(address, []))))
    }))

  it.effect("a database that hangs is one that is away", () =>
    Effect.gen(function*() {
      const { all, database, refresh } = yield* start
      yield* database.hang
      const asked = yield* Effect.forkChild(refresh)
      yield* TestClock.adjust("2 seconds")
      const exit = asked.pollUnsafe()
      assert.isTrue(exit !== undefined && Exit.isSuccess(exit))
      if (exit !== undefined && Exit.isSuccess(exit)) deepStrictEqual(exit.value, all)
    }))
})

describe("Peers", () => {
  const listen = (port: number) =>
    Effect.acquireRelease(
      Effect.callback<ReturnType<typeof createServer>>((resume) => {
        const server = createServer((socket) => socket.destroy())
        server.listen(port, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) => Effect.sync(() => server.close())
    )

  it.live("a runner that nobody can connect to is out; one that answers is not", () =>
    Effect.gen(function*() {
      const [up, down] = yield* freePorts(2)
      yield* listen(up!)
      const runner = (port: number) =>
        Runner.make({ address: RunnerAddress.make("127.0.0.1", port), groups: ["g0"], weight: 1 })
      const out: Array<number> = []
      const storage = {
        getRunners: Effect.sync(() => [up!, down!].map((port) => [runner(port), !out.includes(port)] as const)),
        setRunnerHealth: ({ port }: RunnerAddress.RunnerAddress) => Effect.sync(() => void out.push(port))
      } as unknown as RunnerStorage["Service"]
      yield* Layer.build(Peers.watch("127.0.0.1:1").pipe(Layer.provide(Layer.succeed(RunnerStorage, storage))))
      yield* until("it is found dead", 10_000, Effect.sync(() => out.length > 0))
      yield* Effect.sleep("1 second")
      deepStrictEqual(out, [down])
      const health = Layer.build(Peers.layerHealth)
      const { isAlive } = yield* Effect.flatMap(health, (context) =>
        Effect.provide(RunnerHealth.use(Effect.succeed), context))
      strictEqual(yield* isAlive(RunnerAddress.make("127.0.0.1", up!)), true)
      strictEqual(yield* isAlive(RunnerAddress.make("127.0.0.1", down!)), false)
    }))

  it("each is watched by those before it, around the end", () => {
    const addresses = Array.from({ length: 30 }, (_, i) => RunnerAddress.make(`10.0.0.${i + 10}`, 7700))
    const watchers = new Map<string, number>()
    for (const self of addresses) {
      const watched = Peers.watched(Peers.nameOf(self), addresses).map(Peers.nameOf)
      strictEqual(watched.length, 10)
      assert.notInclude(watched, Peers.nameOf(self))
      for (const name of watched) watchers.set(name, (watchers.get(name) ?? 0) + 1)
    }
    deepStrictEqual(new Set(watchers.values()), new Set([10]))
    strictEqual(watchers.size, 30)
  })
})
