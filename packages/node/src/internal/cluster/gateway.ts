/** What the sessions of the clients of one process share. */
import type { Sharding } from "effect/cluster/Sharding"
import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Host } from "./host.ts"

/**
 * This process reaches sessions: all layers of `Cluster` provide it.
 *
 * @internal
 * @category services
 * @since 0.1.0
 */
export class Gateway extends Context.Service<Gateway, {
  readonly sharding: Sharding["Service"]
  /** Sessions may be here, too. */
  readonly host: Host["Service"] | undefined
  /** Shard groups that have runners, those first that new sessions are for. */
  readonly groups: Effect.Effect<ReadonlyArray<string>>
  /** This group takes sessions (or does not, any more). */
  readonly prefer: (group: string, isWilling: boolean) => void
  /** Runners that are not known to be dead. */
  readonly isReady: () => boolean
  /** Milliseconds that a new session may take to be placed. */
  readonly attachTimeout: number
  /** Milliseconds after which a session that nobody takes up again is given up. */
  readonly giveUp: number
  readonly attached: Set<unknown>
}>()("@apipeline/node/Cluster/Gateway") {}
