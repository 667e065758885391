/** What gateways ask of a session, over the cluster: where it is, and what must not be lost. */
import * as ClusterSchema from "effect/cluster/ClusterSchema"
import * as Entity from "effect/cluster/Entity"
import * as Rpc from "effect/rpc/Rpc"
import * as Schema from "effect/Schema"
import { Refused } from "./admission.ts"

/**
 * The pipeline of a session could not be made.
 *
 * @example
 * ```ts
 * import { Cluster } from "@apipeline/node"
 *
 * const error = new Cluster.SessionFailed({ session: "g0:a", runner: "10.0.0.7:7700", problem: "no key" })
 * error.message // => "session g0:a on 10.0.0.7:7700: no key"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SessionFailed extends Schema.TaggedError<SessionFailed>()("Cluster.SessionFailed", {
  session: Schema.String,
  runner: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `session ${this.session} on ${this.runner}: ${this.problem}`
  }
}

/** Where the frames of a session are to be sent. */
export const Attached = Schema.Struct({
  runner: Schema.String,
  url: Schema.String,
  /** Of this activation: another one means that the pipeline is a new one. */
  epoch: Schema.String,
  /** Of this attachment: the next one makes it void. */
  token: Schema.String
})
export type Attached = typeof Attached.Type

export const Moved = Schema.Struct({
  from: Schema.String,
  lostMillis: Schema.Finite,
  lostFrames: Schema.Finite
})

export const AttachPayload = Schema.Struct({
  /** Of one client on one gateway: it keeps it when it attaches anew. */
  attachment: Schema.String,
  /** Whether the client drops what it has not played when it is told to. */
  flushes: Schema.Boolean,
  /** The session is not new, and this is what its client has noticed. */
  moved: Schema.optionalKey(Moved)
})
export type AttachPayload = typeof AttachPayload.Type

/** The stream is the lease: the session stays as long as somebody reads it. It ends when the session moves. */
export const Attach = Rpc.make("Attach", {
  payload: AttachPayload,
  success: Attached,
  error: Schema.Union([Refused, SessionFailed]),
  stream: true
}).annotate(ClusterSchema.InterruptOnTermination, true).annotate(ClusterSchema.ClientTracingEnabled, false)

/** A frame for the pipeline, in SQL before it is tried: it survives the runner, and is answered once for each id. */
export const Deliver = Rpc.make("Deliver", {
  payload: { id: Schema.String, frame: Schema.String },
  success: Schema.Literals(["taken", "no session"]),
  primaryKey: ({ id }) => id
}).annotate(ClusterSchema.Persisted, true)

export const defaultGroup = "g0"

/** `g1:...` is of group `g1`. */
export const groupOf = (id: string): string => {
  const colon = id.indexOf(":")
  return colon < 0 ? defaultGroup : id.slice(0, colon)
}

export const keyOf = (id: string): string => id.slice(id.indexOf(":") + 1)

export const makeEntity = (name: string) =>
  Entity.make(`apipeline/${name}`, [Attach, Deliver]).annotate(ClusterSchema.ShardGroup, groupOf)
export type SessionEntity = ReturnType<typeof makeEntity>
