/**
 * What the embedded engines of speech have in common: they run in workers, which all sessions share, and they come from
 * packages that may be missing.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An engine's package, or the model in it, is not installed. It is the `cause` of a `SpeechToTextError`,
 * `TextToSpeechError` or `VoiceActivityError` that cannot be retried.
 *
 * @example
 * ```ts
 * import { SpeechEngine } from "@apipeline/node"
 *
 * const error = new SpeechEngine.MissingPackage({ package: "onnxruntime-web", version: "1.22.0" })
 * error.message // => "the package onnxruntime-web is missing: npm install onnxruntime-web@1.22.0"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class MissingPackage extends Schema.TaggedError<MissingPackage>()("MissingPackage", {
  package: Schema.String,
  /** The one the engine was made for. */
  version: Schema.String
}) {
  override get message(): string {
    return `the package ${this.package} is missing: npm install ${this.package}@${this.version}`
  }
}

/**
 * A worker did not do what it was asked for. It is the `cause` of an engine's error.
 *
 * - `Load`: it could not load what it needs.
 * - `Full`: too many were waiting for a worker already. Can be retried.
 * - `Crash`: it ended while it was at work, and so did the one that tried again. Can be retried.
 * - `Timeout`: it took too long, and was ended. Can be retried.
 * - `Refused`: the engine did not take this input.
 * - `Closed`: the engine's scope has closed.
 *
 * @example
 * ```ts
 * import { SpeechEngine } from "@apipeline/node"
 *
 * const error = new SpeechEngine.WorkerError({ reason: "Full", detail: "32 are waiting" })
 * error.message // => "Full: 32 are waiting"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkerError extends Schema.TaggedError<WorkerError>()("WorkerError", {
  reason: Schema.Literals(["Load", "Full", "Crash", "Timeout", "Refused", "Closed"]),
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.reason}: ${this.detail}`
  }
}

/**
 * An option that cannot work. It is the `cause` of an engine's error.
 *
 * @example
 * ```ts
 * import { SpeechEngine } from "@apipeline/node"
 *
 * const error = new SpeechEngine.OptionError({ field: "voice", found: "sam", expected: "one of slt, rms" })
 * error.message // => "voice: found sam, expected one of slt, rms"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class OptionError extends Schema.TaggedError<OptionError>()("OptionError", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * What an engine's error has as its cause.
 *
 * @category errors
 * @since 0.1.0
 */
export type EngineError = MissingPackage | WorkerError | OptionError

/**
 * Whether the same may work when it is tried again.
 *
 * @example
 * ```ts
 * import { SpeechEngine } from "@apipeline/node"
 *
 * SpeechEngine.isRetryable(new SpeechEngine.WorkerError({ reason: "Full", detail: "32 are waiting" })) // => true
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export const isRetryable = (error: EngineError): boolean =>
  error._tag === "WorkerError" && (error.reason === "Full" || error.reason === "Crash" || error.reason === "Timeout")

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How an engine's workers are used. They are started with the layer and end with its scope; one that crashes or hangs is
 * replaced.
 *
 * @category models
 * @since 0.1.0
 */
export interface WorkerOptions {
  /** How many workers there are. Each loads the model for itself. Default: 1. */
  readonly workers?: number | undefined
  /** How many may wait for a worker; more are refused, with a `WorkerError` "Full". Default: 32. */
  readonly maxWaiting?: number | undefined
  /** How long a worker may take for one piece of work until it is taken for hanging. Default: 30 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** How long a worker may take to load. Default: 60 seconds. */
  readonly loadTimeout?: Duration.Input | undefined
}
