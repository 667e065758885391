/**
 * Sixty sessions on three runners; one runner is killed, another drained, and the sessions tell what they have noticed.
 *
 *     npm run cluster                    about half a minute
 *     npm run cluster -- --sessions 20   fewer
 *     npm run cluster -- --single        one process and no database, even where there is a PostgreSQL
 *
 * The session is in `support/ClusterBot.ts`, a process of the cluster in `support/ClusterProcess.ts`.
 */
import { FrameSerializer, MessageProtocol } from "@apipeline/core"
import { Cluster, NodeRunner, WebSocketServer } from "@apipeline/node"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, Layer, Logger, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { HttpRouter } from "effect/http"
import * as Bot from "./support/ClusterBot.ts"
import * as Client from "./support/ClusterClient.ts"
import * as Processes from "./support/ClusterProcesses.ts"
import * as Postgres from "./support/Postgres.ts"

const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((a, b) => a + b, 0)

const quantile = (numbers: ReadonlyArray<number>, q: number): string =>
  `${Math.round(numbers.toSorted((a, b) => a - b)[Math.floor(q * (numbers.length - 1))] ?? 0)} ms`

/** Lets something happen, and tells what the sessions have noticed of it. */
const notice = <E, R>(clients: ReadonlyArray<Client.Client>, what: string, happens: Effect.Effect<unknown, E, R>) =>
  Effect.gen(function*() {
    const before = clients.map(({ moves, sounds, soundsSent }) => ({ moves: moves.length, sounds, soundsSent }))
    for (const client of clients) client.silence = 0
    yield* happens
    yield* Effect.sleep("4 seconds")
    const moved = clients.filter(({ moves }, i) => moves.length > before[i]!.moves)
    const others = clients.filter(({ moves }, i) => moves.length === before[i]!.moves)
    const faults = clients.map(Client.faults)
    const lost = sum(clients.map(({ soundsSent }, i) => soundsSent - before[i]!.soundsSent)) -
      sum(clients.map(({ sounds }, i) => sounds - before[i]!.sounds))
    yield* Console.log(`${what}`)
    if (moved.length > 0) {
      const silences = moved.map(({ silence }) => silence)
      yield* Console.log(
        `  ${moved.length} sessions moved: silent for ${quantile(silences, 0.5)}, ${quantile(silences, 1)} at most`
      )
    }
    if (others.length > 0) {
      yield* Console.log(
        `  ${others.length} stayed: ${quantile(others.map(({ silence }) => silence), 1)} between two answers at most`
      )
    }
    yield* Console.log(
      `  numbers lost: ${sum(clients.map(Client.holes))}, said twice: ${sum(faults.map(({ doubled }) => doubled))}, ` +
        `out of order: ${sum(faults.map(({ disordered }) => disordered))}; sounds lost or under way: ${
          Math.max(lost, 0)
        }`
    )
  })

const connectAll = (port: number, howMany: number) =>
  Effect.gen(function*() {
    const clients = yield* Effect.forEach(
      Array.from({ length: howMany }),
      () => Client.connect(`ws://127.0.0.1:${port}/json`),
      { concurrency: 5 }
    )
    yield* Console.log(`${howMany} sessions, each says a number and a sound five times a second and hears them again`)
    yield* Effect.forkScoped(Client.talk(clients, 200))
    return clients
  })

const memoryOf = (clients: ReadonlyArray<Client.Client>) =>
  Effect.gen(function*() {
    for (const client of clients) client.say("how many?")
    yield* Effect.sleep("1 second")
    const known = clients.filter(({ others }) => Number(others.at(-1)?.split(": ")[1]) > 0).length
    yield* Console.log(`${known} of ${clients.length} sessions still know how many numbers they were told`)
  })

const manyProcesses = Effect.fnUntraced(function*(bin: string, sessions: number) {
  yield* Console.log("PostgreSQL, three runners and a gateway are started")
  const database = yield* Postgres.make(bin)
  const [first, second, third, gateway] = yield* Effect.all([
    Processes.startRunner(database),
    Processes.startRunner(database),
    Processes.startRunner(database),
    Processes.startGateway(database)
  ], { concurrency: "unbounded" })
  // until they have found each other: sessions that come earlier move
  yield* Effect.sleep("3 seconds")
  const clients = yield* connectAll(gateway.port, sessions)
  yield* Effect.sleep("1 second")
  yield* notice(clients, "for a while, nothing happens", Effect.void)
  yield* notice(clients, `runner ${first.name} is killed (-9)`, first.kill("SIGKILL"))
  yield* notice(
    clients,
    `runner ${second.name} is told to end, and drains`,
    Effect.andThen(second.kill("SIGTERM"), Effect.timeout(second.exited, "20 seconds"))
  )
  yield* memoryOf(clients)
  yield* Console.log(`all of them are at ${third.name} now`)
})

/** The same sessions in this process: only the layer is another. */
const oneProcess = Effect.fnUntraced(function*(sessions: number) {
  const [port] = yield* Postgres.freePorts(1)
  const sockets = WebSocketServer.layer(Cluster.serve(Bot.Numbers, {
    paths: { "/json": MessageProtocol.fromSerializer(FrameSerializer.makeJson()) }
  }))
  const server = HttpRouter.serve(sockets, { disableLogger: true, disableListenLog: true }).pipe(
    Layer.provide(WebSocketServer.layerHttp({ port: port! })),
    Layer.merge(Bot.Numbers.layer),
    Layer.provide(Cluster.layerSingle()),
    Layer.provide(Logger.layer([]))
  )
  yield* Layer.build(server)
  const clients = yield* connectAll(port!, sessions)
  yield* Effect.sleep("1 second")
  yield* notice(clients, "for a while, nothing happens", Effect.void)
  yield* memoryOf(clients)
  yield* Console.log("nobody was killed: with one process there is nobody to go on")
})

const main = Command.make(
  "cluster",
  {
    sessions: Flag.Int("sessions").pipe(Flag.withDescription("How many clients there are"), Flag.withDefault(60)),
    single: Flag.Boolean("single").pipe(Flag.withDescription("One process, no database"), Flag.withDefault(false))
  },
  Effect.fn(function*({ sessions, single }) {
    const bin = single ? Option.none<string>() : Postgres.find()
    if (Option.isSome(bin)) return yield* manyProcesses(bin.value, sessions)
    yield* Console.log(
      single ? "One process, as asked for" : "There is no PostgreSQL here (apt-get install postgresql): one process"
    )
    yield* oneProcess(sessions)
  }, Effect.scoped)
).pipe(Command.withDescription("Shows what sessions notice when runners die"))

main.pipe(
  Command.run({ version: "0.1.0" }),
  Effect.timeout("3 minutes"),
  Effect.provide(NodeServices.layer),
  NodeRunner.runMain
)
