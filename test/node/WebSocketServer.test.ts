import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as MessageProtocol from "@apipeline/core/MessageProtocol"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import * as TelephonyTransport from "@apipeline/core/TelephonyTransport"
import { leaks } from "@apipeline/core/testing"
import type * as TransportContract from "@apipeline/core/testing/TransportContract"
import type * as Transport from "@apipeline/core/Transport"
import {
  InputTransportMessageFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame
} from "@apipeline/core/TransportFrames"
import * as WebSocketServer from "@apipeline/node/WebSocketServer"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import * as selfsigned from "selfsigned"
import { start } from "../utils/child.ts"
import { transportContract } from "../utils/transportContract.ts"
import { connect, rawClient, serve, type Served, type WebSocketClient } from "../utils/webSocket.ts"

const { deepStrictEqual, strictEqual } = assert

const messages = [InputTransportMessageFrame, OutputTransportMessageFrame, OutputTransportMessageUrgentFrame]
const pipecat = FrameSerializer.makePipecat()
const json = FrameSerializer.makeJson({ frames: messages })

const subject = (
  serializer: FrameSerializer.Serializer,
  carries: TransportContract.Subject["carries"]
): TransportContract.Subject => ({
  open: (frames, options) =>
    Effect.gen(function*() {
      const made = yield* Deferred.make<Transport.Transport>()
      const { url } = yield* serve({
        paths: { "/ws": MessageProtocol.fromSerializer(serializer) },
        transport: options,
        session: (transport) => Effect.andThen(Deferred.succeed(made, transport), Effect.never)
      })
      const client = yield* connect(`${url}/ws`)
      for (const frame of frames) {
        const message = serializer.encodeUnsafe(
          InputTransportMessageFrame.is(frame) && serializer === pipecat
            ? OutputTransportMessageUrgentFrame.make({ message: frame.message })
            : frame
        )
        client.socket.send(message)
      }
      return {
        transport: yield* Deferred.await(made),
        farEnd: {
          received: () =>
            client.received.map((message) => {
              const frame = serializer.decodeUnsafe(message)
              return OutputTransportMessageFrame.is(frame) || OutputTransportMessageUrgentFrame.is(frame)
                ? InputTransportMessageFrame.make({ message: frame.message })
                : frame
            }).filter((frame) => !Frame.StartInterruptionFrame.is(frame)),
          isClosed: client.isClosed,
          hangUp: Effect.sync(() => client.socket.close())
        }
      }
    }),
  sampleRate: 16_000,
  audioIn: true,
  audioOut: true,
  paced: true,
  staysOpen: true,
  carries
})

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const [input, output] = [
  InputTransportMessageFrame.make({ message: { n: 1 } }),
  OutputTransportMessageFrame.make({
    message: { n: 1 }
  })
]

transportContract("WebSocket, pipecat", subject(pipecat, { in: [text("a"), input, text("b")], out: [output] }), {
  time: "real"
})
transportContract(
  "WebSocket, JSON",
  subject(json, { in: [text("a"), input, text("b")], out: [text("a"), output, text("b")] }),
  { time: "real" }
)

// ---------------------------------------------------------------------------------------------------------------------

const audio = (millis: number, sampleRate = 16_000): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: new Uint8Array(millis * sampleRate / 500), sampleRate, numChannels: 1 })

const paths = {
  "/ws": MessageProtocol.fromSerializer(pipecat),
  "/json": MessageProtocol.fromSerializer(json)
}

/** Sends back what comes, and the messages. */
const echo = (transport: Transport.Transport) =>
  PipelineTask.make(
    Pipeline.make(
      transport.input,
      Processor.sync("Echo", {
        InputTransportMessageFrame: (frame, push) =>
          push(OutputTransportMessageUrgentFrame.make({ message: frame.message }))
      }, { frames: [InputTransportMessageFrame] }),
      transport.output
    ),
    { audioOutSampleRate: 16_000 }
  )

/** Says something to each client, for a while. */
const speaker = (millis: number) => (transport: Transport.Transport) =>
  Effect.gen(function*() {
    const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
    yield* task.queueFrame(audio(millis, 24_000))
    return task
  })

const until = (condition: () => boolean, millis = 5000): Effect.Effect<void, Error> =>
  Effect.gen(function*() {
    for (let left = millis; !condition(); left -= 5) {
      if (left <= 0) return yield* Effect.fail(new Error(`not within ${millis} ms: ${condition}`))
      yield* Effect.sleep(5)
    }
  })

const closing = (client: WebSocketClient) => Effect.promise(() => client.closed)
const gone = ({ server }: Served) =>
  Effect.forEach(
    Array.from({ length: 1000 }),
    () => Effect.flatMap(server.clients, ({ length }) => length === 0 ? Effect.void : Effect.sleep(5)),
    { discard: true }
  )

const heard = (client: WebSocketClient): number =>
  client.received.reduce((sum, message) => {
    const frame = pipecat.decodeUnsafe(message)
    return Frame.AudioRawFrame.is(frame) ? sum + frame.duration : sum
  }, 0)

const say = (client: WebSocketClient, message: unknown): void =>
  client.socket.send(pipecat.encodeUnsafe(OutputTransportMessageUrgentFrame.make({ message })))

const answers = (client: WebSocketClient): ReadonlyArray<unknown> =>
  client.received.flatMap((message) => {
    const frame = pipecat.decodeUnsafe(message)
    return InputTransportMessageFrame.is(frame) ? [frame.message] : []
  })

const logged = ({ log }: Served, pattern: RegExp) => until(() => log.some((line) => pattern.test(line)))

describe("sessions", () => {
  it.live("every client has its own, on the path of its protocol", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo })
      const [a, b] = [yield* connect(`${served.url}/ws`), yield* connect(`${served.url}/json`)]
      say(a, "from a")
      b.socket.send(json.encodeUnsafe(text("from b")))
      yield* until(() => a.received.length > 0 && b.received.length > 0)
      deepStrictEqual(answers(a), ["from a"])
      deepStrictEqual(b.received.map((message) => (json.decodeUnsafe(message) as Frame.TextFrame).text), ["from b"])
      deepStrictEqual((yield* served.server.clients).map(({ id, url }) => [id, url.pathname]), [[1, "/ws"], [
        2,
        "/json"
      ]])
      a.socket.close(1001)
      yield* closing(a)
      yield* logged(served, /gone after .* s: the other side goes away \(1001\)$/)
      say(b as any, "")
      b.socket.close()
      yield* gone(served)
    }))

  it.live("is over when its task is: what is said last gets out, then the connection is closed", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        paths,
        session: (transport) => Effect.tap(speaker(300)(transport), (task) => task.stopWhenDone)
      })
      const client = yield* connect(`${served.url}/ws`)
      deepStrictEqual(yield* closing(client), { code: 1000, reason: "the task has ended" })
      strictEqual(heard(client), 320)
      yield* gone(served)
    }))

  it.live("that cannot be made closes the connection: 1011", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: () => Effect.fail(new Error("no model")) })
      const client = yield* connect(`${served.url}/ws`)
      deepStrictEqual(yield* closing(client), { code: 1011, reason: "no session: Error: no model" })
      const other = yield* connect(`${served.url}/ws`)
      strictEqual((yield* closing(other)).code, 1011)
    }))

  it.live("whose task fails closes the connection: 1011; nobody else is disturbed", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        paths,
        session: (transport, client) =>
          PipelineTask.make(
            Pipeline.make(
              transport.input,
              Processor.sync("Fragile", {
                TextFrame: () => {
                  throw new Error("a bug")
                }
              }),
              transport.output
            ),
            { name: `task ${client.id}` }
          )
      })
      const [a, b] = [yield* connect(`${served.url}/ws`), yield* connect(`${served.url}/ws`)]
      a.socket.send(pipecat.encodeUnsafe(text("x")))
      strictEqual((yield* closing(a)).code, 1011)
      yield* Effect.sleep(50)
      strictEqual(b.isClosed(), false)
      yield* logged(served, /a bug/)
    }))

  it.live("is ended in order after its time", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: speaker(400), sessionTimeout: "100 millis" })
      const client = yield* connect(`${served.url}/ws`)
      deepStrictEqual(yield* closing(client), { code: 1000, reason: "the session has lasted 100ms" })
      strictEqual(heard(client), 400)
    }))

  it.live("tells clients that an interruption cuts what they have", () =>
    Effect.gen(function*() {
      const made = yield* Deferred.make<PipelineTask.PipelineTask>()
      const served = yield* serve({
        paths,
        session: (transport) => Effect.tap(speaker(3000)(transport), (task) => Deferred.succeed(made, task))
      })
      const client = yield* connect(`${served.url}/ws`)
      const task = yield* Deferred.await(made)
      yield* until(() => client.received.length > 3)
      yield* task.interrupt
      yield* Effect.sleep(150)
      strictEqual(pipecat.decodeUnsafe(client.received.at(-1)!)._tag, "StartInterruptionFrame")
      assert.isBelow(heard(client), 600)
    }))

  it.live("a transport may be made of the messages themselves: a telephone call", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        paths: { "/twilio": (messages) => TelephonyTransport.make(messages) },
        session: (transport) => PipelineTask.make(Pipeline.make(transport.input, transport.output))
      })
      const client = yield* connect(`${served.url}/twilio`)
      client.socket.send(JSON.stringify({ event: "connected", protocol: "Call", version: "1.0.0" }))
      client.socket.send(JSON.stringify({ event: "start", start: { streamSid: "MZ1", callSid: "CA1" } }))
      const payload = Buffer.alloc(160, 0x90).toString("base64")
      const sending = yield* Effect.forkScoped(Effect.forever(Effect.andThen(
        Effect.sleep(20),
        Effect.sync(() => client.socket.send(JSON.stringify({ event: "media", streamSid: "MZ1", media: { payload } })))
      )))
      yield* until(() => client.received.filter((message) => String(message).includes(`"media"`)).length > 3)
      yield* Fiber.interrupt(sending)
      client.socket.send(JSON.stringify({ event: "stop", streamSid: "MZ1", stop: { callSid: "CA1" } }))
      yield* closing(client)
      yield* gone(served)

      const silent = yield* connect(`${served.url}/twilio`)
      silent.socket.close()
      yield* gone(served)
    }))

  it.live("a request that is no WebSocket is told so", () =>
    Effect.gen(function*() {
      const { port } = yield* serve({ paths, session: echo })
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/ws`))
      strictEqual(response.status, 426)
    }))
})

describe("over TLS", () => {
  const certificate = Effect.promise(() =>
    selfsigned.generate([{ name: "commonName", value: "127.0.0.1" }], {
      keyType: "ec",
      extensions: [{ name: "subjectAltName", altNames: [{ type: 7, ip: "127.0.0.1" }] }]
    })
  )

  it.live("wss: audio and messages both ways, pings, a farewell", () =>
    Effect.gen(function*() {
      const { cert, private: key } = yield* certificate
      const scope = yield* Scope.make()
      const ping = { interval: "50 millis", timeout: "1 second" } as const
      const served = yield* Scope.provide(serve({ paths, session: echo, ping }, { tls: { cert, key } }), scope)
      assert.match(served.url, /^wss:/)
      const client = yield* connect(`${served.url}/ws`, { ca: cert })
      let pings = 0
      client.socket.on("ping", () => pings++)
      say(client, "hello")
      client.socket.send(pipecat.encodeUnsafe(audio(200)))
      yield* until(() => answers(client).length === 1 && heard(client) === 200 && pings > 1)
      yield* Scope.close(scope, Exit.void)
      deepStrictEqual(yield* closing(client), { code: 1001, reason: "the server goes away" })
    }))

  it.live("who does not trust the certificate, or does not speak TLS, has no session; others are not disturbed", () =>
    Effect.gen(function*() {
      const { cert, private: key } = yield* certificate
      const served = yield* serve({ paths, session: echo }, { tls: { cert, key } })
      const client = yield* connect(`${served.url}/ws`, { ca: cert })
      assert.match((yield* Effect.flip(connect(`${served.url}/ws`))).message, /self.signed/)
      yield* Effect.flip(connect(`ws://127.0.0.1:${served.port}/ws`))
      say(client, "hello")
      yield* until(() => answers(client).length === 1)
      strictEqual(yield* served.server.connections, 1)
    }))
})

describe("compression", () => {
  it.live("a client that offers it is served without", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo })
      const client = yield* connect(`${served.url}/ws`, { perMessageDeflate: { threshold: 0 } })
      strictEqual(client.socket.extensions, "")
      const long = "x".repeat(100_000)
      say(client, long)
      client.socket.send(pipecat.encodeUnsafe(audio(200)))
      yield* until(() => answers(client).length === 1 && heard(client) === 200)
      deepStrictEqual(answers(client), [long])
    }))

  it.live("a client that compresses unasked breaks the rules", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo })
      const raw = yield* rawClient(served.port)
      // final, compressed, binary; masked, two bytes
      raw.write(Uint8Array.of(0xc2, 0x82, 0, 0, 0, 0, 1, 2))
      yield* until(raw.isClosed)
      yield* logged(served, /^gone/)
    }))
})

describe("who may connect", () => {
  it.live("so many at once: 1013", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo, limits: { clients: 2 } })
      const [a, , c] = [
        yield* connect(`${served.url}/ws`),
        yield* connect(`${served.url}/json`),
        yield* connect(`${served.url}/ws`)
      ]
      deepStrictEqual(yield* closing(c), { code: 1013, reason: "2 clients are connected" })
      a.socket.close()
      yield* logged(served, /^gone/)
      const d = yield* connect(`${served.url}/ws`)
      say(d, "hello")
      yield* until(() => answers(d).length === 1)
      strictEqual(yield* served.server.connections, 4)
      yield* logged(served, /^refused: 2 clients are connected \(1013\)$/)
    }))

  it.live("origins and tokens: 4003", () =>
    Effect.gen(function*() {
      const { url } = yield* serve({
        paths,
        session: echo,
        origins: ["https://good.example"],
        authorize: ({ token }) => Effect.succeed(token === "secret")
      })
      const bad = yield* connect(`${url}/ws?token=secret`, { origin: "https://evil.example" })
      strictEqual((yield* closing(bad)).code, 4003)
      const none = yield* connect(`${url}/ws`, { origin: "https://good.example" })
      deepStrictEqual(yield* closing(none), { code: 4003, reason: "not authorized" })
      const good = yield* connect(`${url}/ws?token=secret`, { origin: "https://good.example" })
      const header = yield* connect(`${url}/ws`, { headers: { authorization: "Bearer secret" } })
      for (const client of [good, header]) {
        say(client, "hello")
        yield* until(() => answers(client).length === 1)
      }
    }))

  it.live("another path: 404", () =>
    Effect.gen(function*() {
      const { url } = yield* serve({ paths, session: echo })
      assert.match((yield* Effect.flip(connect(`${url}/other`))).message, /404/)
    }))
})

describe("faults", () => {
  /** Whatever happens, nothing is left of it when the server has closed. */
  const fault = (name: string, body: () => Effect.Effect<void, unknown, Scope.Scope>, timeout?: number): void =>
    it.live(name, () =>
      Effect.gen(function*() {
        const [, alive] = yield* leaks(Effect.scoped(body()))
        strictEqual(alive, 0, "fibers that are left")
      }), timeout)

  /** A client that does well, all the time: what the others do must not be noticed. */
  const bystander = (served: Served) =>
    Effect.gen(function*() {
      const client = yield* connect(`${served.url}/ws`)
      let n = 0
      yield* Effect.forkScoped(Effect.forever(Effect.andThen(
        Effect.sleep(10),
        Effect.sync(() => say(client, ++n))
      )))
      return Effect.gen(function*() {
        const before = n
        yield* until(() => answers(client).length >= before)
        deepStrictEqual(answers(client), Array.from({ length: answers(client).length }, (_, i) => i + 1))
        strictEqual(client.isClosed(), false)
      })
    })

  fault("a client vanishes in the middle of a sentence", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: speaker(5000), farewellTimeout: "100 millis" })
      const [a, b] = [yield* connect(`${served.url}/ws`), yield* connect(`${served.url}/ws`)]
      yield* until(() => heard(a) > 200)
      a.socket.terminate()
      yield* logged(served, /gone after .* s: the connection is broken \(1006\)$/)
      const before = heard(b)
      yield* Effect.sleep(400)
      assert.isAtLeast(heard(b), before + 300)
      strictEqual((yield* served.server.clients).length, 1)
    }))

  fault("a half-open socket: nothing comes, not even the answer to a ping", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        paths,
        session: speaker(60_000),
        farewellTimeout: "100 millis",
        ping: { interval: "100 millis", timeout: "100 millis" }
      })
      const well = yield* connect(`${served.url}/ws`)
      const raw = yield* rawClient(served.port)
      yield* until(() => raw.received() > 1000)
      yield* logged(served, /^gone after .* s: the client does not answer: no byte for 200 ms \(1006\)$/)
      yield* until(raw.isClosed)
      yield* Effect.sleep(300)
      strictEqual(well.isClosed(), false)
      assert.isBelow(raw.received(), 60_000)
    }))

  fault(
    "garbage, a text frame, odd PCM, an impossible rate, a truncated message, an unknown one",
    () =>
      Effect.gen(function*() {
        const served = yield* serve({ paths, session: echo })
        const check = yield* bystander(served)
        const client = yield* connect(`${served.url}/ws`)
        const good = pipecat.encodeUnsafe(audio(20))
        const frames = [
          Uint8Array.of(1, 2, 3, 255, 0),
          "hello",
          new Uint8Array(0),
          // AudioRawFrame { audio: 3 bytes, sample_rate: 16000, num_channels: 1 }
          Uint8Array.of(0x12, 0x0a, 0x1a, 0x03, 1, 2, 3, 0x20, 0x80, 0x7d, 0x28, 0x01),
          // sample_rate: 0
          Uint8Array.of(0x12, 0x08, 0x1a, 0x02, 1, 2, 0x20, 0x00, 0x28, 0x01),
          good.subarray(0, good.length - 7),
          Uint8Array.of(0x7a, 0x00)
        ]
        for (const frame of frames) client.socket.send(frame)
        client.socket.send(pipecat.encodeUnsafe(audio(20, 7)))
        client.socket.send(pipecat.encodeUnsafe(audio(100, 96_000)))
        say(client, "still here")
        yield* until(() => answers(client).length > 0 && heard(client) > 0)
        deepStrictEqual(answers(client), ["still here"])
        yield* logged(served, /TransportInput: pipecat: found field number 0, expected a field number/)
        yield* check
      })
  )

  fault("nothing but garbage: 1008", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo, limits: { invalidMessages: 10 } })
      const check = yield* bystander(served)
      const client = yield* connect(`${served.url}/ws`)
      for (let i = 0; i < 20; i++) client.socket.send("garbage")
      const { code, reason } = yield* closing(client)
      strictEqual(code, 1008)
      assert.match(reason, /^too many messages that cannot be understood; the last: pipecat/)
      yield* logged(served, /^gone after .* s: too many messages that cannot be understood; .* \(1008\)$/)
      yield* check
    }))

  fault("a frame that breaks the rules of WebSockets", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo })
      const check = yield* bystander(served)
      const raw = yield* rawClient(served.port)
      raw.write(Uint8Array.of(0xff, 0xff, 0xff, 0xff))
      yield* until(raw.isClosed)
      yield* logged(served, /^gone after .* s: the read failed: .* \(1002\)$/)
      yield* check
    }))

  fault("an over-long message: 1009, by the limit of the path and by that of the server", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo, limits: { messageSize: 1000 } }, { messageSize: 100_000 })
      const check = yield* bystander(served)
      for (const size of [1001, 100_001]) {
        const client = yield* connect(`${served.url}/ws`)
        client.socket.send(new Uint8Array(size))
        strictEqual((yield* closing(client)).code, 1009)
      }
      yield* logged(served, /gone after .* s: a message of 1001 bytes; the limit is 1000 \(1009\)/)
      yield* check
    }))

  fault("a megabyte of base64", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo })
      const check = yield* bystander(served)
      const client = yield* connect(`${served.url}/ws`)
      const message = { t: "x", d: "QUJD".repeat(256 * 1024) }
      say(client, message)
      yield* until(() => answers(client).length > 0)
      deepStrictEqual(answers(client), [message])
      say(client, { ...message, more: "x".repeat(2000) })
      strictEqual((yield* closing(client)).code, 1009)
      yield* logged(served, /^gone after .* \(1009\)$/)
      yield* check
    }))

  fault("too many messages: 1008", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo, limits: { messagesPerSecond: 110 } })
      const check = yield* bystander(served)
      const client = yield* connect(`${served.url}/ws`)
      for (let i = 0; i < 400; i++) say(client, i)
      deepStrictEqual(yield* closing(client), { code: 1008, reason: "more than 110 messages a second" })
      yield* logged(served, /^gone after .* s: more than 110 messages a second \(1008\)$/)
      yield* check
    }))

  fault("a client that reads nothing costs bounded memory and is dropped, with a reason", () =>
    Effect.gen(function*() {
      const flood = Uint8Array.from({ length: 32 * 1024 }, (_, i) => i)
      let sent = 0
      const served = yield* serve({
        paths,
        limits: { buffered: 256 * 1024, slowness: "300 millis" },
        session: (transport, client) =>
          client.url.pathname === "/ws" ? echo(transport) : Effect.gen(function*() {
            const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
            const image = () =>
              Frame.ImageRawFrame.make({ image: flood, width: 1, height: 1, format: "raw", mode: "L" })
            yield* Effect.forkScoped(Effect.forever(Effect.andThen(
              Effect.suspend(() => task.queueFrame(image())),
              Effect.sync(() => sent++)
            )))
            return task
          })
      })
      const check = yield* bystander(served)
      const slow = yield* connect(`${served.url}/json`)
      slow.socket.pause()
      const before = process.memoryUsage().arrayBuffers
      yield* logged(served, /gone after .* s: the client does not read: \d+ bytes wait, for 300 ms \(1008\)/)
      assert.isBelow(process.memoryUsage().arrayBuffers - before, 64 * 1024 * 1024)
      const total = sent
      yield* Effect.sleep(100)
      strictEqual(sent, total)
      yield* check
    }))

  fault("a client that reads slowly is served slowly, and loses nothing", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        paths,
        limits: { buffered: 1024 },
        session: (transport) =>
          Effect.gen(function*() {
            const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
            const long = "x".repeat(20_000)
            yield* Effect.forkScoped(task.queueFrames(Array.from({ length: 1000 }, (_, i) => text(`${i} ${long}`))))
            return task
          })
      })
      const client = yield* connect(`${served.url}/json`)
      for (let i = 0; client.received.length < 1000 && i < 200; i++) {
        client.socket.pause()
        yield* Effect.sleep(10)
        client.socket.resume()
        yield* Effect.sleep(10)
      }
      deepStrictEqual(
        client.received.map((message) => parseInt((json.decodeUnsafe(message) as Frame.TextFrame).text)),
        Array.from({ length: 1000 }, (_, i) => i)
      )
    }))

  fault("ten thousand connections leave nothing behind", () =>
    Effect.gen(function*() {
      const served = yield* serve({ paths, session: echo })
      const check = yield* bystander(served)
      setFlagsFromString("--expose-gc")
      const collect: () => void = runInNewContext("gc")
      const held = (): number => {
        collect()
        const { arrayBuffers, heapUsed } = process.memoryUsage()
        return heapUsed + arrayBuffers
      }
      const handles = () => process.getActiveResourcesInfo().filter((name) => !/Immediate|TTY|Pipe/.test(name)).length
      const one = Effect.gen(function*() {
        const client = yield* connect(`${served.url}/ws`)
        say(client, 1)
        // some leave in order, some do not, some at once
        const i = yield* served.server.connections
        if (i % 3 === 0) yield* until(() => client.received.length > 0)
        if (i % 2 === 0) client.socket.terminate()
        else client.socket.close()
        yield* closing(client)
      })
      const round = (n: number) =>
        Effect.forEach(Array.from({ length: n }), () => one, { concurrency: 20, discard: true })
      const settled = Effect.andThen(
        Effect.sleep(300),
        Effect.map(served.server.clients, ({ length }) => strictEqual(length, 1))
      )
      yield* round(500)
      yield* settled
      const before = handles()
      const [memory, lines] = [held(), served.log.length]
      yield* round(9500)
      yield* settled
      assert.isAtMost(handles(), before + 3)
      strictEqual(yield* served.server.connections, 10_001)
      strictEqual(served.log.filter((line) => line.startsWith("gone after")).length, 10_000)
      served.log.splice(lines)
      // less than a KiB of each
      assert.isBelow(held() - memory, 9500 * 1024)
      yield* check
    }), 120_000)
})

describe("the end of the server", () => {
  it.live("farewells get out, then clients are closed: 1001; who comes then is not let in", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const served = yield* Scope.provide(serve({ paths, session: speaker(600) }), scope)
      const clients = [yield* connect(`${served.url}/ws`), yield* connect(`${served.url}/ws`)]
      yield* until(() => clients.every((client) => heard(client) > 0))
      const since = Date.now()
      const closingScope = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* Effect.sleep(50)
      yield* Effect.flip(connect(`${served.url}/ws`))
      for (const client of clients) {
        deepStrictEqual(yield* closing(client), { code: 1001, reason: "the server goes away" })
        strictEqual(heard(client), 600)
      }
      yield* Fiber.join(closingScope)
      assert.isBelow(Date.now() - since, 2500)
      yield* Effect.flip(connect(`${served.url}/ws`))
      strictEqual(served.log.filter((line) => /gone after .* s: the server goes away \(1001\)/.test(line)).length, 2)
    }))

  it.live("what takes too long is cut", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const served = yield* Scope.provide(
        serve({ paths, session: speaker(60_000), farewellTimeout: "200 millis" }),
        scope
      )
      const client = yield* connect(`${served.url}/ws`)
      yield* until(() => heard(client) > 0)
      const since = Date.now()
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(Date.now() - since, 1500)
      strictEqual((yield* closing(client)).code, 1001)
      yield* logged(served, /the session has not ended after 200 ms: cut/)
    }))

  it.live("a client that does not answer the close is not waited for", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const served = yield* Scope.provide(serve({ paths, session: echo }), scope)
      const raw = yield* rawClient(served.port)
      yield* Effect.sleep(50)
      const since = Date.now()
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(Date.now() - since, 2000)
      yield* until(raw.isClosed)
    }))

  it("SIGTERM with clients connected: they hear the farewell, and the process is gone in time", async () => {
    const port = 20_000 + Math.floor(Math.random() * 11_999)
    const child = start(["test/fixtures/webSocketServer.ts", String(port)])
    await child.printed("listening")
    const clients = await Promise.all(
      Array.from({ length: 3 }, () => Effect.runPromise(connect(`ws://127.0.0.1:${port}/ws`)))
    )
    await Effect.runPromise(until(() => clients.every((client) => heard(client) > 0)))
    child.kill("SIGTERM")
    for (const client of clients) {
      deepStrictEqual(await client.closed, { code: 1001, reason: "the server goes away" })
      strictEqual(heard(client), 600)
    }
    const { code, milliseconds, stderr, stdout } = await child.ended
    strictEqual(code, 143)
    assert.isBelow(milliseconds, 4000)
    strictEqual(stdout.match(/gone after .* s: the server goes away \(1001\)/g)?.length, 3, stdout)
    strictEqual(stderr, "")
  })
})

describe("options", () => {
  it("that cannot work", () => {
    const make = (options: Partial<WebSocketServer.Options>) => () =>
      WebSocketServer.layer({ paths, session: echo, ...options })
    assert.throws(
      make({ limits: { clients: 0 } }),
      /^WebSocketServer: limits.clients: found 0, expected a finite number greater than zero/
    )
    assert.throws(make({ ping: { interval: 0 } }), /ping.interval: found 0/)
    assert.throws(make({ farewellTimeout: "-1 seconds" }), /farewellTimeout/)
  })
})
