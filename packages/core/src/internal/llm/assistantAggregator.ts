import * as Processor from "../../Processor.ts"
import {
  AggregatedTextFrame,
  FunctionCallCancelledFrame,
  FunctionCallInProgressFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame,
  type LlmContextFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  LlmTextFrame,
  TtsStartedFrame,
  TtsStoppedFrame,
  TtsTextFrame
} from "../../VoiceFrames.ts"
import { Heard } from "../speech/heard.ts"
import type { Conversation } from "./conversation.ts"

const frames = [
  AggregatedTextFrame,
  FunctionCallCancelledFrame,
  FunctionCallInProgressFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  LlmTextFrame,
  TtsStartedFrame,
  TtsStoppedFrame,
  TtsTextFrame
] as const

/** Something that the bot says: an answer, or what it was told to say. */
interface Utterance {
  readonly id: number
  readonly isAnswer: boolean
  readonly heard: Heard
}

/** Writes down what the bot is heard to say, and what functions have returned. */
export const make = (name: string, conversation: Conversation): Processor.Processor =>
  Processor.sync(name, () => {
    let now: Utterance | undefined

    const begin = (id: number, isAnswer: boolean): void => {
      end()
      now = { id, isAnswer, heard: new Heard() }
    }
    const write = (): void => {
      if (now !== undefined) conversation.say(now.id, now.heard.text)
    }
    const end = (): void => {
      now?.heard.complete()
      write()
      now = undefined
    }
    const say = (frame: { readonly id: number }, f: (heard: Heard) => void): void => {
      if (now === undefined) begin(frame.id, false)
      f(now!.heard)
    }
    const ask = (request: LlmContextFrame | undefined, push: Processor.Push): void => {
      if (request !== undefined) push.upstream(request)
    }
    return {
      LlmResponseStartFrame: (frame: LlmResponseStartFrame, push) => {
        begin(frame.id, true)
        push(frame)
      },
      LlmTextFrame: (frame: LlmTextFrame, push) => {
        say(frame, (heard) => heard.read(frame.text))
        write()
        push(frame)
      },
      LlmResponseEndFrame: (frame: LlmResponseEndFrame, push) => {
        if (now?.isAnswer === true) {
          end()
          conversation.answering = false
        }
        push(frame)
      },
      AggregatedTextFrame: (frame: AggregatedTextFrame, push) => {
        if (frame.willBeSpoken) say(frame, (heard) => heard.segment(frame))
        else now?.heard.segment(frame)
        write()
        push(frame)
      },
      TtsTextFrame: (frame: TtsTextFrame, push) => {
        if (frame.appendToContext !== false) {
          say(frame, (heard) => heard.word(frame))
          write()
        }
        push(frame)
      },
      TtsStartedFrame: (frame: TtsStartedFrame, push) => {
        if (now?.isAnswer === false) end()
        push(frame)
      },
      TtsStoppedFrame: (frame: TtsStoppedFrame, push) => {
        now?.heard.complete()
        write()
        if (now?.isAnswer === false) now = undefined
        push(frame)
      },
      FunctionCallsStartedFrame: (frame: FunctionCallsStartedFrame, push) => {
        conversation.started(frame)
        push(frame)
      },
      FunctionCallInProgressFrame: (frame: FunctionCallInProgressFrame, push) => {
        const request = conversation.inProgress(frame)
        push(frame)
        ask(request, push)
      },
      FunctionCallResultFrame: (frame: FunctionCallResultFrame, push) => {
        const request = conversation.result(frame)
        push(frame)
        ask(request, push)
      },
      FunctionCallCancelledFrame: (frame: FunctionCallCancelledFrame, push) => {
        conversation.cancelled(frame)
        push(frame)
      },
      onInterruption: () => {
        now = undefined
        conversation.interrupted()
      },
      onEnd: () => {
        now = undefined
      }
    }
  }, { frames })
