/** Makes speech ahead of its time: a few segments at once, each kept until it has been heard out. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { type Options as SpeechOptions, type Part, type Service, TextToSpeechError } from "../../TextToSpeech.ts"

export interface Options {
  readonly service: Service
  readonly clock: Clock.Clock
  readonly scope: Scope.Scope
  /** Segments that are made or wait to be heard. */
  readonly limit: number
  readonly retry: Schedule.Schedule<unknown, TextToSpeechError>
  /** Milliseconds from one part to the next. */
  readonly timeout: number
}

/** A text that is spoken as a whole. */
export class Segment {
  /** As it is written. */
  readonly text: string
  /** As it is spoken; blank: not at all. */
  readonly spoken: string
  readonly aggregatedBy: string
  /** `false`: it is to be read. */
  readonly aloud: boolean
  /** Speech ends with it. */
  readonly closes: boolean
  readonly appendToContext: boolean
  readonly uninterruptible: boolean
  readonly speech: SpeechOptions
  readonly parts: Array<Part> = []
  /** The frame that says that it will be spoken. */
  announcedAs: number | undefined
  /** Samples. */
  length = 0
  words = 0
  startedAt: number | undefined
  firstAt: number | undefined
  endedAt: number | undefined
  private exit: Exit.Exit<void, TextToSpeechError> | undefined
  private readonly changed = Latch.makeUnsafe(false)
  private readonly heard = Latch.makeUnsafe(false)

  constructor(
    fields: Pick<
      Segment,
      "text" | "spoken" | "aggregatedBy" | "aloud" | "closes" | "appendToContext" | "uninterruptible" | "speech"
    >
  ) {
    this.text = fields.text
    this.spoken = fields.spoken
    this.aggregatedBy = fields.aggregatedBy
    this.aloud = fields.aloud
    this.closes = fields.closes
    this.appendToContext = fields.appendToContext
    this.uninterruptible = fields.uninterruptible
    this.speech = fields.speech
  }

  get isComplete(): boolean {
    return this.exit !== undefined && Exit.isSuccess(this.exit)
  }

  push(part: Part, now: number): void {
    if (part._tag === "Word") this.words++
    else {
      this.firstAt ??= now
      this.length += part.samples.length
    }
    this.parts.push(part)
    this.changed.openUnsafe()
  }

  end(exit: Exit.Exit<void, TextToSpeechError>, now: number): void {
    this.exit = exit
    this.endedAt = now
    this.changed.openUnsafe()
  }

  /** The part at an index, when it is there; `undefined` behind the last one. */
  part(index: number): Effect.Effect<Part | undefined, TextToSpeechError> {
    return Effect.suspend(() => {
      if (index < this.parts.length) return Effect.succeed(this.parts[index])
      if (this.exit !== undefined) return Effect.as(this.exit, undefined)
      this.changed.closeUnsafe()
      return Effect.andThen(this.changed.await, this.part(index))
    })
  }

  /** Nobody needs it any more. */
  release(): void {
    this.heard.openUnsafe()
  }

  readonly awaitRelease: Effect.Effect<void> = Effect.suspend(() => this.heard.await)
}

export class Synthesis {
  private readonly options: Options
  private readonly waiting: Array<Segment> = []
  private readonly running = new Map<Segment, Fiber.Fiber<void>>()

  constructor(options: Options) {
    this.options = options
  }

  add(segment: Segment): Effect.Effect<void> {
    this.waiting.push(segment)
    return this.next
  }

  /** The user has interrupted: gives up what may be cut, and gives the rest. */
  cut(): ReadonlyArray<Segment> {
    const kept = this.waiting.filter(({ uninterruptible }) => uninterruptible)
    this.waiting.splice(0, Infinity, ...kept)
    for (const [segment, fiber] of this.running) if (!segment.uninterruptible) fiber.interruptUnsafe()
    return [...Array.from(this.running.keys()).filter(({ uninterruptible }) => uninterruptible), ...kept]
  }

  private readonly next: Effect.Effect<void> = Effect.suspend(() => {
    if (this.waiting.length === 0 || this.running.size >= this.options.limit) return Effect.void
    const segment = this.waiting.shift()!
    return Effect.forkIn(this.hold(segment), this.options.scope).pipe(
      Effect.andThen((fiber) => {
        this.running.set(segment, fiber)
        // it may have been done before it could be noted
        if (fiber.pollUnsafe() !== undefined) this.running.delete(segment)
        return this.next
      })
    )
  })

  private hold(segment: Segment): Effect.Effect<void> {
    const { clock } = this.options
    return this.make(segment).pipe(
      Effect.onExit((exit) => Effect.sync(() => segment.end(exit, clock.currentTimeMillisUnsafe()))),
      Effect.ignoreCause,
      Effect.andThen(segment.awaitRelease),
      Effect.ensuring(Effect.suspend(() => {
        this.running.delete(segment)
        return this.next
      }))
    )
  }

  private make(segment: Segment): Effect.Effect<void, TextToSpeechError> {
    const { clock, retry, service, timeout } = this.options
    return Effect.suspend(() => {
      segment.startedAt ??= clock.currentTimeMillisUnsafe()
      // what is there already is not made again
      let [length, words] = [segment.length, segment.words]
      let latest = clock.currentTimeMillisUnsafe()
      const take = (parts: ReadonlyArray<Part>): Effect.Effect<void> =>
        Effect.sync(() => {
          latest = clock.currentTimeMillisUnsafe()
          for (const part of parts) {
            if (part._tag === "Word") {
              if (words > 0) words--
              else segment.push(part, latest)
            } else {
              const known = Math.min(length, part.samples.length)
              length -= known
              const samples = part.samples.subarray(known)
              if (samples.length > 0) segment.push({ _tag: "Audio", samples }, latest)
            }
          }
        })
      const watch: Effect.Effect<never, TextToSpeechError> = Effect.suspend(() => {
        const left = latest + timeout - clock.currentTimeMillisUnsafe()
        return left > 0 ? Effect.andThen(Effect.sleep(left), watch) : Effect.fail(this.tooLate)
      })
      const parts = service.synthesize(segment.spoken.trim(), segment.speech)
      return Effect.raceFirst(Stream.runForEachArray(parts, take), watch)
    }).pipe(Effect.retry({ schedule: retry, while: ({ isRetryable }) => isRetryable }))
  }

  private get tooLate(): TextToSpeechError {
    const { service: { name }, timeout } = this.options
    return new TextToSpeechError({
      synthesizer: name,
      isRetryable: true,
      cause: new Error(`nothing came for ${timeout} ms`)
    })
  }
}
