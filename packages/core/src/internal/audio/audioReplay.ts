/** Audio that is still being listened to, kept so that it can be listened to again. Positions are in samples. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Stream from "effect/Stream"

export const joinSamples = (chunks: ReadonlyArray<Int16Array>): Int16Array => {
  if (chunks.length === 1) return chunks[0]!
  const all = new Int16Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    all.set(chunk, at)
    at += chunk.length
  }
  return all
}

export class AudioReplay {
  private chunks: Array<Int16Array> = []
  /** Where the kept audio begins, and ends. */
  start = 0
  end = 0
  private closed = false
  private readonly changed = Latch.makeUnsafe(false)
  private readonly over = Latch.makeUnsafe(false)

  get length(): number {
    return this.end - this.start
  }

  get isClosed(): boolean {
    return this.closed
  }

  push(chunk: Int16Array): void {
    if (chunk.length === 0 || this.closed) return
    this.chunks.push(chunk)
    this.end += chunk.length
    this.changed.openUnsafe()
  }

  /** No more audio comes. */
  close(): void {
    this.closed = true
    this.changed.openUnsafe()
    this.over.openUnsafe()
  }

  readonly awaitClose: Effect.Effect<void> = Effect.suspend(() => this.over.await)

  /** What lies before a position is not needed any more. */
  release(position: number): void {
    let count = 0
    while (count < this.chunks.length && this.start + this.chunks[count]!.length <= position) {
      this.start += this.chunks[count++]!.length
    }
    this.chunks.splice(0, count)
    const rest = Math.min(position, this.end) - this.start
    if (rest <= 0) return
    this.chunks[0] = this.chunks[0]!.subarray(rest)
    this.start += rest
  }

  /** The audio from a position on, or from where it is kept. */
  from(position: number): Int16Array {
    let skipped = this.start
    let first = 0
    while (first < this.chunks.length && skipped + this.chunks[first]!.length <= position) {
      skipped += this.chunks[first++]!.length
    }
    const chunks = this.chunks.slice(first)
    if (chunks.length > 0 && position > skipped) chunks[0] = chunks[0]!.subarray(position - skipped)
    return joinSamples(chunks)
  }

  /** The audio that is kept, and what comes after it. */
  stream(): Stream.Stream<Int16Array> {
    return Stream.unwrap(Effect.sync(() =>
      Stream.unfold(this.start, (position) => {
        const next: Effect.Effect<readonly [Int16Array, number] | undefined> = Effect.suspend(() => {
          if (this.end > position) return Effect.succeed([this.from(position), this.end] as const)
          if (this.closed) return Effect.succeed(undefined)
          this.changed.closeUnsafe()
          return Effect.andThen(this.changed.await, next)
        })
        return next
      })
    ))
  }

  /** Takes what lies behind a position away, into a replay of its own. */
  split(position: number): AudioReplay {
    const rest = new AudioReplay()
    const kept = this.from(this.start).slice(0, Math.max(0, position - this.start))
    rest.push(this.from(position))
    this.chunks = kept.length === 0 ? [] : [kept]
    this.end = this.start + kept.length
    return rest
  }
}

/** Where to cut speech between two positions: in the middle of the quietest `window` samples. */
export const quietest = (samples: Int16Array, from: number, to: number, window: number): number => {
  const step = Math.max(1, window >> 2)
  let best = to
  let least = Infinity
  for (let at = from; at + window <= to; at += step) {
    let sum = 0
    for (let i = at; i < at + window; i++) sum += samples[i]! * samples[i]!
    if (sum >= least) continue
    least = sum
    best = at + (window >> 1)
  }
  return best
}
