/**
 * Where sentences end, in any language, in text that arrives in pieces.
 *
 * There are two rule sets, because the lineage has two:
 *
 * - {@link endOf}, {@link split} and {@link Splitter} look **into** a text (pipecat): a sentence ends where an ender is
 *   confirmed by what follows, or where the text ends with one. Enders are `. ! ? ;`, and everything Unicode calls a
 *   sentence terminal.
 * - {@link endsSentence} looks at a text as a **frame boundary** (pipeline-go): nothing will be looked at after it, so an
 *   abbreviation, a time or a number with a dot does not count, and a colon does.
 *
 * The rules, in the order they are applied by {@link Splitter}:
 *
 * 1. An empty line ends a sentence. A single line break is white space (text may be wrapped).
 * 2. Inside an XML-like tag (`<name ...>`, at most 256 characters) or one of the `tags` of the caller, nothing ends.
 * 3. Quotes, brackets, Markdown emphasis, closing tags and combining marks right behind an ender belong to it. When
 *    something closed and a small letter or a comma follows, the sentence goes on (`"Stop!" he said`).
 * 4. A strong ender (`。 ！ ？ । ؟ ۔ ። ...`) is confirmed by any next character.
 * 5. All others wait for the next character that is not white space and not part of the ender by rule 3, never longer.
 *    Without white space in between they end nothing (decimals, times, addresses, versions), except before a script
 *    that has no spaces (`你好!我是`).
 * 6. An ellipsis (three dots, `…`) ends a sentence at a line break or at the end of the text only.
 * 7. An abbreviation, an initial, a list marker, a date or an ordinal with a dot never ends one.
 * 8. UAX #29 (`Intl.Segmenter`) has the last word: no end before a small letter (once the text has used a capital),
 *    none before `, : -`.
 * 9. In Thai a space ends a sentence behind ครับ, ค่ะ and คะ; otherwise Thai ends sentences with the marks above.
 *
 * A sentence that ends with an abbreviation (`at 3 p.m. Then ...`) therefore stays with the next one: a piece too long
 * is heard as it should be, a piece cut short is not.
 *
 * @since 0.1.0
 */
import * as Internal from "./internal/text/sentence.ts"
import * as Rules from "./internal/text/sentenceRules.ts"

/**
 * The start and the end of a span that is never split, such as `["<spell>", "</spell>"]`.
 *
 * @category models
 * @since 0.1.0
 */
export type TagPair = readonly [start: string, end: string]

/**
 * Options of {@link makeSplitter} and {@link split}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * A BCP 47 tag. No language needs one; with `"de"` any one or two digits with a dot are an ordinal, instead of only
   * those behind a German article, preposition or weekday.
   */
  readonly locale?: string | undefined
  /** Spans in which no sentence ends. */
  readonly tags?: ReadonlyArray<TagPair> | undefined
}

/**
 * A sentence splitter for text that streams in.
 *
 * **Details**
 *
 * The outputs concatenated are the input, and they depend on the text only, not on how it was chunked: the splitter
 * reads one code point at a time. White space belongs to the piece after it. The time for a character does not depend
 * on how much is pending.
 *
 * @see {@link makeSplitter} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Splitter {
  /** Takes more text, returns the sentences it confirmed. */
  readonly push: (chunk: string) => ReadonlyArray<string>
  /** No more text: returns what is complete and, apart from it, the rest. The splitter can be used again. */
  readonly flush: () => ReadonlyArray<string>
  /** What was pushed and not yet put out. */
  readonly pending: string
  /** Forgets what is pending and all that is known of the text. */
  readonly reset: () => void
}

/**
 * Makes a {@link Splitter}. It is a plain mutable object: one per stream of text, not to be shared.
 *
 * **Example** (Sentences from tokens)
 *
 * ```ts
 * import { Sentence } from "@apipeline/core"
 *
 * const splitter = Sentence.makeSplitter()
 * splitter.push("Hello Mr. Smith") // => []
 * splitter.push("! How") // => ["Hello Mr. Smith!"]
 * splitter.push(" are you? ") // => []
 * splitter.flush() // => [" How are you?", " "]
 * ```
 *
 * **Example** (Spans that stay whole)
 *
 * ```ts
 * import { Sentence } from "@apipeline/core"
 *
 * const splitter = Sentence.makeSplitter({ tags: [["<spell>", "</spell>"]] })
 * splitter.push("Hi! It is <spell>A. Bo? C</spell>. Got it?") // => ["Hi!", " It is <spell>A. Bo? C</spell>."]
 * splitter.push(" <spell>Oh! Well") // => [" Got it?"]
 * splitter.flush() // => [" <spell>Oh! Well"]
 * ```
 *
 * Source: pipecat's `SimpleTextAggregator` and `SkipTagsAggregator`; unlike those it keeps white space.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeSplitter = (options?: Options): Splitter => {
  const make = () => new Internal.Machine(options?.locale ?? "en", options?.tags ?? [])
  let machine = make()
  return {
    push: (chunk) => {
      const out: Array<string> = []
      machine.push(chunk, out)
      return out
    },
    flush: () => {
      const out: Array<string> = []
      machine.end(out)
      const rest = machine.pending
      if (rest !== "") out.push(rest)
      machine = make()
      return out
    },
    get pending() {
      return machine.pending
    },
    reset: () => {
      machine = make()
    }
  }
}

/**
 * Splits a whole text: what a {@link Splitter} puts out for it, flushed.
 *
 * **Example** (Nothing is lost)
 *
 * ```ts
 * import { Sentence } from "@apipeline/core"
 *
 * Sentence.split("Dr. Jones paid $3.50. “Really?” 你好。再见") // => ["Dr. Jones paid $3.50.", " “Really?”", " 你好。", "再见"]
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const split = (text: string, options?: Options): ReadonlyArray<string> => {
  const splitter = makeSplitter(options)
  return [...splitter.push(text), ...splitter.flush()]
}

/**
 * The index just after the first complete sentence of a text, 0 if there is none. The end of the text confirms an
 * ender, whatever stands before it, and white space after it is ignored.
 *
 * **Example** (First sentence)
 *
 * ```ts
 * import { Sentence } from "@apipeline/core"
 *
 * Sentence.endOf("This is a sentence. This is another one") // => 19
 * Sentence.endOf("Ok, Mr. Smith let's ") // => 0
 * Sentence.endOf("こんにちは。元") // => 6
 * ```
 *
 * Source: pipecat's `match_endofsentence`.
 *
 * @category operations
 * @since 0.1.0
 */
export const endOf = (text: string): number => Internal.endOf(text)

/**
 * Whether a text, taken as a frame boundary, ends a sentence: it ends with an ender or a colon, and the dot is not that
 * of an abbreviation, an initial, a time or a number. White space at the end is allowed, and so are closing quotes.
 *
 * **Example** (Frame boundaries)
 *
 * ```ts
 * import { Sentence } from "@apipeline/core"
 *
 * Sentence.endsSentence("Important note: ") // => true
 * Sentence.endsSentence("The meeting is at 3:00 p.m.") // => false
 * Sentence.endsSentence("Pi is 3.") // => false
 * ```
 *
 * Source: pipeline-go's `MatchEndOfSentence`.
 *
 * @see {@link endOf} for the end of the first sentence inside a text
 * @category operations
 * @since 0.1.0
 */
export const endsSentence = (text: string): boolean => Rules.endsSentence(text)

/**
 * The length of the longest end of `text` that begins one of the candidates without being the whole of it: what to hold
 * back of a stream in which a candidate may come in two chunks.
 *
 * **Example** (Half a tag)
 *
 * ```ts
 * import { Sentence } from "@apipeline/core"
 *
 * Sentence.trailingPartialMatch("Hello <thin", ["<think>", "<test>"]) // => 5
 * Sentence.trailingPartialMatch("Hello <think>", ["<think>"]) // => 0
 * ```
 *
 * Source: pipecat's `longest_trailing_partial_match`.
 *
 * @category operations
 * @since 0.1.0
 */
export const trailingPartialMatch = (text: string, candidates: ReadonlyArray<string>): number => {
  let longest = 0
  for (const candidate of candidates) {
    let length = Math.min(candidate.length - 1, text.length)
    while (length > longest && !text.endsWith(candidate.slice(0, length))) length--
    longest = Math.max(longest, length)
  }
  return longest
}

/**
 * Finds out whether a text ends inside a span: which pair is open, if any, and the index from which to go on when more
 * text has come. Spans do not nest.
 *
 * **Example** (Going on)
 *
 * ```ts
 * import { Sentence } from "@apipeline/core"
 *
 * const tags: Array<Sentence.TagPair> = [["<a>", "</a>"]]
 * Sentence.openTag("Hello <a>Pipe", { tags }) // => { open: ["<a>", "</a>"], index: 13 }
 * Sentence.openTag("Hello <a>Pipecat</a>!", { tags, open: tags[0], from: 13 }) // => { open: undefined, index: 21 }
 * ```
 *
 * Source: pipecat's `parse_start_end_tags`. Unlike that it takes the pairs in order of appearance, and the index stays
 * before a tag of which only the beginning is there.
 *
 * @see {@link Options} `tags`, for a splitter that does this
 * @category operations
 * @since 0.1.0
 */
export const openTag = (text: string, options: {
  readonly tags: ReadonlyArray<TagPair>
  /** The pair that is open at `from`. */
  readonly open?: TagPair | undefined
  readonly from?: number | undefined
}): { readonly open: TagPair | undefined; readonly index: number } => {
  const from = options.from ?? 0
  let open = options.open
  let at = from
  while (true) {
    if (open !== undefined) {
      const end = open[1] === "" ? -1 : text.indexOf(open[1], at)
      if (end < 0) break
      at = end + open[1].length
      open = undefined
    } else {
      let start = -1
      for (const tag of options.tags) {
        // An empty delimiter is found everywhere, and would be found again for ever.
        const found = tag[0] === "" || tag[1] === "" ? -1 : text.indexOf(tag[0], at)
        if (found < 0 || (start >= 0 && found >= start)) continue
        start = found
        open = tag
      }
      if (open === undefined) break
      at = start + open[0].length
    }
  }
  // nothing found: look at the same text again next time
  if (at === from && open === options.open && open === undefined) return { open, index: from }
  const awaited = open === undefined ? options.tags.map(([start]) => start) : [open[1]]
  return { open, index: Math.max(at, text.length - trailingPartialMatch(text, awaited)) }
}
