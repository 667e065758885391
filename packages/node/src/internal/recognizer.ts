import * as SpeechToText from "@apipeline/core/SpeechToText"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type EngineError, isRetryable, OptionError, type WorkerOptions } from "../SpeechEngine.ts"
import { cutAt, guessWords, isSilent, makeRecording, maxSegment, minSegment, sampleRate, wasOver } from "./segments.ts"
import * as WorkerPool from "./workerPool.ts"

/** What a worker that recognises speech is told. */
export interface RecognizerOptions {
  readonly model: "tiny" | "base"
  /** What is imported as `sherpa-onnx-node`. */
  readonly module?: string | undefined
}

/** Interim results come after so many samples. */
const interimEvery = sampleRate

const toMillis = (samples: number): number => samples / sampleRate * 1000

/** A recogniser whose workers understand segments of up to 15 seconds. */
export const make = (
  name: string,
  worker: string,
  options: RecognizerOptions & WorkerOptions,
  /** An estimate from six runs of 13 seconds of speech, on a busy machine. Busier ones were later than that. */
  p99Latency: { readonly [M in RecognizerOptions["model"]]: number }
): Effect.Effect<SpeechToText.Service, SpeechToText.SpeechToTextError, Scope.Scope> =>
  Effect.gen(function*() {
    const failed = (cause: EngineError): SpeechToText.SpeechToTextError =>
      new SpeechToText.SpeechToTextError({ recognizer: name, isRetryable: isRetryable(cause), cause })
    const { model, module } = options
    if (model !== "tiny" && model !== "base") {
      return yield* failed(new OptionError({ field: "model", found: String(model), expected: "tiny or base" }))
    }
    const pool = yield* WorkerPool.make<Int16Array, string>(
      WorkerPool.workerUrl(worker),
      { model, module } satisfies RecognizerOptions,
      options
    ).pipe(Effect.mapError(failed))

    const transcript = (
      text: string,
      samples: Int16Array,
      offset: number,
      isFinal: boolean
    ): SpeechToText.Transcript => ({
      text,
      isFinal,
      start: toMillis(offset),
      end: toMillis(offset + samples.length),
      words: guessWords(text, samples, offset),
      language: "en"
    })

    /** Understands a segment. */
    const final = (samples: Int16Array, offset: number) =>
      Effect.map(
        samples.length < minSegment || isSilent(samples)
          ? Effect.succeed("")
          : Effect.mapError(pool.run(samples), failed),
        (text) => transcript(text, samples, offset, true)
      )

    const checkLanguage = (options?: SpeechToText.Options): Effect.Effect<void, SpeechToText.SpeechToTextError> => {
      const { language = "en" } = options ?? {}
      return /^en\b/i.test(language)
        ? Effect.void
        : Effect.fail(failed(new OptionError({ field: "language", found: language, expected: "en" })))
    }

    const transcribe = Effect.fnUntraced(function*(audio: Int16Array, options?: SpeechToText.Options) {
      yield* checkLanguage(options)
      const parts: Array<SpeechToText.Transcript> = []
      for (let at = 0; at < audio.length;) {
        const rest = audio.subarray(at, at + maxSegment + 1)
        const segment = rest.subarray(0, cutAt(rest))
        parts.push(yield* final(segment, at))
        at += segment.length
      }
      return {
        text: parts.flatMap((part) => part.text === "" ? [] : [part.text]).join(" "),
        isFinal: true,
        start: 0,
        end: toMillis(audio.length),
        words: parts.flatMap((part) => part.words ?? []),
        language: "en"
      }
    })

    const stream = (
      audio: Stream.Stream<Int16Array>,
      options?: SpeechToText.Options
    ): Stream.Stream<SpeechToText.Transcript, SpeechToText.SpeechToTextError> =>
      Stream.callback((queue) =>
        Effect.gen(function*() {
          yield* checkLanguage(options)
          const recording = makeRecording()
          const guessing = yield* FiberHandle.make<void, SpeechToText.SpeechToTextError>()
          /** Where the segment begins. */
          let offset = 0
          /** Its length when the last interim result was asked for. */
          let guessed = 0
          /** The latest interim result, and the length of what it is for. */
          let latest: { readonly text: string; readonly length: number } | undefined

          /** Whether nothing has been said since the latest interim result. */
          const isKnown = (samples: Int16Array): boolean =>
            latest !== undefined && latest.length <= samples.length && wasOver(samples, latest.length)

          const guess = Effect.suspend(() => {
            guessed = recording.length()
            if (isSilent(recording.view()) || isKnown(recording.view())) return Effect.void
            const samples = recording.view().slice()
            return Effect.matchEffect(pool.runIdle(samples), {
              onSuccess: (text) => {
                if (Option.isNone(text) || text.value === "") return Effect.void
                latest = { text: text.value, length: samples.length }
                return Effect.asVoid(Queue.offer(queue, transcript(text.value, samples, offset, false)))
              },
              // the final result will have the same trouble, and tell
              onFailure: () => Effect.void
            })
          })

          const finish = Effect.fnUntraced(function*(length: number) {
            const segment = recording.shift(length)
            // all was said when the interim result was asked for: it will do
            const isGuessing = FiberHandle.getUnsafe(guessing)._tag === "Some"
            if (isGuessing && wasOver(segment, guessed)) yield* FiberHandle.awaitEmpty(guessing)
            yield* FiberHandle.clear(guessing)
            yield* Queue.offer(
              queue,
              latest !== undefined && isKnown(segment)
                ? transcript(latest.text, segment, offset, true)
                : yield* final(segment, offset)
            )
            offset += segment.length
            guessed = 0
            latest = undefined
          })

          yield* Stream.runForEach(audio, (samples) =>
            Effect.gen(function*() {
              recording.push(samples)
              while (recording.length() > maxSegment) yield* finish(cutAt(recording.view()))
              if (options?.interim !== false && recording.length() - guessed >= interimEvery) {
                yield* FiberHandle.run(guessing, guess, { onlyIfMissing: true })
              }
            }))
          // what was said is out, unless there was nothing at all
          if (recording.length() > 0 || offset === 0) yield* finish(recording.length())
          yield* Queue.end(queue)
        }).pipe(Effect.catch((error) => Queue.fail(queue, error)))
      )

    return { name, model, sampleRate, p99Latency: p99Latency[model], transcribe, stream }
  })
