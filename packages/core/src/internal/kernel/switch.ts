import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Frame from "../../Frame.ts"
import { all, enter, Fan, isEnd, isMark, Mark } from "./fan.ts"
import { inLane, type Work } from "./handler.ts"
import { running } from "./lane.ts"
import type { Definition, Guardian, Node, SetUpFailure } from "./node.ts"
import { type Port, PortLane } from "./port.ts"

/** What a strategy sees of a switcher. */
export interface State {
  readonly active: string
  readonly services: ReadonlyArray<{ readonly name: string; readonly usable: boolean }>
}

/** A service has failed. */
export interface Failure {
  readonly service: string
  readonly cause: Cause.Cause<unknown>
  readonly unusable: boolean
}

/** Names the service that is to be active. */
export interface Strategy {
  readonly onError?: ((failure: Failure, state: State) => string | undefined) | undefined
  readonly onRecovered?: ((service: string, state: State) => string | undefined) | undefined
  readonly onFrame?: ((frame: Frame.Frame, state: State) => string | undefined) | undefined
}

/** Another service has become active. */
export interface Switched {
  readonly switcher: string
  readonly from: string
  readonly to: string
  readonly reason: "manual" | "frame" | "error" | "recovered"
}

/** What a frame means to a switcher: another service, or something for services that need not be active. */
export type Order =
  | { readonly order: "switch"; readonly service: string }
  | { readonly order: "give"; readonly service: string | undefined; readonly toAll: boolean }

/** Why a switcher complains, and the services that it is about. */
export type Complaint = (
  switcher: string,
  reason: "lost" | "noneLeft" | "refused",
  services: ReadonlyArray<{ readonly service: string; readonly cause: unknown }>
) => unknown

/** What describes a switcher. */
export interface Description {
  readonly name: string
  readonly names: ReadonlyArray<string>
  readonly strategy: () => Strategy
  readonly read: (frame: Frame.Frame) => Order | undefined
  /** Asks a service that becomes active to tell of itself. */
  readonly request: (service: string) => Frame.Frame
  readonly complaint: Complaint
  readonly onServiceSwitched: ((event: Switched) => Effect.Effect<unknown, unknown>) | undefined
  readonly onUsableChanged: ((usable: boolean) => Effect.Effect<unknown, unknown>) | undefined
}

/** What a switcher's description comes down to. */
export interface Switching extends Description {
  readonly definition: Definition
}

interface Service {
  readonly name: string
  /** Its processors; of a switcher inside, the node where frames enter it. */
  readonly nodes: ReadonlyArray<Node>
}

/** A switcher in a running pipeline: which service is active, and what becomes of the failures of all of them. */
export class Switch implements Guardian {
  active = 0
  readonly node: Node
  private readonly options: Switching
  private readonly strategy: Strategy
  private readonly services: ReadonlyArray<Service>
  /** The names of each service and of everything inside it. */
  private readonly inside: ReadonlyArray<ReadonlySet<string>>
  private readonly fans: Array<SwitchFan> = []
  private wasUsable = true
  private setUpFailed = false

  /** `node` is where frames enter; `branches` are the processors of each service. */
  constructor(node: Node, options: Switching, branches: ReadonlyArray<ReadonlyArray<Node>>) {
    this.node = node
    this.options = options
    this.strategy = options.strategy()
    const inside = branches.map((nodes) => nodes.filter((node) => node.definition !== undefined))
    this.inside = inside.map((nodes, index) =>
      new Set([options.names[index]!, ...nodes.flatMap(({ guardian, name }) => [name, ...names(guardian)])])
    )
    this.services = inside.map((nodes, index) => {
      const own = nodes.filter((node) => node.guardian === undefined)
      for (const node of own) node.guardian = this
      return { name: options.names[index]!, nodes: own }
    })
  }

  addFan(firsts: ReadonlyArray<Port>, join: Port): SwitchFan {
    const fan = new SwitchFan(this, firsts, join)
    this.fans.push(fan)
    return fan
  }

  get names(): ReadonlyArray<string> {
    return this.options.names
  }

  // ---------------------------------------------------------------------------------------------- frames

  /** The branches that a frame goes into. `fan`: where it has come, with whose lane. */
  route(frame: Frame.Frame, fan: SwitchFan | undefined): { readonly work: Work; readonly to: ReadonlyArray<number> } {
    const order = this.options.read(frame)
    if (order !== undefined) {
      const { service } = order
      const at = service === undefined ? -1 : this.inside.findIndex((names) => names.has(service))
      if (order.order === "switch" && at >= 0 && this.services[at]!.name === service) {
        return { work: this.change(at, "manual", fan) || undefined, to: [] }
      }
      if (at >= 0) return { work: undefined, to: [at] }
      const all = order.order === "give" && order.toAll && service === undefined
      return { work: undefined, to: all ? [...this.services.keys()] : [this.active] }
    }
    const next = this.ask((strategy) => strategy.onFrame?.(frame, this.state))
    const work = next === undefined ? undefined : this.change(next, "frame", fan) || undefined
    return { work, to: [this.active] }
  }

  /** Frames that need no look at: the way into the active branch is all there is to know. */
  get plain(): boolean {
    return this.strategy.onFrame === undefined
  }

  /** Is this for one service and no other, or for all of them? */
  isOrderFor(index: number, frame: Frame.Frame): boolean {
    const order = this.options.read(frame)
    if (order === undefined) return false
    return order.service === undefined
      ? order.order === "give" && order.toAll
      : this.inside[index]!.has(order.service)
  }

  private get state(): State {
    const services = this.services.map((service) => ({ name: service.name, usable: usable(service) }))
    return { active: this.services[this.active]!.name, services }
  }

  private ask(question: (strategy: Strategy) => string | undefined): number | undefined {
    try {
      const name = question(this.strategy)
      if (name === undefined) return undefined
      const index = this.services.findIndex((service) => service.name === name)
      if (index < 0) throw new TypeError(`the strategy of ${this.node.name} chose "${name}", which it does not have`)
      return index
    } catch (error) {
      this.node.failed(Cause.die(error))
      return undefined
    }
  }

  /** Makes a service the active one; `false` when it cannot be. `fan`: where the frame that asks for it has come. */
  private change(to: number, reason: Switched["reason"], fan?: SwitchFan, started = true): Work | false {
    const from = this.active
    if (to === from) return undefined
    if (!usable(this.services[to]!)) {
      if (reason === "manual") this.complain("refused", [this.services[to]!], false, false)
      return false
    }
    this.active = to
    const [before, now] = [this.services[from]!, this.services[to]!]
    const failed = !usable(before)
    const request = started ? this.options.request(now.name) : undefined
    const takes = failed || reason === "error"
    const inLane = takes ? undefined : fan
    const work = inLane?.handOver(from, to, inLane === this.fans[0] ? request : undefined)
    const release: Array<() => void> = []
    for (const other of this.fans) {
      if (other === inLane) continue
      aside(() => {
        other.handOver(from, to, other === this.fans[0] ? request : undefined)
        if (takes) release.push(other.takeBack(from, to))
        if (failed) other.giveUp(from)
      })
    }
    for (const goOn of release) goOn()
    const { onServiceSwitched } = this.options
    if (onServiceSwitched !== undefined) {
      const event = { switcher: this.node.name, from: before.name, to: now.name, reason }
      this.node.kernel.owner.call(() => onServiceSwitched(event))
    }
    return work
  }

  // ---------------------------------------------------------------------------------------------- failures

  private get usable(): boolean {
    return this.services.some(usable)
  }

  /** Tells of a change for better or worse. */
  private announce(): void {
    if (this.usable === this.wasUsable) return
    const now = this.wasUsable = this.usable
    const { onUsableChanged } = this.options
    if (onUsableChanged !== undefined) this.node.kernel.owner.call(() => onUsableChanged(now))
    if (now) this.node.recovered()
  }

  private indexOf(node: Node): number {
    return this.services.findIndex((service) => service.nodes.includes(node))
  }

  failed(node: Node, cause: Cause.Cause<unknown>, fatal: boolean, unusable: boolean): boolean {
    const index = this.indexOf(node)
    const service = this.services[index]!
    const { kernel } = this.node
    if (index !== this.active) {
      if (unusable) aside(() => this.fans.forEach((fan) => fan.giveUp(index)))
      else if (this.fans.some((fan) => fan.expects(index))) return this.outside(cause)
      if (this.usable) {
        kernel.absorbed(node, cause)
        return true
      }
    } else {
      const next = this.ask((strategy) => strategy.onError?.({ service: service.name, cause, unusable }, this.state))
      if (next !== undefined && next !== index && this.change(next, "error") !== false) {
        kernel.absorbed(node, cause)
        return true
      }
    }
    if (!unusable) return this.outside(cause)
    kernel.absorbed(node, cause)
    this.announce()
    if (this.usable) this.complain("lost", [service], false, false)
    else this.complain("noneLeft", this.services, fatal, true)
    return true
  }

  /** A failure that changes nothing here: is the switcher itself a service that is not in use? */
  private outside(cause: Cause.Cause<unknown>): boolean {
    return this.node.guardian?.failed(this.node, cause, false, false) ?? false
  }

  private complain(
    reason: "lost" | "noneLeft" | "refused",
    services: ReadonlyArray<Service>,
    fatal: boolean,
    unusable: boolean
  ): void {
    this.node.kernel.report(this.node, Cause.fail(this.complaint(reason, services)), fatal, unusable)
  }

  private complaint(reason: "lost" | "noneLeft" | "refused", services: ReadonlyArray<Service>): unknown {
    const lost = services.map(({ name, nodes }) => {
      const { lost } = nodes.find((node) => node.lost !== undefined)!
      return { service: name, cause: Cause.squash(lost!) }
    })
    return this.options.complaint(this.node.name, reason, lost)
  }

  /** All processors have been set up, some in vain, and nothing has been started yet. */
  setUpHasFailed(node: Node, cause: Cause.Cause<unknown>): SetUpFailure | undefined {
    const { kernel } = this.node
    kernel.absorbed(node, cause)
    const index = this.indexOf(node)
    const service = this.services[index]!
    if (!this.usable) {
      this.announce()
      if (this.setUpFailed) return undefined
      this.setUpFailed = true
      const cause = Cause.fail(this.complaint("noneLeft", this.services))
      this.node.lost = cause
      return { node: this.node, cause }
    }
    if (index !== this.active) return undefined
    const failure: Failure = { service: service.name, cause, unusable: true }
    const next = this.ask((strategy) => strategy.onError?.(failure, this.state))
    if (next === undefined || this.change(next, "error", undefined, false) === false) {
      this.complain("lost", [service], false, false)
    }
    return undefined
  }

  recovered(node: Node): void {
    this.announce()
    const index = this.indexOf(node)
    if (!usable(this.services[index]!)) return
    const { name } = this.services[index]!
    const next = this.ask((strategy) => strategy.onRecovered?.(name, this.state))
    if (next !== undefined) this.change(next, "recovered")
  }
}

const names = (guardian: Guardian | undefined): ReadonlyArray<string> =>
  guardian instanceof Switch ? guardian.names : []

const usable = (service: Service): boolean => service.nodes.every((node) => node.lost === undefined)

/** Pushes on nobody's behalf: over queues, and without waiting for room. */
const aside = (push: () => void): void => {
  inLane(undefined, () => {
    push()
    return undefined
  })
}

const follow = (work: Work, next: () => Work): Work => {
  const { lane } = running
  return work === undefined ? next() : Effect.flatMap(work, () => inLane(lane, next))
}

/** A time during which one service was active: it ends when all has come out of its branch that went in. */
interface Turn {
  readonly arm: number
  /** What the branch has let out before its turn. */
  readonly held: Array<Frame.Frame>
  /** It has come: outputs pass. */
  come: boolean
  /** Nobody waits for it any more: everything has come out, or its service has failed. */
  over: boolean
}

/** One direction of a switcher: frames go into the active branch, and come out in the order of the turns. */
export class SwitchFan extends Fan {
  private readonly control: Switch
  private readonly turns: Array<Turn>
  /** Turns of each branch whose end has not come out of it: the first is the one that its outputs belong to. */
  private readonly open: ReadonlyArray<Array<Turn>>
  /** Into which branch a system frame went. */
  private readonly entered = new WeakMap<Frame.Frame, number>()
  /** How often a frame was given to each branch while that was not active: it does not come out again. */
  private readonly requests = new WeakSet<Frame.Frame>()
  private readonly guests = new WeakMap<Frame.Frame, Array<number>>()

  constructor(control: Switch, firsts: ReadonlyArray<Port>, join: Port) {
    super("switch", firsts, join)
    this.control = control
    this.turns = [{ arm: 0, held: [], come: true, over: false }]
    this.open = firsts.map((_, index) => index === 0 ? [this.turns[0]!] : [])
  }

  override offer(frame: Frame.Frame, force: boolean): Work {
    if (isEnd(frame)) return super.offer(frame, force)
    const { control } = this
    const { tap } = this.join.node.kernel
    if (tap !== undefined && !isMark(frame)) tap.arrived(this.join, frame)
    if (isMark(frame) || (control.plain && (frame.kind ?? "data") === "data")) {
      return enter(this.firsts[control.active]!, frame, force)
    }
    const { to, work } = control.route(frame, this)
    return follow(work, () => all(to.map((index) => this.give(index, frame, force))))
  }

  private give(index: number, frame: Frame.Frame, force: boolean): Work {
    if (index !== this.control.active) this.countGuest(index, frame, 1)
    return enter(this.firsts[index]!, frame, force)
  }

  private countGuest(index: number, frame: Frame.Frame, change: 1 | -1): boolean {
    let counts = this.guests.get(frame)
    if (change === 1) {
      if (counts === undefined) this.guests.set(frame, counts = this.firsts.map(() => 0))
    } else if (counts === undefined || counts[index] === 0) return false
    counts[index]! += change
    return true
  }

  override into(frame: Frame.Frame): ReadonlyArray<Port> {
    const { to } = this.control.route(frame, undefined)
    return to.map((index) => {
      this.entered.set(frame, index)
      return this.firsts[index]!
    })
  }

  /** May a system frame come out of this branch? */
  override first(index: number, frame: Frame.Frame): boolean {
    const { kernel } = this.join.node
    if (this.expects(index) || this.entered.get(frame) === index || kernel.reported.has(frame)) return true
    kernel.dropped(this.join.node, frame, "inactive")
    return false
  }

  /** Is there anything still to come out of this branch? */
  expects(index: number): boolean {
    return this.open[index]!.length > 0
  }

  override arrive(index: number, frame: Frame.Frame, force: boolean): Work {
    if (isEnd(frame)) return super.arrive(index, frame, force)
    if (isMark(frame)) {
      if ((frame as unknown as Mark).fan === this) {
        this.open[index]!.shift()!.over = true
        return this.advance(force)
      }
    } else if (this.requests.has(frame) || this.countGuest(index, frame, -1)) return undefined
    const turn = this.open[index]![0]
    if (turn === undefined && !isMark(frame)) {
      this.join.node.kernel.dropped(this.join.node, frame, "inactive")
      return undefined
    }
    if (turn === undefined || turn.come) return this.out(frame, force)
    turn.held.push(frame)
    return undefined
  }

  /** Another service becomes active: what its branch lets out waits for all that is in the branch of the one before. */
  handOver(from: number, to: number, request: Frame.Frame | undefined): Work {
    const turn: Turn = { arm: to, held: [], come: false, over: false }
    this.turns.push(turn)
    this.open[to]!.push(turn)
    const work = enter(this.firsts[from]!, new Mark(this, true) as unknown as Frame.Frame, true)
    if (request === undefined) return work
    this.requests.add(request)
    return follow(work, () => enter(this.firsts[to]!, request, true))
  }

  /** The service before has failed: what waits at its door is for the next one. */
  takeBack(from: number, to: number): () => void {
    const { release, waiting } = this.door(from)
    for (const frame of waiting) enter(this.firsts[to]!, frame, true)
    return release
  }

  /** Takes out what waits in front of a branch and need not go into this one. */
  private door(index: number): ReturnType<PortLane["takeBack"]> {
    const { entry } = this.firsts[index]!
    const { release, waiting } = entry instanceof SwitchFan
      ? entry.door(entry.control.active)
      : entry instanceof PortLane
      ? entry.takeBack()
      : { release: () => {}, waiting: [] }
    return { release, waiting: waiting.filter((frame) => !this.stays(index, frame)) }
  }

  private stays(index: number, frame: Frame.Frame): boolean {
    const own = isMark(frame)
      ? (frame as unknown as Mark).fan === this
      : isEnd(frame) || this.control.isOrderFor(index, frame)
    if (!own && !this.requests.has(frame) && !((this.guests.get(frame)?.[index] ?? 0) > 0)) return false
    enter(this.firsts[index]!, frame, true)
    return true
  }

  /** A service has failed: nobody waits for what may still come out of its branch. */
  giveUp(index: number): void {
    for (const turn of this.open[index]!) turn.over = true
    this.advance(true)
  }

  private advance(force: boolean): Work {
    const works: Array<Work> = []
    while (this.turns.length > 1 && this.turns[0]!.over) {
      this.turns.shift()
      const turn = this.turns[0]!
      turn.come = true
      if (turn.held.length === 0) continue
      for (const frame of turn.held.splice(0)) works.push(this.out(frame, force))
    }
    return all(works)
  }

  override cut(dropped: (frame: Frame.Frame) => void): void {
    for (const { held } of this.turns) {
      const kept = held.filter((frame) => frame.uninterruptible || void dropped(frame))
      held.splice(0, held.length, ...kept)
    }
  }
}

/** The processor that stands for a switcher: where frames enter it, and who its complaints come from. */
export const definitionOf = (name: string): Definition => ({
  name,
  kind: "sync",
  behaviour: Effect.succeed({}),
  queued: undefined,
  upstream: { capacity: Infinity, strategy: "suspend" },
  onError: () => "fatal"
})
