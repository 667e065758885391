import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Frame from "../../Frame.ts"
import * as Pcm from "../../Pcm.ts"
import * as TurnDetector from "../../TurnDetector.ts"
import type { Decision } from "../../TurnStop.ts"
import type * as TurnStrategy from "../../TurnStrategy.ts"
import { TranscriptionFrame } from "../../VoiceFrames.ts"
import { type Converter, isAlike, makeConverter } from "../audio/monoAudio.ts"
import { SpeechEnd } from "./speechEnd.ts"

export interface Settings {
  readonly threshold: number
  readonly needsText: boolean
  /** Milliseconds. */
  readonly incompleteTimeout: number
  /** Milliseconds. */
  readonly answerTimeout: number
}

const sampleRate = 16_000

/** The last 8 seconds of what was heard. */
class Memory {
  private readonly samples = new Int16Array(8 * sampleRate)
  private filled = 0
  private format: Frame.AudioRawFrame | undefined = undefined
  private convert: Converter | undefined = undefined

  push(frame: Frame.AudioRawFrame): void {
    if (this.format === undefined || !isAlike(this.format, frame)) {
      this.format = frame
      // whoever listens for speech reports what cannot be understood
      this.convert = Result.getOrUndefined(makeConverter(frame, sampleRate))
    }
    const added = this.convert?.push(frame)
    if (added === undefined || added.length === 0) return
    const { length } = this.samples
    const last = added.length > length ? added.subarray(added.length - length) : added
    const kept = Math.min(this.filled, length - last.length)
    this.samples.copyWithin(0, this.filled - kept, this.filled)
    this.samples.set(Pcm.float32ToInt16(last), kept)
    this.filled = kept + last.length
  }

  get audio(): Int16Array {
    return this.samples.slice(0, this.filled)
  }

  clear(): void {
    this.filled = 0
  }
}

/** Asks a detector whether the turn is complete whenever the user falls silent. */
export const makeDetection = (
  detector: TurnDetector.Service,
  settings: Settings
): TurnStrategy.Machine<Decision> => {
  const end = new SpeechEnd()
  const memory = detector.needsAudio ? new Memory() : undefined
  let text = ""
  let isComplete = false
  let question: Effect.Effect<void, TurnDetector.TurnDetectorError> | undefined
  /** When the turn is over although it seems incomplete, or nobody could be asked. */
  let giveUpAt: number | undefined

  const forget = (): void => {
    isComplete = false
    question = giveUpAt = undefined
  }

  const reset = (): void => {
    end.reset()
    text = ""
    forget()
  }

  const ask = (): void => {
    isComplete = false
    if (memory === undefined && text === "") return
    const turn: TurnDetector.Turn = { text, audio: memory?.audio ?? new Int16Array(0), sampleRate }
    const answered = (complete: boolean) =>
      Effect.sync(() => {
        if (question !== mine) return
        question = undefined
        isComplete = complete
      })
    const mine = Effect.suspend(() => detector.completion(turn)).pipe(
      Effect.timeoutOrElse({
        duration: settings.answerTimeout,
        orElse: () =>
          Effect.fail(
            new TurnDetector.TurnDetectorError({
              detector: detector.name,
              isRetryable: true,
              cause: new Error(`no answer within ${settings.answerTimeout} ms`)
            })
          )
      }),
      Effect.flatMap((probability) => answered(probability >= settings.threshold)),
      Effect.onError(() => answered(true))
    )
    question = mine
  }

  const decide = (now: number): Decision | undefined => {
    if (!isComplete && !(giveUpAt !== undefined && now >= giveUpAt)) return undefined
    if (!settings.needsText) return end.isSilent ? "stop" : undefined
    return end.isUnderstood(now, true) ? "stop" : undefined
  }

  return {
    push: (frame, now) => {
      if (frame instanceof Frame.AudioRawFrame) {
        memory?.push(frame)
        return undefined
      }
      const change = end.push(frame, now)
      if (change === "started") forget()
      if (change === "stopped") {
        giveUpAt = now + settings.incompleteTimeout
        ask()
      }
      if (change === "text") {
        if (TranscriptionFrame.is(frame)) text = text === "" ? frame.text : `${text} ${frame.text}`
        if (end.hasNoVad) giveUpAt = now + end.wait
        else if (end.isSilent && memory === undefined) ask()
      }
      return decide(now)
    },
    question: () => question,
    deadline: () =>
      !end.isSilent ? undefined : isComplete ? end.understoodAt : giveUpAt && Math.max(giveUpAt, end.understoodAt),
    wake: decide,
    turnStarted: reset,
    turnStopped: () => {
      reset()
      memory?.clear()
    }
  }
}
