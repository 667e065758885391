import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Frame from "../../Frame.ts"
import { asEffect, handlerIn, type Handlers, type UserHandler, type Work } from "./handler.ts"
import type { Tap } from "./kernel.ts"
import { type Host, Lane, type Mailbox, running, unbounded } from "./lane.ts"
import type { Node } from "./node.ts"
import { PushEffect, Pusher } from "./pusher.ts"

/** Where a push goes when it does not simply run the next port: a mailbox, or the pipeline's end. */
export interface Entry {
  readonly offer: (frame: Frame.Frame, force: boolean) => Work
}

/** The lane behind an edge that is a queue, with the ports that it drives. */
export class PortLane extends Lane<Frame.Frame> {
  ports: Array<Port> = []
  private readonly first: Port

  constructor(first: Port, host: Host, mailbox: Mailbox) {
    super(first.node.name, host, mailbox)
    this.first = first
  }

  protected override process(frame: Frame.Frame): Work {
    return this.first.receive(frame)
  }

  override isInterruptible(frame: Frame.Frame): boolean {
    return frame.uninterruptible !== true
  }

  protected override isKept(frame: Frame.Frame): boolean {
    return frame.uninterruptible === true ||
      this.ports.some(({ node }) => node.definition?.keeps?.has(frame._tag) === true)
  }

  protected override isDroppable(frame: Frame.Frame): boolean {
    return frame.uninterruptible !== true && (frame.kind ?? "data") === "data"
  }

  protected override drop(frame: Frame.Frame, reason: "full" | "interrupted" | "cancelled"): void {
    this.first.node.kernel.dropped(this.first.node, frame, reason)
  }
}

/** Runs the handlers of one port's system frames that take time. */
export class SystemLane extends Lane<Frame.Frame> {
  private readonly port: Port
  private readonly pusher: Pusher

  constructor(port: Port, host: Host) {
    super(port.node.name, host, unbounded)
    this.port = port
    this.pusher = new Pusher(port)
  }

  protected override process(frame: Frame.Frame): Work {
    const { node } = this.port
    const handler = this.port.handlerOf(frame)
    if (handler !== undefined) return node.handle(handler, frame, this.pusher)
    node.kernel.sendSystem(this.port, frame)
    return undefined
  }

  protected override drop(frame: Frame.Frame, reason: "full" | "interrupted" | "cancelled"): void {
    this.port.node.kernel.dropped(this.port.node, frame, reason)
  }
}

/** Stands for the handler of the frames that end the task. */
const endMark: UserHandler = () => {}

/** What becomes of a frame that arrives at a port. */
type Way = "sync" | "effect" | "pass" | "look"

/** One processor instance, seen in one direction. */
export class Port {
  /** A frame that has no handler is forwarded. */
  handlers: Handlers | undefined = undefined
  /** The last tag looked up, what handles it and how: runs of one tag are the rule. */
  private tag: string | undefined = undefined
  private handler: UserHandler | undefined = undefined
  private way: Way = "look"
  next!: Port
  /** The mailbox in front of this port; without one, whoever pushes into it runs it. */
  entry: Entry | undefined = undefined
  /** Runs handlers of system frames that take time: neither data nor an interruption stops them. */
  system: Lane<Frame.Frame> | undefined = undefined
  /** The lane whose data handler is at work here. */
  private busy: PortLane | undefined = undefined
  /** A lane that waits to take over from the one whose handler is at work here. */
  private heir: (() => void) | undefined = undefined

  readonly node: Node
  readonly direction: Frame.Direction
  private pusherCache: Pusher | undefined = undefined
  private laneCache: PortLane | undefined = undefined
  private doneCache: ReturnType<Port["makeDone"]> | undefined = undefined

  constructor(node: Node, direction: Frame.Direction) {
    this.node = node
    this.direction = direction
  }

  /** Forgets what it has looked up: handlers, a mailbox or a tap are about to change. */
  forget(): void {
    this.tag = undefined
    this.pusherCache?.forget()
  }

  /** All that a push of this frame would come to: a port's plain function, or a mailbox. */
  target(frame: Frame.Frame): { readonly pusher: Pusher; readonly handler: UserHandler } | PortLane | undefined {
    if (this.node.ended || this.node.kernel.tap !== undefined) return undefined
    this.node.kernel.knows = true
    let port = this.next
    for (; port.entry === undefined; port = port.next) {
      if (port.tag !== frame._tag) port.look(frame)
      if (port.way === "sync") return { pusher: port.pusher, handler: port.handler! }
      if (port.way !== "pass") return undefined
    }
    return port.entry instanceof PortLane ? port.entry : undefined
  }

  /** The lane that runs this port's data handlers. */
  get lane(): PortLane | undefined {
    return this.laneCache
  }

  set lane(lane: PortLane | undefined) {
    this.laneCache = lane
    if (this.pusherCache !== undefined) this.pusherCache.lane = lane
  }

  /** What its handlers push with. */
  get pusher(): Pusher {
    if (this.pusherCache === undefined) {
      this.pusherCache = new Pusher(this)
      this.pusherCache.lane = this.laneCache
    }
    return this.pusherCache
  }

  /** A synchronous handler's pushes have still to be completed. */
  get isUnfinished(): boolean {
    return this.pusherCache?.isUnfinished === true
  }

  handlerOf(frame: Frame.Frame): UserHandler | undefined {
    const isEnd = frame._tag === "EndFrame" || frame._tag === "StopTaskFrame"
    if (isEnd && this.direction === "downstream" && !this.node.ended) return endMark
    return handlerIn(this.handlers, frame._tag) ?? handlerIn(this.handlers, frame.kind ?? "data")
  }

  private look(frame: Frame.Frame): void {
    const handler = this.handlerOf(frame)
    this.node.kernel.knows = true
    this.tag = frame._tag
    this.handler = handler
    if (this.node.kernel.tap !== undefined || handler === endMark) this.way = "look"
    else if (handler === undefined) this.way = "pass"
    else this.way = this.node.definition?.kind === "effect" ? "effect" : "sync"
  }

  /** A data or control frame arrives: handle it here, or carry it to the first port that does. */
  receive(frame: Frame.Frame): Work {
    for (let port: Port = this;;) {
      if (port.tag !== frame._tag) port.look(frame)
      if (port.way === "sync") return port.pusher.runSync(port.handler!, frame)
      if (port.way === "effect") return port.runEffect(port.handler!, frame)
      if (port.way === "look") return port.receiveTapped(frame)
      const next = port.next
      if (next.entry !== undefined) return next.entry.offer(frame, running.lane !== undefined && running.lane.held)
      port = next
    }
  }

  /** `receive` for when somebody watches, and for frames that end the task. */
  private receiveTapped(frame: Frame.Frame): Work {
    const { tap } = this.node.kernel
    for (let port: Port = this;;) {
      tap?.arrived(port, frame)
      const handler = port.handlerOf(frame)
      if (handler === endMark) return port.node.last(frame)
      if (handler !== undefined) return port.runTapped(handler, frame, tap)
      tap?.pushed(port, frame)
      const next = port.next
      if (next.entry !== undefined) return next.entry.offer(frame, running.lane !== undefined && running.lane.held)
      port = next
    }
  }

  private runTapped(handler: UserHandler, frame: Frame.Frame, tap: Tap | undefined): Work {
    const since = tap?.now() ?? 0
    const effectful = this.node.definition?.kind === "effect"
    const work = effectful ? this.runEffect(handler, frame) : this.pusher.runSync(handler, frame)
    if (work === undefined || !effectful) {
      tap?.handled(this, since)
      return work
    }
    return Effect.map(work, () => tap?.handled(this, since))
  }

  /**
   * Pushes a frame out of this port: a plain call for the lane that drives it, a mailbox for everybody else. `from`
   * is the lane on whose behalf: while an interruption waits for its handler, that must not wait for room.
   */
  emit(frame: Frame.Frame, inside: Lane<any> | undefined, from: Lane<any> | undefined): Work {
    const { kernel } = this.node
    if (kernel.tap !== undefined) kernel.tap.pushed(this, frame)
    const next = this.next
    if (next.entry === undefined) {
      if (inside !== undefined && inside === this.lane) return next.receive(frame)
      kernel.promote(next)
    }
    return next.entry!.offer(frame, kernel.held || (from !== undefined && from.held))
  }

  /** Runs a handler that returns an Effect. One that merely pushes is done at once, without a fiber. */
  private runEffect(handler: UserHandler, frame: Frame.Frame): Work {
    const { pusher } = this
    let work: Work
    try {
      const result = handler(frame, pusher.context)
      if (result instanceof PushEffect && result.pusher === pusher) {
        work = pusher.pushWithin(result.port, result.frame)
        if (work === undefined) return undefined
      } else if (result === Effect.void) return undefined
      else work = this.node.kernel.traced(asEffect(result))
    } catch (error) {
      work = Effect.die(error)
    }
    this.busy = this.lane
    return Effect.matchCauseEffect(work, this.doneCache ??= this.makeDone())
  }

  private makeDone() {
    return {
      onSuccess: () => {
        this.release()
        return Effect.void
      },
      onFailure: (cause: Cause.Cause<unknown>) => {
        this.release()
        this.node.failed(cause)
        return Effect.void
      }
    }
  }

  /** The lane that is at work here, or else would be. */
  get worker(): PortLane | undefined {
    return this.busy ?? this.lane
  }

  /** A handler's pushes that took time are being completed. */
  occupy(): void {
    this.busy ??= this.lane
  }

  /** The handler at work is done, or its lane was cut. */
  release(lane = this.busy): void {
    if (lane === undefined || lane !== this.busy) return
    this.busy = undefined
    const heir = this.heir
    this.heir = undefined
    heir?.()
  }

  /** Calls `heir` when no handler is at work here; `false` when none is. */
  inherit(heir: () => void): boolean {
    if (this.busy === undefined) return false
    this.heir = heir
    return true
  }

  /** A system frame for this port's handler: at once if it can be. */
  receiveSystem(frame: Frame.Frame): void {
    this.system ??= this.node.kernel.systemLane(this)
    this.system.offerNow(frame)
  }
}
