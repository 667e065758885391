import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as Rtvi from "@apipeline/core/Rtvi"
import * as RtviFrames from "@apipeline/core/RtviFrames"
import * as RtviMessage from "@apipeline/core/RtviMessage"
import { act, leaks, payload, run, settle, show, sleep } from "@apipeline/core/testing"
import { InputTransportMessageFrame, OutputTransportMessageUrgentFrame } from "@apipeline/core/TransportFrames"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import { Context, Effect, Exit, Result } from "effect"
import { TestClock } from "effect/testing"
import { random } from "../utils/random.ts"

const said = (type: string, data?: unknown, id = "d43f92d3") =>
  InputTransportMessageFrame.make({ message: { label: "rtvi-ai", type, id, ...data !== undefined && { data } } })

const isMessage = OutputTransportMessageUrgentFrame.is

/** What went to the client. */
const told = (frames: Iterable<Frame.Frame>): Array<unknown> =>
  Array.from(frames).filter(isMessage).map(({ message }) => {
    assert(Result.isSuccess(RtviMessage.decodeServer(message)), JSON.stringify(message))
    const { label: _label, ...rest } = message as RtviMessage.Server
    return rest
  })

/** What went down besides. */
const frames = (all: Iterable<Frame.Frame>): Array<string> =>
  show(payload(all).filter((frame) => !isMessage(frame))).filter((line) => !line.startsWith("MetricsFrame"))

const hear = (steps: Parameters<typeof run>[1], options?: Rtvi.Options) =>
  Effect.gen(function*() {
    const { processor } = yield* Rtvi.make(options)
    const { down, exit, up } = yield* run(processor, steps)
    return { told: told(down), down: frames(down), up: frames(up), exit }
  })

const start = "InputTransportStartAudioStreamingFrame"

describe("what a client says", () => {
  it.effect("client-ready: bot-ready with its id, audio may come, and the pipeline is told", () =>
    Effect.gen(function*() {
      const about = { library: "@pipecat-ai/client-js" }
      const result = yield* hear([said("client-ready", { version: "2.1.0", about })], {
        about: { library: "bot", library_version: "0.1.0" }
      })
      deepStrictEqual(result.told, [{
        type: "bot-ready",
        id: "d43f92d3",
        data: { version: "2.1.0", about: { library: "bot", library_version: "0.1.0" } }
      }])
      strictEqual(result.down[0], start)
      assert.match(result.down[1]!, /^RtviClientReadyFrame\(version: "2.1.0", legacy: false/)
      deepStrictEqual(result.up, [start])
    }))

  const about = { library: "@apipeline/core" }
  const problem = " Compatibility issues may occur."
  const versions: ReadonlyArray<readonly [unknown, string, string | undefined]> = [
    ["2.1.0", "2.1.0", undefined],
    ["2.0.0", "2.1.0", undefined],
    ["2.99.3", "2.1.0", undefined],
    ["1.0.0", "1.0.0", undefined],
    ["1.4.2", "1.4.2", undefined],
    ["0.9.9", "2.1.0", `RTVI version 0.9.9 is not compatible with server protocol 2.1.0.${problem}`],
    ["3.0.0", "2.1.0", `RTVI version 3.0.0 is not compatible with server protocol 2.1.0.${problem}`],
    ["2.1", "2.1.0", `Invalid client version format (2.1).${problem}`],
    ["1.x.0", "2.1.0", `Invalid client version format (1.x.0).${problem}`],
    ["", "2.1.0", `Client version unknown.${problem}`],
    [2, "2.1.0", `Client version unknown.${problem}`],
    [undefined, "2.1.0", `Client version unknown.${problem}`]
  ]
  it.effect.each(versions)("version %s is answered with %s", ([version, answer, error]) =>
    Effect.gen(function*() {
      const result = yield* hear([said("client-ready", { version })])
      deepStrictEqual(result.told, [
        ...error === undefined ? [] : [{ type: "error-response", id: "d43f92d3", data: { error } }],
        { type: "bot-ready", id: "d43f92d3", data: { version: answer, about } }
      ])
      deepStrictEqual(result.up, [start])
    }))

  it.effect("bot-ready waits for onClientReady, and nothing else does; its failure is fatal for the client", () =>
    Effect.gen(function*() {
      const clients: Array<Rtvi.Client> = []
      const ready = yield* hear([said("client-ready", { version: "1.2.0" }), said("dtmf", { buttons: ["1"] })], {
        onClientReady: (client) => Effect.andThen(Effect.sync(() => clients.push(client)), Effect.sleep("10 millis"))
      })
      deepStrictEqual(ready.told, [])
      deepStrictEqual(ready.down, [start, `InputDtmfFrame(key: "1")`])
      deepStrictEqual(clients, [{ version: "1.2.0", legacy: true, about: undefined }])
      const later = yield* hear([said("client-ready", { version: "2.1.0" }), sleep("10 millis")], {
        onClientReady: () => Effect.sleep("10 millis")
      })
      deepStrictEqual(later.told, [{ type: "bot-ready", id: "d43f92d3", data: { version: "2.1.0", about } }])
      const failed = yield* hear([said("client-ready", { version: "2.1.0" })], {
        onClientReady: () => Effect.fail(new Error("no model"))
      })
      deepStrictEqual(failed.told, [{ type: "error", data: { error: "no model", fatal: true, message: "no model" } }])
      const thrown = yield* hear([said("client-ready", { version: "2.1.0" }), said("fly")], {
        onClientReady: () => {
          throw new Error("password is 1234")
        }
      })
      deepStrictEqual(thrown.told, [
        { type: "error", data: { error: "internal error", fatal: true, message: "internal error" } },
        { type: "error-response", id: "d43f92d3", data: { error: "Unsupported type fly" } }
      ])
    }))

  it.effect("disconnect-bot ends the task in order", () =>
    Effect.gen(function*() {
      const { processor } = yield* Rtvi.make()
      const task = yield* PipelineTask.make(processor)
      yield* task.start
      yield* task.queueFrame(Frame.TextFrame.make({ text: "before" }))
      yield* task.queueFrame(said("disconnect-bot", {}))
      const exit = yield* task.run
      strictEqual(exit._tag, "Ended")
    }))

  it.effect("send-text interrupts the bot, then the message joins the conversation", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const bot = Processor.queued("Bot", {
        TextFrame: () => Effect.never,
        onInterruption: (_, { push }) => {
          seen.push("interrupted")
          return push(Frame.TextFrame.make({ text: "commit" }))
        },
        LlmMessagesAppendFrame: (frame, { push }) => {
          seen.push(JSON.stringify(frame))
          return push(frame)
        }
      }, { frames: [Voice.LlmMessagesAppendFrame] })
      const { processor } = yield* Rtvi.make()
      const { down } = yield* run(Pipeline.make(processor, bot), [
        Frame.TextFrame.make({ text: "a long answer" }),
        said("send-text", { content: "stop", options: { run_immediately: true, audio_response: true } })
      ])
      deepStrictEqual(frames(down), [
        `TextFrame("commit")`,
        `LlmMessagesAppendFrame(messages: [{role: "user", content: "stop"}], runLlm: true)`
      ])
      strictEqual(seen[0], "interrupted")
      const appended = down.find(Voice.LlmMessagesAppendFrame.is)!
      deepStrictEqual(appended.messages, [{ role: "user", content: "stop" }])
    }))

  it.effect("send-text: options, and what they are when they are not there", () =>
    Effect.gen(function*() {
      const options = [
        undefined,
        null,
        {},
        { run_immediately: false },
        { audio_response: false },
        { run_immediately: false, audio_response: false }
      ]
      for (const option of options) {
        const { processor } = yield* Rtvi.make()
        const { down } = yield* run(processor, [said("send-text", { content: "hi", options: option ?? null })])
        const runLlm = option?.run_immediately ?? true
        const frame = down.find(Voice.LlmMessagesAppendFrame.is)!
        deepStrictEqual({ runLlm: frame.runLlm, skipTts: frame.skipTts }, {
          runLlm,
          skipTts: option?.audio_response === false ? true : undefined
        })
        strictEqual(down.some(({ _tag }) => _tag === "StartInterruptionFrame"), runLlm)
      }
    }))

  it.effect("a typed message survives a barge-in that follows", () =>
    Effect.gen(function*() {
      const { processor } = yield* Rtvi.make()
      const slow = Processor.queued("Slow", { TextFrame: () => Effect.sleep("1 second") })
      const { down } = yield* run(Pipeline.make(processor, slow), [
        Frame.TextFrame.make({ text: "busy" }),
        said("send-text", { content: "keep", options: { run_immediately: false } }),
        { step: "interrupt" }
      ])
      deepStrictEqual(frames(down), [
        `LlmMessagesAppendFrame(messages: [{role: "user", content: "keep"}], runLlm: false)`
      ])
    }))

  it.effect("function results, keys one by one, events, trees, cancellations", () =>
    Effect.gen(function*() {
      const tree = { root: { ref: "e1", role: "main" }, captured_at: 1 }
      const { down } = yield* Effect.flatMap(Rtvi.make(), ({ processor }) =>
        run(processor, [
          said("llm-function-call-result", {
            function_name: "f",
            tool_call_id: "call-1",
            arguments: {},
            result: { degrees: 21 }
          }),
          said("dtmf", { buttons: ["1", "2", "#"] }),
          said("dtmf", { button: "*" }),
          said("ui-event", { event: "clicked", payload: { ref: "e42" } }),
          said("ui-snapshot", { tree }),
          said("ui-cancel-job-group", { job_id: "job-1", reason: "enough" }),
          said("ui-cancel-job-group", { job_id: "job-2", reason: null })
        ]))
      const seen = payload(down).map((frame) => {
        const { id: _id, metadata: _metadata, pts: _pts, ...rest } = { ...frame } as any
        return rest
      })
      deepStrictEqual(seen, [
        { _tag: "FunctionCallResultFrame", callId: "call-1", result: { degrees: 21 }, isFailure: undefined },
        { _tag: "InputDtmfFrame", key: "1" },
        { _tag: "InputDtmfFrame", key: "2" },
        { _tag: "InputDtmfFrame", key: "#" },
        { _tag: "InputDtmfFrame", key: "*" },
        { _tag: "RtviUiEventFrame", event: "clicked", payload: { ref: "e42" } },
        { _tag: "RtviUiSnapshotFrame", tree },
        { _tag: "RtviUiCancelJobGroupFrame", jobId: "job-1", reason: "enough" },
        { _tag: "RtviUiCancelJobGroupFrame", jobId: "job-2", reason: undefined }
      ])
    }))

  it.effect("raw audio, in one piece or several", () =>
    Effect.gen(function*() {
      const format = { sampleRate: 16000, numChannels: 1 }
      const { down } = yield* hear([
        said("raw-audio", { base64Audio: "AAECAw==", ...format }),
        said("raw-audio-batch", { base64AudioBatch: ["AAE=", "AgM="], ...format })
      ])
      deepStrictEqual(down, [
        "AudioRawFrame(4 B, 16 kHz, mono, 0.1 ms)",
        "AudioRawFrame(2 B, 16 kHz, mono, 0.1 ms)",
        "AudioRawFrame(2 B, 16 kHz, mono, 0.1 ms)"
      ])
    }))

  it.effect("what is not understood is answered, and changes nothing; what is for others passes", () =>
    Effect.gen(function*() {
      const other = InputTransportMessageFrame.make({ message: { hello: "there" } })
      const result = yield* hear([
        said("fly"),
        said("append-to-context", { role: "user", content: "x" }),
        said("dtmf", { buttons: ["A"] }),
        InputTransportMessageFrame.make({ message: { label: "rtvi-ai", type: "dtmf" } }),
        other
      ])
      const text = "Invalid RTVI transport message: id: found nothing, expected a string"
      const keys = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#"].map((key) => `"${key}"`).join(" | ")
      const error = (error: string) => ({ type: "error-response", id: "d43f92d3", data: { error } })
      deepStrictEqual(result.told, [
        error("Unsupported type fly"),
        error("Unsupported type append-to-context"),
        error(`Invalid message: data.buttons[0]: found "A", expected ${keys}`),
        { type: "error", data: { error: text, fatal: false, message: text } }
      ])
      deepStrictEqual(result.down, [`InputTransportMessageFrame(message: {hello: "there"})`])
    }))
})

describe("requests", () => {
  it.effect("are answered with what the handler gives, each in its time", () =>
    Effect.gen(function*() {
      const result = yield* hear([
        said("client-message", { t: "slow", d: 20 }, "1"),
        said("client-message", { t: "fast", d: 10 }, "2"),
        said("client-message", { t: "none" }, "3"),
        sleep("10 millis"),
        said("dtmf", { button: "1" }),
        sleep("10 millis")
      ], {
        onClientMessage: ({ d, id, t }) =>
          typeof d === "number" ? Effect.delay(Effect.succeed(`${id} ${t}`), d) : Effect.void
      })
      deepStrictEqual(result.told, [
        { type: "server-response", id: "3", data: { t: "none" } },
        { type: "server-response", id: "2", data: { t: "fast", d: "2 fast" } },
        { type: "server-response", id: "1", data: { t: "slow", d: "1 slow" } }
      ])
      strictEqual(result.down.filter((line) => line.startsWith("RtviClientMessageFrame")).length, 3)
    }))

  it.effect("a failure may be read, a defect may not, and neither ends anything", () =>
    Effect.gen(function*() {
      class Unknown extends Error {}
      const handlers: { readonly [t: string]: () => Effect.Effect<unknown, unknown> } = {
        text: () => Effect.fail("no such thing"),
        error: () => Effect.fail(new Unknown("unknown city")),
        tagged: () => Effect.fail({ _tag: "NotFound", secret: 1 }),
        other: () => Effect.fail(5),
        defect: () => Effect.die(new Error("password is 1234")),
        thrown: () => {
          throw new Error("password is 1234")
        },
        fine: () => Effect.succeed(1)
      }
      const result = yield* hear(
        Object.keys(handlers).map((t, i) => said("client-message", { t }, `${i}`)),
        { onClientMessage: ({ t }) => handlers[t]!() }
      )
      const error = (id: string, error: string) => ({ type: "error-response", id, data: { error } })
      deepStrictEqual(result.told, [
        error("0", "no such thing"),
        error("1", "unknown city"),
        error("2", "NotFound"),
        error("3", "error"),
        error("4", "internal error"),
        error("5", "internal error"),
        { type: "server-response", id: "6", data: { t: "fine", d: 1 } }
      ])
      strictEqual(Exit.isSuccess(result.exit), true)
    }))

  it.effect("too many at a time are refused", () =>
    Effect.gen(function*() {
      const steps = [1, 2, 3].map((n) => said("client-message", { t: "t" }, `${n}`))
      const options = { maxRequests: 2, onClientMessage: () => Effect.delay(Effect.succeed("ok"), 10) }
      const result = yield* hear([...steps, sleep(10), said("client-message", { t: "t" }, "4"), sleep(10)], options)
      deepStrictEqual(result.told, [
        { type: "error-response", id: "3", data: { error: "Too many requests: 2 are under way" } },
        { type: "server-response", id: "1", data: { t: "t", d: "ok" } },
        { type: "server-response", id: "2", data: { t: "t", d: "ok" } },
        { type: "server-response", id: "4", data: { t: "t", d: "ok" } }
      ])
    }))

  it.effect("those under way end with the task: nothing is left", () =>
    Effect.gen(function*() {
      let ended = 0
      const [, alive] = yield* leaks(hear([said("client-message", { t: "t" }), said("client-ready", {})], {
        onClientMessage: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended++)),
        onClientReady: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => ended++))
      }))
      strictEqual(alive, 0)
      strictEqual(ended, 2)
    }))

  it.effect("a processor answers where there is no handler", () =>
    Effect.gen(function*() {
      const rtvi = yield* Rtvi.make()
      const clock = Processor.sync("Clock", {
        RtviClientMessageFrame: ({ messageId, t }, push) => {
          const message = RtviMessage.server("server-response", { t, d: "noon" }, messageId)
          push(RtviFrames.RtviServerMessageFrame.make({ message }))
        }
      }, { frames: [RtviFrames.RtviClientMessageFrame] })
      const { down } = yield* run(
        Pipeline.make(rtvi.processor, clock),
        [said("client-message", { t: "time" }, "7"), act(() => settle)],
        { observers: [rtvi.observer] }
      )
      deepStrictEqual(told(down), [{ type: "server-response", id: "7", data: { t: "time", d: "noon" } }])
    }))

  it.effect("handlers may need services: the pipeline does then", () =>
    Effect.gen(function*() {
      class City extends Context.Service<City, string>()("test/City") {}
      const program = Effect.gen(function*() {
        const { processor } = yield* Rtvi.make({ onClientMessage: () => City.useSync((city) => city) })
        return yield* run(processor, [said("client-message", { t: "city" }, "1")])
      })
      const { down } = yield* Effect.provideService(program, City, "Oslo")
      deepStrictEqual(told(down), [{ type: "server-response", id: "1", data: { t: "city", d: "Oslo" } }])
    }))
})

describe("send", () => {
  it.effect("goes to the client at once; without a task it fails", () =>
    Effect.gen(function*() {
      const rtvi = yield* Rtvi.make({ name: "Session" })
      const message = RtviMessage.server("server-message", { n: 1 })
      const failed = (effect: Effect.Effect<void, Rtvi.RtviError>) =>
        Effect.map(Effect.flip(effect), ({ message }) => message)
      const text = "Session: found no running task, expected one to send server-message to the client of"
      strictEqual(yield* failed(rtvi.send(message)), text)
      const { down } = yield* run(rtvi.processor, [act(() => rtvi.send(message))])
      deepStrictEqual(told(down), [{ type: "server-message", data: { n: 1 } }])
      strictEqual(yield* failed(rtvi.send(message)), text)
    }))

  it.effect("still works while the bot says farewell", () =>
    Effect.gen(function*() {
      const rtvi = yield* Rtvi.make()
      const sent: Array<unknown> = []
      const output = Processor.queued("Output", {
        OutputTransportMessageUrgentFrame: ({ message }) => Effect.sync(() => sent.push(message)),
        onEnd: () => Effect.sleep("1 second")
      }, { frames: [OutputTransportMessageUrgentFrame] })
      const task = yield* PipelineTask.make(Pipeline.make(rtvi.processor, output))
      yield* task.start
      yield* task.stopWhenDone
      yield* TestClock.adjust("500 millis")
      yield* rtvi.send(RtviMessage.server("server-message", "bye"))
      deepStrictEqual(sent, [{ label: "rtvi-ai", type: "server-message", data: "bye" }])
      yield* TestClock.adjust("500 millis")
      strictEqual((yield* task.run)._tag, "Ended")
    }))

  it.effect("one session is in one task, one after the other", () =>
    Effect.gen(function*() {
      const rtvi = yield* Rtvi.make()
      yield* run(rtvi.processor, [])
      const task = yield* PipelineTask.make(rtvi.processor)
      yield* task.start
      const error = yield* Effect.flip(Effect.scoped(Effect.flatMap(PipelineTask.make(rtvi.processor), (t) => t.run)))
      strictEqual(
        error.message,
        "the set-up of Rtvi failed: RtviError: Rtvi: found in two tasks, expected an Rtvi.make for each"
      )
      yield* rtvi.send(RtviMessage.server("server-message", 1))
    }))
})

describe("fuzz", () => {
  it.effect("whatever a client sends, the pipeline lives and every answer is a message", () =>
    Effect.gen(function*() {
      const { boolean, int, pick } = random(9)
      const types = [...Object.keys(RtviMessage.clientData), "fly", "", "__proto__"]
      const values = [null, undefined, 0, -1, 1.5, "", "AA==", true, {}, [], [[]], { content: "x" }, ["1"], "1.0.0"]
      const keys = ["version", "t", "d", "content", "options", "buttons", "button", "event", "tree", "job_id", "result"]
      const value = (depth: number): unknown =>
        depth > 0 && boolean()
          ? Object.fromEntries(Array.from({ length: int(4) }, () => [pick(keys), value(depth - 1)]))
          : pick(values)
      const sent: Array<unknown> = []
      const collector = Processor.sync("Collector", {
        OutputTransportMessageUrgentFrame: ({ message }) => void sent.push(message)
      }, { frames: [OutputTransportMessageUrgentFrame] })
      const { processor } = yield* Rtvi.make({
        onClientMessage: ({ d }) => d === null ? Effect.die("no") : Effect.succeed(d)
      })
      const { exit, failures } = yield* run(
        Pipeline.make(processor, collector),
        Array.from({ length: 3000 }, () => {
          const type = pick(types.filter((type) => type !== "disconnect-bot"))
          const message = pick<() => unknown>([
            () => ({ label: "rtvi-ai", type, id: pick(["1", "2", 3, undefined]), data: value(2) }),
            () => value(2)
          ])()
          return InputTransportMessageFrame.make({ message })
        })
      )
      strictEqual(Exit.isSuccess(exit), true)
      deepStrictEqual(failures, [])
      assert.isAbove(sent.length, 500)
      for (const message of sent) assert(Result.isSuccess(RtviMessage.decodeServer(message)), JSON.stringify(message))
    }))
})
