/**
 * A recogniser of speech that does what a script says, in virtual time, and checks that it was called as the script says.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { joinSamples } from "../internal/audio/audioReplay.ts"
import { FakeScript, hasOptions, showOptions } from "../internal/fakeScript.ts"
import * as SpeechToText from "../SpeechToText.ts"

// ---------------------------------------------------------------------------------------------------------------------
// scripts
// ---------------------------------------------------------------------------------------------------------------------

/**
 * When a step is due: so many milliseconds of audio have come (`at`; default: all of it, for an interim result none),
 * and then some time has passed (`after`; default: none).
 *
 * @category models
 * @since 0.1.0
 */
export interface When {
  /** In `transcribe`, where all audio is there, it changes nothing. */
  readonly at?: number | undefined
  readonly after?: Duration.Input | undefined
}

/**
 * What the recogniser does next.
 *
 * @category models
 * @since 0.1.0
 */
export type Step = When & {
  readonly do: (() => Partial<SpeechToText.Transcript>) | SpeechToText.SpeechToTextError | "hang"
}

/**
 * A call that is expected, and what comes of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly method: "transcribe" | "stream"
  readonly steps: ReadonlyArray<Step>
  readonly expected: Expected
}

/**
 * What is expected of a call, as far as it is given.
 *
 * @category models
 * @since 0.1.0
 */
export interface Expected extends SpeechToText.Options {
  /** Milliseconds of audio that a `transcribe` gets. */
  readonly milliseconds?: number | undefined
}

/**
 * A result that may still change.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
 *
 * const call = Fake.stream([Fake.interim("hel", { at: 200 }), Fake.final("hello")])
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const interim = (text: string, when: When = {}): Step => ({
  at: 0,
  ...when,
  do: () => ({ text, isFinal: false })
})

/**
 * A final result; a function is called when it is due.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
 *
 * const call = Fake.transcribe(Fake.final("hello", { after: "300 millis" }))
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const final = (
  text: string | (() => string),
  when: When & Partial<Omit<SpeechToText.Transcript, "text" | "isFinal">> = {}
): Step => {
  const { after, at, ...rest } = when
  return { at, after, do: () => ({ ...rest, text: typeof text === "string" ? text : text(), isFinal: true }) }
}

/**
 * A failure, after which nothing comes.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
 *
 * const call = Fake.transcribe(Fake.fails({ isRetryable: false, message: "no key" }))
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const fails = (
  options: When & { readonly isRetryable?: boolean | undefined; readonly message?: string | undefined } = {}
): Step => {
  const { after, at = 0, isRetryable = true, message = "scripted" } = options
  const cause = new Error(message)
  return { at, after, do: new SpeechToText.SpeechToTextError({ recognizer: "fake", isRetryable, cause }) }
}

/**
 * Nothing comes, and it never ends, until it is interrupted.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
 *
 * const call = Fake.stream([Fake.interim("hel", { at: 200 }), Fake.hangs()])
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const hangs = (when: When = {}): Step => ({ at: 0, ...when, do: "hang" })

/**
 * `transcribe` is called. The last step gives the result.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
 *
 * Fake.transcribe(Fake.final("hello"), { language: "en" }).method // => "transcribe"
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const transcribe = (steps: ReadonlyArray<Step> | Step, expected: Expected = {}): Call => ({
  method: "transcribe",
  steps: [steps].flat() as ReadonlyArray<Step>,
  expected
})

/**
 * `stream` is called. It ends after the last step, when the audio has ended.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
 *
 * Fake.stream(Fake.final("hello")).method // => "stream"
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const stream = (steps: ReadonlyArray<Step> | Step, expected: Expected = {}): Call => ({
  method: "stream",
  steps: [steps].flat() as ReadonlyArray<Step>,
  expected
})

// ---------------------------------------------------------------------------------------------------------------------
// the fake
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A call that has come.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorded {
  readonly method: "transcribe" | "stream"
  readonly options: SpeechToText.Options | undefined
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  /** What it was given, so far. */
  readonly audio: () => Int16Array
  /** How it has ended; `running` until then. */
  readonly outcome: () => "running" | "done" | "failed" | "interrupted"
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `fake`. */
  readonly name?: string | undefined
  /** Default: none. */
  readonly model?: string | undefined
  /** Hz. Default: 16000. */
  readonly sampleRate?: number | undefined
  /** Default: none. */
  readonly p99Latency?: number | undefined
}

/**
 * A fake, and what has come of its script.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fake {
  readonly service: SpeechToText.Service
  readonly calls: ReadonlyArray<Recorded>
}

/** What is done with any call, however many there are. */
type Script = ReadonlyArray<Call> | ((method: Call["method"], audio: () => Int16Array) => ReadonlyArray<Step>)

const showCall = ({ expected: { milliseconds, ...options }, method }: Call): string =>
  `${method}${milliseconds === undefined ? "" : ` (${milliseconds} ms)`}${showOptions(options)}`

/**
 * Makes a fake. A call that the script does not expect dies at once, and when the scope is closed, the fake dies if a call
 * was not expected or one that was has not come: with both lists, side by side.
 *
 * **Details**
 *
 * A function instead of a script answers any number of calls and expects none. Calls are told apart by when they begin.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as FakeSpeechToText from "@apipeline/core/testing/FakeSpeechToText"
 *
 * const test = Effect.gen(function*() {
 *   const fake = yield* FakeSpeechToText.make([FakeSpeechToText.transcribe(FakeSpeechToText.final("hello"))])
 *   return (yield* fake.service.transcribe(new Int16Array(1600))).text
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(test) // => "hello"
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (script: Script, options: Options = {}): Effect.Effect<Fake, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { model, name = "fake", p99Latency, sampleRate = 16000 } = options
    const calls: Array<Recorded> = []
    const checked = new FakeScript("FakeSpeechToText", typeof script === "function" ? [] : script, showCall)
    yield* checked.verifyAtClose

    const millisOf = (samples: number): number => samples * 1000 / sampleRate

    const begin = Effect.fnUntraced(function*(
      method: Call["method"],
      given: SpeechToText.Options | undefined,
      audio: () => Int16Array
    ) {
      let outcome: ReturnType<Recorded["outcome"]> = "running"
      const startedAt = yield* Clock.currentTimeMillis
      calls.push({ method, options: given, startedAt, audio, outcome: () => outcome })
      const end = (exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> =>
        Effect.sync(() => {
          outcome = Exit.isSuccess(exit) ? "done" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"
        })
      if (typeof script === "function") return { steps: script(method, audio), end }
      const milliseconds = method === "transcribe" ? millisOf(audio().length) : undefined
      const found = showCall({ method, steps: [], expected: { milliseconds, ...given } })
      const { steps } = yield* checked.next(
        found,
        ({ expected: { milliseconds: wanted, ...rest }, method: expected }) =>
          expected === method && hasOptions(given, rest) &&
          (wanted === undefined || milliseconds === undefined || Math.abs(wanted - milliseconds) < 1)
      )
      return { steps, end }
    })

    const transcript = (given: Partial<SpeechToText.Transcript>, samples: number): SpeechToText.Transcript => ({
      text: "",
      isFinal: true,
      start: 0,
      end: millisOf(samples),
      ...given
    })

    const perform = (step: Step): Effect.Effect<Partial<SpeechToText.Transcript>, SpeechToText.SpeechToTextError> =>
      Effect.andThen(
        step.after === undefined ? Effect.void : Effect.sleep(step.after),
        step.do === "hang"
          ? Effect.never
          : step.do instanceof SpeechToText.SpeechToTextError
          ? Effect.fail(step.do)
          : Effect.sync(step.do)
      )

    const transcribe: SpeechToText.Service["transcribe"] = (audio, given) =>
      Effect.gen(function*() {
        const copy = audio.slice()
        const { end, steps } = yield* begin("transcribe", given, () => copy)
        return yield* Effect.onExit(
          Effect.map(Effect.forEach(steps, perform), (all) => transcript(all.at(-1) ?? {}, audio.length)),
          end
        )
      })

    const stream: SpeechToText.Service["stream"] = (audio, given) =>
      Stream.callback<SpeechToText.Transcript, SpeechToText.SpeechToTextError>((queue) =>
        Effect.gen(function*() {
          const chunks: Array<Int16Array> = []
          let samples = 0
          let ended = false
          const changed = yield* Latch.make(false)
          const { end, steps } = yield* begin("stream", given, () => joinSamples(chunks))
          const come = (chunk: Int16Array): Effect.Effect<void> =>
            Effect.sync(() => {
              chunks.push(chunk.slice())
              samples += chunk.length
              changed.openUnsafe()
            })
          yield* Stream.runForEach(audio, come).pipe(
            Effect.andThen(Effect.sync(() => {
              ended = true
              changed.openUnsafe()
            })),
            Effect.forkScoped({ startImmediately: true })
          )
          const heard = (millis: number): Effect.Effect<void> =>
            Effect.suspend(() => {
              if (ended || millisOf(samples) >= millis) return Effect.void
              changed.closeUnsafe()
              return Effect.andThen(changed.await, heard(millis))
            })
          yield* Effect.onExit(
            Effect.gen(function*() {
              for (const step of steps) {
                yield* heard(step.at ?? Infinity)
                Queue.offerUnsafe(queue, transcript(yield* perform(step), samples))
              }
              yield* heard(Infinity)
            }),
            end
          )
          Queue.endUnsafe(queue)
        }).pipe(Effect.catchCause((cause) => Effect.sync(() => Queue.failCauseUnsafe(queue, cause))))
      )

    const service = SpeechToText.SpeechToText.of({ name, model, sampleRate, p99Latency, transcribe, stream })
    return { service, calls }
  })

/**
 * A fake as a layer: see {@link make}.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { SpeechToText } from "@apipeline/core"
 * import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
 *
 * const program = SpeechToText.SpeechToText.use(({ transcribe }) => transcribe(new Int16Array(160))).pipe(
 *   Effect.provide(Fake.layer([Fake.transcribe(Fake.final("hello"))]))
 * )
 * await Effect.runPromise(program).then(({ text }) => text) // => "hello"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (script: Script, options?: Options): Layer.Layer<SpeechToText.SpeechToText> =>
  Layer.effect(SpeechToText.SpeechToText, Effect.map(make(script, options), ({ service }) => service))
