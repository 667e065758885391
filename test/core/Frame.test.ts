import * as Frame from "@apipeline/core/Frame"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual, throws } from "@effect/vitest/utils"
import { Arbitrary, Cause, Effect, Formatter, Logger, Schema } from "effect"
import { execFile } from "node:child_process"
import { inspect, promisify } from "node:util"

class Ping extends Frame.App<Ping>()("Ping", {
  n: Schema.Finite,
  note: Schema.optionalKey(Schema.String),
  at: Schema.Date,
  either: Schema.UndefinedOr(Schema.Boolean),
  bytes: Schema.Uint8Array.pipe(Schema.withConstructorDefault(Effect.sync(() => new Uint8Array(2))))
}) {
  get double() {
    return this.n * 2
  }
  plus(m: number) {
    return this.n + m
  }
}
class Maybe extends Frame.App<Maybe>()("Maybe", {
  value: Schema.NullOr(Schema.String).pipe(Schema.withConstructorDefault(Effect.succeed("default")))
}) {}
class Hold extends Frame.App<Hold>()("Hold", { until: Schema.String }, { kind: "control", uninterruptible: true }) {}
class Alarm extends Frame.App<Alarm>()("Alarm", {}, { kind: "system" }) {}

const ping = () => Ping.make({ n: 2, at: new Date(0), either: undefined })

const samples = {
  CancelFrame: Frame.CancelFrame.make({ reason: "left" }),
  ErrorFrame: Frame.ErrorFrame.make({ error: new Error("boom"), processor: "Translate" }),
  StopTaskFrame: Frame.StopTaskFrame.make(),
  StartInterruptionFrame: Frame.StartInterruptionFrame.make(),
  StopInterruptionFrame: Frame.StopInterruptionFrame.make(),
  MetricsFrame: Frame.MetricsFrame.make({ data: [{ _tag: "Ttfb", processor: "Translate", milliseconds: 12 }] }),
  StartFrame: Frame.StartFrame.make(),
  EndFrame: Frame.EndFrame.make(),
  SyncFrame: Frame.SyncFrame.make(),
  SyncNotifyFrame: Frame.SyncNotifyFrame.make(),
  IdleFrame: Frame.IdleFrame.make(),
  HeartbeatFrame: Frame.HeartbeatFrame.make({ at: 1000 }),
  TextFrame: Frame.TextFrame.make({ text: "Hello" }),
  AudioRawFrame: Frame.AudioRawFrame.make({ audio: new Uint8Array(640), sampleRate: 16000, numChannels: 1 }),
  ImageRawFrame: Frame.ImageRawFrame.make({
    image: new Uint8Array(3100),
    width: 1920,
    height: 1080,
    format: "jpeg",
    mode: "RGB"
  })
} satisfies { readonly [T in Frame.Tag]: Frame.WithTag<T> }

const kinds: Record<Frame.Kind, ReadonlyArray<string>> = {
  system: [
    "CancelFrame",
    "ErrorFrame",
    "StopTaskFrame",
    "StartInterruptionFrame",
    "StopInterruptionFrame",
    "MetricsFrame"
  ],
  control: ["StartFrame", "EndFrame", "SyncFrame", "SyncNotifyFrame", "IdleFrame", "HeartbeatFrame"],
  data: ["TextFrame", "AudioRawFrame", "ImageRawFrame"]
}

const builtIns: ReadonlyArray<Frame.BuiltIn> = Object.values(samples)
const literal = { _tag: "Literal", id: 1, pts: undefined, metadata: undefined } as unknown as Frame.Frame
const tagsOf = (frames: ReadonlyArray<Frame.Frame>) => frames.map((frame) => frame._tag)
const afterName = (frame: Frame.Frame) => Frame.format(frame).slice(frame.name.length)
const all = Frame.schemaWith([Ping, Hold, Alarm])
const Json = Schema.fromJsonString(Schema.toCodecJson(all))
const failure = (schema: Schema.ConstraintDecoder<unknown>, input: unknown): string => {
  const result = Schema.decodeUnknownResult(schema)(input)
  assert(result._tag === "Failure", "expected the input to be refused")
  return result.failure.message
}

describe("make", () => {
  it("gives increasing ids, over built-in and app frames", () => {
    const ids = [Frame.TextFrame.make({ text: "" }), ping(), Frame.EndFrame.make(), Alarm.make()].map(({ id }) => id)
    const first = ids[0]!
    deepStrictEqual(ids, [first, first + 1, first + 2, first + 3])
  })

  it("owns _tag, id, pts, metadata, then the payload", () => {
    const metadata = { turn: 1 }
    deepStrictEqual(Object.keys(Frame.TextFrame.make({ metadata, text: "a", pts: 0 })), [
      "_tag",
      "id",
      "pts",
      "metadata",
      "text"
    ])
    deepStrictEqual(Object.keys(ping()), ["_tag", "id", "pts", "metadata", "n", "note", "at", "either", "bytes"])
    const frame = Frame.AudioRawFrame.make({
      audio: new Uint8Array(4),
      sampleRate: 8000,
      numChannels: 2,
      pts: 0,
      metadata
    })
    strictEqual(frame.pts, 0)
    strictEqual(frame.metadata, metadata)
    strictEqual(Frame.TextFrame.make({ text: "" }).pts, undefined)
    strictEqual(Frame.TextFrame.make({ text: "" }).metadata, undefined)
  })

  it("fills in defaults", () => {
    const { _tag, id, ...start } = Frame.StartFrame.make({ enableMetrics: true })
    deepStrictEqual<object>(start, {
      pts: undefined,
      metadata: undefined,
      allowInterruptions: false,
      enableMetrics: true,
      enableUsageMetrics: false,
      reportOnlyInitialTtfb: false,
      audioInSampleRate: 16000,
      audioOutSampleRate: 24000
    })
    strictEqual(samples.AudioRawFrame.sampleWidth, 2)
    strictEqual(samples.ErrorFrame.fatal, false)
    deepStrictEqual(ping().bytes, new Uint8Array(2))
    deepStrictEqual([Maybe.make(), Maybe.make({ value: null }), Maybe.make({ value: "" })].map(({ value }) => value), [
      "default",
      null,
      ""
    ])
    deepStrictEqual(
      Ping.make({ n: 1, at: new Date(0), either: true, bytes: new Uint8Array(5) }).bytes,
      new Uint8Array(5)
    )
  })

  it("works detached and validates nothing", () => {
    deepStrictEqual(["a", "b"].map((text) => ({ text })).map(Frame.TextFrame.make).map(({ text }) => text), ["a", "b"])
    const { make } = Hold
    assert.instanceOf(make({ until: "x" }), Hold)
    strictEqual(Frame.AudioRawFrame.make({ audio: new Uint8Array(3), sampleRate: -1, numChannels: 0 }).sampleRate, -1)
  })

  it("derives numFrames and duration", () => {
    strictEqual(samples.AudioRawFrame.numFrames, 320)
    strictEqual(samples.AudioRawFrame.duration, 20)
    const stereo = Frame.AudioRawFrame.make({
      audio: new Uint8Array(24_000),
      sampleRate: 48000,
      numChannels: 2,
      sampleWidth: 3
    })
    strictEqual(stereo.numFrames, 4000)
    strictEqual(stereo.duration, 4000 / 48)
  })
})

describe("classes", () => {
  it("describe their frames, in statics and on the prototype", () => {
    for (const kind of ["system", "control", "data"] as const) {
      deepStrictEqual(tagsOf(builtIns.filter((frame) => frame.kind === kind)), kinds[kind])
    }
    deepStrictEqual(tagsOf(builtIns.filter(Frame.isUninterruptible)), ["StopTaskFrame", "EndFrame"])
    for (const tag of Object.keys(samples) as Array<Frame.Tag>) {
      const Class: Frame.AnyClass = Reflect.get(Frame, tag)
      const frame = samples[tag]
      strictEqual<unknown>(frame.constructor, Class)
      strictEqual(Class.tag, tag)
      strictEqual(frame._tag, tag)
      strictEqual(Class.kind, frame.kind)
      strictEqual(Class.uninterruptible, frame.uninterruptible)
      assert(!Object.hasOwn(frame, "kind") && !Object.hasOwn(frame, "uninterruptible") && !Object.hasOwn(frame, "name"))
      deepStrictEqual(builtIns.filter((other) => Class.is(other)), [frame])
      assert(!Class.is({ ...frame }) && !Class.is(null) && !Class.is(tag))
    }
  })
})

describe("App", () => {
  it("takes kind and uninterruptible", () => {
    const kindsOf = [Ping, Hold, Alarm].map(({ kind, tag, uninterruptible }) => ({ kind, tag, uninterruptible }))
    deepStrictEqual(kindsOf, [
      { kind: "data", tag: "Ping", uninterruptible: false },
      { kind: "control", tag: "Hold", uninterruptible: true },
      { kind: "system", tag: "Alarm", uninterruptible: false }
    ])
    deepStrictEqual([ping(), Hold.make({ until: "" }), Alarm.make()].map(({ kind }) => kind), [
      "data",
      "control",
      "system"
    ])
  })

  it("keeps the getters and methods of the class", () => {
    strictEqual(ping().double, 4)
    strictEqual(ping().plus(1), 3)
    assert(Ping.is(ping()) && !Ping.is(Alarm.make()) && !Hold.is(ping()))
  })

  it("refuses tags, kinds and fields that frames use themselves", () => {
    const define = (tag: string, fields: object = {}, options?: object) => () =>
      Frame.App<Ping>()(tag, fields as {}, options)
    const cases: ReadonlyArray<readonly [() => unknown, string]> = [
      [define(""), "Frame: tag: found \"\", expected a string that is not empty"],
      [define("TextFrame"), "Frame: tag: found \"TextFrame\", expected a tag that no built-in frame has"],
      [
        define("onStart"),
        "Frame: tag: found \"onStart\", expected a tag that names nothing else in a processor (\"upstream\", \"data\", \"onStart\")"
      ],
      [
        define("upstream"),
        "Frame: tag: found \"upstream\", expected a tag that names nothing else in a processor (\"upstream\", \"data\", \"onStart\")"
      ],
      [
        define("Ok", {}, { kind: "urgent" }),
        "Frame: kind: found \"urgent\", expected \"data\", \"control\" or \"system\""
      ],
      [define("Ok", { n: "number" }), "Frame: fields.n: found \"number\", expected a schema"],
      ...["_tag", "id", "pts", "metadata", "kind", "uninterruptible", "name", "toString", "toJSON", "constructor"].map(
        (field) =>
          [
            define("Ok", { [field]: Schema.String }),
            `Frame: fields: found "${field}", expected a name that frames do not use themselves`
          ] as const
      )
    ]
    for (const [refused, expected] of cases) throws(refused, new TypeError(expected))
    for (const tag of Object.keys(samples)) throws(define(tag))
    for (const tag of ["only", "on", "onward", "Upstream", "text\"`${1}\n"]) {
      strictEqual(Frame.App<Ping>()(tag, {})!.tag, tag)
    }
  })

  it("quotes field names", () => {
    class Odd extends Frame.App<Odd>()("Odd\"]", { "a\"];throw 1//`${": Schema.Finite, "\u2028": Schema.Finite }) {}
    const frame = Odd.make({ "a\"];throw 1//`${": 1, "\u2028": 2 })
    strictEqual(frame["a\"];throw 1//`${"], 1)
    strictEqual(frame["\u2028"], 2)
    strictEqual(frame._tag, "Odd\"]")
  })
})

describe("schema", () => {
  it.effect.prop("round trips any frame through JSON", { frame: all }, ({ frame }) =>
    Effect.gen(function*() {
      const text = yield* Schema.encodeEffect(Json)(frame)
      const back = yield* Schema.decodeEffect(Json)(text)
      strictEqual(back.constructor, frame.constructor)
      assert(back.id === frame.id) // JSON has no -0
      strictEqual(yield* Schema.encodeEffect(Json)(back), text)
      assert(Frame.ErrorFrame.is(frame) || Schema.toEquivalence(all)(frame, back), `${frame} became ${back}`)
      deepStrictEqual(Object.keys(back), Object.keys(frame))
    }), { arbitrary: { runs: 500 } })

  it.effect.prop("formats any frame in one line", { frame: all }, ({ frame }) =>
    Effect.sync(() => {
      const text = Frame.format(frame)
      assert(text.startsWith(frame.name))
      assert(!/[\n\r\u2028]/.test(text), text)
      assert(text.length <= frame.name.length + 403, text)
      JSON.stringify(frame)
    }), { arbitrary: { runs: 1000 } })

  it("encodes to a plain struct, without keys that have no value", () => {
    const encode = Schema.encodeSync(all)
    deepStrictEqual(encode(samples.EndFrame), { _tag: "EndFrame", id: samples.EndFrame.id })
    const audio = new Uint8Array([1, 2])
    const frame = Frame.AudioRawFrame.make({ audio, sampleRate: 8000, numChannels: 1, pts: 0, metadata: { a: [1] } })
    deepStrictEqual(encode(frame), {
      _tag: "AudioRawFrame",
      id: frame.id,
      pts: 0,
      metadata: { a: [1] },
      audio,
      sampleRate: 8000,
      numChannels: 1,
      sampleWidth: 2
    })
    deepStrictEqual(JSON.parse(Schema.encodeSync(Json)(frame)).audio, "AQI=")
    const app = ping()
    deepStrictEqual(encode(app), { _tag: "Ping", id: app.id, n: 2, at: app.at, either: undefined, bytes: app.bytes })
  })

  it("leaves the cause of an ErrorFrame behind", () => {
    const frame = Frame.ErrorFrame.make({
      error: new Error("boom"),
      fatal: true,
      processor: "P",
      cause: Cause.die("boom")
    })
    const text = Schema.encodeSync(Json)(frame)
    deepStrictEqual(JSON.parse(text), {
      _tag: "ErrorFrame",
      id: frame.id,
      error: { name: "Error", message: "boom" },
      fatal: true,
      processor: "P"
    })
    const back = Schema.decodeUnknownSync(Frame.ErrorFrame.schema)(JSON.parse(text))
    assert(back.error instanceof Error && back.error.message === "boom")
    strictEqual(back.cause, undefined)
  })

  it("decodes instances with the encoded id, which new frames do not take", () => {
    const back = Schema.decodeUnknownSync(all)({
      _tag: "Ping",
      id: 7,
      n: 2,
      at: new Date(0),
      either: undefined,
      bytes: new Uint8Array()
    })
    assert(Ping.is(back) && back.double === 4 && back.name === "Ping#7")
    assert(Alarm.make().id > 7)
  })

  it("checks bounds when decoding and when encoding", () => {
    const audio = { _tag: "AudioRawFrame", id: 1, audio: "AAAA", sampleRate: 1, numChannels: 1, sampleWidth: 3 }
    const image = { _tag: "ImageRawFrame", id: 1, image: "", width: 1, height: 1, format: "raw", mode: "L" }
    const text = { _tag: "TextFrame", id: 1, text: "" }
    const start = Schema.encodeSync(all)(samples.StartFrame)
    const metrics = (metric: object) => ({ _tag: "MetricsFrame", id: 1, data: [metric] })
    const ttfb = { _tag: "Ttfb", processor: "p", milliseconds: 0 }
    const usage = { _tag: "TokenUsage", processor: "p", promptTokens: 1, completionTokens: 0, totalTokens: 1 }
    const decode = Schema.decodeUnknownSync(Schema.toCodecJson(all))
    for (const good of [audio, image, text, start, metrics(ttfb), metrics(usage)]) decode(good)

    const odd = "Expected a length that is a multiple of 2 (numChannels x sampleWidth), got 3 bytes"
    const cases: ReadonlyArray<readonly [input: object, field: string, message: string]> = [
      [{ ...audio, sampleWidth: 2 }, "audio", odd],
      [{ ...audio, numChannels: 2, sampleWidth: 1 }, "audio", odd],
      [{ ...audio, sampleRate: 0 }, "sampleRate", "Expected a value greater than 0, got 0"],
      [{ ...audio, sampleRate: 0.5 }, "sampleRate", "Expected an integer, got 0.5"],
      [{ ...audio, sampleRate: "NaN" }, "sampleRate", "Expected number"],
      [{ ...audio, numChannels: 0 }, "numChannels", "Expected a value greater than or equal to 1, got 0"],
      [{ ...audio, sampleWidth: 0 }, "sampleWidth", "Expected a value between 1 and 4, got 0"],
      [{ ...audio, sampleWidth: 5 }, "sampleWidth", "Expected a value between 1 and 4, got 5"],
      [{ ...image, width: 0 }, "width", "Expected a value greater than or equal to 1, got 0"],
      [{ ...image, height: -1 }, "height", "Expected a value greater than or equal to 1, got -1"],
      [{ ...start, audioInSampleRate: 0 }, "audioInSampleRate", "Expected a value greater than 0, got 0"],
      [{ ...start, audioOutSampleRate: -1 }, "audioOutSampleRate", "Expected a value greater than 0, got -1"],
      [{ ...text, id: -1 }, "id", "Expected a value greater than or equal to 0, got -1"],
      [{ ...text, id: 1.5 }, "id", "Expected an integer, got 1.5"],
      [{ ...text, id: undefined }, "id", "Expected number"],
      [{ ...text, pts: "Infinity" }, "pts", "Expected number"],
      [{ ...text, text: 3 }, "text", "Expected string"],
      [metrics({ ...usage, promptTokens: -1 }), "promptTokens", "Expected a value greater than or equal to 0, got -1"],
      [metrics({ ...ttfb, milliseconds: -1 }), "milliseconds", "Expected a value greater than or equal to 0, got -1"]
    ]
    for (const [input, field, expected] of cases) {
      const message = failure(Schema.toCodecJson(all), input)
      assert(message.startsWith(expected) && message.includes(`["${field}"]`), `${JSON.stringify(input)}: ${message}`)
    }
    assert.include(failure(all, { _tag: "Nope", id: 1 }), "Expected { readonly \"_tag\": \"CancelFrame\", ... } | ")
    assert.include(failure(Schema.toCodecJson(all), { ...audio, audio: "***" }), "[\"audio\"]")

    const encode = Schema.encodeResult(Schema.toCodecJson(all))
    const uneven = encode(Frame.AudioRawFrame.make({ audio: new Uint8Array(3), sampleRate: 8000, numChannels: 1 }))
    assert(uneven._tag === "Failure" && uneven.failure.message.startsWith(odd))
    const pts = encode(Frame.TextFrame.make({ text: "", pts: Number.NaN }))
    assert(pts._tag === "Failure" && pts.failure.message.includes("[\"pts\"]"))
    const look = encode({ ...samples.TextFrame } as Frame.TextFrame)
    assert(look._tag === "Failure" && look.failure.message === "Expected TextFrame")
  })

  it("has a union for each kind, for all, and with app frames", () => {
    const accepted = (schema: Schema.Constraint) => tagsOf(builtIns.filter(Schema.is(schema)))
    deepStrictEqual(accepted(Frame.SystemFrame), kinds.system)
    deepStrictEqual(accepted(Frame.ControlFrame), kinds.control)
    deepStrictEqual(accepted(Frame.DataFrame), kinds.data)
    deepStrictEqual(accepted(Frame.Frame), Object.keys(samples))
    deepStrictEqual(accepted(all), Object.keys(samples))
    assert(!Schema.is(Frame.Frame)(ping()) && Schema.is(all)(ping()))
    assert(Schema.is(Frame.AppFrame([Ping]))(ping()) && !Schema.is(Frame.AppFrame([Hold]))(ping()))
    class Twin extends Frame.App<Twin>()("Ping", {}) {}
    const expected = (tag: string) =>
      new TypeError(`Frame: classes: found "${tag}", expected app frame classes with a tag of their own each`)
    throws(() => Frame.schemaWith([Ping, Twin]), expected("Ping"))
    throws(() => Frame.AppFrame([Frame.TextFrame]), expected("TextFrame"))
  })

  it("names the definition in JSON Schema", () => {
    const document = Schema.toJsonSchemaDocument(Schema.toCodecJson(Frame.AudioRawFrame.schema))
    assert.include(JSON.stringify(document), "\"exclusiveMinimum\":0")
    assert.include(JSON.stringify(document), "\"contentEncoding\":\"base64\"")
  })

  it.effect("generates whole samples", () =>
    Effect.gen(function*() {
      const frames = yield* Arbitrary.sampleEffect(Arbitrary.schema(Frame.AudioRawFrame.schema), { count: 200 })
      assert(frames.some(({ numFrames }) => numFrames > 1))
      assert(frames.every(({ numFrames }) => Number.isInteger(numFrames)))
    }))
})

describe("format", () => {
  const pair = `${"a".repeat(79)}😀b`

  const cases: ReadonlyArray<readonly [Frame.Frame, string]> = [
    [samples.TextFrame, "(\"Hello\")"],
    [Frame.TextFrame.make({ text: "a\n\"b\"" }), "(\"a\\n\\\"b\\\"\")"],
    [Frame.TextFrame.make({ text: "" }), "(\"\")"],
    [Frame.TextFrame.make({ text: "x".repeat(80) }), `("${"x".repeat(80)}")`],
    [Frame.TextFrame.make({ text: "x".repeat(5000) }), `("${"x".repeat(80)}…" 5000 chars)`],
    [Frame.TextFrame.make({ text: pair }), `("${"a".repeat(79)}…" 82 chars)`],
    [samples.AudioRawFrame, "(640 B, 16 kHz, mono, 20 ms)"],
    [
      Frame.AudioRawFrame.make({ audio: new Uint8Array(264_600), sampleRate: 44_100, numChannels: 2, sampleWidth: 3 }),
      "(264.6 KB, 44.1 kHz, stereo, 24 bit, 1 s)"
    ],
    [
      Frame.AudioRawFrame.make({ audio: new Uint8Array(2_400_000), sampleRate: 48_000, numChannels: 6 }),
      "(2.4 MB, 48 kHz, 6 channels, 4.2 s)"
    ],
    [samples.ImageRawFrame, "(1920x1080 jpeg RGB, 3.1 KB)"],
    [samples.ErrorFrame, "(Translate: boom)"],
    [Frame.ErrorFrame.make({ error: "a\nb", fatal: true }), "(a b, fatal)"],
    [Frame.ErrorFrame.make({ error: { _tag: "Oops", code: 3 } }), "({_tag: \"Oops\", code: 3})"],
    [Frame.ErrorFrame.make({ error: new Error("e".repeat(500)) }), `(${"e".repeat(80)}…)`],
    [samples.CancelFrame, "(reason: \"left\")"],
    [samples.EndFrame, ""],
    [samples.HeartbeatFrame, "(at: 1000)"],
    [
      Frame.MetricsFrame.make({
        data: [
          { _tag: "Ttfb", processor: "A", milliseconds: 12.34 },
          { _tag: "Processing", processor: "A", model: "m", milliseconds: 1500 },
          { _tag: "TokenUsage", processor: "B", promptTokens: 1, completionTokens: 2, totalTokens: 3 },
          { _tag: "CharacterUsage", processor: "C", characters: 9 }
        ]
      }),
      "(A Ttfb 12.3 ms, A Processing 1.5 s, B 3 tokens, C 9 characters)"
    ],
    [Alarm.make(), ""],
    [ping(), "(n: 2, at: 1970-01-01T00:00:00.000Z, bytes: 2 B)"]
  ]
  for (const [frame, expected] of cases) {
    it(`${frame._tag}${expected.slice(0, 60)}`, () => strictEqual(afterName(frame), expected))
  }

  it("shows app payloads in short, and never bytes", () => {
    class Deep extends Frame.App<Deep>()("Deep", { value: Schema.Unknown }) {}
    const shown = (value: unknown) => afterName(Deep.make({ value }))
    strictEqual(shown({ a: [1, 2, 3, 4, 5, 6, 7] }), "(value: {a: [1, 2, 3, 4, 5, … 2 more]})")
    strictEqual(shown({ a: { b: { c: { d: 1 } }, x: [[[1]]] } }), "(value: {a: {b: {c: {…}}, x: [[…]]}})")
    strictEqual(shown([new Uint8Array(9), new ArrayBuffer(8), new Float32Array(2)]), "(value: [9 B, 8 B, 8 B])")
    strictEqual(shown(new Map([["k", "v".repeat(200)]])).length, "(value: )".length + 81)
    strictEqual(shown({ toString: 1 }), "(value: {toString: 1})")
    strictEqual(shown(10n), "(value: 10n)")
    strictEqual(shown({ "a\n\u2028\u001b[31m": 1 }), "(value: {a [31m: 1})")
    const wide = { a: "x".repeat(100), b: "x".repeat(100), c: "x".repeat(100), d: "x".repeat(100), e: "😀".repeat(99) }
    strictEqual(shown(wide).length, 403)
    const loop: Record<string, unknown> = {}
    loop.loop = loop
    strictEqual(shown(loop), "(value: {loop: {loop: {loop: {…}}}})")
    JSON.stringify(Deep.make({ value: loop }))
  })

  it.effect("is what logs show", () =>
    Effect.gen(function*() {
      const frame = samples.AudioRawFrame
      const expected = `${frame.name}(640 B, 16 kHz, mono, 20 ms)`
      strictEqual(String(frame), expected)
      strictEqual(inspect(frame), expected)
      strictEqual(inspect({ frame }), `{ frame: ${expected} }`)
      strictEqual(Formatter.format(frame), expected)
      const { id, ...logged } = JSON.parse(
        JSON.stringify(Frame.copy(frame, { metadata: { raw: [new Uint8Array(3)], why: new Error("e") } }))
      )
      deepStrictEqual(logged, {
        _tag: "AudioRawFrame",
        metadata: { raw: ["3 B"], why: "e" },
        audio: "640 B",
        sampleRate: 16000,
        numChannels: 1,
        sampleWidth: 2
      })
      const lines: Array<string> = []
      const logger = Logger.map(Logger.formatSimple, (line) => {
        lines.push(line)
      })
      yield* Effect.log(frame).pipe(Effect.provide(Logger.layer([logger])))
      assert.include(lines.join(), expected)
    }))
})

describe("guards", () => {
  const frames: ReadonlyArray<Frame.Frame> = [...builtIns, ping(), Hold.make({ until: "" }), Alarm.make()]

  it("tell kinds, origin and life cycle", () => {
    deepStrictEqual(tagsOf(frames.filter(Frame.isSystem)), [...kinds.system, "Alarm"])
    deepStrictEqual(tagsOf(frames.filter(Frame.isControl)), [...kinds.control, "Hold"])
    deepStrictEqual(tagsOf(frames.filter(Frame.isData)), [...kinds.data, "Ping"])
    deepStrictEqual(tagsOf(frames.filter(Frame.isApp)), ["Ping", "Hold", "Alarm"])
    deepStrictEqual(tagsOf(frames.filter(Frame.isUninterruptible)), ["StopTaskFrame", "EndFrame", "Hold"])
    deepStrictEqual(tagsOf(frames.filter(Frame.isLifecycle)), [
      "CancelFrame",
      "StopTaskFrame",
      "StartInterruptionFrame",
      "StopInterruptionFrame",
      "StartFrame",
      "EndFrame"
    ])
    assert(frames.every(Frame.isFrame))
    assert(![undefined, null, 1, "TextFrame", {}, { _tag: "TextFrame" }].some(Frame.isFrame))
  })

  it("take a plain object for interruptible data", () => {
    const like = { ...samples.CancelFrame } as unknown as Frame.Frame
    for (const frame of [literal, like]) {
      strictEqual(Frame.kindOf(frame), "data")
      assert(Frame.isData(frame) && !Frame.isSystem(frame) && !Frame.isControl(frame))
      assert(!Frame.isUninterruptible(frame) && !Frame.isLifecycle(frame) && Frame.isApp(frame))
      strictEqual(Frame.match(frame, cases), "app")
    }
    strictEqual(Frame.format(literal), "Literal#1")
    strictEqual(Frame.format(like), `CancelFrame#${like.id}(reason: "left")`)
  })

  const cases = {
    ...(Object.fromEntries(
      Object.keys(samples).map((tag) => [tag, (frame: Frame.Frame) => frame._tag])
    ) as { readonly [T in Frame.Tag]: (frame: Frame.Frame) => string }),
    AppFrame: () => "app"
  }

  it("isAnyOf, both ways", () => {
    const isMedia = Frame.isAnyOf([Frame.AudioRawFrame, Ping])
    deepStrictEqual(tagsOf(frames.filter(isMedia)), ["AudioRawFrame", "Ping"])
    assert(Frame.isAnyOf(samples.TextFrame, [Frame.TextFrame]) && !Frame.isAnyOf(samples.TextFrame, []))
    assert(!isMedia(undefined) && !isMedia({ _tag: "Ping" }))
  })

  it("match, both ways", () => {
    for (const frame of builtIns) strictEqual(Frame.match(frame, cases), frame._tag)
    deepStrictEqual(frames.slice(-3).map(Frame.match(cases)), ["app", "app", "app"])
    class Inherited extends Frame.App<Inherited>()("toString", {}) {}
    strictEqual(Frame.match(Inherited.make(), cases), "app")
    const bytes = (frame: Frame.DataFrame) =>
      Frame.match(frame, {
        TextFrame: (frame) => frame.text.length,
        AudioRawFrame: (frame) => frame.audio.length,
        ImageRawFrame: (frame) => frame.image.length
      })
    deepStrictEqual([samples.TextFrame, samples.AudioRawFrame, samples.ImageRawFrame].map(bytes), [5, 640, 3100])
  })

  it("matchOrElse, both ways", () => {
    const some = { TextFrame: (frame: Frame.TextFrame) => frame.text, AppFrame: () => "app" }
    const label = Frame.matchOrElse(some, (frame) => frame.kind)
    deepStrictEqual([samples.TextFrame, samples.EndFrame, ping()].map(label), ["Hello", "control", "app"])
    strictEqual(Frame.matchOrElse(ping(), {}, (frame) => frame.n), 2)
    strictEqual(Frame.matchOrElse(samples.TextFrame, some, () => "else"), "Hello")
  })
})

describe("copy", () => {
  it("has a new id and shares everything else", () => {
    const metadata = { a: 1 }
    const frame = Ping.make({ n: 1, at: new Date(0), either: true, note: "x", pts: 5, metadata })
    const copy = Frame.copy(frame)
    assert(copy.id > frame.id && Ping.is(copy))
    deepStrictEqual({ ...copy, id: 0 }, { ...frame, id: 0 })
    assert(copy.metadata === metadata && copy.bytes === frame.bytes && copy.at === frame.at)
    const cause = Cause.fail("x")
    strictEqual(Frame.copy(Frame.ErrorFrame.make({ error: "x", cause })).cause, cause)
    for (const each of builtIns) deepStrictEqual({ ...Frame.copy(each), id: 0 }, { ...each, id: 0 })
  })

  it("changes fields, both ways", () => {
    const frame = Frame.TextFrame.make({ text: "hi", pts: 20 })
    const copy = Frame.copy(frame, { text: "ho" })
    deepStrictEqual([copy.text, copy.pts, frame.text], ["ho", 20, "hi"])
    deepStrictEqual([frame].map(Frame.copy({ pts: undefined })).map(({ pts, text }) => [text, pts]), [
      ["hi", undefined]
    ])
  })

  it("refuses to change what is not a field", () => {
    for (const key of ["id", "_tag", "kind", "duration", "toString", "other"]) {
      throws(
        () => Frame.copy(samples.AudioRawFrame, { [key]: 1 } as {}),
        new TypeError(`Frame: copy of AudioRawFrame: found "${key}", expected pts, metadata or a field of the payload`)
      )
    }
  })

  it("copies a plain object too", () => {
    const copy = Frame.copy(literal, { pts: 3 })
    deepStrictEqual({ ...copy }, { ...literal, pts: 3, id: copy.id })
    assert(copy.id !== literal.id)
  })
})

describe("cost", () => {
  const count = 20_000
  const ring: Array<unknown> = Array.from({ length: 1024 })
  const audio = new Uint8Array(640)
  let id = 0

  const time = (run: () => void): number => {
    const start = process.hrtime.bigint()
    run()
    return Number(process.hrtime.bigint() - start)
  }

  /**
   * Compares the best rounds of both: they are short, so that some of them are not interrupted on a busy machine. The
   * compiler works in the background and may have to wait for a core: it is given some seconds.
   */
  const atMost = (limit: number, frame: () => void, literal: () => void): Effect.Effect<void> =>
    Effect.gen(function*() {
      let [best, base] = [Infinity, Infinity]
      for (let attempt = 0; attempt < 100; attempt++) {
        for (let round = 0; round < 20; round++) {
          base = Math.min(base, time(literal))
          best = Math.min(best, time(frame))
        }
        if (attempt > 4 && best <= limit * base) return
        yield* Effect.sleep("50 millis")
      }
      assert.fail(`a frame costs ${(best / base).toFixed(2)} times as much as a literal, expected at most ${limit}`)
    })

  // Makes the code that classes share see many of them, as it does in an application.
  for (let n = 0; n < 6; n++) {
    class Other extends Frame.App<Other>()(`Other${n}`, { [`f${n}`]: Schema.Finite }) {}
    for (let i = 0; i < 5000; i++) ring[i & 1023] = Other.make({ [`f${n}`]: i })
  }
  class Quad extends Frame.App<Quad>()("Quad", {
    a: Schema.Finite,
    b: Schema.String,
    c: Schema.Finite,
    d: Schema.Boolean
  }) {}

  it.live("TextFrame", () => {
    const { make } = Frame.TextFrame
    return atMost(3, () => {
      for (let i = 0; i < count; i++) ring[i & 1023] = make({ text: "hi" })
    }, () => {
      for (let i = 0; i < count; i++) {
        ring[i & 1023] = { _tag: "TextFrame", id: ++id, pts: undefined, metadata: undefined, text: "hi" }
      }
    })
  })

  it.live("AudioRawFrame", () => {
    const { make } = Frame.AudioRawFrame
    return atMost(3, () => {
      for (let i = 0; i < count; i++) ring[i & 1023] = make({ audio, sampleRate: 16000, numChannels: 1 })
    }, () => {
      for (let i = 0; i < count; i++) {
        ring[i & 1023] = {
          _tag: "AudioRawFrame",
          id: ++id,
          pts: undefined,
          metadata: undefined,
          audio,
          sampleRate: 16000,
          numChannels: 1,
          sampleWidth: 2
        }
      }
    })
  })

  it.live("an app frame", () => {
    const { make } = Quad
    return atMost(3, () => {
      for (let i = 0; i < count; i++) ring[i & 1023] = make({ a: i, b: "x", c: 1, d: true })
    }, () => {
      for (let i = 0; i < count; i++) {
        ring[i & 1023] = { _tag: "Quad", id: ++id, pts: undefined, metadata: undefined, a: i, b: "x", c: 1, d: true }
      }
    })
  })

  it("app frames work where code must not be generated", async () => {
    const script = `
      import * as Frame from "@apipeline/core/Frame"
      import { Effect, Schema } from "effect"
      class Ping extends Frame.App()("Ping", {
        n: Schema.Finite,
        m: Schema.Finite.pipe(Schema.withConstructorDefault(Effect.succeed(3)))
      }) { get double() { return this.n * 2 } }
      class Alarm extends Frame.App()("Alarm", {}) {}
      const frame = Frame.copy(Ping.make({ n: 2, pts: 1 }))
      console.log(JSON.stringify([frame, frame.double, Alarm.make(), Ping.is(frame), typeof Function]))
      try { new Function("") } catch { console.log("refused") }`
    const { stdout } = await promisify(execFile)(process.execPath, [
      "--disallow-code-generation-from-strings",
      "--input-type=module",
      "--eval",
      script
    ])
    deepStrictEqual(stdout.trim().split("\n"), [
      JSON.stringify([{ _tag: "Ping", id: 2, pts: 1, n: 2, m: 3 }, 4, { _tag: "Alarm", id: 3 }, true, "function"]),
      "refused"
    ])
  })
})
