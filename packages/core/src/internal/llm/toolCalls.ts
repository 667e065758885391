import * as AiError from "effect/ai/AiError"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Frame from "../../Frame.ts"
import type * as Processor from "../../Processor.ts"
import {
  FunctionCallCancelledFrame,
  FunctionCallInProgressFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame
} from "../../VoiceFrames.ts"

export interface Call {
  readonly id: string
  readonly name: string
  readonly params: unknown
}

export interface Settings {
  readonly run: "here" | "client"
  readonly background: boolean
  readonly cancelOnInterruption: boolean
  /** Infinite: none. */
  readonly timeout: Duration.Duration
}

interface Running {
  readonly settings: Settings
  fiber: Fiber.Fiber<unknown, unknown> | undefined
}

interface Outcome {
  readonly result: unknown
  readonly isFailure: boolean
}

/** Runs the functions that a model asks for: beside everything else, and each until it is done, cancelled or late. */
export class ToolCalls<R> {
  private readonly running = new Map<string, Running>()
  private readonly scope: Scope.Scope
  private readonly toolkit: Toolkit.WithHandler<any> | undefined
  private readonly settingsOf: (name: string) => Settings
  /** Provides what a handler may ask for about its call. */
  private readonly provide: (
    call: Call,
    context: Processor.ProcessorContext
  ) => <A, E>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E>

  constructor(
    scope: Scope.Scope,
    toolkit: Toolkit.WithHandler<any> | undefined,
    settingsOf: (name: string) => Settings,
    provide: ToolCalls<R>["provide"]
  ) {
    this.scope = scope
    this.toolkit = toolkit
    this.settingsOf = settingsOf
    this.provide = provide
  }

  start(
    calls: ReadonlyArray<Call>,
    responseId: number,
    context: Processor.ProcessorContext
  ): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      for (const { id, name } of calls) this.running.set(id, { settings: this.settingsOf(name), fiber: undefined })
      yield* both(context, () =>
        FunctionCallsStartedFrame.make({
          callIds: calls.map(({ id }) => id),
          functionNames: calls.map(({ name }) => name),
          responseId
        }))
      for (const { id, name, params } of calls) {
        const { background } = this.settingsOf(name)
        yield* both(context, () =>
          FunctionCallInProgressFrame.make({
            callId: id,
            functionName: name,
            arguments: params,
            ...background && { background }
          }))
      }
      for (const call of calls) yield* this.fork(call, context)
    })
  }

  private fork(call: Call, context: Processor.ProcessorContext): Effect.Effect<void> {
    const running = this.running.get(call.id)
    // an interruption has come first
    if (running === undefined) return Effect.void
    const { run, timeout } = running.settings
    const late: Effect.Effect<Outcome> = Effect.succeed({
      result: `The call has timed out after ${Duration.format(timeout)}.`,
      isFailure: true
    })
    const work = run === "client" ? Effect.never : this.handle(call, context)
    const timed = Duration.isFinite(timeout)
      ? Effect.timeoutOrElse(work, { duration: timeout, orElse: () => late })
      : work
    return Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(restore(timed), (outcome) => this.finish(call.id, outcome, context))
    ).pipe(
      Effect.forkIn(this.scope, { startImmediately: true }),
      Effect.map((fiber) => {
        running.fiber = fiber
      })
    )
  }

  private handle(call: Call, context: Processor.ProcessorContext): Effect.Effect<Outcome> {
    const { toolkit } = this
    const handled = toolkit === undefined
      ? Effect.fail(new Error(`There is no function ${call.name}.`))
      : Effect.flatMap(
        toolkit.handle(call.name, call.params as never, call.id) as Effect.Effect<
          Stream.Stream<any, unknown, R>,
          unknown,
          R
        >,
        (results) => Stream.runLast(Stream.filter(results, ({ preliminary }) => preliminary === false))
      )
    return this.provide(call, context)(handled).pipe(
      Effect.map((last): Outcome => {
        const { encodedResult = null, isFailure = false, result } = Option.getOrElse(last, () => ({} as any))
        return { result: isFailure ? told(result, encodedResult) : encodedResult, isFailure }
      }),
      Effect.catchCause((cause) => this.failed(cause, context))
    )
  }

  private failed(cause: Cause.Cause<unknown>, { report }: Processor.ProcessorContext): Effect.Effect<Outcome> {
    const failure = cause.reasons.find(Cause.isFailReason)
    if (failure !== undefined) return Effect.succeed({ result: told(failure.error, failure.error), isFailure: true })
    const result = { result: "The function has failed.", isFailure: true }
    return Cause.hasDies(cause) ? Effect.as(report(Cause.squash(cause)), result) : Effect.succeed(result)
  }

  private finish(id: string, { isFailure, result }: Outcome, context: Processor.ProcessorContext): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.running.delete(id)
        ? both(context, () => FunctionCallResultFrame.make({ callId: id, result, ...isFailure && { isFailure } }))
        : Effect.void
    )
  }

  /** A result comes from outside: is it that of a call that waits for it, of one that runs here, or of none of ours? */
  answered(id: string): "client" | "here" | "unknown" {
    const running = this.running.get(id)
    if (running === undefined) return "unknown"
    if (running.settings.run === "here") return "here"
    this.running.delete(id)
    running.fiber?.interruptUnsafe()
    return "client"
  }

  /** Stops what is to be stopped by an interruption, or all that runs. */
  cancel(which: "interrupted" | "all", context: Processor.ProcessorContext): Effect.Effect<void> {
    return Effect.suspend(() => {
      const cancelled = Array.from(this.running).filter(([, { settings }]) =>
        which === "all" || settings.cancelOnInterruption
      )
      for (const [id, { fiber }] of cancelled) {
        this.running.delete(id)
        fiber?.interruptUnsafe()
      }
      return Effect.forEach(
        cancelled,
        ([callId]) => both(context, () => FunctionCallCancelledFrame.make({ callId })),
        { discard: true }
      )
    })
  }
}

const both = (
  { pushDownstream, pushUpstream }: Processor.ProcessorContext,
  frame: () => Frame.Frame
): Effect.Effect<void> => Effect.andThen(pushDownstream(frame()), pushUpstream(frame()))

/** A failure as a model may read it. */
const told = (error: unknown, encoded: unknown): unknown =>
  AiError.isAiError(error) || error instanceof Error ? error.message : encoded
