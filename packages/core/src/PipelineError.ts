/**
 * What can go wrong with a pipeline as a whole.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * An option or a topology that cannot work: names the field, what was found there and what was expected.
 *
 * @example
 * ```ts
 * import { PipelineError } from "@apipeline/core"
 *
 * new PipelineError.InvalidPipeline({ field: "capacity", found: "0", expected: "at least 1" }).message
 * // => "capacity: found 0, expected at least 1"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidPipeline extends Schema.TaggedError<InvalidPipeline>()("InvalidPipeline", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * A processor's set-up has failed.
 *
 * @example
 * ```ts
 * import { PipelineError } from "@apipeline/core"
 *
 * new PipelineError.SetupFailed({ processor: "Llm", cause: "no key" }).message
 * // => "the set-up of Llm failed: no key"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SetupFailed extends Schema.TaggedError<SetupFailed>()("SetupFailed", {
  processor: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `the set-up of ${this.processor} failed: ${String(this.cause)}`
  }
}

/**
 * A handler has failed, and its processor's policy (or a defect) makes that fatal.
 *
 * @example
 * ```ts
 * import { PipelineError } from "@apipeline/core"
 *
 * new PipelineError.ProcessorFailed({ processor: "Llm", cause: "no key" }).message
 * // => "Llm failed: no key"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ProcessorFailed extends Schema.TaggedError<ProcessorFailed>()("ProcessorFailed", {
  processor: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `${this.processor} failed: ${String(this.cause)}`
  }
}

/**
 * The set-up and `StartFrame`, or the drain after `EndFrame`, took longer than the task allows.
 *
 * @example
 * ```ts
 * import { PipelineError } from "@apipeline/core"
 *
 * new PipelineError.DeadlineExceeded({ phase: "start", milliseconds: 20000 }).message
 * // => "start took longer than 20000 ms"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class DeadlineExceeded extends Schema.TaggedError<DeadlineExceeded>()("DeadlineExceeded", {
  phase: Schema.Literals(["start", "drain", "cancel"]),
  milliseconds: Schema.Finite
}) {
  override get message(): string {
    return `${this.phase} took longer than ${this.milliseconds} ms`
  }
}

/**
 * A frame was queued into a task that takes no more: it was ended, stopped or cancelled.
 *
 * @example
 * ```ts
 * import { PipelineError } from "@apipeline/core"
 *
 * new PipelineError.TaskEnded({ task: "bot", frame: "TextFrame#1" }).message
 * // => "bot takes no more frames: TextFrame#1 was not queued"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TaskEnded extends Schema.TaggedError<TaskEnded>()("TaskEnded", {
  task: Schema.String,
  frame: Schema.String
}) {
  override get message(): string {
    return `${this.task} takes no more frames: ${this.frame} was not queued`
  }
}

/**
 * The one error of pipelines and tasks; `reason` tells which.
 *
 * @example
 * ```ts
 * import { PipelineError } from "@apipeline/core"
 *
 * const reason = new PipelineError.DeadlineExceeded({ phase: "drain", milliseconds: 5000 })
 * new PipelineError.PipelineError({ reason }).message // => "drain took longer than 5000 ms"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class PipelineError extends Schema.TaggedError<PipelineError>()("PipelineError", {
  reason: Schema.Union([InvalidPipeline, SetupFailed, ProcessorFailed, DeadlineExceeded, TaskEnded])
}) {
  override get message(): string {
    return this.reason.message
  }
}
