/**
 * One process of the cluster of `examples/cluster.ts`: a runner or a gateway, as the environment says.
 *
 *     ROLE=runner DATABASE_URL=postgres://... APIPELINE_HOST=127.0.0.1 APIPELINE_PORT=7700 APIPELINE_DATA_PORT=7701
 *     ROLE=gateway DATABASE_URL=postgres://... PORT=8765
 */
import { FrameSerializer, MessageProtocol } from "@apipeline/core"
import { Cluster, NodeRunner, WebSocketServer } from "@apipeline/node"
import { PgClient } from "@effect/sql-pg"
import { Config, Console, Effect, Layer, Logger, References } from "effect"
import { HttpRouter } from "effect/http"
import * as Bot from "./ClusterBot.ts"

const database = PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL"), maxConnections: Config.succeed(5) })

const sayReady = Layer.effectDiscard(Console.log("ready"))

const runner = Layer.unwrap(Effect.map(Cluster.runnerConfig, (options) =>
  sayReady.pipe(
    Layer.provide([Bot.Numbers.layer, Bot.Talking.layer]),
    Layer.provide(Cluster.layerRunner(options))
  )))

const sockets = WebSocketServer.layer(Cluster.serve(Bot.Numbers, {
  paths: {
    "/json": MessageProtocol.fromSerializer(FrameSerializer.makeJson()),
    "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat())
  },
  limits: { messagesPerSecond: 1000 }
}))

const talk = WebSocketServer.layer(Cluster.serve(Bot.Talking, {
  paths: { "/talk": MessageProtocol.fromSerializer(FrameSerializer.makePipecat()) }
}))

const gateway = Layer.unwrap(
  Effect.map(Config.Port("PORT"), (port) =>
    Layer.provide(
      sayReady,
      HttpRouter.serve(Layer.mergeAll(sockets, talk, Cluster.layerHealth), {
        disableLogger: true,
        disableListenLog: true
      })
    ).pipe(
      Layer.provide(WebSocketServer.layerHttp({ port })),
      Layer.provide(Cluster.layerGateway())
    ))
)

const main = Layer.unwrap(Effect.gen(function*() {
  const role = yield* Config.Literals(["runner", "gateway"], "ROLE")
  const level = yield* Config.Literals(["Debug", "Info", "Warn", "Error", "None"], "LOG").pipe(
    Config.withDefault("Warn" as const)
  )
  const process: Layer.Layer<never, unknown> = role === "runner"
    ? Layer.provide(runner, database)
    : Layer.provide(gateway, database)
  return process.pipe(
    Layer.provide(Logger.layer([Logger.consoleLogFmt])),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, level))
  )
}))

NodeRunner.runMain(Layer.launch(main))
