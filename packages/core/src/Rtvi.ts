/**
 * RTVI, the protocol of pipecat's clients: a page or an app that speaks it talks to a pipeline, sees what is said, runs
 * functions for the model and answers questions of the bot's own.
 *
 * One `Rtvi` is one session: its processor makes frames of what the client says, its observer messages of what happens
 * in the pipeline.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { NotRunning, RtviError } from "./internal/rtvi/rtviError.ts"
import * as Observer from "./internal/rtvi/rtviObserver.ts"
import * as RtviProcessor from "./internal/rtvi/rtviProcessor.ts"
import { RtviSession } from "./internal/rtvi/rtviSession.ts"
import type * as PipelineObserver from "./PipelineObserver.ts"
import type * as Processor from "./Processor.ts"
import type * as RtviMessage from "./RtviMessage.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

export { InUse, NotRunning, RtviError } from "./internal/rtvi/rtviError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Who the client says it is. `version`: what it speaks, empty where it does not say. `legacy`: protocol 1.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  readonly version: string
  readonly legacy: boolean
  readonly about: unknown
}

/**
 * A message or a request of the client, of type `t` with data `d`: the protocol does not tell which of the two.
 *
 * @category models
 * @since 0.1.0
 */
export interface ClientMessage {
  readonly id: string
  readonly t: string
  readonly d: unknown
}

/**
 * What a client is told of a function call. `disabled`: nothing. `none`: that there is one, by id. `name`: which function
 * it is, from which on functions of the client's own run. `arguments`: what it is given, too. `full`: and what it gives.
 *
 * @category models
 * @since 0.1.0
 */
export type FunctionCallLevel = "disabled" | "none" | "name" | "arguments" | "full"

/**
 * What the client is told.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReportOptions {
  /**
   * The name of the pipeline's output: what has left it is heard. Default: `TransportOutput`. In a pipeline without it,
   * text counts as heard when it is made.
   */
  readonly output?: string | undefined
  /** Names of processors whose frames are not told of: a second model that only judges the first, for example. */
  readonly ignore?: ReadonlyArray<string> | undefined
  /**
   * What is told of calls, by the name of the function; `*` is for all others. It is a matter of secrecy: a page sees what
   * it is told. Default: `none` for all.
   */
  readonly functionCalls?: { readonly [name: string]: FunctionCallLevel } | undefined
  /**
   * Which types are sent of the pipeline's accord. Default: all but `user-audio-level`, `bot-audio-level`,
   * `bot-tts-audio` and `vad-user-started-speaking`, `vad-user-stopped-speaking`.
   */
  readonly messages?: { readonly [T in RtviMessage.ServerType]?: boolean | undefined } | undefined
  /** Changes a message before it is sent, or drops it. Default: none. */
  readonly transform?: ((message: RtviMessage.Server) => RtviMessage.Server | undefined) | undefined
  /** Milliseconds between two audio levels. Default: 150, as in pipecat. */
  readonly audioLevelInterval?: number | undefined
  /** Events of the pipeline that wait to be told; older ones slide out. Default: 65,536. */
  readonly capacity?: number | undefined
}

/**
 * Options of {@link make}. `R` and `R2`: the services that its two handlers need.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = never, R2 = R> extends ReportOptions {
  /** Default: `Rtvi`. */
  readonly name?: string | undefined
  /** What the bot says about itself. Default: `{ library: "@apipeline/core" }`. */
  readonly about?: unknown
  /**
   * The client is there. It is told that the bot is ready when this has succeeded; when it fails, it is told of a fatal
   * error, which makes it disconnect.
   */
  readonly onClientReady?: ((client: Client) => Effect.Effect<unknown, unknown, R>) | undefined
  /**
   * Answers requests: what it gives is the answer, a failure is an error that the client may read, a defect one that it
   * may not. Each runs beside everything else until the task ends. Messages that want no answer come here too, and the
   * client does not mind theirs. Default: none; processors may answer, see `RtviFrames.RtviClientMessageFrame`.
   */
  readonly onClientMessage?: ((message: ClientMessage) => Effect.Effect<unknown, unknown, R2>) | undefined
  /** How many requests may be under way; those above are refused. Default: 64. */
  readonly maxRequests?: number | undefined
}

/**
 * One session of one client.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rtvi<out R = never> {
  /** Goes behind the transport's input, before whatever is to hear the client: also before a `Vad` of the pipeline. */
  readonly processor: Processor.Processor<RtviError, R>
  /** Goes into the options of the task. */
  readonly observer: PipelineObserver.PipelineObserver
  /** Sends a message to the client, at once. Fails when no task with the processor runs. */
  readonly send: (message: RtviMessage.Server) => Effect.Effect<void, RtviError>
}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a session.
 *
 * **Details**
 *
 * What the client says becomes:
 *
 * | message | frames |
 * |---|---|
 * | `client-ready` | `InputTransportStartAudioStreamingFrame` both ways, `RtviClientReadyFrame`; answered with `bot-ready` |
 * | `disconnect-bot` | `EndFrame` |
 * | `client-message` | `RtviClientMessageFrame`, and see `onClientMessage` |
 * | `send-text` | an interruption (unless `run_immediately` is false), `LlmMessagesAppendFrame` |
 * | `llm-function-call-result` | `FunctionCallResultFrame` |
 * | `dtmf` | an `InputDtmfFrame` for each key |
 * | `ui-event`, `ui-snapshot`, `ui-cancel-job-group` | `RtviUiEventFrame`, `RtviUiSnapshotFrame`, `RtviUiCancelJobGroupFrame` |
 * | `raw-audio`, `raw-audio-batch` | `AudioRawFrame`s |
 *
 * All go downstream. A message that cannot be read is answered with an error, and nothing else happens; one that is not
 * of this protocol passes.
 *
 * What happens in the pipeline becomes:
 *
 * | frames | messages |
 * |---|---|
 * | who speaks, is muted | `user-started-speaking`, `bot-stopped-speaking` and so on, when it changes |
 * | an interruption | `bot-interrupted`; `bot-llm-stopped` and `bot-tts-stopped` if those were going on |
 * | `TranscriptionFrame`, `InterimTranscriptionFrame` | `user-transcription` |
 * | `LlmContextFrame` whose last message is the user's | `user-llm-text` |
 * | `LlmResponseStartFrame`, `LlmResponseEndFrame` | `bot-llm-started`, `bot-llm-stopped` |
 * | `LlmTextFrame`, or a `TextFrame` of who has begun to answer | `bot-llm-text`; by sentence, `bot-transcription` |
 * | `TtsStartedFrame`, `TtsStoppedFrame` | `bot-tts-started`, `bot-tts-stopped` |
 * | `AggregatedTextFrame` behind the output | `bot-output`, behind `bot-started-speaking` if it will be spoken |
 * | `TtsTextFrame` behind the output | `bot-tts-text`, and the progress of its segment |
 * | `AggregatedTextProgressFrame` behind the output | `bot-output` with that progress |
 * | those of function calls | `llm-function-call-started`, `-in-progress`, `-stopped` |
 * | `MetricsFrame` | `metrics` |
 * | `ErrorFrame` | `error`; one that is fatal ends the task before it could be sent |
 * | `RtviServerMessageFrame` | its message |
 *
 * **Gotchas**
 *
 * What the observer sends comes an instant after what it saw: `bot-started-speaking` may follow the first audio.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, PipelineTask, Processor, Rtvi, RtviMessage } from "@apipeline/core"
 *
 * const session = (input: Processor.Processor, bot: Processor.Processor, output: Processor.Processor) =>
 *   Effect.gen(function*() {
 *     const rtvi = yield* Rtvi.make({
 *       functionCalls: { "*": "none", open_door: "arguments" },
 *       onClientMessage: ({ t }) => t === "color" ? Effect.succeed("blue") : Effect.fail(`unknown request: ${t}`)
 *     })
 *     const task = yield* PipelineTask.make(Pipeline.make(input, rtvi.processor, bot, output), {
 *       observers: [rtvi.observer]
 *     })
 *     yield* task.start
 *     yield* rtvi.send(RtviMessage.server("server-message", { hello: "there" }))
 *     return yield* task.run
 *   })
 * ```
 *
 * Source: `RTVIProcessor` and `RTVIObserver` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <R = never, R2 = never>(
  options: Options<R, R2> = {}
): Effect.Effect<Rtvi<Exclude<R | R2, Scope.Scope>>> =>
  Effect.sync(() => {
    const { name = "Rtvi" } = options
    const session = new RtviSession()
    return {
      processor: RtviProcessor.make(session, options),
      observer: Observer.make(session, name, options),
      send: (message) =>
        Effect.suspend(() =>
          session.isOpen
            ? session.send(message)
            : Effect.fail(new RtviError({ reason: new NotRunning({ rtvi: name, type: message.type }) }))
        )
    }
  })
