/**
 * A synthesiser of speech that does what a script says, in virtual time, and checks that it was called as the script says.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { FakeScript, hasOptions, showOptions } from "../internal/fakeScript.ts"
import * as TextToSpeech from "../TextToSpeech.ts"

// ---------------------------------------------------------------------------------------------------------------------
// scripts
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What the synthesiser does next, and how long that takes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Step {
  /** Default: none. */
  readonly after?: Duration.Input | undefined
  readonly do:
    | { readonly _tag: "Audio"; readonly milliseconds: number; readonly value: number }
    | { readonly _tag: "Word"; readonly text: string; readonly start: number }
    | TextToSpeech.TextToSpeechError
    | "hang"
}

/**
 * A text that is to be spoken, and what comes of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly text: string
  readonly steps: ReadonlyArray<Step>
  readonly expected: TextToSpeech.Options
}

/**
 * Audio: each sample has the value (default: 1).
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
 *
 * const call = Fake.synthesize("Hello.", [Fake.audio(100), Fake.audio(200, { after: "50 millis" })])
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const audio = (
  milliseconds: number,
  options: { readonly value?: number | undefined; readonly after?: Duration.Input | undefined } = {}
): Step => ({ after: options.after, do: { _tag: "Audio", milliseconds, value: options.value ?? 1 } })

/**
 * A word, and when it begins, in milliseconds from the beginning of the text.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
 *
 * const call = Fake.synthesize("Hello there.", [Fake.word("Hello", 0), Fake.audio(100), Fake.word("there", 100), Fake.audio(100)])
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const word = (text: string, start: number): Step => ({ do: { _tag: "Word", text, start } })

/**
 * A failure, after which nothing comes.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
 *
 * const call = Fake.synthesize("Hello.", [Fake.audio(50), Fake.fails({ isRetryable: false })])
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const fails = (
  options: {
    readonly after?: Duration.Input | undefined
    readonly isRetryable?: boolean | undefined
    readonly message?: string | undefined
  } = {}
): Step => {
  const { after, isRetryable = true, message = "scripted" } = options
  const cause = new Error(message)
  return { after, do: new TextToSpeech.TextToSpeechError({ synthesizer: "fake", isRetryable, cause }) }
}

/**
 * Nothing comes, and it never ends, until it is interrupted.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
 *
 * const call = Fake.synthesize("Hello.", [Fake.audio(50), Fake.hangs])
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const hangs: Step = { do: "hang" }

/**
 * A text is to be spoken. Default of the steps: 100 ms of audio.
 *
 * @example
 * ```ts
 * import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
 *
 * Fake.synthesize("Hello.", Fake.audio(100), { voice: "slt" }).text // => "Hello."
 * ```
 *
 * @category scripts
 * @since 0.1.0
 */
export const synthesize = (
  text: string,
  steps: ReadonlyArray<Step> | Step = audio(100),
  expected: TextToSpeech.Options = {}
): Call => ({ text, steps: [steps].flat() as ReadonlyArray<Step>, expected })

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
  readonly text: string
  readonly options: TextToSpeech.Options | undefined
  /** Milliseconds since the epoch. */
  readonly startedAt: number
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
  /** Default: one, `fake`. */
  readonly voices?: ReadonlyArray<string> | undefined
}

/**
 * A fake, and what has come of its script.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fake {
  readonly service: TextToSpeech.Service
  readonly calls: ReadonlyArray<Recorded>
}

/** What is done with any text, however many there are. */
type Script = ReadonlyArray<Call> | ((text: string, options: TextToSpeech.Options) => ReadonlyArray<Step>)

const showCall = ({ expected, text }: Call): string => `synthesize ${JSON.stringify(text)}${showOptions(expected)}`

/**
 * Makes a fake. A text that the script does not expect dies at once, and when the scope is closed, the fake dies if a text
 * was not expected or one that was has not come: with both lists, side by side.
 *
 * **Details**
 *
 * A function instead of a script speaks any number of texts and expects none. Calls are told apart by when they begin.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import * as FakeTextToSpeech from "@apipeline/core/testing/FakeTextToSpeech"
 *
 * const test = Effect.gen(function*() {
 *   const fake = yield* FakeTextToSpeech.make([FakeTextToSpeech.synthesize("Hello.", FakeTextToSpeech.audio(40))])
 *   const parts = yield* Stream.runCollect(fake.service.synthesize("Hello."))
 *   return parts.map((part) => part._tag)
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(test) // => ["Audio"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (script: Script, options: Options = {}): Effect.Effect<Fake, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { model, name = "fake", sampleRate = 16000, voices = ["fake"] } = options
    const calls: Array<Recorded> = []
    const checked = new FakeScript("FakeTextToSpeech", typeof script === "function" ? [] : script, showCall)
    yield* checked.verifyAtClose

    const perform = (step: Step): Effect.Effect<TextToSpeech.Part, TextToSpeech.TextToSpeechError> =>
      Effect.andThen(
        step.after === undefined ? Effect.void : Effect.sleep(step.after),
        Effect.suspend((): Effect.Effect<TextToSpeech.Part, TextToSpeech.TextToSpeechError> => {
          if (step.do === "hang") return Effect.never
          if (step.do instanceof TextToSpeech.TextToSpeechError) return Effect.fail(step.do)
          if (step.do._tag === "Word") return Effect.succeed(step.do)
          const { milliseconds, value } = step.do
          const samples = new Int16Array(Math.round(milliseconds * sampleRate / 1000)).fill(value)
          return Effect.succeed({ _tag: "Audio", samples })
        })
      )

    const synthesize: TextToSpeech.Service["synthesize"] = (text, given) =>
      Stream.unwrap(Effect.gen(function*() {
        let outcome: ReturnType<Recorded["outcome"]> = "running"
        const startedAt = yield* Clock.currentTimeMillis
        calls.push({ text, options: given, startedAt, outcome: () => outcome })
        const found = showCall({ text, steps: [], expected: given ?? {} })
        const steps = typeof script === "function"
          ? script(text, given ?? {})
          : (yield* checked.next(found, (call) => call.text === text && hasOptions(given, call.expected))).steps
        return Stream.fromArray(steps).pipe(
          Stream.rechunk(1),
          Stream.mapEffect(perform),
          Stream.onExit((exit) =>
            Effect.sync(() => {
              outcome = Exit.isSuccess(exit) ? "done" : Exit.hasInterrupts(exit) ? "interrupted" : "failed"
            })
          )
        )
      }))

    return { service: TextToSpeech.TextToSpeech.of({ name, model, sampleRate, voices, synthesize }), calls }
  })

/**
 * A fake as a layer: see {@link make}.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { TextToSpeech } from "@apipeline/core"
 * import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
 *
 * const program = TextToSpeech.TextToSpeech.use(({ synthesize }) => Stream.runCollect(synthesize("Hello."))).pipe(
 *   Effect.provide(Fake.layer([Fake.synthesize("Hello.", Fake.audio(100))]))
 * )
 * await Effect.runPromise(program).then(({ length }) => length) // => 1
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (script: Script, options?: Options): Layer.Layer<TextToSpeech.TextToSpeech> =>
  Layer.effect(TextToSpeech.TextToSpeech, Effect.map(make(script, options), ({ service }) => service))
