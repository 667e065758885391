/**
 * A database that stops for some seconds stops no session: who has a shard keeps it until the database is back, and takes
 * its lock again, unless it is away for longer than a lease may be trusted.
 *
 * Effect's storage says that a lock is lost as soon as the connection is that held it, and the runner stops everything
 * then. That is right when somebody else may have taken it. Nobody can while the database is away, and nobody wants to
 * before the runner is out: its heartbeat has to be older than the lease for that, or its peers must have found it dead.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import { PersistenceError } from "effect/cluster/ClusterError"
import type { RunnerAddress } from "effect/cluster/RunnerAddress"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import type { ShardId } from "effect/cluster/ShardId"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"

type Storage = RunnerStorage.RunnerStorage["Service"]

/** Whoever asks loses his own after six seconds. */
const patience = "2 seconds"
/** How often it is tried to take the locks again. */
const interval = "500 millis"

/** `trusted`: milliseconds since a lease was last confirmed for which it is believed. */
export const make = (storage: Storage, trusted: number): Effect.Effect<Storage, never, Scope.Scope> =>
  Effect.gen(function*() {
    const recovery = yield* FiberHandle.make<void, never>()
    let confirmedAt = -Infinity
    let isDoubtful = false

    const confirmed = Effect.map(Clock.currentTimeMillis, (now) => {
      confirmedAt = now
      isDoubtful = false
    })
    const isTrusted = Effect.map(Clock.currentTimeMillis, (now) => now - confirmedAt < trusted)

    /** What is held, by whatever connection. */
    const confirm = (address: RunnerAddress, shards: ReadonlyArray<ShardId>) =>
      Effect.gen(function*() {
        const held = yield* storage.refresh(address, shards)
        const kept = new Set(held.map(String))
        const missing = shards.filter((id) => !kept.has(String(id)))
        // locks go with the connection that held them: what is free is still ours
        const again = missing.length > 0 && (yield* isTrusted) ? yield* storage.acquire(address, missing) : []
        if (isDoubtful || again.length > 0) {
          yield* Effect.logInfo(
            `the database is back: ${held.length + again.length} of ${shards.length} locks are held`
          )
        }
        yield* confirmed
        return [...held, ...again]
      }).pipe(Effect.timeout(patience))

    /** Takes locks again as soon as that is possible: until then they are free for anybody who may want them. */
    const recover = (address: RunnerAddress, shards: ReadonlyArray<ShardId>) =>
      Effect.whileLoop({
        while: () => isDoubtful,
        body: () => Effect.andThen(Effect.sleep(interval), Effect.ignoreCause(confirm(address, shards))),
        step: () => {}
      }).pipe(Effect.timeoutOption(trusted), Effect.asVoid)

    const refresh: Storage["refresh"] = (address, shardIds) => {
      const shards = [...shardIds]
      if (shards.length === 0) return storage.refresh(address, shards)
      return confirm(address, shards).pipe(
        Effect.catchCause((cause) =>
          Effect.gen(function*() {
            if (!(yield* isTrusted)) return yield* new PersistenceError({ cause: Cause.squash(cause) })
            if (!isDoubtful) {
              isDoubtful = true
              yield* Effect.logWarning("the database does not answer: sessions go on without it")
              yield* FiberHandle.run(recovery, recover(address, shards))
            }
            return shards
          })
        )
      )
    }
    const acquire: Storage["acquire"] = (address, shardIds) =>
      Effect.tap(storage.acquire(address, shardIds), () => isDoubtful ? Effect.void : confirmed)
    return { ...storage, acquire, refresh }
  })

export const layer = (
  trusted: number
): Layer.Layer<RunnerStorage.RunnerStorage, never, RunnerStorage.RunnerStorage> =>
  Layer.effect(
    RunnerStorage.RunnerStorage,
    Effect.flatMap(RunnerStorage.RunnerStorage, (storage) => make(storage, trusted))
  )
