import type * as Frame from "../../Frame.ts"
import { BotStartedSpeakingFrame, BotStoppedSpeakingFrame, UserStartedSpeakingFrame } from "../../VoiceFrames.ts"

/** A turn began or ended; times in milliseconds. */
export type TurnChange =
  | { readonly _tag: "Started"; readonly turn: number; readonly at: number }
  | {
    readonly _tag: "Ended"
    readonly turn: number
    readonly at: number
    readonly milliseconds: number
    /** The user barged in, or the task was cancelled or failed. */
    readonly interrupted: boolean
  }

/** The frames that turns are made of. */
export const turnFrames: ReadonlyArray<string> = [
  UserStartedSpeakingFrame.tag,
  BotStartedSpeakingFrame.tag,
  BotStoppedSpeakingFrame.tag
]

/** A frame moves from processor to processor, and is looked at once. Remembers the last `limit` of them. */
export class Once {
  private readonly ids = new Set<number>()
  private readonly limit: number

  constructor(limit = 256) {
    this.limit = limit
  }

  /** Was this frame not seen before? */
  first({ id }: Frame.Frame): boolean {
    if (this.ids.has(id)) return false
    this.ids.add(id)
    if (this.ids.size > this.limit) this.ids.delete(this.ids.values().next().value!)
    return true
  }
}

interface Turn {
  readonly number: number
  readonly since: number
  botSpoke: boolean
}

/** Who has the word: finds the turns in what users and bots say when, without a clock of its own. */
export class Turns {
  /** The turn is over unless somebody speaks before then. */
  deadline: number | undefined = undefined
  private turn: Turn | undefined = undefined
  private count = 0
  private botSpeaking = false
  private silentSince = 0
  private changes: Array<TurnChange> = []
  private readonly once = new Once()
  private readonly timeout: number

  constructor(timeout: number) {
    this.timeout = timeout
  }

  /** The task has started. */
  start(at: number): Array<TurnChange> {
    if (this.count === 0) this.open(at)
    return this.take()
  }

  push(frame: Frame.Frame, at: number): Array<TurnChange> {
    if (!turnFrames.includes(frame._tag) || !this.once.first(frame)) return []
    this.late(at)
    if (frame._tag === UserStartedSpeakingFrame.tag) {
      if (this.turn?.botSpoke === true) this.close(at, this.botSpeaking)
      this.botSpeaking = false
      if (this.turn === undefined) this.open(at)
    } else if (frame._tag === BotStartedSpeakingFrame.tag) {
      if (this.turn === undefined) this.open(at)
      this.turn!.botSpoke = this.botSpeaking = true
      this.deadline = undefined
    } else if (this.botSpeaking) {
      this.botSpeaking = false
      this.silentSince = at
      this.deadline = at + this.timeout
    }
    return this.take()
  }

  /** Time has passed. */
  expire(now: number): Array<TurnChange> {
    this.late(now)
    return this.take()
  }

  /** The task has ended, in order or not. */
  end(at: number, inOrder: boolean): Array<TurnChange> {
    this.late(at)
    if (this.turn !== undefined) this.close(inOrder && this.deadline !== undefined ? this.silentSince : at, !inOrder)
    return this.take()
  }

  private late(now: number): void {
    if (this.deadline !== undefined && this.deadline <= now) this.close(this.silentSince, false)
  }

  private open(at: number): void {
    this.turn = { number: ++this.count, since: at, botSpoke: false }
    this.changes.push({ _tag: "Started", turn: this.count, at })
  }

  private close(at: number, interrupted: boolean): void {
    const { number, since } = this.turn!
    this.turn = this.deadline = undefined
    this.changes.push({ _tag: "Ended", turn: number, at, milliseconds: at - since, interrupted })
  }

  private take(): Array<TurnChange> {
    return this.changes.length === 0 ? [] : this.changes.splice(0)
  }
}
