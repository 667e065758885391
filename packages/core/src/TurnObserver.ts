/**
 * Finds the turns of a conversation: who spoke when, and who was interrupted.
 *
 * **Details**
 *
 * - Turn 1 begins when the task has started. A turn consists of what the user says and what the bot answers.
 * - It ends when the user starts speaking after the bot has (as `interrupted` while the bot is still speaking), or when
 *   nobody has said anything for `timeout` after the bot has stopped: it was over when the bot stopped.
 * - The user, and else the bot, begins the next one.
 * - The end of the task ends the turn: as `interrupted` when the task was cancelled, failed, or is no longer observed.
 *
 * Source: `TurnTrackingObserver` of pipecat.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { type TurnChange, turnFrames, Turns } from "./internal/turns/turns.ts"
import * as PipelineObserver from "./PipelineObserver.ts"

/**
 * A turn has begun. Turns are counted from 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface TurnStarted {
  readonly _tag: "Started"
  readonly turn: number
  /** Milliseconds since the epoch, by the task's `Clock`. */
  readonly at: number
}

/**
 * A turn has ended.
 *
 * @category models
 * @since 0.1.0
 */
export interface TurnEnded {
  readonly _tag: "Ended"
  readonly turn: number
  /** Milliseconds since the epoch, by the task's `Clock`. */
  readonly at: number
  /** How long it took. */
  readonly milliseconds: number
  readonly interrupted: boolean
}

/**
 * What happened to a turn.
 *
 * @category models
 * @since 0.1.0
 */
export type TurnEvent = TurnStarted | TurnEnded

/**
 * Options of {@link turns}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Silence after the bot has spoken that ends a turn. Default: 2.5 seconds. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The tags of the frames that are looked at.
 *
 * @example
 * ```ts
 * import { TurnObserver } from "@apipeline/core"
 *
 * TurnObserver.frames.includes("UserStartedSpeakingFrame") // => true
 * ```
 *
 * @category constants
 * @since 0.1.0
 */
export const frames: ReadonlyArray<string> = turnFrames

/**
 * Finds the turns in the events of a task.
 *
 * @example
 * ```ts
 * import { Effect, Fiber, Stream } from "effect"
 * import { PipelineObserver, PipelineTask, Processor, TurnObserver } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}))
 *   const seen = yield* TurnObserver.turns(PipelineObserver.events(task, { frames: TurnObserver.frames })).pipe(
 *     Stream.runCollect,
 *     Effect.forkScoped({ startImmediately: true })
 *   )
 *   yield* task.stopWhenDone
 *   yield* task.run
 *   return yield* Fiber.join(seen)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const turns = <E, R>(
  events: Stream.Stream<PipelineObserver.Event, E, R>,
  options: Options = {}
): Stream.Stream<TurnEvent, E, R> =>
  Stream.transformPull(events, (pull, scope) =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const state = new Turns(Duration.toMillis(options.timeout ?? "2500 millis"))
        // The events that come next, when the turn may be over before they do.
        let pending: Fiber.Fiber<ReadonlyArray<PipelineObserver.Event>, any> | undefined
        let last = clock.currentTimeMillisUnsafe()
        let done = false

        const changesOf = (event: PipelineObserver.Event): ReadonlyArray<TurnChange> => {
          last = event.at
          if (event._tag === "Push") return state.push(event.frame, event.at)
          if (event._tag === "Drop") return []
          switch (event.event) {
            case "Started":
              return state.start(event.at)
            case "Ended":
            case "Stopped":
              return state.end(event.at, true)
            case "Cancelled":
            case "Failed":
              return state.end(event.at, false)
            default:
              return state.expire(event.at)
          }
        }

        const all = Effect.map(
          Effect.suspend(() => pending === undefined ? pull : Fiber.join(pending)),
          (events): ReadonlyArray<TurnChange> => {
            pending = undefined
            return events.flatMap(changesOf)
          }
        )
        const ahead = Effect.suspend(() =>
          pending !== undefined
            ? Effect.void
            : Effect.map(Effect.forkIn(pull, scope, { startImmediately: true }), (fiber) => {
              pending = fiber
            })
        )
        const now = () => clock.currentTimeMillisUnsafe()
        const until = (deadline: number) =>
          Effect.andThen(
            ahead,
            Effect.timeoutOrElse(all, {
              duration: Math.max(0, deadline - now()),
              orElse: () => Effect.sync(() => state.expire(now()))
            })
          )
        const step = Effect.suspend(() => {
          if (done) return Cause.done()
          const changes = state.deadline === undefined ? all : until(state.deadline)
          return Pull.catchDone(changes, () => {
            done = true
            return Effect.sync(() => state.end(last, false))
          })
        })
        const next: Pull.Pull<readonly [TurnEvent, ...Array<TurnEvent>], E, void, R> = Effect.flatMap(
          step as Effect.Effect<ReadonlyArray<TurnChange>, any, any>,
          (changes) => changes.length === 0 ? next : Effect.succeed(changes as [TurnEvent, ...Array<TurnEvent>])
        )
        return next
      })
    ))

/**
 * An observer that tells each turn as it begins and as it ends, one after the other.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PipelineTask, Processor, TurnObserver } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}), {
 *     observers: [
 *       TurnObserver.make((turn) =>
 *         turn._tag === "Ended" ? Effect.log(`turn ${turn.turn}: ${turn.milliseconds} ms`) : Effect.void
 *       )
 *     ]
 *   })
 *   yield* task.stopWhenDone
 *   return yield* task.run
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  onTurn: (turn: TurnEvent) => Effect.Effect<unknown, unknown>,
  options?: Options
): PipelineObserver.PipelineObserver =>
  PipelineObserver.fromStream("TurnObserver", (events) => Stream.runForEach(turns(events, options), onTurn), {
    frames
  })
