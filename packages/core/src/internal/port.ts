import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Frame from "../Frame.ts"
import type { ProcessorContext, Push } from "../Processor.ts"
import { CurrentLane, Lane, type Rest, running } from "./lane.ts"
import type { Node } from "./node.ts"

/** What is left to do when it could not be done at once. */
export type Work = Effect.Effect<unknown> | undefined

/** What a user wrote: `(frame, push) => void` in synchronous processors, `(frame, context) => Effect` in others. */
export type UserHandler = (frame: any, context: any) => unknown

/** Stands in every table for the handler of the frames that end the task. */
export const endMark: UserHandler = () => {}

/** Where a push goes when it does not simply run the next port: a mailbox, or the pipeline's end. */
export interface Entry {
  readonly offer: (frame: Frame.Frame, force: boolean) => Work
}

/** The lane behind an edge that is a queue, with the ports that it drives. */
export class PortLane extends Lane<Frame.Frame> {
  ports: Array<Port> = []
}

/** One processor instance, seen in one direction. */
export class Port {
  /** Handlers by tag, then by kind; a frame that has none is forwarded. */
  handlers: Record<string, UserHandler> = Object.create(null)
  byKind: Record<string, UserHandler> | undefined = undefined
  /** Runs one of the handlers above. */
  run: (handler: UserHandler, frame: Frame.Frame) => Work = this.runSync
  next!: Port
  /** The mailbox in front of this port; without one, whoever pushes into it runs it. */
  entry: Entry | undefined = undefined
  /** The lane that runs this port's data handlers. */
  lane: PortLane | undefined = undefined
  /** Runs handlers of system frames that take time: neither data nor an interruption stops them. */
  system: Lane<Frame.Frame> | undefined = undefined
  /** Nested plain calls end here and go on from a fresh stack. */
  deep = false
  /** The lane whose data handler is at work here. */
  private busy: PortLane | undefined = undefined
  /** A lane that waits to take over from the one whose handler is at work here. */
  private heir: (() => void) | undefined = undefined

  readonly node: Node
  readonly direction: Frame.Direction
  readonly pusher: Pusher = new Pusher(this)

  constructor(node: Node, direction: Frame.Direction) {
    this.node = node
    this.direction = direction
  }

  handlerOf(frame: Frame.Frame): UserHandler | undefined {
    const handler = this.handlers[frame._tag]
    return handler !== undefined || this.byKind === undefined ? handler : this.byKind[frame.kind ?? "data"]
  }

  /** A data or control frame arrives: handle it here, or carry it to the first port that does. */
  receive(frame: Frame.Frame): Work {
    const tap = this.node.kernel.tap
    for (let port: Port = this;;) {
      if (tap !== undefined) tap.arrived(port, frame)
      const handler = port.handlerOf(frame)
      if (handler !== undefined) return handler === endMark ? port.node.last(frame) : port.run(handler, frame)
      if (tap !== undefined) tap.pushed(port, frame)
      const next = port.next
      if (next.entry !== undefined) return next.entry.offer(frame, running.lane !== undefined && running.lane.held)
      port = next
    }
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
      if (inside !== undefined && inside === this.lane) {
        return next.deep ? onFreshStack(inside, next, frame) : next.receive(frame)
      }
      kernel.promote(next)
    }
    return next.entry!.offer(frame, kernel.held || (from !== undefined && from.held))
  }

  private runSync(handler: UserHandler, frame: Frame.Frame): Work {
    const { tap } = this.node.kernel
    if (tap === undefined) return this.pusher.runSync(handler, frame)
    const since = tap.now()
    const work = this.pusher.runSync(handler, frame)
    tap.handled(this, since)
    return work
  }

  /** How the ports of effectful processors run a handler. */
  runEffect(handler: UserHandler, frame: Frame.Frame): Work {
    const work = Effect.matchCause(
      Effect.suspend(() => {
        this.busy = this.lane
        return this.node.kernel.traced(asEffect(handler(frame, this.pusher.context)))
      }),
      this.done
    )
    const { tap } = this.node.kernel
    if (tap === undefined) return work
    return Effect.suspend(() => {
      const since = tap.now()
      return Effect.map(work, () => tap.handled(this, since))
    })
  }

  private readonly done = {
    onSuccess: () => this.release(),
    onFailure: (cause: Cause.Cause<unknown>) => {
      this.release()
      this.node.failed(cause)
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

const onFreshStack = (lane: Lane<any>, next: Port, frame: Frame.Frame): Effect.Effect<unknown> =>
  Effect.suspend(() => inLane(lane, () => next.receive(frame)))

/** How the handlers of a port (or the hooks of a processor) push. */
export class Pusher {
  /** A synchronous handler is on the stack. */
  private handling = false
  /** What a synchronous handler pushed that could not be completed at once, in order. */
  pending: Array<Rest<Frame.Frame>> | undefined = undefined
  private pushCache: Push | undefined = undefined
  private contextCache: ProcessorContext | undefined = undefined
  readonly port: Port

  constructor(port: Port) {
    this.port = port
  }

  /** Runs a synchronous handler. What it pushed and could not be completed at once is returned. */
  runSync(handler: UserHandler, frame: Frame.Frame): Work {
    this.handling = true
    let result: unknown
    try {
      result = handler(frame, this.push)
    } catch (error) {
      this.port.node.failed(Cause.die(error))
    }
    this.handling = false
    if (result !== undefined && Effect.isEffect(result)) {
      const message = "a sync handler returned an Effect, which is not run: use Processor.effect or Processor.queued"
      this.port.node.failed(Cause.die(new TypeError(message)))
    }
    return this.pending === undefined ? undefined : this.flush(running.lane)
  }

  private flush(lane: Lane<any> | undefined): Effect.Effect<unknown> {
    return Effect.whileLoop({
      while: () => this.pending !== undefined,
      body: () => {
        const rest = this.pending!.shift()
        const isData = this === this.port.pusher
        if (isData) this.port.occupy()
        if (rest === undefined) {
          this.pending = undefined
          if (isData) this.port.release()
          return Effect.void
        }
        const effect = inLane(lane, rest.enter)
        return rest.item.uninterruptible && lane !== undefined ? lane.guard(effect) : effect
      },
      step: () => {}
    })
  }

  /** The interruption's part of `pending`; what is kept goes to the lane's next fiber if this one is killed. */
  cut(killed: boolean): Array<Rest<Frame.Frame>> {
    if (this.pending === undefined) return []
    const kept: Array<Rest<Frame.Frame>> = []
    for (const rest of this.pending) {
      if (rest.item.uninterruptible) kept.push(rest)
      else this.port.node.kernel.dropped(this.port.node, rest.item, "interrupted")
    }
    this.pending = killed ? undefined : kept
    return killed ? kept : []
  }

  /** Makes what the synchronous handler pushes from now on wait for `work`. */
  private wait(item: Frame.Frame, work: Work): void {
    if (work !== undefined && this.handling) (this.pending ??= []).push({ item, enter: () => work })
  }

  private pushSync(port: Port, frame: Frame.Frame): void {
    if (frame.kind !== "data") {
      const special = port.node.special(port, frame, running.lane)
      if (special !== false) return this.wait(frame, special)
    }
    if (port.node.ended) return port.node.kernel.dropped(port.node, frame, "ended")
    if (!this.handling) {
      // Somebody kept `push`: nobody would run what is left of a plain call, so it goes through a mailbox.
      port.emit(frame, undefined, running.lane)
    } else if (this.pending !== undefined) {
      this.pending.push({ item: frame, enter: () => port.emit(frame, running.lane, running.lane) })
    } else this.wait(frame, port.emit(frame, running.lane, running.lane))
  }

  private pushFrom(fiber: Fiber.Fiber<unknown, unknown>, port: Port, frame: Frame.Frame): Effect.Effect<any> {
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

  /** What synchronous handlers get. */
  get push(): Push {
    return this.pushCache ??= this.makePush()
  }

  /** What effectful handlers get. */
  get context(): ProcessorContext {
    return this.contextCache ??= this.makeContext()
  }

  private makePush(): Push {
    const { direction, node } = this.port
    const downstream = (frame: Frame.Frame): void => this.pushSync(node.down, frame)
    const upstream = (frame: Frame.Frame): void => this.pushSync(node.up, frame)
    const push = direction === "downstream"
      ? (frame: Frame.Frame): void => this.pushSync(node.down, frame)
      : (frame: Frame.Frame): void => this.pushSync(node.up, frame)
    const interrupt = (): void => pushInterruption(Frame.StartInterruptionFrame.make({}))
    const pushInterruption = (frame: Frame.Frame): void =>
      this.wait(frame, node.kernel.interrupt(frame, node, running.lane))
    Object.defineProperty(push, "metrics", { get: () => node.metering.sync })
    return Object.assign(push, { downstream, upstream, interrupt }) as Push
  }

  private makeContext(): ProcessorContext {
    const { direction, node } = this.port
    const to = (port: Port) => (frame: Frame.Frame): Effect.Effect<void> =>
      Effect.withFiber((fiber) => this.pushFrom(fiber, port, frame))
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

const laneOf = (fiber: Fiber.Fiber<unknown, unknown>): Lane<any> | undefined => fiber.getRef(CurrentLane)
