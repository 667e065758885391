/** What has none of these is not spoken. */
export const sayable = /[\p{L}\p{N}]/u

/**
 * How much of a written text has been spoken when a word of it has: up to its end, or all of it where nothing that could
 * be spoken follows. `undefined` when the word is not in the rest: what is spoken may differ from what is written ("$5").
 */
export const spokenUpTo = (text: string, spoken: number, word: string): number | undefined => {
  const trimmed = word.trim()
  const at = trimmed === "" ? -1 : text.indexOf(trimmed, spoken)
  if (at < 0) return undefined
  const end = at + trimmed.length
  return sayable.test(text.slice(end)) ? end : text.length
}

const spaced = /^\s|^[.,;:!?…)\]}’”]/u
const wide = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}。！？、，]/u

/** Two texts as one: with a space between them, unless there is one, or none is written there. */
export const join = (before: string, after: string): string => {
  if (before === "" || after === "" || /\s$/.test(before) || spaced.test(after)) return before + after
  return wide.test(before.at(-1)!) && wide.test(after[0]!) ? before + after : `${before} ${after}`
}

/** Pieces that have spaces of their own, as tokens do, or have none, as words do. */
export const joinAll = (pieces: ReadonlyArray<string>): string => {
  const tokens = pieces.some((piece, i) => (i > 0 && /^\s/.test(piece)) || (i < pieces.length - 1 && /\s$/.test(piece)))
  return tokens ? pieces.join("") : pieces.reduce(join, "")
}
