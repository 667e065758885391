/**
 * A detector of the ends of turns that says what a script says, and checks that it was asked as the script says.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { FakeScript } from "../internal/fakeScript.ts"
import * as TurnDetector from "../TurnDetector.ts"

/**
 * A question that is expected, and what is said to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  /** The text that it has to have. Default: any. */
  readonly text?: string | undefined
  /** Milliseconds of audio that it has to have. Default: any. */
  readonly milliseconds?: number | undefined
  /** The probability that the turn is complete, a failure, or nothing for ever. */
  readonly completion:
    | number
    | { readonly isRetryable: boolean; readonly message?: string | undefined }
    | "hang"
  /** How long the answer takes. Default: no time. */
  readonly after?: Duration.Input | undefined
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: false. */
  readonly needsAudio?: boolean | undefined
}

/**
 * A fake, and what it was asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Fake {
  readonly service: TurnDetector.Service
  readonly turns: ReadonlyArray<TurnDetector.Turn>
  /** How many questions nobody waited to have answered. */
  readonly interrupted: () => number
}

const millisOf = ({ audio, sampleRate }: TurnDetector.Turn): number => audio.length * 1000 / sampleRate

const show = ({ milliseconds, text }: Pick<Call, "milliseconds" | "text">): string =>
  `completion (${text === undefined ? "any text" : JSON.stringify(text)}${
    milliseconds === undefined ? "" : `, ${milliseconds} ms`
  })`

/**
 * Makes a fake. A question that the script does not expect dies at once, and when the scope is closed, the fake dies if
 * there were other questions than those of the script.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as FakeTurnDetector from "@apipeline/core/testing/FakeTurnDetector"
 *
 * const test = Effect.gen(function*() {
 *   const { service } = yield* FakeTurnDetector.make([{ text: "I would like", completion: 0.1 }])
 *   return yield* service.completion({ text: "I would like", audio: new Int16Array(0), sampleRate: 16000 })
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(test) // => 0.1
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  script: ReadonlyArray<Call>,
  options: Options = {}
): Effect.Effect<Fake, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { needsAudio = false } = options
    const checked = new FakeScript("FakeTurnDetector", script, show)
    yield* checked.verifyAtClose
    const turns: Array<TurnDetector.Turn> = []
    let interrupted = 0
    const answer = ({ completion }: Call): Effect.Effect<number, TurnDetector.TurnDetectorError> => {
      if (typeof completion === "number") return Effect.succeed(completion)
      if (completion === "hang") return Effect.never
      const { isRetryable, message = "scripted" } = completion
      return Effect.fail(
        new TurnDetector.TurnDetectorError({ detector: "fake", isRetryable, cause: new Error(message) })
      )
    }
    const completion = Effect.fnUntraced(function*(turn: TurnDetector.Turn) {
      turns.push(turn)
      const found = { text: turn.text, milliseconds: needsAudio ? millisOf(turn) : undefined }
      const call = yield* checked.next(
        show(found),
        ({ milliseconds, text }) =>
          (text === undefined || text === turn.text) &&
          (milliseconds === undefined || milliseconds === millisOf(turn))
      )
      if (call.after !== undefined) yield* Effect.sleep(call.after)
      return yield* answer(call)
    })
    return {
      service: TurnDetector.TurnDetector.of({
        name: "fake",
        needsAudio,
        completion: (turn) =>
          Effect.onInterrupt(completion(turn), () =>
            Effect.sync(() => {
              interrupted++
            }))
      }),
      turns,
      interrupted: () => interrupted
    }
  })

/**
 * A fake as a layer: see {@link make}.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { TurnDetector } from "@apipeline/core"
 * import * as Fake from "@apipeline/core/testing/FakeTurnDetector"
 *
 * const program = TurnDetector.TurnDetector.use(({ completion }) => completion({ text: "Well,", audio: new Int16Array(), sampleRate: 16000 }))
 * const scripted = Effect.provide(program, Fake.layer([{ text: "Well,", completion: 0.2 }]))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  script: ReadonlyArray<Call>,
  options?: Options
): Layer.Layer<TurnDetector.TurnDetector> =>
  Layer.effect(TurnDetector.TurnDetector, Effect.map(make(script, options), ({ service }) => service))
