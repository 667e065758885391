import * as Frame from "@apipeline/core/Frame"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import type { Call, Vendor, Wire } from "@apipeline/core/Telephony"
import { leaks } from "@apipeline/core/testing"
import { InputDtmfFrame } from "@apipeline/core/VoiceFrames"
import * as TelephoneServer from "@apipeline/node/TelephoneServer"
import * as WebSocketServer from "@apipeline/node/WebSocketServer"
import { assert, describe, it, vi } from "@effect/vitest"
import { Effect, Exit, Layer, Logger, Redacted, References, Schedule, Scope } from "effect"
import { HttpRouter } from "effect/http"
import { createHmac } from "node:crypto"
import * as Transcript from "../fixtures/telephony/transcript.ts"
import { start } from "../utils/child.ts"
import { connect, rawClient, type WebSocketClient } from "../utils/webSocket.ts"

const { deepStrictEqual, match, strictEqual } = assert

// ---------------------------------------------------------------------------------------------------------------------
// a server
// ---------------------------------------------------------------------------------------------------------------------

interface Session extends TelephoneServer.Telephone {
  readonly task: PipelineTask.PipelineTask<any>
  /** Audio of the caller, and keys. */
  readonly audio: Array<Uint8Array>
  readonly keys: Array<string>
}

interface Served {
  readonly url: string
  readonly port: number
  readonly server: TelephoneServer.TelephoneServer["Service"]
  readonly sessions: Array<Session>
  readonly hungUp: Array<Call>
  readonly log: Array<string>
}

/** Hears what the caller says; what the bot says passes. */
const makeEars = (audio: Array<Uint8Array>, keys: Array<string>) =>
  Processor.sync("Ears", {
    AudioRawFrame: (frame, push) => {
      if (frame.metadata?.bot === true) push(frame)
      else audio.push(frame.audio)
    },
    InputDtmfFrame: ({ key }) => {
      keys.push(key)
    }
  }, { frames: [InputDtmfFrame] })

const serve = (
  options: Partial<TelephoneServer.Options<unknown>> = {}
): Effect.Effect<Served, unknown, Scope.Scope> =>
  Effect.gen(function*() {
    const log: Array<string> = []
    const logger = Logger.make(({ message }) => {
      log.push(Array.isArray(message) ? message.map(String).join(" ") : String(message))
    })
    const sessions: Array<Session> = []
    const hungUp: Array<Call> = []
    const session = Effect.fnUntraced(function*(telephone: TelephoneServer.Telephone) {
      const { call, transport } = telephone
      const [audio, keys]: [Array<Uint8Array>, Array<string>] = [[], []]
      const task = yield* PipelineTask.make(
        Pipeline.make(transport.input, makeEars(audio, keys), transport.output),
        { audioInSampleRate: call.sampleRate, audioOutSampleRate: call.sampleRate }
      )
      const made: Session = { ...telephone, task, audio, keys }
      sessions.push(made)
      return task
    })
    const hangUp = (call: Call) => Effect.sync(() => void hungUp.push(call))
    const all: TelephoneServer.Options<unknown> = {
      path: "/calls",
      session,
      farewellTimeout: "1 second",
      ...options,
      telephony: { hangUp, ...options.telephony }
    }
    const attempt = Effect.suspend(() => {
      // below the range that systems give to clients
      const port = 20_000 + Math.floor(Math.random() * 11_999)
      const layer = HttpRouter.serve(TelephoneServer.layer(all), { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provide(WebSocketServer.layerHttp({ port })),
        Layer.provide([Logger.layer([logger]), Layer.succeed(References.MinimumLogLevel, "Debug")])
      )
      return Effect.map(Layer.build(layer), (context) => ({ port, context }))
    })
    const { context, port } = yield* Effect.retry(attempt, Schedule.recurs(10))
    const server = yield* Effect.provide(TelephoneServer.TelephoneServer.use(Effect.succeed), context)
    return { url: `ws://127.0.0.1:${port}/calls`, port, server, sessions, hungUp, log }
  })

const until = (what: string, condition: () => boolean, millis = 5000): Effect.Effect<void, Error> =>
  Effect.gen(function*() {
    const end = performance.now() + millis
    while (!condition()) {
      if (performance.now() > end) return yield* Effect.fail(new Error(`not within ${millis} ms: ${what}`))
      yield* Effect.sleep(5)
    }
  })

const logged = ({ log }: Served, pattern: RegExp) =>
  Effect.tapError(
    until(`${pattern}`, () => log.some((line) => pattern.test(line))),
    () => Effect.sync(() => console.log(log))
  )

const closing = (client: WebSocketClient) => Effect.promise(() => client.closed)

const nobody = ({ server }: Served) =>
  Effect.gen(function*() {
    for (let i = 0; i < 400 && (yield* server.clients).length > 0; i++) yield* Effect.sleep(5)
    deepStrictEqual([yield* server.clients, yield* server.calls], [[], []])
  })

// ---------------------------------------------------------------------------------------------------------------------
// vendors
// ---------------------------------------------------------------------------------------------------------------------

const json = (value: unknown): string => JSON.stringify(value)
const bytes = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"))
const parse = (message: Wire): any => typeof message === "string" ? JSON.parse(message) : undefined

/** What is recorded of a vendor: how a call starts, what comes, how it ends. */
interface Recording {
  readonly call: { readonly vendor: Vendor } & Record<string, unknown>
  readonly opening: ReadonlyArray<Wire>
  readonly body: ReadonlyArray<Wire>
  readonly ending: ReadonlyArray<Wire>
  /** What a pipeline gets of all that. */
  readonly audio: string
  readonly keys: ReadonlyArray<string>
}

const record = (name: string): Recording => {
  const rows = Transcript.read(name)
  const callAt = rows.findIndex((row) => row["call"] !== undefined)
  const endedAt = rows.findIndex((row) => row["ended"] !== undefined)
  const end = endedAt < 0 ? rows.length : endedAt
  const isIn = (row: Transcript.Step) => row.in !== undefined || row.inBinary !== undefined
  const endingAt = endedAt < 0 ? end : rows.slice(0, end).findLastIndex(isIn)
  const messages = (from: number, to: number): ReadonlyArray<Wire> =>
    rows.slice(from, to).filter(isIn).map((row) => row.inBinary === undefined ? json(row.in) : bytes(row.inBinary))
  const happened = rows.slice(0, end)
  return {
    call: rows[callAt]!["call"] as Recording["call"],
    opening: messages(0, callAt),
    body: messages(callAt, endingAt),
    ending: messages(endingAt, end),
    audio: Buffer.concat(
      happened.flatMap(({ audio }) => typeof audio === "string" ? [Buffer.from(audio, "base64")] : [])
    ).toString("base64"),
    keys: happened.flatMap(({ key }) => typeof key === "string" ? [key] : [])
  }
}

interface Words {
  /** Bytes of audio in a message. */
  readonly media: (message: Wire) => number
  readonly bytesPerMilli: number
  /** What a vendor says when it has played everything up to a mark. */
  readonly played: ((message: any) => unknown) | undefined
  readonly isClear: (message: any) => boolean
}

const payload = (message: any): number => Buffer.from(message?.media?.payload ?? "", "base64").length
const binary = (message: Wire): number => typeof message === "string" ? 0 : message.length
const echoed = (message: any) => message.event === "mark" ? message : undefined

const words: Record<Vendor, Words> = {
  twilio: {
    media: (message) => payload(parse(message)),
    bytesPerMilli: 8,
    played: echoed,
    isClear: ({ event, streamSid }) => event === "clear" && streamSid !== undefined
  },
  telnyx: {
    media: (message) => payload(parse(message)),
    bytesPerMilli: 8,
    played: echoed,
    isClear: ({ event }) => event === "clear"
  },
  plivo: {
    media: (message) => payload(parse(message)),
    bytesPerMilli: 8,
    played: ({ event, name, streamId }) =>
      event === "checkpoint" ? { event: "playedStream", streamId, name } : undefined,
    isClear: ({ event, streamId }) => event === "clearAudio" && streamId !== undefined
  },
  exotel: {
    media: (message) => payload(parse(message)),
    bytesPerMilli: 16,
    played: echoed,
    isClear: ({ event, stream_sid }) => event === "clear" && stream_sid !== undefined
  },
  vonage: {
    media: binary,
    bytesPerMilli: 32,
    played: ({ action, payload }) => action === "notify" ? { event: "websocket:notify", payload } : undefined,
    isClear: ({ action }) => action === "clear"
  },
  genesys: {
    media: binary,
    bytesPerMilli: 8,
    played: undefined,
    isClear: ({ parameters, type }) => type === "event" && parameters.entities[0].type === "barge_in"
  }
}

const send = (client: WebSocketClient, messages: ReadonlyArray<Wire>): void => {
  for (const message of messages) client.socket.send(message)
}

const heard = (client: WebSocketClient, { bytesPerMilli, media }: Words): number =>
  client.received.reduce((sum, message) => sum + media(message) / bytesPerMilli, 0)

const twilio = record("twilio")

/** A caller whose call is on. */
const dial = (served: Served, { opening }: Recording = twilio) =>
  Effect.gen(function*() {
    const before = served.sessions.length
    const client = yield* connect(served.url)
    send(client, opening)
    yield* until("a session", () => served.sessions.length > before)
    return { client, session: served.sessions[before]! }
  })

const speak = ({ call, task }: Session, millis: number) => {
  const { sampleRate } = call
  const audio = Pcm.silence(millis, { sampleRate })
  return task.queueFrame(Frame.AudioRawFrame.make({ audio, sampleRate, numChannels: 1, metadata: { bot: true } }))
}

// ---------------------------------------------------------------------------------------------------------------------

describe("a call", () => {
  for (const name of ["twilio", "telnyx", "plivo", "exotel", "vonage", "genesys", "plivo-l16"]) {
    const recording = record(name)
    const say = words[recording.call.vendor]
    const scale = name === "plivo-l16" ? 4 : 1
    const line: Words = { ...say, bytesPerMilli: say.bytesPerMilli * scale }

    it.live(`of ${name}: audio both ways, keys, an interruption, what was played, the end`, () =>
      Effect.gen(function*() {
        // what comes last is heard, too: Telnyx's order is only known in the end
        const served = yield* serve({ telephony: { transport: { input: { onDisconnect: "end" } } } })
        const { client, session } = yield* dial(served, recording)
        const { packet: _, start: __, ...call } = session.call
        deepStrictEqual(JSON.parse(json(call)), recording.call)
        deepStrictEqual(yield* served.server.calls, [session.call])
        match(served.log.join("\n"), new RegExp(`^${call.vendor} `, "m"))

        send(client, recording.body)
        yield* until("all keys", () => session.keys.length >= recording.keys.length)
        deepStrictEqual(session.keys, recording.keys)

        // The bot says something, and the vendor tells when it was played.
        if (line.played !== undefined) {
          client.socket.on("message", (data: Buffer, isBinary: boolean) => {
            const answer = isBinary ? undefined : line.played!(JSON.parse(String(data)))
            if (answer !== undefined) client.socket.send(json(answer))
          })
        }
        yield* speak(session, 400)
        yield* until("400 ms of the bot", () => heard(client, line) >= 400)
        strictEqual(heard(client, line), 400)
        const played = () => session.session.statusUnsafe().played
        // AudioHook has no marks: what was played before it was recorded
        if (line.played !== undefined) yield* until("it was played", () => played() === 400)

        // The bot is interrupted.
        client.received.length = 0
        yield* speak(session, 3000)
        yield* until("the bot speaks", () => heard(client, line) > 0)
        const since = performance.now()
        yield* session.task.interrupt
        const isClear = (message: Wire) => typeof message === "string" && line.isClear(JSON.parse(message))
        yield* until("the interruption", () => client.received.some(isClear))
        assert.isBelow(performance.now() - since, 250)
        yield* Effect.sleep(300)
        const clearAt = client.received.findIndex(isClear)
        deepStrictEqual(client.received.slice(clearAt + 1).filter((message) => line.media(message) > 0), [])
        assert.isBelow(heard(client, line), 700)

        // The caller hangs up.
        if (recording.ending.length > 0) send(client, recording.ending)
        else client.socket.close()
        const { code } = yield* closing(client)
        assert.include([1000, 1005], code)
        yield* nobody(served)
        strictEqual(Buffer.concat(session.audio).toString("base64"), recording.audio)
        strictEqual(served.hungUp.length, recording.ending.length > 0 ? 0 : 1)
        yield* logged(served, /^gone after .* s: .*\(100[05]\)$/)
      }))
  }

  it.live("is over when its task is: what is said last gets out, then the call is hung up", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      const { client, session } = yield* dial(served)
      yield* speak(session, 300)
      yield* session.task.stopWhenDone
      deepStrictEqual(yield* closing(client), { code: 1000, reason: "the task has ended" })
      strictEqual(heard(client, words.twilio), 320)
      deepStrictEqual(served.hungUp, [session.call])
      yield* nobody(served)
    }))

  it.live("AudioHook is told that it is over, and agrees", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      const { client, session } = yield* dial(served, record("genesys"))
      client.socket.on("message", (data: Buffer, isBinary: boolean) => {
        const message = isBinary ? undefined : JSON.parse(String(data))
        if (message?.type !== "disconnect") return
        const { id } = message
        client.socket.send(
          json({
            version: "2",
            type: "close",
            id,
            seq: 2,
            serverseq: 2,
            position: "PT1S",
            parameters: { reason: "end" }
          })
        )
      })
      yield* session.task.stopWhenDone
      strictEqual((yield* closing(client)).code, 1000)
      deepStrictEqual(client.received.map((message) => parse(message).type), ["opened", "disconnect", "closed"])
    }))

  it.live("other calls come in meanwhile, from other vendors", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      const names = ["twilio", "telnyx", "plivo", "exotel", "vonage", "genesys"]
      const all = yield* Effect.forEach(names, (name) => dial(served, record(name)))
      deepStrictEqual((yield* served.server.calls).map(({ vendor }) => vendor).sort(), [...names].sort())
      yield* Effect.forEach(all, ({ session }) => speak(session, 200))
      yield* Effect.forEach(all, ({ client, session: { call } }) =>
        until(`${call.vendor} hears`, () => heard(client, words[call.vendor]) >= 200))
      for (const { client } of all) {
        client.socket.close()
      }
      yield* nobody(served)
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

  /** Somebody on the telephone who must not notice anything. */
  const bystander = (served: Served) =>
    Effect.gen(function*() {
      const { client, session } = yield* dial(served)
      yield* speak(session, 60_000)
      return Effect.gen(function*() {
        const before = heard(client, words.twilio)
        yield* Effect.sleep(300)
        assert.isAtLeast(heard(client, words.twilio), before + 200)
        strictEqual(client.isClosed(), false)
      })
    })

  fault("a call that never starts", () =>
    Effect.gen(function*() {
      const served = yield* serve({ telephony: { startTimeout: "150 millis" } })
      const client = yield* connect(served.url)
      send(client, [json({ event: "connected", protocol: "Call", version: "1.0.0" })])
      deepStrictEqual(yield* closing(client), {
        code: 1008,
        reason: "no call: open took longer than 150 ms"
      })
      yield* logged(served, /^gone after .* s: no call: open took longer than 150 ms \(1008\)$/)
      yield* nobody(served)
      strictEqual(served.sessions.length, 0)
    }))

  fault("somebody who leaves before the call starts", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      const [a, b] = [yield* connect(served.url), yield* connect(served.url)]
      a.socket.close()
      b.socket.terminate()
      yield* nobody(served)
      yield* until("both are logged", () => served.log.filter((line) => line.startsWith("gone")).length === 2)
      deepStrictEqual([served.sessions, served.hungUp], [[], []])
    }))

  fault("nothing but garbage before the call", () =>
    Effect.gen(function*() {
      const served = yield* serve({ limits: { invalidMessages: 10 } })
      const check = yield* bystander(served)
      const client = yield* connect(served.url)
      send(client, Array.from({ length: 40 }, (_, i) => i % 2 === 0 ? "garbage" : Uint8Array.of(1, 2, 3)))
      deepStrictEqual(yield* closing(client), {
        code: 1008,
        reason: "no call: 11 messages, none of which starts one"
      })
      yield* check
    }))

  fault("garbage, then a call", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      const client = yield* connect(served.url)
      send(client, ["garbage", Uint8Array.of(1, 2, 3), "{}", "[]", "null", ...twilio.opening])
      yield* until("a session", () => served.sessions.length === 1)
    }))

  fault("two seconds of audio in one go with the start are no garbage", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      const client = yield* connect(served.url)
      const media = json({ event: "media", media: { payload: "/4AAfw==" } })
      send(client, [...twilio.opening, ...Array.from({ length: 100 }, () => media)])
      yield* until("it is heard", () => served.sessions[0]?.audio.length === 100)
    }))

  fault("garbage in a call: it goes on; nothing else, and it is over", () =>
    Effect.gen(function*() {
      const served = yield* serve({ limits: { invalidMessages: 10 } })
      const check = yield* bystander(served)
      const { client, session } = yield* dial(served)
      for (let i = 0; i < 30; i++) {
        send(client, ["garbage", json({ event: "media", media: { payload: "no base64!" } }), Uint8Array.of(1)])
        send(client, [json({ event: "media", media: { payload: "/4AAfw==" } })])
        yield* until("it is heard", () => session.audio.length > i)
      }
      strictEqual(client.isClosed(), false)
      send(client, Array.from({ length: 30 }, () => "garbage"))
      const { code, reason } = yield* closing(client)
      strictEqual(code, 1008)
      match(reason, /^too many messages that cannot be understood; the last: /)
      yield* check
      deepStrictEqual(served.hungUp.map(({ vendor }) => vendor), ["twilio"])
    }))

  fault("somebody who vanishes in the middle of a call", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      const check = yield* bystander(served)
      const { client, session } = yield* dial(served, record("genesys"))
      yield* speak(session, 5000)
      yield* until("the bot speaks", () => heard(client, words.genesys) > 0)
      client.socket.terminate()
      yield* logged(served, /^gone after .* s: the connection is broken \(1006\)$/)
      strictEqual((yield* served.server.calls).length, 1)
      deepStrictEqual(served.hungUp, [session.call])
      yield* check
    }))

  fault("a half-open socket: nothing comes, not even the answer to a ping", () =>
    Effect.gen(function*() {
      const served = yield* serve({ ping: { interval: "100 millis", timeout: "100 millis" } })
      const raw = yield* rawClient(served.port, "/calls")
      yield* logged(served, /^gone after .* s: the client does not answer: no byte for 200 ms \(1006\)$/)
      yield* until("it is closed", raw.isClosed)
    }))

  fault("an over-long message: 1009; too many: 1008", () =>
    Effect.gen(function*() {
      const served = yield* serve({ limits: { messagesPerSecond: 60 } })
      const check = yield* bystander(served)
      const { client } = yield* dial(served)
      send(client, ["x".repeat(65_537)])
      deepStrictEqual(yield* closing(client), { code: 1009, reason: "a message of 65537 bytes; the limit is 65536" })
      const { client: other } = yield* dial(served)
      send(other, Array.from({ length: 300 }, () => json({ event: "media", media: { payload: "/4AAfw==" } })))
      deepStrictEqual(yield* closing(other), { code: 1008, reason: "more than 60 messages a second" })
      yield* check
    }))

  fault("somebody who does not read is dropped, with a reason", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        limits: { buffered: 16 * 1024, slowness: "300 millis" },
        telephony: { transport: { output: { realTime: false } } }
      })
      const check = yield* bystander(yield* serve())
      const { client, session } = yield* dial(served)
      client.socket.pause()
      yield* Effect.forkScoped(Effect.ignore(Effect.forever(speak(session, 10_000))))
      yield* logged(served, /^gone after .* s: the client does not read: \d+ bytes wait, for 300 ms \(1008\)$/)
      yield* nobody(served)
      yield* check
    }))

  fault("a session that cannot be made: 1011, and the call is hung up", () =>
    Effect.gen(function*() {
      const served = yield* serve({ session: () => Effect.fail(new Error("no model")) })
      const client = yield* connect(served.url)
      send(client, twilio.opening)
      deepStrictEqual(yield* closing(client), { code: 1011, reason: "no session: Error: no model" })
      yield* nobody(served)
      strictEqual(served.hungUp.length, 1)
    }))

  fault("who may not call: 4003; too many: 1013", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        limits: { clients: 1 },
        authorize: ({ token }) => Effect.succeed(token === "secret")
      })
      const bad = yield* connect(served.url)
      deepStrictEqual(yield* closing(bad), { code: 4003, reason: "not authorized" })
      yield* connect(`${served.url}?token=secret`)
      const more = yield* connect(`${served.url}?token=secret`)
      deepStrictEqual(yield* closing(more), { code: 1013, reason: "1 clients are connected" })
    }))

  fault(
    "who has no signature of a vendor: 4003, and 401 for its document; who has is served",
    () =>
      Effect.gen(function*() {
        const twilioSecret = { authToken: Redacted.make("12345"), origin: "https://example.com" }
        const genesysSecret = { apiKey: Redacted.make("key"), clientSecret: Redacted.make("c2VjcmV0") }
        const served = yield* serve({ answers: {}, signatures: { twilio: twilioSecret, genesys: genesysSecret } })
        const hmac = (text: string) => createHmac("sha1", "12345").update(text).digest("base64")
        const twilioHeaders = { "X-Twilio-Signature": hmac("wss://example.com/calls") }
        const stranger = yield* connect(served.url)
        deepStrictEqual(yield* closing(stranger), { code: 4003, reason: "not authorized" })
        yield* logged(served, /^no signature: twilio: x-twilio-signature: found nothing, expected a signature$/)
        const forger = yield* connect(served.url, {
          headers: { "X-Twilio-Signature": hmac("wss://example.com/other") }
        })
        strictEqual((yield* closing(forger)).code, 4003)
        const client = yield* connect(served.url, { headers: twilioHeaders })
        send(client, twilio.opening)
        yield* until("a session", () => served.sessions.length === 1)

        const created = Math.floor(Date.now() / 1000)
        const ids = {
          "Audiohook-Organization-Id": "o",
          "Audiohook-Session-Id": "s",
          "Audiohook-Correlation-Id": "c",
          "X-API-KEY": "key"
        }
        const names = ["@request-target", "@authority", ...Object.keys(ids).map((name) => name.toLowerCase())]
        const input = `(${names.map((name) => `"${name}"`).join(" ")});keyid="key";nonce="n1";alg="hmac-sha256";` +
          `created=${created};expires=${created + 10}`
        const values = ["/calls", `127.0.0.1:${served.port}`, ...Object.values(ids)]
        const base = [...names.map((name, i) => `"${name}": ${values[i]}`), `"@signature-params": ${input}`].join("\n")
        const signature = createHmac("sha256", "secret").update(base).digest("base64")
        const headers = { ...ids, "Signature-Input": `sig1=${input}`, Signature: `sig1=:${signature}:` }
        const hook = yield* connect(served.url, { headers })
        send(hook, record("genesys").opening)
        yield* until("another session", () => served.sessions.length === 2)
        deepStrictEqual((yield* served.server.calls).map(({ vendor }) => vendor), ["twilio", "genesys"])
        const again = yield* connect(served.url, { headers })
        strictEqual((yield* closing(again)).code, 4003)

        const post = (signature: string | undefined, from: string) =>
          Effect.promise(async () => {
            const response = await fetch(`http://127.0.0.1:${served.port}/calls/twilio?a=1`, {
              method: "POST",
              body: new URLSearchParams({ From: from, CallSid: "CA1" }),
              headers: signature === undefined ? {} : { "X-Twilio-Signature": signature }
            })
            return [response.status, await response.text()] as const
          })
        const good = hmac("https://example.com/calls/twilio?a=1CallSidCA1From+1555")
        const [status, body] = yield* post(good, "+1555")
        strictEqual(status, 200)
        assert.include(body, `<Parameter name="from" value="+1555"/>`)
        deepStrictEqual(yield* post(good, "+1556"), [401, "not signed"])
        deepStrictEqual(yield* post(undefined, "+1555"), [401, "not signed"])
        // what is not signed is not believed
        const json = yield* Effect.promise(async () => {
          const response = await fetch(`http://127.0.0.1:${served.port}/calls/twilio`, {
            method: "POST",
            body: `{"From":"+1666"}`,
            headers: {
              "content-type": "application/json",
              "X-Twilio-Signature": hmac("https://example.com/calls/twilio")
            }
          })
          return [response.status, await response.text()] as const
        })
        strictEqual(json[0], 200)
        assert.notInclude(json[1], "+1666")
      })
  )

  fault("five hundred calls leave nothing behind", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      const handles = () => process.getActiveResourcesInfo().filter((name) => !/Immediate|TTY|Pipe/.test(name)).length
      const names = ["twilio", "telnyx", "plivo", "exotel", "vonage", "genesys"]
      const recordings = names.map(record)
      const one = (i: number) =>
        Effect.gen(function*() {
          const { ending, opening } = recordings[i % recordings.length]!
          const client = yield* connect(served.url)
          if (i % 7 !== 0) send(client, opening)
          if (i % 3 === 0) yield* Effect.sleep(20)
          if (i % 5 === 0) client.socket.terminate()
          else if (i % 5 < 3 && i % 7 !== 0 && ending.length > 0) send(client, ending)
          else client.socket.close()
          yield* closing(client)
        })
      const round = (n: number) =>
        Effect.forEach(Array.from({ length: n }, (_, i) => i), one, { concurrency: 10, discard: true })
      yield* round(100)
      yield* nobody(served)
      yield* Effect.sleep(100)
      const before = handles()
      yield* round(400)
      yield* nobody(served)
      yield* Effect.sleep(100)
      assert.isAtMost(handles(), before + 3)
      strictEqual(yield* served.server.connections, 500)
      yield* until("all are logged", () => served.log.filter((line) => line.startsWith("gone")).length === 500)
      // a call that was on when its connection closed is hung up, once
      strictEqual(new Set(served.hungUp).size, served.hungUp.length)
    }), 60_000)
})

describe("the end of the server", () => {
  it.live("farewells get out, then calls are hung up: 1001", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const served = yield* Scope.provide(serve({ telephony: { goodbyeTimeout: "50 millis" } }), scope)
      const [a, b] = [yield* dial(served), yield* dial(served, record("genesys"))]
      const idle = yield* connect(served.url)
      for (const { session } of [a, b]) yield* speak(session, 600)
      yield* until("both bots speak", () => heard(a.client, words.twilio) > 0 && heard(b.client, words.genesys) > 0)
      const since = performance.now()
      yield* Scope.close(scope, Exit.void)
      assert.isBelow(performance.now() - since, 2500)
      for (const { client } of [a, b]) {
        deepStrictEqual(yield* closing(client), { code: 1001, reason: "the server goes away" })
      }
      deepStrictEqual(yield* closing(idle), { code: 1001, reason: "the server goes away" })
      strictEqual(heard(a.client, words.twilio), 600)
      strictEqual(heard(b.client, words.genesys), 600)
      strictEqual(parse(b.client.received.at(-1)!).type, "disconnect")
      // both, as AudioHook has not agreed
      strictEqual(served.hungUp.length, 2)
    }))

  it("is in order on a signal", async () => {
    const port = 20_000 + Math.floor(Math.random() * 11_999)
    const child = start(["test/fixtures/telephoneServer.ts", String(port)])
    await child.printed("listening")
    const client = await Effect.runPromise(connect(`ws://127.0.0.1:${port}/calls`))
    send(client, twilio.opening)
    await Effect.runPromise(until("the bot speaks", () => heard(client, words.twilio) > 0))
    child.kill("SIGTERM")
    deepStrictEqual(await client.closed, { code: 1001, reason: "the server goes away" })
    strictEqual(heard(client, words.twilio), 600)
    const { code, milliseconds, stderr, stdout } = await child.ended
    deepStrictEqual([code, stderr], [143, ""])
    assert.isBelow(milliseconds, 4000)
    match(stdout, /hung up CAf5d3a1e2b9c84d0f8a7b6c5d4e3f2a1b/)
  })
})

describe("answers", () => {
  const get = (served: Served, path: string, init?: RequestInit) =>
    Effect.promise(async () => {
      const response = await fetch(`http://127.0.0.1:${served.port}/calls${path}`, init)
      return [response.status, response.headers.get("content-type"), await response.text()] as const
    })

  it.live("lead the call to the WebSocket, and say who calls", () =>
    Effect.gen(function*() {
      const served = yield* serve({
        answers: { url: "wss://example.com/calls?a=1&b=2", parameters: { user: `Ann "<&>" O'Hara` } }
      })
      const xml = (content: string) => `<?xml version="1.0" encoding="UTF-8"?><Response>${content}</Response>`
      const url = "wss://example.com/calls?a=1&amp;b=2"
      const user = `<Parameter name="user" value="Ann &quot;&lt;&amp;&gt;&quot; O&apos;Hara"/>`
      const form = { method: "POST", body: new URLSearchParams({ From: "+1555", To: `"/>` }) }
      deepStrictEqual(yield* get(served, "/twilio", form), [
        200,
        "text/xml",
        xml(
          `<Connect><Stream url="${url}"><Parameter name="from" value="+1555"/>` +
            `<Parameter name="to" value="&quot;/&gt;"/>${user}</Stream></Connect>`
        )
      ])
      deepStrictEqual(yield* get(served, "/telnyx"), [
        200,
        "text/xml",
        xml(`<Connect><Stream url="${url}" bidirectionalMode="rtp">${user}</Stream></Connect>`)
      ])
      deepStrictEqual(yield* get(served, "/plivo"), [
        200,
        "text/xml",
        xml(
          `<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000" ` +
            `extraHeaders="user=Ann &quot;&lt;&amp;&gt;&quot; O&apos;Hara">${url}</Stream>`
        )
      ])
      const vonage = {
        type: "websocket",
        uri: "wss://example.com/calls?a=1&b=2",
        "content-type": "audio/l16;rate=16000",
        headers: { from: "15551", to: "15552", user: `Ann "<&>" O'Hara` }
      }
      for (
        const [path, init] of [
          ["/vonage?from=15551&to=15552", {}],
          ["/vonage", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: json({ from: "15551", to: "15552", uuid: 1 })
          }]
        ] as const
      ) {
        const [status, contentType, body] = yield* get(served, path, init)
        deepStrictEqual([status, contentType], [200, "application/json"])
        deepStrictEqual(JSON.parse(body), [{ action: "connect", endpoint: [vonage] }])
      }
    }))

  it.live("to whatever is posted", () =>
    Effect.gen(function*() {
      const served = yield* serve({ answers: {} })
      const expected = [
        200,
        "text/xml",
        `<?xml version="1.0" encoding="UTF-8"?><Response><Connect>` +
        `<Stream url="wss://127.0.0.1:${served.port}/calls"></Stream></Connect></Response>`
      ]
      for (const body of ["", "garbage", "\0\x01", "x".repeat(100_000)]) {
        deepStrictEqual<unknown>(yield* get(served, "/twilio", { method: "POST", body }), expected)
      }
      const wrong = { method: "POST", headers: { "content-type": "application/json" }, body: "{" }
      deepStrictEqual<unknown>(yield* get(served, "/twilio", wrong), expected)
      const control = { method: "POST", body: new URLSearchParams({ From: "a\0\x1bb" }) }
      assert.include((yield* get(served, "/twilio", control))[2], `<Parameter name="from" value="ab"/>`)
    }))

  it.live("only where they were asked for", () =>
    Effect.gen(function*() {
      const served = yield* serve()
      strictEqual((yield* get(served, "/twilio"))[0], 404)
      strictEqual((yield* get(served, ""))[0], 426)
    }))
})

describe("options", () => {
  it("that cannot work", () => {
    const make = (options: Partial<TelephoneServer.Options>) => () =>
      TelephoneServer.layer({ path: "/calls", session: () => Effect.never, ...options })
    assert.throws(
      make({ limits: { clients: 0 } }),
      /^TelephoneServer: limits.clients: found 0, expected a finite number/
    )
    assert.throws(make({ telephony: { startTimeout: 0 } }), /TelephoneServer: telephony.startTimeout: found 0 ms/)
    assert.throws(make({ farewellTimeout: "-1 seconds" }), /farewellTimeout/)
  })
})

// ---------------------------------------------------------------------------------------------------------------------
// the Twilio dialect of pipecat's client
// ---------------------------------------------------------------------------------------------------------------------

// The client is made for browsers: this is all that Node lacks.
Object.assign(globalThis, { window: globalThis })
const official = await Promise.all([import("@pipecat-ai/client-js"), import("@pipecat-ai/websocket-transport")]).catch(
  () => undefined
)

describe.skipIf(official === undefined)(
  official === undefined
    ? "the official client as a telephone (skipped: @pipecat-ai/websocket-transport is not installed)"
    : "the official client as a telephone",
  () => {
    it.live("speaks and hears, is interrupted, and is hung up", () =>
      Effect.gen(function*() {
        const [{ LogLevel, PipecatClient }, { TwilioSerializer, WebSocketTransport }] = official!
        for (const level of ["debug", "info", "log", "warn", "error"] as const) {
          vi.spyOn(console, level).mockReturnValue()
        }
        yield* Effect.addFinalizer(() => Effect.sync(() => vi.restoreAllMocks()))
        // it answers no mark, and complains about every one
        const served = yield* serve({ telephony: { marks: false } })
        let speakToBot: (audio: ArrayBuffer) => void = () => {}
        const played: Array<Int16Array> = []
        const media = {
          setUserAudioCallback: (speak: typeof speakToBot) => {
            speakToBot = speak
          },
          bufferBotAudio: (audio: Int16Array) => {
            played.push(audio)
            return audio
          },
          setClientOptions() {},
          async initialize() {},
          async connect() {},
          async disconnect() {},
          async userStartedSpeaking() {},
          enableMic() {},
          isMicEnabled: true,
          tracks: () => ({ local: {} })
        }
        const transport = new WebSocketTransport({
          wsUrl: served.url,
          serializer: new TwilioSerializer(),
          recorderSampleRate: 8000,
          playerSampleRate: 8000,
          // its type wants a subclass of a class that is not exported
          mediaManager: media as any
        })
        const client = yield* Effect.acquireRelease(
          Effect.sync(() => new PipecatClient({ transport, enableMic: true })),
          (client) => Effect.promise(() => client.disconnect().catch(() => undefined))
        )
        client.setLogLevel(LogLevel.NONE)
        // Nobody tells it that the bot is ready: a telephone does not speak RTVI.
        void client.connect().catch(() => undefined)
        yield* until("it is connected", () => ["connected", "ready"].includes(transport.state))
        transport.sendRawMessage({ event: "connected", protocol: "Call", version: "1.0.0" })
        transport.sendRawMessage({
          event: "start",
          streamSid: "ws_mock_stream_sid",
          start: { streamSid: "ws_mock_stream_sid", callSid: "ws_mock_call_sid" }
        })
        yield* until("a session", () => served.sessions.length === 1)
        const session = served.sessions[0]!
        strictEqual(session.call.vendor, "twilio")
        yield* until("it is ready", () => transport.state === "ready")

        const tone = Int16Array.from({ length: 160 }, (_, i) => 8000 * Math.sin(2 * Math.PI * 500 * i / 8000))
        for (let i = 0; i < 10; i++) speakToBot(tone.slice().buffer)
        yield* until("the bot hears", () => session.audio.length === 10)
        const heard = new Int16Array(session.audio[0]!.slice().buffer)
        strictEqual(heard.length, tone.length)
        // what µ-law makes of it
        for (const [i, sample] of heard.entries()) assert.closeTo(sample, tone[i]!, 300)

        yield* session.task.queueFrame(Frame.AudioRawFrame.make({
          audio: new Uint8Array(Int16Array.from({ length: 3200 }, (_, i) => tone[i % 160]!).buffer),
          sampleRate: 8000,
          numChannels: 1,
          metadata: { bot: true }
        }))
        const samples = () => played.reduce((sum, { length }) => sum + length, 0)
        yield* until("it plays", () => samples() >= 3200)
        strictEqual(samples(), 3200)
        for (const [i, sample] of played[0]!.entries()) assert.closeTo(sample, tone[i % 160]!, 300)

        yield* speak(session, 3000)
        yield* until("the bot speaks", () => samples() > 3200)
        yield* session.task.interrupt
        yield* Effect.sleep(150)
        const total = samples()
        assert.isBelow(total, 3200 + 8 * 500)
        yield* Effect.sleep(200)
        strictEqual(samples(), total)

        yield* Effect.promise(() => client.disconnect())
        yield* nobody(served)
        deepStrictEqual(served.hungUp.map(({ callId }) => callId), ["ws_mock_call_sid"])
      }))
  }
)
