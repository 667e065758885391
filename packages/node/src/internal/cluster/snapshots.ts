/** Where the state of sessions outlives their runners. */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"

export class Snapshots extends Context.Service<Snapshots, {
  /** What an older activation saves does not replace what a newer one has saved. */
  readonly save: (key: string, epoch: number, data: string) => Effect.Effect<void, SqlError>
  readonly load: (key: string) => Effect.Effect<Option.Option<string>, SqlError>
  /** A number for a new activation, greater than those before. */
  readonly nextEpoch: (key: string) => Effect.Effect<number, SqlError>
  /** Unless a newer activation has one. */
  readonly remove: (key: string, epoch: number) => Effect.Effect<void, SqlError>
  /** Removes what is older, and tells how many. */
  readonly purge: (age: Duration.Duration) => Effect.Effect<number, SqlError>
}>()("@apipeline/node/Cluster/Snapshots") {}

export const layerMemory: Layer.Layer<Snapshots> = Layer.sync(Snapshots, () => {
  const rows = new Map<string, { epoch: number; data: string | undefined; at: number }>()
  return {
    save: (key, epoch, data) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        if ((rows.get(key)?.epoch ?? 0) <= epoch) rows.set(key, { epoch, data, at })
      }),
    load: (key) => Effect.sync(() => Option.fromUndefinedOr(rows.get(key)?.data)),
    nextEpoch: (key) =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        const row = rows.get(key)
        const epoch = (row?.epoch ?? 0) + 1
        rows.set(key, { epoch, data: row?.data, at })
        return epoch
      }),
    remove: (key, epoch) =>
      Effect.sync(() => {
        if ((rows.get(key)?.epoch ?? 0) <= epoch) rows.delete(key)
      }),
    purge: (age) =>
      Effect.map(Clock.currentTimeMillis, (now) => {
        const old = [...rows].filter(([, { at }]) => at < now - Duration.toMillis(age))
        for (const [key] of old) rows.delete(key)
        return old.length
      })
  }
})

/** PostgreSQL. Makes its table when there is none. */
export const layerSql: Layer.Layer<Snapshots, SqlError, SqlClient.SqlClient> = Layer.effect(
  Snapshots,
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    // two processes that start at the same time may both try: the second finds it
    yield* sql`CREATE TABLE IF NOT EXISTS apipeline_snapshots (
      session TEXT PRIMARY KEY,
      epoch BIGINT NOT NULL,
      data TEXT,
      saved_at TIMESTAMPTZ NOT NULL DEFAULT NOW()
    )`.pipe(Effect.retry({ times: 3 }))
    return {
      save: (key, epoch, data) =>
        Effect.asVoid(
          sql`INSERT INTO apipeline_snapshots (session, epoch, data) VALUES (${key}, ${epoch}, ${data})
            ON CONFLICT (session) DO UPDATE SET epoch = EXCLUDED.epoch, data = EXCLUDED.data, saved_at = NOW()
            WHERE apipeline_snapshots.epoch <= EXCLUDED.epoch`
        ),
      load: (key) =>
        Effect.map(
          sql<{ data: string | null }>`SELECT data FROM apipeline_snapshots WHERE session = ${key}`,
          (rows) => Option.fromNullishOr(rows[0]?.data)
        ),
      nextEpoch: (key) =>
        Effect.map(
          sql<{ epoch: string | number }>`INSERT INTO apipeline_snapshots (session, epoch) VALUES (${key}, 1)
            ON CONFLICT (session) DO UPDATE SET epoch = apipeline_snapshots.epoch + 1 RETURNING epoch`,
          (rows) => Number(rows[0]!.epoch)
        ),
      remove: (key, epoch) =>
        Effect.asVoid(sql`DELETE FROM apipeline_snapshots WHERE session = ${key} AND epoch <= ${epoch}`),
      purge: (age) =>
        Effect.map(
          sql`DELETE FROM apipeline_snapshots
            WHERE saved_at < NOW() - ${Duration.toSeconds(age)} * INTERVAL '1 second' RETURNING session`,
          (rows) => rows.length
        )
    }
  })
)
