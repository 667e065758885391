import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import { Effect, type Layer, Result, Stream } from "effect"
import { payload } from "./frames.ts"
import { random } from "./random.ts"

const bytes = (wire: Uint8Array | string): Uint8Array =>
  typeof wire === "string" ? new TextEncoder().encode(wire) : Uint8Array.from(wire)

/** The chunks of a stream, cut anywhere. */
export const cut = (whole: Uint8Array, seed: number): Array<Uint8Array> => {
  const { int } = random(seed)
  const chunks: Array<Uint8Array> = []
  for (let at = 0; at < whole.length;) {
    const size = 1 + int(1 + int(40))
    chunks.push(whole.slice(at, at + size))
    at += size
  }
  return chunks
}

const reasonOf = <A>(result: Result.Result<A, FrameSerializer.SerializerError>): string => {
  assert(Result.isFailure(result), "expected a failure")
  assert.instanceOf(result.failure, FrameSerializer.SerializerError)
  strictEqual(result.failure.message, result.failure.reason.message)
  return result.failure.reason._tag
}

/** What every serializer has to do, given frames that its format carries and some that it does not. */
export const serializerContract = (name: string, options: {
  readonly layer: Layer.Layer<FrameSerializer.FrameSerializer>
  readonly carried: ReadonlyArray<Frame.Frame>
  readonly notCarried: ReadonlyArray<Frame.Frame>
  /** Whether a decoded frame has the id it was encoded with, or one of this process. */
  readonly keepsIds: boolean
}): void => {
  const { carried, keepsIds, layer, notCarried } = options
  type Service = FrameSerializer.FrameSerializer["Service"]
  const test = (name: string, f: (serializer: Service) => Effect.Effect<void, unknown>) =>
    it.effect(name, () => FrameSerializer.FrameSerializer.use(f).pipe(Effect.provide(layer)))
  const sync = (name: string, f: (serializer: Service) => void) =>
    test(name, (serializer) => Effect.sync(() => f(serializer)))

  describe(`${name}: contract`, () => {
    sync(
      "every frame it carries comes back the same, as an instance of its class",
      ({ decodeUnsafe, encodeUnsafe }) => {
        for (const frame of carried) {
          const before = { ...frame }
          const decoded = decodeUnsafe(encodeUnsafe(frame))
          assert.isTrue(Frame.isFrame(decoded))
          strictEqual(Object.getPrototypeOf(decoded), Object.getPrototypeOf(frame))
          deepStrictEqual(payload(decoded), payload(frame))
          deepStrictEqual({ ...frame }, before, "encoding changes nothing")
          if (keepsIds) strictEqual(decoded.id, frame.id)
          else assert.isAbove(decoded.id, frame.id)
        }
      }
    )

    sync("what a frame decodes to has a new id each time, unless the format keeps ids", (serializer) => {
      for (const frame of carried) {
        const wire = serializer.encodeUnsafe(frame)
        strictEqual(serializer.decodeUnsafe(wire).id === serializer.decodeUnsafe(wire).id, keepsIds)
      }
    })

    test("the three forms of each direction agree", (serializer) =>
      Effect.gen(function*() {
        for (const frame of carried) {
          const wire = serializer.encodeUnsafe(frame)
          deepStrictEqual(yield* serializer.encode(frame), wire)
          deepStrictEqual(serializer.encodeResult(frame), Result.succeed(wire))
          const decoded = payload(serializer.decodeUnsafe(wire))
          deepStrictEqual(payload(yield* serializer.decode(wire)), decoded)
          deepStrictEqual(payload(Result.getOrThrow(serializer.decodeResult(wire))), decoded)
        }
        for (const frame of notCarried) {
          const error = yield* Effect.flip(serializer.encode(frame))
          strictEqual(error.reason._tag, "UnsupportedFrame")
          assert.throws(() => serializer.encodeUnsafe(frame), error.message)
        }
      }))

    sync("encodes to the type it says, the same each time", ({ encodeUnsafe, type }) => {
      for (const frame of carried) {
        const wire = encodeUnsafe(frame)
        if (type === "text") assert.isString(wire)
        else strictEqual(Object.getPrototypeOf(wire), Uint8Array.prototype)
        deepStrictEqual(encodeUnsafe(frame), wire)
      }
    })

    sync("what it has encoded does not change when it encodes something else", ({ encodeUnsafe }) => {
      const wires = carried.map((frame) => encodeUnsafe(frame))
      const copies = wires.map(bytes)
      for (const frame of carried) encodeUnsafe(frame)
      deepStrictEqual(wires.map(bytes), copies)
    })

    sync("says which frames it carries", ({ carries, encodeResult }) => {
      for (const frame of carried) assert.isTrue(carries(frame), frame._tag)
      for (const frame of notCarried) {
        assert.isFalse(carries(frame), frame._tag)
        strictEqual(reasonOf(encodeResult(frame)), "UnsupportedFrame")
      }
    })

    sync("refuses input of the other type, and none at all", ({ decodeResult, decodeUnsafe, encodeUnsafe, type }) => {
      for (const nothing of ["", new Uint8Array(0)]) strictEqual(reasonOf(decodeResult(nothing)), "MalformedInput")
      for (const wrong of [undefined, null, 1, {}, [], () => 1, new ArrayBuffer(8)]) {
        strictEqual(reasonOf(decodeResult(wrong as any)), "MalformedInput")
      }
      const wire = encodeUnsafe(carried[0]!)
      if (type === "binary") strictEqual(reasonOf(decodeResult("text")), "MalformedInput")
      else deepStrictEqual(payload(decodeUnsafe(bytes(wire))), payload(carried[0]!), "text may come as UTF-8")
    })

    sync("reads Node's buffers like any bytes, and leaves them alone", ({ decodeUnsafe, encodeUnsafe }) => {
      for (const frame of carried) {
        const wire = Buffer.concat([Buffer.from("x"), bytes(encodeUnsafe(frame))])
        const before = Buffer.from(wire)
        deepStrictEqual(payload(decodeUnsafe(wire.subarray(1))), payload(frame))
        deepStrictEqual(wire, before)
      }
    })

    sync("every prefix of what it encodes is an error or a frame", ({ decodeResult, encodeUnsafe }) => {
      for (const frame of carried) {
        const wire = encodeUnsafe(frame)
        for (let size = 0; size < Math.min(wire.length, 300); size++) {
          const result = decodeResult(wire.slice(0, size))
          if (Result.isSuccess(result)) assert.isTrue(Frame.isFrame(result.success))
          else reasonOf(result)
        }
      }
    })

    test("streams, wherever the chunks are cut", (serializer) =>
      Effect.gen(function*() {
        const parts = yield* Stream.fromIterable(carried).pipe(
          Stream.rechunk(2),
          Stream.pipeThroughChannel(FrameSerializer.encodeChannel(serializer)),
          Stream.runCollect
        )
        strictEqual(parts.length, Math.ceil(carried.length / 2), "a chunk of frames is a chunk of output")
        const whole = Buffer.concat(parts.map(bytes))
        const expected = carried.map(payload)
        for (let seed = 0; seed < 30; seed++) {
          const decoded = yield* Stream.fromIterable(seed === 0 ? [whole] : cut(whole, seed)).pipe(
            Stream.rechunk(1 + seed % 3),
            Stream.pipeThroughChannel(FrameSerializer.decodeChannel(serializer)),
            Stream.runCollect
          )
          deepStrictEqual(decoded.map(payload), expected)
        }
      }))

    test("a stream that ends within a frame fails after the frames before it", (serializer) =>
      Effect.gen(function*() {
        const parts = yield* Stream.make(carried[0]!, carried[0]!).pipe(
          Stream.pipeThroughChannel(FrameSerializer.encodeChannel(serializer)),
          Stream.runCollect
        )
        const whole = Buffer.concat(parts.map(bytes))
        const seen: Array<unknown> = []
        const error = yield* Stream.make<Array<Uint8Array>>(whole.subarray(0, whole.length - 3)).pipe(
          Stream.pipeThroughChannel(FrameSerializer.decodeChannel(serializer)),
          Stream.runForEach((frame) => Effect.sync(() => seen.push(payload(frame)))),
          Effect.flip
        )
        strictEqual(error.reason._tag, "MalformedInput")
        deepStrictEqual(seen, [payload(carried[0]!)])
      }))

    test("a frame above the limit of a stream fails, one at the limit does not", (serializer) =>
      Effect.gen(function*() {
        const frame = carried[0]!
        const size = bytes(serializer.encodeUnsafe(frame)).length
        const run = (maxFrameSize: number) =>
          Stream.make(frame).pipe(
            Stream.pipeThroughChannel(FrameSerializer.encodeChannel(serializer)),
            Stream.pipeThroughChannel(FrameSerializer.decodeChannel(serializer, { maxFrameSize })),
            Stream.runCollect
          )
        strictEqual((yield* run(size)).length, 1)
        strictEqual((yield* Effect.flip(run(size - 1))).reason._tag, "FrameTooLarge")
      }))

    test("a frame that cannot be encoded fails a stream after the frames before it", (serializer) =>
      Effect.gen(function*() {
        const seen: Array<unknown> = []
        const error = yield* Stream.make(carried[0]!, notCarried[0]!, carried[0]!).pipe(
          Stream.pipeThroughChannel(FrameSerializer.encodeChannel(serializer)),
          Stream.runForEach((part) => Effect.sync(() => seen.push(part))),
          Effect.flip
        )
        strictEqual(error.reason._tag, "UnsupportedFrame")
        strictEqual(seen.length, 1)
      }))
  })
}
