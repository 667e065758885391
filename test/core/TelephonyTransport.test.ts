import { Frame, HangUp, Pcm, Pipeline, PipelineTask, Processor, type Telephony, VoiceFrames } from "@apipeline/core"
import * as TelephonyTransport from "@apipeline/core/TelephonyTransport"
import { leaks } from "@apipeline/core/testing"
import type * as Transport from "@apipeline/core/Transport"
import { InputTransportMessageFrame } from "@apipeline/core/TransportFrames"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Logger, Queue, Redacted, Scope, Stream } from "effect"
import { HttpClient } from "effect/http"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual } = assert
const { InputDtmfFrame } = VoiceFrames

const json = (value: unknown): string => JSON.stringify(value)
const twilioStart = json({ event: "start", start: { streamSid: "MZ1", callSid: "CA1" } })
const genesysStart = json({
  version: "2",
  type: "open",
  id: "g1",
  seq: 1,
  parameters: { media: [{ type: "audio", format: "PCMU", channels: ["external"], rate: 8000 }] }
})

/** The vendor's end of a WebSocket. */
const makeVendor = Effect.gen(function*() {
  const up = yield* Queue.unbounded<Telephony.Wire, Transport.TransportError | Cause.Done>()
  const sent: Array<any> = []
  const socket: TelephonyTransport.Socket = {
    incoming: Stream.fromQueue(up),
    send: (message) =>
      Effect.sync(() => {
        sent.push(typeof message === "string" ? JSON.parse(message) : message)
      }),
    close: (reason) =>
      Effect.sync(() => {
        sent.push({ closed: reason })
      })
  }
  return {
    socket,
    sent,
    say: (message: Telephony.Wire) => Queue.offer(up, message),
    leave: Queue.end(up),
    /** What was sent since the last look: audio as `media`, in milliseconds. */
    look: () =>
      sent.splice(0).map((message) =>
        message instanceof Uint8Array
          ? `media ${message.length / 8}`
          : message.event === "media"
          ? `media ${Buffer.from(message.media.payload, "base64").length / 8}`
          : message.event === "mark"
          ? message.mark.name
          : message.event ?? message.type ?? json(message)
      )
  }
})

const audio = (millis: number): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({
    audio: Pcm.silence(millis, { sampleRate: 8000 }),
    sampleRate: 8000,
    numChannels: 1,
    metadata: { bot: true }
  })

/** A pipeline that keeps what comes in. */
const run = Effect.fnUntraced(function*(transport: Transport.Transport) {
  const heard: Array<Frame.Frame> = []
  const keep = Processor.sync("Keep", {
    AudioRawFrame: (frame, push) => {
      if (frame.metadata?.bot === true) push(frame)
      else heard.push(frame)
    },
    InputDtmfFrame: (frame) => {
      heard.push(frame)
    },
    InputTransportMessageFrame: (frame) => {
      heard.push(frame)
    }
  }, { frames: [InputDtmfFrame, InputTransportMessageFrame] })
  const task = yield* PipelineTask.make(Pipeline.make(transport.input, keep, transport.output))
  yield* task.start
  return [task, heard] as const
})

describe("TelephonyTransport", () => {
  it.effect("a call: audio in, audio out on time, an interruption, a hang-up", () =>
    Effect.gen(function*() {
      const hungUp: Array<string> = []
      const { leave: _, look, say, sent, socket } = yield* makeVendor
      const scope = yield* Scope.make()
      yield* say(json({ event: "connected", protocol: "Call", version: "1.0.0" }))
      yield* say(twilioStart)
      const { call, session, transport } = yield* TelephonyTransport.make(socket, {
        hangUp: ({ callId }) =>
          Effect.sync(() => {
            hungUp.push(callId!)
          })
      }).pipe(Scope.provide(scope))
      strictEqual(call.callId, "CA1")
      const [task, heard] = yield* run(transport).pipe(Scope.provide(scope))

      yield* say(json({ event: "media", media: { payload: Buffer.alloc(160, 0xff).toString("base64") } }))
      yield* say(json({ event: "dtmf", dtmf: { digit: "7" } }))
      yield* say("no JSON")
      yield* say(json({ event: "mark", mark: { name: "theirs" } }))
      yield* TestClock.adjust(0)
      deepStrictEqual(heard.map(({ _tag }) => _tag).sort(), [
        "AudioRawFrame",
        "InputDtmfFrame",
        "InputTransportMessageFrame"
      ])
      look()

      // The bot says 300 ms: sent 100 ms ahead, a mark each 200 ms and one at the end.
      yield* task.queueFrame(audio(300))
      yield* TestClock.adjust(0)
      deepStrictEqual(look(), ["media 40", "media 40"])
      yield* TestClock.adjust(1000)
      deepStrictEqual(look(), [
        ...Array.from({ length: 3 }, () => "media 40"),
        "apipeline:1",
        "media 40",
        "media 40",
        "media 40",
        "apipeline:2"
      ])
      yield* say(json({ event: "mark", mark: { name: "apipeline:1" } }))
      yield* TestClock.adjust(0)
      strictEqual((yield* session.status).played, 200)
      strictEqual((yield* transport.playback)[0]!.played, 200)

      // It says more, and the user barges in.
      yield* task.queueFrame(audio(2000))
      yield* TestClock.adjust(400)
      strictEqual(look().includes("apipeline:3"), true)
      yield* task.queueFrame(Frame.StartInterruptionFrame.make())
      yield* TestClock.adjust(0)
      deepStrictEqual(look(), ["clear"])
      yield* TestClock.adjust(1000)
      deepStrictEqual(look(), [])

      yield* task.stopWhenDone
      yield* TestClock.adjust("10 seconds")
      yield* Scope.close(scope, Exit.void)
      deepStrictEqual([hungUp, look()], [["CA1"], [`{"closed":"the transport was closed"}`]])
      strictEqual(sent.length, 0)
    }))

  it.effect("what cannot be understood is told, and the call goes on", () =>
    Effect.gen(function*() {
      const { say, socket } = yield* makeVendor
      yield* say(json({ event: "media", media: { payload: "" } }))
      yield* say(twilioStart)
      const { transport } = yield* TelephonyTransport.make(socket)
      yield* run(transport)
      yield* say("no JSON")
      yield* say(json({ event: "media", media: { payload: "A".repeat(100_000) } }))
      yield* say(json({ event: "stop" }))
      const events = yield* Stream.runCollect(transport.events)
      deepStrictEqual(
        events.map((event) => event._tag === "InvalidMessage" ? event.error.message : event._tag),
        [
          "ClientConnected",
          `message: found "media", expected the start of a call of twilio, telnyx, plivo, exotel, vonage, genesys`,
          `message: found "no JSON", expected JSON`,
          "message: found 100040 bytes, expected at most 65536",
          "ClientDisconnected"
        ]
      )
      strictEqual(yield* transport.disconnected, "the call has ended: stop")
    }))

  it.effect("Genesys: packets of 200 ms, and a goodbye that is waited for", () =>
    Effect.gen(function*() {
      const { look, say, sent, socket } = yield* makeVendor
      const scope = yield* Scope.make()
      yield* say(genesysStart)
      const { transport } = yield* TelephonyTransport.make(socket).pipe(Scope.provide(scope))
      const [task] = yield* run(transport).pipe(Scope.provide(scope))
      deepStrictEqual(look(), ["opened"])
      yield* task.queueFrame(audio(500))
      yield* TestClock.adjust(2000)
      deepStrictEqual(look(), ["media 200", "media 200", "media 200"])
      yield* say(json({ version: "2", type: "ping", id: "g1", seq: 2, parameters: {} }))
      yield* TestClock.adjust(0)
      deepStrictEqual(look(), ["pong"])
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(100)
      strictEqual(sent.at(-1).type, "disconnect")
      strictEqual(closing.pollUnsafe(), undefined)
      yield* say(json({ version: "2", type: "close", id: "g1", seq: 3, parameters: { reason: "disconnect" } }))
      yield* TestClock.adjust(0)
      yield* Fiber.join(closing)
      deepStrictEqual(look(), ["disconnect", "closed", `{"closed":"the transport was closed"}`])
    }))

  it.effect("Genesys: a goodbye that nobody answers has its time", () =>
    Effect.gen(function*() {
      const { look, say, socket } = yield* makeVendor
      const scope = yield* Scope.make()
      yield* say(genesysStart)
      yield* TelephonyTransport.make(socket, { goodbyeTimeout: "300 millis" }).pipe(Scope.provide(scope))
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      yield* TestClock.adjust(299)
      deepStrictEqual(look(), ["opened", "disconnect"])
      yield* TestClock.adjust(1)
      yield* Fiber.join(closing)
      deepStrictEqual(look(), [`{"closed":"the transport was closed"}`])
    }))

  it.effect("closing twice closes once", () =>
    Effect.gen(function*() {
      const { look, say, socket } = yield* makeVendor
      yield* say(twilioStart)
      yield* Effect.scoped(Effect.gen(function*() {
        const { transport } = yield* TelephonyTransport.make(socket)
        yield* transport.close("enough")
        yield* transport.close("really")
        strictEqual(yield* transport.disconnected, "enough")
      }))
      deepStrictEqual(look(), [`{"closed":"enough"}`])
    }))

  it.effect("a call that does not start in time, or leaves before, is an error, and the socket is closed", () =>
    Effect.gen(function*() {
      const silent = yield* makeVendor
      const fiber = yield* Effect.forkChild(Effect.exit(Effect.scoped(TelephonyTransport.make(silent.socket))))
      yield* TestClock.adjust("10 seconds")
      const late = yield* Fiber.join(fiber)
      assert(Exit.isFailure(late))
      strictEqual((Cause.squash(late.cause) as Error).message, "open took longer than 10000 ms")
      deepStrictEqual(silent.look(), [`{"closed":"open took longer than 10000 ms"}`])

      const leaving = yield* makeVendor
      yield* leaving.leave
      const error = yield* Effect.flip(Effect.scoped(TelephonyTransport.make(leaving.socket)))
      strictEqual(error.message, "the end of what comes in")
    }))

  it.effect("a hook that hangs and a socket that does not take anything do not keep it from closing", () =>
    Effect.gen(function*() {
      const { say, socket } = yield* makeVendor
      yield* say(twilioStart)
      const client = HttpClient.make(() => Effect.never)
      const [, alive] = yield* leaks(Effect.gen(function*() {
        const fiber = yield* Effect.scoped(Effect.gen(function*() {
          const { transport } = yield* TelephonyTransport.make({ ...socket, send: () => Effect.never }, {
            hangUp: HangUp.twilio({ accountSid: "AC1", authToken: Redacted.make("x") }),
            hangUpTimeout: "2 seconds"
          })
          const [task] = yield* run(transport)
          yield* task.queueFrame(audio(100))
          yield* Effect.sleep(10)
        })).pipe(
          Effect.provideService(HttpClient.HttpClient, client),
          Effect.provide(Logger.layer([])),
          Effect.forkChild
        )
        yield* TestClock.adjust("1 minute")
        yield* Fiber.join(fiber)
      }))
      strictEqual(alive, 0)
    }))
})
