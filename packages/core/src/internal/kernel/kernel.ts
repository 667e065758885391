import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Scheduler from "effect/Scheduler"
import * as Frame from "../../Frame.ts"
import { Arm, Fan, isMark } from "./fan.ts"
import type { Work } from "./handler.ts"
import { type Host, Lane, type Mailbox, unbounded } from "./lane.ts"
import { type Definition, Node, type SetUpFailure } from "./node.ts"
import { type Entry, Port, PortLane, SystemLane } from "./port.ts"
import { Switch } from "./switch.ts"
import type { Plan } from "./topology.ts"
import type { Tracing } from "./tracing.ts"

/** Why a frame did not arrive: every one is counted and told. */
export type DropReason = "full" | "interrupted" | "cancelled" | "ended" | "inactive"

/** What observers and metrics see. With none attached there is no tap, and the cost is one comparison a hop. */
export interface Tap {
  readonly arrived: (port: Port, frame: Frame.Frame) => void
  readonly pushed: (port: Port, frame: Frame.Frame) => void
  readonly told: (node: Node) => void
  /** Milliseconds, of any origin. */
  readonly now: () => number
  readonly handled: (port: Port, since: number) => void
}

/** The task that a running pipeline works for at the moment. */
export interface Owner {
  readonly output: Entry
  readonly upstream: Entry
  /** Takes out of the streams above what an interruption cuts. */
  readonly cutStreams: () => void
  readonly dropped: (processor: string, frame: Frame.Frame, reason: DropReason) => void
  readonly failed: (frame: Frame.ErrorFrame, cause: Cause.Cause<unknown>) => void
  /** Runs a user's callback beside the pipeline. */
  readonly call: (callback: () => Effect.Effect<unknown, unknown>) => void
  readonly interrupted: (frame: Frame.Frame) => void
  readonly firstByte: (node: Node, milliseconds: number) => void
  readonly clock: Clock.Clock
  /** A processor pushed a lifecycle frame: the task decides. */
  readonly request: (frame: Frame.Frame) => void
}

interface Interruption {
  readonly id: number
  readonly frame: Frame.Frame
  readonly origin: Node | undefined
  readonly asker: Lane<any> | undefined
  /** The lanes that it still holds. */
  readonly lanes: Set<PortLane>
  readonly passed: Latch.Latch
}

/** Processors in a row without a mailbox; the next one gets one, so that no chain is too long for the stack. */
const maxInline = 200

/** Turns of lanes before everybody else on the event loop gets one. */
const maxTurns = 32

/** Runs its tasks as a microtask: as soon as the code that pushed has returned. */
const soon = new Scheduler.MixedScheduler("sync").makeDispatcher()

/** Interruptions, one after the other. */
class ControlLane extends Lane<Interruption> {
  spread!: (interruption: Interruption) => Work

  protected override process(interruption: Interruption): Work {
    return this.spread(interruption)
  }
}

/** A queue that nobody has pushed into yet. */
class LazyEntry implements Entry {
  private readonly port: Port
  private readonly mailbox: Mailbox

  constructor(port: Port, mailbox: Mailbox) {
    this.port = port
    this.mailbox = mailbox
  }

  offer(frame: Frame.Frame, force: boolean): Work {
    return this.port.node.kernel.promote(this.port, this.mailbox).offer(frame, force)
  }
}

/** A running pipeline: its processors, its lanes, and the frames that steer it. */
export class Kernel {
  /** In the pipeline's order; those without a definition are the ends of branches. */
  readonly nodes: Array<Node> = []
  readonly top: Node
  readonly bottom: Node
  owner!: Owner
  private currentTap: Tap | undefined = undefined
  /** What handlers do is part of a span. */
  tracing: Tracing | undefined = undefined
  /** What the task is run with, once it starts. */
  parameters: Frame.StartFrame | undefined = undefined
  /** Nothing flows: until `StartFrame` is through, and between a stopped task and the next. */
  held = true
  allowInterruptions = true
  private readonly host: Host
  private readonly lanes = new Set<PortLane>()
  private readonly systemLanes: Array<Lane<Frame.Frame>> = []
  private readonly fans: Array<Fan> = []
  /** Where branches come together. */
  private readonly exits = new Set<Node>()
  private readonly control: ControlLane
  private readonly interruptions = new Set<Interruption>()
  private interruptionCount = 0
  private readonly carried = new WeakSet<Frame.Frame>()
  /** Failures that no switcher has dealt with. */
  readonly reported = new WeakSet<Frame.Frame>()
  /** System frames of before the start. */
  private heldBack: Array<readonly [from: Port, frame: Frame.Frame]> = []
  private closed = false
  /** Ports have looked up where frames go. */
  knows = false
  /** How many processors have been wired since the last that has a mailbox. */
  private inline = 0
  private ready: Array<Lane<any>> = []
  private flushing = false
  private active = 0
  private onQuiet: (() => void) | undefined = undefined
  private readonly later: Scheduler.SchedulerDispatcher

  constructor(options: {
    readonly plans: ReadonlyArray<Plan>
    readonly services: Context.Context<never>
    readonly scheduler: Scheduler.Scheduler
    /** Of the task's own intake. */
    readonly capacity: number
  }) {
    this.later = options.scheduler.makeDispatcher()
    this.host = {
      services: options.services,
      schedule: (lane) => this.schedule(lane),
      busy: (change) => this.busy(change),
      killed: (lane) => {
        if (!(lane instanceof PortLane)) return
        for (const { down, up } of this.nodes) {
          down.release(lane)
          up.release(lane)
        }
      },
      defect: (lane, exit: Exit.Failure<unknown, unknown>) => this.report(lane.name, exit.cause, true)
    }
    this.top = new Node(this, "task", undefined)
    this.bottom = new Node(this, "task", undefined)
    const { down, up } = this.wire(options.plans)
    this.top.down.next = down.first
    down.last.next = this.bottom.down
    this.bottom.up.next = up.first
    up.last.next = this.top.up
    this.bottom.down.entry = { offer: (frame, force) => this.owner.output.offer(frame, force) }
    this.top.up.entry = { offer: (frame, force) => this.owner.upstream.offer(frame, force) }
    this.top.last = (frame) => this.endWhenQuiet(frame)
    this.promote(this.top.down, { capacity: options.capacity, strategy: "suspend" }, { ...this.host, busy: () => {} })
    this.bottom.up.entry = this.lazyEntry(this.bottom.up, { capacity: options.capacity, strategy: "suspend" })
    this.control = new ControlLane("interruption", this.host, unbounded)
    this.control.spread = (interruption) => this.spread(interruption)
    this.control.pause()
  }

  get tap(): Tap | undefined {
    return this.currentTap
  }

  set tap(tap: Tap | undefined) {
    this.currentTap = tap
    this.forget()
  }

  /** The way of frames is about to change: what ports know of it is looked up again. */
  forget(): void {
    if (!this.knows) return
    this.knows = false
    for (const { down, up } of [this.top, ...this.nodes, this.bottom]) {
      down.forget()
      up.forget()
    }
  }

  get processors(): ReadonlyArray<Node> {
    return this.nodes.filter((node) => node.definition !== undefined && !this.exits.has(node))
  }

  /** Makes the ports of a pipeline and joins them, in both directions. */
  private wire(plans: ReadonlyArray<Plan>): Wired {
    const parts = plans.map((plan) =>
      plan.mode === undefined ? this.wireProcessor(plan.definition) : this.wireFan(plan)
    )
    for (let i = 1; i < parts.length; i++) {
      parts[i - 1]!.down.last.next = parts[i]!.down.first
      parts[i]!.up.last.next = parts[i - 1]!.up.first
    }
    const first = parts[0]!
    const last = parts[parts.length - 1]!
    return {
      down: { first: first.down.first, last: last.down.last },
      up: { first: last.up.first, last: first.up.last }
    }
  }

  private addNode(name: string, definition: Definition | undefined): Node {
    const node = new Node(this, name, definition)
    this.nodes.push(node)
    return node
  }

  private wireProcessor(definition: Definition): Wired {
    const { down, up } = this.addNode(definition.name, definition)
    if (definition.queued !== undefined || ++this.inline > maxInline) {
      this.inline = 0
      down.entry = this.lazyEntry(down, definition.queued)
      up.entry = this.lazyEntry(up, definition.queued && definition.upstream)
    }
    return { down: { first: down, last: down }, up: { first: up, last: up } }
  }

  /** A node where frames fan out, the branches, and a node where they come together. */
  private wireFan({ branches, mode, switching }: Extract<Plan, { readonly branches: unknown }>): Wired {
    const name = switching?.definition.name ?? mode
    const split = this.addNode(name, switching?.definition)
    const inside: Array<ReadonlyArray<Node>> = []
    const wired = branches.map((plans) => {
      const before = this.nodes.length
      const branch = this.wire(plans)
      inside.push(this.nodes.slice(before))
      // A branch that takes time has a lane of its own from the start, else the others would wait for it.
      if (takesTime(plans)) branch.down.first.entry ??= this.lazyEntry(branch.down.first)
      if (takesTime(plans.toReversed())) branch.up.first.entry ??= this.lazyEntry(branch.up.first)
      return branch
    })
    const join = this.addNode(name, switching?.definition)
    this.exits.add(join)
    const control = switching === undefined ? undefined : new Switch(split, switching, inside)
    for (const direction of ["down", "up"] as const) {
      const [from, to] = direction === "down" ? [split.down, join.down] : [join.up, split.up]
      const firsts = wired.map((branch) => branch[direction].first)
      const fan = control?.addFan(firsts, to) ?? new Fan(mode, firsts, to)
      this.fans.push(fan)
      from.entry = fan
      // What is held for others leaves through a mailbox: there, order and room are settled at once.
      if (mode !== "parallel" && mode !== "merge" && mode !== "switch") to.entry = this.lazyEntry(to)
      for (const [i, branch] of wired.entries()) {
        const arm = new Port(to.node, to.direction)
        arm.entry = fan.arms[i]!
        branch[direction].last.next = arm
      }
    }
    return { down: { first: split.down, last: join.down }, up: { first: join.up, last: split.up } }
  }

  // ---------------------------------------------------------------------------------------------- lanes

  private addLane(first: Port, mailbox: Mailbox, host: Host): PortLane {
    const lane = new PortLane(first, host, mailbox)
    this.lanes.add(lane)
    if (this.closed) lane.close()
    if (this.held) lane.pause()
    for (const interruption of this.interruptions) {
      if (first.node.seen >= interruption.id) continue
      interruption.lanes.add(lane)
      lane.pause()
    }
    return lane
  }

  private lazyEntry(port: Port, mailbox = promoted(port)): Entry {
    return new LazyEntry(port, mailbox)
  }

  /**
   * Makes the edge in front of `first` a queue with a lane of its own, which takes the ports behind it over. It
   * happens to an inline edge the first time that somebody pushes over it who is not the lane that drives it
   * (a stream's fiber, a push in the opposite direction), so that one processor's handlers of one direction are
   * always run by one lane, and a lane never waits for one that may be waiting for it.
   */
  promote(first: Port, mailbox = promoted(first), host = this.host): PortLane {
    const lane = this.addLane(first, mailbox, host)
    first.entry = lane
    this.forget()
    let waits = false
    for (const port of reach(first)) {
      const before = port.lane
      if (before !== undefined) before.ports = before.ports.filter((other) => other !== port)
      if (before !== undefined && !waits && port.inherit(() => lane.resume())) {
        waits = true
        lane.pause()
      }
      port.lane = lane
      lane.ports.push(port)
    }
    return lane
  }

  systemLane(port: Port): SystemLane {
    const lane = new SystemLane(port, this.host)
    this.systemLanes.push(lane)
    if (this.closed) lane.close()
    return lane
  }

  private schedule(lane: Lane<any>): void {
    this.ready.push(lane)
    if (!this.flushing && this.ready.length === 1) soon.scheduleTask(this.flush, 0)
  }

  private readonly flush = (): void => {
    this.flushing = true
    let turn = 0
    for (; turn < this.ready.length && turn < maxTurns; turn++) this.ready[turn]!.run()
    this.flushing = false
    if (turn === this.ready.length) this.ready.length = 0
    else {
      this.ready.splice(0, turn)
      this.later.scheduleTask(this.flush, 0)
    }
  }

  private busy(change: 1 | -1): void {
    this.active += change
    if (this.active > 0 || this.onQuiet === undefined) return
    const resume = this.onQuiet
    this.onQuiet = undefined
    resume()
  }

  /** Keeps the end waiting, until what it gives is called. */
  keepBusy(): () => void {
    let holds = true
    this.busy(1)
    return () => {
      if (holds) this.busy(-1)
      holds = false
    }
  }

  /** The frames that wait in a processor's mailboxes. */
  depthOf(node: Node): number {
    let depth = 0
    for (const { entry } of [node.down, node.up]) if (entry instanceof PortLane) depth += entry.size
    return depth
  }

  /** The most frames that have waited in a processor's mailboxes. */
  highWaterOf(node: Node): number {
    let most = 0
    for (const lane of this.lanes) if (lane.ports[0]?.node === node) most = Math.max(most, lane.highWater)
    return most
  }

  // ---------------------------------------------------------------------------------------------- frames

  /** Frames from outside, in order with each other. */
  queue(frame: Frame.Frame, direction: Frame.Direction): Effect.Effect<void> | undefined {
    if (Frame.kindOf(frame) !== "system") {
      const port = direction === "downstream" ? this.top.down : this.bottom.up
      return port.entry!.offer(frame, this.held)
    }
    this.sendSystem(direction === "downstream" ? this.top.down : this.bottom.up, frame)
    return undefined
  }

  /** The end goes behind all that is queued and all that waits to be. */
  queueEnd(frame: Frame.Frame): void {
    this.carried.add(frame)
    this.top.down.entry!.offer(frame, this.held)
  }

  /** Is there room for a frame that nobody would wait for? */
  get hasRoom(): boolean {
    return (this.top.down.entry as PortLane).hasRoom
  }

  /** System frames pass everything that waits. */
  sendSystem(from: Port, frame: Frame.Frame): void {
    if (this.held) {
      if (this.closed) this.dropped(from.node, frame, "cancelled")
      else this.heldBack.push([from, frame])
      return
    }
    for (let port = from;;) {
      if (this.tap !== undefined) this.tap.pushed(port, frame)
      const next = port.next
      if (next.entry instanceof Arm) {
        if (!next.entry.fan.first(next.entry.index, frame)) return
        port = next.entry.fan.join
        continue
      }
      const onwards = this.enterSystem(next, frame)
      if (onwards === undefined) return
      port = onwards
    }
  }

  /** Gives a system frame to whoever handles it from here on; the port that it passes otherwise. */
  private enterSystem(port: Port, frame: Frame.Frame): Port | undefined {
    if (port === this.bottom.down || port === this.top.up) {
      ;(port.direction === "downstream" ? this.owner.output : this.owner.upstream).offer(frame, true)
      return undefined
    }
    if (port.entry instanceof Fan) {
      port.entry.enters(frame)
      for (const first of port.entry.into(frame)) {
        const onwards = this.enterSystem(first, frame)
        if (onwards !== undefined) this.sendSystem(onwards, frame)
      }
      return undefined
    }
    if (this.tap !== undefined) this.tap.arrived(port, frame)
    if (port.handlerOf(frame) === undefined && port.system?.moving !== true) return port
    port.receiveSystem(frame)
    return undefined
  }

  /** `EndFrame` (or `StopTaskFrame`) at the head of the intake: it goes when all else has arrived, both ways. */
  private endWhenQuiet(frame: Frame.Frame): Work {
    const intake = this.top.down.entry as PortLane
    if (frame._tag === "EndFrame") { for (const node of this.nodes) node.stopSource() }
    if (this.active === 0) return this.top.down.emit(frame, intake, intake)
    intake.putBack(frame)
    this.onQuiet = () => intake.resume()
    return undefined
  }

  carries(frame: Frame.Frame): boolean {
    return this.carried.has(frame)
  }

  dropped(node: Node, frame: Frame.Frame, reason: DropReason): void {
    if (!isMark(frame)) this.owner.dropped(node.name, frame, reason)
  }

  report(processor: Node | string, cause: Cause.Cause<unknown>, fatal: boolean, unusable = false): void {
    const name = typeof processor === "string" ? processor : processor.name
    if (typeof processor !== "string") {
      if (fatal || unusable) processor.lost = cause
      if (processor.guardian?.failed(processor, cause, fatal, fatal || unusable) === true) return
    }
    const frame = Frame.ErrorFrame.make({ error: Cause.squash(cause), fatal, processor: name })
    this.reported.add(frame)
    this.owner.failed(frame, cause)
    this.sendSystem(typeof processor === "string" ? this.bottom.up : processor.up, frame)
  }

  /** A failure that a switcher has dealt with: it is counted and told, but not to processors. */
  absorbed(node: Node, cause: Cause.Cause<unknown>): void {
    this.owner.failed(Frame.ErrorFrame.make({ error: Cause.squash(cause), processor: node.name }), cause)
  }

  /** A set-up has failed: gives what is left of that when switchers have done what they can. */
  setUpHasFailed(node: Node, cause: Cause.Cause<unknown>): SetUpFailure | undefined {
    let failure: SetUpFailure | undefined = { node, cause }
    while (failure?.node.guardian !== undefined) {
      failure = failure.node.guardian.setUpHasFailed(failure.node, failure.cause)
    }
    return failure
  }

  /** Makes the work of a handler part of the span of now. */
  traced<A>(work: Effect.Effect<A>): Effect.Effect<A> {
    const span = this.tracing?.current
    if (span === undefined) return work
    // Handlers that are run inline by another are in it already.
    return Effect.withFiber((fiber) => fiber.cache.span === span ? work : Effect.withParentSpan(work, span))
  }

  // ---------------------------------------------------------------------------------------------- lifecycle

  /** Tells every processor, one after the other, in the pipeline's order. */
  notifyAll(frame: Frame.Frame, told: (node: Node) => void = () => {}): Effect.Effect<void> {
    this.carried.add(frame)
    let i = 0
    /** What the next processor that takes time has to do. */
    const next = (): Effect.Effect<unknown> | undefined => {
      while (i < this.nodes.length) {
        const node = this.nodes[i++]!
        const work = node.notify(frame)
        if (work !== undefined) return Effect.map(work, () => told(node))
        told(node)
      }
      return undefined
    }
    return Effect.suspend(() => inSequence(next))
  }

  /** `StartFrame` is through: `first`, then what was pushed and queued meanwhile flows. */
  release(first: Frame.Frame | undefined): void {
    this.held = false
    if (first !== undefined) this.sendSystem(this.top.down, first)
    const back = this.heldBack
    this.heldBack = []
    for (const [from, frame] of back) this.sendSystem(from, frame)
    this.control.resume()
    // What was pushed meanwhile goes before what is queued: the intake is the first of the lanes.
    for (const lane of [...this.lanes].toReversed()) lane.resume()
  }

  /** A stopped task leaves its processors alive: nothing flows until the next one releases them. */
  hold(): void {
    this.held = true
    this.control.pause()
    for (const lane of this.lanes) lane.pause()
  }

  /**
   * Barge-in. Everything interruptible that was pushed before this instant is dropped, wherever it waits, and the
   * handlers that work on it are interrupted; then every processor is told once, from `origin` (or the top) on.
   * What is pushed from now on is new: it waits until those who are to see it have been told.
   */
  interrupt(frame: Frame.Frame, origin: Node | undefined, asker: Lane<any> | undefined): Work {
    this.owner.interrupted(frame)
    return this.allowInterruptions ? this.tell(frame, origin, asker, true) : this.tell(frame, origin, asker, false)
  }

  tell(frame: Frame.Frame, origin?: Node, asker?: Lane<any>, cut = false): Work {
    const lanes = new Set<PortLane>()
    const id = ++this.interruptionCount
    const interruption: Interruption = { id, frame, origin, asker, lanes, passed: Latch.makeUnsafe(false) }
    this.carried.add(frame)
    if (origin !== undefined) origin.seen = id
    const letGo: Array<() => void> = []
    if (cut) {
      const unfinished = this.nodes.flatMap(({ down, up }) => [down, up]).filter((port) => port.isUnfinished)
      for (const lane of this.lanes) {
        lanes.add(lane)
        const ports = unfinished.filter((port) => port.worker === lane)
        letGo.push(lane.cut(lane === asker, (killed) => ports.flatMap((port) => port.pusher.cut(killed))))
      }
      for (const fan of this.fans) fan.cut((frame) => this.dropped(fan.join.node, frame, "interrupted"))
    }
    this.interruptions.add(interruption)
    for (const go of letGo) go()
    if (cut) this.owner.cutStreams()
    this.control.offerNow(interruption)
    // A hook that is told of an interruption and asks for another does not wait for itself.
    return this.interruptions.has(interruption) && asker !== this.control ? interruption.passed.await : undefined
  }

  private spread(interruption: Interruption): Work {
    const { asker, frame, id, lanes, origin } = interruption
    const at = origin === undefined ? -1 : origin === this.bottom ? this.nodes.length : this.nodes.indexOf(origin)
    const below = this.nodes.slice(at + 1)
    const order = [...below, ...this.nodes.slice(0, Math.max(at, 0)).reverse()]
    const letGo = (node: Node): void => {
      node.seen = Math.max(node.seen, id)
      for (const lane of [node.down.lane, node.up.lane]) {
        if (lane === undefined || !lanes.has(lane)) continue
        // Only the ends of a lane can be the last of it to be told: no need to look in between.
        const { ports } = lane
        if (node !== ports[0]!.node && node !== ports[ports.length - 1]!.node) continue
        if (!ports.every((port) => port.node.definition === undefined || port.node.seen >= id)) continue
        lanes.delete(lane)
        lane.resume()
      }
    }
    let next = 0
    let told: Node | undefined = undefined
    const walk = (): Work => {
      for (;;) {
        if (told !== undefined) letGo(told)
        told = undefined
        const node = order[next]
        if (node === undefined) break
        for (const lane of [node.down.lane, node.up.lane]) {
          if (lane !== undefined && lane !== asker && lanes.has(lane) && !lane.still) return lane.stillness
        }
        told = node
        this.tap?.told(node)
        const work = node.notify(frame, next++ < below.length ? "downstream" : "upstream")
        if (work !== undefined) return work
      }
      this.interruptions.delete(interruption)
      for (const lane of lanes) lane.resume()
      if (origin !== this.bottom) this.owner.output.offer(frame, true)
      if (origin !== undefined) this.owner.upstream.offer(frame, true)
      interruption.passed.openUnsafe()
      return undefined
    }
    const first = walk()
    return first === undefined ? undefined : Effect.flatMap(first, () => inSequence(walk))
  }

  /** Nothing runs and nothing is taken any more, for ever; completes when the last handler has unwound. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    const lanes: Array<Lane<any>> = [...this.lanes, ...this.systemLanes, this.control]
    this.closed = true
    for (const lane of lanes) lane.close()
    for (const [from, frame] of this.heldBack.splice(0)) this.dropped(from.node, frame, "cancelled")
    return Effect.forEach(lanes, (lane) => lane.stillness, { discard: true })
  })
}

/** Runs what `next` gives until that is nothing. */
export const inSequence = (next: () => Work): Effect.Effect<void> => {
  let work: Work = next()
  if (work === undefined) return Effect.void
  return Effect.whileLoop({
    while: () => work !== undefined,
    body: () => work!,
    step: () => {
      work = next()
    }
  })
}

/** The two ends of something wired, in each direction. */
interface Wired {
  readonly down: { readonly first: Port; readonly last: Port }
  readonly up: { readonly first: Port; readonly last: Port }
}

const takesTime = (plans: ReadonlyArray<Plan>): boolean => {
  for (const plan of plans) {
    if (plan.mode !== undefined) continue
    if (plan.definition.queued !== undefined) return false
    if (plan.definition.kind === "effect") return true
  }
  return false
}

/** The ports that whoever enters at `first` drives: up to the next queues. */
const reach = (first: Port): Array<Port> => {
  const ports: Array<Port> = []
  const walk = (port: Port): void => {
    for (; port.entry === undefined || port === first; port = port.next) {
      ports.push(port)
      if (port.next === undefined) return
    }
    spread(port.entry)
  }
  const spread = (entry: Entry | undefined): void => {
    if (!(entry instanceof Fan)) return
    for (const next of [...entry.firsts, entry.join]) {
      if (next.entry === undefined) walk(next)
      else spread(next.entry)
    }
  }
  walk(first)
  return ports
}

/** Promoted downstream edges push back; upstream ones do not wait, else two directions could wait for each other. */
const promoted = (port: Port): Mailbox => port.direction === "downstream" ? bounded : unbounded

const bounded: Mailbox = { capacity: 1024, strategy: "suspend" }
