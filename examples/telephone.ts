/** A server for telephone calls, and a call as Twilio makes one: the bot answers each key with its tone. */
import { Dtmf, Frame, Pcm, Pipeline, PipelineTask, Processor, VoiceFrames } from "@apipeline/core"
import { TelephoneServer, WebSocketServer } from "@apipeline/node"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Logger } from "effect"
import { HttpRouter } from "effect/http"
import { Socket } from "effect/socket"

const port = 28_766

const makeKeys = (sampleRate: number) =>
  Processor.effect("Keys", {
    InputDtmfFrame: ({ key }, { push }) => {
      const audio = Pcm.fromInt16(Dtmf.tone(key, { sampleRate, duration: 120, gap: 0 }))
      return Effect.andThen(
        Console.log(`the bot is told ${key}`),
        push(Frame.AudioRawFrame.make({ audio, sampleRate, numChannels: 1 }))
      )
    },
    // what the caller says is not for the caller
    AudioRawFrame: () => Effect.void
  }, { frames: [VoiceFrames.InputDtmfFrame] })

const Server = HttpRouter.serve(
  TelephoneServer.layer({
    path: "/calls",
    session: ({ call, transport }) =>
      Effect.gen(function*() {
        yield* Console.log(`a call of ${call.vendor} from ${call.parameters["from"]}`)
        return yield* PipelineTask.make(Pipeline.make(transport.input, makeKeys(call.sampleRate), transport.output))
      })
  }),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provide(WebSocketServer.layerHttp({ port })))

const streamSid = "MZ1"
const silence = Buffer.alloc(160, 0xff).toString("base64")
const recorded = [
  { event: "connected", protocol: "Call", version: "1.0.0" },
  { event: "start", streamSid, start: { streamSid, callSid: "CA1", customParameters: { from: "+15551234" } } },
  { event: "media", streamSid, media: { track: "inbound", payload: silence } },
  { event: "dtmf", streamSid, dtmf: { track: "inbound_track", digit: "7" } }
]

const call = Effect.gen(function*() {
  const socket = yield* Socket.makeWebSocket(`ws://127.0.0.1:${port}/calls`)
  const reader = yield* socket.reader
  const writer = yield* socket.writer
  for (const message of recorded) yield* writer.write(JSON.stringify(message))
  let milliseconds = 0
  let last: any
  do {
    for (const message of yield* reader.pull) {
      last = JSON.parse(String(message))
      if (last.event === "media") milliseconds += Buffer.from(last.media.payload, "base64").length / 8
    }
  } while (last.event !== "mark")
  // when all of it has been played, the mark comes back
  yield* writer.write(JSON.stringify(last))
  yield* Console.log(`the caller hears ${milliseconds} ms`)
  yield* writer.write(JSON.stringify({ event: "stop", streamSid, stop: { callSid: "CA1" } }))
})

const program = call.pipe(
  Effect.scoped,
  Effect.provide([Server, Socket.layerWebSocketConstructorGlobal]),
  Effect.provide(Logger.layer([]))
)

NodeRuntime.runMain(program)
