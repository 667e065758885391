/** What has come over a channel and waits to be taken: by the pipeline on a runner, by the client on a gateway. */
import type * as Frame from "@apipeline/core/Frame"
import type * as Arr from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type { Channel } from "./channel.ts"

/**
 * What a session sends: a frame, or the wish that its client drops what it has not played.
 *
 * @category models
 * @since 0.1.0
 */
export type Signal =
  | { readonly _tag: "Frame"; readonly frame: Frame.Frame }
  | { readonly _tag: "Clear" }

interface Entry {
  readonly signal: Signal
  readonly isMedia: boolean
  /** Where it is acknowledged when it is taken. */
  readonly channel: Channel | undefined
  readonly seq: number
}

const none: Array<Entry> = []

export class Inbox<E> {
  /** Media frames that were dropped because nobody took them. */
  dropped = 0
  private readonly capacity: number
  private entries = none
  private media = 0
  private waiting: Deferred.Deferred<void> | undefined
  private isFrozen = false
  private ending: E | undefined

  constructor(capacity: number) {
    this.capacity = capacity
  }

  pushMedia(frame: Frame.Frame): void {
    if (this.media >= this.capacity) {
      this.entries.splice(this.entries.findIndex(({ isMedia }) => isMedia), 1)
      this.media--
      this.dropped++
    }
    this.media++
    this.push({ signal: { _tag: "Frame", frame }, isMedia: true, channel: undefined, seq: 0 })
  }

  pushControl(signal: Signal, channel?: Channel, seq = 0): void {
    this.push({ signal, isMedia: false, channel, seq })
  }

  /** Media that waits is worthless from now on. */
  dropMedia(): void {
    if (this.media === 0) return
    this.entries = this.entries.filter(({ isMedia }) => !isMedia)
    this.media = 0
  }

  /** Nothing is given any more; what waits has not been taken, and is not acknowledged. */
  freeze(): void {
    this.isFrozen = true
  }

  /** What waits is given, then it ends. */
  end(error: E): void {
    this.ending ??= error
    this.wake()
  }

  /** All that waits. What it gives counts as taken. */
  readonly pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Signal>, E> = Effect.suspend(() => {
    if (this.isFrozen) return Effect.never
    if (this.entries.length > 0) return Effect.succeed(this.take() as unknown as Arr.NonEmptyReadonlyArray<Signal>)
    if (this.ending !== undefined) return Effect.fail(this.ending)
    this.waiting ??= Deferred.makeUnsafe()
    return Effect.andThen(Deferred.await(this.waiting), this.pull)
  })

  private push(entry: Entry): void {
    // what comes after the end, or for nobody, is not taken: another activation may want it
    if (this.ending !== undefined || this.isFrozen) return
    if (this.entries === none) this.entries = [entry]
    else this.entries.push(entry)
    this.wake()
  }

  private take(): Array<Signal> {
    const { entries } = this
    this.entries = none
    this.media = 0
    // told before anything can come of it: whoever sees what comes of it has seen this first
    let last: Entry | undefined
    for (const entry of entries) if (entry.channel !== undefined) last = entry
    last?.channel?.taken(last.seq)
    return entries.map(({ signal }) => signal)
  }

  private wake(): void {
    const { waiting } = this
    if (waiting === undefined) return
    this.waiting = undefined
    Deferred.doneUnsafe(waiting, Effect.void)
  }
}
