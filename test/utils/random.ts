/** A generator that gives the same values for the same seed (mulberry32), in the shapes that tests of codecs need. */
export interface Random {
  /** From 0 to `limit` - 1. */
  readonly int: (limit: number) => number
  readonly boolean: () => boolean
  readonly pick: <A>(items: ReadonlyArray<A>) => A
  readonly bytes: (size: number) => Uint8Array
  /** Well formed, from all planes, of up to `limit` characters. */
  readonly text: (limit: number) => string
  /** A whole number of up to `bits` bits, all sizes equally likely. */
  readonly number: (bits: number) => number
}

export const random = (seed: number): Random => {
  let state = seed
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 0x100000000
  }
  const int = (limit: number): number => Math.floor(next() * limit)
  const pick = <A>(items: ReadonlyArray<A>): A => items[int(items.length)]!
  const character = (): string => {
    switch (int(6)) {
      case 0:
        return String.fromCodePoint(0x80 + int(0x780))
      case 1:
        return String.fromCodePoint(0x800 + int(0xd000))
      case 2:
        return String.fromCodePoint(0x10000 + int(0x100000))
      case 3:
        return pick(["\0", "\n", "\"", "\\", "\u007f", "\u2028", "\ufeff", "\ufffd", "<", "&", "👋", "世"])
      default:
        return pick(ascii)
    }
  }
  return {
    int,
    boolean: () => next() < 0.5,
    pick,
    bytes: (size) => Uint8Array.from({ length: size }, () => int(256)),
    text: (limit) => Array.from({ length: int(limit + 1) }, next() < 0.5 ? character : () => pick(ascii)).join(""),
    number: (bits) => {
      const size = 1 + int(bits)
      return size === 1 ? int(2) : 2 ** (size - 1) + Math.floor(next() * 2 ** (size - 1))
    }
  }
}

const ascii = Array.from({ length: 95 }, (_, i) => String.fromCodePoint(0x20 + i))
