import * as Frame from "@apipeline/core/Frame"
import type { Effect } from "effect"
import { Schema } from "effect"
import { describe, expect, test } from "tstyche"

class Ping extends Frame.App<Ping>()("Ping", {
  n: Schema.Finite,
  note: Schema.optionalKey(Schema.String),
  loud: Schema.Boolean.pipe(Schema.withConstructorDefault(null! as Effect.Effect<boolean>))
}) {
  get double() {
    return this.n * 2
  }
}
class Hold extends Frame.App<Hold>()("Hold", {}, { kind: "control", uninterruptible: true }) {}

declare const frame: Frame.Frame
declare const builtIn: Frame.BuiltIn
declare const ping: Ping

describe("make", () => {
  test("takes the payload and the options", () => {
    const { make } = Frame.TextFrame
    expect(make).type.toBeCallableWith({ text: "hi" })
    expect(make).type.toBeCallableWith({ text: "hi", pts: 0, metadata: { a: 1 } })
    expect(make).type.not.toBeCallableWith()
    expect(make).type.not.toBeCallableWith({})
    expect(make).type.not.toBeCallableWith({ text: 1 })
    expect(make).type.not.toBeCallableWith({ text: "hi", id: 1 })
    expect(make).type.not.toBeCallableWith({ txt: "hi" })
    expect(make({ text: "hi" })).type.toBe<Frame.TextFrame>()
  })

  test("needs no argument where nothing is required", () => {
    expect(Frame.EndFrame.make).type.toBeCallableWith()
    expect(Frame.EndFrame.make).type.toBeCallableWith({ reason: undefined })
    expect(Frame.StartFrame.make).type.toBeCallableWith({ allowInterruptions: true })
    expect(Frame.StartFrame.make).type.not.toBeCallableWith({ allowInterruption: true })
    expect(Frame.AudioRawFrame.make).type.not.toBeCallableWith({ audio: new Uint8Array(), sampleRate: 1 })
  })

  test("gives frames that are read-only", () => {
    const text = Frame.TextFrame.make({ text: "hi" })
    expect(text._tag).type.toBe<"TextFrame">()
    expect(text.kind).type.toBe<"data">()
    expect(text.pts).type.toBe<number | undefined>()
    expect<Pick<Frame.TextFrame, "id" | "text" | "_tag">>().type.toBe<
      { readonly id: number; readonly text: string; readonly _tag: "TextFrame" }
    >()
  })
})

describe("App", () => {
  test("types make, the instance and the schema", () => {
    expect(Ping.make).type.toBeCallableWith({ n: 1 })
    expect(Ping.make).type.toBeCallableWith({ n: 1, note: "x", loud: true, pts: 1, metadata: {} })
    expect(Ping.make).type.not.toBeCallableWith()
    expect(Ping.make).type.not.toBeCallableWith({ n: "1" })
    expect(Ping.make).type.not.toBeCallableWith({ n: 1, m: 2 })
    expect(Hold.make).type.toBeCallableWith()
    expect(Hold.make()).type.toBe<Hold>()
    expect(Ping.make({ n: 1 })).type.toBe<Ping>()
    expect(ping.double).type.toBe<number>()
    expect(ping._tag).type.toBe<"Ping">()
    expect(ping.kind).type.toBe<"data">()
    expect(Hold.make().kind).type.toBe<"control">()
    expect(Ping.tag).type.toBe<"Ping">()
    expect<typeof Ping.schema.Type>().type.toBe<Ping>()
    expect<typeof Ping.schema.DecodingServices>().type.toBe<never>()
    expect<typeof Hold.schema.Encoded>().type.toBe<{
      readonly _tag: "Hold"
      readonly id: number
      readonly pts?: number
      readonly metadata?: Frame.Metadata
    }>()
    expect<Schema.Codec.Encoded<typeof Ping.schema>["n"]>().type.toBe<number>()
  })

  test("refuses what frames use themselves, and a missing type argument", () => {
    expect(Frame.App<Ping>()).type.not.toBeCallableWith("X", { id: Schema.String })
    expect(Frame.App<Ping>()).type.not.toBeCallableWith("X", { name: Schema.String })
    expect(Frame.App<Ping>()).type.not.toBeCallableWith("X", { n: "number" })
    expect(Frame.App<Ping>()).type.not.toBeCallableWith("X", {}, { kind: "urgent" })
    expect(Frame.App()("X", {})).type.toBe<"Missing type argument: class X extends Frame.App<X>()(...)">()
  })
})

describe("unions", () => {
  test("add up", () => {
    expect<Frame.Frame>().type.toBe<Frame.SystemFrame | Frame.ControlFrame | Frame.DataFrame | Frame.AppFrame>()
    expect(ping).type.toBeAssignableTo<Frame.Frame>()
    expect(ping).type.toBeAssignableTo<Frame.AppFrame<"data">>()
    expect(ping).type.not.toBeAssignableTo<Frame.AppFrame<"system">>()
    expect(builtIn).type.not.toBeAssignableTo<Frame.AppFrame>()
    expect({ _tag: "TextFrame" as const, text: "hi" }).type.not.toBeAssignableTo<Frame.Frame>()
    expect<Frame.WithTag<"EndFrame">>().type.toBe<Frame.EndFrame>()
    expect<typeof Frame.Frame.Type>().type.toBe<Frame.BuiltIn>()
  })

  test("of schemas keep their types", () => {
    const schema = Frame.schemaWith([Ping, Hold])
    expect<typeof schema.Type>().type.toBe<Frame.BuiltIn | Ping | Hold>()
    expect<typeof schema.EncodingServices>().type.toBe<never>()
    const app = Frame.AppFrame([Ping])
    expect<typeof app.Type>().type.toBe<Ping>()
  })

  test("narrow by tag when they are closed", () => {
    if (builtIn._tag === "TextFrame") expect(builtIn).type.toBe<Frame.TextFrame>()
    const mixed = null! as Frame.TextFrame | Ping
    if (mixed._tag === "Ping") expect(mixed).type.toBe<Ping>()
  })
})

describe("guards", () => {
  test("narrow both ways", () => {
    if (Frame.isApp(frame)) expect(frame).type.toBe<Frame.AppFrame>()
    else expect(frame).type.toBe<Frame.BuiltIn>()
    if (Frame.isSystem(frame)) expect(frame).type.toBe<Frame.SystemFrame | Frame.AppFrame<"system">>()
    else expect(frame).type.toBe<Frame.ControlFrame | Frame.DataFrame | Frame.AppFrame>()
    if (Frame.TextFrame.is(frame)) expect(frame.text).type.toBe<string>()
    if (Ping.is(frame)) expect(frame).type.toBe<Ping>()
    if (Frame.isLifecycle(frame)) expect(frame).type.toBe<Frame.Lifecycle>()
    const isMedia = Frame.isAnyOf([Frame.AudioRawFrame, Ping])
    if (isMedia(frame)) expect(frame).type.toBe<Frame.AudioRawFrame | Ping>()
    if (Frame.isAnyOf(frame, [Frame.EndFrame])) expect(frame).type.toBe<Frame.EndFrame>()
    expect(Frame.isAnyOf).type.not.toBeCallableWith([String])
  })
})

describe("match", () => {
  const data = null! as Frame.DataFrame
  const cases = {
    TextFrame: (frame: Frame.TextFrame) => frame.text,
    AudioRawFrame: (frame: Frame.AudioRawFrame) => frame.numFrames,
    ImageRawFrame: () => true as const
  }
  const other = null! as Omit<Frame.Cases<Frame.Frame, Date>, keyof typeof cases>

  test("gives each case its frame, and the union of the results", () => {
    expect(Frame.match(data, cases)).type.toBe<string | number | true>()
    expect(Frame.match({ ...other, ...cases })(frame)).type.toBe<string | number | true | Date>()
    Frame.match(data, {
      TextFrame: (frame) => expect(frame).type.toBe<Frame.TextFrame>(),
      AudioRawFrame: (frame) => expect(frame).type.toBe<Frame.AudioRawFrame>(),
      ImageRawFrame: (frame) => expect(frame).type.toBe<Frame.ImageRawFrame>()
    })
    expect(Frame.match(null! as Frame.TextFrame | Ping, { ...cases, AppFrame: (frame) => frame.double })).type.toBe<
      string | number | true
    >()
  })

  test("needs every case and knows them all", () => {
    const { TextFrame, ...missing } = cases
    expect(Frame.match).type.not.toBeCallableWith(data, missing)
    expect(Frame.match).type.not.toBeCallableWith(frame, cases)
    expect(Frame.match).type.not.toBeCallableWith(cases)
    expect(Frame.match).type.not.toBeCallableWith(builtIn, { ...cases, AppFrame: () => 1 })
    expect(Frame.match).type.not.toBeCallableWith(data, { ...cases, TextFrme: () => 1 })
    expect(Frame.match).type.not.toBeCallableWith(data, {
      ...cases,
      TextFrame: (frame: Frame.EndFrame) => frame.reason
    })
  })

  test("OrElse takes some", () => {
    expect(Frame.matchOrElse(frame, cases, () => null)).type.toBe<string | number | true | null>()
    expect(Frame.matchOrElse({ TextFrame: (frame) => frame.text }, () => 0)(frame)).type.toBe<string | number>()
    expect(Frame.matchOrElse).type.not.toBeCallableWith(frame, { TextFrme: () => 1 }, () => 0)
  })
})

describe("copy", () => {
  const text = null! as Frame.TextFrame
  test("keeps the type and changes only fields", () => {
    expect(Frame.copy(text)).type.toBe<Frame.TextFrame>()
    expect(Frame.copy(text, { text: "x", pts: undefined })).type.toBe<Frame.TextFrame>()
    expect(Frame.copy({ text: "x" })(text)).type.toBe<Frame.TextFrame>()
    expect(Frame.copy).type.not.toBeCallableWith(text, { id: 1 })
    expect(Frame.copy).type.not.toBeCallableWith(text, { text: 1 })
    expect(Frame.copy).type.not.toBeCallableWith(text, { n: 1 })
    expect(Frame.copy({ n: 1 })).type.not.toBeCallableWith(text)
    expect(Frame.copy({ id: 1 })).type.not.toBeCallableWith(text)
  })
})
