/** One connection between a gateway and a runner: a WebSocket, or memory where both are one process. */
import type { Packet } from "./wire.ts"

export interface Link {
  readonly write: (packet: Packet) => void
  /** More waits to be sent than is good for live audio. `onDrain` tells when no longer. */
  readonly isCongested: () => boolean
  readonly close: (code: number, reason: string) => void
  onPacket: (packet: Packet) => void
  /** Once; also after an own `close`. */
  onClose: (code: number, reason: string) => void
  onDrain: () => void
}

export const ignore = (): void => {}

/** The codes with which a link is closed; a gateway attaches anew after each. */
export const codes = {
  moved: 1012,
  malformed: 4400,
  /** The token is not (or no longer) that of the session. */
  stale: 4404,
  replaced: 4409
} as const

class MemoryLink implements Link {
  onPacket: (packet: Packet) => void = ignore
  onClose: (code: number, reason: string) => void = ignore
  onDrain = ignore
  peer!: MemoryLink
  private inbox: Array<Packet> = []
  private isOpen = true

  write(packet: Packet): void {
    if (!this.isOpen) return
    const { peer } = this
    // in a task of its own: what the other side does of it must not run within what is done here
    if (peer.inbox.push(packet) === 1) queueMicrotask(() => peer.deliver())
  }

  isCongested(): boolean {
    return false
  }

  close(code: number, reason: string): void {
    if (!this.isOpen) return
    queueMicrotask(() => {
      this.peer.deliver()
      this.end(code, reason)
      this.peer.end(code, reason)
    })
  }

  private deliver(): void {
    const packets = this.inbox
    this.inbox = []
    for (const packet of packets) if (this.isOpen) this.onPacket(packet)
  }

  private end(code: number, reason: string): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.onClose(code, reason)
  }
}

export const makeMemoryPair = (): readonly [Link, Link] => {
  const a = new MemoryLink()
  const b = new MemoryLink()
  a.peer = b
  b.peer = a
  return [a, b]
}
