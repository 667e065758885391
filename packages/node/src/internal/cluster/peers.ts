/**
 * Who is dead is found out by looking, not by waiting for a lease to run out: leases have to be long, for the database's
 * sake. A runner that was accused wrongly still has its locks, so that nobody can start its sessions a second time.
 */
import type * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { connect } from "node:net"

const probeTimeout = 400
const probeInterval = 300
/** More would be a square of them. */
const neighbours = 10

const probe = ({ host, port }: RunnerAddress.RunnerAddress): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const socket = connect({ host, port, timeout: probeTimeout })
    const found = (isAlive: boolean) => (): void => {
      socket.destroy()
      resume(Effect.succeed(isAlive))
    }
    socket.once("connect", found(true))
    socket.once("error", found(false))
    socket.once("timeout", found(false))
    return Effect.sync(() => socket.destroy())
  })

const isAlive = (address: RunnerAddress.RunnerAddress): Effect.Effect<boolean> =>
  Effect.flatMap(probe(address), (ok) => ok ? Effect.succeed(true) : Effect.delay(probe(address), 150))

export const layerHealth: Layer.Layer<RunnerHealth.RunnerHealth> = Layer.succeed(RunnerHealth.RunnerHealth, { isAlive })

/** Those that come after us in the order of addresses, around the end. */
export const watched = (
  self: string,
  runners: ReadonlyArray<RunnerAddress.RunnerAddress>
): ReadonlyArray<RunnerAddress.RunnerAddress> => {
  const others = runners.filter((address) => nameOf(address) !== self).toSorted((a, b) =>
    nameOf(a) < nameOf(b) ? -1 : 1
  )
  const at = others.findIndex((address) => nameOf(address) > self)
  return [...others.slice(Math.max(at, 0)), ...others.slice(0, Math.max(at, 0))].slice(0, neighbours)
}

export const nameOf = ({ host, port }: RunnerAddress.RunnerAddress): string => `${host}:${port}`

export const watch = (self: string): Layer.Layer<never, never, RunnerStorage.RunnerStorage> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const storage = yield* RunnerStorage.RunnerStorage
    const look = Effect.gen(function*() {
      const runners = yield* storage.getRunners
      const healthy = runners.flatMap(([{ address }, isHealthy]) => isHealthy ? [address] : [])
      yield* Effect.forEach(
        watched(self, healthy),
        (address) =>
          Effect.flatMap(isAlive(address), (alive) =>
            alive ? Effect.void : Effect.andThen(
              Effect.logWarning(`runner ${nameOf(address)} does not answer: it is out`),
              storage.setRunnerHealth(address, false)
            )),
        { concurrency: "unbounded", discard: true }
      )
    })
    yield* Effect.ignore(look).pipe(
      Effect.delay(probeInterval),
      Effect.forever,
      Effect.withTracerEnabled(false),
      Effect.forkScoped
    )
  }))
