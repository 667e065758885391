import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Tracer from "effect/Tracer"
import type * as Frame from "../../Frame.ts"
import type { Options } from "../../Tracing.ts"
import { type TurnChange, Turns } from "../turns/turns.ts"

/** What tracing needs of the task. */
export interface Host {
  readonly services: Context.Context<never>
  readonly clock: Clock.Clock
  /** Calls `f` after some milliseconds, unless the task has ended. */
  readonly after: (milliseconds: number, f: () => void) => void
  /** The tracer threw: there is no tracing any more. */
  readonly failed: (error: unknown) => void
}

/**
 * The spans of one task: `conversation`, and `turn` after `turn` in it. They are opened and closed as the frames that
 * decide them are pushed, so that a handler always finds the turn that its frame belongs to.
 */
export class Tracing {
  private conversation: Tracer.Span | undefined = undefined
  private turn: Tracer.Span | undefined = undefined
  private attributes: Record<string, unknown> = {}
  private readonly turns: Turns
  private readonly options: Options
  private readonly host: Host

  constructor(options: Options, host: Host) {
    this.options = options
    this.host = host
    this.turns = new Turns(Duration.toMillis(options.turnTimeout ?? "2500 millis"))
  }

  /** What work that is done now belongs to. */
  get current(): Tracer.AnySpan | undefined {
    return this.turn ?? this.conversation
  }

  /** `StartFrame` is about to be told. */
  begin(): void {
    this.supervised(() => {
      this.conversation = this.span("conversation", Context.getOrUndefined(this.host.services, Tracer.ParentSpan))
      this.attributes = {
        "conversation.id": this.options.conversationId ?? this.conversation.spanId,
        ...this.options.attributes
      }
      this.describe(this.conversation)
    })
  }

  /** `StartFrame` is through. */
  started(): void {
    this.apply(() => this.turns.start(this.now()))
  }

  pushed(frame: Frame.Frame): void {
    if (frame.kind === "data") return
    this.apply(() => {
      const before = this.turns.deadline
      const changes = this.turns.push(frame, this.now())
      const { deadline } = this.turns
      if (deadline !== undefined && deadline !== before) {
        this.host.after(deadline - this.now(), () => this.apply(() => this.turns.expire(this.now())))
      }
      return changes
    })
  }

  end(exit: Exit.Exit<unknown, unknown>, inOrder: boolean): void {
    this.apply(() => this.turns.end(this.now(), inOrder))
    this.supervised(() => {
      this.conversation?.end(this.host.clock.currentTimeNanosUnsafe(), exit)
      this.conversation = undefined
    })
  }

  private apply(changes: () => ReadonlyArray<TurnChange>): void {
    if (this.conversation === undefined) return
    this.supervised(() => {
      for (const change of changes()) {
        if (change._tag === "Started") {
          this.turn = this.span("turn", this.conversation)
          this.describe(this.turn)
          this.turn.attribute("turn.number", change.turn)
        } else if (this.turn !== undefined) {
          this.turn.attribute("turn.was_interrupted", change.interrupted)
          this.turn.attribute("turn.duration_seconds", change.milliseconds / 1000)
          this.turn.end(BigInt(Math.round(change.at * 1e6)), Exit.void)
          this.turn = undefined
        }
      }
    })
  }

  private span(name: string, parent: Tracer.AnySpan | undefined): Tracer.Span {
    return Effect.runSyncWith(this.host.services)(
      Effect.makeSpan(name, parent === undefined ? { root: true } : { parent })
    )
  }

  private describe(span: Tracer.Span): void {
    for (const [key, value] of Object.entries(this.attributes)) span.attribute(key, value)
  }

  private supervised(f: () => void): void {
    try {
      f()
    } catch (error) {
      this.conversation = this.turn = undefined
      this.host.failed(error)
    }
  }

  private now(): number {
    return Number(this.host.clock.currentTimeNanosUnsafe()) / 1e6
  }
}
