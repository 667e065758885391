/** Source: Telnyx, Media Streaming over WebSockets (`stream_bidirectional_mode: "rtp"`). */
import type * as G711 from "../../G711.ts"
import * as Bytes from "../wire/bytes.ts"
import type { Call, Dialect } from "./dialect.ts"
import * as MediaStream from "./mediaStream.ts"
import * as Message from "./message.ts"
import * as Reorder from "./reorder.ts"

const format = "telnyx"
const laws = { PCMU: "mulaw", PCMA: "alaw" } as const

/** 20 ms: the least that a message may have. */
const packetSize = 160

/** 100 ms: what a conversation bears. */
const window = 5

export interface TelnyxOptions {
  readonly encoding?: G711.Law | undefined
}

export const telnyx = ({ encoding: outbound }: TelnyxOptions = {}): Dialect => ({
  vendor: format,
  recognises: (message) => Message.isText(message, "stream_id") && Message.isText(message, "start.call_control_id"),
  open: (message) => {
    const streamId = Message.id(format, message, "stream_id")
    const path = "start.media_format"
    const encoding = Message.oneOf(
      format,
      `${path}.encoding`,
      Message.at(message, `${path}.encoding`) ?? "PCMU",
      ["PCMU", "PCMA"]
    )
    const sampleRate = Message.optionalNatural(format, message, `${path}.sample_rate`) ?? 8000
    Message.oneOf(format, `${path}.sample_rate`, sampleRate, [8000])
    const call: Call = {
      vendor: format,
      streamId,
      callId: Message.id(format, message, "start.call_control_id"),
      accountId: Message.optionalId(format, message, "start.user_id"),
      from: Message.optionalText(format, message, "start.from"),
      to: Message.optionalText(format, message, "start.to"),
      parameters: Message.parameters(format, message, "start.custom_parameters"),
      encoding: laws[encoding],
      sampleRate: 8000,
      packet: packetSize / 8,
      start: message
    }
    const reorder = Reorder.make(window)
    return MediaStream.make({
      call,
      inbound: { encoding: laws[encoding], sampleRate: 8000 },
      outbound: { encoding: outbound ?? laws[encoding], sampleRate: 8000 },
      packetSize,
      streamId: "stream_id",
      marked: ["mark", "mark.name"],
      ignored: ["connected"],
      // Its documentation: order is not guaranteed, `media.chunk` tells.
      media: (payload, message) => {
        const chunk = Message.optionalNatural(format, message, "media.chunk")
        return chunk === undefined ? payload : reorder.push(chunk, payload)
      },
      rest: reorder.flush,
      gaps: reorder.gaps,
      audio: (payload) => JSON.stringify({ event: "media", media: { payload: Bytes.toBase64(payload) } }),
      mark: (name) => JSON.stringify({ event: "mark", mark: { name } }),
      clear: () => JSON.stringify({ event: "clear" })
    })
  }
})
