/** Sessions as entities of Effect Cluster: it says which runner has which, and that no other does. */
import * as Entity from "effect/cluster/Entity"
import type { Sharding } from "effect/cluster/Sharding"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Rpc from "effect/rpc/Rpc"
import type * as Scope from "effect/Scope"
import type { Host } from "./host.ts"
import * as Hosted from "./hosted.ts"
import type { SessionEntity } from "./protocol.ts"
import type { Spec } from "./spec.ts"

export const layer = <R>(
  entity: SessionEntity,
  spec: Spec<R>
): Layer.Layer<never, never, Host | Sharding | Exclude<R, Scope.Scope>> =>
  entity.toLayer(
    Effect.gen(function*() {
      const { entityId } = yield* Entity.CurrentAddress
      const session = yield* Hosted.make(spec, entityId)
      return entity.of({
        Attach: ({ payload }) => Rpc.fork(session.attach(payload)),
        Deliver: ({ payload }) => {
          const frame = spec.serializer.decodeResult(payload.frame)
          // what cannot be read now never can: there is no use in trying again
          if (Result.isFailure(frame)) return Effect.die(frame.failure)
          return Effect.map(session.deliver(frame.success), (taken) => taken ? "taken" as const : "no session" as const)
        }
      })
    }),
    {
      // what nobody is attached to goes, but not before its pipeline has been told
      maxIdleTime: spec.orphanTimeout + 10_000,
      // one poisoned message must not take the pipeline with it
      disableFatalDefects: true
    }
  ) as Layer.Layer<never, never, Host | Sharding | Exclude<R, Scope.Scope>>
