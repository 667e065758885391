import type { AggregatedTextFrame, TtsTextFrame } from "../../VoiceFrames.ts"
import { join, joinAll, spokenUpTo } from "./spoken.ts"

interface Segment {
  readonly id: number
  readonly text: string
  spoken: number
}

type Piece =
  | { readonly _tag: "Segment"; readonly segment: Segment }
  | { readonly _tag: "Words"; readonly words: Array<string> }
  | { readonly _tag: "Text"; text: string }

/** What has been heard of an answer (or read, where it is not spoken), and what has been announced. */
export class Heard {
  private pieces: Array<Piece> = []
  /** Of what is being spoken, as it is written. */
  private announced: Segment | undefined
  /** A word of it has been heard. */
  private begun = false

  /** A segment is about to be spoken: the one before it has been. */
  segment({ id, segmentId = id, text, willBeSpoken }: AggregatedTextFrame): void {
    if (!willBeSpoken) {
      if (segmentId === this.announced?.id) this.breakOff()
      return
    }
    this.complete()
    this.announced = { id: segmentId, text, spoken: 0 }
  }

  word({ segmentId, text }: TtsTextFrame): void {
    const { announced } = this
    if (announced === undefined || segmentId !== announced.id) {
      const last = this.pieces.at(-1)
      if (last?._tag === "Words") last.words.push(text)
      else this.pieces.push({ _tag: "Words", words: [text] })
      return
    }
    if (!this.begun) this.pieces.push({ _tag: "Segment", segment: announced })
    this.begun = true
    announced.spoken = spokenUpTo(announced.text, announced.spoken, text) ?? announced.spoken
  }

  /** A piece of an answer that is not spoken. */
  read(text: string): void {
    const last = this.pieces.at(-1)
    if (last?._tag === "Text") last.text += text
    else this.pieces.push({ _tag: "Text", text })
  }

  /** It was not to be read, but to be spoken. */
  unread(): void {
    this.pieces = this.pieces.filter(({ _tag }) => _tag !== "Text")
  }

  /** All that was announced has been heard. */
  complete(): void {
    if (this.begun) this.announced!.spoken = this.announced!.text.length
    this.breakOff()
  }

  /** No more is heard of what was announced. */
  private breakOff(): void {
    this.announced = undefined
    this.begun = false
  }

  get text(): string {
    return this.pieces.map(textOf).reduce((all, text) => all === "" ? text.trimStart() : join(all, text), "").trimEnd()
  }

  /** What was announced and has not been heard. */
  get unheard(): string {
    return this.announced === undefined ? "" : this.announced.text.slice(this.announced.spoken).trim()
  }
}

const textOf = (piece: Piece): string => {
  switch (piece._tag) {
    case "Segment":
      return piece.segment.text.slice(0, piece.segment.spoken)
    case "Words":
      return joinAll(piece.words)
    case "Text":
      return piece.text
  }
}
