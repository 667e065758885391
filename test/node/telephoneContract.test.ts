import * as Frame from "@apipeline/core/Frame"
import * as G711 from "@apipeline/core/G711"
import * as Pcm from "@apipeline/core/Pcm"
import type { Vendor, Wire } from "@apipeline/core/Telephony"
import * as TelephonyTransport from "@apipeline/core/TelephonyTransport"
import type * as TransportContract from "@apipeline/core/testing/TransportContract"
import type * as Transport from "@apipeline/core/Transport"
import { InputDtmfFrame } from "@apipeline/core/VoiceFrames"
import { Deferred, Effect } from "effect"
import { transportContract } from "../utils/transportContract.ts"
import { connect, serve } from "../utils/webSocket.ts"

/** How a vendor speaks, as far as the contract goes. */
interface Dialect {
  /** Milliseconds of a packet, where they are long. */
  readonly chunk?: number
  readonly sampleRate: number
  readonly law: G711.Law | undefined
  readonly start: unknown
  readonly media: ((payload: string, n: number) => unknown) | undefined
  readonly key: (digit: string, n: number) => unknown
  /** What it says when what was sent before a message has been played. */
  readonly played: (message: any) => unknown
}

const echo = (message: any) => message.event === "mark" ? message : undefined
const genesys = (type: string, seq: number, parameters: unknown) => ({
  version: "2",
  type,
  id: "872ab45f-23b4-4b1c-9f5e-0c1d2e3f4a5b",
  seq,
  serverseq: 1,
  position: "PT0S",
  parameters
})

const dialects: Record<Vendor, Dialect> = {
  twilio: {
    sampleRate: 8000,
    law: "mulaw",
    start: { event: "start", start: { streamSid: "MZ1", callSid: "CA1" } },
    media: (payload) => ({ event: "media", streamSid: "MZ1", media: { payload } }),
    key: (digit) => ({ event: "dtmf", streamSid: "MZ1", dtmf: { digit } }),
    played: echo
  },
  telnyx: {
    sampleRate: 8000,
    law: "alaw",
    start: { event: "start", stream_id: "s1", start: { call_control_id: "c1", media_format: { encoding: "PCMA" } } },
    media: (payload, n) => ({ event: "media", stream_id: "s1", media: { payload, chunk: String(n + 1) } }),
    key: (digit) => ({ event: "dtmf", stream_id: "s1", dtmf: { digit } }),
    played: echo
  },
  plivo: {
    sampleRate: 8000,
    law: "mulaw",
    start: {
      event: "start",
      start: { streamId: "s1", callId: "c1", mediaFormat: { encoding: "audio/x-mulaw", sampleRate: 8000 } }
    },
    media: (payload) => ({ event: "media", streamId: "s1", media: { payload } }),
    key: (digit) => ({ event: "dtmf", streamId: "s1", dtmf: { digit } }),
    played: ({ event, name, streamId }) =>
      event === "checkpoint" ? { event: "playedStream", streamId, name } : undefined
  },
  vonage: {
    sampleRate: 16_000,
    law: undefined,
    start: { event: "websocket:connected", "content-type": "audio/l16;rate=16000" },
    media: undefined,
    key: (digit) => ({ event: "websocket:dtmf", digit }),
    played: ({ action, payload }) => action === "notify" ? { event: "websocket:notify", payload } : undefined
  },
  exotel: {
    chunk: 200,
    sampleRate: 8000,
    law: undefined,
    start: { event: "start", start: { stream_sid: "s1", call_sid: "c1", account_sid: "a1" } },
    media: (payload) => ({ event: "media", stream_sid: "s1", media: { payload } }),
    key: (digit) => ({ event: "dtmf", stream_sid: "s1", dtmf: { digit } }),
    played: echo
  },
  genesys: {
    chunk: 200,
    sampleRate: 8000,
    law: "mulaw",
    start: genesys("open", 1, { media: [{ type: "audio", format: "PCMU", channels: ["external"], rate: 8000 }] }),
    media: undefined,
    key: (digit, n) => genesys("dtmf", n + 2, { digit }),
    // it is told that the call is over, and agrees
    played: ({ type }) => type === "disconnect" ? genesys("close", 3, { reason: "end" }) : undefined
  }
}

const subject = ({ chunk = 40, key, law, media, played, sampleRate, start }: Dialect): TransportContract.Subject => ({
  open: (frames, options) =>
    Effect.gen(function*() {
      const made = yield* Deferred.make<Transport.Transport>()
      const { url } = yield* serve({
        paths: { "/calls": (messages) => TelephonyTransport.make(messages, { transport: options }) },
        session: (transport) => Effect.andThen(Deferred.succeed(made, transport), Effect.never)
      })
      const client = yield* connect(`${url}/calls`)
      const say = (message: unknown): void => client.socket.send(JSON.stringify(message))
      client.socket.on("message", (data: Buffer, isBinary) => {
        const answer = isBinary ? undefined : played(JSON.parse(String(data)))
        if (answer !== undefined) say(answer)
      })
      say(start)
      for (const [n, frame] of frames.entries()) {
        if (Frame.AudioRawFrame.is(frame)) {
          const bytes = law === undefined ? frame.audio : G711.encode(Pcm.toInt16Unsafe(frame.audio), law)
          if (media === undefined) client.socket.send(bytes)
          else say(media(Buffer.from(bytes).toString("base64"), n))
        } else if (InputDtmfFrame.is(frame)) say(key(frame.key, n))
      }
      const heard = (message: Wire): ReadonlyArray<Frame.Frame> => {
        const payload = typeof message === "string" ? JSON.parse(message).media?.payload : message
        if (payload === undefined) return []
        const bytes = typeof payload === "string" ? new Uint8Array(Buffer.from(payload, "base64")) : payload
        const audio = law === undefined ? bytes : G711.toPcm(bytes, law)
        return [Frame.AudioRawFrame.make({ audio, sampleRate, numChannels: 1 })]
      }
      return {
        transport: yield* Deferred.await(made),
        farEnd: {
          received: () => client.received.flatMap(heard),
          isClosed: client.isClosed,
          hangUp: Effect.sync(() => client.socket.close())
        }
      }
    }),
  sampleRate,
  chunk,
  ...law !== undefined && { line: (samples) => G711.decode(G711.encode(samples, law), law) },
  audioIn: true,
  audioOut: true,
  paced: true,
  staysOpen: true,
  carries: { in: [InputDtmfFrame.make({ key: "5" }), InputDtmfFrame.make({ key: "#" })], out: [] }
})

for (const [vendor, dialect] of Object.entries(dialects)) {
  transportContract(`a call of ${vendor}`, subject(dialect), { time: "real" })
}
