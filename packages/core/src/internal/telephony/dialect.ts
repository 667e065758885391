/** What a vendor's protocol is to a session: how a call is recognised and opened, and what is said on its line. */
import type * as G711 from "../../G711.ts"
import type { DtmfKey } from "../../VoiceFrames.ts"
import type { JsonObject } from "./message.ts"

/**
 * Whose protocol a connection speaks.
 *
 * @category models
 * @since 0.1.0
 */
export type Vendor = "twilio" | "telnyx" | "plivo" | "exotel" | "vonage" | "genesys"

/**
 * A message of a WebSocket: text or binary.
 *
 * @category models
 * @since 0.1.0
 */
export type Wire = string | Uint8Array

/**
 * A call, as its first message describes it. All of it is what the other side says.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly vendor: Vendor
  /** Of the stream: `streamSid`, `stream_id`, `streamId`, `stream_sid`; of AudioHook the session. Vonage has none. */
  readonly streamId: string | undefined
  /** `callSid`, `call_control_id`, `callId`, `call_sid`, `conversationId`; of Vonage the header `uuid`, if it is sent. */
  readonly callId: string | undefined
  /** Whose call it is at the vendor. */
  readonly accountId: string | undefined
  /** Who calls. Twilio and Vonage say it only if the parameter `from` (or `from_number`) is set up. */
  readonly from: string | undefined
  /** Who is called: as {@link Call.from}. */
  readonly to: string | undefined
  /** What was attached to the call where it was set up; what is not text is JSON. */
  readonly parameters: Readonly<Record<string, string>>
  /** How audio comes. */
  readonly encoding: G711.Law | "pcm"
  /** Of the line, in Hz. */
  readonly sampleRate: number
  /** Audio in each message that is sent, in milliseconds; `undefined`: any. */
  readonly packet: number | undefined
  /** The message that started the call. */
  readonly start: Readonly<Record<string, unknown>>
}

/** How audio is coded on the line. */
export interface Coding {
  readonly encoding: G711.Law | "pcm"
  readonly sampleRate: number
  /** Default: 1. */
  readonly numChannels?: number | undefined
  /** Which channel is the caller's. Default: 0. */
  readonly channel?: number | undefined
}

/** What a message of the far side means. */
export type Received =
  | { readonly is: "audio"; readonly payload: Uint8Array }
  | { readonly is: "key"; readonly key: DtmfKey }
  | { readonly is: "mark"; readonly name: string }
  /** All that had been sent has been played. */
  | { readonly is: "drained" }
  /** The far side takes no audio, or takes it again. */
  | { readonly is: "hold"; readonly held: boolean }
  | { readonly is: "end"; readonly reason: string; readonly payload?: Uint8Array | undefined }
  /** Nothing that a session knows: handed on. */
  | { readonly is: "other" }

/** Audio that came too late to be put in its place, and places that stayed empty. */
export interface Gaps {
  readonly late: number
  readonly lost: number
}

/** A call, in the words of its vendor. Methods throw `SerializerError`s, and leave the line as it was when they do. */
export interface Line {
  readonly call: Call
  readonly inbound: Coding
  readonly outbound: Coding
  /** Bytes of coded audio in a message. Default: whatever comes. */
  readonly packetSize?: number | undefined
  /** Answers for the far side, to be sent at once, go to `replies`. */
  readonly receive: (message: JsonObject, replies: Array<Wire>) => Received | undefined
  readonly receiveBytes?: ((bytes: Uint8Array) => Received | undefined) | undefined
  readonly audio: (payload: Uint8Array) => Wire
  readonly mark?: ((name: string) => Wire) | undefined
  readonly clear: () => Wire
  readonly message: (message: JsonObject) => Wire
  /** Hangs up, where the vendor lets that be said on the line. */
  readonly goodbye?: (() => Wire) | undefined
  readonly gaps?: (() => Gaps) | undefined
}

export interface Dialect {
  readonly vendor: Vendor
  readonly recognises: (message: JsonObject) => boolean
  readonly open: (message: JsonObject, replies: Array<Wire>) => Line
}
