import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as Protobuf from "@apipeline/core/Protobuf"
import { InputTransportMessageFrame } from "@apipeline/core/TransportFrames"
import { type Effect, type Layer, type Result, Schema, Stream } from "effect"
import { describe, expect, test } from "tstyche"

class Ping extends Frame.App<Ping>()("Ping", {
  n: Schema.Finite,
  at: Schema.DateFromString,
  note: Schema.optionalKey(Schema.String),
  maybe: Schema.UndefinedOr(Schema.Boolean)
}) {}

const fields = {
  n: Protobuf.double(3),
  at: Protobuf.string(4),
  note: Protobuf.optional(Protobuf.string(5)),
  maybe: Protobuf.optional(Protobuf.bool(6))
}

declare const frame: Frame.Frame
declare const any: FrameSerializer.Serializer

describe("serializers", () => {
  test("bytes that a WebSocket takes, or text", () => {
    const { encode, encodeResult, encodeUnsafe } = FrameSerializer.makeProtobuf()
    expect(encodeUnsafe(frame)).type.toBe<Uint8Array<ArrayBuffer>>()
    expect(encode(frame)).type.toBe<Effect.Effect<Uint8Array<ArrayBuffer>, FrameSerializer.SerializerError>>()
    expect(encodeResult(frame)).type.toBe<Result.Result<Uint8Array<ArrayBuffer>, FrameSerializer.SerializerError>>()
    expect(FrameSerializer.makePipecat().encodeUnsafe(frame)).type.toBe<Uint8Array<ArrayBuffer>>()
    expect(FrameSerializer.makeJson().encodeUnsafe(frame)).type.toBe<string>()
    expect(FrameSerializer.makePipelineGoJson().encodeUnsafe(frame)).type.toBe<string>()
    expect(FrameSerializer.makeMessageJson().encodeUnsafe(frame)).type.toBe<string>()
    expect(any.encodeUnsafe(frame)).type.toBe<string | Uint8Array>()
    expect(any.decodeUnsafe("")).type.toBe<Frame.Frame>()
  })

  test("any of them is the service", () => {
    expect<FrameSerializer.Serializer>().type.toBeAssignableFrom(FrameSerializer.makeProtobuf())
    expect<FrameSerializer.Serializer>().type.toBeAssignableFrom(FrameSerializer.makeJson())
    expect<FrameSerializer.FrameSerializer["Service"]>().type.toBe<FrameSerializer.Serializer>()
    expect(FrameSerializer.layerProtobuf()).type.toBe<Layer.Layer<FrameSerializer.FrameSerializer>>()
    expect(FrameSerializer.layerJson({ frames: [Ping, InputTransportMessageFrame] })).type.toBe<
      Layer.Layer<FrameSerializer.FrameSerializer>
    >()
  })
})

describe("message", () => {
  test("wants a field for every part of the payload, of the type it encodes to", () => {
    expect(Protobuf.message(Ping, { number: 16, fields })).type.toBe<Protobuf.Codec<Ping>>()
    const { at: _at, ...missing } = fields
    expect(Protobuf.message).type.not.toBeCallableWith(Ping, { number: 16, fields: missing })
    expect(Protobuf.message).type.not.toBeCallableWith(Ping, {
      number: 16,
      fields: { ...fields, n: Protobuf.string(3) }
    })
    expect(Protobuf.message).type.not.toBeCallableWith(Ping, {
      number: 16,
      fields: { ...fields, at: Protobuf.double(4) }
    })
    const repeated = Protobuf.repeated(Protobuf.double(3))
    expect(Protobuf.message).type.not.toBeCallableWith(Ping, { number: 16, fields: { ...fields, n: repeated } })
    expect(Protobuf.message).type.not.toBeCallableWith(Ping, { fields })
  })

  test("what may be absent wants a field with presence, or none", () => {
    const { note: _note, ...local } = fields
    expect(Protobuf.message).type.toBeCallableWith(Ping, { number: 16, fields: local })
    const plain = { ...fields, note: Protobuf.string(5) }
    expect(Protobuf.message).type.not.toBeCallableWith(Ping, { number: 16, fields: plain })
    const { maybe: _maybe, ...required } = fields
    expect(Protobuf.message).type.not.toBeCallableWith(Ping, { number: 16, fields: required })
  })

  test("is what the serializers take", () => {
    expect(FrameSerializer.makeProtobuf).type.toBeCallableWith({
      frames: [Protobuf.message(Ping, { number: 16, fields })]
    })
    expect(FrameSerializer.makeProtobuf).type.not.toBeCallableWith({ frames: [Ping] })
    expect(FrameSerializer.makeJson).type.not.toBeCallableWith({
      frames: [Protobuf.message(Ping, { number: 16, fields })]
    })
  })
})

describe("channels", () => {
  test("emit what the serializer encodes to, and take either", () => {
    const bytes = Stream.make(frame).pipe(
      Stream.pipeThroughChannel(FrameSerializer.encodeChannel(FrameSerializer.makeProtobuf()))
    )
    expect(bytes).type.toBe<Stream.Stream<Uint8Array<ArrayBuffer>, FrameSerializer.SerializerError>>()
    const lines = Stream.make(frame).pipe(
      Stream.pipeThroughChannel(FrameSerializer.encodeChannel(FrameSerializer.makeJson()))
    )
    expect(lines).type.toBe<Stream.Stream<string, FrameSerializer.SerializerError>>()
    const frames = lines.pipe(Stream.pipeThroughChannel(FrameSerializer.decodeChannel(FrameSerializer.makeJson())))
    expect(frames).type.toBe<Stream.Stream<Frame.Frame, FrameSerializer.SerializerError>>()
  })

  test("let failures of the source through", () => {
    const encoded = Stream.fail("down" as const).pipe(
      Stream.pipeThroughChannel(FrameSerializer.encodeChannel(FrameSerializer.makeJson()))
    )
    expect(encoded).type.toBe<Stream.Stream<string, "down" | FrameSerializer.SerializerError>>()
    const decoded = Stream.fail("down" as const).pipe(
      Stream.pipeThroughChannel(FrameSerializer.decodeChannel(any))
    )
    expect(decoded).type.toBe<Stream.Stream<Frame.Frame, "down" | FrameSerializer.SerializerError>>()
  })
})
