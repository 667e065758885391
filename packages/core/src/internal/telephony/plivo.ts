/** Source: Plivo, Audio streaming: stream events. */
import * as Bytes from "../wire/bytes.ts"
import type { Call, Coding, Dialect } from "./dialect.ts"
import * as MediaStream from "./mediaStream.ts"
import * as Message from "./message.ts"

const format = "plivo"

export const plivo = (): Dialect => ({
  vendor: format,
  recognises: (message) =>
    Message.at(message, "event") === "start" && Message.isText(message, "start.streamId") &&
    Message.isText(message, "start.callId"),
  open: (message) => {
    const streamId = Message.id(format, message, "start.streamId")
    const path = "start.mediaFormat"
    const contentType = Message.oneOf(
      format,
      `${path}.encoding`,
      Message.at(message, `${path}.encoding`) ?? "audio/x-mulaw",
      ["audio/x-mulaw", "audio/x-l16"]
    )
    const sampleRate = Message.oneOf(
      format,
      `${path}.sampleRate`,
      Message.optionalNatural(format, message, `${path}.sampleRate`) ?? 8000,
      contentType === "audio/x-l16" ? [8000, 16000] : [8000]
    )
    const coding: Coding = { encoding: contentType === "audio/x-l16" ? "pcm" : "mulaw", sampleRate }
    const call: Call = {
      vendor: format,
      streamId,
      callId: Message.id(format, message, "start.callId"),
      accountId: Message.optionalId(format, message, "start.accountId"),
      from: Message.optionalText(format, message, "start.from"),
      to: Message.optionalText(format, message, "start.to"),
      parameters: Message.parametersOf(format, message, "extra_headers", /[;,]/),
      encoding: coding.encoding,
      sampleRate,
      packet: undefined,
      start: message
    }
    return MediaStream.make({
      call,
      inbound: coding,
      outbound: coding,
      streamId: "streamId",
      marked: ["playedStream", "name"],
      ignored: ["clearedAudio"],
      audio: (payload) =>
        JSON.stringify({
          event: "playAudio",
          media: { contentType, sampleRate, payload: Bytes.toBase64(payload) },
          streamId
        }),
      mark: (name) => JSON.stringify({ event: "checkpoint", streamId, name }),
      clear: () => JSON.stringify({ event: "clearAudio", streamId })
    })
  }
})
