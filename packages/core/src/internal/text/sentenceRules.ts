/**
 * What a sentence is: character classes, abbreviations and the guards that read them. Nothing here has state.
 *
 * Sources: the Unicode Character Database (`Sentence_Terminal`, general categories), UAX #29 through
 * `Intl.Segmenter`, pipecat's `SENTENCE_ENDING_PUNCTUATION`, and the usual abbreviations of each language.
 */

/** Enders that are also something else (decimal point, `?` in a URL, Armenian marks inside a word): see `confirms`. */
const weak = ".!?;…．․﹒\u037e‼‽⁇⁈⁉՜՞"
export const isWeak = (c: string): boolean => weak.includes(c)

/** Enders that are nothing else: what Unicode calls sentence terminals, and the semicolons and marks pipecat adds. */
const strong = /[\p{Sentence_Terminal}；؛؏།༎]/u
export const isStrong = (c: string): boolean => c > "\u007f" && strong.test(c) && !isWeak(c)

const dot = /[.…．․﹒]$/
export const endsWithDot = (run: string): boolean => dot.test(run)

const isFullStop = (run: string): boolean => run === "." || run === "．"
const endsWithDigit = (text: string): boolean => /\p{Nd}$/u.test(text)

const ellipsis = /^(?:[.．]{3,}|[.．]*…[.．…]*)$/
export const isEllipsis = (run: string): boolean => ellipsis.test(run)

/** Combining marks, variation selectors, joiners, direction marks: they belong to the character before (UAX #29 SB5). */
export const isExtend = (c: string): boolean => c > "\u007f" && /[\p{M}\p{Cf}]/u.test(c)
export const isSpace = (c: string): boolean => /\s/.test(c)

/** Quotes, brackets and Markdown emphasis that close right behind an ender ... */
export const isCloser = (c: string): boolean => /[\p{Pe}\p{Pf}\p{Pi}"'`*_~]/u.test(c)
/** ... but where words have no spaces between them, what opens the next sentence stands there too. */
export const isStrictCloser = (c: string): boolean => /[\p{Pe}\p{Pf}]/u.test(c)
/** One shape for opening and closing: the machine counts. */
export const isTwoWay = (c: string): boolean => c === "\"" || c === "*" || c === "_"

/** Not merely spaces and punctuation: a piece without any is nothing to say, so it never stands alone. */
export const isSolid = (c: string): boolean => /[^\s\p{P}]/u.test(c)
export const isUpper = (c: string): boolean => /\p{Lu}/u.test(c)

/** Text since a `<` that is, or may yet become, the inside of a tag. Bounded, so a stray `<` cannot mute the text. */
export const isTagPrefix = (s: string): boolean => /^<\/?(?:[a-z][\w:-]{0,63}(?:\s[^<>]{0,255})?\/?)?$/i.test(s)
export const isClosingTag = (s: string): boolean => /^<\/[\w:-]{0,64}\s?>$/.test(s)
export const isClosingTagPrefix = (s: string): boolean => /^<(?:\/[\w:-]{0,64}\s?)?$/.test(s)

/** A closer behind a space: ( why? ), and the French « Pourquoi ? », where » was not opened as in German »Warum?«. */
export const isSpacedCloser = (c: string, opened: string): boolean =>
  c === "»" ? opened.includes("«") : /\p{Pe}/u.test(c)

/** Scripts written without spaces: there a Latin ender needs none either ("你好!我是"). */
const unspaced = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmr}\p{sc=Mymr}]/u
/** A dot between Thai, Lao, Khmer or Burmese letters is an abbreviation ("พ.ศ."): for a dot only these count. */
const ideographic = /[\p{sc=Han}\p{sc=Hira}\p{sc=Kana}]/u

/** The sentence a closed quote belongs to goes on: “Stop!” he said, 「え？」と言った. */
export const goesOn = (next: string): boolean => /[\p{Ll},、，とっ]/u.test(next)

/** Thai marks the end of a sentence by a space, but other things too: only behind a polite particle is it sure. */
export const isThaiEnd = (before: string, next: string): boolean =>
  /[ก-ฮเ-ไ]/.test(next) && /(?:ครับ|ค่ะ|คะ)$/.test(before)

const words = (...lists: ReadonlyArray<string>): ReadonlySet<string> => new Set(lists.join(" ").split(" "))

/** Never the end of a sentence. In small letters: capitalised too. Single letters need no entry, see `initial`. */
const abbreviations = words(
  "mr mrs ms mx dr prof messrs sr jr esq inc ltd corp dept approx govt assn bros vs etc cf viz resp Ph Sc", // English
  "Hon Rev Gen Col Maj Capt Cmdr Lt Sgt Gov Sen Rep Pres St Ste Mt Ft Ave Blvd Rd Co",
  "bzw usw ca vgl evtl ggf inkl exkl zzgl bspw sog geb gest allg engl dt nr str tel abb hrsg dipl univ", // German
  "Hr Fr Frl Hl Bd Jh Jhd Mio Mrd Std Ing Chr Mag Doz Abs Zt",
  "MM mme mmes mlle mlles mgr av env à-d", // French
  "sra srta sres sras dra profa Ud Uds Vd Vds dña arq gral cía núm pág págs aprox ej avda dpto excmo excma", // Spanish
  "EE UU Lic",
  "др пр гг вв руб коп тыс млн млрд ул пер просп наб стр рис табл см ср напр проф акад доц тов гр гл", // Russian
  "изд обл тел чел им",
  "إلخ هـ डॉ प्रो पं ดร ผศ รศ นพ พญ" // Arabic, Hindi, Thai
)
const abbreviatedPhrase = /(?:^|\s)(?:p\.\s?ex|par ex|et al)$/i

/** An abbreviation when a number follows, a word or a name when not: "No. 5", "No. Never." */
const beforeNumber = words(
  "no nos fig figs vol vols pp ch sec art pt ver jan feb mar apr jun jul aug sep sept oct nov dec apt",
  "kap bl pos chap fasc col lám пп ст ил"
)

/** One letter of a script with letters of its own: initials, "z. B.", "т. е.", "p. m.", "د.", "น.". Not 네, 好, है. */
const initial = /^(?:[\p{Lu}\p{Ll}\p{sc=Arab}\p{sc=Hebr}]\p{M}*|[ก-ฮ])$/u
/** Unless it is a word that ends sentences: English "I", Russian "я". */
const pronoun = /(?:^|[^.])[Iя]$/

/** The word right before a dot, if it is a whole one: "l'est.", "5b.", "20°C.", "R&D.", "x@mr." are no abbreviations. */
const lastWord =
  /(?:^|[\s.,;:!?、，：；！？<>*_"¿¡\p{Ps}\p{Pi}\p{Pd}\p{Cf}\p{sc=Han}\p{sc=Hira}\p{sc=Kana}])-?((?:(?![\p{sc=Han}\p{sc=Hira}\p{sc=Kana}])[\p{L}\p{M}-])+)$/u

const isAbbreviation = (before: string, next: string): boolean => {
  const word = lastWord.exec(before)?.[1]
  if (word === undefined) return false
  if (initial.test(word)) return !pronoun.test(before)
  if (abbreviatedPhrase.test(before)) return true
  const lower = word.toLowerCase()
  return abbreviations.has(word) || abbreviations.has(lower) || (beforeNumber.has(lower) && /\p{Nd}/u.test(next))
}

const shortNumber = /(?:^|[^\d.,:])\d{1,2}$/
/** "1. First" at the start of a sentence or line, or behind a colon. */
const listMarker = /(?:(?:^|\n)[\s\p{P}]*\d{1,3}|[:;]\s*1)$/u
/** German writes ordinals with a dot and nouns with a capital: "der 3. Juli". "I am 25." is English. */
const germanOrdinal =
  /(?<!\p{L})(?:der|die|das|dem|den|des|vom|zum|zur|beim|im|ab|bis|seit|und|(?<!I )am|(?:\p{L}+tag|Mittwoch),)\s+\d{1,2}$/iu

/** A number whose dot belongs to it: list marker, date ("3. 5. 2024"), ordinal. */
const isNumbering = (before: string, next: string, german: boolean): boolean =>
  listMarker.test(before) || (shortNumber.test(before) && (german || /\d/.test(next) || germanOrdinal.test(before)))

/** Text right before an ender at which the ender is part of a word, whatever follows. */
export const isGuarded = (before: string, run: string, next: string, german: boolean): boolean => {
  if (run === ";") return /&#?\w{1,10}$/.test(before) // an entity: &amp;
  return isFullStop(run) && (isAbbreviation(before, next) || isNumbering(before, next, german))
}

/** A frame boundary: no look-ahead, so a number is never finished ("3." may become "3.14", a list marker, an ordinal). */
export const endsSentence = (text: string): boolean => {
  const end = Array.from(text.trimEnd().slice(-128))
  let before = ""
  let run = ""
  for (let i = end.length - 1; i >= 0; i--) {
    const c = end[i] ?? ""
    if (isWeak(c) || isStrong(c) || c === ":" || c === "：") {
      run = c + run
      before = end.slice(0, i).join("")
    } else if (!isCloser(c) && !isExtend(c)) {
      break
    }
  }
  if (run === "") return false
  if (/(?:@|:\/\/)\S*$/.test(before)) return true
  return !isGuarded(before, run, "", false) && !(isFullStop(run) && endsWithDigit(before))
}

// of all locales only Greek has rules of its own, for a semicolon, which counts in every language here
let segmenter: Intl.Segmenter | undefined

/** Whether UAX #29 ends a sentence between the two. */
const isBoundary = (left: string, right: string): boolean => {
  segmenter ??= new Intl.Segmenter("en", { granularity: "sentence" })
  return segmenter.segment(left + right).containing(left.length)?.index === left.length
}

/** Everything known about an ender when the character that decides arrives. */
export interface Ender {
  /** The last 64 or more characters of the sentence before it, or all of them. */
  readonly before: string
  /** The enders themselves, without what closes behind them. */
  readonly run: string
  readonly strong: boolean
  /** A quote, a bracket or a tag closed right behind. */
  readonly closed: boolean
  /** White space between it and the next character; `lineBreak` if there is one in it. */
  readonly gap: "none" | "space" | "lineBreak"
  readonly next: string
  /** Inside a token with `@` or `://`. */
  readonly link: boolean
  /** The text has used a capital letter so far, so that a small letter means something. */
  readonly cased: boolean
}

/** Whether the sentence ends there: all rules, in order. */
export const confirms = (ender: Ender, german: boolean): boolean => {
  const { before, gap, next, run } = ender
  if (ender.closed && goesOn(next)) return false
  if (ender.strong) return true
  if (gap !== "lineBreak" && isEllipsis(run)) return false
  if (!ender.link && isGuarded(before, run, next, german)) return false
  const dotted = endsWithDot(run)
  if (gap === "none") {
    return !ender.link && (dotted ? ideographic.test(next) && !endsWithDigit(before) : unspaced.test(next))
  }
  // UAX #29 looks back no further than the ender and, so that nobody waits, is shown no further than the next
  // character: no end before a small letter (SB8), before , : - and the like (SB8a), always one at a line break (SB4)
  const small = dotted && !ender.cased && !endsWithDigit(before) && /\p{Ll}/u.test(next)
  const left = (dotted ? "." : "?") + (gap === "lineBreak" ? "\n" : " ")
  return isBoundary(left, small ? "A" : next)
}
