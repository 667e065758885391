/**
 * Frames between a pipeline and a client that speaks RTVI, for which there is nothing more general in `VoiceFrames`. They
 * are app frames: list them under `frames` to handle them in a processor of your own.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Frame from "./Frame.ts"
import type * as RtviMessage from "./RtviMessage.ts"

/**
 * A client is there and understands the bot: from now on it takes messages and audio. `version` is what it says that it
 * speaks, empty where it does not; `legacy`: protocol 1, whose messages it gets. A bot that speaks first does so now.
 *
 * @example
 * ```ts
 * import { RtviFrames } from "@apipeline/core"
 *
 * RtviFrames.RtviClientReadyFrame.make({ version: "2.1.0", legacy: false, about: undefined }).kind // => "system"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class RtviClientReadyFrame extends Frame.App<RtviClientReadyFrame>()("RtviClientReadyFrame", {
  version: Schema.String,
  legacy: Schema.Boolean,
  about: Schema.Unknown
}, { kind: "system" }) {}

/**
 * A message of the client's own, of type `t` with data `d`. Where the client waits for an answer, one with `messageId`
 * is it: a `server-response` or an `error-response` in an `RtviServerMessageFrame`.
 *
 * @example
 * ```ts
 * import { Processor, RtviFrames, RtviMessage } from "@apipeline/core"
 *
 * const echo = Processor.sync("Echo", {
 *   RtviClientMessageFrame: ({ d, messageId, t }, push) => {
 *     const message = RtviMessage.server("server-response", { t, d }, messageId)
 *     push(RtviFrames.RtviServerMessageFrame.make({ message }))
 *   }
 * }, { frames: [RtviFrames.RtviClientMessageFrame] })
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class RtviClientMessageFrame extends Frame.App<RtviClientMessageFrame>()("RtviClientMessageFrame", {
  messageId: Schema.String,
  t: Schema.String,
  d: Schema.Unknown
}, { kind: "system" }) {}

/**
 * Something has happened in the user interface of the client.
 *
 * @example
 * ```ts
 * import { RtviFrames } from "@apipeline/core"
 *
 * RtviFrames.RtviUiEventFrame.make({ event: "clicked", payload: { ref: "e42" } }).event // => "clicked"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class RtviUiEventFrame extends Frame.App<RtviUiEventFrame>()("RtviUiEventFrame", {
  event: Schema.String,
  payload: Schema.Unknown
}, { kind: "system" }) {}

/**
 * What the client shows: its accessibility tree, `{ root, captured_at, selection? }`. Of the nodes only the root's `ref`
 * and `role` have been checked.
 *
 * @example
 * ```ts
 * import { RtviFrames } from "@apipeline/core"
 *
 * const tree = { root: { ref: "e1", role: "main" }, captured_at: 1735689600000 }
 * RtviFrames.RtviUiSnapshotFrame.make({ tree }).kind // => "system"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class RtviUiSnapshotFrame extends Frame.App<RtviUiSnapshotFrame>()("RtviUiSnapshotFrame", {
  tree: Schema.Unknown
}, { kind: "system" }) {}

/**
 * The user wants a group of jobs, which the client was told of with `ui-job-group`, to be cancelled.
 *
 * @example
 * ```ts
 * import { RtviFrames } from "@apipeline/core"
 *
 * RtviFrames.RtviUiCancelJobGroupFrame.make({ jobId: "job-1" }).jobId // => "job-1"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class RtviUiCancelJobGroupFrame extends Frame.App<RtviUiCancelJobGroupFrame>()("RtviUiCancelJobGroupFrame", {
  jobId: Schema.String,
  reason: Schema.optionalKey(Schema.String)
}, { kind: "system" }) {}

/**
 * A message for the client, from anywhere in the pipeline, in order with those that come of other frames.
 *
 * @example
 * ```ts
 * import { RtviFrames, RtviMessage } from "@apipeline/core"
 *
 * const message = RtviMessage.server("server-message", { score: 3 })
 * RtviFrames.RtviServerMessageFrame.make({ message }).message.type // => "server-message"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class RtviServerMessageFrame extends Frame.App<RtviServerMessageFrame>()("RtviServerMessageFrame", {
  // Made here, and sent as it is: `RtviMessage.decodeServer` is for who reads one.
  message: Schema.Unknown as unknown as Schema.Codec<RtviMessage.Server>
}, { kind: "system" }) {}
