import * as Effect from "effect/Effect"
import type * as Processor from "../../Processor.ts"
import type * as RtviMessage from "../../RtviMessage.ts"
import { OutputTransportMessageUrgentFrame } from "../../TransportFrames.ts"

/** What the two halves of one session share: the processor that hears the client, and the observer that tells it. */
export class RtviSession {
  /** The processor belongs to a task. */
  taken = false
  /** Its name there. */
  processor = ""
  /** The client speaks version 1. */
  legacy = false
  /** Interruptions cut what the bot says. */
  allowInterruptions = true
  private context: Processor.ProcessorContext | undefined = undefined

  /** Messages can be sent from now on, until `close`. A system frame passes even when `EndFrame` has passed already. */
  open(context: Processor.ProcessorContext, allowInterruptions: boolean): void {
    this.context = context
    this.processor = context.name
    this.allowInterruptions = allowInterruptions
  }

  close(): void {
    this.context = undefined
    this.taken = this.legacy = false
  }

  get isOpen(): boolean {
    return this.context !== undefined
  }

  send(message: RtviMessage.Server): Effect.Effect<void> {
    return this.context === undefined
      ? Effect.void
      : this.context.pushDownstream(OutputTransportMessageUrgentFrame.make({ message }))
  }
}
