/**
 * Messages of transports as JSON.
 *
 * @since 0.1.0
 */
import * as Frame from "../../Frame.ts"
import type * as RtviMessage from "../../RtviMessage.ts"
import {
  InputTransportMessageFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame
} from "../../TransportFrames.ts"
import * as Rules from "../kernel/frameRules.ts"
import * as Bytes from "../wire/bytes.ts"
import * as SerializerError from "../wire/serializerError.ts"

/** The JSON of a frame's message. Throws where it has none: a cycle, a function, a nesting that nobody can write down. */
export const stringify = (frame: Frame.Frame, message: unknown, format: string): string => {
  let json: string | undefined
  try {
    json = JSON.stringify(message)
  } catch {
    json = undefined
  }
  if (json !== undefined) return json
  const found = SerializerError.show(message)
  throw SerializerError.invalid(format, frame._tag, { field: "message", found, expected: "what has a JSON form" })
}

/** The message that a text is the JSON of; nothing where it is none. */
export const parse = (text: string): { readonly message: unknown } | undefined => {
  try {
    return { message: JSON.parse(text) }
  } catch {
    return undefined
  }
}

/** The frames that plain JSON messages are made of. */
export const carried: ReadonlySet<string> = new Set([
  Frame.AudioRawFrame.tag,
  OutputTransportMessageFrame.tag,
  OutputTransportMessageUrgentFrame.tag
])

export const encode = (frame: Frame.Frame, format: string): string => {
  if (OutputTransportMessageFrame.is(frame) || OutputTransportMessageUrgentFrame.is(frame)) {
    return stringify(frame, frame.message, format)
  }
  if (!(frame instanceof Frame.AudioRawFrame)) throw SerializerError.unsupported(format, frame._tag, carried)
  const { audio, numChannels, sampleRate, sampleWidth } = frame
  const wrong = Rules.audio(audio, sampleRate, numChannels, sampleWidth, Number.MAX_SAFE_INTEGER) ??
    (sampleWidth === 2
      ? undefined
      : { field: "sampleWidth", found: `${sampleWidth}`, expected: "2: samples have 16 bits" })
  if (wrong !== undefined) throw SerializerError.invalid(format, frame._tag, wrong)
  const message: RtviMessage.Server<"bot-tts-audio"> = {
    label: "rtvi-ai",
    type: "bot-tts-audio",
    data: { audio: Bytes.toBase64(audio), sample_rate: sampleRate, num_channels: numChannels }
  }
  return JSON.stringify(message)
}

export const decodeValue = (message: unknown): Frame.Frame => InputTransportMessageFrame.make({ message })
