/** The inside of `AudioBuffer`: two tracks on one time line, and what was said in which turn. It has no time of its own. */
import * as Result from "effect/Result"
import type * as AudioBuffer from "../../AudioBuffer.ts"
import type * as Frame from "../../Frame.ts"
import * as Pcm from "../../Pcm.ts"
import {
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "../../VoiceFrames.ts"
import { type TurnChange, Turns } from "../turns/turns.ts"
import { type Converter, isAlike, makeConverter } from "./monoAudio.ts"
import { Track } from "./track.ts"

type Event = AudioBuffer.Event
type Speaker = AudioBuffer.Speaker

/** Jitter: audio that is later than this, in seconds, has a gap before it (as in pipecat). */
const tolerance = 0.2
/** Of the user's audio before it was noticed that the user speaks, in seconds. */
const preRoll = 1
/** Of silence that ends a turn, in milliseconds: that of `TurnObserver`. */
const turnTimeout = 2500
/** Of one speaker in one turn, in seconds. */
const longestTurn = 600

interface Side {
  readonly track: Track
  /** What was said in this turn. */
  readonly turn: Track
  /** The latest of what was not said, for all we know. */
  readonly before: Track
  speaking: boolean
  lastAt: number
  format: Frame.AudioRawFrame | undefined
  converter: Converter | undefined
}

const makeSide = (): Side => ({
  track: new Track(),
  turn: new Track(),
  before: new Track(),
  speaking: false,
  lastAt: -Infinity,
  format: undefined,
  converter: undefined
})

/** Positions are samples from the beginning of the time line, times milliseconds. */
export class Recorder {
  recording = false
  private origin: number | undefined = undefined
  private delivered = 0
  private readonly sides: Readonly<Record<Speaker, Side>> = { user: makeSide(), bot: makeSide() }
  private readonly turns = new Turns(turnTimeout)
  private turn = 1
  private readonly rate: number
  private readonly size: number
  private readonly withTurns: boolean
  private readonly out: (event: Event) => void

  /** `size`: samples per event of audio. */
  constructor(
    options: { readonly rate: number; readonly size: number; readonly turns: boolean },
    out: (event: Event) => void
  ) {
    this.rate = options.rate
    this.size = options.size
    this.withTurns = options.turns
    this.out = out
    this.turns.start(0)
  }

  start(): void {
    if (this.recording) return
    this.recording = true
    this.out({ _tag: "Started", sampleRate: this.rate })
  }

  stop(at: number): void {
    if (!this.recording) return
    this.changed(this.turns.expire(at), at)
    const { bot, user } = this.sides
    for (const side of [user, bot]) {
      const rest = side.converter?.flush()
      if (rest !== undefined) this.append(side, Pcm.float32ToInt16(rest))
    }
    while (this.deliver(Math.max(user.track.end, bot.track.end), 1));
    this.report("user", this.turn)
    this.report("bot", this.turn)
    for (const side of [user, bot]) {
      for (const track of [side.track, side.turn, side.before]) track.clear()
      side.format = side.converter = undefined
      side.lastAt = -Infinity
    }
    this.recording = false
    this.origin = undefined
    this.delivered = 0
    this.out({ _tag: "Stopped" })
  }

  /** Gives an error when the format is new and cannot be understood. */
  push(speaker: Speaker, frame: Frame.AudioRawFrame, at: number): Error | undefined {
    this.changed(this.turns.expire(at), at)
    const side = this.sides[speaker]
    if (side.format === undefined || !isAlike(side.format, frame)) {
      side.format = frame
      const made = makeConverter(frame, this.rate)
      side.converter = Result.getOrUndefined(made)
      if (Result.isFailure(made)) return made.failure
    }
    if (side.converter === undefined) return undefined
    const samples = Pcm.float32ToInt16(side.converter.push(frame))
    this.origin ??= at - frame.duration
    const late = this.position(at) - side.track.end - samples.length
    if (late > tolerance * this.rate) side.track.silence(late)
    // what was taken for silence was on its way; the bot's audio, though, may come faster than it is played
    else if (late < 0 && speaker === "user") side.track.reclaim(-late)
    side.lastAt = at
    this.append(side, samples)
    if (side.turn.length >= longestTurn * this.rate) this.report(speaker, this.turn)
    return undefined
  }

  /** Gives out one more event of audio, as soon as neither track will change there any more. */
  next(at: number): boolean {
    if (this.origin === undefined) return false
    const now = this.position(at)
    const settled = ({ lastAt, speaking, track }: Side): number => {
      const isActive = speaking || at - lastAt <= 1000 * tolerance
      return Math.max(track.end, isActive ? now - Math.round(tolerance * this.rate) : now)
    }
    return this.deliver(Math.min(settled(this.sides.user), settled(this.sides.bot)), this.size)
  }

  /** The user or the bot starts or stops speaking. */
  told(frame: Frame.Frame, at: number): void {
    const { bot, user } = this.sides
    this.changed(this.turns.push(frame, at), at)
    if (frame._tag === UserStartedSpeakingFrame.tag) {
      user.speaking = true
      user.turn.append(user.before.takeAll())
    }
    if (frame._tag === UserStoppedSpeakingFrame.tag) user.speaking = false
    if (frame._tag === BotStartedSpeakingFrame.tag) bot.speaking = true
    if (frame._tag === BotStoppedSpeakingFrame.tag) bot.speaking = false
  }

  /** What the bot has not said yet, it will not say. */
  interrupted(at: number): void {
    const { track, turn } = this.sides.bot
    const unsaid = this.unsaid(at)
    track.truncate(track.end - unsaid)
    turn.truncate(turn.end - unsaid)
  }

  private unsaid(at: number): number {
    return this.origin === undefined ? 0 : Math.max(0, this.sides.bot.track.end - this.position(at))
  }

  private position(at: number): number {
    return Math.round((at - this.origin!) * this.rate / 1000)
  }

  private append(side: Side, samples: Int16Array): void {
    side.track.append(samples)
    if (!this.withTurns) return
    // the bot says whatever it sends; an open microphone is not speech
    if (side === this.sides.bot || side.speaking) return side.turn.append(samples)
    side.before.append(samples)
    side.before.keepLast(preRoll * this.rate)
  }

  private deliver(end: number, atLeast: number): boolean {
    const count = Math.min(this.size, end - this.delivered)
    if (count < atLeast) return false
    const { bot, user } = this.sides
    const at = this.delivered * 1000 / this.rate
    this.out({ _tag: "Audio", user: user.track.take(count), bot: bot.track.take(count), sampleRate: this.rate, at })
    this.delivered += count
    return true
  }

  private changed(changes: ReadonlyArray<TurnChange>, at: number): void {
    for (const change of changes) {
      if (change._tag === "Started") {
        this.turn = change.turn
      } else {
        this.report("user", change.turn)
        // what the bot has sent ahead belongs to the next turn, unless an interruption cuts it
        this.report("bot", change.turn, change.interrupted ? this.unsaid(at) : 0)
      }
    }
  }

  private report(speaker: Speaker, turn: number, keep = 0): void {
    const said = this.sides[speaker].turn
    const audio = said.take(Math.max(0, said.length - keep))
    if (audio.length > 0) this.out({ _tag: "Turn", turn, speaker, audio, sampleRate: this.rate })
  }
}
