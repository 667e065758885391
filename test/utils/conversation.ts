import * as Frame from "@apipeline/core/Frame"
import * as Processor from "@apipeline/core/Processor"
import * as Voice from "@apipeline/core/VoiceFrames"
import { Effect } from "effect"

export const user = (content: string): Voice.LlmMessage => ({ role: "user", content })
export const bot = (content: string): Voice.LlmMessage => ({ role: "assistant", content })
/** What the bot says first, and what it calls. */
export const calling = (
  text: string,
  ...calls: ReadonlyArray<readonly [id: string, name: string, params: unknown]>
) => ({
  role: "assistant" as const,
  content: [
    ...text === "" ? [] : [{ type: "text", text }],
    ...calls.map(([id, name, params]) => ({ type: "tool-call", id, name, params }))
  ]
})
export const results = (
  ...all: ReadonlyArray<readonly [id: string, name: string, result: unknown, isFailure?: boolean]>
) => ({
  role: "tool" as const,
  content: all.map(([id, name, result, isFailure = false]) => ({ type: "tool-result", id, name, isFailure, result }))
})

export const asks = (text: string): Voice.LlmMessagesAppendFrame =>
  Voice.LlmMessagesAppendFrame.make({ messages: [user(text)], runLlm: true })

/** Frames as short lines. */
export const lines = (frames: ReadonlyArray<Frame.Frame>): Array<string> =>
  frames.flatMap((frame) => {
    if (Voice.LlmResponseStartFrame.is(frame)) return [frame.skipTts === true ? "start (read)" : "start"]
    if (Voice.LlmTextFrame.is(frame) || Voice.TtsTextFrame.is(frame)) return [`"${frame.text}"`]
    if (Voice.LlmResponseEndFrame.is(frame)) return ["end"]
    if (Voice.LlmContextFrame.is(frame)) return ["context"]
    if (Voice.FunctionCallsStartedFrame.is(frame)) return [`calls ${frame.callIds.join()}`]
    if (Voice.FunctionCallInProgressFrame.is(frame)) {
      return [`${frame.callId}: ${frame.functionName}${frame.background === true ? " (background)" : ""}`]
    }
    if (Voice.FunctionCallResultFrame.is(frame)) {
      return [`${frame.callId} ${frame.isFailure === true ? "!" : "="} ${JSON.stringify(frame.result)}`]
    }
    if (Voice.FunctionCallCancelledFrame.is(frame)) return [`${frame.callId} cancelled`]
    if (Frame.ErrorFrame.is(frame)) return [`error ${(frame.error as Error).message}`]
    if (frame._tag === "StartInterruptionFrame") return ["interruption"]
    return ["StartFrame", "EndFrame", "MetricsFrame", "CancelFrame", "StopInterruptionFrame"].includes(frame._tag)
      ? []
      : [frame._tag]
  })

/** A voice and an output: says what the model says, sentence by sentence, a word every 100 ms. */
export const mouth = Processor.queued(
  "Mouth",
  Effect.sync(() => {
    let text = ""
    let read = false
    let segmentId = 0
    const say = Effect.fnUntraced(function*(sentence: string, { push }: Processor.ProcessorContext) {
      segmentId++
      yield* push(
        Voice.AggregatedTextFrame.make({ text: sentence, aggregatedBy: "sentence", willBeSpoken: true, segmentId })
      )
      for (const word of sentence.split(" ")) {
        yield* push(Voice.TtsTextFrame.make({ text: word, segmentId }))
        yield* Effect.sleep("100 millis")
      }
    })
    return {
      LlmResponseStartFrame: (frame: Voice.LlmResponseStartFrame, { push }: Processor.ProcessorContext) => {
        text = ""
        read = frame.skipTts === true
        return push(frame)
      },
      LlmTextFrame: (frame: Voice.LlmTextFrame, { push }: Processor.ProcessorContext) => {
        if (read) return push(frame)
        text += frame.text
        return Effect.void
      },
      LlmResponseEndFrame: (frame: Voice.LlmResponseEndFrame, context: Processor.ProcessorContext) =>
        Effect.gen(function*() {
          for (const sentence of text.match(/[^.?!]+[.?!]*/g) ?? []) yield* say(sentence.trim(), context)
          text = ""
          yield* context.push(frame)
        }),
      onInterruption: () =>
        Effect.sync(() => {
          text = ""
        })
    }
  }),
  { frames: [Voice.LlmResponseEndFrame, Voice.LlmResponseStartFrame, Voice.LlmTextFrame] }
)
