/** Text of the dialogue engine: reading what was said, writing what is said. */

/** A turn that is spoken is shorter; of a longer one only so much is looked at. */
export const maxLength = 2000

/** On one line, typographic characters as plain ones, and no longer than {@link maxLength}. */
export const tidy = (text: string): string =>
  text.slice(0, maxLength).normalize("NFKC").slice(0, maxLength).replace(/[‘’ʼ`]/g, "'").replace(/[−–—]/g, "-")
    .replace(/\s+/g, " ").trim()

/** Lower case, letters, digits and signs of arithmetic; everything else is a space. */
export const toWords = (text: string): string =>
  tidy(text).toLowerCase()
    // 1,000 is a number, as are 2.5 and 10:30
    .replace(/(\d),(?=\d{3}(?!\d))/g, "$1")
    .replace(/\ba\.m\b\.?/g, "am").replace(/\bp\.m\b\.?/g, "pm")
    .replace(/[^\p{L}\p{M}\d.:'%°+*/^()×÷=-]+/gu, " ")
    .replace(/(?<!\d)[.:]|[.:](?!\d)/g, " ")
    .replace(/(?<=\p{L})-(?=\p{L})/gu, " ")
    .replace(/(?<!\p{L})'|'(?!\p{L})/gu, " ")
    .replace(/ +/g, " ").trim()

const contractions: ReadonlyArray<readonly [RegExp, string]> = [
  [/\b(what|who|where|when|how|that|it|there)'?s\b/g, "$1 is"],
  [/\b(i)'m\b/g, "$1 am"],
  [/\b(can)'t\b/g, "$1 not"],
  [/\b(won)'t\b/g, "will not"],
  [/\b(do|does|did|is|are|was|were|has|have|had|could|would|should)n't\b/g, "$1 not"],
  [/\b(you|we|they)'re\b/g, "$1 are"]
]

/** What carries no meaning at the beginning of a request. */
const politeStart =
  /^(?:um|uh|er|ah|oh|okay|ok|so|well|and|then|now|please|hey|hi|hello|computer|bot|just|(?:can|could|would|will) you(?: please)?|do you know|(?:please )?tell me|i (?:want|need|would like) (?:you )?to(?: know)?|i'd like (?:you )?to(?: know)?) (?=\S)/

/** Expands contractions, and takes away what only is polite. */
export const toPlain = (words: string): string => {
  let plain = words
  for (const [pattern, replacement] of contractions) plain = plain.replace(pattern, replacement)
  for (let i = 0; i < 8 && politeStart.test(plain); i++) plain = plain.replace(politeStart, "")
  return plain.replace(/ (?:please|thank you|thanks|for me)$/, "")
}

const formats = new Map<number, Intl.NumberFormat>()

/** `1,234.57`: no more digits behind the point than anybody wants to hear. */
export const formatNumber = (value: number, digits = 2): string => {
  let format = formats.get(digits)
  if (format === undefined) {
    format = new Intl.NumberFormat("en-US", { maximumFractionDigits: digits })
    formats.set(digits, format)
  }
  const rounded = format.format(value)
  if (Number(rounded.replaceAll(",", "")) !== 0 || value === 0) return rounded.replace(/^-0$/, "0")
  return String(Number(value.toPrecision(2)))
}

/** `a, b and c`. */
export const listing = (items: ReadonlyArray<string>): string =>
  items.length < 2 ? items.join("") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`

/** With a capital letter. */
export const capital = (text: string): string => text.slice(0, 1).toUpperCase() + text.slice(1)

/** `1 day`, `2 days`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${formatNumber(count)} ${count === 1 ? one : many}`
