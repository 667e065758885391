/**
 * A bot that one talks with: it understands English speech, answers with a small dialogue engine and speaks. Everything runs
 * on this machine, without a key and without a network. Another model is another layer for `LanguageModel`.
 */
import {
  Apology,
  AudioBuffer,
  Dialogue,
  Frame,
  Llm,
  LlmContext,
  Pipeline,
  ProducerConsumer,
  Stt,
  type Transport,
  Tts,
  TurnDetector,
  TurnStart,
  TurnStop,
  UserTurn,
  Vad,
  VoiceFrames as Voice
} from "@apipeline/core"
import { SpeechDefaults } from "@apipeline/node"
import { Effect, Layer, type Stream } from "effect"

/** Milliseconds: the end of speech is noticed soon, since a detector of turns decides whether the user has finished. */
export const stopMillis = 300

const vad = Vad.make({
  params: { stopSecs: stopMillis / 1000 },
  started: () => Voice.VadUserStartedSpeakingFrame.make(),
  stopped: () => Voice.VadUserStoppedSpeakingFrame.make()
})

export interface Options {
  /** Goes behind the input: what the client asks for. */
  readonly client?: Pipeline.Element<unknown, never> | undefined
  /** Is given the recording, both sides of it. Default: nothing is recorded. */
  readonly record?: ((recording: Stream.Stream<AudioBuffer.Event>) => Effect.Effect<unknown, unknown>) | undefined
}

/** The user's audio ends where it was understood: the recorder, behind the output, gets it by another way. */
const recorder = (record: NonNullable<Options["record"]>) => {
  const channel = ProducerConsumer.make()
  return {
    input: Pipeline.make(
      AudioBuffer.label("user"),
      ProducerConsumer.producer(channel, { filter: Frame.AudioRawFrame.is })
    ),
    output: Pipeline.make(
      AudioBuffer.label("bot"),
      ProducerConsumer.consumer(channel),
      AudioBuffer.make(record, { autoStart: true })
    )
  }
}

/** A conversation over a transport. */
export const make = Effect.fnUntraced(function*<E, R>(
  transport: Transport.Transport<E, R>,
  options: Options = {}
) {
  const context = yield* LlmContext.make()
  const recording = options.record === undefined ? undefined : recorder(options.record)
  const pipeline = Pipeline.make(
    transport.input,
    ...options.client === undefined ? [] : [options.client],
    ...recording === undefined ? [] : [recording.input],
    vad,
    Apology.make({ processors: ["Stt", "Llm"] }),
    Stt.make(),
    UserTurn.make({
      start: [TurnStart.vad()],
      stop: [TurnStop.turnDetector({ incompleteTimeout: "1500 millis" })]
    }),
    context.user,
    Llm.make({ toolkit: Dialogue.tools, tools: { set_timer: { background: true } } }),
    Tts.make(),
    transport.output,
    ...recording === undefined ? [] : [recording.output],
    context.assistant
  )
  return { pipeline, context }
})

/** What the bot needs, shared by all conversations. */
export const layer = (options: SpeechDefaults.Options = {}) =>
  Layer.mergeAll(SpeechDefaults.layer(options), TurnDetector.layerText(), Dialogue.layer(), Dialogue.layerTools)
