/** Phrases that are looked for in what was understood: case, punctuation and white space do not matter. */

/** What a word consists of, in a regular expression. */
const letter = "[\\p{L}\\p{N}\\p{M}]"

/** A letter of a script that puts no space between words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u

interface Phrase {
  readonly phrase: string
  readonly pattern: RegExp
}

export interface Found {
  readonly phrase: string
  /** What was heard, from the beginning of the phrase on. */
  readonly from: string
}

export interface Phrases {
  /** Looks for the first of the phrases in what was heard. */
  readonly find: (heard: string) => Found | undefined
  /** Adds a text to what was heard, of which no more is kept than a phrase needs. */
  readonly append: (heard: string, text: string) => string
}

const compile = (who: string, phrase: string, index: number): Phrase => {
  const words = phrase.normalize("NFC").match(new RegExp(`${letter}+`, "gu"))
  if (words === null) {
    throw new TypeError(`${who}: phrases[${index}]: found ${JSON.stringify(phrase)}, expected at least one word`)
  }
  const before = unspaced.test(words[0]!) ? "" : `(?<!${letter})`
  const after = unspaced.test(words.at(-1)!) ? "" : `(?!${letter})`
  const between = `[^\\p{L}\\p{N}\\p{M}]*`
  return { phrase, pattern: new RegExp(before + words.join(between) + after, "iu") }
}

/** Throws a `TypeError`, in the name of `who`, when there is no phrase or one has no word in it. */
export const makePhrases = (who: string, phrases: ReadonlyArray<string>): Phrases => {
  if (phrases.length === 0) throw new TypeError(`${who}: phrases: found none, expected at least one`)
  const compiled = phrases.map((phrase, index) => compile(who, phrase, index))
  // more than any phrase needs, with the punctuation that may be in it
  const longest = 64 + 2 * Math.max(...phrases.map((phrase) => phrase.length))
  return {
    find: (heard) => {
      for (const { pattern, phrase } of compiled) {
        const match = pattern.exec(heard)
        if (match !== null) return { phrase, from: heard.slice(match.index) }
      }
      return undefined
    },
    append: (heard, text) => {
      const before = heard.slice(-longest)
      return (before === "" ? text : `${before} ${text}`).normalize("NFC")
    }
  }
}
