/**
 * Clients of a load test: `clients.ts <port> <sessions> <first session>`, in a process of its own. Each sends a frame every
 * 20 ms, whatever comes back, and checks what does.
 */
import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as NodeWS from "@effect/platform-node/NodeWS"
import { performance } from "node:perf_hooks"
import { Histogram } from "./histogram.ts"
import type { FromClients, Order, Traffic } from "./messages.ts"
import { frameBytes, frameMillis, read, sampleRate, write } from "./speech.ts"

const [port, sessions, first] = process.argv.slice(2).map(Number) as [number, number, number]

const tell = (message: FromClients): void => void process.send!(message)

/** Connections that are made at once. */
const batch = 20
/** Frames between two interruptions: 4 to 12 seconds. */
const patience = (): number => Math.round((4000 + 8000 * Math.random()) / frameMillis)
/** Frames that may be under way, a power of two: 20 seconds' worth. */
const window = 1024
/** How long what is under way may take in the end, in milliseconds. */
const farewell = 10_000

const pipecat = FrameSerializer.makePipecat()
const interruption = pipecat.encodeUnsafe(Frame.StartInterruptionFrame.make()) as Uint8Array
const mark = new Uint8Array(frameBytes).fill(0x55)
const template = Buffer.from(
  pipecat.encodeUnsafe(Frame.AudioRawFrame.make({ audio: mark, sampleRate, numChannels: 1 })) as Uint8Array
)
const audioAt = template.indexOf(mark)

const latency = new Histogram()
const lateness = new Histogram()
const count = {
  sent: 0,
  received: 0,
  interruptions: 0,
  unconfirmed: 0,
  cut: 0,
  lost: 0,
  stale: 0,
  duplicated: 0,
  reordered: 0,
  damaged: 0,
  closed: 0
}
let why: string | undefined
let measuring = false
let leaving = false

class Session {
  readonly id: number
  readonly socket: NodeWS.WebSocket
  private readonly sentAt = new Float64Array(window)
  /** The number of the next frame that is sent, and of the one that is to come back. */
  private next = 0
  private expected = 0
  private untilInterruption = patience()
  /** For each interruption that is not confirmed, the first frame that was sent after it. */
  private readonly boundaries: Array<number> = []
  /** What is below was cut: it must not come any more. */
  private cutBelow = 0
  /** Where those frames begin that an interruption did cut: below, they have come. */
  private cutFrom = 0

  constructor(id: number, socket: NodeWS.WebSocket) {
    this.id = id
    this.socket = socket
    socket.on("message", (data: Buffer) => this.receive(data))
    socket.on("close", (code, reason) => {
      if (leaving) return
      count.closed++
      why ??= `${code} ${reason}`
    })
  }

  send(due: number): void {
    if (this.socket.readyState !== NodeWS.WebSocket.OPEN) return
    const message = Buffer.from(template)
    write(message, audioAt, this.id, this.next)
    const now = performance.now()
    if (measuring) lateness.record(now - due)
    this.sentAt[this.next++ & (window - 1)] = now
    count.sent++
    this.socket.send(message)
    if (--this.untilInterruption > 0) return
    this.untilInterruption = patience()
    count.interruptions++
    this.boundaries.push(this.next)
    this.socket.send(interruption)
  }

  private receive(data: Buffer): void {
    const now = performance.now()
    const frame = pipecat.decodeUnsafe(data)
    if (Frame.StartInterruptionFrame.is(frame)) return this.confirm()
    if (!Frame.AudioRawFrame.is(frame)) return
    count.received++
    const number = read(frame.audio, this.id)
    if (number === undefined || number >= this.next) count.damaged++
    else this.check(number, now)
  }

  private check(number: number, now: number): void {
    if (measuring) latency.record(now - this.sentAt[number & (window - 1)]!)
    if (number < this.expected) {
      if (number < this.cutBelow && number >= this.cutFrom) count.stale++
      else count.duplicated++
      return
    }
    const [boundary] = this.boundaries
    // what was sent after an interruption comes after its confirmation
    if (boundary !== undefined && number >= boundary) count.reordered++
    else count.lost += number - this.expected
    this.expected = number + 1
  }

  private confirm(): void {
    const boundary = this.boundaries.shift()
    if (boundary === undefined) {
      count.reordered++
      return
    }
    if (boundary <= this.expected) return
    count.cut += boundary - this.expected
    this.cutFrom = this.expected
    this.cutBelow = this.expected = boundary
  }

  isSettled(): boolean {
    return this.boundaries.length === 0 && this.expected === this.next
  }

  settle(): void {
    count.unconfirmed += this.boundaries.length
    count.lost += this.next - this.expected
  }
}

const connect = (id: number): Promise<Session> =>
  new Promise((resolve, reject) => {
    const socket = new NodeWS.WebSocket(`ws://127.0.0.1:${port}/ws`, { perMessageDeflate: false })
    socket.once("open", () => resolve(new Session(id, socket)))
    socket.once("error", reject)
  })

// Each session has its place within the 20 ms. One timer serves all: a thousand would cost more than what they send.
const slots: Array<Array<Session>> = Array.from({ length: frameMillis }, () => [])
const begin = performance.now()
let slot = 0
let ticking = true
const tick = (): void => {
  if (!ticking) return
  for (const now = performance.now() - begin; slot <= now; slot++) {
    for (const session of slots[slot % frameMillis]!) session.send(begin + slot)
  }
  setTimeout(tick, 1)
}

const all: Array<Session> = []

const settled = async (): Promise<void> => {
  ticking = false
  const end = performance.now() + farewell
  while (performance.now() < end && !all.every((session) => session.isSettled())) {
    await new Promise((resolve) => {
      setTimeout(resolve, 10)
    })
  }
  for (const session of all) session.settle()
}

const leave = async (): Promise<void> => {
  leaving = true
  await Promise.all(all.map(({ socket }) =>
    new Promise<void>((resolve) => {
      if (socket.readyState === NodeWS.WebSocket.CLOSED) return resolve()
      socket.once("close", () => resolve())
      socket.close(1000)
    })
  ))
  process.exit(0)
}

process.on("message", (order: Order) => {
  switch (order.do) {
    case "begin":
      measuring = true
      return
    case "end": {
      measuring = false
      void settled().then(() => {
        const traffic: Traffic = { ...count, why, latency: latency.toSparse(), lateness: lateness.toSparse() }
        tell({ is: "done", traffic })
      })
      return
    }
    case "close":
      void leave()
  }
})
process.on("disconnect", () => process.exit(1))

tick()
try {
  for (let at = 0; at < sessions; at += batch) {
    const more = await Promise.all(
      Array.from({ length: Math.min(batch, sessions - at) }, (_, i) => connect(first + at + i))
    )
    for (const session of more) {
      all.push(session)
      slots[session.id * 7 % frameMillis]!.push(session)
    }
  }
  tell({ is: "connected" })
} catch (error) {
  tell({ is: "failed", why: String(error) })
}
