/**
 * Keeps the context of a model short: replaces what is old by a summary.
 *
 * @since 0.1.0
 */
import * as LanguageModel from "effect/ai/LanguageModel"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Old from "./internal/llm/oldMessages.ts"
import type * as LlmContext from "./LlmContext.ts"
import * as Processor from "./Processor.ts"
import type { LlmMessage } from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * There is no summary: the context stays as it is.
 *
 * @example
 * ```ts
 * import { ContextSummarizer } from "@apipeline/core"
 *
 * new ContextSummarizer.SummaryError({ messages: 12, cause: new Error("overloaded") }).message
 * // => "12 messages could not be summarised: overloaded"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SummaryError extends Schema.TaggedError<SummaryError>()("SummaryError", {
  /** How many were to be replaced. */
  messages: Schema.Int,
  cause: Schema.Defect()
}) {
  override get message(): string {
    const why = this.cause instanceof Error ? this.cause.message : String(this.cause)
    return `${this.messages} messages could not be summarised: ${why}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = LanguageModel.LanguageModel> {
  /** Default: `ContextSummarizer`. */
  readonly name?: string | undefined
  /** More messages than this are too many. Default: 20. */
  readonly maxMessages?: number | undefined
  /** More tokens than this are too many, by `estimate`. Default: 8000. */
  readonly maxTokens?: number | undefined
  /** Messages at the end that stay as they are. Default: 4. */
  readonly keep?: number | undefined
  /** Tokens of a message. Default: one for 4 characters. */
  readonly estimate?: ((message: LlmMessage) => number) | undefined
  /** What the model is told to do. */
  readonly instructions?: string | undefined
  /** The message that stands for the others. Default: one of the user that says what it is. */
  readonly toMessage?: ((summary: string) => LlmMessage) | undefined
  /** How long a summary may take. Default: 1 minute. */
  readonly timeout?: Duration.Input | undefined
  /** After a failure, the next attempt is made no sooner. Default: 30 seconds. */
  readonly pause?: Duration.Input | undefined
  /** The model that summarises. Default: the `LanguageModel` that there is. */
  readonly model?: Layer.Layer<LanguageModel.LanguageModel, never, R> | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

const instructions =
  "Summarise the conversation between a user and an assistant that follows. Keep what matters for its " +
  "continuation: facts, names, numbers, decisions, what is still to be done. Answer with the summary alone."

const seen = (summary: string): LlmMessage => ({
  role: "user",
  content: `Summary of our conversation so far: ${summary}`
})

/**
 * Makes a processor that watches the context of a conversation, and when that becomes too long has a model summarise what
 * is old, beside everything else. All frames pass; it may stand anywhere.
 *
 * **Details**
 *
 * - Summarised is what is neither among the last `keep` messages nor an instruction (`system`) in the beginning. A call
 *   and its result stay together, a call without one stays.
 * - The conversation goes on meanwhile, interruptions included. What comes joins what is kept. When what was summarised is
 *   not there any more as it was, the summary is dropped.
 * - When there is no summary, that is reported as a {@link SummaryError}, and the context stays as it is.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ContextSummarizer, Llm, LlmContext, Pipeline } from "@apipeline/core"
 *
 * const bot = Effect.map(LlmContext.make(), (context) =>
 *   Pipeline.make(context.user, Llm.make(), context.assistant, ContextSummarizer.make(context, { maxMessages: 50 })))
 * ```
 *
 * Source: `LLMContextSummarizer` of pipecat, and its numbers.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <R = LanguageModel.LanguageModel>(
  context: LlmContext.LlmContext,
  options: Options<R> = {}
): Processor.Processor<SummaryError, Exclude<R, Scope.Scope>> => {
  const {
    estimate = Old.estimate,
    keep = 4,
    maxMessages = 20,
    maxTokens = 8000,
    pause = "30 seconds",
    timeout = "1 minute",
    toMessage = seen
  } = options

  const behaviour = Effect.gen(function*() {
    const model = yield* options.model === undefined
      ? Effect.service(LanguageModel.LanguageModel)
      : Effect.provide(Effect.service(LanguageModel.LanguageModel), yield* Layer.build(options.model))
    let notBefore = 0

    const isTooLong = (messages: ReadonlyArray<LlmMessage>): boolean =>
      messages.length > maxMessages || messages.reduce((sum, message) => sum + estimate(message), 0) > maxTokens

    const summarise = Effect.fnUntraced(function*(old: ReadonlyArray<LlmMessage>) {
      const { text } = yield* model.generateText({
        prompt: [
          { role: "system", content: options.instructions ?? instructions },
          { role: "user", content: Old.toText(old) }
        ]
      })
      if (text.trim() === "") return yield* Effect.fail(new Error("the model gave no text"))
      yield* context.update((messages) => {
        const at = messages.indexOf(old[0]!)
        const isThere = at >= 0 && old.every((message, i) => messages[at + i] === message)
        return isThere
          ? [...messages.slice(0, at), toMessage(text.trim()), ...messages.slice(at + old.length)]
          : messages
      })
    })

    const look = ({ report }: Processor.ProcessorContext) =>
      Effect.gen(function*() {
        // as it is now: it may have changed since
        const messages = yield* context.messages
        if (!isTooLong(messages) || (yield* Clock.currentTimeMillis) < notBefore) return
        const old = Old.old(messages, keep)
        if (old.length < 2) return
        yield* summarise(old).pipe(
          Effect.timeoutOrElse({
            duration: timeout,
            orElse: () => Effect.fail(new Error(`nothing for ${Duration.format(Duration.fromInputUnsafe(timeout))}`))
          }),
          Effect.catchCause((cause) =>
            Effect.flatMap(Clock.currentTimeMillis, (now) => {
              notBefore = now + Duration.toMillis(pause)
              return report(new SummaryError({ messages: old.length, cause: Cause.squash(cause) }))
            })
          )
        )
      })

    return {
      run: (_: undefined, own: Processor.ProcessorContext) => Stream.runForEach(context.changes, () => look(own))
    }
  })

  return Processor.effect(options.name ?? "ContextSummarizer", behaviour as Effect.Effect<any, any, any>)
}
