/**
 * The messages of pipeline-go, apipeline and pipecat, byte for byte.
 *
 * Text, audio and images go out without a `Writer`: their size is computed first, then they are written in place. That
 * is twice as fast, and these are the frames that come by the hundred per second.
 *
 * @since 0.1.0
 */
import * as Frame from "../../Frame.ts"
import * as Protobuf from "../../Protobuf.ts"
import {
  InputTransportMessageFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame
} from "../../TransportFrames.ts"
import { TranscriptionFrame } from "../../VoiceFrames.ts"
import * as Rules from "../kernel/frameRules.ts"
import * as Messages from "../transport/transportMessages.ts"
import * as Bytes from "./bytes.ts"
import * as SerializerError from "./serializerError.ts"
import * as Identity from "./wireIdentity.ts"

const uint32 = 0xffffffff

/** A codec that may know how to write the whole `Frame` message at once. */
export interface Codec<in out F extends Frame.Base = any> extends Protobuf.Codec<F> {
  /** Frames that become the same message; what it is read as is another one where `frame` is not. */
  readonly also?: ReadonlyArray<Frame.AnyClass> | undefined
  readonly encode?: ((frame: F, format: string) => Uint8Array<ArrayBuffer>) | undefined
}

const shape = (fields: {
  readonly [name: string]: readonly [number: number, ...types: Array<Protobuf.WireType>]
}): Protobuf.Shape =>
  new Map(Object.entries(fields).map(([name, [number, ...wireTypes]]) => [number, { name, wireTypes }]))

const unwritten = (): never => {
  throw new Error("written by `encode`")
}

const check = (violation: SerializerError.Violation | undefined, frame: Frame.Base, format: string): void => {
  if (violation !== undefined) throw SerializerError.invalid(format, frame._tag, violation)
}

const checkRead = (
  violation: SerializerError.Violation | undefined,
  names: { readonly [field: string]: string },
  reader: Protobuf.Reader,
  start: number
): void => {
  if (violation === undefined) return
  const { expected, field, found } = violation
  reader.fail(found, expected, start, names[field] ?? field)
}

// ---------------------------------------------------------------------------------------------------------------------
// id and name
// ---------------------------------------------------------------------------------------------------------------------

/** What comes before the id in a name. */
const prefix = (tag: string): Uint8Array => Bytes.encodeUtf8(`${tag}#`)

const digitsOf = (id: number): number => {
  let digits = 1
  for (let limit = 10; limit <= id; limit *= 10) digits++
  return digits
}

/** `uint64 id = 1; string name = 2;` */
const identitySize = (id: number, nameSize: number): number =>
  (id === 0 ? 0 : 1 + Bytes.varintSize(id)) + 1 + Bytes.varintSize(nameSize) + nameSize

const writeIdentity = (id: number, prefix: Uint8Array, nameSize: number, target: Uint8Array, at: number): number => {
  if (id !== 0) {
    target[at] = 0x08
    at = Bytes.writeVarint(id, target, at + 1)
  }
  target[at] = 0x12
  at = Bytes.writeVarint(nameSize, target, at + 1)
  for (let i = 0; i < prefix.length; i++) target[at + i] = prefix[i]!
  const end = at + nameSize
  let i = end
  while (id > 0x7fffffff) {
    target[--i] = 48 + id % 10
    id = Math.floor(id / 10)
  }
  do {
    const rest = (id / 10) | 0
    target[--i] = 48 + id - rest * 10
    id = rest
  } while (id > 0)
  return end
}

/** The `Frame` message up to the fields of the message in it. */
const open = (number: number, size: number): Uint8Array<ArrayBuffer> => {
  const target = Bytes.allocate(1 + Bytes.varintSize(size) + size)
  target[0] = number << 3 | 2
  Bytes.writeVarint(size, target, 1)
  return target
}

const delimitedSize = (size: number): number => size === 0 ? 0 : 1 + Bytes.varintSize(size) + size

const writeText = (tag: number, text: string, size: number, target: Uint8Array, at: number): number => {
  if (size === 0) return at
  target[at] = tag
  return Bytes.writeUtf8(text, size, target, Bytes.writeVarint(size, target, at + 1))
}

const writeBytes = (tag: number, bytes: Uint8Array, target: Uint8Array, at: number): number => {
  if (bytes.length === 0) return at
  target[at] = tag
  at = Bytes.writeVarint(bytes.length, target, at + 1)
  target.set(bytes, at)
  return at + bytes.length
}

// ---------------------------------------------------------------------------------------------------------------------
// text
// ---------------------------------------------------------------------------------------------------------------------

const textPrefix = prefix("TextFrame")

export const text: Codec<Frame.TextFrame> = {
  frame: Frame.TextFrame,
  number: 1,
  name: "text",
  shape: shape({ id: [1, 0], name: [2, 2], text: [3, 2] }),
  write: unwritten,
  encode: (frame, format) => {
    const { id, text } = frame
    check(Rules.id(id) ?? Rules.text("text", text), frame, format)
    const nameSize = textPrefix.length + digitsOf(id)
    const textSize = Bytes.utf8Size(text)
    const size = identitySize(id, nameSize) + delimitedSize(textSize)
    const target = open(1, size)
    const at = writeIdentity(id, textPrefix, nameSize, target, target.length - size)
    writeText(0x1a, text, textSize, target, at)
    return target
  },
  read: (reader) => {
    let id: number | string = 0
    let name = ""
    let text = ""
    while (reader.more()) {
      const tag = reader.tag()
      switch (tag) {
        case 0x08:
          id = reader.id()
          break
        case 0x12:
          name = reader.string()
          break
        case 0x1a:
          text = reader.string()
          break
        default:
          reader.unexpected(tag)
      }
    }
    return Frame.TextFrame.make({ text, pts: undefined, metadata: Identity.metadata(id, name) })
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// audio
// ---------------------------------------------------------------------------------------------------------------------

const audioPrefix = prefix("AudioRawFrame")
const audioNames = { sampleRate: "sample_rate", numChannels: "num_channels", sampleWidth: "sample_width" }

/** Field 6 is the sample width for pipeline-go, and the pts for pipecat. */
const encodeAudio = (frame: Frame.AudioRawFrame, sixth: number | undefined): Uint8Array<ArrayBuffer> => {
  const { audio, id, numChannels, sampleRate } = frame
  const nameSize = audioPrefix.length + digitsOf(id)
  const size = identitySize(id, nameSize) + delimitedSize(audio.length) +
    2 + Bytes.varintSize(sampleRate) + Bytes.varintSize(numChannels) +
    (sixth === undefined ? 0 : 1 + Bytes.varintSize(sixth))
  const target = open(2, size)
  let at = writeIdentity(id, audioPrefix, nameSize, target, target.length - size)
  at = writeBytes(0x1a, audio, target, at)
  target[at] = 0x20
  at = Bytes.writeVarint(sampleRate, target, at + 1)
  target[at] = 0x28
  at = Bytes.writeVarint(numChannels, target, at + 1)
  if (sixth !== undefined) {
    target[at] = 0x30
    Bytes.writeVarint(sixth, target, at + 1)
  }
  return target
}

const none = new Uint8Array(0)

const readAudio = (reader: Protobuf.Reader, pipecat: boolean): Frame.AudioRawFrame => {
  const start = reader.position
  let id: number | string = 0
  let name = ""
  let audio: Uint8Array = none
  let sampleRate = 0
  let numChannels = 0
  let sampleWidth = 0
  let pts: number | undefined
  while (reader.more()) {
    const tag = reader.tag()
    switch (tag) {
      case 0x08:
        id = reader.id()
        break
      case 0x12:
        name = reader.string()
        break
      case 0x1a:
        audio = reader.bytes()
        break
      case 0x20:
        sampleRate = reader.uint32()
        break
      case 0x28:
        numChannels = reader.uint32()
        break
      case 0x30:
        if (pipecat) pts = reader.roundedUint64() / nanoseconds
        else sampleWidth = reader.uint32()
        break
      default:
        reader.unexpected(tag)
    }
  }
  // The Python sibling's first versions, and pipecat always, leave the width out: 16 bits.
  if (sampleWidth === 0) sampleWidth = 2
  checkRead(Rules.audio(audio, sampleRate, numChannels, sampleWidth, uint32), audioNames, reader, start)
  const metadata = Identity.metadata(id, name)
  return Frame.AudioRawFrame.make({ audio, sampleRate, numChannels, sampleWidth, pts, metadata })
}

const checkAudio = (frame: Frame.AudioRawFrame, format: string): void => {
  const { audio, id, numChannels, sampleRate, sampleWidth } = frame
  check(Rules.id(id) ?? Rules.audio(audio, sampleRate, numChannels, sampleWidth, uint32), frame, format)
}

export const audio: Codec<Frame.AudioRawFrame> = {
  frame: Frame.AudioRawFrame,
  number: 2,
  name: "audio",
  shape: shape({
    id: [1, 0],
    name: [2, 2],
    audio: [3, 2],
    sample_rate: [4, 0],
    num_channels: [5, 0],
    sample_width: [6, 0]
  }),
  write: unwritten,
  encode: (frame, format) => {
    checkAudio(frame, format)
    return encodeAudio(frame, frame.sampleWidth)
  },
  read: (reader) => readAudio(reader, false)
}

// Frames have milliseconds; pipecat has nanoseconds (docs.pipecat.ai, "base frame types"). Whole nanoseconds survive a
// round trip up to 2^51, which is 26 days.
const nanoseconds = 1e6

/** pipecat's message: no width, but a pts. */
export const pipecatAudio: Codec<Frame.AudioRawFrame> = {
  ...audio,
  shape: shape({ id: [1, 0], name: [2, 2], audio: [3, 2], sample_rate: [4, 0], num_channels: [5, 0], pts: [6, 0] }),
  encode: (frame, format) => {
    checkAudio(frame, format)
    const { pts, sampleWidth } = frame
    if (sampleWidth !== 2) {
      check({ field: "sampleWidth", found: String(sampleWidth), expected: "2: samples have 16 bits" }, frame, format)
    }
    if (pts === undefined) return encodeAudio(frame, undefined)
    const nanos = Math.round(pts * nanoseconds)
    if (!(nanos >= 0 && nanos < 2 ** 64)) {
      const found = SerializerError.show(pts)
      check({ field: "pts", found, expected: "milliseconds from 0 to 2^64 nanoseconds" }, frame, format)
    }
    return encodeAudio(frame, nanos)
  },
  read: (reader) => readAudio(reader, true)
}

// ---------------------------------------------------------------------------------------------------------------------
// images
// ---------------------------------------------------------------------------------------------------------------------

const imagePrefix = prefix("ImageRawFrame")
const sizePattern = /^([1-9]\d{0,9})x([1-9]\d{0,9})$/

export const image: Codec<Frame.ImageRawFrame> = {
  frame: Frame.ImageRawFrame,
  number: 3,
  name: "image",
  // Two messages in one: see `read`.
  shape: shape({
    "id or data": [1, 0, 2],
    "name or width": [2, 2, 0],
    "image or hight": [3, 2, 0],
    "size or format": [4, 2],
    format: [5, 2],
    mode: [6, 2]
  }),
  write: unwritten,
  encode: (frame, format) => {
    const { height, id, image, mode, width } = frame
    check(Rules.id(id) ?? Rules.image(image, width, height, frame.format, mode, uint32), frame, format)
    const dimensions = `${width}x${height}`
    const nameSize = imagePrefix.length + digitsOf(id)
    const formatSize = Bytes.utf8Size(frame.format)
    const modeSize = Bytes.utf8Size(mode)
    const size = identitySize(id, nameSize) + delimitedSize(image.length) +
      delimitedSize(dimensions.length) + delimitedSize(formatSize) + delimitedSize(modeSize)
    const target = open(3, size)
    let at = writeIdentity(id, imagePrefix, nameSize, target, target.length - size)
    at = writeBytes(0x1a, image, target, at)
    at = writeText(0x22, dimensions, dimensions.length, target, at)
    at = writeText(0x2a, frame.format, formatSize, target, at)
    writeText(0x32, mode, modeSize, target, at)
    return target
  },
  // The Python sibling's first versions write `bytes data = 1; uint32 width = 2; uint32 hight = 3; string format = 4;`,
  // which the wire types of the first three fields give away.
  read: (reader) => {
    const start = reader.position
    let id: number | string = 0
    let name = ""
    let image: Uint8Array = none
    let width = 0
    let height = 0
    let fourth = ""
    let fourthAt = start
    let format = ""
    let mode = ""
    let isNew = false
    let isOld = false
    while (reader.more()) {
      const tag = reader.tag()
      switch (tag) {
        case 0x08:
          id = reader.id()
          isNew = true
          break
        case 0x0a:
          image = reader.bytes()
          isOld = true
          break
        case 0x12:
          name = reader.string()
          isNew = true
          break
        case 0x10:
          width = reader.uint32()
          isOld = true
          break
        case 0x1a:
          image = reader.bytes()
          isNew = true
          break
        case 0x18:
          height = reader.uint32()
          isOld = true
          break
        case 0x22:
          fourthAt = reader.position
          fourth = reader.string()
          break
        case 0x2a:
          format = reader.string()
          isNew = true
          break
        case 0x32:
          mode = reader.string()
          isNew = true
          break
        default:
          reader.unexpected(tag)
      }
    }
    if (isOld && isNew) reader.fail("fields of two different image messages", "those of one of them", start, "")
    if (isOld) {
      format = fourth
    } else {
      const size = sizePattern.exec(fourth)
      if (size === null) {
        return reader.fail(SerializerError.show(fourth), "WIDTHxHEIGHT, such as \"1920x1080\"", fourthAt, "size")
      }
      width = Number(size[1])
      height = Number(size[2])
    }
    checkRead(Rules.image(image, width, height, format, mode, uint32), isOld ? { height: "hight" } : {}, reader, start)
    const metadata = Identity.metadata(id, name)
    return Frame.ImageRawFrame.make({ image, width, height, format, mode, pts: undefined, metadata })
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// pipecat's others
// ---------------------------------------------------------------------------------------------------------------------

/** Has no place for `finalized`. */
export const transcription = Protobuf.message(TranscriptionFrame, {
  number: 3,
  name: "transcription",
  fields: { text: Protobuf.string(3), userId: Protobuf.string(4), timestamp: Protobuf.string(5) }
})

/** A message goes out as one frame and comes in as another. */
export const message: Codec = {
  frame: OutputTransportMessageUrgentFrame,
  also: [OutputTransportMessageFrame],
  number: 4,
  name: "message",
  shape: shape({ data: [1, 2] }),
  write: (frame: OutputTransportMessageUrgentFrame | OutputTransportMessageFrame, writer) => {
    writer.tag(1, 2).string(Messages.stringify(frame, frame.message, writer.format))
  },
  read: (reader) => {
    const start = reader.position
    let data = ""
    while (reader.more()) {
      const tag = reader.tag()
      if (tag === 0x0a) data = reader.string()
      else reader.unexpected(tag)
    }
    const message = Messages.parse(data)
    if (message === undefined) return reader.fail(SerializerError.show(data), "JSON", start, "data")
    return InputTransportMessageFrame.make(message)
  }
}

export const interruption: Codec<Frame.StartInterruptionFrame> = {
  frame: Frame.StartInterruptionFrame,
  number: 5,
  name: "interruption",
  shape: shape({ id: [1, 0], name: [2, 2] }),
  write: Identity.write,
  read: (reader) => {
    let id: number | string = 0
    let name = ""
    while (reader.more()) {
      const tag = reader.tag()
      if (tag === 0x08) id = reader.id()
      else if (tag === 0x12) name = reader.string()
      else reader.unexpected(tag)
    }
    return Frame.StartInterruptionFrame.make({ pts: undefined, metadata: Identity.metadata(id, name) })
  }
}
