/**
 * What can go wrong with a session; public as part of `Rtvi`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * There is no task whose client a message could go to: it has not started, or is over.
 *
 * @example
 * ```ts
 * import { Rtvi } from "@apipeline/core"
 *
 * new Rtvi.NotRunning({ rtvi: "Rtvi", type: "server-message" }).message
 * // => "Rtvi: found no running task, expected one to send server-message to the client of"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class NotRunning extends Schema.TaggedError<NotRunning>()("NotRunning", {
  rtvi: Schema.String,
  type: Schema.String
}) {
  override get message(): string {
    return `${this.rtvi}: found no running task, expected one to send ${this.type} to the client of`
  }
}

/**
 * The processor is in a task already: a session has one client.
 *
 * @example
 * ```ts
 * import { Rtvi } from "@apipeline/core"
 *
 * new Rtvi.InUse({ rtvi: "Rtvi" }).message
 * // => "Rtvi: found in two tasks, expected an Rtvi.make for each"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InUse extends Schema.TaggedError<InUse>()("InUse", { rtvi: Schema.String }) {
  override get message(): string {
    return `${this.rtvi}: found in two tasks, expected an Rtvi.make for each`
  }
}

/**
 * The one error of this module; `reason` tells which. `RtviMessage.RtviMessageError` is about messages.
 *
 * @example
 * ```ts
 * import { Rtvi } from "@apipeline/core"
 *
 * const reason = new Rtvi.InUse({ rtvi: "Rtvi" })
 * new Rtvi.RtviError({ reason }).message // => "Rtvi: found in two tasks, expected an Rtvi.make for each"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class RtviError extends Schema.TaggedError<RtviError>()("RtviError", {
  reason: Schema.Union([NotRunning, InUse])
}) {
  override get message(): string {
    return this.reason.message
  }
}

/** An error in words that a client may read. */
export const describe = (error: unknown): string => {
  if (typeof error === "string") return error
  if (error instanceof Error && error.message !== "") return error.message
  const tag = typeof error === "object" && error !== null && "_tag" in error ? error._tag : undefined
  return typeof tag === "string" ? tag : "error"
}
