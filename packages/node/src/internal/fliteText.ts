import * as Sentence from "@apipeline/core/Sentence"
import type { FliteOutput } from "./fliteWorker.ts"

/** A piece of text that is spoken at once: not so long that the first audio, or an interruption, has to wait for it. */
export interface Phrase {
  /** As they were written. */
  readonly words: ReadonlyArray<string>
  /** What flite is told, word by word; empty: nothing to say. */
  readonly spoken: ReadonlyArray<string>
}

/** Characters. flite takes 30 ms for a second of speech, and this is about 12 seconds. */
const maxPhrase = 200
/** A word of more is cut: it would not be a word, and takes flite long. */
const maxWord = 60
const longWord = new RegExp(`.{1,${maxWord}}`, "gsu")

const replacements: ReadonlyArray<readonly [RegExp, string]> = [
  [/[‘’‚‛′`´]/g, "'"],
  [/[“”„«»″]/g, "\""],
  [/[–—―]/g, ", "],
  [/…/g, "..."],
  [/€/g, " euros "],
  [/£/g, " pounds "],
  [/°/g, " degrees "],
  [/ß/g, "ss"],
  [/[æÆ]/g, "ae"],
  [/[œŒ]/g, "oe"],
  [/[øØ]/g, "o"],
  [/[łŁ]/g, "l"],
  [/[đĐð]/g, "d"]
]

/** What can be said of a word: letters without accents, digits and punctuation; the program knows ASCII only. */
export const speakable = (word: string): string => {
  let text = word.normalize("NFKD")
  for (const [from, to] of replacements) text = text.replaceAll(from, to)
  text = text.replaceAll(/[^\x20-\x7e]/g, "").replaceAll(/\s+/g, " ").trim()
  return /[a-z0-9%$&@+=]/i.test(text) ? text : ""
}

const endsClause = /[,;:.!?]["')\]]*$/

const pieces = (word: string): Array<string> => Array.from(word.match(longWord) ?? [])

/** Cuts a text into phrases: at the end of sentences, and where one becomes too long, at a comma or between words. */
export const phrases = (text: string): Array<Phrase> => {
  const all: Array<Phrase> = []
  let words: Array<string> = []
  let length = 0
  const close = (): void => {
    if (words.length > 0) all.push({ words, spoken: words.map(speakable) })
    words = []
    length = 0
  }
  for (const sentence of Sentence.split(text)) {
    // oxlint-disable-next-line no-control-regex -- they are what is looked for
    for (const word of sentence.split(/[\s\u0000-\u001f\u007f]+/).flatMap(pieces)) {
      if (length + word.length > maxPhrase) close()
      words.push(word)
      length += word.length + 1
      if (length > maxPhrase / 2 && endsClause.test(word)) close()
    }
    close()
  }
  return all
}

/** Digits take longer to say than letters. */
const weigh = (spoken: string): number =>
  spoken.replaceAll(/[^a-z]/gi, "").length + 4 * spoken.replaceAll(/\D/g, "").length

/**
 * When the words of a phrase begin, in milliseconds. flite tells when each sound ends, but not what word it belongs to:
 * the sounds between two pauses are given to the words between two punctuation marks, if there are as many, in proportion
 * to their letters.
 */
export const wordStarts = (phrase: Phrase, sounds: FliteOutput["sounds"]): Array<number> => {
  const runs: Array<Array<number>> = [[]]
  let before = 0
  for (const [name, end] of sounds) {
    if (name === "pau") {
      if (runs.at(-1)!.length > 0) runs.push([])
    } else runs.at(-1)!.push(before)
    before = end
  }
  if (runs.at(-1)!.length === 0) runs.pop()
  const groups: Array<Array<number>> = [[]]
  phrase.spoken.forEach((spoken, i) => {
    groups.at(-1)!.push(i)
    if (endsClause.test(spoken) && i < phrase.spoken.length - 1) groups.push([])
  })
  const isAligned = groups.length === runs.length
  const starts: Array<number> = []
  const spread = (words: ReadonlyArray<number>, times: ReadonlyArray<number>): void => {
    const weights = words.map((i) => weigh(phrase.spoken[i]!))
    const total = weights.reduce((a, b) => a + b, 0) || 1
    let passed = 0
    words.forEach((_, i) => {
      starts.push(times[Math.min(times.length - 1, Math.round(times.length * passed / total))] ?? 0)
      passed += weights[i]!
    })
  }
  if (isAligned) groups.forEach((words, i) => spread(words, runs[i]!))
  else spread(phrase.words.map((_, i) => i), runs.flat())
  return starts
}
