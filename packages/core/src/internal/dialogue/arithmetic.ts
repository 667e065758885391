/** Arithmetic: `7 times 8`, `12 percent of 80`, `the square root of 2`. */
import { formatNumber } from "./text.ts"
import type { Rule } from "./turn.ts"

/** How operators are said and written. The longest first, where one begins with another. */
const phrases: ReadonlyArray<readonly [RegExp, string]> = [
  [/\bdivided by\b|÷/g, " / "],
  [/\bmultiplied (?:by|with)\b|\btimes\b|×|(?<=\d) ?x (?=\d)/g, " * "],
  [/\badded to\b|\bplus\b/g, " + "],
  [/\bminus\b|\btake away\b|\bless\b/g, " - "],
  [/\b(?:raised )?to the power (?:of )?|\*\*/g, " ^ "],
  [/\bpercent\b|\bper cent\b/g, " % "],
  [/\bsquare root (?:of )?/g, " sqrt "],
  [/\bsquared\b/g, " ^ 2 "],
  [/\bcubed\b/g, " ^ 3 "],
  [/\b(?:a |1 )?half of\b|\b0\.5 of\b/g, " 0.5 of "],
  [/\b(?:a |1 )quarter of\b/g, " 0.25 of "],
  [/\b(?:a |1 )3rd of\b/g, " 1 / 3 of "],
  [/\bsum of ([\d.]+) and ([\d.]+)/g, " $1 + $2 "],
  [/\bproduct of ([\d.]+) and ([\d.]+)/g, " $1 * $2 "],
  [/\bdifference (?:of|between) ([\d.]+) and ([\d.]+)/g, " $1 - $2 "],
  [/(?<=\d) over (?=\d)/g, " / "],
  [/(?<=\d) and (?=\d)/g, " + "]
]

const start =
  /^(?:what is|what are|how much is|how much are|how many is|calculate|compute|work out|add|the)\b ?(?:the\b)?/
const token = /\d+(?:\.\d+)?|sqrt|of|[-+*/^%()]/gy
const spoken = new Map([
  ["*", "times"],
  ["+", "plus"],
  ["-", "minus"],
  ["/", "divided by"],
  ["^", "to the power of"],
  ["%", "percent"],
  ["sqrt", "the square root of"]
])
/** What reads better than its signs. */
const readings: ReadonlyArray<readonly [string, string]> = [
  ["( ", "("],
  [" )", ")"],
  ["to the power of 2", "squared"],
  ["to the power of 3", "cubed"],
  ["0.5 of ", "half of "],
  ["0.25 of ", "a quarter of "],
  ["1 divided by 3 of ", "a third of "]
]
/** More is nothing that anybody says. */
const maxTokens = 64

const tokenize = (text: string): ReadonlyArray<string> | undefined => {
  const tokens: Array<string> = []
  token.lastIndex = 0
  for (let at = 0; at < text.length;) {
    if (text[at] === " ") {
      at++
      continue
    }
    token.lastIndex = at
    const found = token.exec(text)
    if (found === null || tokens.length === maxTokens) return undefined
    tokens.push(found[0])
    at = token.lastIndex
  }
  return tokens
}

/** A value, and whether it is a bare percentage: of something, if something is before it. */
interface Value {
  readonly value: number
  readonly percent: boolean
}

/** Evaluates by the usual precedence; `undefined` when it is no expression. */
const evaluate = (tokens: ReadonlyArray<string>): number | undefined => {
  let at = 0
  const atom = (): Value | undefined => {
    const next = tokens[at++]
    if (next === undefined) return undefined
    if (next === "-" || next === "sqrt") {
      const operand = next === "-" ? power() : atom()
      if (operand === undefined) return undefined
      return { value: next === "-" ? -operand.value : Math.sqrt(operand.value), percent: operand.percent }
    }
    if (next === "(") {
      const inner = sum()
      return tokens[at++] === ")" ? inner : undefined
    }
    const value = Number(next)
    if (Number.isNaN(value)) return undefined
    if (tokens[at] !== "%") return { value, percent: false }
    at++
    return { value: value / 100, percent: true }
  }
  const power = (): Value | undefined => {
    const base = atom()
    if (base === undefined || tokens[at] !== "^") return base
    at++
    const exponent = power()
    return exponent === undefined ? undefined : { value: base.value ** exponent.value, percent: false }
  }
  const product = (): Value | undefined => {
    let left = power()
    while (left !== undefined && ["*", "/", "of"].includes(tokens[at] ?? "")) {
      const operator = tokens[at++]
      const right = power()
      if (right === undefined) return undefined
      left = { value: operator === "/" ? left.value / right.value : left.value * right.value, percent: false }
    }
    return left
  }
  const sum = (): Value | undefined => {
    let left = product()
    while (left !== undefined && (tokens[at] === "+" || tokens[at] === "-")) {
      const sign = tokens[at++] === "+" ? 1 : -1
      const right = product()
      if (right === undefined) return undefined
      const change: number = right.percent && !left.percent ? left.value * right.value : right.value
      left = { value: left.value + sign * change, percent: left.percent && right.percent }
    }
    return left
  }
  const result = sum()
  return result === undefined || at < tokens.length ? undefined : result.value
}

/** The value of an expression in words or signs, and how it is read. */
export const calculate = (plain: string): { readonly value: number; readonly expression: string } | undefined => {
  let text = plain.replace(/[=?]/g, " ").replace(start, "").replace(/ (?:is|equals?|make|makes)$/, "")
  for (const [pattern, replacement] of phrases) text = text.replace(pattern, replacement)
  const tokens = tokenize(text.replace(/^\s*the\b/, ""))
  if (tokens === undefined || !tokens.some((token) => spoken.has(token) || token === "of")) return undefined
  const value = evaluate(tokens)
  if (value === undefined) return undefined
  let expression = tokens.map((token) => spoken.get(token) ?? token).join(" ")
  for (const [written, said] of readings) expression = expression.replaceAll(written, said)
  return { value, expression }
}

/** Answers what can be calculated. */
export const arithmetic: Rule = ({ plain }) => {
  const result = calculate(plain)
  if (result === undefined) return undefined
  const { expression, value } = result
  // a bare number with a sign is no question
  if (/^(?:minus )?[\d.]+(?: percent)?$/.test(expression)) return undefined
  if (Number.isNaN(value)) return `There is no real number that is ${expression}.`
  if (!Number.isFinite(value)) {
    return expression.includes("divided by 0") ? "I cannot divide by zero." : "That is too large for me."
  }
  if (Math.abs(value) >= 1e21) return "That is too large for me."
  return `${expression.slice(0, 1).toUpperCase()}${expression.slice(1)} is ${formatNumber(value, 4)}.`
}
