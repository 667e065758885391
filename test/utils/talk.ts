/** Serves the talk page next to a bot. */
import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as MessageProtocol from "@apipeline/core/MessageProtocol"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import * as Rtvi from "@apipeline/core/Rtvi"
import type * as Transport from "@apipeline/core/Transport"
import * as Vad from "@apipeline/core/Vad"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import * as Voice from "@apipeline/core/VoiceFrames"
import * as TalkPage from "@apipeline/node/TalkPage"
import * as WebSocketServer from "@apipeline/node/WebSocketServer"
import { Deferred, Effect, Layer, Logger, Schedule, type Scope } from "effect"
import { HttpRouter } from "effect/http"

export interface Options
  extends Pick<WebSocketServer.Options<unknown>, "authorize" | "origins" | "session" | "transport">
{
  readonly page?: TalkPage.Options
  /** Whether the audio that clients have is cleared at an interruption. Default: true, as the page does. */
  readonly flushes?: boolean
  /** Served besides. */
  readonly routes?: Layer.Layer<never, never, HttpRouter.HttpRouter>
}

/** Until the scope closes, at a port of its own, below the range that systems give to clients. */
export const serve = (
  { flushes = true, page, routes = Layer.empty, ...options }: Options
): Effect.Effect<{ readonly port: number; readonly url: string }, unknown, Scope.Scope> => {
  const sessions = WebSocketServer.layer({
    paths: { "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat(), { flushes }) },
    ...options
  })
  const attempt = Effect.suspend(() => {
    const port = 20_000 + Math.floor(Math.random() * 11_999)
    const layer = HttpRouter.serve(Layer.mergeAll(sessions, TalkPage.layer(page), routes), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(
      Layer.provide(WebSocketServer.layerHttp({ port })),
      Layer.provide(Logger.layer([]))
    )
    return Effect.as(Layer.build(layer), { port, url: `http://127.0.0.1:${port}` })
  })
  return Effect.retry(attempt, Schedule.recurs(10))
}

/** Of the tone with which it speaks: the loudest sample, of 32,768. */
const amplitude = 9000
export const level = amplitude / 32_768 / Math.SQRT2

const tone = (milliseconds: number): Frame.AudioRawFrame => {
  const samples = Int16Array.from(
    { length: 24 * milliseconds },
    (_, i) => amplitude * Math.sin(2 * Math.PI * 440 * i / 24_000)
  )
  return Frame.AudioRawFrame.make({ audio: Pcm.fromInt16(samples), sampleRate: 24_000, numChannels: 1 })
}

export interface Session {
  /** Samples of the microphone. */
  samples: number
  /** How loud they were, for each frame, and when it came. */
  readonly levels: Array<number>
  readonly times: Array<number>
  /** The formats in which they came: bytes, rate, channels. */
  readonly formats: Set<string>
  /** When the bot was cut off, in milliseconds since the epoch. */
  readonly interruptions: Array<number>
  readonly results: Array<unknown>
}

const timestamp = "2025-01-01T00:00:00.000Z"

/** Hears a person, and understands what is in the file. */
const makeRecognizer = (session: Session) =>
  Processor.effect("Recognizer", {
    AudioRawFrame: ({ audio, numChannels, sampleRate }) =>
      Effect.sync(() => {
        session.samples += audio.length / 2
        session.levels.push(Pcm.rms(Pcm.toInt16Unsafe(audio)))
        session.times.push(Date.now())
        session.formats.add(`${audio.length} bytes, ${sampleRate} Hz, ${numChannels} channel`)
      }),
    UserStartedSpeakingFrame: (frame, { push, pushDownstream }) =>
      Effect.andThen(
        push(frame),
        pushDownstream(Voice.InterimTranscriptionFrame.make({ text: "go", userId: "ann", timestamp }))
      ),
    UserStoppedSpeakingFrame: (frame, { push, pushDownstream }) =>
      Effect.andThen(
        push(frame),
        pushDownstream(Voice.TranscriptionFrame.make({ text: "go forward ten meters", userId: "ann", timestamp }))
      ),
    onInterruption: () =>
      Effect.sync(() => {
        session.interruptions.push(Date.now())
      })
  }, { frames: [Voice.UserStartedSpeakingFrame, Voice.UserStoppedSpeakingFrame] })

/** Answers what was said and what was typed. */
const makeBot = (session: Session) =>
  Processor.queued(
    "Bot",
    Effect.gen(function*() {
      let result = yield* Deferred.make<unknown>()
      let segmentId = 0
      const say = Effect.fnUntraced(function*(
        { push }: Processor.ProcessorContext,
        text: string,
        options: { readonly millis?: number; readonly skipTts?: boolean | undefined } = {}
      ) {
        yield* push(Voice.LlmResponseStartFrame.make())
        yield* push(Voice.LlmTextFrame.make({ text }))
        yield* push(Voice.LlmResponseEndFrame.make())
        const segment = { text, aggregatedBy: "sentence", segmentId: ++segmentId }
        if (options.skipTts === true) {
          return yield* push(Voice.AggregatedTextFrame.make({ ...segment, willBeSpoken: false }))
        }
        yield* push(Voice.TtsStartedFrame.make())
        yield* push(Voice.AggregatedTextFrame.make({ ...segment, willBeSpoken: true }))
        const words = text.split(" ")
        for (const word of words) {
          yield* push(tone((options.millis ?? 500) / words.length))
          yield* push(Voice.TtsTextFrame.make({ text: word, segmentId: segment.segmentId }))
        }
        yield* push(Voice.TtsStoppedFrame.make())
      })
      const call = Effect.fnUntraced(function*({ push }: Processor.ProcessorContext) {
        result = yield* Deferred.make<unknown>()
        yield* push(Voice.FunctionCallsStartedFrame.make({ callIds: ["call-1"], functionNames: ["get_color"] }))
        const call = { callId: "call-1", functionName: "get_color", arguments: { of: "sky" } }
        yield* push(Voice.FunctionCallInProgressFrame.make(call))
        return `The sky is ${(yield* Deferred.await(result) as Effect.Effect<{ color: string }>).color}.`
      })
      return {
        TranscriptionFrame: (frame: Voice.TranscriptionFrame, context: Processor.ProcessorContext) =>
          Effect.andThen(context.push(frame), say(context, `You said: ${frame.text}.`)),
        LlmMessagesAppendFrame: (frame: Voice.LlmMessagesAppendFrame, context: Processor.ProcessorContext) =>
          Effect.gen(function*() {
            const content = String(frame.messages[0]!.content)
            if (content === "ignore me") return yield* context.push(Voice.UserMuteStartedFrame.make())
            if (content === "listen") return yield* context.push(Voice.UserMuteStoppedFrame.make())
            if (content === "fail") return yield* Effect.fail(new Error("no route"))
            if (content === "long") return yield* say(context, "This takes a long time to say.", { millis: 9000 })
            const text = content === "tool" ? yield* call(context) : `You wrote: ${content}.`
            return yield* say(context, text, { skipTts: frame.skipTts })
          }),
        FunctionCallResultFrame: (frame: Voice.FunctionCallResultFrame, { push }: Processor.ProcessorContext) =>
          Effect.gen(function*() {
            session.results.push(frame.result)
            yield* Deferred.succeed(result, frame.result)
            yield* push(frame)
          })
      }
    }),
    { frames: [Voice.FunctionCallResultFrame, Voice.LlmMessagesAppendFrame, Voice.TranscriptionFrame] }
  )

/** Serves the bot; `sessions` are those of its clients, as they come. */
export const serveBot = (options: Pick<Options, "flushes" | "routes" | "transport">) =>
  Effect.gen(function*() {
    const sessions: Array<Session> = []
    const voiceActivity = yield* Layer.build(VoiceActivity.layerEnergy())
    const session = Effect.fnUntraced(function*(transport: Transport.Transport) {
      const session: Session = { samples: 0, levels: [], times: [], formats: new Set(), interruptions: [], results: [] }
      sessions.push(session)
      const rtvi = yield* Rtvi.make({ about: { library: "test" }, functionCalls: { get_color: "full" } })
      const pipeline = Pipeline.make(
        transport.input,
        rtvi.processor,
        Vad.make({ params: { stopSecs: 0.6 }, interrupt: true }),
        makeRecognizer(session),
        makeBot(session),
        transport.output
      )
      return yield* PipelineTask.make(pipeline, { observers: [rtvi.observer], audioOutSampleRate: 24_000 })
    }, (effect) => Effect.provide(effect, voiceActivity))
    const { url } = yield* serve({ session, ...options })
    return { sessions, url }
  })
