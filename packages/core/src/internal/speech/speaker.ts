/** Pushes what is spoken: audio and words, in order, as soon as they are there. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import * as Frame from "../../Frame.ts"
import * as Pcm from "../../Pcm.ts"
import * as Processor from "../../Processor.ts"
import type { Service, TextToSpeechError } from "../../TextToSpeech.ts"
import {
  AggregatedTextFrame,
  LlmResponseEndFrame,
  TtsStartedFrame,
  TtsStoppedFrame,
  TtsTextFrame
} from "../../VoiceFrames.ts"
import { SpeechOnset } from "../turns/speechOnset.ts"
import { SpokenWords } from "./spokenWords.ts"
import type { Segment } from "./synthesis.ts"

/** A segment on its way from where it is made to where it is pushed. */
export class SegmentFrame extends Frame.App<SegmentFrame>()("TtsSegmentFrame", { segment: Schema.Unknown }) {}

/** Milliseconds of audio in a frame, at most: an interruption finds no more under way. */
const chunkMillis = 100

/** Of speech, until it is known: about 15 characters a second. */
const initialMillisPerCharacter = 65

export const speaker = <R>(name: string, acquire: Effect.Effect<Service, never, R>) =>
  Processor.queued(
    name,
    Effect.gen(function*() {
      const { model, sampleRate } = yield* acquire
      const toMillis = (samples: number): number => samples * 1000 / sampleRate
      const chunk = Math.max(1, Math.round(chunkMillis * sampleRate / 1000))
      let millisPerCharacter = initialMillisPerCharacter
      let speaking = false
      /** Nothing of this speech has been heard yet. */
      let onset: SpeechOnset | undefined
      let unusable = false

      const stop = ({ push }: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.suspend(() => {
          if (!speaking) return Effect.void
          speaking = false
          return push(TtsStoppedFrame.make())
        })

      const tell = ({ aggregatedBy }: Segment, text: string, willBeSpoken: boolean, segmentId?: number) =>
        AggregatedTextFrame.make({
          text: text.trim(),
          aggregatedBy,
          willBeSpoken,
          ...segmentId !== undefined && { segmentId }
        })

      const measure = (segment: Segment, { metrics }: Processor.ProcessorContext) => {
        const { endedAt, firstAt, spoken, startedAt } = segment
        return {
          first: Effect.all([
            metrics.characterUsage(spoken.trim(), { model }),
            metrics.startTtfb({ at: startedAt, model }),
            metrics.stopTtfb({ at: firstAt })
          ], { discard: true }),
          end: Effect.andThen(
            metrics.startProcessing({ at: startedAt, model }),
            metrics.stopProcessing({ at: endedAt })
          )
        }
      }

      const aloud = (segment: Segment, words: SpokenWords, context: Processor.ProcessorContext) =>
        Effect.gen(function*() {
          const { push } = context
          const told: Array<{ readonly text: string; readonly start: number }> = []
          let byEngine = false
          let position = 0
          segment.announcedAs = undefined

          const begin = Effect.fnUntraced(function*() {
            yield* measure(segment, context).first
            byEngine = segment.words > 0
            if (!speaking) {
              onset = new SpeechOnset(sampleRate)
              yield* push(TtsStartedFrame.make())
            }
            speaking = true
            const frame = tell(segment, segment.text, true)
            segment.announcedAs = frame.id
            yield* push(frame)
          })
          const say = (all: ReadonlyArray<string>): Effect.Effect<void> =>
            Effect.forEach(all, (text) =>
              push(TtsTextFrame.make({
                text,
                segmentId: segment.announcedAs!,
                ...!segment.appendToContext && { appendToContext: false }
              })), { discard: true })
          /** When the next word begins, in milliseconds. */
          const nextWord = (): number | undefined => {
            if (byEngine) return told[0]?.start
            const share = words.nextShare
            if (share >= 1) return undefined
            const length = toMillis(segment.length)
            return share * (segment.isComplete ? length : Math.max(length, segment.spoken.length * millisPerCharacter))
          }
          const play = Effect.fnUntraced(function*(samples: Int16Array) {
            const silence = onset?.push(samples)
            if (silence !== undefined) {
              onset = undefined
              yield* context.metrics.ttfa(silence)
            }
            for (let at = 0; at < samples.length;) {
              const now = toMillis(position)
              let next = nextWord()
              while (next !== undefined && next <= now + 0.5) {
                yield* say(byEngine ? words.say(told.shift()!.text) : words.takeNext())
                next = nextWord()
              }
              const until = next === undefined ? Infinity : Math.max(1, Math.round((next - now) * sampleRate / 1000))
              const part = samples.subarray(at, at + Math.min(chunk, until))
              yield* push(Frame.AudioRawFrame.make({ audio: Pcm.fromInt16(part), sampleRate, numChannels: 1 }))
              at += part.length
              position += part.length
            }
          })

          for (let i = 0;; i++) {
            const part = yield* segment.part(i)
            if (part === undefined) break
            if (part._tag === "Word") told.push(part)
            else {
              if (segment.announcedAs === undefined) yield* begin()
              // the rest may be there already, and the length of all of it tells where its words are
              if (!byEngine && !segment.isComplete) yield* Effect.yieldNow
              yield* play(part.samples)
            }
          }
          if (segment.announcedAs === undefined) yield* push(tell(segment, segment.text, false))
          else {
            millisPerCharacter = toMillis(segment.length) / segment.spoken.length
            yield* say(words.takeAll())
          }
        })

      const failed = (
        error: TextToSpeechError,
        segment: Segment,
        words: SpokenWords,
        context: Processor.ProcessorContext
      ): Effect.Effect<void> =>
        Effect.suspend(() => {
          unusable ||= !error.isRetryable
          const { announcedAs } = segment
          const rest = announcedAs === undefined ? segment.text : words.unspoken
          return Effect.andThen(
            context.report(error, { unusable: !error.isRetryable }),
            rest.trim() === "" ? Effect.void : context.push(tell(segment, rest, false, announcedAs))
          )
        })

      const speak = (segment: Segment, context: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.gen(function*() {
          if (segment.aloud) {
            const words = new SpokenWords(segment.spoken)
            yield* Effect.catch(aloud(segment, words, context), (error) => failed(error, segment, words, context))
          } else yield* context.push(tell(segment, segment.text, false))
          if (segment.isComplete) {
            yield* measure(segment, context).end
            if (unusable) {
              unusable = false
              yield* context.recovered
            }
          }
          if (segment.closes) yield* stop(context)
        }).pipe(Effect.onExit((exit) =>
          Effect.sync(() => {
            // what must not be cut comes again
            if (!segment.uninterruptible || !Exit.hasInterrupts(exit)) segment.release()
          })
        ))

      return {
        metrics: true,
        TtsSegmentFrame: (frame: SegmentFrame, context: Processor.ProcessorContext) =>
          speak(frame.segment as Segment, context), // only `Tts` makes these frames
        LlmResponseEndFrame: (frame: LlmResponseEndFrame, context: Processor.ProcessorContext) =>
          Effect.andThen(stop(context), context.push(frame)),
        onInterruption: () =>
          Effect.sync(() => {
            speaking = false
          }),
        onEnd: (_: Frame.EndFrame, context: Processor.ProcessorContext) => stop(context)
      }
    }),
    { frames: [LlmResponseEndFrame, SegmentFrame] }
  )
