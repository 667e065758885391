/** What a rule of the dialogue engine is given, and what it is. */

/** The user's latest turn, in the forms that rules look at. */
export interface Turn {
  /** As it was said, on one line. */
  readonly text: string
  /** Lower case, without punctuation: `what's seven times eight`. */
  readonly words: string
  /** {@link words} without what only is polite, numbers as digits: `what is 7 times 8`. */
  readonly plain: string
  /** Milliseconds since 1970. */
  readonly now: number
  /** IANA. */
  readonly timeZone: string
  /** What the user said before, the latest last. */
  readonly before: ReadonlyArray<string>
  /** What the bot said last. */
  readonly said: string | undefined
}

/** Answers the turns that it is for. Must be total, and take a time that grows with the text at most. */
export type Rule = (turn: Turn) => string | undefined
