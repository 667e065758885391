/** Units: `how many kilometers is 5 miles`, `convert 70 fahrenheit to celsius`. */
import { capital, formatNumber } from "./text.ts"
import type { Rule } from "./turn.ts"

interface Unit {
  readonly one: string
  readonly many: string
  /** Units of one kind can be converted. */
  readonly kind: string
  /** How much of the kind's base unit it is. */
  readonly factor: number
  /** Its zero, in the base unit: for temperatures. */
  readonly zero?: number
  /** Into what it is converted when nobody says. */
  readonly other?: string
}

/** Factors: exact by definition (NIST Handbook 44, appendix C); US gallons, quarts, pints, cups and ounces. */
const table: Readonly<Record<string, ReadonlyArray<readonly [names: string, factor: number, other?: string]>>> = {
  length: [
    ["meter meters metre metres m", 1, "foot"],
    ["kilometer kilometers kilometre kilometres km", 1000, "mile"],
    ["centimeter centimeters centimetre centimetres cm", 0.01, "inch"],
    ["millimeter millimeters millimetre millimetres mm", 0.001, "inch"],
    ["inch inches", 0.0254, "centimeter"],
    ["foot feet ft", 0.3048, "meter"],
    ["yard yards", 0.9144, "meter"],
    ["mile miles", 1609.344, "kilometer"]
  ],
  mass: [
    ["gram grams gramme grammes g", 1, "ounce"],
    ["kilogram kilograms kilogramme kilogrammes kilo kilos kg", 1000, "pound"],
    ["ounce ounces oz", 28.349523125, "gram"],
    ["pound pounds lb lbs", 453.59237, "kilogram"],
    ["stone stones", 6350.29318, "kilogram"],
    ["ton tons tonne tonnes", 1e6, "pound"]
  ],
  volume: [
    ["liter liters litre litres l", 1, "gallon"],
    ["milliliter milliliters millilitre millilitres ml", 0.001, "cup"],
    ["gallon gallons", 3.785411784, "liter"],
    ["quart quarts", 0.946352946, "liter"],
    ["pint pints", 0.473176473, "liter"],
    ["cup cups", 0.2365882365, "milliliter"],
    ["tablespoon tablespoons", 0.01478676478125, "milliliter"],
    ["teaspoon teaspoons", 0.00492892159375, "milliliter"]
  ],
  time: [
    ["second seconds sec secs", 1],
    ["minute minutes min mins", 60],
    ["hour hours", 3600],
    ["day days", 86_400],
    ["week weeks", 604_800]
  ],
  temperature: [
    ["degree celsius|degrees celsius|celsius|degrees centigrade|centigrade|degrees c|°c", 1, "degree fahrenheit"],
    ["degree fahrenheit|degrees fahrenheit|fahrenheit|degrees f|°f", 5 / 9, "degree celsius"],
    ["kelvin|kelvins|degrees kelvin", 1, "degree celsius"]
  ]
}
const zeros = new Map([["degree celsius", 273.15], ["degree fahrenheit", 459.67 * 5 / 9]])

const units = new Map<string, Unit>()
for (const [kind, entries] of Object.entries(table)) {
  for (const [names, factor, other] of entries) {
    const all = names.split(names.includes("|") ? "|" : " ")
    const one = all[0]!
    const unit: Unit = {
      one,
      many: one === "kelvin" ? one : all[1]!,
      kind,
      factor,
      ...(zeros.has(one) ? { zero: zeros.get(one)! } : {}),
      ...(other === undefined ? {} : { other })
    }
    for (const name of all) units.set(name, unit)
  }
}

const names = [...units.keys()].sort((a, b) => b.length - a.length).join("|")
const unit = `(${names})(?![a-z])`
const number = "(-?\\d+(?:\\.\\d+)?|an?)"
/** The sought unit, the number, the unit it is in. */
const forward = new RegExp(
  `^how (?:many|much) ${unit} (?:there )?(?:is|are|in|make|makes|are in|are there in|is in|is it in|does) (?:there in )?${number} ?${unit}`
)
/** The number, the unit it is in, the sought unit. */
const backward = new RegExp(
  `^(?:convert|what is|what are|how much is|how much are|how far is|how long is|how hot is|how cold is|how heavy is|change)? ?${number} ?${unit} (?:in|to|into|as) ${unit}(?: (?:is|are))?$`
)
const quantity = new RegExp(`(?:^| )(-?\\d+(?:\\.\\d+)?) ?${unit}`)
const motion = /^(?:go|move|walk|run|drive|step|turn|come|fly|jump|take)\b ?(.*)$/

const convert = (value: number, from: Unit, to: Unit): number =>
  from.zero === undefined && to.zero === undefined
    ? value * from.factor / to.factor
    : (value * from.factor + (from.zero ?? 0) - (to.zero ?? 0)) / to.factor

const say = (value: number, { many, one }: Unit): string =>
  `${formatNumber(value)} ${(value === 1 ? one : many).replace(/celsius|fahrenheit/, capital)}`

const answer = (value: number, from: Unit, to: Unit): string => {
  if (from.kind !== to.kind) return `I cannot turn ${from.many} into ${to.many}.`
  return `${say(value, from)} is ${say(Number(convert(value, from, to).toPrecision(12)), to)}.`
}

/** `a mile` is one. */
const toNumber = (text: string): number => text.startsWith("a") ? 1 : Number(text)

/** Converts what is asked for. */
export const conversion: Rule = ({ plain }) => {
  // twenty degrees below zero, minus twenty degrees
  const text = plain.replace(/\bminus (?=\d)/, "-")
  const first = forward.exec(text)
  if (first !== null) return answer(toNumber(first[2]!), units.get(first[3]!)!, units.get(first[1]!)!)
  const second = backward.exec(text)
  if (second !== null) return answer(toNumber(second[1]!), units.get(second[2]!)!, units.get(second[3]!)!)
  return undefined
}

/** Acknowledges a quantity that was only named, in the other system of units, too. */
export const measure: Rule = ({ plain }) => {
  const found = quantity.exec(plain.replace(/\bminus (?=\d)/, "-"))
  if (found === null) return undefined
  const from = units.get(found[2]!)!
  if (from.other === undefined) return undefined
  const value = Number(found[1])
  const command = motion.exec(plain)
  const converted = answer(value, from, units.get(from.other)!)
  const told = command?.[1]?.replace(quantity, ` ${say(value, from)}`).trim()
  return told === undefined ? converted : `All right, ${told}. ${converted}`
}

/** The seconds of all durations in a text added up: `1 hour and 30 minutes`. */
export const durationSeconds = (plain: string): number | undefined => {
  let total: number | undefined
  const text = plain.replace(/\b(?:a|an|1) (0\.5) /g, "$1 ").replace(/\bquarter of an hour\b/, "15 minutes")
    .replace(/\b(an?) (?=(?:second|minute|hour|day)\b)/g, "1 ")
  for (const [, amount, name] of text.matchAll(/(\d+(?:\.\d+)?) ?([a-z]+)/g)) {
    const found = units.get(name!)
    if (found?.kind === "time") total = (total ?? 0) + Number(amount) * found.factor
  }
  return total
}
