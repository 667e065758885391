import * as Frame from "@apipeline/core/Frame"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import { SttMetadataFrame } from "@apipeline/core/Stt"
import { act, interrupt, run, settle, sleep, type Step, upstream } from "@apipeline/core/testing"
import * as TurnFrames from "@apipeline/core/TurnFrames"
import { VadParamsFrame } from "@apipeline/core/Vad"
import * as VadController from "@apipeline/core/VadController"
import * as Voice from "@apipeline/core/VoiceFrames"
import { Clock, Effect, type Scope } from "effect"

const by = { userId: "user", timestamp: "" }

const frames: Readonly<Record<string, (value: string) => Frame.Frame>> = {
  S: () => Voice.VadUserStartedSpeakingFrame.make(),
  E: () => Voice.VadUserStoppedSpeakingFrame.make(),
  T: (text) => Voice.TranscriptionFrame.make({ text: text.replaceAll("_", " "), ...by }),
  F: (text) => Voice.TranscriptionFrame.make({ text: text.replaceAll("_", " "), ...by, finalized: true }),
  I: (text) => Voice.InterimTranscriptionFrame.make({ text: text.replaceAll("_", " "), ...by }),
  speaking: () => Voice.UserSpeakingFrame.make(),
  propose: () => TurnFrames.ProposedUserStartedSpeakingFrame.make(),
  "/propose": () => TurnFrames.ProposedUserStoppedSpeakingFrame.make(),
  user: () => Voice.UserStartedSpeakingFrame.make(),
  "/user": () => Voice.UserStoppedSpeakingFrame.make(),
  mute: () => Voice.UserMuteStartedFrame.make(),
  "/mute": () => Voice.UserMuteStoppedFrame.make(),
  bot: () => Voice.BotStartedSpeakingFrame.make(),
  "/bot": () => Voice.BotStoppedSpeakingFrame.make(),
  infer: () => TurnFrames.UserTurnInferenceTriggeredFrame.make(),
  done: () => TurnFrames.UserTurnInferenceCompletedFrame.make(),
  stt: (value) => SttMetadataFrame.make({ service: "test", p99Latency: Number(value) }),
  vad: (value) => VadParamsFrame.make({ ...VadController.defaults, stopSecs: Number(value) / 1000 }),
  call: (ids) => Voice.FunctionCallsStartedFrame.make({ callIds: ids.split(",") }),
  result: (callId) => Voice.FunctionCallResultFrame.make({ callId, result: 1 }),
  cancelled: (callId) => Voice.FunctionCallCancelledFrame.make({ callId }),
  key: () => Voice.InputDtmfFrame.make({ key: "1" }),
  // samples that count up, from which one on and how many: `audio:0,320`
  audio: (value) => {
    const [from, length] = value === "word" ? [0, 320] : value.split(",").map(Number) as [number, number]
    const audio = Pcm.fromInt16(Int16Array.from({ length }, (_, i) => from + i))
    return Frame.AudioRawFrame.make({ audio, sampleRate: 16_000, numChannels: 1 })
  },
  typed: () => Voice.LlmMessagesAppendFrame.make({ messages: [], runLlm: true }),
  text: () => Frame.TextFrame.make({ text: "typed" }),
  context: () => Voice.LlmContextFrame.make({ messages: [] })
}

/** What comes from below. */
const fromBelow = new Set(["bot", "/bot", "call", "result", "cancelled"])

const words = new Map(
  Object.entries(frames).filter(([word]) => word !== "F").map(([word, make]) => [
    make("word")._tag,
    word
  ])
)

/** A word is a frame, `T:good_day` one with a text, `^user` one that travels upstream; a number lets milliseconds pass. */
export const frameOf = (word: string): Frame.Frame => {
  const [name, value] = word.replace("^", "").split(":") as [string, string | undefined]
  return frames[name]!(value ?? "word")
}

const stepOf = (word: string): Step => {
  if (/^\d+$/.test(word)) return sleep(Number(word))
  if (word === "!") return interrupt
  const frame = frameOf(word)
  return word.startsWith("^") || fromBelow.has(word.split(":")[0]!) ? upstream(frame) : frame
}

const settled: Step = act(() => settle)

/** Each word is done before the next one comes; those joined by `+` come at once. */
export const steps = (line: string): ReadonlyArray<Step> =>
  line.split(" ").filter((word) => word !== "").flatMap((words) => [...words.split("+").map(stepOf), settled])

const wordOf = (frame: Frame.Frame): string => {
  if (Frame.StartInterruptionFrame.is(frame)) return "!"
  const word = words.get(frame._tag) ?? frame._tag
  if (!Voice.TranscriptionFrame.is(frame) && !Voice.InterimTranscriptionFrame.is(frame)) return word
  const name = Voice.TranscriptionFrame.is(frame) && frame.finalized === true ? "F" : word
  return frame.text === "word" ? name : `${name}:${frame.text.replaceAll(" ", "_")}`
}

/** What came out below, and after how many milliseconds where that changed: `S user ! T 100 E 600 /user`. */
export const trace = <E, R>(pipeline: Pipeline.Element<E, R>, line: string) =>
  Effect.gen(function*() {
    const clock = yield* Clock.Clock
    let last = clock.currentTimeMillisUnsafe()
    const out: Array<string> = []
    const note = (frame: Frame.Frame): void => {
      const now = clock.currentTimeMillisUnsafe()
      if (now !== last) out.push(String(now - last))
      last = now
      out.push(wordOf(frame))
    }
    const take = (frame: Frame.Frame, push: Processor.Push): void => {
      note(frame)
      push(frame)
    }
    const recorder = Processor.sync("Recorder", {
      data: take,
      control: take,
      system: take,
      onInterruption: note
    })
    const result = yield* run(Pipeline.make(pipeline, recorder), steps(line))
    return { ...result, trace: out.join(" ") }
  }) as Effect.Effect<
    { readonly trace: string; readonly up: ReadonlyArray<Frame.Frame>; readonly down: ReadonlyArray<Frame.Frame> },
    unknown,
    Exclude<R, Scope.Scope>
  >

/** Frames as the words that make them, without times. */
export const inWords = (list: ReadonlyArray<Frame.Frame>): string =>
  list.filter((frame) => Frame.StartInterruptionFrame.is(frame) || !Frame.isLifecycle(frame)).map(wordOf).join(" ")
