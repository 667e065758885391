/** Understands utterances, one after the other, and tells what was said. */
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type * as Frame from "../../Frame.ts"
import type { ProcessorContext } from "../../Processor.ts"
import { type Options as SpeechOptions, type Service, SpeechToTextError, type Transcript } from "../../SpeechToText.ts"
import { InterimTranscriptionFrame, TranscriptionFrame } from "../../VoiceFrames.ts"
import type { Utterance } from "./utterance.ts"

export interface Options {
  readonly service: Service
  readonly clock: Clock.Clock
  readonly continuous: boolean
  readonly interim: boolean
  readonly userId: string
  readonly retry: Schedule.Schedule<unknown, SpeechToTextError>
  /** Milliseconds from the end of an utterance. */
  readonly timeout: number
  /** The task that is served at the moment. */
  readonly context: () => ProcessorContext
  /** Whether the user speaks; `undefined` where nobody tells. */
  readonly speaking: () => boolean | undefined
  /** When it was told that the user had stopped speaking. */
  readonly stoppedAt: () => number | undefined
  /** How long after the end of speech that is, in milliseconds. */
  readonly told: () => number
}

type Attempt = Effect.Effect<void, SpeechToTextError>

const isBlank = (text: string): boolean => text.trim() === ""

export class Recognition {
  private readonly options: Options
  private readonly queue: Queue.Queue<Utterance, Cause.Done> = Effect.runSync(Queue.unbounded<Utterance, Cause.Done>())
  /** Somebody speaks: it is worth while to try again. */
  private readonly wanted = Latch.makeUnsafe(false)
  /** The user has said something, and has fallen silent. */
  private readonly said = Latch.makeUnsafe(false)
  /** Nothing has come since the user began to speak. */
  private isUnheard = false
  private unusable = false
  /** Final results so far. */
  private results = 0
  /** The silence whose result has been measured. */
  private measured: number | undefined
  /** When a final result came, the last time. */
  private latest = -Infinity
  /** Samples of the utterance that were told as usage. */
  private counted = 0

  constructor(options: Options) {
    this.options = options
  }

  /** Listens to an utterance, when those before it have been understood. */
  listen(utterance: Utterance): void {
    Queue.offerUnsafe(this.queue, utterance)
  }

  speaks(): void {
    this.isUnheard = true
    this.wanted.openUnsafe()
  }

  falls(): void {
    this.said.openUnsafe()
  }

  /** No more utterances come. */
  readonly end: Effect.Effect<void> = Effect.suspend(() => {
    this.wanted.openUnsafe()
    return Queue.end(this.queue)
  })

  readonly run: Effect.Effect<void> = Effect.suspend(() =>
    Queue.take(this.queue).pipe(
      Effect.flatMap((utterance) =>
        (utterance.isDropped ? Effect.void : Effect.raceFirst(this.understand(utterance), utterance.awaitDrop)).pipe(
          // what the service dies of, which nobody else would hear
          Effect.catchCause((cause) => this.options.context().reportCause(cause))
        )
      ),
      Effect.forever({ disableYield: true }),
      Pull.catchDone(() => Effect.void)
    )
  )

  // ---------------------------------------------------------------------------------------------- failures

  private understand(utterance: Utterance): Effect.Effect<void> {
    this.counted = 0
    const attempt = this.within(utterance, this.attempt(utterance))
    return Effect.andThen(
      this.options.continuous ? this.keepListening(utterance, attempt) : this.tryAll(utterance, attempt),
      Effect.suspend(() => this.usage(utterance))
    )
  }

  private retried(attempt: Attempt, goesOn: () => boolean = () => true): Attempt {
    return Effect.retry(attempt, {
      schedule: this.options.retry,
      while: ({ isRetryable }) => isRetryable && goesOn()
    })
  }

  private tryAll(utterance: Utterance, attempt: Attempt): Effect.Effect<void> {
    const { replay } = utterance
    return this.retried(attempt).pipe(
      // it is not over yet: when it is, it may be understood
      Effect.catch((error) =>
        error.isRetryable && !replay.isClosed
          ? Effect.andThen(replay.awaitClose, this.retried(attempt))
          : Effect.fail(error)
      ),
      Effect.andThen(Effect.suspend(() => this.works)),
      Effect.catch((error) => this.failed(error))
    )
  }

  /** One stream for everything: when it is lost, the next one goes on where it was. */
  private readonly keepListening = Effect.fnUntraced(function*(
    this: Recognition,
    utterance: Utterance,
    attempt: Attempt
  ) {
    const { replay } = utterance
    while (true) {
      const before = this.results
      const result = yield* Effect.result(this.retried(attempt, () => this.results === before))
      if (Result.isSuccess(result)) return
      // after it has worked, it may fail as often as before
      if (result.failure.isRetryable && this.results > before) continue
      yield* this.failed(result.failure)
      if (replay.isClosed) return
      this.wanted.closeUnsafe()
      yield* Effect.raceFirst(this.wanted.await, replay.awaitClose)
    }
  })

  private failed(error: SpeechToTextError): Effect.Effect<void> {
    const unusable = !error.isRetryable
    this.unusable ||= unusable
    return this.options.context().report(error, { unusable })
  }

  private get works(): Effect.Effect<void> {
    if (!this.unusable) return Effect.void
    this.unusable = false
    return this.options.context().recovered
  }

  private failure(why: string): SpeechToTextError {
    return new SpeechToTextError({ recognizer: this.options.service.name, isRetryable: true, cause: new Error(why) })
  }

  /** Once the audio is over, there is a time limit. */
  private within({ replay }: Utterance, attempt: Attempt): Attempt {
    const { timeout } = this.options
    return Effect.raceFirst(
      attempt,
      replay.awaitClose.pipe(
        Effect.andThen(Effect.sleep(timeout)),
        Effect.andThen(Effect.suspend(() => Effect.fail(this.failure(`no final result within ${timeout} ms`))))
      )
    )
  }

  // ---------------------------------------------------------------------------------------------- attempts

  private attempt(utterance: Utterance): Attempt {
    const { continuous, interim } = this.options
    if (continuous) return this.unlessStalled(this.stream(utterance))
    return interim ? this.stream(utterance) : this.transcribe(utterance)
  }

  /** Begins anew when it is stuck, with what it has not understood. That may have been mere noise: it is no failure. */
  private unlessStalled(attempt: Attempt): Attempt {
    return Effect.raceFirst(Effect.as(attempt, false), Effect.as(this.stalls, true)).pipe(
      Effect.flatMap((stalled) => stalled ? this.unlessStalled(attempt) : Effect.void)
    )
  }

  /** Ends when nothing comes of what the user has said. */
  private readonly stalls: Effect.Effect<void> = Effect.suspend(() => {
    this.said.closeUnsafe()
    return this.said.await.pipe(
      Effect.andThen(Effect.suspend(() => Effect.sleep(this.options.timeout))),
      Effect.andThen(Effect.suspend(() => this.isUnheard ? Effect.void : this.stalls))
    )
  })

  private transcribe(utterance: Utterance): Attempt {
    const { language, replay } = utterance
    return Effect.andThen(
      replay.awaitClose,
      Effect.suspend(() => {
        const given = this.given(language, false)
        return Effect.flatMap(
          this.options.service.transcribe(replay.from(replay.start), given),
          (result) => this.final(result, utterance, true)
        )
      })
    )
  }

  private stream(utterance: Utterance): Attempt {
    const { continuous, interim, service } = this.options
    const { language, replay } = utterance
    return Effect.suspend(() => {
      const offset = replay.start
      /** Final, but maybe not the last one. */
      let held: Transcript | undefined
      const told = Effect.fnUntraced(function*(this: Recognition, result: Transcript, isLatest: boolean) {
        this.isUnheard = false
        if (!result.isFinal) return isLatest ? yield* this.interim(result) : undefined
        replay.release(offset + Math.round(result.end * service.sampleRate / 1000))
        if (isBlank(result.text)) return
        this.results++
        if (continuous) return yield* this.final(result, utterance, this.options.speaking() === false)
        if (held !== undefined) yield* this.final(held, utterance, false)
        held = replay.isClosed ? result : undefined
        if (held === undefined) yield* this.final(result, utterance, false)
      }).bind(this)
      return Stream.runForEachArray(
        service.stream(replay.stream(), this.given(language, interim)),
        // an interim result that another one follows at once is no news
        (results) => Effect.forEach(results, (result, i) => told(result, i === results.length - 1), { discard: true })
      ).pipe(
        Effect.catch((error) => held === undefined ? Effect.fail(error) : Effect.void),
        Effect.andThen(Effect.suspend(() => {
          if (held !== undefined) return this.final(held, utterance, true)
          return replay.isClosed ? Effect.void : Effect.fail(this.failure("the results ended before the audio"))
        }))
      )
    })
  }

  private given(language: string | undefined, interim: boolean): SpeechOptions {
    return { interim, ...language !== undefined && { language } }
  }

  // ---------------------------------------------------------------------------------------------- results

  private push(frame: (timestamp: string) => Frame.Frame): Effect.Effect<void> {
    const now = DateTime.makeUnsafe(this.options.clock.currentTimeMillisUnsafe())
    return this.options.context().pushDownstream(frame(DateTime.formatIso(now)))
  }

  private interim({ text }: Transcript): Effect.Effect<void> {
    const { userId } = this.options
    if (isBlank(text)) return Effect.void
    return this.push((timestamp) => InterimTranscriptionFrame.make({ text: text.trim(), userId, timestamp }))
  }

  /** `isLast`: nothing more follows of what was said up to now. */
  private final({ text }: Transcript, utterance: Utterance, isLast: boolean): Effect.Effect<void> {
    const { continuous, service: { model }, stoppedAt, told, userId } = this.options
    if (isBlank(text)) return Effect.void
    const at = continuous ? stoppedAt() : utterance.stoppedAt
    this.latest = this.options.clock.currentTimeMillisUnsafe()
    const finalized = isLast && (continuous || at !== undefined)
    const { metrics } = this.options.context()
    const isFirst = at !== this.measured
    if (finalized) this.measured = at
    const measured = !finalized || at === undefined || !isFirst ? Effect.void : Effect.all([
      // an interruption meanwhile is none of what is measured here
      metrics.startTtfb({ at: at - told(), model }),
      metrics.stopTtfb(),
      metrics.startProcessing({ at, model }),
      metrics.stopProcessing()
    ], { discard: true })
    return Effect.andThen(
      measured,
      this.push((timestamp) => TranscriptionFrame.make({ text: text.trim(), userId, timestamp, finalized }))
    ).pipe(Effect.andThen(continuous ? Effect.suspend(() => this.usage(utterance)) : Effect.void))
  }

  /**
   * A silence is told of, and no result may follow that was not there before that: the last one since the end of speech is
   * what there is to measure, once the service has had its time.
   */
  measureLate(silence: number, wait: number): Effect.Effect<void> {
    const { service: { model }, stoppedAt, told } = this.options
    return Effect.andThen(
      Effect.sleep(Math.max(0, wait - told())),
      Effect.suspend(() => {
        const since = silence - told()
        if (this.measured === silence || stoppedAt() !== silence || this.latest < since) return Effect.void
        this.measured = silence
        const { metrics } = this.options.context()
        return Effect.andThen(metrics.startTtfb({ at: since, model }), metrics.stopTtfb({ at: this.latest }))
      })
    )
  }

  private usage({ samples }: Utterance): Effect.Effect<void> {
    const { model, sampleRate } = this.options.service
    const seconds = (samples - this.counted) / sampleRate
    this.counted = samples
    return seconds > 0 ? this.options.context().metrics.audioUsage(seconds, { model }) : Effect.void
  }
}
