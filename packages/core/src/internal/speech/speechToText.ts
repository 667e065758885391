/** Recognisers made of recognisers. */
import type * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Resampler from "../../Resampler.ts"
import type { Options, Service, SpeechToTextError, Switched, Transcript } from "../../SpeechToText.ts"
import { AudioReplay, joinSamples, quietest } from "../audio/audioReplay.ts"

/** Milliseconds later. */
export const shift = (transcript: Transcript, by: number): Transcript =>
  by === 0 ? transcript : {
    ...transcript,
    start: transcript.start + by,
    end: transcript.end + by,
    ...transcript.words !== undefined &&
      { words: transcript.words.map((word) => ({ ...word, start: word.start + by, end: word.end + by })) }
  }

type Results = Queue.Queue<Transcript, SpeechToTextError | Cause.Done>

/** Understands again and again what has come so far: one at a time, and what was outrun is not told. */
export const streamOf = (
  { sampleRate, transcribe }: Omit<Service, "stream">,
  interval: number,
  maxSegment: number
): Service["stream"] => {
  const toMillis = (samples: number): number => samples * 1000 / sampleRate
  const limit = Math.round(maxSegment * sampleRate / 1000)
  return (audio, options) =>
    Stream.callback<Transcript, SpeechToTextError>((queue: Results) =>
      Effect.gen(function*() {
        const guess = yield* FiberHandle.make<void, SpeechToTextError>()
        let chunks: Array<Int16Array> = []
        let length = 0
        let offset = 0
        /** How much of the segment had come when it was looked at last. */
        let looked = 0
        let busy = false
        let told = ""

        const lookAgain = Effect.suspend(() => {
          if (options?.interim === false || busy || toMillis(length - looked) < interval) return Effect.void
          looked = length
          busy = true
          const at = offset
          return transcribe(joinSamples(chunks), options).pipe(
            Effect.map((result) => {
              if (result.text === "" || result.text === told) return
              told = result.text
              Queue.offerUnsafe(queue, { ...shift(result, toMillis(at)), isFinal: false })
            }),
            // the final one will tell
            Effect.ignore,
            Effect.ensuring(Effect.sync(() => {
              busy = false
            })),
            FiberHandle.run(guess)
          )
        })

        const finish = Effect.fnUntraced(function*(samples: Int16Array) {
          yield* FiberHandle.clear(guess)
          const result = yield* transcribe(samples, options)
          Queue.offerUnsafe(queue, { ...shift(result, toMillis(offset)), isFinal: true })
          offset += samples.length
          looked = 0
          told = ""
        })

        const take = Effect.fnUntraced(function*(chunk: Int16Array) {
          chunks.push(chunk)
          length += chunk.length
          while (length > limit) {
            const all = joinSamples(chunks)
            const at = quietest(all, Math.floor(limit * 2 / 3), limit, Math.round(sampleRate / 5))
            chunks = [all.subarray(at)]
            length = all.length - at
            yield* finish(all.subarray(0, at))
          }
          yield* lookAgain
        })

        yield* Stream.runForEach(audio, take)
        if (length > 0) yield* finish(joinSamples(chunks))
        Queue.endUnsafe(queue)
      }).pipe(Effect.catchCause((cause) => Effect.sync(() => Queue.failCauseUnsafe(queue, cause))))
    )
}

/** Goes through the services, beginning with the one that worked last. */
class Rotation {
  private active = 0
  private readonly services: ReadonlyArray<Service>
  private readonly onSwitched: ((event: Switched) => Effect.Effect<void>) | undefined

  constructor(services: ReadonlyArray<Service>, onSwitched: ((event: Switched) => Effect.Effect<void>) | undefined) {
    this.services = services
    this.onSwitched = onSwitched
  }

  try<A>(attempt: (service: Service) => Effect.Effect<A, SpeechToTextError>): Effect.Effect<A, SpeechToTextError> {
    const next = (tried: number): Effect.Effect<A, SpeechToTextError> =>
      Effect.suspend(() => {
        const at = this.active
        const service = this.services[at]!
        return Effect.catch(attempt(service), (error) => {
          if (tried + 1 >= this.services.length) return Effect.fail(error)
          // somebody else may have switched meanwhile
          if (this.active === at) this.active = (at + 1) % this.services.length
          const event = { from: service.name, to: this.services[this.active]!.name, error }
          return Effect.andThen(this.onSwitched?.(event) ?? Effect.void, next(tried + 1))
        })
      })
    return next(0)
  }
}

const resampled = (audio: Stream.Stream<Int16Array>, from: number, to: number): Stream.Stream<Int16Array> =>
  from === to ? audio : Stream.suspend(() => {
    const resampler = Result.getOrThrow(Resampler.make({ from, to }))
    return Stream.concat(
      Stream.map(audio, (chunk) => resampler.pushInt16(chunk)),
      Stream.suspend(() => Stream.succeed(resampler.flushInt16()))
    )
  })

export const failoverOf = (
  services: readonly [Service, ...ReadonlyArray<Service>],
  onSwitched: ((event: Switched) => Effect.Effect<void>) | undefined,
  keep: Duration.Duration
): Service => {
  const [{ model, name, sampleRate }] = services
  const rotation = new Rotation(services, onSwitched)
  const limit = Duration.toSeconds(keep) * sampleRate
  const latencies = services.flatMap(({ p99Latency }) => p99Latency ?? [])

  const transcribe = (audio: Int16Array, options?: Options): Effect.Effect<Transcript, SpeechToTextError> =>
    rotation.try((service) =>
      service.transcribe(
        service.sampleRate === sampleRate
          ? audio
          : Result.getOrThrow(Resampler.resample(audio, { from: sampleRate, to: service.sampleRate })),
        options
      )
    )

  const stream: Service["stream"] = (audio, options) =>
    Stream.callback<Transcript, SpeechToTextError>((queue: Results) =>
      Effect.gen(function*() {
        const replay = new AudioReplay()
        const take = (chunk: Int16Array): Effect.Effect<void> =>
          Effect.sync(() => {
            // first: whoever waits for the chunk goes on at once
            replay.release(replay.end + chunk.length - limit)
            replay.push(chunk)
          })
        yield* Stream.runForEach(audio, take).pipe(
          Effect.ensuring(Effect.sync(() => replay.close())),
          Effect.forkScoped({ startImmediately: true })
        )
        yield* rotation.try((service) =>
          Effect.suspend(() => {
            const offset = replay.start
            return Stream.runForEach(
              service.stream(resampled(replay.stream(), sampleRate, service.sampleRate), options),
              (result) =>
                Effect.sync(() => {
                  const shifted = shift(result, offset * 1000 / sampleRate)
                  // what has been understood for good needs no second opinion
                  if (shifted.isFinal) replay.release(Math.round(shifted.end * sampleRate / 1000))
                  Queue.offerUnsafe(queue, shifted)
                })
            )
          })
        )
        Queue.endUnsafe(queue)
      }).pipe(Effect.catchCause((cause) => Effect.sync(() => Queue.failCauseUnsafe(queue, cause))))
    )

  return {
    name,
    model,
    sampleRate,
    ...latencies.length > 0 && { p99Latency: Math.max(...latencies) },
    transcribe,
    stream
  }
}
