import * as Effect from "effect/Effect"
import type * as Frame from "../../Frame.ts"
import { inLane, type Work } from "./handler.ts"
import { running } from "./lane.ts"
import type { Entry, Port } from "./port.ts"

/** How the branches' outputs become one again. */
export type FanMode =
  /** As they come; a frame that comes out of several branches, once. */
  | "parallel"
  /** As they come, all of them. */
  | "merge"
  /** The second branch's when the first has ended. */
  | "sequential"
  /** Those of one input together, in the branches' order. */
  | "sync-branch"
  /** Those of one input together, as they came. */
  | "sync-arrival"
  /** Those of the one branch that frames go into. */
  | "switch"

/** Follows an input through a branch of a fan that is in step: all that it caused has then arrived. */
export class Mark {
  readonly _tag = "~mark"
  readonly kind = "~mark"
  readonly uninterruptible: boolean
  readonly fan: Fan
  constructor(fan: Fan, uninterruptible: boolean) {
    this.fan = fan
    this.uninterruptible = uninterruptible
  }
}

class BatchMark extends Mark {
  readonly batch: Batch
  constructor(fan: Fan, batch: Batch) {
    super(fan, batch.uninterruptible)
    this.batch = batch
  }
}

interface Held {
  readonly arm: number
  /** The how-manieth arrival. */
  readonly at: number
  readonly frame: Frame.Frame
}

interface Batch {
  readonly uninterruptible: boolean
  readonly outputs: Array<Held>
  /** Branches that are not done with the input. */
  readonly missing: Set<number>
}

/** One direction of a set of branches side by side: where frames fan out, and where they come together again. */
export class Fan implements Entry {
  readonly mode: FanMode
  /** The first port of every branch. */
  readonly firsts: ReadonlyArray<Port>
  /** Where the branches end. */
  readonly join: Port
  readonly arms: ReadonlyArray<Arm>
  private readonly synced: boolean
  /** How often a frame has come in, has gone on, and has left each branch; kept as long as the frame lives somewhere. */
  private counts = new WeakMap<Frame.Frame, { entered: number; out: number; readonly left: Array<number> }>()
  private readonly ended = new Set<number>()
  /** Outputs that wait for their batch, or for their branch's turn. */
  private readonly held: Array<Array<Held>>
  private arrivals = 0
  private batches: Array<Batch> = []
  private turn = 0
  /** What branches have let out behind a mark of a fan around this one that others have still to pass. */
  private readonly ahead: Array<Array<Frame.Frame>>

  constructor(mode: FanMode, firsts: ReadonlyArray<Port>, join: Port) {
    this.mode = mode
    this.firsts = firsts
    this.join = join
    this.synced = mode === "sync-arrival" || mode === "sync-branch"
    this.held = firsts.map(() => [])
    this.ahead = firsts.map(() => [])
    this.arms = firsts.map((_, index) => new Arm(this, index))
  }

  offer(frame: Frame.Frame, force: boolean): Work {
    this.enters(frame)
    if (!this.synced || isEnd(frame)) return all(this.firsts.map((first) => enter(first, frame, force)))
    const missing = new Set(this.firsts.keys())
    const batch: Batch = { uninterruptible: frame.uninterruptible === true, outputs: [], missing }
    this.batches.push(batch)
    // The mark travels like any frame, and no handler ever sees it.
    // It passes for a frame only inside the kernel: mailboxes and ports look at its kind alone.
    const mark = new BatchMark(this, batch) as unknown as Frame.Frame
    const lane = running.lane
    const works = this.firsts.map((first) => {
      const work = enter(first, frame, force)
      // One mark for one frame: the frame has waited for room, the mark need not.
      if (work === undefined) return enter(first, mark, true)
      return Effect.flatMap(work, () => inLane(lane, () => enter(first, mark, true)))
    })
    return all(works)
  }

  /** Where a system frame goes. */
  into(_frame: Frame.Frame): ReadonlyArray<Port> {
    return this.firsts
  }

  /** A frame comes out of a branch. */
  arrive(index: number, frame: Frame.Frame, force: boolean): Work {
    if (isEnd(frame)) return this.arriveEnd(index, frame, force)
    if (isMark(frame)) {
      const mark = frame as unknown as BatchMark
      if (mark.fan === this) return this.arriveMark(index, mark.batch, force)
    }
    if (!this.synced && (isMark(frame) || this.ahead[index]!.length > 0)) {
      this.ahead[index]!.push(frame)
      return this.passMarks(force)
    }
    return this.take(index, frame, force)
  }

  private take(index: number, frame: Frame.Frame, force: boolean): Work {
    if (this.mode === "parallel") return this.first(index, frame) ? this.out(frame, force) : undefined
    if (this.mode === "merge" || (this.mode === "sequential" && index === this.turn)) return this.out(frame, force)
    const held: Held = { arm: index, at: this.arrivals++, frame }
    if (this.mode === "sequential" || this.batches.some((batch) => batch.missing.has(index))) {
      this.held[index]!.push(held)
    } // Pushed by itself, not because of an input: it waits for nobody, but overtakes nothing.
    else if (this.batches.length > 0) this.batches[this.batches.length - 1]!.outputs.push(held)
    else if (this.first(index, frame)) return this.out(frame, force)
    return undefined
  }

  protected out(frame: Frame.Frame, force: boolean): Work {
    if (this.join.entry !== undefined) return this.join.entry.offer(frame, force)
    return this.join.emit(frame, running.lane, running.lane)
  }

  /** Is this the first branch out of which the frame comes (for the n-th time)? */
  first(index: number, frame: Frame.Frame): boolean {
    const count = this.countOf(frame)
    // What came in goes on as often as it came in; what was made inside, as often as one branch has let it out.
    const most = Math.max(...count.left)
    const goesOn = count.entered > 0 ? count.out < count.entered : most === count.left[index]
    count.left[index]!++
    if (goesOn) count.out++
    return goesOn
  }

  /** A frame is about to go into the branches. */
  enters(frame: Frame.Frame): void {
    this.countOf(frame).entered++
  }

  private countOf(frame: Frame.Frame) {
    let count = this.counts.get(frame)
    if (count === undefined) this.counts.set(frame, count = { entered: 0, out: 0, left: this.firsts.map(() => 0) })
    return count
  }

  private arriveMark(index: number, batch: Batch, force: boolean): Work {
    // spread, a branch that has pushed 100,000 frames would need too much stack
    for (const held of this.held[index]!.splice(0)) batch.outputs.push(held)
    batch.missing.delete(index)
    const works: Array<Work> = []
    while (this.batches[0]?.missing.size === 0) {
      for (const work of this.release(this.batches.shift()!, force)) works.push(work)
    }
    return all(works)
  }

  /** The mark of a fan around this one goes on when every branch has passed it, and only then what is behind it. */
  private passMarks(force: boolean): Work {
    const works: Array<Work> = []
    for (;;) {
      for (const [index, frames] of this.ahead.entries()) {
        while (frames.length > 0 && !isMark(frames[0]!)) works.push(this.take(index, frames.shift()!, force))
      }
      if (this.ahead.some((frames) => frames.length === 0)) return all(works)
      const [mark] = this.ahead.map((frames) => frames.shift()!)
      works.push(this.out(mark!, force))
    }
  }

  private release(batch: Batch, force: boolean): Array<Work> {
    const byBranch = this.mode === "sync-branch"
    batch.outputs.sort((a, b) => byBranch ? a.arm - b.arm : a.at - b.at)
    return batch.outputs.map(({ arm, frame }) => this.first(arm, frame) ? this.out(frame, force) : undefined)
  }

  private arriveEnd(index: number, frame: Frame.Frame, force: boolean): Work {
    this.ended.add(index)
    const works: Array<Work> = []
    if (this.synced) {
      for (const { frame } of this.held[index]!.splice(0)) {
        if (this.first(index, frame)) works.push(this.out(frame, force))
      }
    }
    while (this.mode === "sequential" && this.ended.has(this.turn)) {
      this.turn++
      for (const held of this.held[this.turn]?.splice(0) ?? []) works.push(this.out(held.frame, force))
    }
    if (this.ended.size === this.firsts.length) {
      this.ended.clear()
      this.turn = 0
      works.push(this.out(frame, force))
    }
    return all(works)
  }

  /** An interruption discards what is held; what is uninterruptible goes on, in the order of the branches. */
  cut(dropped: (frame: Frame.Frame) => void): void {
    const keep = ({ frame }: Held): boolean => {
      if (frame.uninterruptible) return true
      dropped(frame)
      return false
    }
    for (const [index, frames] of this.ahead.entries()) {
      this.ahead[index] = frames.filter((frame) => frame.uninterruptible || void dropped(frame))
    }
    this.passMarks(true)
    this.held.forEach((frames, index) => this.held[index] = frames.filter(keep))
    const batches = this.batches
    this.batches = batches.filter((batch) => batch.uninterruptible)
    for (const batch of batches) {
      for (const held of batch.outputs.splice(0).filter(keep)) {
        if (batch.uninterruptible) batch.outputs.push(held)
        else if (this.first(held.arm, held.frame)) this.out(held.frame, true)
      }
    }
  }
}

/** Where one branch ends. */
export class Arm implements Entry {
  readonly fan: Fan
  readonly index: number
  constructor(fan: Fan, index: number) {
    this.fan = fan
    this.index = index
  }

  offer(frame: Frame.Frame, force: boolean): Work {
    return this.fan.arrive(this.index, frame, force)
  }
}

/** Is this no frame at all, but the kernel's? */
export const isMark = (frame: Frame.Frame): boolean => (frame as unknown) instanceof Mark

export const isEnd = (frame: Frame.Frame): boolean => frame._tag === "EndFrame" || frame._tag === "StopTaskFrame"

/** Into a branch: a plain call for the lane that drives it, else through a mailbox. */
export const enter = (first: Port, frame: Frame.Frame, force: boolean): Work => {
  if (first.entry !== undefined) return first.entry.offer(frame, force)
  if (running.lane !== undefined && running.lane === first.lane) return first.receive(frame)
  return first.node.kernel.promote(first).offer(frame, force)
}

export const all = (works: ReadonlyArray<Work>): Work => {
  let result: Work = undefined
  for (const work of works) {
    if (work !== undefined) result = result === undefined ? work : Effect.andThen(result, work)
  }
  return result
}
