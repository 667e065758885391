/** Source: Genesys Cloud, AudioHook protocol reference (version 2) and its reference implementation. */
import * as Errors from "../wire/serializerError.ts"
import type { Call, Coding, Dialect, Line, Received, Wire } from "./dialect.ts"
import * as Message from "./message.ts"

const format = "genesys"

/** 200 ms, what its reference client sends; many small messages meet its rate limit (error 429). */
const packetSize = 1600

/**
 * Options of `Telephony.genesys`.
 *
 * @category models
 * @since 0.1.0
 */
export interface GenesysOptions {
  /** Bytes of audio in a message. Default: 1600, which is 200 ms; smaller ones may meet its rate limit. */
  readonly packetSize?: number | undefined
  /** What the flow gets when the session ends, asked for then. */
  readonly outputVariables?: (() => Readonly<Record<string, string>>) | undefined
  /** Told in the answer to the opening. */
  readonly supportedLanguages?: ReadonlyArray<string> | undefined
}

interface Media {
  readonly type: string
  readonly format: string
  readonly channels: ReadonlyArray<string>
  readonly rate: number
}

/** The entry to be answered with: the caller alone where that is offered. */
const choose = (message: Message.JsonObject): Media => {
  const path = "parameters.media"
  const offered = Message.at(message, path)
  if (!Array.isArray(offered)) throw Message.wrong(format, path, offered, "an array")
  const usable = offered.filter((media): media is Media => {
    if (!Message.isObject(media)) return false
    const { channels, format, rate, type } = media
    return type === "audio" && format === "PCMU" && rate === 8000 && Array.isArray(channels) &&
      channels.includes("external") &&
      (channels.length === 1 || (channels.length === 2 && channels.includes("internal")))
  })
  const media = usable.find(({ channels }) => channels.length === 1) ?? usable[0]
  if (media !== undefined) return { type: "audio", format: "PCMU", channels: [...media.channels], rate: 8000 }
  throw Message.wrong(format, path, offered, "PCMU at 8000 Hz with the channel external")
}

export const genesys = (options: GenesysOptions = {}): Dialect => ({
  vendor: format,
  recognises: (message) => Message.at(message, "version") === "2" && Message.at(message, "type") === "open",
  open: (message, replies) => open(message, replies, options)
})

const open = (message: Message.JsonObject, replies: Array<Wire>, options: GenesysOptions): Line => {
  const id = Message.id(format, message, "id")
  const media = choose(message)
  const size = options.packetSize ?? packetSize
  const inbound: Coding = {
    encoding: "mulaw",
    sampleRate: 8000,
    numChannels: media.channels.length,
    channel: media.channels.indexOf("external")
  }
  const call: Call = {
    vendor: format,
    streamId: id,
    callId: Message.optionalId(format, message, "parameters.conversationId"),
    accountId: Message.optionalId(format, message, "parameters.organizationId"),
    from: Message.optionalText(format, message, "parameters.participant.ani"),
    to: Message.optionalText(format, message, "parameters.participant.dnis"),
    parameters: Message.parameters(format, message, "parameters.inputVariables"),
    encoding: "mulaw",
    sampleRate: 8000,
    packet: size / 8,
    start: message
  }

  /** Of the last message that came, and of the last one that was made. */
  let clientseq = Message.optionalNatural(format, message, "seq") ?? 0
  let seq = 0
  let closed = false

  const say = (type: unknown, parameters: unknown): string =>
    JSON.stringify({ version: "2", type, id, seq: ++seq, clientseq, parameters: parameters ?? {} })

  const outputVariables = (): object => {
    const variables = options.outputVariables?.()
    return variables === undefined ? {} : { outputVariables: variables }
  }

  const meaning = (message: Message.JsonObject, type: string, replies: Array<Wire>): Received | undefined => {
    switch (type) {
      case "ping": {
        replies.push(say("pong", {}))
        return undefined
      }
      case "update": {
        replies.push(say("updated", {}))
        return { is: "other" }
      }
      case "close": {
        const reason = Message.optionalText(format, message, "parameters.reason") ?? type
        closed = true
        replies.push(say("closed", outputVariables()))
        return { is: "end", reason }
      }
      case "dtmf":
        return { is: "key", key: Message.key(format, message, "parameters.digit") }
      case "paused":
        return { is: "hold", held: true }
      case "resumed":
        return { is: "hold", held: false }
      case "playback_completed":
        return { is: "drained" }
      case "playback_started":
      case "discarded":
        return undefined
      case "open":
        throw Errors.malformed(format, { field: "type", found: "a second open", expected: "one a session" })
      default:
        return { is: "other" }
    }
  }

  replies.push(say("opened", {
    startPaused: false,
    media: [media],
    ...options.supportedLanguages && { supportedLanguages: options.supportedLanguages }
  }))

  return {
    call,
    inbound,
    outbound: { encoding: "mulaw", sampleRate: 8000 },
    packetSize: size,
    receive: (message, replies) => {
      Message.oneOf(format, "version", Message.at(message, "version"), ["2"])
      const type = Message.text(format, message, "type")
      const found = Message.at(message, "id")
      if (found !== id) throw Message.wrong(format, "id", found, Errors.show(id))
      const number = Message.optionalNatural(format, message, "seq")
      if (number !== undefined && number <= clientseq) {
        throw Message.wrong(format, "seq", number, `more than ${clientseq}`)
      }
      const before = clientseq
      clientseq = number ?? clientseq
      try {
        return meaning(message, type, replies)
      } catch (error) {
        clientseq = before
        throw error
      }
    },
    receiveBytes: (bytes) => {
      if (closed) throw Message.wrong(format, "", bytes, "no audio after close")
      if (bytes.length % inbound.numChannels! !== 0) {
        throw Message.wrong(format, "", bytes, `a multiple of ${inbound.numChannels}`)
      }
      return { is: "audio", payload: bytes }
    },
    audio: (payload) => payload,
    // Its own numbers are put in: `{ type, parameters }` is what there is to say.
    message: (message) => {
      const { parameters, type } = message
      if (typeof type === "string") return say(type, parameters)
      const found = type === undefined ? "nothing" : Errors.show(type)
      throw Errors.invalid(format, "OutputTransportMessageFrame", { field: "message.type", found, expected: "text" })
    },
    clear: () => say("event", { entities: [{ type: "barge_in", data: {} }] }),
    goodbye: () => say("disconnect", { reason: "completed", ...outputVariables() })
  }
}
