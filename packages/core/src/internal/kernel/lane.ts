import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"

/** What happens to a frame that finds its mailbox full. */
export type Strategy = "suspend" | "dropping" | "sliding"

/** What a lane needs of the pipeline it works for. */
export interface Host {
  readonly services: Context.Context<never>
  /** Asks for `lane.run()` soon, on a fresh stack. */
  readonly schedule: (lane: Lane<any>) => void
  /** A lane has begun (+1) or has nothing left to do (-1). */
  readonly busy: (change: 1 | -1) => void
  /** The lane's fiber was cut; none of its handlers runs any more. */
  readonly killed: (lane: Lane<any>) => void
  readonly defect: (lane: Lane<any>, exit: Exit.Failure<unknown, unknown>) => void
}

/** A frame on its way from inside a lane: what a cut handler had still to push. */
export interface Rest<A> {
  readonly item: A
  readonly enter: () => Effect.Effect<unknown> | undefined
}

export interface Mailbox {
  readonly capacity: number
  readonly strategy: Strategy
}

export const unbounded: Mailbox = { capacity: Infinity, strategy: "suspend" }

interface Waiter<A> {
  readonly item: A
  settled: boolean
  resume: (() => void) | undefined
}

/**
 * The lane whose code is on the stack: how a synchronous push knows whether it is made by the lane that drives
 * the processor (then it is a plain call) or by anybody else (then it goes through a mailbox).
 */
export const running: { lane: Lane<any> | undefined } = { lane: undefined }

/** The lane that a fiber, or the fiber that forked it, works for. */
export const CurrentLane = Context.Reference<Lane<any> | undefined>("~apipeline/CurrentLane", {
  defaultValue: () => undefined
})

/** Nothing waits, in any lane: never pushed to. */
const none: Array<never> = []

/** Frames walked before a lane lets others have their turn. */
const turn = 1024

/**
 * A mailbox and what drains it. While every item is handled synchronously a lane is a plain loop; the first
 * handler that returns an `Effect` gets it a fiber, which lives until the mailbox is empty. An idle lane costs
 * neither fiber nor timer.
 */
export abstract class Lane<A> {
  /** The mailbox: `items[head..]` are waiting, in order. */
  private items: Array<A | undefined> = []
  private head = 0
  private waiters: Array<Waiter<A>> = none
  /** Kept by an interruption; goes before `items`, each entering where it was. */
  private salvaged: Array<Rest<A>> = none
  /** > 0 while an interruption or the start holds the lane: nothing new is taken. */
  private pauses = 0
  /** From the first item until there is nothing left to do. */
  private active = false
  /** Active, but held by `pauses`: no code of this lane runs. */
  private parked = false
  private closed = false
  private stepping = false
  /** Cut while its handler was on the stack: the Effect that the handler returns is not run. */
  private doomed = false
  /** What the handler at work got, when that is no longer at `items[head - 1]`. */
  private lifted: A | undefined = undefined
  private working = false
  /** Uninterruptible frames being pushed further inside the current handler. */
  private guards = 0
  private onStill: Array<() => void> = none
  private context: Context.Context<never> | undefined = undefined
  /** The fiber that runs this lane's handlers, when one is needed. */
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  /** A fiber that an interruption has cut and that is still unwinding. */
  dying: Fiber.Fiber<unknown, unknown> | undefined = undefined
  dropped = 0
  highWater = 0

  readonly name: string
  private readonly host: Host
  private readonly mailbox: Mailbox

  constructor(name: string, host: Host, mailbox: Mailbox) {
    this.name = name
    this.host = host
    this.mailbox = mailbox
  }

  protected abstract process(item: A): Effect.Effect<unknown> | undefined

  protected drop(_item: A, _reason: "full" | "interrupted" | "cancelled"): void {}

  /** May an interruption take it out? */
  isInterruptible(_item: A): boolean {
    return false
  }

  /** Does an interruption leave it where it waits? */
  protected isKept(item: A): boolean {
    return !this.isInterruptible(item)
  }

  /** May a full `dropping` or `sliding` mailbox throw it away? */
  protected isDroppable(_item: A): boolean {
    return false
  }

  get size(): number {
    return this.items.length - this.head
  }

  get hasRoom(): boolean {
    return this.size < this.mailbox.capacity && this.waiters.length === 0
  }

  /** Does any code of this lane run, or is it about to? */
  get moving(): boolean {
    return this.active && !this.parked
  }

  get held(): boolean {
    return this.pauses > 0
  }

  /**
   * Puts an item in. `undefined` when it is in (or was dropped by strategy); else an Effect that waits for room.
   * The item has its place in the order from this call on, whether or not the Effect is run.
   */
  offer(item: A, force = false): Effect.Effect<void> | undefined {
    if (this.accept(item)) return undefined
    if (this.closed) this.drop(item, "cancelled")
    else if (!force) return this.offerFull(item)
    // Who does not wait for room overtakes nobody who does.
    else if (this.waiters.length > 0) this.wait({ item, settled: false, resume: undefined })
    else {
      this.items.push(item)
      this.highWater = Math.max(this.highWater, this.size)
      if (!this.active) this.wake()
    }
    return undefined
  }

  /** `offer`, when there is room; `false`: nothing has been done. */
  accept(item: A): boolean {
    const size = this.items.length - this.head
    if (size >= this.mailbox.capacity || this.waiters.length > 0 || this.closed) return false
    this.items.push(item)
    if (size >= this.highWater) this.highWater = size + 1
    if (!this.active) this.wake()
    return true
  }

  /** `offer`, then run at once if the lane is idle: for what must not wait for anybody. */
  offerNow(item: A): void {
    const idle = !this.active && this.pauses === 0 && !this.closed
    if (idle) {
      this.active = true
      this.host.busy(1)
    }
    this.offer(item, true)
    if (idle) this.run()
  }

  private offerFull(item: A): Effect.Effect<void> | undefined {
    const { strategy } = this.mailbox
    if (strategy === "suspend") {
      const waiter: Waiter<A> = { item, settled: false, resume: undefined }
      this.wait(waiter)
      return Effect.callback<void>((resume) => {
        if (waiter.settled) return resume(Effect.void)
        waiter.resume = () => resume(Effect.void)
        return Effect.sync(() => this.withdraw(waiter))
      })
    }
    if (!this.isDroppable(item)) this.items.push(item)
    else {
      let oldest = strategy === "sliding" ? this.head : this.items.length
      while (oldest < this.items.length && !this.isDroppable(this.items[oldest]!)) oldest++
      this.dropped++
      if (oldest === this.items.length) this.drop(item, "full")
      else {
        this.drop(this.items.splice(oldest, 1)[0]!, "full")
        this.items.push(item)
      }
    }
    if (!this.active) this.wake()
    return undefined
  }

  private wait(waiter: Waiter<A>): void {
    if (this.waiters.length === 0) this.waiters = []
    this.waiters.push(waiter)
  }

  /** The pusher gave up waiting; what is uninterruptible stays in line without it. */
  private withdraw(waiter: Waiter<A>): void {
    waiter.resume = undefined
    if (waiter.settled || !this.isInterruptible(waiter.item)) return
    waiter.settled = true
    this.drop(waiter.item, "interrupted")
    const index = this.waiters.indexOf(waiter)
    if (index >= 0) this.waiters.splice(index, 1)
  }

  private admit(): void {
    while (this.waiters.length > 0 && this.size < this.mailbox.capacity) {
      // one by one: let in all together before the first goes on, they lose their order (see the mutations)
      const waiter = this.waiters.shift()!
      this.items.push(waiter.item)
      settle(waiter)
    }
  }

  private wake(): void {
    this.active = true
    this.host.busy(1)
    if (this.pauses > 0) this.parked = true
    else this.host.schedule(this)
  }

  /** Called by the host's scheduler. */
  run(): void {
    if (this.closed || this.parked || this.fiber !== undefined) return
    const effect = this.advance()
    if (effect === undefined) this.settle()
    else if (effect === Effect.yieldNow) this.host.schedule(this)
    else this.fork(effect)
  }

  private advance(): Effect.Effect<unknown> | undefined {
    const effect = this.step()
    if (this.doomed) {
      // What was begun on the stack of whoever interrupts has not run: its frame counts as one that waited.
      if (effect !== undefined && this.current !== undefined) this.drop(this.current, "interrupted")
      this.kill()
    }
    return this.doomed || this.closed ? undefined : effect
  }

  /**
   * Walks the mailbox until a handler has effectful work (returned, to be run by this lane's fiber) or nothing
   * may be taken any more (`undefined`).
   */
  private step(): Effect.Effect<unknown> | undefined {
    const before = running.lane
    running.lane = this
    this.stepping = true
    try {
      for (let left = turn; this.pauses === 0; left--) {
        if (left === 0) return Effect.yieldNow
        if (this.salvaged.length > 0) {
          const { enter, item } = this.salvaged.pop()!
          this.lifted = item
          this.working = true
          const effect = enter()
          if (effect !== undefined) return effect
          this.lifted = undefined
          continue
        }
        if (this.head > 0) this.items[this.head - 1] = undefined
        if (this.head === this.items.length) {
          this.items.length = 0
          this.head = 0
          this.working = false
          if (this.waiters.length === 0) return undefined
          this.admit()
          continue
        }
        if (this.head === 2 * turn) {
          this.items.splice(0, this.head)
          this.head = 0
        }
        this.lifted = undefined
        this.working = true
        const effect = this.process(this.items[this.head++]!)
        if (this.waiters.length > 0 && this.size <= this.mailbox.capacity >> 1) this.admit()
        if (effect !== undefined) return effect
      }
      return undefined
    } finally {
      running.lane = before
      this.stepping = false
    }
  }

  private fork(first: Effect.Effect<unknown>): void {
    let next: Effect.Effect<unknown> | undefined = first
    const loop = Effect.whileLoop({
      while: () => next !== undefined,
      body: () => next!,
      step: () => {
        next = this.fiber === undefined ? undefined : this.advance()
        if (next === undefined && this.fiber !== undefined) this.settle()
      }
    })
    this.context ??= Context.add(this.host.services, CurrentLane, this)
    const fiber = Effect.runForkWith(this.context)(Effect.withFiber((fiber) => {
      this.fiber = fiber
      return loop
    }))
    fiber.addObserver((exit) => this.fiberEnded(fiber, exit))
  }

  private fiberEnded(fiber: Fiber.Fiber<unknown, unknown>, exit: Exit.Exit<unknown, unknown>): void {
    if (this.dying === fiber) {
      this.dying = undefined
      this.kill()
    } else if (this.fiber === fiber) this.fiber = undefined
    else return
    if (Exit.isFailure(exit) && !Exit.hasInterrupts(exit)) this.host.defect(this, exit)
    // Interrupted by a cut, or by the handler itself: what is left in the mailbox goes on.
    this.settle()
  }

  private kill(): void {
    this.guards = 0
    this.host.killed(this)
  }

  /** No code of this lane runs now: decide between idle, held and "there is more". */
  private settle(): void {
    this.fiber = undefined
    this.lifted = undefined
    this.working = false
    this.doomed = false
    if (this.closed) {
      if (this.active) {
        this.active = false
        this.host.busy(-1)
      }
    } else if (this.size === 0 && this.waiters.length === 0 && this.salvaged.length === 0) {
      this.parked = false
      if (this.active) {
        this.active = false
        this.host.busy(-1)
      }
    } else if (this.pauses > 0) this.parked = true
    else this.host.schedule(this)
    if (!this.moving && this.onStill.length > 0) {
      const listeners = this.onStill
      this.onStill = none
      for (const listener of listeners) listener()
    }
  }

  /** No code of this lane runs, and none will before it takes the next item. */
  get still(): boolean {
    return !this.moving && this.dying === undefined
  }

  /** Waits until the lane is still (an interruption, or the end of all, holds it meanwhile). */
  get stillness(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.still ? Effect.void : Effect.callback<void>((resume) => {
        const listener = () => resume(this.stillness)
        this.onStill = [...this.onStill, listener]
        return Effect.sync(() => {
          this.onStill = this.onStill.filter((other) => other !== listener)
        })
      })
    )
  }

  private get current(): A | undefined {
    return this.working ? this.lifted ?? this.items[this.head - 1] : undefined
  }

  /** Is the handler that runs now one that an interruption must let finish? */
  private get guarded(): boolean {
    return this.guards > 0 || (this.current !== undefined && !this.isInterruptible(this.current))
  }

  /** Runs `effect` so that an interruption waits for it instead of cutting it. */
  guard<B>(effect: Effect.Effect<B>): Effect.Effect<B> {
    return Effect.suspend(() => {
      this.guards++
      return Effect.onExit(effect, () => {
        if (this.guards > 0) this.guards--
        return Effect.void
      })
    })
  }

  /**
   * The interruption's cut, at one instant: everything interruptible that was pushed before now is gone, the
   * handler that runs is interrupted (unless it asked for the interruption, or its frame is uninterruptible), and
   * nothing is taken until `resume`. `rest` tells what the processors of this lane had still to push. What is given
   * back lets others run, so it is for when all lanes have been cut.
   */
  cut(asks: boolean, rest: (killed: boolean) => ReadonlyArray<Rest<A>>): () => void {
    this.lifted = this.current
    const kept: Array<A | undefined> = []
    for (let i = this.head; i < this.items.length; i++) {
      const item = this.items[i]!
      if (this.isKept(item)) kept.push(item)
      else this.drop(item, "interrupted")
    }
    const waiters = this.waiters
    this.waiters = none
    for (const waiter of waiters) {
      waiter.settled = true
      if (this.isKept(waiter.item)) kept.push(waiter.item)
      else this.drop(waiter.item, "interrupted")
    }
    this.items = kept
    this.head = 0
    this.pause()
    const killed = !asks && !this.guarded
    const left = rest(killed)
    if (killed && left.length > 0) this.salvaged = [...left.toReversed(), ...this.salvaged]
    const cut = killed && !this.stepping ? this.fiber : undefined
    if (killed && this.stepping) this.doomed = true
    else if (cut !== undefined) {
      this.fiber = undefined
      this.dying = cut
    }
    return () => {
      cut?.interruptUnsafe()
      for (const waiter of waiters) waiter.resume?.()
    }
  }

  pause(): void {
    this.pauses++
  }

  resume(): void {
    if (--this.pauses > 0 || !this.parked) return
    this.parked = false
    this.host.schedule(this)
  }

  /** Gives all that waits, in order. `release`: whoever waited for room goes on, at once. */
  takeBack(): { readonly waiting: Array<A>; readonly release: () => void } {
    const waiters = this.waiters
    this.waiters = none
    for (const waiter of waiters) waiter.settled = true
    this.lifted = this.current
    const waiting = [...this.items.slice(this.head) as Array<A>, ...waiters.map((waiter) => waiter.item)]
    this.items = []
    this.head = 0
    return { waiting, release: () => waiters.forEach(settle) }
  }

  /** Puts an item back where it was taken from and takes nothing more until `resume`. */
  putBack(item: A): void {
    this.items.splice(this.head, 0, item)
    this.pause()
  }

  /** For ever: drops what is left and interrupts what runs. `still` tells when it has. */
  close(): void {
    if (this.closed) return
    this.closed = true
    this.lifted = this.current
    for (let i = this.head; i < this.items.length; i++) this.drop(this.items[i]!, "cancelled")
    this.items = []
    this.head = 0
    this.salvaged = none
    const waiters = this.waiters
    this.waiters = none
    for (const waiter of waiters) {
      this.drop(waiter.item, "cancelled")
      settle(waiter)
    }
    if (this.fiber !== undefined) {
      this.dying = this.fiber
      this.fiber = undefined
      this.dying.interruptUnsafe()
    } else if (this.dying === undefined && running.lane !== this) this.settle()
  }
}

const settle = (waiter: Waiter<unknown>): void => {
  waiter.settled = true
  waiter.resume?.()
}
