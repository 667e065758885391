/**
 * Frames to bytes or text and back, in the formats that the lineage and its clients speak.
 *
 * | layer | format | frames |
 * |---|---|---|
 * | {@link layerProtobuf} | the protobuf of pipeline-go and apipeline | text, audio, images |
 * | {@link layerPipelineGoJson} | the JSON of pipeline-go | text, audio, images |
 * | {@link layerJson} | our own JSON: what the schemas encode to | all built-in frames |
 * | {@link layerPipecat} | the protobuf of pipecat's clients | text, audio, transcriptions, messages, interruptions |
 * | {@link layerMessageJson} | messages as JSON, for `curl` and `wscat` | messages, audio that goes out |
 *
 * All take app frames besides: the JSON ones their classes, the protobuf ones a codec each, see `Protobuf.message`.
 *
 * Only our own JSON keeps ids. A frame from any other format is a new frame with an id of this process, because ids
 * de-duplicate within one process; what a protobuf said about id and name is in its metadata, see {@link wireIdentity}.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Channel from "effect/Channel"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Ndjson from "effect/encoding/Ndjson"
import * as Layer from "effect/Layer"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type * as Frame from "./Frame.ts"
import * as Transport from "./internal/transport/transportMessages.ts"
import * as Bytes from "./internal/wire/bytes.ts"
import * as Json from "./internal/wire/jsonFrames.ts"
import * as Messages from "./internal/wire/protobufFrames.ts"
import * as Errors from "./internal/wire/serializerError.ts"
import * as Protobuf from "./Protobuf.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

export {
  FrameTooLarge,
  InvalidFrame,
  MalformedInput,
  SerializerError,
  UnknownFrame,
  UnsupportedFrame
} from "./internal/wire/serializerError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * One format. `Wire` is what it encodes to: bytes or text. Each direction comes in three forms: an `Effect`, a
 * `Result`, and for hot paths a plain function that throws the `SerializerError`.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const json = FrameSerializer.makePipelineGoJson()
 * Effect.runSync(json.encode(Frame.TextFrame.make({ text: "hi" }))) // => `{"type":"text","data":{"Text":"hi"}}`
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Serializer<out Wire extends Uint8Array | string = Uint8Array | string> {
  /** Names the format in errors. */
  readonly format: string
  /** What it encodes to, and so how a transport sends it, and how {@link encodeChannel} frames it. */
  readonly type: "binary" | "text"
  /** Whether the format has a place for this type of frame: a transport skips the others. */
  readonly carries: (frame: Frame.Frame) => boolean
  readonly encode: (frame: Frame.Frame) => Effect.Effect<Wire, Errors.SerializerError>
  readonly decode: (input: Uint8Array | string) => Effect.Effect<Frame.Frame, Errors.SerializerError>
  readonly encodeResult: (frame: Frame.Frame) => Result.Result<Wire, Errors.SerializerError>
  readonly decodeResult: (input: Uint8Array | string) => Result.Result<Frame.Frame, Errors.SerializerError>
  /** Throws a `SerializerError`. */
  readonly encodeUnsafe: (frame: Frame.Frame) => Wire
  /** Throws a `SerializerError`. */
  readonly decodeUnsafe: (input: Uint8Array | string) => Frame.Frame
  /** Text formats: decodes the value that the text is the JSON of. Throws a `SerializerError`. */
  readonly decodeValueUnsafe?: ((value: unknown) => Frame.Frame) | undefined
}

/**
 * The format a program speaks, as a service: transports ask for it, layers provide it.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const program = Effect.gen(function*() {
 *   const serializer = yield* FrameSerializer.FrameSerializer
 *   return yield* serializer.encode(Frame.TextFrame.make({ text: "hi" }))
 * }).pipe(Effect.provide(FrameSerializer.layerPipelineGoJson()))
 *
 * Effect.runSync(program) // => `{"type":"text","data":{"Text":"hi"}}`
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class FrameSerializer
  extends Context.Service<FrameSerializer, Serializer>()("@apipeline/core/FrameSerializer")
{}

/**
 * Options of the protobuf formats.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer, Protobuf } from "@apipeline/core"
 *
 * class Hush extends Frame.App<Hush>()("Hush", {}) {}
 *
 * const options: FrameSerializer.ProtobufOptions = {
 *   frames: [Protobuf.message(Hush, { number: 16, fields: {} })],
 *   bytes: "copy"
 * }
 * FrameSerializer.makeProtobuf(options).carries(Hush.make()) // => true
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface ProtobufOptions {
  /** Codecs of app frames. One with the number or the class of a codec that the format has takes its place. */
  readonly frames?: ReadonlyArray<Protobuf.Codec> | undefined
  /**
   * Whether bytes in decoded frames are views of the input (default) or copies. A view costs nothing, but it changes
   * when whoever owns the input writes to it, keeps all of the input in memory, and may begin at an odd address, where
   * an `Int16Array` cannot: read such samples with a `DataView`. A copy has none of that.
   */
  readonly bytes?: "view" | "copy" | undefined
}

/**
 * Options of the JSON formats.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 *
 * class Hush extends Frame.App<Hush>()("Hush", {}) {}
 *
 * const options: FrameSerializer.JsonOptions = { frames: [Hush] }
 * FrameSerializer.makeJson(options).carries(Hush.make()) // => true
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface JsonOptions {
  /** The app frames to be carried next to the built-in ones. */
  readonly frames?: ReadonlyArray<Frame.AnyClass> | undefined
}

/**
 * Options of {@link decodeChannel}.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect, Stream } from "effect"
 *
 * const options: FrameSerializer.StreamOptions = { maxFrameSize: 1024 }
 * const frames = Stream.make(new Uint8Array([0x81, 0x08])).pipe(
 *   Stream.pipeThroughChannel(FrameSerializer.decodeChannel(FrameSerializer.makeProtobuf(), options)),
 *   Stream.runCollect
 * )
 * Effect.runSync(Effect.flip(frames)).message // => "protobuf: found a frame of 1025 bytes, expected at most 1024"
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface StreamOptions {
  /** The largest frame, in bytes; a larger one fails before it is read. Default 16 MiB, as in `effect/rpc`. */
  readonly maxFrameSize?: number | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A format of one's own, from two plain functions that throw nothing but `SerializerError`: any other exception is a
 * defect.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const plain = FrameSerializer.make({
 *   format: "plain",
 *   type: "text",
 *   carries: Frame.TextFrame.is,
 *   encodeUnsafe: (frame) => Frame.TextFrame.is(frame) ? frame.text : "",
 *   decodeUnsafe: (input) => {
 *     if (typeof input === "string") return Frame.TextFrame.make({ text: input })
 *     throw new FrameSerializer.SerializerError({
 *       reason: new FrameSerializer.MalformedInput({ format: "plain", field: "", found: "bytes", expected: "text" })
 *     })
 *   }
 * })
 *
 * Effect.runSync(Effect.flip(plain.decode(new Uint8Array(1)))).message
 * // => "plain: input: found bytes, expected text"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Wire extends Uint8Array | string>(
  options: Pick<Serializer<Wire>, "format" | "type" | "carries" | "encodeUnsafe" | "decodeUnsafe" | "decodeValueUnsafe">
): Serializer<Wire> => {
  const encodeResult = (frame: Frame.Frame): Result.Result<Wire, Errors.SerializerError> => {
    try {
      return Result.succeed(options.encodeUnsafe(frame))
    } catch (error) {
      return failure(error)
    }
  }
  const decodeResult = (input: Uint8Array | string): Result.Result<Frame.Frame, Errors.SerializerError> => {
    try {
      return Result.succeed(options.decodeUnsafe(input))
    } catch (error) {
      return failure(error)
    }
  }
  return {
    ...options,
    encode: (frame) => Effect.suspend(() => Effect.fromResult(encodeResult(frame))),
    decode: (input) => Effect.suspend(() => Effect.fromResult(decodeResult(input))),
    encodeResult,
    decodeResult
  }
}

const failure = (error: unknown): Result.Result<never, Errors.SerializerError> => {
  if (error instanceof Errors.SerializerError) return Result.fail(error)
  throw error
}

/**
 * The protobuf of pipeline-go and apipeline (`package pipeline_frames`). It also reads what the Python sibling's first
 * versions wrote: audio without a sample width, which is 2 then, and images with a width and a "hight".
 *
 * **Gotchas**
 *
 * Encoded bytes of 65 bytes to 4 KiB share an `ArrayBuffer` with others, like Node's own buffers: copy them before you
 * transfer that to a worker.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 *
 * const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf()
 * const frame = decodeUnsafe(encodeUnsafe(Frame.TextFrame.make({ text: "hi" })))
 * Frame.TextFrame.is(frame) && frame.text // => "hi"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeProtobuf = (options?: ProtobufOptions): Serializer<Uint8Array<ArrayBuffer>> =>
  fromCodecs("protobuf", [Messages.text, Messages.audio, Messages.image], options)

/**
 * The protobuf that pipecat's JavaScript, iOS, Android and C++ clients speak (`package pipecat`).
 *
 * **Details**
 *
 * An interruption is a `StartInterruptionFrame`, a transcription a `TranscriptionFrame` of `VoiceFrames` (without
 * `finalized`). A message is JSON: the two `OutputTransportMessage` frames of `TransportFrames` go out, and an
 * `InputTransportMessageFrame` comes in. Audio has 16 bits a sample. Its pts is in nanoseconds there and in milliseconds
 * here: the serializer converts.
 *
 * **Gotchas**
 *
 * See {@link makeProtobuf} about the memory of encoded bytes.
 *
 * @example
 * ```ts
 * import { FrameSerializer, TransportFrames } from "@apipeline/core"
 *
 * const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makePipecat()
 * const sent = TransportFrames.OutputTransportMessageUrgentFrame.make({ message: { hello: "there" } })
 * const frame = decodeUnsafe(encodeUnsafe(sent))
 * TransportFrames.InputTransportMessageFrame.is(frame) && frame.message // => { hello: "there" }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makePipecat = (options?: ProtobufOptions): Serializer<Uint8Array<ArrayBuffer>> =>
  fromCodecs("pipecat", [
    Messages.text,
    Messages.pipecatAudio,
    Messages.transcription,
    Messages.message,
    Messages.interruption
  ], options)

const fromCodecs = (
  format: string,
  defaults: ReadonlyArray<Messages.Codec>,
  options: ProtobufOptions | undefined
): Serializer<Uint8Array<ArrayBuffer>> => {
  const own: ReadonlyArray<Messages.Codec> = options?.frames ?? []
  own.forEach((a, i) => {
    const twin = own.find((b, j) => j < i && (a.number === b.number || a.frame.tag === b.frame.tag))
    if (twin === undefined) return
    throw new TypeError(
      `FrameSerializer: frames: found ${a.frame.tag} (${a.number}) and ${twin.frame.tag} (${twin.number}), ` +
        "expected a number and a class of its own for each codec"
    )
  })
  const kept = defaults.filter((a) => own.every((b) => a.number !== b.number && a.frame.tag !== b.frame.tag))
  const codecs = [...kept, ...own]
  const byTag = new Map(codecs.flatMap((codec) => [codec.frame, ...codec.also ?? []].map(({ tag }) => [tag, codec])))
  const byKey = new Map(codecs.map((codec) => [(codec.number << 3 | 2) >>> 0, codec]))
  const shape: Protobuf.Shape = new Map(codecs.map(({ name, number }) => [number, { name, wireTypes: [2] }]))
  const readerOptions = { format, shape, bytes: options?.bytes }
  const expected = `one of ${codecs.map(({ name, number }) => `${name} (${number})`).join(", ")}`

  const encodeUnsafe = (frame: Frame.Frame): Uint8Array<ArrayBuffer> => {
    const codec = byTag.get(frame._tag)
    if (codec === undefined) throw Errors.unsupported(format, frame._tag, byTag.keys())
    if (codec.encode !== undefined) return codec.encode(frame, format)
    const writer = new Protobuf.Writer({ format })
    return writer.tag(codec.number, 2).delimited(() => codec.write(frame, writer)).finish()
  }

  const decodeUnsafe = (input: Uint8Array | string): Frame.Frame => {
    if (!(input instanceof Uint8Array)) {
      throw Errors.malformed(format, { field: "", found: Errors.show(input), expected: "bytes" })
    }
    const reader = new Protobuf.Reader(input, readerOptions)
    let frame: Frame.Frame | undefined
    let unknown = 0
    while (reader.more()) {
      const tag = reader.tag()
      const codec = byKey.get(tag >>> 0)
      if (codec !== undefined) {
        // Of a `oneof`, the last one counts.
        frame = reader.message(codec.name, codec.shape, codec.read)
      } else {
        reader.unexpected(tag)
        unknown = tag >>> 3
      }
    }
    if (frame !== undefined) return frame
    if (unknown === 0) throw Errors.malformed(format, { field: "frame", found: "nothing", expected }, 0)
    throw Errors.unknown(format, { field: "frame", found: `field ${unknown}`, expected })
  }

  return make({ format, type: "binary", carries: (frame) => byTag.has(frame._tag), encodeUnsafe, decodeUnsafe })
}

/**
 * Our own JSON: what the schema of the frame encodes to, told apart by `_tag`, bytes in base64, ids kept. The decoder
 * takes the JSON of pipeline-go too.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Ping extends Frame.App<Ping>()("Ping", { n: Schema.Finite }) {}
 *
 * const { decodeUnsafe } = FrameSerializer.makeJson({ frames: [Ping] })
 * decodeUnsafe(`{"_tag":"Ping","id":7,"n":1}`).toString() // => "Ping#7(n: 1)"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeJson = (options?: JsonOptions): Serializer<string> => {
  const frames = Json.frames(options?.frames ?? [])
  return makeText("json", frames, frames.tags, Json.encodeCanonical)
}

/**
 * The JSON of pipeline-go: text, audio and images, without ids; app frames as `{"type":"<tag>","data":{...}}`. The
 * decoder takes our own JSON too.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 *
 * FrameSerializer.makePipelineGoJson().encodeUnsafe(Frame.TextFrame.make({ text: "hi" }))
 * // => `{"type":"text","data":{"Text":"hi"}}`
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makePipelineGoJson = (options?: JsonOptions): Serializer<string> => {
  const frames = Json.frames(options?.frames ?? [])
  return makeText("pipeline-go-json", frames, Json.carriedByPipelineGo(frames), Json.encodePipelineGo)
}

/**
 * Messages as plain JSON text, one at a time, without anything around them: what a person with `wscat` can type, and read.
 *
 * **Details**
 *
 * Every JSON text comes in as an `InputTransportMessageFrame`; the two `OutputTransportMessage` frames go out as the JSON
 * of their message. For clients of RTVI that is one RTVI message. Audio goes out as RTVI's `bot-tts-audio`, in base64, and
 * comes in as `raw-audio`, a message.
 *
 * @example
 * ```ts
 * import { FrameSerializer, TransportFrames } from "@apipeline/core"
 *
 * const message = { label: "rtvi-ai", type: "bot-llm-started" }
 * const frame = TransportFrames.OutputTransportMessageUrgentFrame.make({ message })
 * FrameSerializer.makeMessageJson().encodeUnsafe(frame) // => `{"label":"rtvi-ai","type":"bot-llm-started"}`
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMessageJson = (): Serializer<string> => {
  const format = "message-json"
  return make({
    format,
    type: "text",
    carries: (frame) => Transport.carried.has(frame._tag),
    encodeUnsafe: (frame) => Transport.encode(frame, format),
    decodeUnsafe: (input) => Transport.decodeValue(Json.parse(input, format)),
    decodeValueUnsafe: Transport.decodeValue
  })
}

const makeText = (
  format: string,
  frames: Json.Frames,
  carried: ReadonlyArray<string>,
  encode: (frames: Json.Frames, format: string) => (frame: Frame.Frame) => string
): Serializer<string> => {
  const tags = new Set(carried)
  const decodeValueUnsafe = Json.decodeValue(frames, format)
  return make({
    format,
    type: "text",
    carries: (frame) => tags.has(frame._tag),
    encodeUnsafe: encode(frames, format),
    decodeUnsafe: (input) => decodeValueUnsafe(Json.parse(input, format)),
    decodeValueUnsafe
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// layers
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Speaks the protobuf of pipeline-go and apipeline.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const format = FrameSerializer.FrameSerializer.useSync(({ format }) => format)
 * Effect.runSync(Effect.provide(format, FrameSerializer.layerProtobuf())) // => "protobuf"
 * ```
 *
 * @see {@link makeProtobuf} for what it does
 * @category layers
 * @since 0.1.0
 */
export const layerProtobuf = (options?: ProtobufOptions): Layer.Layer<FrameSerializer> =>
  Layer.sync(FrameSerializer, () => makeProtobuf(options))

/**
 * Speaks the protobuf of pipecat's clients.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const format = FrameSerializer.FrameSerializer.useSync(({ format }) => format)
 * Effect.runSync(Effect.provide(format, FrameSerializer.layerPipecat())) // => "pipecat"
 * ```
 *
 * @see {@link makePipecat} for what it does
 * @category layers
 * @since 0.1.0
 */
export const layerPipecat = (options?: ProtobufOptions): Layer.Layer<FrameSerializer> =>
  Layer.sync(FrameSerializer, () => makePipecat(options))

/**
 * Speaks messages as plain JSON text.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const format = FrameSerializer.FrameSerializer.useSync(({ format }) => format)
 * Effect.runSync(Effect.provide(format, FrameSerializer.layerMessageJson())) // => "message-json"
 * ```
 *
 * @see {@link makeMessageJson} for what it does
 * @category layers
 * @since 0.1.0
 */
export const layerMessageJson = (): Layer.Layer<FrameSerializer> => Layer.sync(FrameSerializer, makeMessageJson)

/**
 * Speaks our own JSON.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const format = FrameSerializer.FrameSerializer.useSync(({ format }) => format)
 * Effect.runSync(Effect.provide(format, FrameSerializer.layerJson())) // => "json"
 * ```
 *
 * @see {@link makeJson} for what it does
 * @category layers
 * @since 0.1.0
 */
export const layerJson = (options?: JsonOptions): Layer.Layer<FrameSerializer> =>
  Layer.sync(FrameSerializer, () => makeJson(options))

/**
 * Speaks the JSON of pipeline-go.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const format = FrameSerializer.FrameSerializer.useSync(({ format }) => format)
 * Effect.runSync(Effect.provide(format, FrameSerializer.layerPipelineGoJson())) // => "pipeline-go-json"
 * ```
 *
 * @see {@link makePipelineGoJson} for what it does
 * @category layers
 * @since 0.1.0
 */
export const layerPipelineGoJson = (options?: JsonOptions): Layer.Layer<FrameSerializer> =>
  Layer.sync(FrameSerializer, () => makePipelineGoJson(options))

// ---------------------------------------------------------------------------------------------------------------------
// wire identity
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What the peer called a frame that came in as protobuf: `wireId` and `wireName` of its metadata. An id beyond
 * `Number.MAX_SAFE_INTEGER` is in decimal digits, so that metadata has a JSON form.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 *
 * const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf()
 * const sent = Frame.TextFrame.make({ text: "hi" })
 * const received = decodeUnsafe(encodeUnsafe(sent))
 * const same = FrameSerializer.wireIdentity(received)?.id === sent.id && received.id !== sent.id
 * same // => true
 * ```
 *
 * @category wire identity
 * @since 0.1.0
 */
export const wireIdentity = (
  frame: Frame.Frame
): { readonly id: number | string; readonly name: string } | undefined => {
  const id = frame.metadata?.["wireId"]
  const name = frame.metadata?.["wireName"]
  const isIdentity = (typeof id === "number" || typeof id === "string") && typeof name === "string"
  return isIdentity ? { id, name } : undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// streaming
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Frames to a stream of bytes or text that {@link decodeChannel} takes apart again: bytes with their length before
 * them, as a varint (what protobuf calls delimited), text as NDJSON. Every chunk of frames becomes one chunk of output.
 * The first frame that cannot be encoded fails the channel, after those before it have been emitted.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 * import { Effect, Stream } from "effect"
 *
 * const json = FrameSerializer.makePipelineGoJson()
 * const lines = Stream.make(Frame.TextFrame.make({ text: "a" }), Frame.TextFrame.make({ text: "b" })).pipe(
 *   Stream.pipeThroughChannel(FrameSerializer.encodeChannel(json)),
 *   Stream.mkString
 * )
 * Effect.runSync(lines) // => `{"type":"text","data":{"Text":"a"}}\n{"type":"text","data":{"Text":"b"}}\n`
 * ```
 *
 * @category streaming
 * @since 0.1.0
 */
export const encodeChannel = <Wire extends Uint8Array | string, IE = never, Done = unknown>(
  serializer: Serializer<Wire>
): Channel.Channel<
  Arr.NonEmptyReadonlyArray<Wire>,
  IE | Errors.SerializerError,
  Done,
  Arr.NonEmptyReadonlyArray<Frame.Frame>,
  IE,
  Done
> =>
  fromStep(() => {
    // Which of the two it is follows from the type, and so does what it takes.
    const join: (encoded: Array<any>) => any = serializer.type === "text" ? joinLines : joinDelimited
    return {
      step: (frames, out) => {
        const encoded: Array<Wire> = []
        let error: Errors.SerializerError | undefined
        for (const frame of frames) {
          const result = serializer.encodeResult(frame)
          if (Result.isFailure(result)) {
            error = result.failure
            break
          }
          encoded.push(result.success)
        }
        if (encoded.length > 0) out.push(join(encoded))
        return error
      },
      flush: () => undefined
    }
  })

/**
 * A stream of bytes or text to frames, wherever the chunks are cut. The first frame that cannot be decoded fails the
 * channel, after those before it have been emitted; so does a frame above `maxFrameSize`, before it is read, and input
 * that ends within a frame.
 *
 * **Details**
 *
 * Blank lines of NDJSON are skipped. Memory is bounded by what has come in, never by what a length promises.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect, Stream } from "effect"
 *
 * const json = FrameSerializer.makeJson()
 * const frames = Stream.make(`{"_tag":"TextFrame","id":1,`, `"text":"a"}\n{"_tag":"SyncFrame","id":2}\n`).pipe(
 *   Stream.pipeThroughChannel(FrameSerializer.decodeChannel(json)),
 *   Stream.map(String),
 *   Stream.runCollect
 * )
 * Effect.runSync(frames) // => [`TextFrame#1("a")`, "SyncFrame#2"]
 * ```
 *
 * @category streaming
 * @since 0.1.0
 */
export const decodeChannel = <IE = never, Done = unknown>(
  serializer: Serializer,
  options?: StreamOptions
): Channel.Channel<
  Arr.NonEmptyReadonlyArray<Frame.Frame>,
  IE | Errors.SerializerError,
  Done,
  Arr.NonEmptyReadonlyArray<Uint8Array | string>,
  IE,
  Done
> => {
  const limit = options?.maxFrameSize ?? 16 * 1024 * 1024
  return serializer.type === "text" ? decodeLines(serializer, limit) : decodeDelimited(serializer, limit)
}

// ---------------------------------------------------------------------------------------------------------------------
// streaming: lines
// ---------------------------------------------------------------------------------------------------------------------

const joinLines = (encoded: Array<string>): string => `${encoded.join("\n")}\n`

const decodeLines = <IE, Done>(serializer: Serializer, limit: number) => {
  const { decodeUnsafe, format } = serializer
  const decode = serializer.decodeValueUnsafe ?? ((value: unknown) => decodeUnsafe(JSON.stringify(value)))
  return toBytes<IE, Done>().pipe(
    Channel.pipeTo(
      Ndjson.decode<IE | Errors.SerializerError, Done>({ ignoreEmptyLines: true, maxLineBytes: limit })
    ),
    Channel.mapError((error) => Ndjson.isNdjsonError(error) ? fromNdjson(error, format, limit) : error),
    Channel.pipeTo(
      fromStep<Frame.Frame, unknown, IE | Errors.SerializerError, Done>(() => ({
        step: (values, out) => {
          for (const value of values) {
            const error = push(out, () => decode(value))
            if (error !== undefined) return error
          }
        },
        flush: () => undefined
      }))
    )
  )
}

const push = (out: Array<Frame.Frame>, decode: () => Frame.Frame): Errors.SerializerError | undefined => {
  try {
    out.push(decode())
  } catch (error) {
    if (error instanceof Errors.SerializerError) return error
    throw error
  }
}

const fromNdjson = (error: Ndjson.NdjsonError, format: string, limit: number): Errors.SerializerError => {
  switch (error.reason) {
    case "LineTooLarge":
      return Errors.tooLarge(format, limit + 1, limit)
    case "InvalidUtf8":
      return Errors.malformed(format, { field: "", found: "bytes that are no UTF-8", expected: "UTF-8" })
    default: {
      const found = error.cause instanceof Error ? error.cause.message : "something else"
      const end = error.unterminated === true ? ", in a last line without an end" : ""
      return Errors.malformed(format, { field: "", found: `${Errors.show(found)}${end}`, expected: "JSON" })
    }
  }
}

/** Strings as UTF-8; a pair of surrogates may be cut in two by the end of a chunk. */
const toBytes = <IE, Done>() =>
  fromStep<Uint8Array, Uint8Array | string, IE, Done>(() => {
    let half = ""
    return {
      step: (chunks, out) => {
        for (const chunk of chunks) {
          if (typeof chunk !== "string") {
            out.push(chunk)
            continue
          }
          const text = half + chunk
          half = (text.charCodeAt(text.length - 1) & 0xfc00) === 0xd800 ? text.slice(-1) : ""
          out.push(Bytes.encodeUtf8(text.slice(0, text.length - half.length)))
        }
      },
      flush: (out) => {
        if (half !== "") out.push(Bytes.encodeUtf8(half))
      }
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// streaming: bytes with their length
// ---------------------------------------------------------------------------------------------------------------------

const joinDelimited = (encoded: Array<Uint8Array>): Uint8Array => {
  let size = 0
  for (const bytes of encoded) size += Bytes.varintSize(bytes.length) + bytes.length
  const target = Bytes.allocate(size)
  let at = 0
  for (const bytes of encoded) {
    at = Bytes.writeVarint(bytes.length, target, at)
    target.set(bytes, at)
    at += bytes.length
  }
  return target
}

const nothing: Uint8Array = new Uint8Array(0)

const decodeDelimited = <IE, Done>(serializer: Serializer, limit: number) =>
  fromStep<Frame.Frame, Uint8Array | string, IE, Done>(() => {
    const { decodeUnsafe, format } = serializer
    // Of the length: what has been read of it, and how many bits that is.
    let length = 0
    let bits = 0
    // Of the frame, once its length is known: what has come where one chunk did not have all of it.
    let size = -1
    let pending = nothing
    let pendingSize = 0

    /** The next byte of a length. */
    const readLength = (byte: number): Errors.SerializerError | undefined => {
      length += (byte & 0x7f) * 2 ** bits
      bits += 7
      if (length > limit) return Errors.tooLarge(format, length, limit)
      if (byte >= 0x80) {
        return bits < 70 ? undefined : Errors.malformed(format, {
          field: "length",
          found: "more than 10 bytes",
          expected: "a varint"
        })
      }
      size = length
      length = 0
      bits = 0
    }

    /** All of a frame, if `part` is all of it or the rest. */
    const complete = (part: Uint8Array): Uint8Array | undefined => {
      if (part.length === size) return part
      // Copied, so that a buffer that is used again upstream cannot change it, into one array, however small the parts:
      // at most twice what has come, and in the end exactly the size.
      const needed = pendingSize + part.length
      if (needed > pending.length) {
        const larger = Bytes.allocate(Math.min(size, Math.max(1024, 2 * needed)))
        larger.set(Bytes.view(pending, 0, pendingSize))
        pending = larger
      }
      pending.set(part, pendingSize)
      pendingSize = needed
      if (needed < size) return undefined
      const bytes = pending
      pending = nothing
      pendingSize = 0
      return bytes
    }

    const read = (chunk: Uint8Array, out: Array<Frame.Frame>): Errors.SerializerError | undefined => {
      let at = 0
      while (at < chunk.length || size === 0) {
        let error: Errors.SerializerError | undefined
        if (size < 0) {
          error = readLength(chunk[at++]!)
        } else {
          const end = Math.min(at + size - pendingSize, chunk.length)
          const bytes = complete(Bytes.view(chunk, at, end))
          at = end
          if (bytes === undefined) continue
          size = -1
          error = push(out, () => decodeUnsafe(bytes))
        }
        if (error !== undefined) return error
      }
    }

    return {
      step: (chunks, out) => {
        for (const chunk of chunks) {
          const error = typeof chunk === "string"
            ? Errors.malformed(format, { field: "", found: "text", expected: "bytes" })
            : read(chunk, out)
          if (error !== undefined) return error
        }
      },
      flush: () => {
        if (size >= 0) {
          const found = `${pendingSize} bytes, then the end of the stream`
          return Errors.malformed(format, { field: "", found, expected: `${size} bytes` })
        }
        if (bits > 0) {
          const found = "the end of the stream"
          return Errors.malformed(format, { field: "length", found, expected: "the rest of a varint" })
        }
      }
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// streaming: steps
// ---------------------------------------------------------------------------------------------------------------------

interface Step<Out, In> {
  /** Pushes what comes of the input; an error ends the channel once that has been emitted. */
  readonly step: (input: Arr.NonEmptyReadonlyArray<In>, out: Array<Out>) => Errors.SerializerError | undefined | void
  /** The same, when there is no more input. */
  readonly flush: (out: Array<Out>) => Errors.SerializerError | undefined | void
}

const fromStep = <Out, In, IE, Done>(
  make: () => Step<Out, In>
): Channel.Channel<
  Arr.NonEmptyReadonlyArray<Out>,
  IE | Errors.SerializerError,
  Done,
  Arr.NonEmptyReadonlyArray<In>,
  IE,
  Done
> =>
  Channel.fromTransform((upstream: Pull.Pull<Arr.NonEmptyReadonlyArray<In>, IE, Done>) =>
    Effect.sync(() => {
      const { flush, step } = make()
      let failure: Errors.SerializerError | undefined
      let done: { readonly value: Done } | undefined

      type Next = Pull.Pull<Arr.NonEmptyReadonlyArray<Out>, IE | Errors.SerializerError, Done>

      const emit = (out: Array<Out>, error: Errors.SerializerError | undefined | void, orElse: Next): Next => {
        failure = error ?? undefined
        if (isNonEmpty(out)) return Effect.succeed(out)
        return failure === undefined ? orElse : Effect.fail(failure)
      }

      const pull: Next = Effect.suspend((): Next => {
        if (failure !== undefined) return Effect.fail(failure)
        if (done !== undefined) return Cause.done(done.value)
        return Pull.matchEffect(upstream, {
          onSuccess: (input): Next => {
            const out: Array<Out> = []
            return emit(out, step(input, out), pull)
          },
          onFailure: (cause): Next => Effect.failCause(cause),
          onDone: (value): Next => {
            done = { value }
            const out: Array<Out> = []
            return emit(out, flush(out), Cause.done(value))
          }
        })
      })
      return pull
    })
  )

const isNonEmpty = <A>(array: Array<A>): array is Arr.NonEmptyArray<A> => array.length > 0
