/** Source: Exotel, Working with the Stream and Voicebot applet. */
import * as Bytes from "../wire/bytes.ts"
import type { Call, Coding, Dialect } from "./dialect.ts"
import * as MediaStream from "./mediaStream.ts"
import * as Message from "./message.ts"

const format = "exotel"

/** The least that it plays without gaps; messages must be a multiple of 320 bytes. */
const packetSize = 3200

export interface ExotelOptions {
  readonly sampleRate?: 8000 | 16000 | 24000 | undefined
}

export const exotel = (options: ExotelOptions = {}): Dialect => ({
  vendor: format,
  recognises: (message) =>
    Message.at(message, "event") === "start" && Message.isText(message, "start.stream_sid") &&
    Message.isText(message, "start.call_sid"),
  open: (message) => {
    const streamSid = Message.id(format, message, "start.stream_sid")
    const path = "start.media_format.sample_rate"
    const sampleRate = Message.oneOf(
      format,
      path,
      Message.optionalNatural(format, message, path) ?? options.sampleRate ?? 8000,
      [8000, 16000, 24000]
    )
    const coding: Coding = { encoding: "pcm", sampleRate }
    const call: Call = {
      vendor: format,
      streamId: streamSid,
      callId: Message.id(format, message, "start.call_sid"),
      accountId: Message.optionalId(format, message, "start.account_sid"),
      from: Message.optionalText(format, message, "start.from"),
      to: Message.optionalText(format, message, "start.to"),
      parameters: Message.parametersOf(format, message, "start.custom_parameters", /[&;,]/),
      encoding: "pcm",
      sampleRate,
      packet: packetSize / 2 * 1000 / sampleRate,
      start: message
    }
    return MediaStream.make({
      call,
      inbound: coding,
      outbound: coding,
      packetSize,
      streamId: "stream_sid",
      marked: ["mark", "mark.name"],
      ignored: ["connected", "clear"],
      audio: (payload) =>
        JSON.stringify({ event: "media", stream_sid: streamSid, media: { payload: Bytes.toBase64(payload) } }),
      mark: (name) => JSON.stringify({ event: "mark", stream_sid: streamSid, mark: { name } }),
      clear: () => JSON.stringify({ event: "clear", stream_sid: streamSid })
    })
  }
})
