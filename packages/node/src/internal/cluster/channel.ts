/**
 * One end of the line between a gateway and a runner, for one client. It outlives the links that it runs over: what must
 * arrive is sent again over the next, and what has arrived already is not taken twice. Media waits in a bounded queue, of
 * which the oldest is dropped.
 */
import type * as Frame from "@apipeline/core/Frame"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { codes, type Link } from "./link.ts"
import type { Item, Packet } from "./wire.ts"

export interface Options {
  /** Media frames that wait to be sent. */
  readonly media: number
  /** Control that is under way; what is beyond waits. */
  readonly control: number
  readonly onMedia: (frame: Frame.Frame) => void
  /** Has to be followed by `taken`, when it is in good hands. */
  readonly onControl: (item: Item, seq: number) => void
}

type Outgoing = Extract<Packet, { readonly _tag: "Media" | "Control" }>

/** Media that comes in is acknowledged with each so-manieth frame, for the sake of counting what a crash has cost. */
const mediaPerAck = 25

export class Channel {
  readonly options: Options
  link: Link | undefined
  /** Media frames that were dropped before they were sent. */
  dropped = 0
  /** Media frames of the other side that have not arrived. */
  lost = 0
  /** Control that came twice. */
  duplicates = 0
  mediaReceived = 0
  mediaSent = 0
  /** The last of what came in. */
  lastControl = 0
  lastMedia = 0
  /** The last control that was taken. */
  private takenControl = 0
  /** The last of what went out. */
  private control = 0
  private media = 0
  private ackedMedia = 0
  private ackedControl = 0
  /** In the order in which it is to go. */
  private queue: Array<Outgoing> = []
  private mediaQueued = 0
  private unacked: Array<Extract<Packet, { readonly _tag: "Control" }>> = []
  private waiting: Array<Deferred.Deferred<void>> = []
  private isClosed = false

  constructor(options: Options) {
    this.options = options
  }

  /** What the other side needs to know to go on. */
  get position(): { readonly received: number; readonly control: number; readonly media: number } {
    return { received: this.lastControl, control: this.ackedControl, media: this.ackedMedia }
  }

  /** Control that has not arrived for sure. */
  get pending(): number {
    return this.unacked.length
  }

  /** Media that was sent and is not known to have arrived. */
  get uncertain(): number {
    return this.media - this.ackedMedia - this.mediaQueued
  }

  /** Nothing waits to be written or acknowledged. */
  get isFlushed(): boolean {
    return this.queue.length === 0 && this.unacked.length === 0
  }

  sendMedia(frame: Frame.Frame): void {
    if (this.isClosed) return
    const packet: Outgoing = { _tag: "Media", seq: ++this.media, frame }
    if (this.link !== undefined && this.queue.length === 0 && !this.link.isCongested()) {
      this.mediaSent++
      this.link.write(packet)
      return
    }
    if (this.mediaQueued >= this.options.media) this.dropOldest()
    this.queue.push(packet)
    this.mediaQueued++
  }

  /** Waits while too much is under way. */
  sendControl(item: Item): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.isClosed) return Effect.void
      if (this.unacked.length < this.options.control) {
        this.sendControlUnsafe(item)
        return Effect.void
      }
      const room = Deferred.makeUnsafe<void>()
      this.waiting.push(room)
      return Effect.andThen(
        Effect.onInterrupt(Deferred.await(room), () =>
          Effect.sync(() => {
            this.waiting = this.waiting.filter((other) => other !== room)
          })),
        this.sendControl(item)
      )
    })
  }

  sendControlUnsafe(item: Item): void {
    const packet = { _tag: "Control", seq: ++this.control, item } as const
    this.unacked.push(packet)
    this.queue.push(packet)
    this.flush()
  }

  /** Media that waits to be sent is worthless from now on. */
  dropMedia(): void {
    this.dropped += this.mediaQueued
    this.mediaQueued = 0
    this.queue = this.queue.filter(({ _tag }) => _tag !== "Media")
  }

  /** From now on over this link. The other side has had control up to `received`. */
  open(link: Link, received: number): void {
    this.detach(codes.replaced, "another connection has taken over")
    this.link = link
    link.onPacket = (packet) => {
      if (this.link === link) this.receive(packet)
    }
    link.onDrain = () => {
      if (this.link === link) this.flush()
    }
    this.acknowledged(received, this.ackedMedia)
    this.queue = [...this.unacked, ...this.queue.filter(({ _tag }) => _tag === "Media")]
    this.flush()
  }

  /** No link from now on; what is sent waits. */
  detach(code: number, reason: string): void {
    const { link } = this
    this.link = undefined
    link?.close(code, reason)
  }

  /** The other side has begun anew: what it sends is counted from 1, and what was under way is lost. */
  restart(): void {
    this.lastControl = this.lastMedia = this.takenControl = 0
  }

  /** A new activation takes for arrived what an earlier one has had. */
  resume(control: number, media: number): void {
    this.lastControl = this.takenControl = control
    this.lastMedia = media
  }

  /** Control up to `seq` is in good hands: it is not sent again. */
  taken(seq: number): void {
    if (seq <= this.takenControl) return
    this.takenControl = seq
    this.acknowledge()
  }

  close(): void {
    this.isClosed = true
    this.queue = []
    this.unacked = []
    this.mediaQueued = 0
    this.wake()
  }

  private wake(): void {
    const waiting = this.waiting
    this.waiting = []
    for (const room of waiting) Deferred.doneUnsafe(room, Effect.void)
  }

  private acknowledge(): void {
    this.link?.write({ _tag: "Ack", control: this.takenControl, media: this.lastMedia })
  }

  private acknowledged(control: number, media: number): void {
    // a number that was never sent acknowledges nothing
    if (media > this.ackedMedia && media <= this.media) this.ackedMedia = media
    if (control <= this.ackedControl || control > this.control) return
    this.ackedControl = control
    this.unacked = this.unacked.filter(({ seq }) => seq > control)
    this.queue = this.queue.filter((packet) => packet._tag === "Media" || packet.seq > control)
    this.wake()
  }

  private dropOldest(): void {
    const oldest = this.queue.findIndex(({ _tag }) => _tag === "Media")
    this.queue.splice(oldest, 1)
    this.mediaQueued--
    this.dropped++
  }

  private flush(): void {
    const { link } = this
    if (link === undefined) return
    let at = 0
    for (; at < this.queue.length; at++) {
      const packet = this.queue[at]!
      if (packet._tag === "Media") {
        if (link.isCongested()) break
        this.mediaQueued--
        this.mediaSent++
      }
      link.write(packet)
    }
    this.queue = at === this.queue.length ? [] : this.queue.slice(at)
  }

  private receive(packet: Packet): void {
    switch (packet._tag) {
      case "Media": {
        const { seq } = packet
        if (seq <= this.lastMedia) return
        this.lost += seq - this.lastMedia - 1
        this.lastMedia = seq
        if (++this.mediaReceived % mediaPerAck === 0) this.acknowledge()
        if (packet.frame === undefined) this.lost++
        else this.options.onMedia(packet.frame)
        return
      }
      case "Control": {
        const { item, seq } = packet
        if (seq <= this.lastControl) {
          this.duplicates++
          this.acknowledge()
          return
        }
        if (seq !== this.lastControl + 1) {
          this.detach(codes.malformed, `control: found ${seq}, expected ${this.lastControl + 1}`)
          return
        }
        this.lastControl = seq
        this.options.onControl(item, seq)
        return
      }
      case "Ack":
        this.acknowledged(packet.control, packet.media)
        this.flush()
        return
      // they belong to the beginning, which is not ours
      case "Hello":
      case "Welcome":
        this.detach(codes.malformed, `found ${packet._tag}, expected frames`)
    }
  }
}
