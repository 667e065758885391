import * as OpenAiClient from "@apipeline/core/OpenAiClient"
import * as OpenAiSpeechToText from "@apipeline/core/OpenAiSpeechToText"
import * as OpenAiTextToSpeech from "@apipeline/core/OpenAiTextToSpeech"
import * as Pcm from "@apipeline/core/Pcm"
import { SpeechToText, SpeechToTextError } from "@apipeline/core/SpeechToText"
import * as SpeechToTextContract from "@apipeline/core/testing/SpeechToTextContract"
import * as TextToSpeechContract from "@apipeline/core/testing/TextToSpeechContract"
import { type Part, TextToSpeech, TextToSpeechError } from "@apipeline/core/TextToSpeech"
import * as Wav from "@apipeline/core/Wav"
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Fiber, Layer, Redacted, Result, Schedule, Schema, Stream } from "effect"
import { FetchHttpClient } from "effect/http"
import { type Answer, begin, breakOff, goOn, type Received, respond, serve, silence } from "../utils/openAiServer.ts"

const { deepStrictEqual, match, strictEqual } = assert

const key = "sk-secret"

const client = (url: string, options: OpenAiClient.Options = {}) =>
  OpenAiClient.layer({
    baseUrl: url,
    apiKey: Redacted.make(key),
    timeout: "2 seconds",
    retry: Schedule.recurs(0),
    ...options
  }).pipe(Layer.provide(FetchHttpClient.layer))

const until = (condition: () => boolean) =>
  Effect.sleep("5 millis").pipe(Effect.repeat({ until: condition }), Effect.timeout("3 seconds"))

/** Half a second of something. */
const tone = Int16Array.from({ length: 8000 }, (_, i) => Math.round(8000 * Math.sin(i / 5)))

/** What fails in the same way, whatever was asked for. */
const failures: ReadonlyArray<readonly [name: string, answer: Answer, isRetryable: boolean, message: RegExp]> = [
  ["bad request", respond(400, { error: { message: "Too long." } }), false, /HTTP 400: Too long/],
  ["bad key", respond(401, { error: { message: "Who?" } }), false, /401/],
  ["rate limit", respond(429, {}), true, /429/],
  ["quota", respond(429, { error: { message: "Pay.", code: "insufficient_quota" } }), false, /Pay/],
  ["overloaded", respond(503, "busy"), true, /busy/],
  ["wrong type", respond(200, "<html>", { "content-type": "text/html" }), false, /text\/html/],
  [
    "a stall in what it says about an error",
    (response) => {
      response.writeHead(500, { "content-type": "text/plain" })
      response.write("Oh")
    },
    true,
    /HTTP 500/
  ],
  [
    "an error without an end",
    (response) => {
      response.writeHead(400, { "content-type": "text/plain" })
      const timer = setInterval(() => response.write("no ".repeat(3000)), 1)
      response.on("close", () => clearInterval(timer))
    },
    false,
    /HTTP 400: no no/
  ],
  ["a connection that is refused", (response) => response.destroy(), true, /./],
  ["a stall", silence, true, /nothing came for 150ms/]
]

describe("speech to text", () => {
  const stt = (url: string, options: Partial<OpenAiSpeechToText.Options> = {}, http: OpenAiClient.Options = {}) =>
    OpenAiSpeechToText.layer({ model: "whisper-1", ...options }).pipe(Layer.provide(client(url, http)))

  const transcribe = (audio: Int16Array, options?: Parameters<SpeechToText["Service"]["transcribe"]>[1]) =>
    SpeechToText.use((service) => service.transcribe(audio, options))

  /** Read by somebody else: Node's own reader of forms. */
  const formOf = ({ body, headers }: Received) =>
    Effect.promise(() =>
      new Response(new Uint8Array(body), { headers: { "content-type": headers["content-type"]! } }).formData()
    )

  it.live("sends a form with a WAV file", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(200, { text: " Hello there. " }))
      const result = yield* Effect.provide(transcribe(tone), stt(server.url))
      deepStrictEqual(result, { text: "Hello there.", isFinal: true, start: 0, end: 500 })
      const [request] = server.requests as [Received]
      strictEqual(request.method, "POST")
      strictEqual(request.path, "/v1/audio/transcriptions")
      strictEqual(request.headers.authorization, `Bearer ${key}`)
      const form = yield* formOf(request)
      deepStrictEqual([...form.keys()].sort(), ["file", "model", "response_format"])
      strictEqual(form.get("model"), "whisper-1")
      strictEqual(form.get("response_format"), "json")
      const file = form.get("file") as File
      strictEqual(file.name, "audio.wav")
      strictEqual(file.type, "audio/wav")
      const wav = Result.getOrThrow(Wav.decode(new Uint8Array(yield* Effect.promise(() => file.arrayBuffer()))))
      strictEqual(wav.format.sampleRate, 16_000)
      strictEqual(wav.format.numChannels, 1)
      deepStrictEqual(wav.samples, tone)
    }))

  it.live("asks for words, a language, with a prompt", () =>
    Effect.gen(function*() {
      const words = [{ word: "Grüß", start: 0.1, end: 0.25 }, { word: "Gott", start: 0.25, end: 0.5 }]
      const server = yield* serve(respond(200, { task: "transcribe", text: "Grüß Gott", language: "german", words }))
      const layer = stt(server.url, { words: true, prompt: "Wien \"\r\n--x", language: "en", sampleRate: 16_000 })
      const result = yield* Effect.provide(transcribe(tone, { language: "de-AT" }), layer)
      deepStrictEqual(result, {
        text: "Grüß Gott",
        isFinal: true,
        start: 0,
        end: 500,
        language: "de-AT",
        words: [{ text: "Grüß", start: 100, end: 250 }, { text: "Gott", start: 250, end: 500 }]
      })
      const form = yield* formOf(server.requests[0]!)
      strictEqual(form.get("response_format"), "verbose_json")
      strictEqual(form.get("timestamp_granularities[]"), "word")
      strictEqual(form.get("language"), "de")
      strictEqual(form.get("prompt"), "Wien \"\r\n--x")
    }))

  it.live("sends no silence, and nothing that is too short for a word", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(200, { text: "Thank you for watching." }))
      for (const audio of [new Int16Array(0), tone.slice(0, 1599), new Int16Array(16_000)]) {
        strictEqual((yield* Effect.provide(transcribe(audio), stt(server.url))).text, "")
      }
      strictEqual(server.requests.length, 0)
    }))

  it.live("listens to a stream until it ends", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(200, { text: "Hello." }))
      const audio = Stream.make(tone.slice(0, 100), new Int16Array(0), tone.slice(100))
      const results = yield* SpeechToText.use((service) => Stream.runCollect(service.stream(audio))).pipe(
        Effect.provide(stt(server.url))
      )
      deepStrictEqual(results, [{ text: "Hello.", isFinal: true, start: 0, end: 500 }])
      const file = (yield* formOf(server.requests[0]!)).get("file") as File
      strictEqual(file.size, 44 + 16_000)
    }))

  it.live("sends what has come again and again, if that is wanted", () =>
    Effect.gen(function*() {
      const server = yield* serve(
        respond(200, { text: "Hello" }),
        respond(200, { text: "Hello there" }),
        respond(200, { text: "Hello there." })
      )
      const audio = Stream.make(tone, tone, tone).pipe(Stream.rechunk(1), Stream.tap(() => Effect.sleep("150 millis")))
      const results = yield* SpeechToText.use((service) => Stream.runCollect(service.stream(audio))).pipe(
        Effect.provide(stt(server.url, { interval: "500 millis" }))
      )
      strictEqual(results.at(-1)!.isFinal, true)
      strictEqual(results.filter(({ isFinal }) => !isFinal).length > 0, true)
    }))

  it.live.each([
    ...failures,
    ["no JSON", respond(200, "{"), false, /found "\{"/] as const,
    ["other JSON", respond(200, { words: [] }), false, /text/] as const,
    ["a connection that breaks", breakOff("application/json", "{"), true, /./] as const,
    ["a stall in the answer", begin("application/json", "{"), true, /nothing came for 150ms/] as const
  ].map(([name, answer, isRetryable, message]) => ({ name, answer, isRetryable, message })))(
    "fails: $name",
    ({ answer, isRetryable, message }) =>
      Effect.gen(function*() {
        const server = yield* serve(answer)
        const error = yield* Effect.flip(
          Effect.provide(transcribe(tone), stt(server.url, {}, { timeout: "150 millis" }))
        )
        strictEqual(error instanceof SpeechToTextError, true)
        strictEqual(error.isRetryable, isRetryable)
        match(error.message, message)
        assert.notInclude(JSON.stringify(error) + String(error), key)
        yield* until(() => server.requests.length === 1)
      })
  )

  it.live("tries again", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(500, {}), respond(200, { text: "Hello." }))
      const layer = stt(server.url, {}, { retry: Schedule.recurs(1) })
      strictEqual((yield* Effect.provide(transcribe(tone), layer)).text, "Hello.")
      deepStrictEqual(server.requests[0]!.body, server.requests[1]!.body)
    }))

  it.live("the server sees the end of a request that is interrupted", () =>
    Effect.gen(function*() {
      const server = yield* serve(silence)
      const fiber = yield* Effect.forkChild(Effect.provide(transcribe(tone), stt(server.url)))
      yield* until(() => server.requests.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* until(() => server.requests[0]!.aborted)
    }))

  describe("contract", () => {
    const subject: SpeechToTextContract.Subject = {
      make: Effect.flatMap(
        serve(respond(200, { text: "Hello there." })),
        ({ url }) => Effect.provide(OpenAiSpeechToText.make({ model: "whisper-1" }), client(url))
      ),
      utterance: { samples: tone, text: "hello there" }
    }
    for (const check of SpeechToTextContract.checks) it.live(check.name, () => check.run(subject))
  })
})

describe("text to speech", () => {
  const tts = (url: string, options: Partial<OpenAiTextToSpeech.Options> = {}, http: OpenAiClient.Options = {}) =>
    OpenAiTextToSpeech.layer({ model: "tts-1", ...options }).pipe(Layer.provide(client(url, http)))

  const synthesize = (text: string, options?: Parameters<TextToSpeech["Service"]["synthesize"]>[1]) =>
    TextToSpeech.use((service) => Stream.runCollect(service.synthesize(text, options)))

  const samplesOf = (parts: ReadonlyArray<Part>) =>
    parts.flatMap((part) => part._tag === "Audio" ? Array.from(part.samples) : [])

  /** Sends bytes in pieces of some size. */
  const audio = (bytes: Uint8Array, size = 4000, type = "audio/pcm"): Answer => (response) => {
    response.writeHead(200, { "content-type": type })
    for (let at = 0; at < bytes.length; at += size) response.write(bytes.subarray(at, at + size))
    response.end()
  }

  it.live("asks for raw audio", () =>
    Effect.gen(function*() {
      const server = yield* serve(audio(Pcm.fromInt16(tone)))
      deepStrictEqual(samplesOf(yield* Effect.provide(synthesize("Hello."), tts(server.url))), Array.from(tone))
      const options = { voice: "nova", speed: 9 }
      yield* Effect.provide(synthesize("Bye.", options), tts(server.url, { instructions: "Whisper." }))
      for (const { headers, method, path } of server.requests) {
        strictEqual(method, "POST")
        strictEqual(path, "/v1/audio/speech")
        strictEqual(headers.authorization, `Bearer ${key}`)
        match(headers["content-type"]!, /^application\/json/)
      }
      deepStrictEqual(server.requests.map(({ body }) => JSON.parse(body.toString())), [
        { model: "tts-1", voice: "alloy", input: "Hello.", response_format: "pcm" },
        { model: "tts-1", voice: "nova", input: "Bye.", response_format: "pcm", speed: 4, instructions: "Whisper." }
      ])
    }))

  it.live.prop("puts samples together, however they are cut", {
    length: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 200 })),
    size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))
  }, ({ length, size }) =>
    Effect.gen(function*() {
      const server = yield* serve(audio(Pcm.fromInt16(tone.slice(0, length)), size, "application/octet-stream"))
      const parts = yield* Effect.provide(synthesize("Hello."), tts(server.url))
      deepStrictEqual(samplesOf(parts), Array.from(tone.slice(0, length)))
    }).pipe(Effect.scoped), { arbitrary: { runs: 30 } })

  it.live("gives audio as it comes", () =>
    Effect.gen(function*() {
      let go = () => {}
      const server = yield* serve((response) => {
        response.writeHead(200, { "content-type": "audio/pcm" })
        response.write(new Uint8Array(480))
        go = () => response.end(new Uint8Array(480))
      })
      let heard = 0
      const fiber = yield* TextToSpeech.use((service) =>
        Stream.runForEach(service.synthesize("Hello."), (part) =>
          Effect.sync(() => {
            heard += part._tag === "Audio" ? part.samples.length : 0
          }))
      ).pipe(Effect.provide(tts(server.url)), Effect.forkChild)
      yield* until(() => heard === 240)
      go()
      yield* Fiber.join(fiber)
      strictEqual(heard, 480)
    }))

  it.live.each([
    ...failures,
    ["MP3", respond(200, "ID3", { "content-type": "audio/mpeg" }), false, /audio\/mpeg/] as const,
    ["JSON", respond(200, {}), false, /application\/json/] as const,
    ["a connection that breaks", breakOff("audio/pcm", new Uint8Array(480)), true, /./] as const,
    ["a stall in the answer", begin("audio/pcm", new Uint8Array(480)), true, /nothing came for 150ms/] as const,
    ["half a sample", audio(new Uint8Array(481)), true, /within a sample/] as const
  ].map(([name, answer, isRetryable, message]) => ({ name, answer, isRetryable, message })))(
    "fails: $name",
    ({ answer, isRetryable, message }) =>
      Effect.gen(function*() {
        const server = yield* serve(answer)
        const error = yield* Effect.flip(
          Effect.provide(synthesize("Hello."), tts(server.url, {}, { timeout: "150 millis" }))
        )
        strictEqual(error instanceof TextToSpeechError, true)
        strictEqual(error.isRetryable, isRetryable)
        match(error.message, message)
        assert.notInclude(JSON.stringify(error) + String(error), key)
        yield* until(() => server.requests.length === 1)
      })
  )

  it.live("tries again", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(500, {}), audio(Pcm.fromInt16(tone)))
      const layer = tts(server.url, {}, { retry: Schedule.recurs(1) })
      strictEqual(samplesOf(yield* Effect.provide(synthesize("Hello."), layer)).length, tone.length)
      strictEqual(server.requests.length, 2)
    }))

  it.live("the server sees the end of a request that is interrupted, and of one that nobody reads on", () =>
    Effect.gen(function*() {
      const server = yield* serve(silence, goOn("audio/pcm", new Uint8Array(480)))
      const fiber = yield* Effect.forkChild(Effect.provide(synthesize("Hello."), tts(server.url)))
      yield* until(() => server.requests.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* until(() => server.requests[0]!.aborted)
      const head = TextToSpeech.use((service) => Stream.runHead(service.synthesize("Hello.")))
      yield* Effect.provide(head, tts(server.url))
      yield* until(() => server.requests[1]!.aborted)
    }))

  describe("contract", () => {
    /** 50 ms a character. */
    const speak: Answer = (response, { body }) => {
      const { input, speed = 1 } = JSON.parse(body.toString())
      const samples = Int16Array.from({ length: input.length * 1200 / speed }, (_, i) => 1 + i % 100)
      audio(Pcm.fromInt16(samples), 9999)(response, {} as Received)
    }
    const subject: TextToSpeechContract.Subject = {
      make: Effect.flatMap(
        serve(speak),
        ({ url }) => Effect.provide(OpenAiTextToSpeech.make({ model: "tts-1" }), client(url))
      ),
      words: false,
      speed: true
    }
    for (const check of TextToSpeechContract.checks.filter((check) => check.applies(subject))) {
      it.live(check.name, () => check.run(subject))
    }
  })
})

describe("configuration", () => {
  const url = (config: object) =>
    OpenAiClient.OpenAiClient.useSync(({ baseUrl }) => baseUrl).pipe(
      Effect.provide(
        OpenAiClient.layerConfig().pipe(
          Layer.provide([FetchHttpClient.layer, ConfigProvider.layer(ConfigProvider.fromUnknown(config))])
        )
      )
    )

  it.effect("says where", () =>
    Effect.gen(function*() {
      strictEqual(yield* url({}), "https://api.openai.com/v1")
      strictEqual(yield* url({ OPENAI_BASE_URL: "http://localhost:80/v1/" }), "http://localhost:80/v1")
      const error = yield* Effect.flip(url({ OPENAI_BASE_URL: "ftp://localhost" }))
      match(String(error), /OPENAI_BASE_URL|HTTP URL/)
    }))

  it.live("says the key", () =>
    Effect.gen(function*() {
      const server = yield* serve(respond(200, { text: "Hello." }))
      const config = ConfigProvider.fromUnknown({ OPENAI_API_KEY: key, OPENAI_BASE_URL: server.url })
      const stt = yield* OpenAiSpeechToText.make({ model: "whisper-1" }).pipe(
        Effect.provide(
          OpenAiClient.layerConfig().pipe(Layer.provide([FetchHttpClient.layer, ConfigProvider.layer(config)]))
        )
      )
      strictEqual((yield* stt.transcribe(tone)).text, "Hello.")
      strictEqual(server.requests[0]!.headers.authorization, `Bearer ${key}`)
    }))
})
