/** Nobody else ever deletes messages that were answered, or snapshots of sessions whose end nobody has seen. */
import type { Sharding } from "effect/cluster/Sharding"
import * as Singleton from "effect/cluster/Singleton"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as SqlClient from "effect/sql/SqlClient"
import { Snapshots } from "./snapshots.ts"

const interval = "10 minutes"

/** Of Effect Cluster's snowflakes: 2025-01-01. */
const epoch = 1_735_689_600_000

export const sweep = (sql: SqlClient.SqlClient, snapshots: Snapshots["Service"], keep: Duration.Duration) =>
  Effect.gen(function*() {
    // an id says when it was given: milliseconds since 2025, above 22 bits of other things
    const millis = Duration.toMillis(keep)
    const before = sql`((EXTRACT(EPOCH FROM NOW()) * 1000)::BIGINT - ${epoch} - ${millis}::BIGINT) << 22`
    yield* sql`DELETE FROM cluster_replies WHERE request_id IN
      (SELECT id FROM cluster_messages WHERE processed AND id < ${before})`
    const messages = yield* sql`DELETE FROM cluster_messages WHERE processed AND id < ${before} RETURNING id`
    return { messages: messages.length, old: yield* snapshots.purge(keep) }
  })

/** One for each generation. */
export const layer = (
  keep: Duration.Duration,
  group: string
): Layer.Layer<never, never, Sharding | SqlClient.SqlClient | Snapshots> =>
  Singleton.make(
    "apipeline/janitor",
    Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const snapshots = yield* Snapshots
      yield* sweep(sql, snapshots, keep).pipe(
        Effect.flatMap(({ messages, old }) =>
          messages + old === 0 ? Effect.void : Effect.logInfo(`deleted ${messages} messages and ${old} snapshots`)
        ),
        Effect.catchCause((cause) => Effect.logWarning("nothing was deleted", cause)),
        Effect.andThen(Effect.sleep(interval)),
        Effect.forever
      )
    }),
    { shardGroup: group }
  )
