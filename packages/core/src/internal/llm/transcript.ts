import * as Frame from "../../Frame.ts"
import type * as PipelineObserver from "../../PipelineObserver.ts"
import type { Entry, Options } from "../../Transcript.ts"
import * as Voice from "../../VoiceFrames.ts"
import { Heard } from "../speech/heard.ts"
import { join } from "../speech/spoken.ts"
import { type TurnChange, Turns } from "../turns/turns.ts"

/** As `TurnObserver` has it. */
const silence = 2500

/** Segments that were announced and never said are forgotten from then on. */
const maxAnnounced = 256

interface Utterance {
  readonly isAnswer: boolean
  readonly heard: Heard
  /** Some of it is spoken. */
  isVoiced: boolean
  turn: number
  since: number | undefined
  until: number
  how: "spoken" | "read"
}

/** Finds what was said in what moves. */
export class Writer {
  private readonly options: Options
  private readonly turns = new Turns(silence)
  private turn = { number: 0, open: false }
  private readonly seen = new WeakSet<Frame.Frame>()
  private output: string | undefined
  private allowInterruptions = true
  private now: Utterance | undefined
  /** What is on its way to be said, by segment. */
  private readonly announced = new Map<number, string>()

  constructor(options: Options) {
    this.options = options
    this.output = options.output ?? "TransportOutput"
  }

  take(event: PipelineObserver.Event): ReadonlyArray<Entry> {
    if (event._tag === "Drop") return none
    if (event._tag === "Push") return this.moved(event)
    switch (event.event) {
      case "Started":
        this.count(this.turns.start(event.at))
        if (event.startup?.processors.some(({ processor }) => processor === this.output) === false) {
          this.output = undefined
        }
        return none
      case "Interrupted":
        return this.allowInterruptions ? this.end(event.at, true) : none
      case "Ended":
      case "Stopped":
        return this.end(event.at, false)
      case "Cancelled":
      case "Failed":
        return this.end(event.at, true)
      default:
        return none
    }
  }

  private count(changes: ReadonlyArray<TurnChange>): void {
    for (const { _tag, turn } of changes) this.turn = { number: turn, open: _tag === "Started" }
  }

  /** A turn that has not been opened yet is about to be. */
  private turnAt(at: number): number {
    this.count(this.turns.expire(at))
    return this.turn.open ? this.turn.number : this.turn.number + 1
  }

  private moved({ at, direction, frame, from }: PipelineObserver.PushEvent): ReadonlyArray<Entry> {
    this.count(this.turns.push(frame, at))
    const first = !this.seen.has(frame)
    if (first) this.seen.add(frame)
    const entries = first ? this.said(frame, at) : none
    const left = direction === "downstream" && (this.output === undefined ? first : from === this.output)
    return left ? [...entries, ...this.left(frame, at)] : entries
  }

  /** The first time that a frame moves. */
  private said(frame: Frame.Frame, at: number): ReadonlyArray<Entry> {
    const turn = this.turnAt(at)
    if (frame instanceof Frame.StartFrame) this.allowInterruptions = frame.allowInterruptions
    else if (Voice.TranscriptionFrame.is(frame)) return userSaid(frame.text, frame.userId, "spoken", at, turn)
    else if (Voice.InterimTranscriptionFrame.is(frame)) {
      return this.options.interim === true ? userSaid(frame.text, frame.userId, "interim", at, turn) : none
    } else if (Voice.LlmMessagesAppendFrame.is(frame)) {
      return frame.messages.flatMap(({ content, role }) =>
        role === "user" && typeof content === "string" ? userSaid(content, "", "typed", at, turn) : []
      )
    } else if (Voice.AggregatedTextFrame.is(frame) && frame.willBeSpoken) {
      this.announced.set(frame.segmentId ?? frame.id, frame.text)
      if (this.announced.size > maxAnnounced) this.announced.delete(this.announced.keys().next().value!)
    }
    return none
  }

  /** A frame has left the output: it is heard now. */
  private left(frame: Frame.Frame, at: number): ReadonlyArray<Entry> {
    if (Voice.LlmResponseStartFrame.is(frame)) {
      const before = this.end(at, false)
      this.now = this.begin(at, true)
      return before
    }
    if (Voice.LlmResponseEndFrame.is(frame)) return this.now?.isAnswer === true ? this.end(at, false) : none
    if (Voice.TtsStartedFrame.is(frame)) return this.now?.isAnswer === false ? this.end(at, false) : none
    if (Voice.TtsStoppedFrame.is(frame)) {
      this.now?.heard.complete()
      return this.now?.isAnswer === false ? this.end(at, false) : none
    }
    if (Voice.AggregatedTextFrame.is(frame)) {
      if (!frame.willBeSpoken) {
        this.now?.heard.segment(frame)
        return none
      }
      this.announced.delete(frame.segmentId ?? frame.id)
      const now = this.now ??= this.begin(at, false)
      now.heard.segment(frame)
      now.isVoiced = true
      // it has been seen on its way to the voice
      if (this.output === undefined) now.heard.unread()
    } else if (Voice.TtsTextFrame.is(frame)) this.hear(at, "spoken").word(frame)
    else if (Voice.LlmTextFrame.is(frame) && (this.output !== undefined || this.now?.isVoiced !== true)) {
      this.hear(at, "read").read(frame.text)
    }
    return none
  }

  private begin(at: number, isAnswer: boolean): Utterance {
    return {
      isAnswer,
      heard: new Heard(),
      isVoiced: false,
      turn: this.turnAt(at),
      since: undefined,
      until: at,
      how: "spoken"
    }
  }

  private hear(at: number, how: "spoken" | "read"): Heard {
    const now = this.now ??= this.begin(at, false)
    now.how = how
    now.until = at
    if (now.since === undefined) {
      now.since = at
      now.turn = this.turnAt(at)
    }
    return now.heard
  }

  /** Nothing more of this is heard. */
  private end(at: number, interrupted: boolean): ReadonlyArray<Entry> {
    const { announced, now } = this
    this.now = undefined
    const waiting = interrupted ? Array.from(announced.values()) : []
    if (interrupted) announced.clear()
    else now?.heard.complete()
    const cut = [now?.heard.unheard ?? "", ...waiting].reduce(join, "")
    const text = now?.heard.text ?? ""
    if (text === "" && cut === "") return none
    const { how = "spoken", since = at, turn = this.turnAt(at) } = now ?? {}
    return [{ _tag: "BotSaid", text, cut, interrupted, how, at: since, until: interrupted ? at : now!.until, turn }]
  }
}

const none: ReadonlyArray<Entry> = []

const userSaid = (
  text: string,
  userId: string,
  how: "spoken" | "interim" | "typed",
  at: number,
  turn: number
): ReadonlyArray<Entry> => text.trim() === "" ? none : [{ _tag: "UserSaid", text: text.trim(), userId, how, at, turn }]
