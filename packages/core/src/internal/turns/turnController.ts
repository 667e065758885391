import type * as Effect from "effect/Effect"
import * as Frame from "../../Frame.ts"
import type * as Mute from "../../Mute.ts"
import {
  ProposedUserStartedSpeakingFrame,
  ProposedUserStoppedSpeakingFrame,
  UserTurnInferenceTriggeredFrame
} from "../../TurnFrames.ts"
import type * as TurnStart from "../../TurnStart.ts"
import type * as TurnStop from "../../TurnStop.ts"
import type * as TurnStrategy from "../../TurnStrategy.ts"
import type * as UserTurn from "../../UserTurn.ts"
import {
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  InterimTranscriptionFrame,
  LlmContextFrame,
  LlmMessagesAppendFrame,
  TranscriptionFrame,
  UserMuteStartedFrame,
  UserMuteStoppedFrame,
  UserSpeakingFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame,
  VadUserStartedSpeakingFrame,
  VadUserStoppedSpeakingFrame
} from "../../VoiceFrames.ts"

/** What the processor is to do, in order. */
export type Step =
  /** Push a frame the way that the one at hand travels. */
  | { readonly _tag: "Pass"; readonly frame: Frame.Frame }
  | { readonly _tag: "Down"; readonly frame: Frame.Frame }
  | { readonly _tag: "Both"; readonly make: () => Frame.Frame }
  | { readonly _tag: "Interrupt" }
  | { readonly _tag: "Run"; readonly effect: Effect.Effect<unknown, unknown> }
  | { readonly _tag: "Tell"; readonly event: UserTurn.Event }

export interface Settings {
  readonly mute: ReadonlyArray<Mute.Mute>
  /** Milliseconds. */
  readonly stopTimeout: number
  readonly interrupt: UserTurn.Interrupt
}

/** A strategy and its state. */
export class Running<Decision> {
  private woken: number | undefined = undefined
  private readonly tags: ReadonlySet<string>
  readonly strategy: TurnStrategy.Strategy<Decision, any>
  readonly machine: TurnStrategy.Machine<Decision>

  constructor(strategy: TurnStrategy.Strategy<Decision, any>, machine: TurnStrategy.Machine<Decision>) {
    this.strategy = strategy
    this.machine = machine
    this.tags = new Set(strategy.frames.map(tagOf))
  }

  push(frame: Frame.Frame, now: number): Decision | undefined {
    return this.tags.has(frame._tag) ? this.machine.push(frame, now) : undefined
  }

  /** When it is to be woken; once for each deadline. */
  get deadline(): number | undefined {
    const deadline = this.machine.deadline?.()
    if (deadline === undefined || deadline !== this.woken) this.woken = undefined
    return this.woken === undefined ? deadline : undefined
  }

  wake(now: number): Decision | undefined {
    const { deadline } = this
    if (deadline === undefined || deadline > now) return undefined
    this.woken = deadline
    return this.machine.wake?.(now)
  }
}

export const tagOf = (one: string | { readonly tag: string }): string => typeof one === "string" ? one : one.tag

/** What the user says: not let through while the user is muted. */
const voice: ReadonlySet<string> = new Set([
  Frame.AudioRawFrame.tag,
  InterimTranscriptionFrame.tag,
  ProposedUserStartedSpeakingFrame.tag,
  ProposedUserStoppedSpeakingFrame.tag,
  TranscriptionFrame.tag,
  UserSpeakingFrame.tag,
  UserStartedSpeakingFrame.tag,
  UserStoppedSpeakingFrame.tag,
  VadUserStartedSpeakingFrame.tag,
  VadUserStoppedSpeakingFrame.tag
])

/** What shows that the turn is alive. */
const activity: ReadonlySet<string> = new Set([
  InterimTranscriptionFrame.tag,
  TranscriptionFrame.tag,
  UserStartedSpeakingFrame.tag,
  UserStoppedSpeakingFrame.tag,
  VadUserStartedSpeakingFrame.tag,
  VadUserStoppedSpeakingFrame.tag
])

const started = () => UserStartedSpeakingFrame.make()
const stopped = () => UserStoppedSpeakingFrame.make()
const muteStarted = () => UserMuteStartedFrame.make()
const muteStopped = () => UserMuteStoppedFrame.make()

/** Decides whose turn it is by what strategies say, without a clock of its own. */
export class TurnController {
  /** A turn is open. */
  private isOpen = false
  /** Those below and above know of it. */
  private isAnnounced = false
  /** The user speaks, as far as it counts. */
  private isSpeaking = false
  /** Those below have seen voice activity begin. */
  private isVadOpen = false
  /** A voice that was heard while the user was muted is not heard until it has paused. */
  private isIgnored = false
  private isMuted: boolean
  /** An answer was asked for, or is being spoken. */
  private isAnswering = false
  private hasInferred = false
  private lastActivity = 0
  private steps: Array<Step> = []
  private readonly mutes: ReadonlyArray<{
    readonly tags: ReadonlySet<string>
    readonly push: (frame: Frame.Frame) => boolean
    isMuted: boolean
  }>
  private readonly resolved: ReadonlySet<string>
  private readonly starts: ReadonlyArray<Running<TurnStart.Decision>>
  private readonly stops: ReadonlyArray<Running<TurnStop.Decision>>
  private readonly settings: Settings
  /** The frames that it has to see. */
  readonly tags: ReadonlySet<string>

  constructor(
    starts: ReadonlyArray<Running<TurnStart.Decision>>,
    stops: ReadonlyArray<Running<TurnStop.Decision>>,
    settings: Settings
  ) {
    this.starts = starts
    this.stops = stops
    this.settings = settings
    this.mutes = settings.mute.map((mute) => ({
      tags: new Set(mute.frames.map(tagOf)),
      push: mute.make(),
      isMuted: mute.initial === true
    }))
    this.isMuted = false
    const strategies = [...starts, ...stops].map(({ strategy }) => strategy)
    this.resolved = new Set(strategies.flatMap(({ resolves }) => resolves ?? []).map(tagOf))
    this.tags = new Set([
      ...activity,
      ...this.mutes.length > 0 ? voice : [],
      ...settings.interrupt === "answering"
        ? [BotStartedSpeakingFrame, BotStoppedSpeakingFrame, LlmContextFrame, LlmMessagesAppendFrame].map(tagOf)
        : [],
      ...[...strategies, ...settings.mute].flatMap(({ frames }) => frames).map(tagOf)
    ])
  }

  /** When it is to be woken. */
  get deadline(): number | undefined {
    let earliest = this.watchdog ?? Infinity
    for (const one of this.starts) earliest = Math.min(earliest, one.deadline ?? Infinity)
    for (const one of this.stops) earliest = Math.min(earliest, one.deadline ?? Infinity)
    return earliest === Infinity ? undefined : earliest
  }

  private get watchdog(): number | undefined {
    return this.isOpen && !this.isSpeaking ? this.lastActivity + this.settings.stopTimeout : undefined
  }

  /** A task has started, or taken over. */
  start(now: number): ReadonlyArray<Step> {
    this.mute(now)
    return this.take()
  }

  push(frame: Frame.Frame, direction: Frame.Direction, now: number): ReadonlyArray<Step> {
    const { _tag } = frame
    for (const mute of this.mutes) if (mute.tags.has(_tag)) mute.isMuted = mute.push(frame)
    if (!this.isDropped(frame, direction)) this.hear(frame, now)
    this.mute(now)
    return this.take()
  }

  /** Time has passed. */
  wake(now: number): ReadonlyArray<Step> {
    for (const one of this.starts) this.begin(one.wake(now), one, now)
    for (const one of this.stops) this.conclude(one.wake(now), one, now)
    if (this.watchdog !== undefined && this.watchdog <= now) this.close(now, "timeout")
    return this.take()
  }

  /** A question was answered. */
  answered<Decision extends TurnStart.Decision | TurnStop.Decision>(one: Running<Decision>, now: number) {
    const decision = one.machine.wake?.(now)
    if (typeof decision === "string") this.conclude(decision, one, now)
    else this.begin(decision, one, now)
    return this.take()
  }

  /** The task ends in order: what has begun is over. */
  end(now: number): ReadonlyArray<Step> {
    this.close(now, "end")
    this.announceEnd()
    if (this.isMuted) this.unmute()
    return this.take()
  }

  private take(): ReadonlyArray<Step> {
    return this.steps.splice(0)
  }

  private isDropped({ _tag }: Frame.Frame, direction: Frame.Direction): boolean {
    const isMuted = this.wantsMute
    const wasIgnored = this.isIgnored
    if (_tag === VadUserStartedSpeakingFrame.tag) {
      this.isIgnored = isMuted
      return isMuted
    }
    if (_tag === VadUserStoppedSpeakingFrame.tag) {
      this.isIgnored = false
      return isMuted || wasIgnored
    }
    return isMuted && voice.has(_tag) && (direction === "downstream" || _tag !== Frame.AudioRawFrame.tag)
  }

  private get wantsMute(): boolean {
    return this.mutes.some(({ isMuted }) => isMuted)
  }

  /** Follows the strategies: what has begun is over when the user is muted. */
  private mute(now: number): void {
    if (this.wantsMute === this.isMuted) return
    if (this.isMuted) return this.unmute()
    this.isIgnored = this.isVadOpen
    if (this.isVadOpen) this.hear(VadUserStoppedSpeakingFrame.make(), now, "Down")
    this.isSpeaking = false
    this.close(now, "muted")
    this.announceEnd()
    this.isMuted = true
    this.steps.push({ _tag: "Both", make: muteStarted }, { _tag: "Tell", event: { _tag: "MuteStarted" } })
  }

  private unmute(): void {
    this.isMuted = false
    this.steps.push({ _tag: "Both", make: muteStopped }, { _tag: "Tell", event: { _tag: "MuteStopped" } })
  }

  /** A frame that counts. */
  private hear(frame: Frame.Frame, now: number, way: "Pass" | "Down" = "Pass"): void {
    const isText = TranscriptionFrame.is(frame) || InterimTranscriptionFrame.is(frame)
    const passes = this.notice(frame, now)
    // an interruption would cut what was understood, but not what is about it
    if (!isText && passes) this.steps.push({ _tag: way, frame })
    const wasOpen = this.isOpen
    let decision: TurnStart.Decision | undefined
    for (const one of this.starts) {
      const made = one.push(frame, now)
      if (decision !== undefined || made === undefined) continue
      decision = made
      this.begin(made, one, now)
    }
    let heard = frame
    if (isText) {
      const instead = wasOpen ? undefined : decision?.pass
      if (instead === "discard") return
      heard = instead ?? frame
      this.steps.push({ _tag: way, frame: heard })
    }
    for (const one of this.stops) this.conclude(one.push(heard, now), one, now)
  }

  /** Keeps account of who speaks. Does the frame go on? */
  private notice(frame: Frame.Frame, now: number): boolean {
    const { _tag } = frame
    if (activity.has(_tag)) this.lastActivity = now
    switch (_tag) {
      case TranscriptionFrame.tag:
        this.hasInferred = false
        return true
      case VadUserStartedSpeakingFrame.tag:
        this.isVadOpen = this.isSpeaking = true
        this.hasInferred = false
        return true
      case VadUserStoppedSpeakingFrame.tag:
        this.isVadOpen = this.isSpeaking = false
        return true
      // somebody else announces turns: each state is announced once
      case UserStartedSpeakingFrame.tag: {
        const isNews = !this.isAnnounced
        this.isSpeaking = this.isAnnounced = true
        return isNews
      }
      case UserStoppedSpeakingFrame.tag: {
        const isNews = this.isAnnounced
        this.isSpeaking = this.isAnnounced = false
        return isNews
      }
      case ProposedUserStartedSpeakingFrame.tag:
      case ProposedUserStoppedSpeakingFrame.tag:
        if (!this.resolved.has(_tag)) return true
        this.lastActivity = now
        this.isSpeaking = _tag === ProposedUserStartedSpeakingFrame.tag
        return false
      case BotStoppedSpeakingFrame.tag:
        this.isAnswering = false
        return true
      case BotStartedSpeakingFrame.tag:
      case LlmContextFrame.tag:
        this.isAnswering = true
        return true
      case LlmMessagesAppendFrame.tag:
        if ((frame as LlmMessagesAppendFrame).runLlm) this.isAnswering = true
        return true
      default:
        return !this.resolved.has(_tag)
    }
  }

  private begin(
    decision: TurnStart.Decision | undefined,
    { strategy }: Running<TurnStart.Decision | TurnStop.Decision>,
    now: number
  ): void {
    if (decision === undefined) return
    if (decision.run !== undefined) this.steps.push({ _tag: "Run", effect: decision.run })
    if (!decision.start || this.isOpen || this.isMuted) return
    this.isOpen = true
    this.hasInferred = false
    this.lastActivity = now
    for (const { machine } of this.starts) machine.turnStarted?.(now)
    for (const { machine } of this.stops) machine.turnStarted?.(now)
    if (!this.isAnnounced) {
      this.isAnnounced = true
      this.steps.push({ _tag: "Both", make: started })
    }
    const { interrupt } = this.settings
    if (decision.interrupt !== false && (interrupt === "always" || interrupt === "answering" && this.isAnswering)) {
      this.isAnswering = false
      this.steps.push({ _tag: "Interrupt" })
    }
    this.steps.push({ _tag: "Tell", event: { _tag: "TurnStarted", strategy: strategy.name } })
  }

  /** A turn does not end while the user speaks: whoever has judged so did not know. */
  private conclude(
    decision: TurnStop.Decision | undefined,
    { strategy }: Running<TurnStart.Decision | TurnStop.Decision>,
    now: number
  ): void {
    if (decision === undefined || !this.isOpen || this.isSpeaking) return
    if (decision === "stop") return this.close(now, "strategy", strategy.name)
    if (this.hasInferred) return
    this.hasInferred = this.isAnswering = true
    this.lastActivity = now
    this.steps.push(
      { _tag: "Down", frame: UserTurnInferenceTriggeredFrame.make() },
      { _tag: "Tell", event: { _tag: "InferenceTriggered", strategy: strategy.name } }
    )
  }

  private close(now: number, reason: UserTurn.StopReason, strategy?: string): void {
    if (!this.isOpen) return
    this.isOpen = false
    for (const { machine } of this.starts) machine.turnStopped?.(now)
    for (const { machine } of this.stops) machine.turnStopped?.(now)
    this.announceEnd()
    this.isAnswering = true
    this.steps.push({ _tag: "Tell", event: { _tag: "TurnStopped", reason, strategy } })
  }
  /** Also of what somebody else has announced. */
  private announceEnd(): void {
    if (!this.isAnnounced) return
    this.isAnnounced = false
    this.steps.push({ _tag: "Both", make: stopped })
  }
}
