/** A session as its client's gateway sees it. */
import type * as Frame from "@apipeline/core/Frame"
import type { TransportError } from "@apipeline/core/Transport"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import type { Signal } from "./inbox.ts"

/**
 * No runner has taken the session in time.
 *
 * @example
 * ```ts
 * import { Cluster } from "@apipeline/node"
 *
 * const error = new Cluster.Unavailable({ session: "g0:a", milliseconds: 10_000 })
 * error.message // => "session g0:a: no runner has answered within 10000 ms"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Cluster.Unavailable", {
  session: Schema.String,
  milliseconds: Schema.Finite
}) {
  override get message(): string {
    return `session ${this.session}: no runner has answered within ${this.milliseconds} ms`
  }
}

/**
 * What a client's session has noticed.
 *
 * @category models
 * @since 0.1.0
 */
export type Notice =
  | { readonly _tag: "Attached"; readonly runner: string; readonly epoch: string }
  /** Nobody hears the client for now. */
  | { readonly _tag: "Lost"; readonly runner: string; readonly reason: string }
  /** The same pipeline hears it again. */
  | { readonly _tag: "Restored"; readonly runner: string; readonly millis: number }
  /** Something that this gateway cannot read: another version has sent it. */
  | { readonly _tag: "Unreadable"; readonly problem: string }
  /** A new pipeline on another runner (or on the same, which has been without it for an instant) hears it. */
  | {
    readonly _tag: "Moved"
    readonly from: string
    readonly runner: string
    readonly epoch: string
    readonly millis: number
    readonly lostFrames: number
  }

/**
 * Counts of one client's line to its session.
 *
 * @category models
 * @since 0.1.0
 */
export interface Counts {
  /** Media frames that were sent, and of those that were not, the ones that were dropped because they were too late. */
  readonly mediaSent: number
  readonly mediaDropped: number
  readonly mediaReceived: number
  /** Media frames of the session that have not arrived: gaps in their numbers. */
  readonly mediaLost: number
  /** Control that came twice, and was taken once. */
  readonly duplicates: number
}

/**
 * A client's end of a session.
 *
 * @category models
 * @since 0.1.0
 */
export interface Remote {
  /** With which it can be found again, on any gateway. */
  readonly id: Effect.Effect<string>
  /** Where it is. */
  readonly runner: Effect.Effect<string>
  /**
   * Media goes at once or never; anything else waits until it may go, and arrives. Fails for a frame that has no JSON form:
   * one of your own has to be among the `frames` of the session.
   */
  readonly send: (frame: Frame.Frame) => Effect.Effect<void, TransportError>
  /** What the session sends, until it is over. */
  readonly received: Stream.Stream<Signal>
  /** Asks the session to end in order. */
  readonly end: Effect.Effect<void>
  /** The client is gone; the session is told, and kept for as long as its `grace` says. */
  readonly leave: (reason: string) => Effect.Effect<void>
  /** Waits until the session is over. */
  readonly ended: Effect.Effect<{ readonly failed: boolean; readonly reason: string }>
  /** What has happened to it; the last 256. */
  readonly notices: Stream.Stream<Notice>
  readonly counts: Effect.Effect<Counts>
}

export interface Options {
  /** Of a session that is (or was) there. Default: a new one. */
  readonly id?: string | undefined
  /** Whether the client drops what it has not played when it is told to. Default: false. */
  readonly flushes?: boolean | undefined
}
