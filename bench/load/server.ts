/** The server of a load test: `server.ts <port>`, in a process of its own. Every session hears itself. */
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as MessageProtocol from "@apipeline/core/MessageProtocol"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import * as Vad from "@apipeline/core/Vad"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import { UserStartedSpeakingFrame, UserStoppedSpeakingFrame } from "@apipeline/core/VoiceFrames"
import * as WebSocketServer from "@apipeline/node/WebSocketServer"
import { Deferred, Effect, Layer, References } from "effect"
import { HttpRouter } from "effect/http"
import { readFileSync } from "node:fs"
import { monitorEventLoopDelay, performance } from "node:perf_hooks"
import type { FromServer, Load, Memory, Order } from "./messages.ts"
import { frameMillis, sampleRate } from "./speech.ts"

const tell = (message: FromServer): void => void process.send!(message)

const memory = (): Memory => {
  // twice: what the first one finds to have finalizers is given back by the second
  globalThis.gc!()
  globalThis.gc!()
  const { external, heapUsed, rss } = process.memoryUsage()
  return { rss, held: heapUsed + external }
}

/** Nanoseconds that the main thread has waited for a core. */
const queued = (): number => {
  try {
    return Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, "utf8").split(" ")[1])
  } catch {
    return NaN
  }
}

const turns = { started: 0, stopped: 0 }

const makeTurns = () =>
  Processor.sync("Turns", {
    UserStartedSpeakingFrame: (frame, push) => {
      turns.started++
      push(frame)
    },
    UserStoppedSpeakingFrame: (frame, push) => {
      turns.stopped++
      push(frame)
    }
  }, { frames: [UserStartedSpeakingFrame, UserStoppedSpeakingFrame] })

const sessions = WebSocketServer.layer({
  paths: { "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat()) },
  limits: { clients: 100_000 },
  transport: {
    // nothing is ever so late that the send clock would hold it back: what is measured is added by the machine
    output: { chunk: frameMillis, lead: "1 hour" }
  },
  session: (transport) =>
    PipelineTask.make(Pipeline.make(transport.input, Vad.make({ keepAudio: false }), makeTurns(), transport.output), {
      audioInSampleRate: sampleRate,
      audioOutSampleRate: sampleRate
    })
}).pipe(Layer.provide(VoiceActivity.layerEnergy()))

/** Steps of the clock that looks how late the event loop is, in milliseconds. */
const resolution = 2

const program = Effect.gen(function*() {
  const server = yield* WebSocketServer.WebSocketServer
  const over = yield* Deferred.make<void>()
  const lag = monitorEventLoopDelay({ resolution })
  let cpu = process.cpuUsage()
  let since = performance.now()
  let utilization = performance.eventLoopUtilization()
  let waiting = queued()
  const clients = () => Effect.runSync(server.clients).length

  const load = (): Load => {
    const millis = performance.now() - since
    const { system, user } = process.cpuUsage(cpu)
    const waited = (queued() - waiting) / 1e6 / millis
    lag.disable()
    const late = (nanos: number): number => Math.max(0, nanos / 1e6 - resolution)
    return {
      cpu: (system + user) / 1000 / millis,
      utilization: performance.eventLoopUtilization(utilization).utilization,
      waited: Number.isNaN(waited) ? undefined : waited,
      lag: { p50: late(lag.percentile(50)), p99: late(lag.percentile(99)), max: late(lag.max) },
      sessions: clients(),
      // last, it takes time
      memory: memory()
    }
  }

  process.on("message", (order: Order) => {
    switch (order.do) {
      case "begin": {
        lag.reset()
        lag.enable()
        cpu = process.cpuUsage()
        since = performance.now()
        utilization = performance.eventLoopUtilization()
        waiting = queued()
        return
      }
      case "end":
        return tell({ is: "busy", load: load() })
      case "close":
        return tell({ is: "gone", clients: clients(), turns, memory: memory() })
    }
  })
  process.on("disconnect", () => Deferred.doneUnsafe(over, Effect.void))
  tell({ is: "listening", memory: memory() })
  yield* Deferred.await(over)
})

const http = HttpRouter.serve(sessions, { disableLogger: true, disableListenLog: true }).pipe(
  Layer.provide(WebSocketServer.layerHttp({ port: Number(process.argv[2]) }))
)

await Effect.runPromise(program.pipe(
  Effect.provide(http),
  Effect.provideService(References.MinimumLogLevel, "Error")
))
process.exit(0)
