/**
 * What travels between a gateway and a runner, one WebSocket message each. The first byte says what it is:
 *
 * - 1 audio: number (u32), sample rate (u32), channels (u8), bytes per sample (u8), pts in ms (f64, NaN for none), length
 *   of the metadata (u16), metadata as JSON, samples
 * - 2 other media: number (u32), the frame as JSON
 * - 3 control: number (u32), what it is (u8), a frame or a reason as text
 * - 4 acknowledgement: the last control (u32) and the last media (u32) that have arrived
 * - 5 hello, 6 welcome: JSON
 *
 * Numbers are big-endian and count from 1, per direction, kind, and activation of the session.
 */
import * as Frame from "@apipeline/core/Frame"
import type { Serializer } from "@apipeline/core/FrameSerializer"
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** What must arrive, in order and once. */
export type Item =
  | { readonly _tag: "Frame"; readonly frame: Frame.Frame }
  /** What the client has not played is to be dropped. */
  | { readonly _tag: "Clear" }
  /** The session is to end in order. */
  | { readonly _tag: "End" }
  /** The client is gone. */
  | { readonly _tag: "Leave"; readonly reason: string }
  /** The session is over. */
  | { readonly _tag: "Ended"; readonly failed: boolean; readonly reason: string }
  /** A frame that this side does not know, or not so: another version has sent it. It is passed over. */
  | { readonly _tag: "Unreadable"; readonly problem: string }

export interface Hello {
  readonly session: string
  readonly token: string
  /** Of what the runner sends: the last control that the gateway has had of this activation. */
  readonly received: number
  /** Of what the gateway sends: what a new activation may take as having arrived. */
  readonly control: number
  readonly media: number
}

export interface Welcome {
  /** Of what the gateway sends: the last control that the runner has had. */
  readonly received: number
}

export type Packet =
  /** Without a frame where it cannot be read. */
  | { readonly _tag: "Media"; readonly seq: number; readonly frame: Frame.Frame | undefined }
  | { readonly _tag: "Control"; readonly seq: number; readonly item: Item }
  | { readonly _tag: "Ack"; readonly control: number; readonly media: number }
  | { readonly _tag: "Hello"; readonly hello: Hello }
  | { readonly _tag: "Welcome"; readonly welcome: Welcome }

/** Bytes that are none of ours. */
export class MalformedPacket extends Data.TaggedError("MalformedPacket")<
  { readonly field: string; readonly found: string; readonly expected: string }
> {
  override get message(): string {
    return `${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

const malformed = (field: string, found: unknown, expected: string): Result.Result<never, MalformedPacket> =>
  Result.fail(new MalformedPacket({ field, found: String(found), expected }))

const Count = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 0xFFFF_FFFF }))
const Hello = Schema.fromJsonString(
  Schema.Struct({ session: Schema.String, token: Schema.String, received: Count, control: Count, media: Count })
)
const Welcome = Schema.fromJsonString(Schema.Struct({ received: Count }))
const decodeHello = Schema.decodeUnknownResult(Hello)
const decodeWelcome = Schema.decodeUnknownResult(Welcome)
const Ended = Schema.fromJsonString(Schema.Struct({ failed: Schema.Boolean, reason: Schema.String }))
const decodeEnded = Schema.decodeUnknownResult(Ended)
const decodeMetadata = Schema.decodeUnknownResult(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))

const items: ReadonlyArray<Exclude<Item["_tag"], "Unreadable">> = ["Frame", "Clear", "End", "Leave", "Ended"]
const audioHeader = 21

const bytesOf = (text: string): Buffer => Buffer.from(text, "utf8")
const textOf = (bytes: Uint8Array, from: number): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset + from, bytes.byteLength - from).toString("utf8")

const withText = (kind: number, header: ReadonlyArray<number>, tag: number | undefined, text: string): Buffer => {
  const body = bytesOf(text)
  const at = 1 + 4 * header.length
  const out = Buffer.allocUnsafe(at + (tag === undefined ? 0 : 1) + body.length)
  out[0] = kind
  header.forEach((n, i) => out.writeUInt32BE(n, 1 + 4 * i))
  if (tag !== undefined) out[at] = tag
  body.copy(out, at + (tag === undefined ? 0 : 1))
  return out
}

const encodeAudio = (seq: number, frame: Frame.AudioRawFrame): Buffer => {
  const metadata = frame.metadata === undefined ? undefined : bytesOf(JSON.stringify(frame.metadata))
  const length = metadata?.length ?? 0
  const out = Buffer.allocUnsafe(audioHeader + length + frame.audio.length)
  out[0] = 1
  out.writeUInt32BE(seq, 1)
  out.writeUInt32BE(frame.sampleRate, 5)
  out[9] = frame.numChannels
  out[10] = frame.sampleWidth
  out.writeDoubleBE(frame.pts ?? NaN, 11)
  out.writeUInt16BE(length, 19)
  if (metadata !== undefined) metadata.copy(out, audioHeader)
  out.set(frame.audio, audioHeader + length)
  return out
}

/** Throws a `SerializerError` for a frame that has no JSON. */
export const encode = (packet: Packet, serializer: Serializer<string>): Buffer => {
  switch (packet._tag) {
    case "Media":
      return Frame.AudioRawFrame.is(packet.frame)
        ? encodeAudio(packet.seq, packet.frame)
        : withText(2, [packet.seq], undefined, serializer.encodeUnsafe(packet.frame!))
    case "Control": {
      const { item, seq } = packet
      const text = item._tag === "Frame"
        ? serializer.encodeUnsafe(item.frame)
        : item._tag === "Leave"
        ? item.reason
        : item._tag === "Ended"
        ? JSON.stringify({ failed: item.failed, reason: item.reason })
        : ""
      return withText(3, [seq], items.findIndex((tag) => tag === item._tag), text)
    }
    case "Ack":
      return withText(4, [packet.control, packet.media], undefined, "")
    case "Hello":
      return withText(5, [], undefined, JSON.stringify(packet.hello))
    case "Welcome":
      return withText(6, [], undefined, JSON.stringify(packet.welcome))
  }
}

const decodeAudio = (bytes: Buffer): Result.Result<Packet, MalformedPacket> => {
  if (bytes.length < audioHeader) return malformed("audio", `${bytes.length} bytes`, `at least ${audioHeader}`)
  const sampleRate = bytes.readUInt32BE(5)
  const numChannels = bytes[9]!
  const sampleWidth = bytes[10]!
  if (sampleRate === 0) return malformed("sampleRate", 0, "a positive number")
  if (numChannels === 0) return malformed("numChannels", 0, "a positive number")
  if (sampleWidth < 1 || sampleWidth > 4) return malformed("sampleWidth", sampleWidth, "1 to 4")
  const pts = bytes.readDoubleBE(11)
  const at = audioHeader + bytes.readUInt16BE(19)
  if (at > bytes.length) return malformed("metadata", `${bytes.length} bytes in all`, `at least ${at}`)
  if ((bytes.length - at) % (numChannels * sampleWidth) !== 0) {
    return malformed("audio", `${bytes.length - at} bytes`, `a multiple of ${numChannels * sampleWidth}`)
  }
  let metadata: Frame.Metadata | undefined
  if (at > audioHeader) {
    const decoded = decodeMetadata(bytes.toString("utf8", audioHeader, at))
    if (Result.isFailure(decoded)) return malformed("metadata", decoded.failure.message, "a JSON object")
    metadata = decoded.success
  }
  // a copy where samples would begin at an odd address, or keep the whole chunk of a socket in memory
  const audio = new Uint8Array(bytes.subarray(at))
  return Result.succeed({
    _tag: "Media",
    seq: bytes.readUInt32BE(1),
    frame: Frame.AudioRawFrame.make({
      audio,
      sampleRate,
      numChannels,
      sampleWidth,
      pts: Number.isNaN(pts) ? undefined : pts,
      metadata
    })
  })
}

const decodeItem = (bytes: Buffer, serializer: Serializer<string>): Result.Result<Item, MalformedPacket> => {
  const tag = items[bytes[5]!]
  switch (tag) {
    case undefined:
      return malformed("item", bytes[5], `0 to ${items.length - 1}`)
    case "Frame":
      return Result.succeed(Result.match(serializer.decodeResult(textOf(bytes, 6)), {
        onSuccess: (frame) => ({ _tag: "Frame", frame }),
        onFailure: (error) => ({ _tag: "Unreadable", problem: error.message })
      }))
    case "Leave":
      return Result.succeed({ _tag: tag, reason: textOf(bytes, 6) })
    case "Ended": {
      const ended = decodeEnded(textOf(bytes, 6))
      if (Result.isFailure(ended)) return malformed("ended", ended.failure.message, "an end")
      return Result.succeed({ _tag: tag, ...ended.success })
    }
    default:
      return Result.succeed({ _tag: tag })
  }
}

export const decode = (
  input: Uint8Array,
  serializer: Serializer<string>
): Result.Result<Packet, MalformedPacket> => {
  const bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength)
  const least = [0, 0, 5, 6, 9, 1, 1][bytes[0] ?? 0] ?? 0
  if (bytes.length < least) return malformed("length", bytes.length, `at least ${least}`)
  switch (bytes[0]) {
    case 1:
      return decodeAudio(bytes)
    case 2:
      return Result.succeed({
        _tag: "Media",
        seq: bytes.readUInt32BE(1),
        frame: Result.getOrUndefined(serializer.decodeResult(textOf(bytes, 5)))
      })
    case 3:
      return Result.map(decodeItem(bytes, serializer), (item) => ({
        _tag: "Control",
        seq: bytes.readUInt32BE(1),
        item
      }))
    case 4:
      return Result.succeed({ _tag: "Ack", control: bytes.readUInt32BE(1), media: bytes.readUInt32BE(5) })
    case 5: {
      const hello = decodeHello(textOf(bytes, 1))
      return Result.isFailure(hello)
        ? malformed("hello", hello.failure.message, "a greeting")
        : Result.succeed({ _tag: "Hello", hello: hello.success })
    }
    case 6: {
      const welcome = decodeWelcome(textOf(bytes, 1))
      return Result.isFailure(welcome)
        ? malformed("welcome", welcome.failure.message, "a greeting")
        : Result.succeed({ _tag: "Welcome", welcome: welcome.success })
    }
    default:
      return malformed("kind", bytes[0] ?? "nothing", "1 to 6")
  }
}
