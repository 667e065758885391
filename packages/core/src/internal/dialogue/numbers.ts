/** Numbers in words, as a recogniser of speech writes them. */

const small = new Map<string, number>(
  ("zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen " +
    "eighteen nineteen").split(" ").map((word, value) => [word, value])
)
const tens = new Map<string, number>(
  "twenty thirty forty fifty sixty seventy eighty ninety".split(" ").map((word, i) => [word, (i + 2) * 10])
)
tens.set("fourty", 40)
const scales = new Map<string, number>([["thousand", 1e3], ["million", 1e6], ["billion", 1e9], ["trillion", 1e12]])
const ordinals = new Map<string, number>(
  ("first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth " +
    "sixteenth seventeenth eighteenth nineteenth").split(" ").map((word, i) => [word, i + 1])
)
ordinals.set("twentieth", 20)
ordinals.set("thirtieth", 30)

const isDigits = (word: string | undefined): word is string =>
  word !== undefined && /^\d{1,15}(?:\.\d{1,10})?$/.test(word)

interface Parsed {
  readonly value: string
  readonly end: number
}

/** Reads the number that begins at a word. */
const parse = (words: ReadonlyArray<string>, start: number): Parsed | undefined => {
  let total = 0
  /** Below a thousand, not yet scaled. */
  let group = 0
  let at = start
  /** What may follow: a unit only after tens, nothing below hundred after a unit. */
  let room = 1000
  let found = false
  let scale = Infinity
  for (; at < words.length; at++) {
    const word = words[at]!
    const unit = small.get(word) ?? tens.get(word)
    if (unit !== undefined) {
      if (unit >= room || (found && unit === 0)) break
      group += unit
      room = unit >= 20 ? 10 : unit === 0 ? 0 : 1
      found = true
    } else if (!found && isDigits(word)) {
      group = Number(word)
      room = 0
      found = true
    } else if (word === "hundred" && found && group > 0 && group < 100) {
      group *= 100
      room = 100
    } else if (scales.has(word) && found && group > 0 && scales.get(word)! < scale) {
      scale = scales.get(word)!
      total += group * scale
      group = 0
      room = 1000
    } else if (
      word === "a" && !found && (words[at + 1] === "hundred" || scales.has(words[at + 1] ?? ""))
    ) {
      group = 1
      found = true
    } else if (word === "and" && found && (room === 100 || (room === 1000 && total > 0))) {
      // one hundred and five, but not five and six
      const next = words[at + 1] ?? ""
      const value = small.get(next) ?? tens.get(next)
      if (value === undefined || value === 0 || value >= room) break
    } else {
      break
    }
  }
  if (!found) return undefined
  const value = total + group
  if (words[at] === "point" || words[at] === "dot") {
    let digits = ""
    let next = at + 1
    for (; next < words.length && digits.length < 10; next++) {
      const word = words[next]!
      const digit = word === "oh" ? 0 : small.get(word)
      if (digit !== undefined && digit < 10) digits += digit
      else if (digits === "" && /^\d{1,10}$/.test(word)) {
        digits = word
        next++
        break
      } else break
    }
    if (digits !== "" && Number.isInteger(value)) return { value: `${value}.${digits}`, end: next }
  }
  // twenty first
  const ordinal = ordinals.get(words[at] ?? "")
  if (ordinal !== undefined && ordinal < 10 && value % 10 === 0 && value >= 20 && value < 100) {
    return { value: ordinalOf(value + ordinal), end: at + 1 }
  }
  return { value: String(value), end: at }
}

/** `1st`, `22nd`, `13th`. */
export const ordinalOf = (value: number): string => {
  const last = value % 100 > 10 && value % 100 < 14 ? 0 : value % 10
  return `${value}${last === 1 ? "st" : last === 2 ? "nd" : last === 3 ? "rd" : "th"}`
}

/**
 * Writes numbers in digits: `seven point five` as `7.5`, `one hundred and five` as `105`, `twenty first` as `21st`,
 * `two and a half` as `2.5`, `half an hour` as `0.5 hour`.
 */
export const toDigits = (text: string): string => {
  const words = text.split(" ")
  const result: Array<string> = []
  for (let at = 0; at < words.length;) {
    const word = words[at]!
    const number = parse(words, at)
    if (number !== undefined) {
      at = number.end
      if (words[at] === "and" && words[at + 1] === "a" && words[at + 2] === "half" && /^\d+$/.test(number.value)) {
        result.push(`${number.value}.5`)
        at += 3
      } else {
        result.push(number.value)
      }
    } else if (word === "half" && (words[at + 1] === "a" || words[at + 1] === "an")) {
      result.push("0.5")
      at += 2
    } else if ((word === "a" || word === "half") && words[at + 1] === "dozen") {
      result.push(word === "a" ? "12" : "6")
      at += 2
    } else if (word === "dozen" && isDigits(result.at(-1))) {
      result[result.length - 1] = String(Number(result.at(-1)) * 12)
      at++
    } else {
      const ordinal = word === "second" ? undefined : ordinals.get(word)
      result.push(ordinal === undefined ? word : ordinalOf(ordinal))
      at++
    }
  }
  return result.join(" ")
}
