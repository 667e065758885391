/**
 * A bot for those who have neither a recogniser nor a voice at hand: it repeats what is typed, in the tones of a
 * telephone's keys (a is 2, d is 3 ...), and plays what it has heard.
 */
import { Dtmf, Frame, Pcm, Pipeline, Processor, RtviFrames, Vad, VoiceFrames as Voice } from "@apipeline/core"
import { Deferred, Effect, Option, Schema } from "effect"

/** What a user said, from the beginning to the end. */
class Utterance extends Frame.App<Utterance>()("Utterance", {
  audio: Schema.Uint8Array,
  sampleRate: Schema.Finite
}) {}

/** Milliseconds: how long it takes until speech is noticed, and until its end is; and some more before it. */
const vad = { startSecs: 0.2, stopSecs: 0.6 }
const before = vad.startSecs * 1000 + 200
const after = vad.stopSecs * 1000 - 200

/** Keeps what the user says, and lets nobody else hear it. */
const makeListen = Processor.sync("Listen", () => {
  let chunks: Array<Frame.AudioRawFrame> = []
  let milliseconds = 0
  let speaking = false
  return {
    AudioRawFrame: (frame) => {
      chunks.push(frame)
      milliseconds += frame.duration
      if (speaking) return
      while (milliseconds - chunks[0]!.duration > before) milliseconds -= chunks.shift()!.duration
    },
    UserStartedSpeakingFrame: (frame, push) => {
      speaking = true
      push(frame)
    },
    UserStoppedSpeakingFrame: (frame, push) => {
      speaking = false
      push(frame)
      const { sampleRate } = chunks[0]!
      const audio = Buffer.concat(chunks.map(({ audio }) => audio))
      const end = audio.length - Pcm.byteLength(Math.min(after, milliseconds), { sampleRate })
      push(Utterance.make({ audio: new Uint8Array(audio.subarray(0, end)), sampleRate }))
      chunks = []
      milliseconds = 0
    }
  }
}, { frames: [Voice.UserStartedSpeakingFrame, Voice.UserStoppedSpeakingFrame] })

const rows = ["abc", "def", "ghi", "jkl", "mno", "pqrs", "tuv", "wxyz"]

/** The keys with which a word is written. */
const keysOf = (word: string): Array<Voice.DtmfKey> =>
  Array.from(word.toLowerCase()).flatMap((letter) => {
    const row = rows.findIndex((letters) => letters.includes(letter))
    return /\d/.test(letter) ? [letter as Voice.DtmfKey] : row === -1 ? [] : [String(row + 2) as Voice.DtmfKey]
  })

const sampleRate = 24_000

const tones = (keys: ReadonlyArray<Voice.DtmfKey>, gap = 20): Frame.AudioRawFrame => {
  const audio = Pcm.fromInt16(Dtmf.sequence(keys, { sampleRate, duration: 60, gap, level: -22 }))
  return Frame.AudioRawFrame.make({ audio, sampleRate, numChannels: 1 })
}

const makeSpeak = Processor.queued(
  "Speak",
  Effect.sync(() => {
    const calls = new Map<string, Deferred.Deferred<unknown>>()
    let segmentId = 0
    let callId = 0

    /** Answers: `sound` makes the audio of a word. */
    const say = Effect.fnUntraced(function*(
      { push }: Processor.ProcessorContext,
      text: string,
      options: { readonly skipTts?: boolean | undefined; readonly sound?: Frame.AudioRawFrame | undefined } = {}
    ) {
      const segment = { text, aggregatedBy: "sentence", segmentId: ++segmentId }
      const words = options.sound === undefined ? text.split(/\s+/) : [text]
      yield* push(Voice.LlmResponseStartFrame.make())
      yield* push(Voice.LlmTextFrame.make({ text }))
      yield* push(Voice.LlmResponseEndFrame.make())
      if (options.skipTts === true) {
        return yield* push(Voice.AggregatedTextFrame.make({ ...segment, willBeSpoken: false }))
      }
      yield* push(Voice.TtsStartedFrame.make())
      yield* push(Voice.AggregatedTextFrame.make({ ...segment, willBeSpoken: true }))
      for (const word of words) {
        const keys = keysOf(word)
        if (options.sound !== undefined) yield* push(options.sound)
        else if (keys.length > 0) yield* push(tones(keys))
        yield* push(Voice.TtsTextFrame.make({ text: word, segmentId: segment.segmentId }))
      }
      yield* push(Voice.TtsStoppedFrame.make())
    })

    /** Asks the page. */
    const time = Effect.fnUntraced(function*({ push }: Processor.ProcessorContext) {
      const call = { callId: `call-${++callId}`, functionName: "get_local_time" }
      const answer = yield* Deferred.make<unknown>()
      calls.set(call.callId, answer)
      yield* push(Voice.FunctionCallsStartedFrame.make({ callIds: [call.callId], functionNames: [call.functionName] }))
      yield* push(Voice.FunctionCallInProgressFrame.make({ ...call, arguments: {} }))
      const result = yield* Effect.timeoutOption(Deferred.await(answer), "5 seconds")
      if (calls.delete(call.callId) && Option.isNone(result)) {
        yield* push(Voice.FunctionCallCancelledFrame.make({ callId: call.callId }))
      }
      return Option.match(result, {
        onNone: () => "The page does not tell the time.",
        onSome: (result) => `It is ${(result as { readonly time?: unknown }).time}.`
      })
    })

    return {
      RtviClientReadyFrame: (frame: RtviFrames.RtviClientReadyFrame, context: Processor.ProcessorContext) =>
        Effect.andThen(
          context.push(frame),
          say(context, "Hello! Say something and I play it back, type and I repeat it, or ask for the time.", {
            skipTts: true
          })
        ),
      Utterance: ({ audio, sampleRate }: Utterance, context: Processor.ProcessorContext) => {
        const sound = Frame.AudioRawFrame.make({ audio, sampleRate, numChannels: 1 })
        return say(context, `What you said, ${(sound.duration / 1000).toFixed(1)} seconds of it`, { sound })
      },
      LlmMessagesAppendFrame: (
        { messages, runLlm, skipTts }: Voice.LlmMessagesAppendFrame,
        context: Processor.ProcessorContext
      ) => {
        const content = String(messages.at(-1)?.content ?? "")
        if (!runLlm) return Effect.void
        const text = /\btime\b/i.test(content) ? time(context) : Effect.succeed(content)
        return Effect.flatMap(text, (text) => say(context, text, { skipTts }))
      },
      FunctionCallResultFrame: (frame: Voice.FunctionCallResultFrame, { push }: Processor.ProcessorContext) =>
        Effect.suspend(() => {
          const call = calls.get(frame.callId)
          return Effect.andThen(call === undefined ? Effect.void : Deferred.succeed(call, frame.result), push(frame))
        }),
      InputDtmfFrame: ({ key }: Voice.InputDtmfFrame, { push }: Processor.ProcessorContext) => push(tones([key], 80)),
      onInterruption: (_: Frame.StartInterruptionFrame, { pushDownstream }: Processor.ProcessorContext) => {
        const cancelled = [...calls.keys()]
        calls.clear()
        return Effect.forEach(
          cancelled,
          (callId) => pushDownstream(Voice.FunctionCallCancelledFrame.make({ callId })),
          { discard: true }
        )
      }
    }
  }),
  {
    frames: [
      Utterance,
      RtviFrames.RtviClientReadyFrame,
      Voice.FunctionCallResultFrame,
      Voice.InputDtmfFrame,
      Voice.LlmMessagesAppendFrame
    ]
  }
)

/** Needs a `VoiceActivity`. */
export const pipeline = Pipeline.make(Vad.make({ params: vad, interrupt: true }), makeListen, makeSpeak)
