import * as Result from "effect/Result"
import * as Frame from "../../Frame.ts"
import * as Pcm from "../../Pcm.ts"
import type * as PipelineObserver from "../../PipelineObserver.ts"
import type * as Rtvi from "../../Rtvi.ts"
import { RtviServerMessageFrame } from "../../RtviFrames.ts"
import * as RtviMessage from "../../RtviMessage.ts"
import * as Sentence from "../../Sentence.ts"
import { destinationOf, OutputAudioEndFrame } from "../../TransportFrames.ts"
import * as Voice from "../../VoiceFrames.ts"
import { toBase64 } from "../wire/bytes.ts"
import { Calls } from "./rtviCalls.ts"
import { describe } from "./rtviError.ts"
import { Segments } from "./rtviSegments.ts"
import type { RtviSession } from "./rtviSession.ts"

type Messages = ReadonlyArray<RtviMessage.Server>

const none: Messages = []
const { server } = RtviMessage

/** What is told only where it is asked for. */
const offByDefault: ReadonlySet<RtviMessage.ServerType> = new Set<RtviMessage.ServerType>([
  "bot-audio-level",
  "bot-tts-audio",
  "user-audio-level",
  "vad-user-started-speaking",
  "vad-user-stopped-speaking"
])

/** A state and its two frames, each with the message that tells of it. */
const states: ReadonlyMap<string, readonly [state: string, on: boolean, type: RtviMessage.ServerType]> = new Map([
  [Voice.UserStartedSpeakingFrame.tag, ["user", true, "user-started-speaking"]],
  [Voice.UserStoppedSpeakingFrame.tag, ["user", false, "user-stopped-speaking"]],
  [Voice.VadUserStartedSpeakingFrame.tag, ["vad", true, "vad-user-started-speaking"]],
  [Voice.VadUserStoppedSpeakingFrame.tag, ["vad", false, "vad-user-stopped-speaking"]],
  [Voice.UserMuteStartedFrame.tag, ["mute", true, "user-mute-started"]],
  [Voice.UserMuteStoppedFrame.tag, ["mute", false, "user-mute-stopped"]],
  [Voice.LlmResponseStartFrame.tag, ["llm", true, "bot-llm-started"]],
  [Voice.LlmResponseEndFrame.tag, ["llm", false, "bot-llm-stopped"]],
  [Voice.TtsStartedFrame.tag, ["tts", true, "bot-tts-started"]],
  [Voice.TtsStoppedFrame.tag, ["tts", false, "bot-tts-stopped"]],
  [Voice.BotStartedSpeakingFrame.tag, ["bot", true, "bot-started-speaking"]],
  [Voice.BotStoppedSpeakingFrame.tag, ["bot", false, "bot-stopped-speaking"]]
])

/** The frames that say something to a client. */
export const framesOf = (options: Rtvi.ReportOptions): ReadonlyArray<string> => [
  ...states.keys(),
  Frame.ErrorFrame.tag,
  Frame.MetricsFrame.tag,
  Frame.TextFrame.tag,
  OutputAudioEndFrame.tag,
  RtviServerMessageFrame.tag,
  Voice.AggregatedTextFrame.tag,
  Voice.AggregatedTextProgressFrame.tag,
  Voice.FunctionCallCancelledFrame.tag,
  Voice.FunctionCallInProgressFrame.tag,
  Voice.FunctionCallResultFrame.tag,
  Voice.FunctionCallsStartedFrame.tag,
  Voice.InterimTranscriptionFrame.tag,
  Voice.LlmContextFrame.tag,
  Voice.LlmTextFrame.tag,
  Voice.TranscriptionFrame.tag,
  Voice.TtsTextFrame.tag,
  // There are many of these: each costs the pipeline a little when somebody wants to see them.
  ...(["bot-audio-level", "bot-tts-audio", "user-audio-level"] as const).some((type) =>
      options.messages?.[type] === true
    )
    ? [Frame.AudioRawFrame.tag]
    : []
]

/**
 * What the client is told of what happens in a pipeline.
 *
 * Frames move from processor to processor, and many are sent both ways. What has two states is told when it changes,
 * other frames when they move for the first time, and what is heard when it has left the output.
 */
export class Report {
  private readonly session: RtviSession
  private readonly options: Rtvi.ReportOptions
  private readonly ignored: ReadonlySet<string>
  private readonly calls: Calls
  private readonly segments: Segments
  private readonly sentences = Sentence.makeSplitter()
  private readonly seen = new WeakSet<Frame.Frame>()
  /** Made by who is ignored, or for somebody else. */
  private readonly hidden = new WeakSet<Frame.Frame>()
  private readonly on = new Set<string>()
  private output: string | undefined
  /** Whose text is that of the model, while it answers. */
  private model: string | undefined = undefined
  /** When a level was told, by type. */
  private readonly levels = new Map<string, number>()

  constructor(session: RtviSession, options: Rtvi.ReportOptions) {
    this.session = session
    this.options = options
    this.ignored = new Set(options.ignore)
    this.output = options.output ?? "TransportOutput"
    this.calls = new Calls(options.functionCalls ?? {})
    this.segments = new Segments(() => session.legacy)
  }

  take(event: PipelineObserver.Event): Messages {
    if (event._tag === "Drop") return none
    if (event._tag === "Push") {
      const { frame, from } = event
      const first = !this.seen.has(frame)
      if (first) this.seen.add(frame)
      if (first && (this.ignored.has(from) || destinationOf(frame) !== undefined)) this.hidden.add(frame)
      if (this.hidden.has(frame)) return none
      return this.wanted([...this.moved(event, first), ...this.left(event, first)], frame)
    }
    if (event.event === "Interrupted") {
      return this.session.allowInterruptions ? this.wanted(this.interrupted()) : none
    }
    // A pipeline without the output: nothing is to be heard, so it is told when it moves.
    const processors = event.startup?.processors
    if (processors?.some(({ processor }) => processor === this.output) === false) this.output = undefined
    return none
  }

  private wanted(messages: Messages, frame?: Frame.Frame): Messages {
    // What an application sends is wanted.
    if (messages.length === 0 || RtviServerMessageFrame.is(frame)) return messages
    return messages.filter(({ type }) => this.options.messages?.[type] ?? !offByDefault.has(type))
  }

  /** A frame moves from one processor to the next. */
  private moved({ at, direction, frame, from }: PipelineObserver.PushEvent, first: boolean): Messages {
    if (frame instanceof Frame.AudioRawFrame) {
      return direction === "downstream" && from === this.session.processor
        ? this.level("user-audio-level", frame, at)
        : none
    }
    if (!first) return none
    const state = states.get(frame._tag)
    if (state !== undefined) return this.state(from, ...state)
    if (Voice.FunctionCallsStartedFrame.is(frame)) return this.calls.started(frame)
    if (Voice.FunctionCallInProgressFrame.is(frame)) return this.calls.inProgress(frame)
    if (Voice.FunctionCallResultFrame.is(frame) || Voice.FunctionCallCancelledFrame.is(frame)) {
      return this.calls.stopped(frame)
    }
    if (Voice.TranscriptionFrame.is(frame)) return [transcription(frame, true)]
    if (Voice.InterimTranscriptionFrame.is(frame)) return [transcription(frame, false)]
    if (Voice.LlmContextFrame.is(frame)) return userText(frame)
    if (Voice.LlmTextFrame.is(frame) || frame instanceof Frame.TextFrame && from === this.model) {
      return this.modelText(frame.text)
    }
    if (Frame.MetricsFrame.is(frame)) return metrics(frame)
    if (Frame.ErrorFrame.is(frame)) return [RtviMessage.error(describe(frame.error), frame.fatal)]
    if (RtviServerMessageFrame.is(frame)) return [frame.message]
    return none
  }

  private state(from: string, state: string, on: boolean, type: RtviMessage.ServerType): Messages {
    if (this.on.has(state) === on) return none
    if (on) this.on.add(state)
    else this.on.delete(state)
    const message = server(type as "bot-llm-started") // none of these has data
    if (state === "bot") {
      if (on) return [message, ...this.segments.started()]
      this.segments.stopped()
    }
    if (state === "llm") {
      this.model = on ? from : undefined
      if (!on) return [...this.sentences.flush().flatMap(botTranscription), message]
    }
    return [message]
  }

  private modelText(text: string): Messages {
    return [server("bot-llm-text", { text }), ...this.sentences.push(text).flatMap(botTranscription)]
  }

  /** Barge-in: what was begun is over, whoever may say so later. */
  private interrupted(): Messages {
    this.segments.interrupted()
    this.sentences.flush()
    this.model = undefined
    const messages: Array<RtviMessage.Server> = [server("bot-interrupted")]
    if (this.on.delete("llm")) messages.push(server("bot-llm-stopped"))
    if (this.on.delete("tts")) messages.push(server("bot-tts-stopped"))
    return messages
  }

  /** A frame leaves the output: it is heard now. */
  private left({ at, direction, frame, from }: PipelineObserver.PushEvent, first: boolean): Messages {
    if (direction !== "downstream" || (this.output === undefined ? !first : from !== this.output)) return none
    if (Voice.AggregatedTextFrame.is(frame)) return this.segments.text(frame)
    if (Voice.AggregatedTextProgressFrame.is(frame)) return this.segments.progress(frame)
    if (Voice.TtsTextFrame.is(frame)) return this.segments.word(frame)
    if (Voice.TtsStoppedFrame.is(frame) || OutputAudioEndFrame.is(frame)) return this.segments.ended()
    if (frame instanceof Frame.AudioRawFrame) {
      return [
        ...this.level("bot-audio-level", frame, at),
        ...this.options.messages?.["bot-tts-audio"] === true ? [audio(frame)] : []
      ]
    }
    return none
  }

  private level(type: "user-audio-level" | "bot-audio-level", { audio, sampleWidth }: Frame.AudioRawFrame, at: number) {
    const { audioLevelInterval = 150, messages } = this.options
    if (
      messages?.[type] !== true || sampleWidth !== 2 || at - (this.levels.get(type) ?? -Infinity) < audioLevelInterval
    ) {
      return none
    }
    const samples = Pcm.toInt16(audio)
    if (Result.isFailure(samples)) return none
    this.levels.set(type, at)
    return [server(type, { value: Pcm.volume(samples.success) })]
  }
}

const transcription = (
  { text, timestamp, userId }: Voice.TranscriptionFrame | Voice.InterimTranscriptionFrame,
  final: boolean
): RtviMessage.Server => server("user-transcription", { text, user_id: userId, timestamp, final })

const botTranscription = (sentence: string): Messages => {
  const text = sentence.trim()
  return text === "" ? none : [server("bot-transcription", { text })]
}

const userText = ({ messages }: Voice.LlmContextFrame): Messages => {
  const last = messages[messages.length - 1]
  if (last?.role !== "user") return none
  const { content } = last
  const text = typeof content === "string"
    ? content
    : content.flatMap((part) => typeof part["text"] === "string" ? [part["text"]] : []).join(" ")
  return text === "" ? none : [server("user-llm-text", { text })]
}

const audio = ({ audio, numChannels, sampleRate }: Frame.AudioRawFrame): RtviMessage.Server =>
  server("bot-tts-audio", { audio: toBase64(audio), sample_rate: sampleRate, num_channels: numChannels })

/** Seconds, and the names that pipecat has for them. */
const metrics = ({ data }: Frame.MetricsFrame): Messages => {
  const all: { [kind: string]: Array<unknown> } = {}
  for (const metric of data) {
    const { model, processor } = metric
    const of = { processor, ...model !== undefined && { model } }
    switch (metric._tag) {
      case "Ttfb":
      case "Processing":
        ;(all[metric._tag === "Ttfb" ? "ttfb" : "processing"] ??= []).push({ ...of, value: metric.milliseconds / 1000 })
        break
      case "Ttfa":
        ;(all["ttfa"] ??= []).push({
          ...of,
          ttfa: metric.milliseconds / 1000,
          ttfb: (metric.milliseconds - metric.silence) / 1000,
          leading_silence: metric.silence / 1000
        })
        break
      case "Ttfat":
        ;(all["ttfat"] ??= []).push({
          ...of,
          ttfat: metric.milliseconds / 1000,
          ttfb: (metric.milliseconds - (metric.thinking ?? 0)) / 1000,
          ...metric.thinking !== undefined && { thinking_time: metric.thinking / 1000 }
        })
        break
      case "CharacterUsage":
        ;(all["characters"] ??= []).push({ ...of, value: metric.characters })
        break
      case "TokenUsage":
        ;(all["tokens"] ??= []).push({
          prompt_tokens: metric.promptTokens,
          completion_tokens: metric.completionTokens,
          total_tokens: metric.totalTokens,
          ...metric.cachedTokens !== undefined && { cache_read_input_tokens: metric.cachedTokens },
          ...metric.reasoningTokens !== undefined && { reasoning_tokens: metric.reasoningTokens }
        })
    }
  }
  return data.length === 0 ? none : [server("metrics", all as RtviMessage.ServerData<"metrics">)]
}
