/**
 * The context of a language model: the conversation so far, collected from what the user says and what the bot is heard
 * to say.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Stream from "effect/Stream"
import * as SubscriptionRef from "effect/SubscriptionRef"
import * as Frame from "./Frame.ts"
import * as AssistantAggregator from "./internal/llm/assistantAggregator.ts"
import { Conversation } from "./internal/llm/conversation.ts"
import * as UserAggregator from "./internal/llm/userAggregator.ts"
import type * as Processor from "./Processor.ts"
import { LlmMessage } from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// frames
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The model answers the conversation as it is: a bot that speaks first.
 *
 * @example
 * ```ts
 * import { LlmContext } from "@apipeline/core"
 *
 * LlmContext.LlmRunFrame.make().kind // => "data"
 * ```
 *
 * Source: `LLMRunFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class LlmRunFrame extends Frame.App<LlmRunFrame>()("LlmRunFrame", {
  /** The answer is to be read, not spoken. */
  skipTts: Schema.optionalKey(Schema.Boolean)
}) {}

/**
 * Other messages take the place of the conversation. `runLlm`: the model answers now. `skipTts`: that answer is to be
 * read, not spoken.
 *
 * @example
 * ```ts
 * import { LlmContext } from "@apipeline/core"
 *
 * LlmContext.LlmMessagesUpdateFrame.make({ messages: [], runLlm: false }).uninterruptible // => true
 * ```
 *
 * Source: `LLMMessagesUpdateFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class LlmMessagesUpdateFrame extends Frame.App<LlmMessagesUpdateFrame>()("LlmMessagesUpdateFrame", {
  messages: Schema.Array(LlmMessage),
  runLlm: Schema.Boolean,
  skipTts: Schema.optionalKey(Schema.Boolean)
}, { uninterruptible: true }) {}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** How the conversation begins. Default: empty. */
  readonly messages?: ReadonlyArray<LlmMessage> | undefined
  /**
   * How long the end of the user's turn waits for the text that an interim one has announced; then that one has to do.
   * Default: 1 second.
   */
  readonly interimTimeout?: Duration.Input | undefined
  /**
   * Whether audio passes the `user` processor: an output behind it would play what the user says. Default: false, it ends
   * there.
   */
  readonly audioPassthrough?: boolean | undefined
  /** The processors are called `<name>.user` and `<name>.assistant`. Default: `LlmContext`. */
  readonly name?: string | undefined
}

/**
 * The conversation of one session.
 *
 * @category models
 * @since 0.1.0
 */
export interface LlmContext {
  /** Goes in front of the model: collects what the user says, and asks for answers. */
  readonly user: Processor.Processor
  /** Goes behind the output: collects what the bot is heard to say, and what functions have returned. */
  readonly assistant: Processor.Processor
  /** The conversation so far. */
  readonly messages: Effect.Effect<ReadonlyArray<LlmMessage>>
  /** The conversation as it is, and as it becomes. */
  readonly changes: Stream.Stream<ReadonlyArray<LlmMessage>>
  /** Takes the place of all messages. */
  readonly set: (messages: ReadonlyArray<LlmMessage>) => Effect.Effect<void>
  readonly append: (messages: ReadonlyArray<LlmMessage>) => Effect.Effect<void>
  /**
   * Changes the messages at once. Those that stay the same objects keep their place in the conversation: an answer that is
   * being heard goes on in its message, a result finds its call.
   */
  readonly update: (
    f: (messages: ReadonlyArray<LlmMessage>) => ReadonlyArray<LlmMessage>
  ) => Effect.Effect<void>
  /**
   * The model answers now, as with a {@link LlmRunFrame}: after a switch to another service, for example. Does nothing
   * when no task with the `user` processor runs.
   */
  readonly run: Effect.Effect<void>
}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes the context of one session: the conversation, and the two processors that write it.
 *
 * **Details**
 *
 * What the user says, `user`:
 *
 * - The transcriptions between `UserStartedSpeakingFrame` and `UserStoppedSpeakingFrame` become one message of the user,
 *   and a `LlmContextFrame` follows. They and interim ones go no further.
 * - Transcriptions may come after the end, which overtakes them: the first one then is the message.
 * - A turn without words does nothing; but what a function has returned meanwhile is answered now.
 * - A transcription outside of a turn (keys of a telephone, or one that comes too late) is a message by itself. An answer
 *   that has been asked for without it is interrupted; when that is being heard already, the words are part of the next
 *   turn.
 * - `LlmMessagesAppendFrame`, {@link LlmMessagesUpdateFrame} and {@link LlmRunFrame} do what they say, and go no further.
 * - Two messages of the user in a row stay two: every provider of `effect/ai` takes them so.
 * - When the task ends, what was said in an unfinished turn is a message, too.
 *
 * What the bot says, `assistant`:
 *
 * - Only what has been heard: the `TtsTextFrame`s that left the output, as they are written in the `AggregatedTextFrame`
 *   that they are of. The message grows with each of them, and an interruption leaves it as it is.
 * - `LlmTextFrame`s come this far only when nobody speaks them: their text is part of the message.
 * - What is said outside of an answer is a message of its own, unless its frames have `appendToContext: false`.
 * - Calls and results join the message of the answer that asked for them. When all results of an answer are there, a
 *   `LlmContextFrame` goes upstream. While the user speaks, it waits for what they say.
 * - A call that has no result when the model is asked again is told to be running; so is one in the background at once.
 *   Its result comes at the end of the conversation then, as that of another call (its id ends in `_2`), and is answered.
 *
 * **Gotchas**
 *
 * One context is for one session at a time.
 *
 * @example
 * ```ts
 * import { LlmContext, Pipeline, PipelineTask, type Processor } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const session = (input: Processor.Processor, bot: Processor.Processor, output: Processor.Processor) =>
 *   Effect.gen(function*() {
 *     const context = yield* LlmContext.make()
 *     const task = yield* PipelineTask.make(Pipeline.make(input, context.user, bot, output, context.assistant))
 *     yield* task.queueFrame(LlmContext.LlmRunFrame.make()) // the bot speaks first
 *     yield* task.run
 *     return yield* context.messages
 *   })
 * ```
 *
 * Source: `LLMContext` and `LLMContextAggregatorPair` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<LlmContext> =>
  Effect.map(SubscriptionRef.make(options.messages ?? []), (ref) => {
    const { audioPassthrough = false, interimTimeout = "1 second", name = "LlmContext" } = options
    const conversation = new Conversation(ref)
    const user = UserAggregator.make(
      `${name}.user`,
      conversation,
      Duration.toMillis(interimTimeout),
      audioPassthrough,
      {
        LlmMessagesUpdateFrame,
        LlmRunFrame
      }
    )
    const update: LlmContext["update"] = (f) => Effect.sync(() => conversation.update(f))
    return {
      user: user.processor,
      assistant: AssistantAggregator.make(`${name}.assistant`, conversation),
      messages: SubscriptionRef.get(ref),
      changes: SubscriptionRef.changes(ref),
      set: (messages) => update(() => messages),
      append: (messages) => Effect.sync(() => conversation.append(messages)),
      update,
      run: user.run
    }
  })
