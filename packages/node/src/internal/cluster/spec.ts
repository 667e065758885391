/** A kind of session, as its runners need to know it. */
import * as Frame from "@apipeline/core/Frame"
import type { Serializer } from "@apipeline/core/FrameSerializer"
import type { PipelineTask } from "@apipeline/core/PipelineTask"
import type * as Transport from "@apipeline/core/Transport"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"

/**
 * The session has been on another runner before: the first frame of its new pipeline. What the old one knew is gone, but
 * for what was restored.
 *
 * @example
 * ```ts
 * import { Frame, Processor } from "@apipeline/core"
 * import { Cluster } from "@apipeline/node"
 *
 * const sorry = Processor.sync("Sorry", {
 *   SessionMovedFrame: (frame, push) => {
 *     push(frame)
 *     if (!frame.restored) push(Frame.TextFrame.make({ text: "Sorry, where were we?" }))
 *   }
 * }, { frames: [Cluster.SessionMovedFrame] })
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class SessionMovedFrame extends Frame.App<SessionMovedFrame>()("SessionMovedFrame", {
  /** The runner before, `host:port`. */
  from: Schema.String,
  /** The runner now. */
  to: Schema.String,
  /** Milliseconds for which nobody heard the client. */
  lostMillis: Schema.Finite,
  /** Media frames of the client that nobody heard, at most. */
  lostFrames: Schema.Finite,
  /** A snapshot was there, and `restore` has had it. */
  restored: Schema.Boolean
}, { kind: "system" }) {}

/**
 * What a pipeline may know about its session.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionContext {
  readonly id: string
  /** The runner that it is on, `host:port`. */
  readonly runner: string
  /** It has been on another runner before. */
  readonly moved: boolean
}

/** `R`: what the runner has to provide. */
export interface Spec<R> {
  readonly name: string
  readonly serializer: Serializer<string>
  /** Milliseconds that a session whose client has left is kept. */
  readonly grace: number
  /** Milliseconds that a session whose gateway is lost is kept. */
  readonly orphanTimeout: number
  readonly mediaCapacity: number
  readonly controlCapacity: number
  readonly transport: Transport.Options | undefined
  readonly carries: (frame: Frame.Frame) => boolean
  readonly open: (context: SessionContext) => Effect.Effect<OpenSession, unknown, R | Scope.Scope>
  readonly snapshotEvery: Duration.Duration | undefined
  readonly hasSnapshot: boolean
}

/** The services of one session. */
export interface OpenSession {
  readonly make: (transport: Transport.Transport) => Effect.Effect<PipelineTask<any>, unknown, Scope.Scope>
  /** As JSON. */
  readonly take: Effect.Effect<string, unknown>
  readonly restore: (data: string) => Effect.Effect<void, unknown>
}
