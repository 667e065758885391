/** Which words of a text have been spoken: by what the engine tells, or by how much of the audio has been. */

interface Word {
  /** With the white space before it: all words together are the text. */
  readonly text: string
  /** Where it begins in the text, without that. */
  readonly at: number
  readonly letters: string
}

/** How many words an engine may leave out: numbers and signs are spoken as other words. */
const lookAhead = 6

const lettersOf = (text: string): string => (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).join("")

export class SpokenWords {
  private readonly words: ReadonlyArray<Word>
  /** Without the white space before the first word. */
  private readonly length: number
  private next = 0
  /** What is left of a word of the text of which the engine says parts. */
  private rest = ""

  constructor(text: string) {
    const all = Array.from(text.matchAll(/\s*\S+(?:\s+$)?/gu))
    this.words = all.map(({ 0: word, index }) => ({
      text: word,
      at: index + word.length - word.trimStart().length,
      letters: lettersOf(word)
    }))
    this.length = text.length - (this.words[0]?.at ?? 0)
  }

  /** The engine says a word: what has been spoken with it. */
  say(word: string): ReadonlyArray<string> {
    const letters = lettersOf(word)
    if (letters === "") return []
    if (this.rest.startsWith(letters)) {
      this.rest = this.rest.slice(letters.length)
      return []
    }
    for (let i = this.next; i < Math.min(this.words.length, this.next + lookAhead); i++) {
      if (!this.words[i]!.letters.startsWith(letters)) continue
      this.rest = this.words[i]!.letters.slice(letters.length)
      return this.upTo(i + 1)
    }
    return []
  }

  /** Where the next word begins, as a share of the text; 1: there is none. */
  get nextShare(): number {
    const word = this.words[this.next]
    return word === undefined ? 1 : (word.at - this.words[0]!.at) / this.length
  }

  /** The next word begins. */
  takeNext(): ReadonlyArray<string> {
    return this.upTo(this.next + 1)
  }

  /** All of them. */
  takeAll(): ReadonlyArray<string> {
    return this.upTo(this.words.length)
  }

  /** What has not been spoken. */
  get unspoken(): string {
    return this.words.slice(this.next).map(({ text }) => text).join("")
  }

  private upTo(end: number): ReadonlyArray<string> {
    const taken = this.words.slice(this.next, end).map(({ text }) => text)
    this.next = Math.max(this.next, Math.min(end, this.words.length))
    return taken
  }
}
