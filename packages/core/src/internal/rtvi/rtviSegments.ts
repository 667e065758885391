import * as RtviMessage from "../../RtviMessage.ts"
import type { AggregatedTextFrame, AggregatedTextProgressFrame, TtsTextFrame } from "../../VoiceFrames.ts"
import { spokenUpTo } from "../speech/spoken.ts"

type Messages = ReadonlyArray<RtviMessage.Server>

const none: Messages = []

/** Segments that were begun and never finished are forgotten from then on. */
const maxOpen = 256

/** Progress is told by segment: a word or a token is none. */
const isPiece = (aggregatedBy: string): boolean => aggregatedBy === "word" || aggregatedBy === "token"

interface Segment {
  readonly id: number
  readonly text: string
  readonly aggregatedBy: string
  /** How much of the text has been spoken. */
  spoken: number
}

/**
 * What the bot says, as it is heard: `bot-output` with its progress, and `bot-tts-text`.
 *
 * A segment is told of when the client has been told that the bot speaks. Until then it waits, and so does whatever comes
 * after it.
 */
export class Segments {
  private speaking = false
  private readonly held: Array<RtviMessage.Server> = []
  private readonly open = new Map<number, Segment>()
  private readonly legacy: () => boolean

  constructor(legacy: () => boolean) {
    this.legacy = legacy
  }

  /** The bot is heard: what waited for it. */
  started(): Messages {
    this.speaking = true
    return this.held.splice(0)
  }

  stopped(): void {
    this.speaking = false
  }

  /** Nothing more is heard of what was to be said. */
  interrupted(): void {
    this.held.length = 0
    this.open.clear()
  }

  text({ aggregatedBy, id, segmentId = id, text, willBeSpoken }: AggregatedTextFrame): Messages {
    const base = { text, aggregated_by: aggregatedBy }
    if (this.legacy()) {
      return this.tell([RtviMessage.server("bot-output", { ...base, spoken: willBeSpoken })], willBeSpoken)
    }
    if (isPiece(aggregatedBy)) return none
    const about = { ...base, segment_id: segmentId, will_be_spoken: willBeSpoken }
    if (!willBeSpoken) {
      // the rest of one whose audio has broken off is never heard
      this.open.delete(segmentId)
      return this.tell([RtviMessage.server("bot-output", about)])
    }
    // A segment comes before its audio, so that of the one before has been heard.
    const completed = this.complete()
    this.open.set(segmentId, { id: segmentId, text, aggregatedBy, spoken: 0 })
    if (this.open.size > maxOpen) this.open.delete(this.open.keys().next().value!)
    const begun = RtviMessage.server("bot-output", {
      ...about,
      spoken_status: "new",
      spoken_progress: { accumulated_text: "", remaining_text: text }
    })
    return this.tell([...completed, begun], true)
  }

  progress({ accumulatedText, remainingText, segmentId }: AggregatedTextProgressFrame): Messages {
    if (this.legacy()) return none
    const segment = this.open.get(segmentId)
    const { aggregatedBy = "sentence", text = accumulatedText + remainingText } = segment ?? {}
    if (segment !== undefined) segment.spoken = Math.min(accumulatedText.length, segment.text.length)
    if (remainingText === "") this.open.delete(segmentId)
    return this.tell([progressOf(segmentId, text, aggregatedBy, accumulatedText, remainingText)])
  }

  /** A word is heard: finds it in the segment that it is of. Clients put spaces between words. */
  word({ segmentId, text }: TtsTextFrame): Messages {
    const said = RtviMessage.server("bot-tts-text", { text: text.trim() })
    const segment = segmentId === undefined || this.legacy() ? undefined : this.open.get(segmentId)
    const spoken = segment === undefined ? undefined : spokenUpTo(segment.text, segment.spoken, text)
    // What is spoken differs from what is written ("$5"): the next word that does not will tell.
    if (segment === undefined || spoken === undefined) return this.tell([said])
    segment.spoken = spoken
    if (spoken === segment.text.length) this.open.delete(segment.id)
    return this.tell([said, progressAt(segment)])
  }

  /** The audio of an utterance has been heard, or there was none. */
  ended(): Messages {
    const completed = this.tell(this.complete())
    return this.speaking || this.held.length === 0 ? completed : this.held.splice(0)
  }

  private complete(): Messages {
    const completed = Array.from(this.open.values(), (segment) => {
      segment.spoken = segment.text.length
      return progressAt(segment)
    })
    this.open.clear()
    return completed
  }

  private tell(messages: Messages, waits = false): Messages {
    if (this.held.length === 0 && (this.speaking || !waits)) return messages
    this.held.push(...messages)
    return none
  }
}

const progressAt = ({ aggregatedBy, id, spoken, text }: Segment): RtviMessage.Server =>
  progressOf(id, text, aggregatedBy, text.slice(0, spoken), text.slice(spoken))

const progressOf = (
  id: number,
  text: string,
  aggregatedBy: string,
  accumulated: string,
  remaining: string
): RtviMessage.Server =>
  RtviMessage.server("bot-output", {
    text,
    aggregated_by: aggregatedBy,
    segment_id: id,
    will_be_spoken: true,
    spoken_status: remaining === "" ? "completed" : "in-progress",
    spoken_progress: { accumulated_text: accumulated, remaining_text: remaining }
  })
