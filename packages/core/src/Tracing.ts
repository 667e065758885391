/**
 * Spans of a task, through Effect's `Tracer`: a `conversation` from `StartFrame` to the end, in it one `turn` after the
 * other, and in these whatever handlers open spans for. Turned on with the task's option `tracing`.
 *
 * **Details**
 *
 * - The `conversation` is a child of the span in which the task was made, if there is one, and a root otherwise.
 * - Turns are those of `TurnObserver`. Attributes: `conversation.id`, `turn.number`, `turn.was_interrupted`,
 *   `turn.duration_seconds`.
 * - Spans that the handlers of effectful processors open are children of the turn in which the handler began, or of the
 *   `conversation` where there is no turn. Work that goes on beside the handlers (`run`, `source`, a stream) belongs to
 *   the `conversation`: {@link withTurn} makes a part of it a child of the turn.
 * - A tracer that throws is reported; the task goes on without spans.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { dual } from "effect/Function"
import type { ProcessorContext } from "./Processor.ts"

/**
 * What the task's option `tracing` takes; `true` stands for the defaults.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PipelineTask, Processor } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}), {
 *     tracing: { conversationId: "call-17", attributes: { "user.id": "ann" } }
 *   })
 *   yield* task.stopWhenDone
 *   return yield* task.run
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: the id of the span `conversation`. */
  readonly conversationId?: string | undefined
  /** Attributes of the conversation and of each of its turns. Default: none. */
  readonly attributes?: Readonly<Record<string, unknown>> | undefined
  /** Silence after the bot has spoken that ends a turn. Default: 2.5 seconds. */
  readonly turnTimeout?: Duration.Input | undefined
}

/**
 * Makes the spans of an Effect children of the turn that is going on when it is run (of the conversation between two
 * turns). Where the task is not traced, the Effect is what it was.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Processor, Tracing } from "@apipeline/core"
 *
 * const ticker = Processor.effect("Ticker", {
 *   run: (_, context) =>
 *     context.push(Frame.TextFrame.make({ text: "tick" })).pipe(
 *       Effect.withSpan("tick"),
 *       Tracing.withTurn(context),
 *       Effect.delay("1 second"),
 *       Effect.forever
 *     )
 * })
 * ```
 *
 * @category tracing
 * @since 0.1.0
 */
export const withTurn: {
  (
    context: Pick<ProcessorContext, "span">
  ): <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  <A, E, R>(self: Effect.Effect<A, E, R>, context: Pick<ProcessorContext, "span">): Effect.Effect<A, E, R>
} = dual(
  2,
  <A, E, R>(self: Effect.Effect<A, E, R>, context: Pick<ProcessorContext, "span">): Effect.Effect<A, E, R> =>
    Effect.flatMap(
      context.span,
      (span) => span === undefined ? self : Effect.withParentSpan(self, span) as Effect.Effect<A, E, R>
    )
)
