import type * as Frame from "../../Frame.ts"
import { SttMetadataFrame } from "../../Stt.ts"
import { VadParamsFrame } from "../../Vad.ts"
import {
  InterimTranscriptionFrame,
  TranscriptionFrame,
  VadUserStartedSpeakingFrame,
  VadUserStoppedSpeakingFrame
} from "../../VoiceFrames.ts"

/** The frames that tell whether somebody speaks, and what was understood. */
export const speechEndFrames = [
  InterimTranscriptionFrame,
  SttMetadataFrame,
  TranscriptionFrame,
  VadParamsFrame,
  VadUserStartedSpeakingFrame,
  VadUserStoppedSpeakingFrame
]

/** Knows whether what was said is understood, without a clock of its own. */
export class SpeechEnd {
  /** When the recogniser will have had its time, in milliseconds of the clock. */
  understoodAt = 0
  /** Milliseconds from the end of speech. */
  private latency = 0
  /** How long after the end of speech its end is told. */
  private told = 0
  private speaking = false
  private stoppedAt: number | undefined = undefined
  private hasText = false
  private isFinal = false

  /** Nothing tells of voice activity since the turn began. */
  get hasNoVad(): boolean {
    return !this.speaking && this.stoppedAt === undefined
  }

  /** Milliseconds after the end of speech was told that the recogniser needs. */
  get wait(): number {
    return Math.max(0, this.latency - this.told)
  }

  isUnderstood(now: number, needsText: boolean): boolean {
    return this.isSilent && (this.hasText || !needsText) && now >= this.understoodAt
  }

  get isSilent(): boolean {
    return !this.speaking
  }

  /** Whether somebody speaks does not change with a turn. */
  reset(): void {
    this.stoppedAt = undefined
    this.hasText = this.isFinal = false
  }

  push(frame: Frame.Frame, now: number): "started" | "stopped" | "text" | undefined {
    if (VadUserStartedSpeakingFrame.is(frame)) {
      this.speaking = true
      this.isFinal = false
      this.stoppedAt = undefined
      return "started"
    }
    if (VadUserStoppedSpeakingFrame.is(frame)) {
      this.speaking = false
      this.stoppedAt = now
      this.understoodAt = this.isFinal ? now : now + this.wait
      return "stopped"
    }
    if (TranscriptionFrame.is(frame)) {
      this.hasText = true
      if (frame.finalized === true) {
        this.isFinal = true
        this.understoodAt = Math.min(this.understoodAt, now)
      }
      if (this.hasNoVad) this.understoodAt = now
      return "text"
    }
    if (InterimTranscriptionFrame.is(frame)) {
      // more is on its way: what was final does not cover it
      this.isFinal = false
      if (this.stoppedAt !== undefined) this.understoodAt = this.stoppedAt + this.wait
    } else if (VadParamsFrame.is(frame)) this.told = frame.stopSecs * 1000
    else if (SttMetadataFrame.is(frame)) this.latency = frame.p99Latency
    return undefined
  }
}
