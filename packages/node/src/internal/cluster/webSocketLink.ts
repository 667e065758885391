/** A link over a WebSocket of `ws`, which tells how much waits. */
import type { Serializer } from "@apipeline/core/FrameSerializer"
import { WebSocket } from "@effect/platform-node/NodeWS"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { codes, ignore, type Link } from "./link.ts"
import { decode, encode, type Packet } from "./wire.ts"

/** Bytes that wait before media is held back: a quarter of a second of speech at 16 kHz is 8 KB. */
const highWater = 64 * 1024

/** Of one message; images are the largest. */
export const maxPayload = 4 * 1024 * 1024

class WebSocketLink implements Link {
  onPacket: (packet: Packet) => void = ignore
  onClose: (code: number, reason: string) => void = ignore
  onDrain = ignore
  readonly socket: WebSocket
  private readonly serializer: Serializer<string>
  private isDraining = false

  constructor(socket: WebSocket, serializer: Serializer<string>) {
    this.socket = socket
    this.serializer = serializer
    socket.on("message", (data, isBinary) => {
      const packet = isBinary ? decode(data as Buffer, serializer) : undefined
      if (packet === undefined || Result.isFailure(packet)) {
        this.close(codes.malformed, packet === undefined ? "found text, expected bytes" : packet.failure.message)
      } else this.onPacket(packet.success)
    })
    socket.on("close", (code, reason) => this.onClose(code, reason.toString()))
    // an error is followed by the close
    socket.on("error", ignore)
  }

  write(packet: Packet): void {
    if (this.socket.readyState !== WebSocket.OPEN) return
    const bytes = this.encode(packet)
    if (bytes === undefined) return
    if (this.isDraining || this.socket.bufferedAmount + bytes.length < highWater) {
      this.socket.send(bytes)
      return
    }
    this.isDraining = true
    this.socket.send(bytes, () => {
      this.isDraining = false
      this.onDrain()
    })
  }

  /** Media is not looked at before: what has no form is a gap. */
  private encode(packet: Packet): Buffer | undefined {
    if (packet._tag !== "Media") return encode(packet, this.serializer)
    try {
      return encode(packet, this.serializer)
    } catch {
      return undefined
    }
  }

  isCongested(): boolean {
    return this.isDraining || this.socket.bufferedAmount > highWater
  }

  close(code: number, reason: string): void {
    // a close frame has room for 123 bytes
    this.socket.close(code, Buffer.from(reason).subarray(0, 120).toString("utf8").replace(/\uFFFD+$/, ""))
  }
}

export const make = (socket: WebSocket, serializer: Serializer<string>): Link => new WebSocketLink(socket, serializer)

/** Connects. `undefined` when there is nobody. */
export const connect = (
  url: string,
  serializer: Serializer<string>,
  timeout: number
): Effect.Effect<Link | undefined> =>
  Effect.callback<Link | undefined>((resume) => {
    const socket = new WebSocket(url, { handshakeTimeout: timeout, maxPayload, perMessageDeflate: false })
    const gone = (): void => resume(Effect.undefined)
    socket.once("error", gone)
    socket.once("close", gone)
    socket.once("open", () => {
      socket.off("error", gone)
      socket.off("close", gone)
      resume(Effect.succeed(make(socket, serializer)))
    })
    return Effect.sync(() => socket.terminate())
  })
