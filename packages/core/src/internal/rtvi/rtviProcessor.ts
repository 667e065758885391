import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Frame from "../../Frame.ts"
import * as Processor from "../../Processor.ts"
import type * as Rtvi from "../../Rtvi.ts"
import * as RtviFrames from "../../RtviFrames.ts"
import * as RtviMessage from "../../RtviMessage.ts"
import { InputTransportMessageFrame, InputTransportStartAudioStreamingFrame } from "../../TransportFrames.ts"
import { FunctionCallResultFrame, InputDtmfFrame, LlmMessagesAppendFrame } from "../../VoiceFrames.ts"
import { describe, InUse, RtviError } from "./rtviError.ts"
import type { RtviSession } from "./rtviSession.ts"
import { negotiate } from "./rtviVersion.ts"

/** How a failure of a handler is put to the client: a defect is nothing that it should read. */
const textOf = (cause: Cause.Cause<unknown>): string => {
  const failure = cause.reasons.find(Cause.isFailReason)
  return failure === undefined ? "internal error" : describe(failure.error)
}

/** Hears the client. */
export const make = <R, R2>(
  session: RtviSession,
  options: Rtvi.Options<R, R2>
): Processor.Processor<RtviError, Exclude<R | R2, Scope.Scope>> => {
  const { about = { library: "@apipeline/core" }, maxRequests = 64, name = "Rtvi", onClientMessage, onClientReady } =
    options

  const behaviour = Effect.gen(function*() {
    if (session.taken) return yield* new RtviError({ reason: new InUse({ rtvi: name }) })
    session.taken = true
    yield* Effect.addFinalizer(() => Effect.sync(() => session.close()))
    const fibers = yield* FiberSet.make<unknown, never>()

    /** Beside the messages that follow, which do not wait for it. */
    const fork = <R>(effect: Effect.Effect<unknown, never, R>): Effect.Effect<unknown, never, R> =>
      FiberSet.run(fibers, effect, { startImmediately: true })

    const failed = (cause: Cause.Cause<unknown>, answer: (text: string) => RtviMessage.Server) =>
      Cause.hasInterruptsOnly(cause)
        ? Effect.void
        : Effect.andThen(
          Cause.hasDies(cause) ? Effect.logError(`${session.processor}: a handler died`, cause) : Effect.void,
          session.send(answer(textOf(cause)))
        )

    const ready = Effect.fnUntraced(function*(
      { data, id }: RtviMessage.Client<"client-ready">,
      { pushDownstream, pushUpstream }: Processor.ProcessorContext
    ) {
      const { answer, legacy, problem, version } = negotiate(data.version)
      session.legacy = legacy
      if (problem !== undefined) {
        yield* Effect.logWarning(`${session.processor}: ${problem}`)
        yield* session.send(RtviMessage.server("error-response", { error: problem }, id))
      }
      // The input is above, or below where this processor is the first.
      yield* pushUpstream(InputTransportStartAudioStreamingFrame.make())
      yield* pushDownstream(InputTransportStartAudioStreamingFrame.make())
      const client = { version, legacy, about: data.about }
      const welcome = Effect.andThen(
        session.send(RtviMessage.server("bot-ready", { version: answer, about }, id)),
        pushDownstream(RtviFrames.RtviClientReadyFrame.make(client))
      )
      if (onClientReady === undefined) return yield* welcome
      yield* fork(Effect.matchCauseEffect(Effect.suspend(() => onClientReady(client)), {
        onSuccess: () => welcome,
        onFailure: (cause) => failed(cause, (text) => RtviMessage.error(text, true))
      }))
    })

    const request = Effect.fnUntraced(function*(
      { data: { d, t }, id }: RtviMessage.Client<"client-message">,
      { pushDownstream }: Processor.ProcessorContext
    ) {
      yield* pushDownstream(RtviFrames.RtviClientMessageFrame.make({ messageId: id, t, d }))
      if (onClientMessage === undefined) return
      const refuse = (error: string) => RtviMessage.server("error-response", { error }, id)
      if ((yield* FiberSet.size(fibers)) >= maxRequests) {
        return yield* session.send(refuse(`Too many requests: ${maxRequests} are under way`))
      }
      yield* fork(Effect.matchCauseEffect(Effect.suspend(() => onClientMessage({ id, t, d })), {
        onSuccess: (d) => session.send(RtviMessage.server("server-response", { t, ...d !== undefined && { d } }, id)),
        onFailure: (cause) => failed(cause, refuse)
      }))
    })

    const handle = (
      message: RtviMessage.Client,
      context: Processor.ProcessorContext
    ): Effect.Effect<void, never, R | R2> => {
      const { interrupt, pushDownstream } = context
      switch (message.type) {
        case "client-ready":
          return ready(message, context)
        case "disconnect-bot":
          return pushDownstream(Frame.EndFrame.make({ reason: "the client asked for it" }))
        case "client-message":
          return request(message, context)
        case "send-text": {
          const { content, options } = message.data
          const runLlm = options?.run_immediately ?? true
          const frame = LlmMessagesAppendFrame.make({
            messages: [{ role: "user", content }],
            runLlm,
            ...options?.audio_response === false && { skipTts: true }
          })
          // Told to everybody when it returns: what was said so far is in the context before what the user says now.
          return runLlm ? Effect.andThen(interrupt, pushDownstream(frame)) : pushDownstream(frame)
        }
        case "llm-function-call-result": {
          const { result, tool_call_id } = message.data
          return pushDownstream(FunctionCallResultFrame.make({ callId: tool_call_id, result }))
        }
        case "dtmf": {
          const { button, buttons = [button!] } = message.data // it has one of the two
          return Effect.forEach(buttons, (key) => pushDownstream(InputDtmfFrame.make({ key })), { discard: true })
        }
        case "ui-event": {
          const { event, payload } = message.data
          return pushDownstream(RtviFrames.RtviUiEventFrame.make({ event, payload }))
        }
        case "ui-snapshot":
          return pushDownstream(RtviFrames.RtviUiSnapshotFrame.make({ tree: message.data.tree }))
        case "ui-cancel-job-group": {
          const { job_id, reason } = message.data
          const why = typeof reason === "string" ? { reason } : {}
          return pushDownstream(RtviFrames.RtviUiCancelJobGroupFrame.make({ jobId: job_id, ...why }))
        }
        case "raw-audio":
        case "raw-audio-batch": {
          const { base64Audio, base64AudioBatch = [base64Audio!], numChannels, sampleRate } = message.data // one of them
          return Effect.forEach(
            base64AudioBatch,
            (audio) => pushDownstream(Frame.AudioRawFrame.make({ audio, sampleRate, numChannels })),
            { discard: true }
          )
        }
      }
    }

    return {
      onStart: ({ allowInterruptions }: Frame.StartFrame, context: Processor.ProcessorContext) =>
        Effect.sync(() => session.open(context, allowInterruptions)),
      InputTransportMessageFrame: (
        frame: InputTransportMessageFrame,
        context: Processor.ProcessorContext
      ): Effect.Effect<void, never, R | R2> => {
        const result = RtviMessage.decodeClient(frame.message)
        if (Result.isSuccess(result)) return handle(result.success, context)
        const answer = RtviMessage.answer(result.failure)
        return answer === undefined ? context.push(frame) : Effect.andThen(
          Effect.logWarning(`${session.processor}: ${result.failure.message}`),
          session.send(answer)
        )
      }
    }
  })

  return Processor.effect(name, behaviour, { frames: [InputTransportMessageFrame] })
}
