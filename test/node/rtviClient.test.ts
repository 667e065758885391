/**
 * The official clients of pipecat, as they come from the registry, against our server: no browser, real sockets, real
 * time.
 */
import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as MessageProtocol from "@apipeline/core/MessageProtocol"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import * as Rtvi from "@apipeline/core/Rtvi"
import * as RtviFrames from "@apipeline/core/RtviFrames"
import * as RtviMessage from "@apipeline/core/RtviMessage"
import type * as Transport from "@apipeline/core/Transport"
import * as Voice from "@apipeline/core/VoiceFrames"
import * as Cluster from "@apipeline/node/Cluster"
import * as WebSocketServer from "@apipeline/node/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer, Logger, Schedule } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { makeClient, send, silence, until } from "../utils/pipecat.ts"

const { deepStrictEqual, strictEqual } = assert

silence()

// ---------------------------------------------------------------------------------------------------------------------
// the bot
// ---------------------------------------------------------------------------------------------------------------------

const timestamp = "2025-01-01T00:00:00.000Z"

/** 20 ms of a tone at 24 kHz, which is what the client plays. */
const tone = (): Frame.AudioRawFrame => {
  const samples = Int16Array.from({ length: 480 }, (_, i) => 9000 * Math.sin(2 * Math.PI * 440 * i / 24_000))
  return Frame.AudioRawFrame.make({ audio: new Uint8Array(samples.buffer), sampleRate: 24_000, numChannels: 1 })
}

/** What the pipeline hears. */
interface Heard {
  readonly frames: Array<string>
  samples: number
}

/** Understands a few words. */
const makeBot = (heard: Heard) =>
  Processor.queued(
    "Bot",
    Effect.gen(function*() {
      const result = yield* Deferred.make<unknown>()
      let segmentId = 0
      const note = (line: string) => Effect.sync(() => void heard.frames.push(line))
      const speak = (
        { push }: Processor.ProcessorContext,
        text: string,
        millis: number,
        skipTts: boolean | undefined
      ) =>
        Effect.gen(function*() {
          yield* push(Voice.LlmResponseStartFrame.make())
          yield* push(Voice.LlmTextFrame.make({ text }))
          yield* push(Voice.LlmResponseEndFrame.make())
          const segment = { text, aggregatedBy: "sentence", segmentId: ++segmentId }
          if (skipTts === true) return yield* push(Voice.AggregatedTextFrame.make({ ...segment, willBeSpoken: false }))
          yield* push(Voice.TtsStartedFrame.make())
          yield* push(Voice.AggregatedTextFrame.make({ ...segment, willBeSpoken: true }))
          const words = text.split(" ")
          for (const word of words) {
            for (let at = 0; at < millis / words.length; at += 20) yield* push(tone())
            yield* push(Voice.TtsTextFrame.make({ text: word, segmentId }))
          }
          yield* push(Voice.TtsStoppedFrame.make())
        })
      const listen = ({ push }: Processor.ProcessorContext) =>
        Effect.gen(function*() {
          yield* push(Voice.UserMuteStartedFrame.make())
          yield* push(Voice.UserMuteStoppedFrame.make())
          yield* push(Voice.UserStartedSpeakingFrame.make())
          yield* push(Voice.InterimTranscriptionFrame.make({ text: "he", userId: "ann", timestamp }))
          yield* push(Voice.UserStoppedSpeakingFrame.make())
          yield* push(Voice.TranscriptionFrame.make({ text: "hello", userId: "ann", timestamp }))
          yield* push(Voice.LlmContextFrame.make({ messages: [{ role: "user", content: "hello" }] }))
        })
      const call = ({ push }: Processor.ProcessorContext) =>
        Effect.gen(function*() {
          yield* push(Voice.FunctionCallsStartedFrame.make({ callIds: ["call-1"], functionNames: ["get_color"] }))
          const call = { callId: "call-1", functionName: "get_color", arguments: { of: "sky" } }
          yield* push(Voice.FunctionCallInProgressFrame.make(call))
          return JSON.stringify(yield* Deferred.await(result))
        })
      return {
        metrics: true,
        AudioRawFrame: (frame: Frame.AudioRawFrame) =>
          Effect.sync(() => {
            heard.samples += frame.audio.length / 2
          }),
        LlmMessagesAppendFrame: (frame: Voice.LlmMessagesAppendFrame, context: Processor.ProcessorContext) => {
          const content = String(frame.messages[0]!.content)
          if (!frame.runLlm) return note(`append ${content}`)
          if (content === "fail") return Effect.fail(new Error("no route"))
          if (content === "listen") return listen(context)
          const text = content === "tool" ? call(context) : Effect.succeed(content)
          return Effect.flatMap(text, (text) => speak(context, text, content === "long" ? 5000 : 400, frame.skipTts))
        },
        FunctionCallResultFrame: (frame: Voice.FunctionCallResultFrame, { push }: Processor.ProcessorContext) =>
          Effect.andThen(Deferred.succeed(result, frame.result), push(frame)),
        InputDtmfFrame: ({ key }: Voice.InputDtmfFrame) => note(`key ${key}`),
        RtviUiEventFrame: ({ event, payload }: RtviFrames.RtviUiEventFrame) =>
          note(`event ${event} ${JSON.stringify(payload)}`),
        RtviUiSnapshotFrame: ({ tree }: RtviFrames.RtviUiSnapshotFrame) => note(`tree ${JSON.stringify(tree)}`),
        RtviUiCancelJobGroupFrame: ({ jobId, reason }: RtviFrames.RtviUiCancelJobGroupFrame) =>
          note(`cancel ${jobId} ${reason}`)
      }
    }),
    {
      frames: [
        Voice.FunctionCallResultFrame,
        Voice.InputDtmfFrame,
        Voice.LlmMessagesAppendFrame,
        RtviFrames.RtviUiCancelJobGroupFrame,
        RtviFrames.RtviUiEventFrame,
        RtviFrames.RtviUiSnapshotFrame
      ]
    }
  )

interface Session {
  readonly heard: Heard
  readonly rtvi: Rtvi.Rtvi
  readonly task: PipelineTask.PipelineTask<unknown>
}

/** Where the pipelines are: in the server, or wherever a cluster has put them. */
type Place = "server" | "cluster"

/** Serves the bot on `/ws` and, as plain JSON, on `/json`; `POST /start` tells a client where. */
const serve = Effect.fnUntraced(function*(place: Place) {
  const sessions: Array<Session> = []
  const session = Effect.fnUntraced(function*(transport: Transport.Transport) {
    const heard: Heard = { frames: [], samples: 0 }
    const rtvi = yield* Rtvi.make({
      about: { library: "test" },
      functionCalls: { get_color: "full" },
      onClientMessage: ({ d, t }) => t === "echo" ? Effect.succeed(d) : Effect.fail(`unknown request ${t}`)
    })
    const pipeline = Pipeline.make(transport.input, rtvi.processor, makeBot(heard), transport.output)
    const task = yield* PipelineTask.make(pipeline, {
      observers: [rtvi.observer],
      audioOutSampleRate: 24_000,
      enableMetrics: true
    })
    sessions.push({ heard, rtvi, task })
    return task
  })
  const paths = {
    "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat()),
    "/json": MessageProtocol.fromSerializer(FrameSerializer.makeMessageJson())
  }
  const Bot = Cluster.session("bot", { pipeline: session })
  const sockets = place === "server" ? WebSocketServer.layer({ paths, session }) : WebSocketServer.layer(
    Cluster.serve(Bot, { paths })
  ).pipe(
    Layer.merge(Bot.layer),
    Layer.provide(Cluster.layerSingle())
  )
  const start = HttpRouter.add(
    "POST",
    "/start",
    Effect.map(
      HttpServerRequest.HttpServerRequest,
      ({ headers }) => HttpServerResponse.jsonUnsafe({ wsUrl: `ws://${headers["host"]}/ws`, token: "a b" })
    )
  )
  const attempt = Effect.suspend(() => {
    // Below the range that systems give to clients.
    const port = 20_000 + Math.floor(Math.random() * 11_999)
    const layer = HttpRouter.serve(Layer.merge(sockets, start), { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provide(WebSocketServer.layerHttp({ port })),
      Layer.provide(Logger.layer([]))
    )
    return Effect.as(Layer.build(layer), port)
  })
  const port = yield* Effect.retry(attempt, Schedule.recurs(10))
  return { http: `http://127.0.0.1:${port}`, ws: `ws://127.0.0.1:${port}`, sessions }
})

// ---------------------------------------------------------------------------------------------------------------------
// the client
// ---------------------------------------------------------------------------------------------------------------------

/** A client that is ready. */
const connect = Effect.fnUntraced(function*(place: Place) {
  const server = yield* serve(place)
  const made = yield* makeClient
  const ready = yield* Effect.promise(() => made.client.startBotAndConnect({ endpoint: `${server.http}/start` }))
  const session = server.sessions[0]!
  const wait = (event: string, n = 1) => until(event, () => made.seen.filter(([name]) => name === event).length >= n)
  const named = (...names: ReadonlyArray<string>) => made.seen.filter(([name]) => names.includes(name))
  return { ...made, ...session, ready, server, wait, named }
})

describe.each(["server", "cluster"] as const)("the official client (%s)", (place) => {
  it.live("reaches ready through POST /start", () =>
    Effect.gen(function*() {
      const { client, named, ready } = yield* connect(place)
      deepStrictEqual(ready, { version: "2.1.0", about: { library: "test" } })
      strictEqual(client.state, "ready")
      deepStrictEqual(named("botReady").length, 1)
      deepStrictEqual(named("error", "messageError"), [])
    }))

  it.live("a turn: everything it is told, in order, and the voice", () =>
    Effect.gen(function*() {
      const { client, media, seen, wait } = yield* connect(place)
      const before = seen.length
      yield* Effect.promise(() => client.sendText("Hello there."))
      yield* wait("botStoppedSpeaking")
      const turn = seen.slice(before).filter(([name]) => name !== "metrics")
      const output = (accumulated_text: string, remaining_text: string, spoken_status: string) => [
        "botOutput",
        {
          text: "Hello there.",
          aggregated_by: "sentence",
          segment_id: 1,
          will_be_spoken: true,
          spoken_status,
          spoken_progress: { accumulated_text, remaining_text }
        }
      ]
      deepStrictEqual(turn as ReadonlyArray<unknown>, [
        ["botLlmStarted"],
        ["botLlmText", { text: "Hello there." }],
        ["botTranscript", { text: "Hello there." }],
        ["botLlmStopped"],
        ["botTtsStarted"],
        ["botTtsStopped"],
        ["botStartedSpeaking"],
        output("", "Hello there.", "new"),
        ["botTtsText", { text: "Hello" }],
        output("Hello", " there.", "in-progress"),
        ["botTtsText", { text: "there." }],
        output("Hello there.", "", "completed"),
        ["botStoppedSpeaking"]
      ])
      assert.isAtLeast(media.played, 9600) // 400 ms
      assert.isBelow(media.played, 12_000)
    }))

  it.live("what the user says and does", () =>
    Effect.gen(function*() {
      const { client, named, wait } = yield* connect(place)
      yield* Effect.promise(() => client.sendText("listen"))
      yield* wait("userLlmText")
      deepStrictEqual(
        named(
          "userMuteStarted",
          "userMuteStopped",
          "userStartedSpeaking",
          "userStoppedSpeaking",
          "userTranscript",
          "userLlmText"
        ) as ReadonlyArray<unknown>,
        [
          ["userMuteStarted"],
          ["userMuteStopped"],
          ["userStartedSpeaking"],
          ["userTranscript", { text: "he", user_id: "ann", timestamp, final: false }],
          ["userStoppedSpeaking"],
          ["userTranscript", { text: "hello", user_id: "ann", timestamp, final: true }],
          ["userLlmText", { text: "hello" }]
        ]
      )
    }))

  it.live("the microphone arrives, stops when it is muted, and comes back", () =>
    Effect.gen(function*() {
      const { client, heard, media } = yield* connect(place)
      const talk = Effect.gen(function*() {
        for (let i = 0; i < 20; i++) {
          media.speak(new Int16Array(256).buffer)
          yield* Effect.sleep(2)
        }
      })
      yield* talk
      yield* until("audio", () => heard.samples === 20 * 256)
      client.enableMic(false)
      strictEqual(client.isMicEnabled, false)
      yield* Effect.sleep(50)
      client.enableMic(true)
      yield* talk
      yield* until("more audio", () => heard.samples === 40 * 256)
    }))

  it.live("typing while the bot speaks silences it", () =>
    Effect.gen(function*() {
      const { client, media, named, wait } = yield* connect(place)
      yield* Effect.promise(() => client.sendText("long"))
      yield* wait("botStartedSpeaking")
      yield* Effect.sleep(300)
      yield* Effect.promise(() => client.sendText("short", { audio_response: false }))
      yield* until("the answer", () => named("botOutput").some(([, { text }]) => text === "short"))
      const played = media.played
      assert.isBelow(played, 24_000) // of 120,000
      yield* Effect.sleep(300)
      strictEqual(media.played, played)
      strictEqual(named("botStoppedSpeaking").length, 1)
      deepStrictEqual(named("botOutput").at(-1) as unknown, ["botOutput", {
        text: "short",
        aggregated_by: "sentence",
        segment_id: 2,
        will_be_spoken: false
      }])
    }))

  it.live("a function of the client's own runs, and the bot goes on with what it gives", () =>
    Effect.gen(function*() {
      const { client, named, wait } = yield* connect(place)
      const asked: Array<unknown> = []
      client.registerFunctionCallHandler("get_color", async (call) => {
        asked.push(call)
        return { color: "blue" }
      })
      yield* Effect.promise(() => client.sendText("tool", { audio_response: false }))
      yield* wait("botOutput")
      deepStrictEqual(asked, [{ functionName: "get_color", arguments: { of: "sky" } }])
      const about = { tool_call_id: "call-1", function_name: "get_color" }
      deepStrictEqual(
        named("llmFunctionCallStarted", "llmFunctionCallInProgress", "llmFunctionCallStopped", "botLlmText") as unknown,
        [
          ["llmFunctionCallStarted", { function_name: "get_color" }],
          ["llmFunctionCallInProgress", { ...about, arguments: { of: "sky" } }],
          ["llmFunctionCallStopped", { ...about, cancelled: false, result: { color: "blue" } }],
          ["botLlmText", { text: `{"color":"blue"}` }]
        ]
      )
    }))

  it.live("messages and requests, of any size that it sends", () =>
    Effect.gen(function*() {
      const { client, named, wait } = yield* connect(place)
      client.sendClientMessage("echo", 1)
      deepStrictEqual(yield* Effect.promise(() => client.sendClientRequest("echo", { n: [1, null, "x"] })), {
        n: [1, null, "x"]
      })
      const large = "x".repeat(900_000)
      strictEqual(yield* Effect.promise(() => client.sendClientRequest("echo", large)), large)
      const error = yield* Effect.flip(Effect.tryPromise(() => client.sendClientRequest("nonsense", 1)))
      deepStrictEqual((error.cause as any).data, { error: "unknown request nonsense" })
      yield* wait("messageError")
      deepStrictEqual(named("messageError").map(([, { data }]) => data), [{ error: "unknown request nonsense" }])
    }))

  it.live("keys, events, trees, cancellations, audio in messages, what is not to be answered now", () =>
    Effect.gen(function*() {
      const { client, heard } = yield* connect(place)
      client.sendDTMF("12#")
      client.sendUIEvent("clicked", { ref: "e42" })
      const tree = { root: { ref: "e1", role: "main", children: [{ ref: "e2", role: "button" }] }, captured_at: 1 }
      send(client, "ui-snapshot", { tree })
      client.cancelUIJobGroup("job-1", "enough")
      yield* Effect.promise(() => client.sendText("later", { run_immediately: false }))
      send(client, "raw-audio", { base64Audio: "AAECAw==", sampleRate: 16_000, numChannels: 1 })
      send(client, "raw-audio-batch", { base64AudioBatch: ["AAE=", "AgM="], sampleRate: 16_000, numChannels: 1 })
      yield* until("frames", () => heard.frames.length === 7 && heard.samples === 4)
      deepStrictEqual(heard.frames.toSorted(), [
        "append later",
        "cancel job-1 enough",
        `event clicked {"ref":"e42"}`,
        "key #",
        "key 1",
        "key 2",
        `tree ${JSON.stringify(tree)}`
      ])
      deepStrictEqual(heard.frames.filter((line) => line.startsWith("key")), ["key 1", "key 2", "key #"])
    }))

  it.live("what it sends and we do not take is answered", () =>
    Effect.gen(function*() {
      const { client, named, wait } = yield* connect(place)
      void client.appendToContext({ role: "user", content: "x" }).catch(() => undefined)
      yield* wait("messageError")
      send(client, "dtmf", { buttons: ["A"] })
      yield* wait("messageError", 2)
      const texts = named("messageError").map(([, { data }]) => data.error)
      strictEqual(texts[0], "Unsupported type append-to-context")
      assert.match(texts[1], /^Invalid message: data.buttons\[0\]: found "A", expected /)
      strictEqual(client.state, "ready")
    }))

  it.live("every message that an application sends", () =>
    Effect.gen(function*() {
      const { client, named, rtvi, wait } = yield* connect(place)
      const search = { search_result: "x", origins: [{ results: [{ text: "y", confidence: [0.9] }] }] }
      const jobs = [
        { kind: "group_started", job_id: "j", workers: ["a"], cancellable: true, at: 1 },
        { kind: "job_update", job_id: "j", worker_name: "a", data: { n: 1 }, at: 2 },
        { kind: "job_completed", job_id: "j", worker_name: "a", status: "completed", at: 3 },
        { kind: "group_completed", job_id: "j", at: 4 }
      ] as const
      for (const job of jobs) yield* rtvi.send(RtviMessage.server("ui-job-group", job))
      yield* rtvi.send(RtviMessage.server("ui-command", { command: "toast", payload: { title: "hi" } }))
      yield* rtvi.send(RtviMessage.server("bot-llm-search-response", search))
      yield* rtvi.send(RtviMessage.server("llm-function-call", { function_name: "f", tool_call_id: "c", args: {} }))
      yield* rtvi.send(RtviMessage.server("metrics", { ttfb: [{ processor: "Llm", value: 0.1 }] }))
      // Types that this client does not know, or not any more: it goes on.
      yield* rtvi.send(RtviMessage.server("bot-interrupted"))
      yield* rtvi.send(RtviMessage.server("vad-user-started-speaking"))
      yield* rtvi.send(RtviMessage.server("vad-user-stopped-speaking"))
      yield* rtvi.send(RtviMessage.server("user-audio-level", { value: 0.5 }))
      yield* rtvi.send(RtviMessage.server("bot-audio-level", { value: 0.5 }))
      yield* rtvi.send(RtviMessage.server("system-log", { text: "hi" }))
      yield* rtvi.send(RtviMessage.server("bot-tts-audio", { audio: "AAE=", sample_rate: 24_000, num_channels: 1 }))
      yield* rtvi.send(RtviMessage.error("careful", false))
      yield* rtvi.send(RtviMessage.server("server-message", { score: 3 }))
      yield* wait("serverMessage")
      deepStrictEqual(named("uiJobGroup").map(([, data]) => data), [...jobs])
      deepStrictEqual(named("uiCommand") as unknown, [["uiCommand", { command: "toast", payload: { title: "hi" } }]])
      deepStrictEqual(named("botLlmSearchResponse") as unknown, [["botLlmSearchResponse", search]])
      deepStrictEqual(named("llmFunctionCall").map(([, data]) => data), [{
        function_name: "f",
        tool_call_id: "c",
        args: {}
      }])
      deepStrictEqual(named("metrics").at(-1)![1], { ttfb: [{ processor: "Llm", value: 0.1 }] })
      deepStrictEqual(named("serverMessage").map(([, data]) => data), [{ score: 3 }])
      deepStrictEqual(named("error").map(([, { data }]) => data), [{
        error: "careful",
        fatal: false,
        message: "careful"
      }])
      strictEqual(client.state, "ready")
    }))

  it.live("a failure in the pipeline is told and does not end the session; a fatal one makes the client leave", () =>
    Effect.gen(function*() {
      const { client, named, rtvi, task, wait } = yield* connect(place)
      yield* Effect.promise(() => client.sendText("fail"))
      yield* wait("error")
      strictEqual(client.state, "ready")
      yield* rtvi.send(RtviMessage.error("it is over", true))
      yield* wait("disconnected")
      deepStrictEqual(named("error").slice(0, 2).map(([, { data }]) => [data.error, data.fatal]), [
        ["no route", false],
        ["it is over", true]
      ])
      strictEqual((yield* task.await)._tag, "Cancelled")
    }))

  it.live("disconnectBot ends the task in order", () =>
    Effect.gen(function*() {
      const { client, task, wait } = yield* connect(place)
      client.disconnectBot()
      strictEqual((yield* task.await)._tag, "Ended")
      yield* wait("disconnected")
    }))

  it.live("it may come again", () =>
    Effect.gen(function*() {
      const { client, server } = yield* connect(place)
      yield* Effect.promise(() => client.disconnect())
      yield* Effect.promise(() => client.connect({ wsUrl: `${server.ws}/ws` }))
      strictEqual(client.state, "ready")
      strictEqual(server.sessions.length, 2)
    }))
})

describe.each(["server", "cluster"] as const)("a person with wscat (%s)", (place) => {
  it.live("speaks plain JSON, of whichever version", () =>
    Effect.gen(function*() {
      const server = yield* serve(place)
      const lines: Array<any> = []
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => new WebSocket(`${server.ws}/json`)),
        (socket) => Effect.sync(() => socket.close())
      )
      socket.addEventListener("message", ({ data }) => void lines.push(JSON.parse(String(data))))
      yield* Effect.callback<void>((resume) => socket.addEventListener("open", () => resume(Effect.void)))
      const say = (type: string, data: unknown, id = "1") =>
        Effect.sync(() => socket.send(JSON.stringify({ label: "rtvi-ai", type, id, data })))
      const wait = (type: string) => until(type, () => lines.some((line) => line.type === type))
      yield* say("client-ready", { version: "1.2.0" })
      yield* wait("bot-ready")
      strictEqual(lines.find(({ type }) => type === "bot-ready").data.version, "1.2.0")
      yield* say("client-message", { t: "echo", d: 5 }, "2")
      yield* wait("server-response")
      yield* say("send-text", { content: "Hello." }, "3")
      yield* wait("bot-stopped-speaking")
      deepStrictEqual(lines.find(({ type }) => type === "bot-output").data, {
        text: "Hello.",
        aggregated_by: "sentence",
        spoken: true
      })
      // 40 ms of 24 kHz, in base64
      const audio = lines.find(({ type }) => type === "bot-tts-audio")
      strictEqual(Buffer.from(audio.data.audio, "base64").length, 1920)
      for (const line of lines) strictEqual(line.label, "rtvi-ai")
    }))
})
