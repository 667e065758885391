/** What Twilio, Telnyx, Plivo and Exotel have in common: JSON messages with an `event`, and audio in base64. */
import * as Errors from "../wire/serializerError.ts"
import type { Line, Received } from "./dialect.ts"
import * as Message from "./message.ts"

/** What differs. */
export interface MediaStream extends Omit<Line, "receive" | "message"> {
  /** Where messages name the stream. It may be left out; if it is there it must be right. */
  readonly streamId: string
  /** The event that says that a mark has been reached, and where its name is. */
  readonly marked: readonly [event: string, name: string]
  /** Events that say nothing new. */
  readonly ignored: ReadonlyArray<string>
  /** Default: the payload is the next one. */
  readonly media?: ((payload: Uint8Array, message: Message.JsonObject) => Uint8Array | undefined) | undefined
  /** What {@link media} has held back. */
  readonly rest?: (() => Uint8Array | undefined) | undefined
}

/** The call's audio goes both ways; only what the caller says is of interest. */
const isOutbound = (message: Message.JsonObject): boolean => {
  const track = Message.at(message, "media.track")
  return track === "outbound" || track === "outbound_track"
}

export const make = (stream: MediaStream): Line => {
  const { call: { streamId, vendor }, ignored, inbound, marked, media, rest } = stream
  const receive = (message: Message.JsonObject): Received | undefined => {
    const event = Message.text(vendor, message, "event")
    const found = Message.at(message, stream.streamId)
    if (found !== undefined && found !== streamId) {
      throw Message.wrong(vendor, stream.streamId, found, Errors.show(streamId))
    }
    if (event === "media") {
      const bytes = Message.base64(vendor, message, "media.payload")
      if (inbound.encoding === "pcm" && bytes.length % 2 !== 0) {
        throw Message.wrong(vendor, "media.payload", bytes, "a multiple of 2")
      }
      if (isOutbound(message)) return undefined
      const payload = media === undefined ? bytes : media(bytes, message)
      return payload && { is: "audio", payload }
    }
    if (event === "dtmf") return { is: "key", key: Message.key(vendor, message, "dtmf.digit") }
    if (event === marked[0]) return { is: "mark", name: Message.text(vendor, message, marked[1]) }
    if (event === "stop") {
      const reason = Message.optionalText(vendor, message, "stop.reason") ?? "stop"
      return { is: "end", reason, payload: rest?.() }
    }
    if (event === "start") {
      throw Errors.malformed(vendor, { field: "event", found: "a second start", expected: "one a call" })
    }
    return ignored.includes(event) ? undefined : { is: "other" }
  }
  return { ...stream, receive, message: (message) => JSON.stringify(message) }
}
