import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type { LlmMessagesUpdateFrame, LlmRunFrame } from "../../LlmContext.ts"
import * as Processor from "../../Processor.ts"
import {
  InterimTranscriptionFrame,
  LlmMessagesAppendFrame,
  TranscriptionFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "../../VoiceFrames.ts"
import { join } from "../speech/spoken.ts"
import type { Conversation } from "./conversation.ts"

/** What the user says becomes messages, each of which asks for an answer. */
export const make = (
  name: string,
  conversation: Conversation,
  interimTimeout: number,
  audioPassthrough: boolean,
  own: {
    readonly LlmMessagesUpdateFrame: typeof LlmMessagesUpdateFrame
    readonly LlmRunFrame: typeof LlmRunFrame
  }
): { readonly processor: Processor.Processor; readonly run: Effect.Effect<void> } => {
  let running: Processor.ProcessorContext | undefined

  const behaviour = Effect.gen(function*() {
    const timer = yield* FiberHandle.make<void, never>()
    yield* Effect.addFinalizer(() => Effect.sync(() => running = undefined))
    /** `late`: the turn is over, and its text is still to come. */
    let turn: "none" | "open" | "late" = "none"
    let words: ReadonlyArray<string> = []
    let announced = ""

    const ask = ({ pushDownstream }: Processor.ProcessorContext, skipTts?: boolean): Effect.Effect<void> =>
      Effect.suspend(() => pushDownstream(conversation.request(skipTts)))

    /** What was said becomes a message. */
    const write = (): boolean => {
      const content = words.map((text) => text.trim()).reduce(join, "")
      turn = "none"
      words = []
      announced = ""
      if (content !== "") conversation.append([{ role: "user", content }])
      return content !== ""
    }

    const commit = (context: Processor.ProcessorContext): Effect.Effect<void> =>
      Effect.suspend(() => write() ? ask(context) : Effect.void)

    /** The text that was announced has not come. */
    const giveUp = (context: Processor.ProcessorContext): Effect.Effect<void> =>
      Effect.suspend(() => {
        words = [...words, announced]
        return commit(context)
      })

    const stopped = (context: Processor.ProcessorContext): Effect.Effect<unknown> =>
      Effect.suspend(() => {
        conversation.userSpeaks = false
        if (turn !== "open") return Effect.void
        if (words.length > 0 && announced === "") return commit(context)
        turn = "late"
        if (announced !== "") return FiberHandle.run(timer, Effect.delay(giveUp(context), interimTimeout))
        return conversation.owed ? ask(context) : Effect.void
      })

    return {
      // what the user says must not come out where the bot's voice does
      ...audioPassthrough ? {} : { AudioRawFrame: () => Effect.void },
      onStart: (_: unknown, context: Processor.ProcessorContext) =>
        Effect.sync(() => {
          running = context
        }),
      UserStartedSpeakingFrame: (frame: UserStartedSpeakingFrame, { push }: Processor.ProcessorContext) =>
        Effect.suspend(() => {
          conversation.userSpeaks = true
          turn = "open"
          return Effect.andThen(FiberHandle.clear(timer), push(frame))
        }),
      UserStoppedSpeakingFrame: (frame: UserStoppedSpeakingFrame, context: Processor.ProcessorContext) =>
        Effect.andThen(context.push(frame), stopped(context)),
      TranscriptionFrame: ({ text }: TranscriptionFrame, context: Processor.ProcessorContext) =>
        Effect.suspend(() => {
          announced = ""
          if (text.trim() === "") return Effect.void
          words = [...words, text]
          if (turn === "open") return Effect.void
          const late = Effect.andThen(FiberHandle.clear(timer), commit(context))
          if (!conversation.answering) return late
          // The user has not taken the word from a bot that speaks: what they say is for their next turn.
          return conversation.heard ? Effect.void : Effect.andThen(context.interrupt, late)
        }),
      InterimTranscriptionFrame: ({ text }: InterimTranscriptionFrame) =>
        Effect.sync(() => {
          if (turn !== "none") announced = text.trim()
        }),
      LlmMessagesAppendFrame: (frame: LlmMessagesAppendFrame, context: Processor.ProcessorContext) =>
        Effect.suspend(() => {
          conversation.append(frame.messages)
          return frame.runLlm ? ask(context, frame.skipTts) : Effect.void
        }),
      LlmMessagesUpdateFrame: (frame: LlmMessagesUpdateFrame, context: Processor.ProcessorContext) =>
        Effect.suspend(() => {
          conversation.update(() => frame.messages)
          return frame.runLlm ? ask(context, frame.skipTts) : Effect.void
        }),
      LlmRunFrame: (frame: LlmRunFrame, context: Processor.ProcessorContext) => ask(context, frame.skipTts),
      onEnd: () =>
        Effect.andThen(
          FiberHandle.clear(timer),
          Effect.sync(() => {
            words = [...words, announced]
            write()
          })
        )
    }
  })

  return {
    processor: Processor.effect(name, behaviour, {
      frames: [
        InterimTranscriptionFrame,
        LlmMessagesAppendFrame,
        own.LlmMessagesUpdateFrame,
        own.LlmRunFrame,
        TranscriptionFrame,
        UserStartedSpeakingFrame,
        UserStoppedSpeakingFrame
      ]
    }),
    run: Effect.suspend(() => running === undefined ? Effect.void : running.pushDownstream(conversation.request()))
  }
}
