/** A telephone connection without Effect: what comes in and what goes out, one message or frame at a time. */
import * as Frame from "../../Frame.ts"
import * as TransportFrames from "../../TransportFrames.ts"
import { InputDtmfFrame } from "../../VoiceFrames.ts"
import * as Errors from "../wire/serializerError.ts"
import * as Codec from "./codec.ts"
import type { Call, Dialect, Line, Received, Wire } from "./dialect.ts"
import * as Message from "./message.ts"
import * as PlayOut from "./playOut.ts"

/** Names what no vendor is known for yet in errors. */
export const unknown = "telephony"

export interface Options {
  readonly dialects: ReadonlyArray<Dialect>
  readonly sampleRate: number | undefined
  readonly maxMessageSize: number
  /** Milliseconds; `undefined` for no marks. */
  readonly markInterval: number | undefined
  readonly onStart: (call: Call) => void
  readonly onEnd: (reason: string) => void
  /** All that was sent has been played or cleared, or no longer so. */
  readonly onSettled: (settled: boolean) => void
}

/**
 * What a message was.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoded {
  /** `AudioRawFrame` (16 bits, mono), `InputDtmfFrame`, and `InputTransportMessageFrame` for what is neither. */
  readonly frames: ReadonlyArray<Frame.Frame>
  /** What the protocol answers. To be sent at once. */
  readonly replies: ReadonlyArray<Wire>
}

/**
 * What has become of a call's audio, in milliseconds since the call began, and of messages.
 *
 * **Details**
 *
 * `sent` = `played` + `cleared` + what is on its way. `played` grows in steps: see `marks` of `Telephony.Options`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Status {
  readonly call: Call | undefined
  /** Whether the other side has ended the call. */
  readonly ended: boolean
  /** Audio that was given to the other side. */
  readonly sent: number
  /** Of that, what it has confirmed to have played. */
  readonly played: number
  /** Of that, what was cleared before it was confirmed. */
  readonly cleared: number
  /** Messages of audio that came after their place had been given up (Telnyx). */
  readonly late: number
  /** Places that were given up. */
  readonly lost: number
}

export interface Exchange {
  /** Throws a `SerializerError`. */
  readonly decode: (message: Wire) => Decoded
  /** Throws a `SerializerError`. */
  readonly encode: (frame: Frame.Frame) => ReadonlyArray<Wire>
  readonly flush: () => ReadonlyArray<Wire>
  readonly clear: () => ReadonlyArray<Wire>
  readonly goodbye: () => ReadonlyArray<Wire>
  readonly status: () => Status
}

/** A line and the state of what flows on it. */
interface Open {
  readonly line: Line
  readonly decoder: Codec.Decoder
  readonly encoder: Codec.Encoder
  readonly playOut: PlayOut.PlayOut
  held: boolean
  over: boolean
}

const nothing: Decoded = { frames: [], replies: [] }
const idle: Status = { call: undefined, ended: false, sent: 0, played: 0, cleared: 0, late: 0, lost: 0 }

const {
  InputTransportMessageFrame,
  OutputAudioEndFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame
} = TransportFrames

type MessageFrame = TransportFrames.OutputTransportMessageFrame | TransportFrames.OutputTransportMessageUrgentFrame

const isMessage = (frame: Frame.Frame): frame is MessageFrame =>
  OutputTransportMessageFrame.is(frame) || OutputTransportMessageUrgentFrame.is(frame)

const carried: ReadonlyArray<Frame.AnyClass> = [
  Frame.AudioRawFrame,
  Frame.StartInterruptionFrame,
  Frame.EndFrame,
  OutputAudioEndFrame,
  OutputTransportMessageFrame,
  OutputTransportMessageUrgentFrame
]
const carriedTags = new Set(carried.map(({ tag }) => tag))

export const carries = (frame: Frame.Frame): boolean => carriedTags.has(frame._tag)

export const recognise = (dialects: ReadonlyArray<Dialect>, message: Message.JsonObject): Dialect | undefined =>
  dialects.find((dialect) => dialect.recognises(message))

export const make = (options: Options): Exchange => {
  const { dialects, markInterval, maxMessageSize } = options
  let open: Open | undefined

  const checkSize = (size: number): void => {
    if (size > maxMessageSize) throw Errors.tooLarge(open?.line.call.vendor ?? unknown, size, maxMessageSize)
  }

  const start = (message: Message.JsonObject): Decoded => {
    const dialect = recognise(dialects, message)
    if (dialect === undefined) {
      // Several vendors begin so, and say nothing more with it.
      if (Message.at(message, "event") === "connected") return nothing
      const event = Message.at(message, "event") ?? Message.at(message, "type")
      const vendors = dialects.map(({ vendor }) => vendor).join(", ")
      throw Errors.malformed(unknown, {
        field: "",
        found: event === undefined ? "an object without an event" : Errors.show(event),
        expected: `the start of a call of ${vendors}`
      })
    }
    const replies: Array<Wire> = []
    const line = dialect.open(message, replies)
    const { call, inbound, outbound, packetSize } = line
    open = {
      line,
      decoder: Codec.makeDecoder(inbound, options.sampleRate ?? inbound.sampleRate),
      encoder: Codec.makeEncoder(call.vendor, outbound, packetSize),
      playOut: PlayOut.make((markInterval ?? 0) * outbound.sampleRate / 1000),
      held: false,
      over: false
    }
    options.onStart(call)
    return { frames: [], replies }
  }

  const settle = (): void => options.onSettled(open!.playOut.isSettled())

  const take = (
    now: Open,
    received: Received | undefined,
    replies: ReadonlyArray<Wire>,
    message?: Message.JsonObject
  ): Decoded => {
    const { decoder, line, playOut } = now
    const frames: Array<Frame.Frame> = []
    const push = (frame: Frame.Frame | undefined): void => {
      if (frame !== undefined) frames.push(frame)
    }
    switch (received?.is) {
      case "audio": {
        if (now.over) {
          const expected = "none after the end of the call"
          throw Errors.malformed(line.call.vendor, { field: "", found: "audio", expected })
        }
        push(decoder.push(received.payload))
        break
      }
      case "key": {
        push(InputDtmfFrame.make({ key: received.key }))
        break
      }
      case "mark": {
        if (playOut.reach(received.name)) settle()
        else push(InputTransportMessageFrame.make({ message }))
        break
      }
      case "drained": {
        playOut.reachAll()
        settle()
        break
      }
      case "hold": {
        now.held = received.held
        break
      }
      case "end": {
        now.over = true
        if (received.payload !== undefined) push(decoder.push(received.payload))
        push(decoder.flush())
        options.onEnd(received.reason)
        break
      }
      case "other": {
        push(InputTransportMessageFrame.make({ message }))
      }
    }
    return { frames, replies }
  }

  const decode = (message: Wire): Decoded => {
    checkSize(message.length)
    if (typeof message === "string") {
      const json = Message.parse(open?.line.call.vendor ?? unknown, message)
      if (open === undefined) return start(json)
      const replies: Array<Wire> = []
      return take(open, open.line.receive(json, replies), replies, json)
    }
    if (open === undefined) {
      throw Errors.malformed(unknown, { field: "", found: Errors.show(message), expected: "the start of a call first" })
    }
    const { call, receiveBytes } = open.line
    if (receiveBytes === undefined) {
      throw Errors.malformed(call.vendor, { field: "", found: Errors.show(message), expected: "text" })
    }
    return take(open, receiveBytes(message), [])
  }

  const send = (now: Open, packets: ReadonlyArray<Uint8Array>, last: boolean): ReadonlyArray<Wire> => {
    const { line, playOut } = now
    const out: Array<Wire> = []
    const mark = (now: boolean): void => {
      const name = markInterval === undefined || line.mark === undefined ? undefined : playOut.mark(now)
      if (name !== undefined) out.push(line.mark!(name))
    }
    for (const packet of packets) {
      out.push(line.audio(packet))
      playOut.send(line.outbound.encoding === "pcm" ? packet.length / 2 : packet.length)
      mark(false)
    }
    if (last) mark(true)
    if (packets.length > 0) settle()
    return out
  }

  const flush = (): ReadonlyArray<Wire> => {
    if (open === undefined || open.over) return []
    if (!open.held) return send(open, open.encoder.flush(), true)
    open.encoder.reset()
    return []
  }

  const clear = (): ReadonlyArray<Wire> => {
    if (open === undefined || open.over) return []
    open.encoder.reset()
    open.playOut.clear()
    settle()
    return [open.line.clear()]
  }

  const say = (frame: MessageFrame): ReadonlyArray<Wire> => {
    const { message } = frame
    const vendor = open?.line.call.vendor ?? unknown
    const invalid = (field: string, found: string, expected: string): Errors.SerializerError =>
      Errors.invalid(vendor, frame._tag, { field, found, expected })
    if (open === undefined) throw invalid("", "no call yet", "a call that has started")
    if (!Message.isObject(message)) throw invalid("message", Errors.show(message), "an object")
    try {
      JSON.stringify(message)
    } catch (error) {
      throw invalid("message", error instanceof Error ? error.message : String(error), "JSON")
    }
    // Telephones do not speak RTVI.
    return open.over || message["label"] === "rtvi-ai" ? [] : [open.line.message(message)]
  }

  const encode = (frame: Frame.Frame): ReadonlyArray<Wire> => {
    if (Frame.AudioRawFrame.is(frame)) {
      if (open === undefined) {
        throw Errors.invalid(unknown, "AudioRawFrame", {
          field: "",
          found: "no call yet",
          expected: "a call that has started"
        })
      }
      return open.over || open.held ? [] : send(open, open.encoder.push(frame), false)
    }
    if (Frame.StartInterruptionFrame.is(frame)) return clear()
    if (isMessage(frame)) return say(frame)
    if (carries(frame)) return flush()
    throw Errors.unsupported(open?.line.call.vendor ?? unknown, frame._tag, carriedTags)
  }

  return {
    decode,
    encode,
    flush,
    clear,
    goodbye: () => open === undefined || open.over || open.line.goodbye === undefined ? [] : [open.line.goodbye()],
    status: () => {
      if (open === undefined) return idle
      const { line: { call, gaps, outbound }, over, playOut } = open
      const millis = (samples: number): number => samples * 1000 / outbound.sampleRate
      const { late, lost } = gaps?.() ?? idle
      return {
        call,
        ended: over,
        sent: millis(playOut.sent()),
        played: millis(playOut.played()),
        cleared: millis(playOut.cleared()),
        late,
        lost
      }
    }
  }
}
