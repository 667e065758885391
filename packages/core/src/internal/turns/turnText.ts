/** How complete a turn seems by its text alone. The lists are English; marks count in every language. */

const set = (words: string): ReadonlySet<string> => new Set(words.split(" "))

/** Nobody ends with these, asking or not: articles, conjunctions, possessives, contractions. */
const dangling = set(
  "a an the and or but nor because although though unless until whereas whether if than as while since " +
    "my your our their its who's i'm i'd i'll i've you're you'd you'll we're we'd we'll we've they're they'd " +
    "he's she's it's that's there's what's where's let's gonna wanna gotta very really quite every each"
)

/** Words that want a verb, unless they are a short answer ("yes, I will"). */
const auxiliaries = set(
  "would could should shall will might must is are am was were be been being has had have do does did don't doesn't " +
    "didn't isn't aren't can't won't"
)

/** Prepositions: they end a question ("what is it for"), and hardly anything else. */
const prepositions = set(
  "to of for from with at by into onto about between among against towards toward without within during via per like " +
    "in on under over after before near behind beside"
)

/** Prepositions that end a sentence as well ("come in"). */
const particles = set("in on over under after before behind by")

const fillers = set("um uh uhm umm uhh er erm hmm hm mm ah well like so anyway basically actually")

/** "I think so." */
const beforeSo = set("think hope guess suppose believe say said do that just and")

/** Pronouns that end a sentence when a verb is before them. */
const subjects = set("i we they he she")

const questionWords = set("who whom whose what which when where why how")

const openers = set(
  "is are am was were do does did can could will would shall should may might must have has had isn't aren't don't " +
    "doesn't didn't can't won't"
)

const digits = set("zero oh one two three four five six seven eight nine ten double triple hundred thousand point")

/** What is said digit by digit, and how many of them it has at least. */
const numbers: ReadonlyArray<readonly [cue: RegExp, digits: number]> = [
  [/\b(?:card|iban)\b/, 12],
  [/\b(?:account|order|tracking|reference|booking|confirmation)\b/, 6],
  [/\b(?:zip|postal|post ?code|postcode)\b/, 5],
  [/\b(?:pin|code|year)\b/, 4],
  [/\b(?:phone|telephone|mobile|cell|number)\b/, 7]
]

/** An end that leaves something open, in any script. */
const open = /(?:\.{2,}|…|[,;:\-–—،、，；：(])["'”’»)\]]*$/u

const question = /[?？؟;՞]["'”’»)\]]*$/u

const exclamation = /[!！]["'”’»)\]]*$/u

const stop = /[.。．｡।॥۔։።]["'”’»)\]]*$/u

const likely = 0.9
const unlikely = 0.1

interface Digits {
  readonly count: number
  /** Each is a word of its own. */
  readonly areSpelled: boolean
  /** The words before them. */
  readonly before: ReadonlyArray<string>
}

/** Digits at the end, as figures or as words. */
const trailingDigits = (words: ReadonlyArray<string>): Digits => {
  let count = 0
  let areSpelled = true
  let from = words.length
  for (; from > 0; from--) {
    const word = words[from - 1]!
    const figures = word.replace(/\D/g, "").length
    if (figures === 0 ? !digits.has(word) : /[^\d+()\-./]/.test(word)) break
    if (figures > 1) areSpelled = false
    count += Math.max(1, figures)
  }
  return { count, areSpelled, before: words.slice(0, from) }
}

const byWords = (words: ReadonlyArray<string>, isQuestion: boolean): number | undefined => {
  const last = words.at(-1)
  if (last === undefined) return undefined
  const first = words.find((word) => !fillers.has(word))
  if (first === undefined) return unlikely
  const asks = isQuestion || questionWords.has(first)
  if (fillers.has(last) && !(last === "so" && beforeSo.has(words.at(-2) ?? ""))) return unlikely
  const number = trailingDigits(words)
  if (number.count > 0 && !asks) {
    const announced = number.before.join(" ")
    const expected = numbers.find(([cue]) => cue.test(announced))?.[1]
    if (expected !== undefined) return number.count < expected ? 0.2 : likely
    if (announced === "" && number.count > 1 && number.areSpelled && number.count < 7) return 0.4
  }
  const before = words.at(-2) ?? ""
  if (dangling.has(last)) return 0.2
  if (subjects.has(last)) return asks || openers.has(before) ? 0.7 : unlikely
  if (auxiliaries.has(last)) return isQuestion || subjects.has(before) ? 0.6 : 0.2
  if (prepositions.has(last)) return asks ? 0.8 : particles.has(last) ? 0.55 : 0.2
  return undefined
}

/** The probability that the turn is complete. */
export const completionOf = (text: string): number => {
  const trimmed = text.trim().slice(-1000)
  if (trimmed === "") return 0
  if (open.test(trimmed)) return unlikely
  const isQuestion = question.test(trimmed)
  const words = trimmed.toLowerCase().replaceAll("’", "'").match(/[\p{L}\p{N}\p{M}'+][\p{L}\p{N}\p{M}'+\-./]*/gu)
    ?.map((word) => word.replace(/[.\-/']+$/, "")) ?? []
  const judged = byWords(words, isQuestion)
  if (judged !== undefined) return judged
  if (isQuestion) return 0.95
  if (exclamation.test(trimmed) || stop.test(trimmed)) return likely
  // a recogniser that writes no marks
  return questionWords.has(words[0] ?? "") || openers.has(words[0] ?? "") ? (words.length > 2 ? 0.75 : 0.55) : 0.65
}
