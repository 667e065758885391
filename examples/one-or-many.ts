/**
 * The same sessions first in one process, then in a cluster: only the layer is another one.
 *
 *     node examples/one-or-many.ts
 *
 * The cluster is one runner, in this process to keep it short, on a PostgreSQL of its own; `examples/cluster.ts` has more.
 */
import { Frame, Processor } from "@apipeline/core"
import { Cluster, NodeRunner } from "@apipeline/node"
import { PgClient } from "@effect/sql-pg"
import { Console, Effect, Layer, Logger, Option, Redacted, Stream } from "effect"
import * as Postgres from "./support/Postgres.ts"

const shout = Processor.sync("Shout", {
  TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
})

const Shouting = Cluster.session("shouting", { pipeline: shout })

const program = Effect.gen(function*() {
  const remote = yield* Cluster.connect(Shouting)
  for (const text of ["hello", "is anybody there?"]) yield* remote.send(Frame.TextFrame.make({ text }))
  const answers = yield* Stream.runCollect(Stream.take(remote.received, 2))
  for (const answer of answers) {
    if (answer._tag === "Frame" && Frame.TextFrame.is(answer.frame)) yield* Console.log(`  ${answer.frame.text}`)
  }
}).pipe(Effect.scoped)

const inOneProcess = Shouting.layer.pipe(Layer.provideMerge(Cluster.layerSingle()))

const inACluster = (url: string, port: number, dataPort: number) =>
  Shouting.layer.pipe(
    Layer.provideMerge(Cluster.layerRunner({ host: "127.0.0.1", port, dataPort })),
    Layer.provide(PgClient.layer({ url: Redacted.make(url), maxConnections: 5 }))
  )

const main = Effect.gen(function*() {
  yield* Console.log("in one process:")
  yield* Effect.provide(program, inOneProcess)

  const bin = Postgres.find()
  if (Option.isNone(bin)) return yield* Console.log("in a cluster: there is no PostgreSQL here")
  const database = yield* Postgres.make(bin.value)
  const [port, dataPort] = yield* Postgres.freePorts(2)
  yield* Console.log("in a cluster:")
  yield* Effect.provide(program, inACluster(database.url, port!, dataPort!))
}).pipe(Effect.scoped, Effect.provide(Logger.layer([])))

NodeRunner.runMain(main)
