/**
 * What strategies for turns are: state machines that are told of frames and of time, and say what they make of them.
 * `TurnStart` and `TurnStop` have some; write your own with {@link make}.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Frame from "./Frame.ts"

/**
 * The state of a strategy in one task. All times are milliseconds of the task's `Clock`.
 *
 * **Details**
 *
 * - It does not touch clocks or fibers: it says with `deadline` and `question` what it waits for. Both are asked after
 *   everything that it was told. A deadline wakes once.
 * - Every strategy is told of every frame that it names, whether a turn is open or not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Machine<out Decision> {
  /** A frame of the strategy's `frames` comes. */
  readonly push: (frame: Frame.Frame, now: number) => Decision | undefined
  /** When to be woken, if at all. */
  readonly deadline?: (() => number | undefined) | undefined
  /** The deadline has come, or a question was answered. */
  readonly wake?: ((now: number) => Decision | undefined) | undefined
  /**
   * What it wants to know: run beside the frames, as long as it is the same one. It tells the machine the answer itself,
   * which then wakes it. A failure is reported, and wakes it too.
   */
  readonly question?: (() => Effect.Effect<void, unknown> | undefined) | undefined
  /** A turn of the user has begun, whoever has decided so. The frame that began it comes afterwards to stop strategies. */
  readonly turnStarted?: ((now: number) => void) | undefined
  /** It is over, whoever has decided so. */
  readonly turnStopped?: ((now: number) => void) | undefined
}

/**
 * A strategy: a description, which makes a machine for each task.
 *
 * @category models
 * @since 0.1.0
 */
export interface Strategy<out Decision, out R = never> {
  /** For errors, logs and events. */
  readonly name: string
  /** The frames that its machines are told of, by class or tag, whichever way they travel. */
  readonly frames: ReadonlyArray<string | { readonly tag: string }>
  /** Frames that are proposals to it, by class or tag: they go no further. Default: none. */
  readonly resolves?: ReadonlyArray<string | { readonly tag: string }> | undefined
  /** Resources that it takes live as long as the processor. */
  readonly machine: Effect.Effect<Machine<Decision>, never, R | Scope.Scope>
}

/**
 * Makes a strategy out of a function that makes its state.
 *
 * @example
 * ```ts
 * import { TurnStart, TurnStrategy, UserTurn, VoiceFrames } from "@apipeline/core"
 *
 * // a turn begins with the third key that is pressed
 * const thirdKey = TurnStrategy.make<TurnStart.Decision>("third key", [VoiceFrames.InputDtmfFrame], () => {
 *   let keys = 0
 *   return {
 *     push: () => ++keys % 3 === 0 ? TurnStart.start : undefined
 *   }
 * })
 * const turns = UserTurn.make({ start: [thirdKey] })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Decision>(
  name: string,
  frames: Strategy<Decision>["frames"],
  machine: () => Machine<Decision>
): Strategy<Decision> => ({ name, frames, machine: Effect.sync(machine) })
