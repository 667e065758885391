import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import type * as Fiber from "effect/Fiber"
import * as Frame from "../Frame.ts"
import type { ProcessorContext, Push } from "../Processor.ts"
import type { Tap } from "./kernel.ts"
import { CurrentLane, type Host, Lane, type Mailbox, type Rest, running, unbounded } from "./lane.ts"
import type { Node } from "./node.ts"

/** What is left to do when it could not be done at once. */
export type Work = Effect.Effect<unknown> | undefined

/** What a user wrote: `(frame, push) => void` in synchronous processors, `(frame, context) => Effect` in others. */
export type UserHandler = (frame: any, context: any) => unknown

/** What a user gave as handlers, among other things: by tag, or by kind. */
export type Handlers = Readonly<Record<string, unknown>>

/** Stands for the handler of the frames that end the task. */
const endMark: UserHandler = () => {}

/** What somebody gave under this name, if it is a function. */
export const handlerIn = (handlers: Handlers | undefined, name: string): UserHandler | undefined => {
  if (handlers === undefined || !Object.hasOwn(handlers, name)) return undefined
  const handler = handlers[name]
  return typeof handler === "function" ? handler as UserHandler : undefined
}

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

export const asEffect = (result: unknown): Effect.Effect<unknown> =>
  Effect.isEffect(result)
    ? result as Effect.Effect<unknown>
    : Effect.die(new TypeError(`the handler of an effectful processor must return an Effect, found ${String(result)}`))

export const inLane = (lane: Lane<any> | undefined, f: () => Work): Effect.Effect<unknown> => {
  const before = running.lane
  running.lane = lane
  try {
    return f() ?? Effect.void
  } finally {
    running.lane = before
  }
}

/** What `push` gives to effectful handlers: a push, to be made when it is run. */
class PushEffect {
  readonly pusher: Pusher
  readonly port: Port
  readonly frame: Frame.Frame
  constructor(pusher: Pusher, port: Port, frame: Frame.Frame) {
    this.pusher = pusher
    this.port = port
    this.frame = frame
  }
}
Object.setPrototypeOf(
  PushEffect.prototype,
  Effectable.Prototype<Effect.Effect<void> & PushEffect>({
    label: "Push",
    evaluate(fiber) {
      return this.pusher.pushFrom(fiber, this.port, this.frame)
    }
  })
)

interface Flush {
  items: Array<Rest<Frame.Frame>>
  next: number
}

const noFlushes: ReadonlyArray<Flush> = []

/** Which further pushes of a handler wait for those before. */
const blocks = { none: 0, own: 1, other: 2, all: 3 } as const

/** How the handlers of a port (or the hooks of a processor) push. */
export class Pusher {
  // What a plain call looks at comes first, to be together in memory.
  /** A synchronous handler is on the stack. */
  handling = false
  lane: PortLane | undefined = undefined
  /** Pushes of this tag are plain calls of `hotHandler`, whose pushes `hotPusher` makes. */
  hotTag: string | undefined = undefined
  hotHandler: UserHandler | undefined = undefined
  hotPusher: Pusher | undefined = undefined
  pushCache: Push | undefined = undefined
  /** What a synchronous handler pushed that could not be completed at once, in order. */
  pending: Array<Rest<Frame.Frame>> | undefined = undefined
  /** Or pushes of `hotTag` go into this mailbox. */
  hotLane: PortLane | undefined = undefined
  /** What was pending when its handler had returned, of which the first has been begun. */
  private flushes: ReadonlyArray<Flush> = noFlushes
  private blocked: number = blocks.none
  private contextCache: ProcessorContext | undefined = undefined
  readonly port: Port

  constructor(port: Port) {
    this.port = port
  }

  forget(): void {
    this.hotTag = undefined
  }

  /** Runs a synchronous handler. What it pushed and could not be completed at once is returned. */
  runSync(handler: UserHandler, frame: Frame.Frame): Work {
    this.handling = true
    let result: unknown
    try {
      result = handler(frame, this.push)
    } catch (error) {
      this.threw(error)
    }
    this.handling = false
    return result === undefined && this.pending === undefined ? undefined : this.finish(result)
  }

  threw(error: unknown): void {
    this.port.node.failed(Cause.die(error))
  }

  finish(result: unknown): Work {
    if (result !== undefined && Effect.isEffect(result)) {
      const message = "a sync handler returned an Effect, which is not run: use Processor.effect or Processor.queued"
      this.port.node.failed(Cause.die(new TypeError(message)))
    }
    return this.pending === undefined ? undefined : this.flush(running.lane)
  }

  /** Completes what is pending. In a loop of processors this happens again before it is done: hence no one state. */
  private flush(lane: Lane<any> | undefined): Effect.Effect<unknown> {
    const isData = this === this.port.pusher
    const enter = (rest: Rest<Frame.Frame>): Effect.Effect<unknown> => {
      const effect = inLane(lane, rest.enter)
      return rest.item.uninterruptible && lane !== undefined ? lane.guard(effect) : effect
    }
    const done = () => {
      if (isData) this.port.release()
      return Effect.void
    }
    const items = this.pending!
    this.pending = undefined
    this.blocked = blocks.none
    if (isData) this.port.occupy()
    const first = enter(items[0]!)
    if (items.length === 1) return Effect.flatMap(first, done)
    const rest: Flush = { items, next: 1 }
    this.flushes = [...this.flushes, rest]
    const others = Effect.whileLoop({
      while: () => rest.next < rest.items.length,
      body: () => enter(rest.items[rest.next++]!),
      step: () => {}
    })
    return Effect.flatMap(Effect.andThen(first, others), () => {
      this.flushes = this.flushes.filter((other) => other !== rest)
      return done()
    })
  }

  /** The interruption's part of what is pending; what is kept goes to the lane's next fiber if this one is killed. */
  cut(killed: boolean): Array<Rest<Frame.Frame>> {
    const keep = (rests: ReadonlyArray<Rest<Frame.Frame>>): Array<Rest<Frame.Frame>> => {
      const kept: Array<Rest<Frame.Frame>> = []
      for (const rest of rests) {
        if (rest.item.uninterruptible) kept.push(rest)
        else this.port.node.kernel.dropped(this.port.node, rest.item, "interrupted")
      }
      return kept
    }
    const kept: Array<Rest<Frame.Frame>> = []
    for (const flush of this.flushes) {
      flush.items = keep(flush.items.slice(flush.next))
      flush.next = 0
      if (killed) kept.push(...flush.items.splice(0))
    }
    if (killed) this.flushes = noFlushes
    if (this.pending !== undefined) {
      const left = keep(this.pending)
      if (killed) kept.push(...left.splice(0))
      this.pending = left.length === 0 ? undefined : left
      if (this.pending === undefined) this.blocked = blocks.none
    }
    return kept
  }

  /** Makes what the synchronous handler pushes from now on and is not to overtake `work` wait for it. */
  wait(blocks: number, item: Frame.Frame, work: Work): void {
    if (work === undefined || !this.handling) return
    this.defer(item, () => work)
    this.blocked |= blocks
    this.forget()
  }

  private defer(item: Frame.Frame, enter: () => Work): void {
    ;(this.pending ??= []).push({ item, enter })
  }

  pushSync(port: Port, frame: Frame.Frame): void {
    if (frame.kind !== "data") {
      const special = port.node.special(port, frame, running.lane)
      if (special !== false) return this.wait(blocks.all, frame, special)
    }
    if (port.node.ended) return port.node.kernel.dropped(port.node, frame, "ended")
    const way = port === this.port ? blocks.own : blocks.other
    if (!this.handling) {
      // Somebody kept `push`: nobody would run what is left of a plain call, so it goes through a mailbox.
      port.emit(frame, undefined, running.lane)
    } else if ((this.blocked & way) !== 0) {
      this.defer(frame, () => port.emit(frame, running.lane, running.lane))
    } else {
      this.wait(way, frame, port.emit(frame, running.lane, running.lane))
      if (frame.kind === "data" && way === blocks.own && this.blocked === blocks.none) this.warm(frame)
    }
  }

  private warm(frame: Frame.Frame): void {
    const target = this === this.port.pusher ? this.port.target(frame) : undefined
    if (target === undefined) return
    this.hotTag = frame._tag
    this.hotLane = target instanceof PortLane ? target : undefined
    this.hotHandler = target instanceof PortLane ? undefined : target.handler
    this.hotPusher = target instanceof PortLane ? undefined : target.pusher
  }

  /** A push by a handler of this port, on the stack of the lane that runs it. */
  pushWithin(port: Port, frame: Frame.Frame): Work {
    const { lane } = running
    if (frame.kind !== "data") {
      const special = port.node.special(port, frame, lane)
      if (special !== false) return special
    }
    if (port.node.ended) {
      port.node.kernel.dropped(port.node, frame, "ended")
      return undefined
    }
    const work = port.emit(frame, lane, lane)
    return work !== undefined && frame.uninterruptible && lane !== undefined ? lane.guard(work) : work
  }

  pushFrom(fiber: Fiber.Fiber<unknown, unknown>, port: Port, frame: Frame.Frame): Effect.Effect<any> {
    if (frame.kind !== "data") {
      const special = port.node.special(port, frame, laneOf(fiber))
      if (special !== false) return special ?? Effect.void
    }
    const { kernel } = port.node
    if (port.node.ended) {
      kernel.dropped(port.node, frame, "ended")
      return Effect.void
    }
    const lane = port.lane
    if (lane !== undefined && lane.fiber === fiber) {
      const effect = inLane(lane, () => port.emit(frame, lane, lane))
      return frame.uninterruptible ? lane.guard(effect) : effect
    }
    const from = laneOf(fiber)
    if (from !== undefined && from.dying === fiber && frame.kind === "data" && !frame.uninterruptible) {
      // No late results: what an interrupted handler still says while it unwinds is dropped.
      kernel.dropped(port.node, frame, "interrupted")
      return Effect.void
    }
    const work = inLane(undefined, () => port.emit(frame, undefined, from))
    return frame.uninterruptible && from !== undefined ? from.guard(work) : work
  }

  /** What effectful handlers get. */
  get context(): ProcessorContext {
    return this.contextCache ??= this.makeContext()
  }

  get isUnfinished(): boolean {
    return this.pending !== undefined || this.flushes.length > 0
  }

  interrupt(frame: Frame.Frame): void {
    this.wait(blocks.all, frame, this.port.node.kernel.interrupt(frame, this.port.node, running.lane))
  }

  /** What synchronous handlers get. */
  get push(): Push {
    return this.pushCache ?? this.makePush()
  }

  private makePush(): Push {
    const push = hot(this)
    Object.setPrototypeOf(push, pushProto)
    return this.pushCache = Object.assign(push, { [pusherOf]: this }) as unknown as Push // it gets the rest from its prototype
  }

  private makeContext(): ProcessorContext {
    const { direction, node } = this.port
    const to = (port: Port) => (frame: Frame.Frame): Effect.Effect<void> =>
      new PushEffect(this, port, frame) as unknown as Effect.Effect<void> // its prototype is an Effect's
    const pushDownstream = to(node.down)
    const pushUpstream = to(node.up)
    const { kernel } = node
    return {
      name: node.name,
      push: direction === "downstream" ? pushDownstream : pushUpstream,
      pushDownstream,
      pushUpstream,
      interrupt: Effect.withFiber((fiber) =>
        kernel.interrupt(Frame.StartInterruptionFrame.make({}), node, laneOf(fiber)) ?? Effect.void
      ),
      report: (error, options) =>
        Effect.sync(() => kernel.report(node, Cause.fail(error), options?.fatal === true, options?.unusable === true)),
      recovered: Effect.sync(() => node.recovered()),
      reportCause: (cause: Cause.Cause<unknown>) => Effect.sync(() => node.failed(cause)),
      get metrics() {
        return node.metering.effect
      },
      span: Effect.sync(() => kernel.tracing?.current)
    }
  }
}

const pusherOf = Symbol("pusher")

/** What a synchronous handler's `push` has besides. */
const pushProto = Object.create(Function.prototype, {
  downstream: {
    get(this: { readonly [pusherOf]: Pusher }) {
      const self = this[pusherOf]
      return (frame: Frame.Frame): void => self.pushSync(self.port.node.down, frame)
    }
  },
  upstream: {
    get(this: { readonly [pusherOf]: Pusher }) {
      const self = this[pusherOf]
      return (frame: Frame.Frame): void => self.pushSync(self.port.node.up, frame)
    }
  },
  interrupt: {
    get(this: { readonly [pusherOf]: Pusher }) {
      const self = this[pusherOf]
      return (): void => self.interrupt(Frame.StartInterruptionFrame.make({}))
    }
  },
  metrics: {
    get(this: { readonly [pusherOf]: Pusher }) {
      return this[pusherOf].port.node.metering.sync
    }
  }
})

/** `pushSync`, for the usual case: what `emit`, `receive` and `runSync` would come to. */
const hot = (self: Pusher) => (frame: Frame.Frame): void => {
  if (frame._tag !== self.hotTag || !self.handling || running.lane !== self.lane) return self.pushSync(self.port, frame)
  const next = self.hotPusher
  if (next === undefined) {
    if (!self.hotLane!.accept(frame)) self.pushSync(self.port, frame)
    return
  }
  next.handling = true
  let result: unknown
  try {
    result = self.hotHandler!(frame, next.pushCache)
  } catch (error) {
    next.threw(error)
  }
  next.handling = false
  if (result !== undefined || next.pending !== undefined) self.wait(blocks.own, frame, next.finish(result))
}

const laneOf = (fiber: Fiber.Fiber<unknown, unknown>): Lane<any> | undefined => fiber.getRef(CurrentLane)
