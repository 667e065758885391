import { Frame, FrameSerializer, Pcm, Telephony, VoiceFrames } from "@apipeline/core"
import { leaks } from "@apipeline/core/testing"
import * as TransportFrames from "@apipeline/core/TransportFrames"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Data, Effect, Exit, Fiber, Logger, Option, Result, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Transcript from "../fixtures/telephony/transcript.ts"

const { deepStrictEqual, isAbove, isAtMost, strictEqual } = assert

const starts = {
  twilio: { event: "start", start: { streamSid: "MZ1", callSid: "CA1" } },
  telnyx: { event: "start", stream_id: "s1", start: { call_control_id: "c1", media_format: { encoding: "PCMU" } } },
  plivo: { event: "start", start: { streamId: "s1", callId: "c1" } },
  exotel: { event: "start", start: { stream_sid: "s1", call_sid: "c1", account_sid: "a1" } },
  vonage: { event: "websocket:connected", "content-type": "audio/l16;rate=16000" },
  genesys: {
    version: "2",
    type: "open",
    id: "g1",
    seq: 1,
    serverseq: 0,
    position: "PT0S",
    parameters: { media: [{ type: "audio", format: "PCMU", channels: ["external"], rate: 8000 }] }
  }
}
const vendors = Object.keys(starts) as Array<Telephony.Vendor>
const json = (value: unknown): string => JSON.stringify(value)
const parse = (message: Telephony.Wire | undefined): any => JSON.parse(message as string)
const media = json({ event: "media", media: { payload: "/4AAfw==" } })

/** A message of audio that this vendor may send. */
const audioOf = (vendor: Telephony.Vendor): Telephony.Wire =>
  vendor === "vonage" || vendor === "genesys" ? new Uint8Array(320) : media

const open = Effect.fnUntraced(function*<E = never>(vendor: Telephony.Vendor, options?: Telephony.Options<E>) {
  const session = yield* Telephony.make(options)
  yield* session.decode(json(starts[vendor]))
  return session
})

const audio = (samples: Int16Array, sampleRate = 8000, numChannels = 1): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: Pcm.fromInt16(samples), sampleRate, numChannels })

const failure = (session: Telephony.Session<unknown>, message: Telephony.Wire | object) =>
  Effect.map(
    Effect.flip(session.decode(typeof message === "string" || message instanceof Uint8Array ? message : json(message))),
    (error) => {
      assert.instanceOf(error, FrameSerializer.SerializerError)
      return error.message
    }
  )

describe("detection", () => {
  it("tells the vendor and the call, whichever message starts it", () => {
    for (const vendor of vendors) {
      for (const before of [[], [json({ event: "connected" })]]) {
        const detected = Option.getOrThrow(Telephony.detect([...before, json(starts[vendor])]))
        deepStrictEqual([detected.vendor, detected.call.vendor], [vendor, vendor])
      }
    }
  })

  it("is none for what starts no call", () => {
    const none = [[], [""], ["no JSON"], ["[]"], ["null"], [json({ event: "connected" })], [media], [new Uint8Array(4)]]
    for (const messages of none) assert(Option.isNone(Telephony.detect(messages)))
    const almost = [
      { event: "start", start: { streamSid: "MZ1" } },
      { event: "start", start: { streamSid: 1, callSid: 2 } },
      { stream_id: "s1", start: {} },
      { event: "begin", start: { streamId: "s1", callId: "c1" } },
      { version: "3", type: "open", id: "1" },
      { event: "start", start: { streamSid: "", callSid: "CA1" } },
      { event: "start", start: { streamSid: "MZ".repeat(300), callSid: "CA1" } }
    ]
    for (const message of almost) assert(Option.isNone(Telephony.detect([json(message)])), json(message))
  })

  it("looks for the given dialects only", () => {
    const dialects = [Telephony.vonage(), Telephony.exotel()]
    assert(Option.isNone(Telephony.detect([json(starts.twilio)], { dialects })))
    assert(Option.isSome(Telephony.detect([json(starts.exotel)], { dialects })))
  })

  it.effect("a session waits for it, and says what it waits for", () =>
    Effect.gen(function*() {
      const session = yield* Telephony.make({ dialects: [Telephony.twilio(), Telephony.plivo()] })
      deepStrictEqual(yield* session.decode(json({ event: "connected" })), { frames: [], replies: [] })
      strictEqual(
        yield* failure(session, media),
        `telephony: input: found "media", expected the start of a call of twilio, plivo`
      )
      strictEqual(
        yield* failure(session, new Uint8Array(5)),
        "telephony: input: found 5 bytes, expected the start of a call first"
      )
      strictEqual(
        yield* failure(session, starts.exotel),
        `telephony: input: found "start", expected the start of a call of twilio, plivo`
      )
      strictEqual(
        (yield* Effect.flip(session.encode(audio(new Int16Array(1))))).message,
        "telephony: AudioRawFrame: found no call yet, expected a call that has started"
      )
      deepStrictEqual([yield* session.clear, yield* session.flush, yield* session.hangUp], [[], [], []])
      const started = yield* Effect.forkChild(session.started, { startImmediately: true })
      yield* session.decode(json(starts.plivo))
      strictEqual((yield* Fiber.join(started)).vendor, "plivo")
    }))
})

describe("messages that are wrong get a typed error, and the session goes on", () => {
  const cases: Array<[Telephony.Vendor, Telephony.Wire | object, string]> = [
    ["twilio", "{", `twilio: input: found "{", expected JSON`],
    ["twilio", "[1]", "twilio: input: found an array of 1, expected an object"],
    ["twilio", "{}", "twilio: event: found nothing, expected text"],
    ["twilio", new Uint8Array(160), "twilio: input: found 160 bytes, expected text"],
    ["twilio", { event: "media" }, "twilio: media.payload: found nothing, expected text"],
    ["twilio", { event: "media", media: { payload: 7 } }, "twilio: media.payload: found 7, expected text"],
    ["twilio", { event: "media", media: { payload: "@@@@" } }, `twilio: media.payload: found "@@@@", expected base64`],
    ["twilio", { event: "media", media: { payload: "/4A" } }, `twilio: media.payload: found "/4A", expected base64`],
    [
      "twilio",
      { event: "media", streamSid: "MZ2", media: { payload: "" } },
      `twilio: streamSid: found "MZ2", expected "MZ1"`
    ],
    [
      "twilio",
      { event: "dtmf", dtmf: { digit: "A" } },
      `twilio: dtmf.digit: found "A", expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, *, #`
    ],
    [
      "twilio",
      { event: "dtmf" },
      "twilio: dtmf.digit: found nothing, expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, *, #"
    ],
    ["twilio", { event: "mark", mark: {} }, "twilio: mark.name: found nothing, expected text"],
    ["twilio", starts.twilio, "twilio: event: found a second start, expected one a call"],
    [
      "twilio",
      json({ event: "media", media: { payload: "A".repeat(1_048_576) } }),
      "twilio: found a frame of 1048616 bytes, expected at most 65536"
    ],
    [
      "telnyx",
      { event: "media", media: { chunk: -1, payload: "" } },
      "telnyx: media.chunk: found -1, expected a whole number that is not negative"
    ],
    [
      "telnyx",
      { event: "media", media: { chunk: "1e9", payload: "" } },
      `telnyx: media.chunk: found "1e9", expected a whole number that is not negative`
    ],
    ["plivo", { event: "playedStream" }, "plivo: name: found nothing, expected text"],
    [
      "exotel",
      { event: "media", media: { payload: "AAAA" } },
      "exotel: media.payload: found 3 bytes, expected a multiple of 2"
    ],
    ["vonage", new Uint8Array(641), "vonage: input: found 641 bytes, expected a multiple of 2"],
    ["vonage", new Uint8Array(65_538), "vonage: found a frame of 65538 bytes, expected at most 65536"],
    ["vonage", starts.vonage, "vonage: event: found a second websocket:connected, expected one a call"],
    ["genesys", { type: "ping" }, "genesys: version: found nothing, expected 2"],
    ["genesys", { version: "2", type: "ping", id: "g2", seq: 2 }, `genesys: id: found "g2", expected "g1"`],
    ["genesys", { version: "2", type: "ping", id: "g1", seq: 1 }, "genesys: seq: found 1, expected more than 1"],
    [
      "genesys",
      { version: "2", type: "ping", id: "g1", seq: 2.5 },
      "genesys: seq: found 2.5, expected a whole number that is not negative"
    ],
    [
      "genesys",
      { version: "2", type: "open", id: "g1", seq: 2 },
      "genesys: type: found a second open, expected one a session"
    ],
    [
      "genesys",
      { version: "2", type: "dtmf", id: "g1", seq: 2, parameters: {} },
      "genesys: parameters.digit: found nothing, expected one of 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, *, #"
    ]
  ]
  for (const [vendor, message, expected] of cases) {
    it.effect(expected, () =>
      Effect.gen(function*() {
        const session = yield* open(vendor)
        const before = yield* session.status
        strictEqual(yield* failure(session, message), expected)
        deepStrictEqual(yield* session.status, before)
        strictEqual((yield* session.decode(audioOf(vendor))).frames.length, 1)
        if (vendor === "genesys") {
          const { replies } = yield* session.decode(json({ version: "2", type: "ping", id: "g1", seq: 2 }))
          deepStrictEqual(replies.map(parse), [
            { version: "2", type: "pong", id: "g1", seq: 2, clientseq: 2, parameters: {} }
          ])
        }
      }))
  }

  const refused: Array<[Telephony.Vendor, object, string]> = [
    [
      "twilio",
      { start: { ...starts.twilio.start, mediaFormat: { encoding: "audio/x-mulaw", sampleRate: 16000 } } },
      "twilio: start.mediaFormat.sampleRate: found 16000, expected 8000"
    ],
    [
      "twilio",
      { start: { ...starts.twilio.start, mediaFormat: { encoding: "audio/opus" } } },
      `twilio: start.mediaFormat.encoding: found "audio/opus", expected audio/x-mulaw`
    ],
    [
      "twilio",
      { start: { ...starts.twilio.start, customParameters: ["a"] } },
      "twilio: start.customParameters: found an array of 1, expected an object"
    ],
    [
      "telnyx",
      { start: { call_control_id: "c1", media_format: { encoding: "OPUS" } } },
      `telnyx: start.media_format.encoding: found "OPUS", expected one of PCMU, PCMA`
    ],
    ["telnyx", { stream_id: "" }, "telnyx: stream_id: found 0 characters, expected an id of 1 to 512 characters"],
    [
      "plivo",
      { start: { ...starts.plivo.start, mediaFormat: { encoding: "audio/x-mulaw", sampleRate: 16000 } } },
      "plivo: start.mediaFormat.sampleRate: found 16000, expected 8000"
    ],
    [
      "exotel",
      { start: { ...starts.exotel.start, media_format: { sample_rate: "44100" } } },
      "exotel: start.media_format.sample_rate: found 44100, expected one of 8000, 16000, 24000"
    ],
    [
      "vonage",
      { "content-type": "audio/l16;rate=1" },
      `vonage: content-type: found "audio/l16;rate=1", expected audio/l16 with a rate of 8000, 16000 or 24000`
    ],
    ["genesys", { parameters: {} }, "genesys: parameters.media: found nothing, expected an array"],
    [
      "genesys",
      { parameters: { media: [{ type: "audio", format: "L16", channels: ["external"], rate: 8000 }, null] } },
      "genesys: parameters.media: found an array of 2, expected PCMU at 8000 Hz with the channel external"
    ]
  ]
  for (const [vendor, change, expected] of refused) {
    it.effect(`no call: ${expected}`, () =>
      Effect.gen(function*() {
        const session = yield* Telephony.make()
        strictEqual(yield* failure(session, { ...starts[vendor], ...change }), expected)
        strictEqual((yield* session.status).call, undefined)
        yield* session.decode(json(starts[vendor]))
        strictEqual((yield* session.status).call?.vendor, vendor)
      }))
  }

  it.effect("names of fields that mean something in JavaScript", () =>
    Effect.gen(function*() {
      const session = yield* Telephony.make()
      yield* session.decode(
        `{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1","customParameters":{"__proto__":{"from":"x"},"a":null,"b":1}}}`
      )
      const { from, parameters } = yield* session.started
      deepStrictEqual([from, Object.entries(parameters)], [undefined, [["__proto__", `{"from":"x"}`], ["a", "null"], [
        "b",
        "1"
      ]]])
      strictEqual(
        yield* failure(session, `{"__proto__":{"event":"stop"}}`),
        "twilio: event: found nothing, expected text"
      )
    }))

  it.effect("nesting that can be read but not written", () =>
    Effect.gen(function*() {
      const session = yield* Telephony.make()
      const deep = "[".repeat(30_000) + "]".repeat(30_000)
      strictEqual(
        yield* failure(
          session,
          `{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1","customParameters":{"a":${deep}}}}`
        ),
        "twilio: start.customParameters.a: found an array of 1, expected text"
      )
      strictEqual(
        yield* failure(session, `{"event":"websocket:connected","a":${deep}}`),
        "vonage: headers.a: found an array of 1, expected text"
      )
    }))
})

describe("audio", () => {
  const sine = (length: number, sampleRate: number, hertz = 440): Int16Array =>
    Int16Array.from({ length }, (_, i) => 8000 * Math.sin(2 * Math.PI * hertz * i / sampleRate))

  it.effect("comes at the rate that is asked for, all of it", () =>
    Effect.gen(function*() {
      const session = yield* open("vonage", { sampleRate: 24000 })
      const line = Pcm.fromInt16(sine(16000, 16000))
      const out: Array<number> = []
      const take = ({ frames }: Telephony.Decoded) => {
        for (const frame of frames) {
          assert(Frame.AudioRawFrame.is(frame))
          deepStrictEqual([frame.sampleRate, frame.numChannels, frame.sampleWidth], [24000, 1, 2])
          out.push(...Pcm.toInt16Unsafe(frame.audio))
        }
      }
      for (let at = 0; at < line.length; at += 640) take(yield* session.decode(line.subarray(at, at + 640)))
      take(yield* session.decode(json({ event: "websocket:disconnected" })))
      const expected = sine(24000, 24000)
      strictEqual(out.length, expected.length)
      for (let i = 200; i < out.length - 200; i++) isAtMost(Math.abs(out[i]! - expected[i]!), 2)
    }))

  it.effect("goes from any rate and number of channels to the line's, all of it", () =>
    Effect.gen(function*() {
      const session = yield* open("vonage", { marks: false })
      const left = sine(12000, 24000)
      const sent: Array<Uint8Array> = []
      const add = (messages: ReadonlyArray<Telephony.Wire>) => {
        for (const message of messages) {
          assert(message instanceof Uint8Array)
          strictEqual(message.length, 640)
          sent.push(message)
        }
      }
      const stereo = Pcm.interleave([left, left])
      for (let at = 0; at < stereo.length; at += 1000) {
        add(yield* session.encode(audio(stereo.subarray(at, at + 1000), 24000, 2)))
      }
      // half a second of the same in another format, right behind it
      add(yield* session.encode(audio(sine(16000, 16000).subarray(8000), 16000)))
      add(yield* session.encode(TransportFrames.OutputAudioEndFrame.make()))
      const samples = sent.flatMap((bytes) => Array.from(Pcm.toInt16Unsafe(bytes)))
      const expected = sine(16000, 16000)
      strictEqual(samples.length, expected.length)
      for (let i = 100; i < 7900; i++) isAtMost(Math.abs(samples[i]! - expected[i]!), 2)
      deepStrictEqual(samples.slice(8000), Array.from(expected.subarray(8000)))
      deepStrictEqual(yield* session.flush, [])
    }))

  it.effect("Vonage: packets have 20 ms at every rate", () =>
    Effect.gen(function*() {
      for (const rate of [8000, 16000, 24000]) {
        const session = yield* Telephony.make({ marks: false })
        yield* session.decode(json({ event: "websocket:connected", "content-type": `audio/l16;rate=${rate}` }))
        const messages = yield* session.encode(audio(new Int16Array(rate / 20), rate))
        deepStrictEqual(messages.map(({ length }) => length), [rate / 25, rate / 25])
      }
    }))

  it.effect("an interruption forgets what packets and resampling hold", () =>
    Effect.gen(function*() {
      const session = yield* open("exotel", { marks: false })
      deepStrictEqual(yield* session.encode(audio(new Int16Array(1000).fill(9000))), [])
      strictEqual((yield* session.encode(Frame.StartInterruptionFrame.make())).length, 1)
      const messages = yield* session.encode(audio(new Int16Array(1600)))
      strictEqual(messages.length, 1)
      strictEqual(parse(messages[0]).media.payload, Buffer.alloc(3200).toString("base64"))

      const other = yield* open("vonage", { marks: false })
      yield* other.encode(audio(new Int16Array(480).fill(9000), 24000))
      yield* other.clear
      const silence = [...yield* other.encode(audio(new Int16Array(480), 24000)), ...yield* other.flush]
      deepStrictEqual(silence, [new Uint8Array(640)])
    }))

  it.effect("what waits when AudioHook is paused is not sent, then or later", () =>
    Effect.gen(function*() {
      const session = yield* open("genesys")
      const hook = (seq: number, type: string) => session.decode(json({ version: "2", type, id: "g1", seq }))
      deepStrictEqual(yield* session.encode(audio(new Int16Array(800))), [])
      yield* hook(2, "paused")
      deepStrictEqual(yield* session.flush, [])
      yield* hook(3, "resumed")
      deepStrictEqual(yield* session.flush, [])
    }))

  it.effect("frames that no line carries", () =>
    Effect.gen(function*() {
      const session = yield* open("twilio")
      const wrong = (fields: Partial<Parameters<typeof Frame.AudioRawFrame.make>[0]>) =>
        session.encode(
          Frame.AudioRawFrame.make({ audio: new Uint8Array(12), sampleRate: 8000, numChannels: 1, ...fields })
        ).pipe(Effect.flip, Effect.map(({ message, reason }) => [reason._tag, message]))
      deepStrictEqual(yield* wrong({ audio: new Uint8Array(3) }), [
        "InvalidFrame",
        "twilio: AudioRawFrame.audio: found 3 bytes, expected a multiple of 2"
      ])
      deepStrictEqual(yield* wrong({ audio: new Uint8Array(6), numChannels: 2 }), [
        "InvalidFrame",
        "twilio: AudioRawFrame.audio: found 6 bytes, expected a multiple of 4"
      ])
      deepStrictEqual(yield* wrong({ sampleWidth: 4 }), [
        "InvalidFrame",
        "twilio: AudioRawFrame.sampleWidth: found 4, expected 2"
      ])
      const [tag, message] = yield* wrong({ sampleRate: 1 })
      strictEqual(tag, "InvalidFrame")
      assert(message!.startsWith("twilio: AudioRawFrame.sampleRate: found 8000 (from 1), expected a rate at most"))
      strictEqual((yield* session.encode(audio(new Int16Array(3)))).length, 1)
    }))

  it.effect("Telnyx: what is sent may be coded otherwise than what is received", () =>
    Effect.gen(function*() {
      const session = yield* open("telnyx", { dialects: [Telephony.telnyx({ encoding: "alaw" })] })
      const [message] = yield* session.encode(audio(new Int16Array(160)))
      strictEqual(parse(message).media.payload, Buffer.alloc(160, 0xd5).toString("base64"))
      const { frames } = yield* session.decode(media)
      deepStrictEqual(Array.from(Pcm.toInt16Unsafe((frames[0] as Frame.AudioRawFrame).audio)), [0, 32124, -32124, 0])
    }))

  it.effect("Telnyx: whatever the order within 100 ms, it is restored", () =>
    Effect.gen(function*() {
      const session = yield* open("telnyx")
      const heard: Array<number> = []
      const chunks = [1, 2, 5, 4, 3, 6, 8, 11, 9, 10, 7, 12, 13]
      for (const chunk of chunks) {
        const payload = Buffer.from([chunk]).toString("base64")
        const { frames } = yield* session.decode(json({ event: "media", media: { chunk, payload } }))
        for (const frame of frames) heard.push(...Pcm.toInt16Unsafe((frame as Frame.AudioRawFrame).audio))
      }
      deepStrictEqual(heard, heard.toSorted((a, b) => a - b))
      deepStrictEqual([heard.length, new Set(heard).size], [13, 13])
      const { late, lost } = yield* session.status
      deepStrictEqual([late, lost], [0, 0])
    }))

  it.effect("Telnyx: what comes too late is left out, again and again", () =>
    Effect.gen(function*() {
      const session = yield* open("telnyx")
      let heard = 0
      for (const chunk of Array.from({ length: 20 }, (_, i) => i % 2 === 0 ? 10 + i : 1)) {
        const { frames } = yield* session.decode(json({ event: "media", media: { chunk, payload: "AA==" } }))
        for (const frame of frames) heard += (frame as Frame.AudioRawFrame).numFrames
      }
      const { late, lost } = yield* session.status
      // the last five wait for what lies between them
      deepStrictEqual([heard, late, lost], [5, 10, 4])
    }))

  it.effect("Telnyx: numbers that begin anew, or lie, do not silence a call", () =>
    Effect.gen(function*() {
      const session = yield* open("telnyx")
      let heard = 0
      const numbers = [
        9e15,
        ...Array.from({ length: 20 }, (_, i) => i + 1),
        1e15,
        ...Array.from({ length: 20 }, (_, i) => i + 21)
      ]
      for (const chunk of numbers) {
        const { frames } = yield* session.decode(json({ event: "media", media: { chunk, payload: "AA==" } }))
        for (const frame of frames) heard += (frame as Frame.AudioRawFrame).numFrames
      }
      isAbove(heard, 30)
    }))
})

describe("messages and frames", () => {
  it.effect("carries what it has a message for, and refuses the rest", () =>
    Effect.gen(function*() {
      const session = yield* open("twilio")
      strictEqual(session.carries(audio(new Int16Array(1))), true)
      strictEqual(session.carries(Frame.TextFrame.make({ text: "hi" })), false)
      const error = yield* Effect.flip(session.encode(Frame.TextFrame.make({ text: "hi" })))
      strictEqual(
        error.message,
        "twilio: found TextFrame, expected one of AudioRawFrame, StartInterruptionFrame, EndFrame, OutputAudioEndFrame, " +
          "OutputTransportMessageFrame, OutputTransportMessageUrgentFrame"
      )
    }))

  it.effect("objects are sent as they are, RTVI is not, and what is no JSON is refused", () =>
    Effect.gen(function*() {
      const session = yield* open("plivo")
      const say = (message: unknown) => session.encode(TransportFrames.OutputTransportMessageFrame.make({ message }))
      deepStrictEqual(yield* say({ event: "sendDTMF", dtmf: "1" }), [`{"event":"sendDTMF","dtmf":"1"}`])
      deepStrictEqual(yield* say({ label: "rtvi-ai", type: "bot-ready" }), [])
      const cyclic: Record<string, unknown> = {}
      cyclic.self = cyclic
      for (const message of [cyclic, { n: 1n }, "text", null, [1]]) {
        strictEqual((yield* Effect.flip(say(message))).reason._tag, "InvalidFrame")
      }
      const urgent = TransportFrames.OutputTransportMessageUrgentFrame.make({ message: { a: 1 } })
      deepStrictEqual(yield* session.encode(urgent), [`{"a":1}`])
    }))

  it.effect("AudioHook numbers them", () =>
    Effect.gen(function*() {
      const session = yield* open("genesys")
      const say = (message: unknown) =>
        session.encode(TransportFrames.OutputTransportMessageUrgentFrame.make({ message }))
      deepStrictEqual((yield* say({ type: "pause" })).map(parse), [
        { version: "2", type: "pause", id: "g1", seq: 2, clientseq: 1, parameters: {} }
      ])
      strictEqual(
        (yield* Effect.flip(say({ version: "2" }))).message,
        "genesys: OutputTransportMessageFrame.message.type: found nothing, expected text"
      )
      deepStrictEqual((yield* say({ type: "event", parameters: { entities: [] } })).map(parse), [
        { version: "2", type: "event", id: "g1", seq: 3, clientseq: 1, parameters: { entities: [] } }
      ])
    }))

  it.effect("AudioHook: an options' languages are told", () =>
    Effect.gen(function*() {
      const session = yield* Telephony.make({ dialects: [Telephony.genesys({ supportedLanguages: ["en-US"] })] })
      const { replies } = yield* session.decode(json(starts.genesys))
      deepStrictEqual(parse(replies[0]).parameters.supportedLanguages, ["en-US"])
    }))
})

describe("play-out", () => {
  it.effect("marks that never come back cost bounded memory, and the last one confirms all", () =>
    Effect.gen(function*() {
      const session = yield* open("twilio")
      let last: string = ""
      for (let i = 0; i < 3000; i++) {
        for (const message of yield* session.encode(audio(new Int16Array(1600)))) {
          const { event, mark } = parse(message)
          if (event === "mark") last = mark.name
        }
      }
      strictEqual(last, "apipeline:3000")
      // forgotten long since
      yield* session.decode(json({ event: "mark", mark: { name: "apipeline:1" } }))
      strictEqual((yield* session.status).played, 0)
      yield* session.decode(json({ event: "mark", mark: { name: last } }))
      strictEqual((yield* session.status).played, 600_000)
      yield* session.drained
    }))

  it.effect("marks that come back twice, or in no order, count once", () =>
    Effect.gen(function*() {
      const session = yield* open("twilio", { marks: "100 millis" })
      for (let i = 0; i < 4; i++) yield* session.encode(audio(new Int16Array(800)))
      const mark = (n: number) => session.decode(json({ event: "mark", mark: { name: `apipeline:${n}` } }))
      for (const n of [2, 1, 2, 99, 4, 3]) yield* mark(n)
      const { cleared, played, sent } = yield* session.status
      deepStrictEqual([sent, played, cleared], [400, 400, 0])
    }))

  it.effect("without marks nothing is asked for, and nothing waits", () =>
    Effect.gen(function*() {
      const session = yield* open("twilio", { marks: false })
      const messages = [...yield* session.encode(audio(new Int16Array(8000))), ...yield* session.flush]
      deepStrictEqual(messages.map((message) => parse(message).event), ["media"])
      yield* session.drained
    }))

  it.effect("the end of the call ends the wait", () =>
    Effect.gen(function*() {
      const session = yield* open("exotel")
      yield* session.encode(audio(new Int16Array(8000)))
      const drained = yield* Effect.forkChild(session.drained, { startImmediately: true })
      const ended = yield* Effect.forkChild(session.ended, { startImmediately: true })
      yield* session.decode(json({ event: "stop", stop: { reason: "callended" } }))
      yield* Fiber.join(drained)
      strictEqual(yield* Fiber.join(ended), "callended")
    }))
})

describe("hanging up", () => {
  class Busy extends Data.TaggedError("Busy") {}

  const counted = () => {
    const calls: Array<string> = []
    const hangUp = (call: Telephony.Call) =>
      Effect.sync(() => {
        calls.push(call.callId!)
      })
    return [calls, hangUp] as const
  }

  it.effect("once, whoever asks", () =>
    Effect.gen(function*() {
      const [calls, hangUp] = counted()
      const scope = yield* Scope.make()
      const session = yield* open("twilio", { hangUp }).pipe(Scope.provide(scope))
      yield* session.hangUp
      yield* session.hangUp
      yield* Scope.close(scope, Exit.void)
      deepStrictEqual(calls, ["CA1"])
    }))

  it.effect("AudioHook: says goodbye once", () =>
    Effect.gen(function*() {
      const session = yield* open("genesys")
      deepStrictEqual((yield* session.hangUp).map(parse), [
        { version: "2", type: "disconnect", id: "g1", seq: 2, clientseq: 1, parameters: { reason: "completed" } }
      ])
      deepStrictEqual(yield* session.hangUp, [])
    }))

  it.effect("when the session closes", () =>
    Effect.gen(function*() {
      const [calls, hangUp] = counted()
      yield* Effect.scoped(open("telnyx", { hangUp }))
      deepStrictEqual(calls, ["c1"])
    }))

  it.effect("not when the other side has, nor when there was no call", () =>
    Effect.gen(function*() {
      const [calls, hangUp] = counted()
      yield* Effect.scoped(Telephony.make({ hangUp }))
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* open("plivo", { hangUp })
        yield* session.decode(json({ event: "stop" }))
        yield* session.hangUp
      }))
      deepStrictEqual(calls, [])
    }))

  it.effect("a hook that fails: an error for who asked, a warning when the session closes", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        lines.push(`${logLevel} ${Array.isArray(message) ? message[0] : message}`)
      })
      const hangUp = () => new Busy()
      yield* Effect.scoped(Effect.gen(function*() {
        const session = yield* open("twilio", { hangUp })
        strictEqual((yield* Effect.flip(session.hangUp))._tag, "Busy")
      })).pipe(Effect.provide(Logger.layer([logger])))
      deepStrictEqual(lines, [])
      yield* Effect.scoped(open("twilio", { hangUp })).pipe(Effect.provide(Logger.layer([logger])))
      deepStrictEqual(lines, ["Warn Telephony: could not hang up"])
    }))

  it.effect("a hook that hangs has its time", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.scoped(open("twilio", { hangUp: () => Effect.never, hangUpTimeout: "3 seconds" }))
        .pipe(
          Effect.provide(Logger.layer([])),
          Effect.forkChild
        )
      yield* TestClock.adjust("2999 millis")
      strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(fiber)
    }))

  it.effect("a closed session leaves nobody waiting and nothing running", () =>
    Effect.gen(function*() {
      const [exits, alive] = yield* leaks(Effect.gen(function*() {
        const scope = yield* Scope.make()
        const session = yield* Telephony.make().pipe(Scope.provide(scope))
        const waiting = yield* Effect.all([
          Effect.forkChild(Effect.exit(session.started), { startImmediately: true }),
          Effect.forkChild(Effect.exit(session.ended), { startImmediately: true })
        ])
        yield* Scope.close(scope, Exit.void)
        return [yield* Fiber.join(waiting[0]), yield* Fiber.join(waiting[1])] as const
      }))
      strictEqual(alive, 0)
      const [started, ended] = exits
      assert(Exit.isFailure(started) && Cause.hasInterruptsOnly(started.cause))
      deepStrictEqual(ended, Exit.succeed("closed"))
    }))
})

describe("options that cannot work", () => {
  it.effect("are defects", () =>
    Effect.gen(function*() {
      const defect = (options: Telephony.Options) =>
        Effect.scoped(Telephony.make(options)).pipe(
          Effect.as("made"),
          Effect.catchDefect((defect) => Effect.succeed(String(defect)))
        )
      for (const n of [0, -1, 1.5, NaN, Infinity]) {
        strictEqual(
          yield* defect({ sampleRate: n }),
          `TypeError: Telephony: sampleRate: found ${n}, expected a positive integer`
        )
        strictEqual(
          yield* defect({ maxMessageSize: n }),
          `TypeError: Telephony: maxMessageSize: found ${n}, expected a positive integer`
        )
      }
      strictEqual(
        yield* defect({ dialects: [{ vendor: "twilio" }] }),
        "TypeError: Telephony: dialects: found an object, expected one of this module"
      )
    }))
})

describe("fuzzing", () => {
  const names = ["twilio", "telnyx", "plivo", "plivo-l16", "exotel", "vonage", "genesys", "genesys-stereo"]
  const recorded = names.map((name) => Transcript.messages(name))
  const all = recorded.flat()
  const index = (length: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: length - 1 }))
  const values = [
    "null",
    "true",
    "-1",
    "1e308",
    "1.5",
    `""`,
    `"x"`,
    "[]",
    "{}",
    `{"event":1}`,
    `"\\u0000"`,
    `"${"A".repeat(70_000)}"`,
    "[".repeat(5000) + "]".repeat(5000)
  ]

  /** Replaces the value of a field, wherever it lies. */
  const mutate = (text: string, at: number, value: string): string => {
    const colons = Array.from(text.matchAll(/":("[^"]*"|[0-9]+|\[[^[\]]*\]|\{[^{}]*\})/g))
    const match = colons[at % Math.max(1, colons.length)]
    if (match === undefined) return value
    return text.slice(0, match.index + 2) + value + text.slice(match.index + match[0].length)
  }

  const survives = (session: Telephony.Session, message: Telephony.Wire): void => {
    const result = session.decodeResult(message)
    if (Result.isFailure(result)) assert.instanceOf(result.failure, FrameSerializer.SerializerError)
    isAtMost(Result.isFailure(result) ? result.failure.message.length : 0, 500)
    const said = session.encodeResult(audio(new Int16Array(400)))
    if (Result.isFailure(said)) assert.instanceOf(said.failure, FrameSerializer.SerializerError)
  }

  const checkStatus = Effect.fnUntraced(function*(session: Telephony.Session) {
    const { cleared, played, sent } = yield* session.status
    assert(played >= 0 && cleared >= 0 && played + cleared <= sent + 1e-6, `${sent} ${played} ${cleared}`)
  })

  it.effect.prop(
    "messages in any order, of any vendor, with fields replaced",
    {
      vendor: index(recorded.length),
      steps: Arbitrary.array(
        Arbitrary.all([
          Arbitrary.schema(index(100)),
          Arbitrary.schema(index(40)),
          Arbitrary.schema(index(values.length)),
          Arbitrary.schema(Schema.Literals(["as it is", "mutated", "cut", "of anybody"]))
        ]),
        { maxLength: 25 }
      )
    },
    ({ steps, vendor }) =>
      Effect.gen(function*() {
        const session = yield* Telephony.make()
        const own = recorded[vendor]!
        if (steps.length % 2 === 0) survives(session, own[0]!)
        for (const [n, at, value, how] of steps) {
          const message = how === "of anybody" ? all[n * 7 % all.length]! : own[n % own.length]!
          if (typeof message !== "string") survives(session, how === "cut" ? message.subarray(at) : message)
          else if (how === "mutated") survives(session, mutate(message, at, values[value]!))
          else survives(session, how === "cut" ? message.slice(0, message.length - at - 1) : message)
          if (at === 0) yield* session.clear
          if (at === 1) yield* session.flush
        }
        yield* checkStatus(session)
        // A call can still be made, or is on.
        if ((yield* session.status).call === undefined) yield* session.decode(json(starts.twilio))
        yield* session.started
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 1500 } }
  )

  it.effect.prop(
    "any text and any bytes",
    {
      vendor: Schema.Literals(vendors),
      texts: Arbitrary.array(Arbitrary.schema(Schema.String), { maxLength: 5 }),
      json: Arbitrary.array(Arbitrary.schema(Schema.Json), { maxLength: 5 }),
      bytes: Arbitrary.array(Arbitrary.schema(Schema.Uint8Array), { maxLength: 5 })
    },
    ({ bytes, json: values, texts, vendor }) =>
      Effect.gen(function*() {
        const messages = [...texts, ...values.map((value) => json(value)), ...bytes]
        for (const session of [yield* Telephony.make(), yield* open(vendor)]) {
          for (const message of messages) survives(session, message)
          assert(Option.isNone(Telephony.detect(messages)))
          yield* checkStatus(session)
        }
        const session = yield* open(vendor)
        for (const message of messages) survives(session, message)
        strictEqual((yield* session.decode(audioOf(vendor))).frames.length, 1)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 300 } }
  )
})

it.effect("keys become frames", () =>
  Effect.gen(function*() {
    const session = yield* open("twilio")
    const { frames } = yield* session.decode(json({ event: "dtmf", dtmf: { digit: "*" } }))
    assert(frames[0] !== undefined && VoiceFrames.InputDtmfFrame.is(frames[0]))
    strictEqual(frames[0].key, "*")
  }))
