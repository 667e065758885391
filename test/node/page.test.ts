/** What the server gives to the talk page, and the parts of the page that run without a browser. */
import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Rtvi from "@apipeline/core/Rtvi"
import type * as Transport from "@apipeline/core/Transport"
import * as TransportFrames from "@apipeline/core/TransportFrames"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import * as vm from "node:vm"
import { type Child, start } from "../utils/child.ts"
import { root } from "../utils/run.ts"
import * as Talk from "../utils/talk.ts"

const { deepStrictEqual, strictEqual } = assert

const session = Effect.fnUntraced(function*(transport: Transport.Transport) {
  const rtvi = yield* Rtvi.make({ about: { library: "test" } })
  return yield* PipelineTask.make(Pipeline.make(transport.input, rtvi.processor, transport.output), {
    observers: [rtvi.observer]
  })
})

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Not `fetch`, which sets some headers itself. */
const ask = (
  url: string,
  method = "GET",
  headers: Readonly<Record<string, string>> = {}
): Effect.Effect<Answer, Error> =>
  Effect.callback((resume) => {
    const request = http.request(url, { method, headers, agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text
      })
      response.on("end", () => {
        const { connection: _, date: __, "content-length": ___, ...headers } = response.headers
        resume(Effect.succeed({ status: response.statusCode!, headers, body }))
      })
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end()
  })

const json = (body: unknown, status = 200): Answer => ({
  status,
  headers: { "cache-control": "no-store", "content-type": "application/json" },
  body: JSON.stringify(body)
})

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

describe("what the server answers", () => {
  it.live("the page: one file that asks nobody else for anything", () =>
    Effect.gen(function*() {
      const { url } = yield* Talk.serve({ session, page: { title: "<Bot> & \"co\" $& $1" } })
      const { body, headers, status } = yield* ask(`${url}/`)
      strictEqual(status, 200)
      const [, style] = /<style>([^]*?)<\/style>/.exec(body)!
      const [, script] = /<script type="module">([^]*?)<\/script>/.exec(body)!
      deepStrictEqual(headers, {
        "cache-control": "no-cache",
        "content-security-policy":
          "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; " +
          `img-src data:; style-src ${hash(style!)}; script-src ${hash(script!)} blob:`,
        "content-type": "text/html; charset=utf-8",
        "permissions-policy": "microphone=(self)",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff"
      })
      assert.include(body, "<title>&lt;Bot&gt; &amp; &quot;co&quot; $&amp; $1</title>")
      assert.notMatch(body, /\{\{/)
      assert.notMatch(script!, /^(?:import|export) /m)
      assert.notMatch(body, /(?:src|href|action)="(?!data:)|url\(|@import/)
      deepStrictEqual(body.match(/https?:\/\/[^\s"')]+/g), ["http://www.w3.org/2000/svg"])
      assert.isBelow(Buffer.byteLength(body), 60_000)
    }))

  it.live("how to connect, and whether it is up", () =>
    Effect.gen(function*() {
      const { port, url } = yield* Talk.serve({ session })
      deepStrictEqual(yield* ask(`${url}/start`, "POST"), json({ wsUrl: `ws://127.0.0.1:${port}/ws` }))
      deepStrictEqual(
        yield* ask(`${url}/start`, "POST", { host: "bot.example", "x-forwarded-proto": "https" }),
        json({ wsUrl: "wss://bot.example/ws" })
      )
      deepStrictEqual(
        yield* ask(`${url}/start`, "POST", { host: "[::1]:80", "x-forwarded-proto": "http" }),
        json({ wsUrl: "ws://[::1]:80/ws" })
      )
      deepStrictEqual(
        yield* ask(`${url}/start`, "POST", { host: "a/b?c#" }),
        json({ detail: "host: found \"a/b?c#\", expected a name or an address, and perhaps a port" }, 400)
      )
      deepStrictEqual(yield* ask(`${url}/status`), json({ status: "ready", transports: ["websocket"] }))
      strictEqual((yield* ask(`${url}/start`)).status, 404)
      strictEqual((yield* ask(`${url}/nothing`)).status, 404)
    }))

  it.live("at other paths", () =>
    Effect.gen(function*() {
      const page = { path: "/talk", startPath: "/a\"b", statusPath: "/up", webSocketPath: "/ws" } as const
      const { port, url } = yield* Talk.serve({ session, page })
      assert.include((yield* ask(`${url}/talk`)).body, "data-start=\"/a&quot;b\"")
      strictEqual((yield* ask(`${url}/`)).status, 404)
      deepStrictEqual(yield* ask(`${url}/a"b`, "POST"), json({ wsUrl: `ws://127.0.0.1:${port}/ws` }))
      strictEqual((yield* ask(`${url}/up`)).status, 200)
    }))

  it.live("a token that the server then wants to see", () =>
    Effect.gen(function*() {
      let made = 0
      const tokens = new Set<string>()
      const token = Effect.sync(() => {
        const token = `secret & ${++made}`
        tokens.add(token)
        return token
      })
      const { url } = yield* Talk.serve({
        session,
        page: { token },
        authorize: ({ token }) => Effect.sync(() => token !== undefined && tokens.delete(token))
      })
      const codec = yield* loadCodec
      const connect = (wsUrl: string) =>
        Effect.callback<unknown>((resume) => {
          const socket = new WebSocket(wsUrl)
          socket.binaryType = "arraybuffer"
          socket.addEventListener(
            "open",
            () => socket.send(codec.encodeMessage({ label: "rtvi-ai", type: "client-ready", id: "1", data: {} }))
          )
          socket.addEventListener("message", ({ data }) => {
            const { message } = codec.decode(new Uint8Array(data as ArrayBuffer))
            if (message?.type !== "bot-ready") return
            resume(Effect.succeed(message))
            socket.close()
          })
          socket.addEventListener("close", ({ code, reason }) => resume(Effect.succeed([code, reason])))
        })
      const answer = JSON.parse((yield* ask(`${url}/start`, "POST")).body)
      deepStrictEqual(Object.keys(answer), ["wsUrl", "token"])
      strictEqual(answer.token, "secret & 1")
      const withToken = `${answer.wsUrl}?token=${encodeURIComponent(answer.token)}`
      deepStrictEqual(yield* connect(withToken), {
        label: "rtvi-ai",
        type: "bot-ready",
        id: "1",
        data: { version: "2.1.0", about: { library: "test" } }
      })
      deepStrictEqual(yield* connect(withToken), [4003, "not authorized"])
      deepStrictEqual(yield* connect(answer.wsUrl), [4003, "not authorized"])
    }))
})

// ---------------------------------------------------------------------------------------------------------------------
// the codec of the page
// ---------------------------------------------------------------------------------------------------------------------

const assets = path.join(root, "packages/node/assets/talk")

interface Codec {
  readonly encodeMessage: (message: unknown) => Uint8Array<ArrayBuffer>
  readonly encodeAudio: (samples: Int16Array, sampleRate: number) => Uint8Array<ArrayBuffer>
  readonly decode: (bytes: Uint8Array) => any
}

const loadCodec: Effect.Effect<Codec> = Effect.promise(() => import(path.join(assets, "codec.js")))

const serializer = FrameSerializer.makePipecat()
const encode = (frame: Frame.Frame) => Effect.fromResult(serializer.encodeResult(frame))
const decode = (bytes: Uint8Array) => Effect.fromResult(serializer.decodeResult(bytes))

describe("the page's codec", () => {
  it.effect("the server understands what it writes", () =>
    Effect.gen(function*() {
      const codec = yield* loadCodec
      const message = { label: "rtvi-ai", type: "send-text", id: "1", data: { content: "Zoë 🦜".repeat(40) } }
      const read = yield* decode(codec.encodeMessage(message))
      deepStrictEqual((read as TransportFrames.InputTransportMessageFrame).message, message)
      for (const samples of [Int16Array.of(), Int16Array.of(1, -2, 32767, -32768), new Int16Array(320).fill(-3)]) {
        const audio = yield* decode(codec.encodeAudio(samples, 16_000))
        strictEqual(audio._tag, "AudioRawFrame")
        const { audio: bytes, numChannels, sampleRate } = audio as Frame.AudioRawFrame
        deepStrictEqual([bytes, sampleRate, numChannels], [Pcm.fromInt16(samples), 16_000, 1])
      }
    }))

  it.effect("it understands what the server writes", () =>
    Effect.gen(function*() {
      const codec = yield* loadCodec
      const message = { label: "rtvi-ai", type: "server-message", data: { text: "é".repeat(500) } }
      const samples = Int16Array.from({ length: 1920 }, (_, i) => i * 17 - 16_000)
      const audio = Pcm.fromInt16(samples)
      deepStrictEqual(
        codec.decode(yield* encode(TransportFrames.OutputTransportMessageFrame.make({ message }))),
        { type: "message", message }
      )
      deepStrictEqual(
        codec.decode(
          yield* encode(Frame.AudioRawFrame.make({ audio, sampleRate: 48_000, numChannels: 2, pts: 2 ** 40 }))
        ),
        { type: "audio", samples, sampleRate: 48_000, numChannels: 2 }
      )
      deepStrictEqual(codec.decode(yield* encode(Frame.StartInterruptionFrame.make())), { type: "interruption" })
      deepStrictEqual(codec.decode(yield* encode(Frame.TextFrame.make({ text: "hi" }))), { type: "other" })
      deepStrictEqual(codec.decode(new Uint8Array(0)), { type: "other" })
      // pcm of an odd length: the half sample is left out
      deepStrictEqual(codec.decode(Uint8Array.of(18, 5, 26, 3, 1, 0, 9)), {
        type: "audio",
        samples: Int16Array.of(1),
        sampleRate: 24_000,
        numChannels: 1
      })
    }))

  it.effect.prop(
    "whatever comes, it is read or refused",
    { bytes: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })))) },
    ({ bytes }) =>
      Effect.gen(function*() {
        const codec = yield* loadCodec
        for (const prefix of [[], [18], [34], [34, bytes.length, 10], [18, bytes.length, 26]]) {
          try {
            assert.include(
              ["audio", "message", "interruption", "other"],
              codec.decode(Uint8Array.of(...prefix, ...bytes)).type
            )
          } catch (error) {
            // out of bounds, no JSON, no UTF-8
            assert.include(["RangeError", "SyntaxError", "TypeError"], (error as Error).name)
          }
        }
      })
  )
})

// ---------------------------------------------------------------------------------------------------------------------
// the audio of the page
// ---------------------------------------------------------------------------------------------------------------------

/** A device of some rate, with what runs beside it. */
const device = (sampleRate: number) => {
  const posted: Array<any> = []
  let hear: (event: { readonly data: unknown }) => void = () => {}
  const classes = new Map<string, new() => any>()
  const time = { currentTime: 0 }
  const context = vm.createContext({
    sampleRate,
    AudioWorkletProcessor: class {
      port = {
        postMessage: (message: unknown) => void posted.push(message),
        addEventListener: (_: string, listener: typeof hear) => {
          hear = listener
        },
        start: () => {}
      }
    },
    registerProcessor: (name: string, type: new() => any) => void classes.set(name, type)
  })
  Object.defineProperty(context, "currentTime", { get: () => time.currentTime })
  vm.runInContext(fs.readFileSync(path.join(assets, "worklet.js"), "utf8"), context)
  return {
    posted,
    classes,
    events: () => posted.map(({ event }) => event).filter((event) => event !== "level" && event !== "heard"),
    send: (data: unknown) => hear({ data }),
    /** Renders some blocks of 128 frames. */
    render: (node: any, blocks: number, input?: (at: number) => Float32Array): Float32Array => {
      const output = new Float32Array(blocks * 128)
      for (let i = 0; i < blocks; i++) {
        const channel = output.subarray(i * 128, i * 128 + 128)
        strictEqual(
          node.process(input === undefined ? [] : [[input(i * 128)]], [[channel, new Float32Array(128)]]),
          true
        )
        time.currentTime += 128 / sampleRate
      }
      return output
    }
  }
}

const sine = (length: number, frequency: number, sampleRate: number, level: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => level * Math.sin(2 * Math.PI * frequency * i / sampleRate))

/** How far a signal is from the sine that fits best, in dB. */
const signalToNoise = (signal: Float32Array, frequency: number, sampleRate: number): number => {
  const phase = (i: number) => 2 * Math.PI * frequency * i / sampleRate
  let [a, b] = [0, 0]
  for (const [i, sample] of signal.entries()) {
    a += 2 * sample * Math.sin(phase(i)) / signal.length
    b += 2 * sample * Math.cos(phase(i)) / signal.length
  }
  let [power, noise] = [0, 0]
  for (const [i, sample] of signal.entries()) {
    const expected = a * Math.sin(phase(i)) + b * Math.cos(phase(i))
    power += expected ** 2
    noise += (sample - expected) ** 2
  }
  return 10 * Math.log10(power / noise)
}

describe("the page's audio", () => {
  it.each([48_000, 44_100, 16_000, 96_000])("a microphone at %i Hz becomes chunks of 20 ms at 16 kHz", (rate) => {
    const { classes, posted, render } = device(rate)
    const tone = sine(rate + 128, 1000, rate, 0.5)
    render(new (classes.get("recorder")!)(), Math.floor(rate / 128), (at) => tone.slice(at, at + 128))
    assert.isAtLeast(posted.length, 48)
    for (const { samples } of posted) strictEqual(samples.length, 320)
    const all = Float32Array.from(
      posted.slice(5, 45).flatMap(({ samples }) => [...samples]),
      (sample) => sample / 32768
    )
    assert.isAbove(signalToNoise(all, 1000, 16_000), 70)
    assert.approximately(Math.max(...all), 0.5, 0.001)
    for (const { level } of posted.slice(5)) assert.approximately(level, 0.5 / Math.SQRT2, 0.005)
  })

  it("what 16 kHz cannot carry does not come back as something else", () => {
    const { classes, posted, render } = device(48_000)
    const tone = sine(48_000, 11_000, 48_000, 0.5)
    render(new (classes.get("recorder")!)(), 375, (at) => tone.slice(at, at + 128))
    for (const { level } of posted.slice(2)) assert.isBelow(level, 0.0001)
  })

  it("a microphone that is loud is clipped, one that is gone sends nothing", () => {
    const { classes, posted, render } = device(16_000)
    const recorder = new (classes.get("recorder")!)()
    render(recorder, 5, () => new Float32Array(128).fill(1.5))
    strictEqual(recorder.process([[]], [[]]), true)
    deepStrictEqual(posted.map(({ samples }) => [...new Set(samples)]), [[32767], [32767]])
  })

  const play = (from: number, to: number, seconds = 1) => {
    const made = device(to)
    const player = new (made.classes.get("player")!)()
    const tone = Int16Array.from(sine(from * seconds, 440, from, 9000), Math.round)
    for (let at = 0; at < tone.length; at += from / 25) {
      made.send({ samples: tone.slice(at, at + from / 25), sampleRate: from, numChannels: 1 })
    }
    return { ...made, player }
  }

  it.each([[24_000, 48_000], [24_000, 44_100], [16_000, 48_000], [8000, 48_000], [48_000, 48_000]])(
    "what comes at %i Hz is played at %i Hz, as loud as it is",
    (from, to) => {
      const { events, player, posted, render } = play(from, to)
      const output = render(player, Math.floor(to / 128) - 2)
      assert.isAbove(signalToNoise(output.slice(to / 10, to / 10 * 9), 440, to), 65)
      assert.approximately(Pcm.rms(output.slice(to / 10, to / 10 * 9)), 0.1942, 0.0005)
      const levels = posted.filter(({ event }) => event === "level").map(({ level }) => level)
      for (const level of levels.slice(1)) assert.approximately(level, 0.1942, 0.005)
      deepStrictEqual(events(), ["started"])
      render(player, 50)
      deepStrictEqual(events(), ["started", "stopped"])
      strictEqual(posted.at(-1).level, 0)
    }
  )

  it("silence, at once and without a click, when it is told to; then it plays again", () => {
    const { events, player, render, send } = play(24_000, 48_000, 5)
    const before = render(player, 40)
    send("clear")
    const after = render(player, 400)
    // 5 ms
    deepStrictEqual(after.slice(240).filter((sample) => sample !== 0), new Float32Array(0))
    const all = [...before.slice(-1), ...after.slice(0, 260)]
    const steps = all.slice(1).map((sample, i) => Math.abs(sample - all[i]!))
    // no step is larger than those of the tone itself
    assert.isBelow(Math.max(...steps), 0.2747 * 2 * Math.PI * 440 / 48_000 + 0.002)
    deepStrictEqual(events(), ["started", "stopped"])
    send({ samples: new Int16Array(2400).fill(1000), sampleRate: 24_000, numChannels: 1 })
    assert.isAbove(render(player, 20).at(-1)!, 0.03)
    deepStrictEqual(events(), ["started", "stopped", "started"])
  })

  it("it waits for 40 ms of sound, or 60 ms for less", () => {
    const { classes, events, render, send } = device(48_000)
    const player = new (classes.get("player")!)()
    send({ samples: new Int16Array(480).fill(1000), sampleRate: 24_000, numChannels: 1 }) // 20 ms
    render(player, 22) // 59 ms
    deepStrictEqual(events(), [])
    render(player, 2)
    deepStrictEqual(events(), ["started"])
    render(player, 10)
    deepStrictEqual(events(), ["started", "stopped"])
    send({ samples: new Int16Array(1200).fill(1000), sampleRate: 24_000, numChannels: 1 }) // 50 ms
    render(player, 1)
    deepStrictEqual(events(), ["started", "stopped", "started"])
  })

  it("it tells when there is something to hear: once, behind the silence in the beginning", () => {
    const { classes, posted, render, send } = device(48_000)
    const player = new (classes.get("player")!)()
    const heard = (): number => posted.filter(({ event }) => event === "heard").length
    const samples = new Int16Array(48_000).fill(1000, 9600) // 200 ms
    send({ samples, sampleRate: 48_000, numChannels: 1 })
    render(player, 74)
    strictEqual(heard(), 0)
    render(player, 100)
    strictEqual(heard(), 1)
    // what takes its place comes while it fades
    send("clear")
    send({ samples: samples.slice(9600), sampleRate: 48_000, numChannels: 1 })
    render(player, 1)
    strictEqual(heard(), 1)
    render(player, 2)
    strictEqual(heard(), 2)
    send("clear")
    render(player, 10)
    strictEqual(heard(), 2)
  })

  it("stereo is mixed down; a server that sends ten minutes at once is told", () => {
    const { classes, events, render, send } = device(8000)
    const player = new (classes.get("player")!)()
    send({
      samples: Int16Array.from({ length: 1600 }, (_, i) => i % 2 === 0 ? 8000 : -4000),
      sampleRate: 8000,
      numChannels: 2
    })
    assert.approximately(render(player, 2)[100]!, 2000 / 32768, 1e-6)
    send({ samples: new Int16Array(8000 * 600), sampleRate: 8000, numChannels: 1 })
    deepStrictEqual(events(), ["started", "full"])
  })
})

describe("examples/talk.ts", () => {
  it.each([["dialogue", "Talk to the bot"], ["parrot", "Talk to the parrot"]])(
    "%s: serves the page, says where, and ends when it is told to",
    async (bot, title) => {
      const port = 20_000 + Math.floor(Math.random() * 11_999)
      const talk = (): Child => start(["examples/talk.ts", "--port", String(port), "--bot", bot, "--no-open"])
      const child = talk()
      await child.printed(`Talk at http://localhost:${port}`)
      const response = await fetch(`http://127.0.0.1:${port}/start`, { method: "POST" })
      deepStrictEqual(await response.json(), { wsUrl: `ws://127.0.0.1:${port}/ws` })
      const page = await fetch(`http://127.0.0.1:${port}/`)
      assert.include(await page.text(), `<h1>${title}</h1>`)

      const { code, stderr, stdout } = await talk().ended
      strictEqual(code, 1)
      assert.include(stdout + stderr, `there can be no server at port ${port}`)

      child.kill("SIGINT")
      strictEqual((await child.ended).code, 130)
    },
    60_000
  )
})
