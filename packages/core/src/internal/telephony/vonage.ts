/** Source: Vonage, WebSockets in the Voice API. */
import * as Errors from "../wire/serializerError.ts"
import type { Call, Coding, Dialect, Received } from "./dialect.ts"
import * as Message from "./message.ts"

const format = "vonage"
const contentType = /^audio\/l16;\s*rate=(8000|16000|24000)$/i

export const vonage = (): Dialect => ({
  vendor: format,
  recognises: (message) => Message.at(message, "event") === "websocket:connected",
  open: (message) => {
    const found = Message.at(message, "content-type") ?? "audio/l16;rate=16000"
    const rate = typeof found === "string" ? contentType.exec(found)?.[1] : undefined
    if (rate === undefined) {
      throw Message.wrong(format, "content-type", found, "audio/l16 with a rate of 8000, 16000 or 24000")
    }
    const sampleRate = Number(rate)
    const coding: Coding = { encoding: "pcm", sampleRate }
    const { "content-type": _, event: __, ...headers } = message
    const parameters = Message.parameters(format, { headers }, "headers")
    const call: Call = {
      vendor: format,
      streamId: undefined,
      callId: parameters.uuid ?? parameters.call_uuid,
      accountId: undefined,
      from: parameters.from,
      to: parameters.to,
      parameters,
      encoding: "pcm",
      sampleRate,
      packet: 20,
      start: message
    }
    const receive = (message: Message.JsonObject): Received | undefined => {
      const event = Message.text(format, message, "event")
      if (event === "websocket:dtmf") {
        const path = Message.at(message, "digit") === undefined ? "dtmf.digit" : "digit"
        return { is: "key", key: Message.key(format, message, path) }
      }
      if (event === "websocket:notify") {
        const name = Message.at(message, "payload.mark")
        return typeof name === "string" ? { is: "mark", name } : { is: "other" }
      }
      if (event === "websocket:connected") {
        throw Errors.malformed(format, { field: "event", found: `a second ${event}`, expected: "one a call" })
      }
      if (event === "websocket:disconnected") return { is: "end", reason: event }
      return event === "websocket:cleared" ? undefined : { is: "other" }
    }
    return {
      call,
      inbound: coding,
      outbound: coding,
      packetSize: sampleRate / 50 * 2, // its jitter buffer takes packets of 20 ms
      receive,
      receiveBytes: (bytes) => {
        if (bytes.length % 2 !== 0) throw Message.wrong(format, "", bytes, "a multiple of 2")
        return { is: "audio", payload: bytes }
      },
      audio: (payload) => payload,
      mark: (mark) => JSON.stringify({ action: "notify", payload: { mark } }),
      clear: () => JSON.stringify({ action: "clear" }),
      message: (message) => JSON.stringify(message)
    }
  }
})
