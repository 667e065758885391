/**
 * Observers see every push and what becomes of the task, without touching either.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Frame from "./Frame.ts"

/**
 * A frame moved from one processor to the next. `from` and `to` are processors' names; `task` stands for the task's
 * own ends.
 *
 * @category models
 * @since 0.1.0
 */
export interface PushEvent {
  readonly _tag: "Push"
  readonly frame: Frame.Frame
  readonly direction: Frame.Direction
  readonly from: string
  readonly to: string
  /** Milliseconds since the epoch, by the task's `Clock`. */
  readonly at: number
}

/**
 * A frame did not arrive: the mailbox was full, an interruption or a cancel took it, or it was pushed after the end.
 *
 * @category models
 * @since 0.1.0
 */
export interface DropEvent {
  readonly _tag: "Drop"
  readonly frame: Frame.Frame
  readonly processor: string
  readonly reason: "full" | "interrupted" | "cancelled" | "ended"
  readonly at: number
}

/**
 * Something happened to the task as a whole.
 *
 * @category models
 * @since 0.1.0
 */
export interface TaskEvent {
  readonly _tag: "Task"
  readonly event:
    | "Started"
    | "Ended"
    | "Stopped"
    | "Cancelled"
    | "Failed"
    | "IdleTimeout"
    | "HeartbeatTimeout"
    | "StartTimeout"
    | "DrainTimeout"
    | "CancelTimeout"
  readonly message: string
  readonly at: number
}

/**
 * Whatever an observer is told.
 *
 * @category models
 * @since 0.1.0
 */
export type Event = PushEvent | DropEvent | TaskEvent

/**
 * An observer runs in a fiber of its own behind a mailbox that slides when it is slow. When it fails, that is
 * logged, it is detached, and the pipeline goes on.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, PipelineObserver } from "@apipeline/core"
 *
 * const log = PipelineObserver.make("log", (event) =>
 *   event._tag === "Push" ? Effect.logDebug(`${event.from} -> ${event.to}: ${Frame.format(event.frame)}`) : Effect.void)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface PipelineObserver {
  readonly name: string
  readonly observe: (event: Event) => Effect.Effect<unknown, unknown>
  /** Events that wait for a slow observer; older ones slide out. Default: 4096. */
  readonly capacity?: number | undefined
}

/**
 * Makes an observer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  name: string,
  observe: (event: Event) => Effect.Effect<unknown, unknown>,
  options?: { readonly capacity?: number | undefined }
): PipelineObserver => ({ name, observe, capacity: options?.capacity })
