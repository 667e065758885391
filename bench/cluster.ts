/**
 * `npm run bench:cluster`: what a gateway and a runner cost, by what the kernel says of their processes: CPU per frame, and
 * memory per session. Needs a PostgreSQL; Linux.
 */
import { Frame, FrameSerializer } from "@apipeline/core"
import { NodeRunner } from "@apipeline/node"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { WebSocket } from "@effect/platform-node/NodeWS"
import { Console, Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import * as Processes from "../examples/support/ClusterProcesses.ts"
import * as Postgres from "../examples/support/Postgres.ts"

const serializer = FrameSerializer.makePipecat()
/** 20 ms at 16 kHz, and in them when it was sent. */
const sound = (now: number): Uint8Array => {
  const audio = new Uint8Array(640)
  new DataView(audio.buffer).setFloat64(0, now)
  return serializer.encodeUnsafe(Frame.AudioRawFrame.make({ audio, sampleRate: 16_000, numChannels: 1 }))
}
const sentAt = (message: Uint8Array): number => {
  const { audio } = serializer.decodeUnsafe(message) as Frame.AudioRawFrame
  return new DataView(audio.buffer, audio.byteOffset).getFloat64(0)
}
const framesPerSecond = 50

interface Talker {
  readonly socket: WebSocket
  sent: number
  received: number
}

const times: Array<number> = []

const connect = (url: string) =>
  Effect.acquireRelease(
    Effect.callback<Talker, Error>((resume) => {
      const socket = new WebSocket(url)
      const talker: Talker = { socket, sent: 0, received: 0 }
      socket.once("open", () => resume(Effect.succeed(talker)))
      socket.once("error", (error) => resume(Effect.fail(error)))
      socket.on("message", (message) => {
        talker.received++
        times.push(performance.now() - sentAt(message as Buffer))
      })
    }),
    ({ socket }) => Effect.sync(() => socket.terminate())
  )

const connectAll = (port: number, howMany: number) =>
  Effect.forEach(Array.from({ length: howMany }), () => connect(`ws://127.0.0.1:${port}/ws`), { concurrency: 5 })

/** Microseconds of CPU that a process has used so far: the kernel counts in hundredths of a second. */
const cpuOf = ({ pid }: Processes.Process): number => {
  const fields = fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}

/** KiB that are resident. */
const memoryOf = ({ pid }: Processes.Process): number =>
  Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))![1])

/** All of them talk at their own phase, for so long. */
const talk = (talkers: ReadonlyArray<Talker>, millis: number) =>
  Effect.gen(function*() {
    const interval = 1000 / framesPerSecond
    const until = performance.now() + millis
    const due = talkers.map((_, i) => performance.now() + interval * i / talkers.length)
    while (performance.now() < until) {
      const now = performance.now()
      for (let i = 0; i < talkers.length; i++) {
        while (due[i]! <= now) {
          const talker = talkers[i]!
          talker.socket.send(sound(now))
          talker.sent++
          due[i]! += interval
        }
      }
      yield* Effect.sleep(2)
    }
  })

const quantile = (numbers: ReadonlyArray<number>, q: number): number =>
  numbers.toSorted((a, b) => a - b)[Math.floor(q * (numbers.length - 1))] ?? NaN

interface Row {
  readonly sessions: number
  readonly carried: number
  readonly offered: number
  readonly gateway: number
  readonly runner: number
  readonly p50: number
  readonly p99: number
}

const measure = Effect.fnUntraced(function*(
  gateway: Processes.Process,
  runner: Processes.Process,
  sessions: number,
  seconds: number
) {
  const talkers = yield* connectAll(gateway.port, sessions)
  // the compiler takes its time
  yield* talk(talkers, 4000)
  times.length = 0
  for (const talker of talkers) talker.sent = talker.received = 0
  const before = [cpuOf(gateway), cpuOf(runner)] as const
  yield* talk(talkers, seconds * 1000)
  const used = [cpuOf(gateway) - before[0], cpuOf(runner) - before[1]] as const
  const received = talkers.reduce((sum, { received }) => sum + received, 0)
  const sent = talkers.reduce((sum, { sent }) => sum + sent, 0)
  // each sound passes twice, there and back
  const row: Row = {
    sessions,
    offered: sent / seconds,
    carried: received / seconds,
    gateway: used[0] / (sent + received),
    runner: used[1] / (sent + received),
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99)
  }
  return row
})

const idle = Effect.fnUntraced(function*(gateway: Processes.Process, runner: Processes.Process, sessions: number) {
  yield* Effect.sleep("3 seconds")
  const before = [memoryOf(gateway), memoryOf(runner)] as const
  yield* connectAll(gateway.port, sessions)
  yield* Effect.sleep("3 seconds")
  return {
    gateway: (memoryOf(gateway) - before[0]) / sessions,
    runner: (memoryOf(runner) - before[1]) / sessions,
    before
  }
})

const report = (
  rows: ReadonlyArray<Row>,
  memory: Effect.Success<ReturnType<typeof idle>>,
  idleSessions: number
): string => {
  const cells = rows.map((row) => {
    const perSession = 2 * framesPerSecond * (row.gateway + row.runner) / 1e6
    return `| ${row.sessions} | ${Math.round(row.carried)} of ${Math.round(row.offered)} | ${
      row.gateway.toFixed(0)
    } | ` +
      `${row.runner.toFixed(0)} | ${(100 * perSession).toFixed(2)} % | ${Math.floor(1 / perSession)} | ` +
      `${row.p50.toFixed(1)} / ${row.p99.toFixed(1)} |`
  })
  return [
    "# What a cluster costs",
    "",
    `\`npm run bench:cluster\`, Node ${process.versions.node}, ${os.availableParallelism()} cores (${
      os.cpus()[0]?.model ?? "?"
    }), ` +
    "shared with whatever else ran. One gateway, one runner, clients of pipecat's protocol; sounds of 20 ms (640 bytes), " +
    `${framesPerSecond} a second each way.`,
    "",
    "| sessions | sounds back / s | gateway, CPU µs / frame | runner, CPU µs / frame | of a core, per session | sessions per core | there and back, p50 / p99 ms |",
    "| --- | --- | --- | --- | --- | --- | --- |",
    ...cells,
    "",
    `Memory (RSS) per idle session, of ${idleSessions}: gateway ${memory.gateway.toFixed(0)} KiB, runner ${
      memory.runner.toFixed(0)
    } KiB; ` +
    `before: gateway ${Math.round(memory.before[0] / 1024)} MiB, runner ${Math.round(memory.before[1] / 1024)} MiB.`,
    ""
  ].join("\n")
}

const main = Command.make(
  "bench:cluster",
  {
    seconds: Flag.Int("seconds").pipe(Flag.withDescription("How long each load is measured"), Flag.withDefault(10)),
    sessions: Flag.String("sessions").pipe(Flag.withDescription("Loads, with commas"), Flag.withDefault("10,50,100")),
    idle: Flag.Int("idle").pipe(Flag.withDescription("Sessions that say nothing"), Flag.withDefault(300))
  },
  Effect.fn(function*({ idle: idleSessions, seconds, sessions }) {
    const bin = Postgres.find()
    if (Option.isNone(bin)) return yield* Console.log("There is no PostgreSQL here (apt-get install postgresql)")
    const database = yield* Postgres.make(bin.value)
    const env = { APIPELINE_SESSIONS: "5000", APIPELINE_LAG: "10 seconds" }
    const [runner, gateway] = yield* Effect.all([
      Processes.startRunner(database, env),
      Processes.startGateway(database)
    ], { concurrency: "unbounded" })
    yield* Effect.sleep("2 seconds")
    // the first sessions bring the code with them
    yield* Effect.scoped(Effect.andThen(connectAll(gateway.port, 20), Effect.sleep("1 second")))
    const memory = yield* Effect.scoped(idle(gateway, runner, idleSessions))
    const rows: Array<Row> = []
    for (const load of sessions.split(",").map(Number)) {
      rows.push(yield* Effect.scoped(measure(gateway, runner, load, seconds)))
      yield* Effect.sleep("1 second")
    }
    const text = report(rows, memory, idleSessions)
    yield* Console.log(text)
    yield* Effect.sync(() => fs.writeFileSync(path.join(import.meta.dirname, "results", "cluster.md"), text))
  }, Effect.scoped)
).pipe(Command.withDescription("Measures a gateway and a runner"))

main.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRunner.runMain)
