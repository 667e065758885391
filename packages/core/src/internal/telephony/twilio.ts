/** Source: Twilio, Media Streams, WebSocket messages. */
import * as Bytes from "../wire/bytes.ts"
import type { Call, Dialect } from "./dialect.ts"
import * as MediaStream from "./mediaStream.ts"
import * as Message from "./message.ts"

const format = "twilio"

export const twilio = (): Dialect => ({
  vendor: format,
  recognises: (message) =>
    Message.at(message, "event") === "start" && Message.isText(message, "start.streamSid") &&
    Message.isText(message, "start.callSid"),
  open: (message) => {
    const streamSid = Message.id(format, message, "start.streamSid")
    const encoding = Message.at(message, "start.mediaFormat.encoding") ?? "audio/x-mulaw"
    Message.oneOf(format, "start.mediaFormat.encoding", encoding, ["audio/x-mulaw"])
    const sampleRate = Message.optionalNatural(format, message, "start.mediaFormat.sampleRate") ?? 8000
    Message.oneOf(format, "start.mediaFormat.sampleRate", sampleRate, [8000])
    const parameters = Message.parameters(format, message, "start.customParameters")
    const call: Call = {
      vendor: format,
      streamId: streamSid,
      callId: Message.id(format, message, "start.callSid"),
      accountId: Message.optionalId(format, message, "start.accountSid"),
      // Twilio does not say: these are the names under which examples pass them on.
      from: parameters.from ?? parameters.from_number,
      to: parameters.to ?? parameters.to_number,
      parameters,
      encoding: "mulaw",
      sampleRate: 8000,
      packet: undefined,
      start: message
    }
    const coding = { encoding: "mulaw", sampleRate: 8000 } as const
    return MediaStream.make({
      call,
      inbound: coding,
      outbound: coding,
      streamId: "streamSid",
      marked: ["mark", "mark.name"],
      ignored: ["connected"],
      audio: (payload) => JSON.stringify({ event: "media", streamSid, media: { payload: Bytes.toBase64(payload) } }),
      mark: (name) => JSON.stringify({ event: "mark", streamSid, mark: { name } }),
      clear: () => JSON.stringify({ event: "clear", streamSid })
    })
  }
})
