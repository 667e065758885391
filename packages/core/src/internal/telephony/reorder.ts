/** Puts numbered pieces in order that come out of order: holds those that are early until their place has come. */
import type { Gaps } from "./dialect.ts"

export interface Reorder {
  /** The bytes whose turn has come, `undefined` if there are none. */
  readonly push: (number: number, bytes: Uint8Array) => Uint8Array | undefined
  /** What is held, in order: the rest will not come. */
  readonly flush: () => Uint8Array | undefined
  readonly gaps: () => Gaps
}

/** Waits for a missing piece until `window` later ones are held. */
export const make = (window: number): Reorder => {
  const held = new Map<number, Uint8Array>()
  let next: number | undefined
  let late = 0
  let lost = 0
  let lateInARow = 0

  const take = (out: Array<Uint8Array>): void => {
    for (let bytes = held.get(next!); bytes !== undefined; bytes = held.get(next!)) {
      held.delete(next!)
      out.push(bytes)
      next!++
    }
  }
  const skip = (): void => {
    const first = Math.min(...held.keys())
    lost += first - next!
    next = first
  }
  const join = (all: ReadonlyArray<Uint8Array>): Uint8Array | undefined => {
    if (all.length < 2) return all[0]
    const joined = new Uint8Array(all.reduce((length, bytes) => length + bytes.length, 0))
    let at = 0
    for (const bytes of all) {
      joined.set(bytes, at)
      at += bytes.length
    }
    return joined
  }

  return {
    push: (number, bytes) => {
      next ??= number
      if (number < next && lateInARow < window) {
        late++
        lateInARow++
        return undefined
      }
      // many in a row: the numbers have begun anew
      if (number < next) {
        held.clear()
        next = number
      }
      lateInARow = 0
      if (number === next && held.size === 0) {
        next++
        return bytes
      }
      held.set(number, bytes)
      const out: Array<Uint8Array> = []
      take(out)
      if (held.size > window) {
        skip()
        take(out)
      }
      return join(out)
    },
    flush: () => {
      const out: Array<Uint8Array> = []
      while (held.size > 0) {
        skip()
        take(out)
      }
      return join(out)
    },
    gaps: () => ({ late, lost })
  }
}
