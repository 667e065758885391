/** Spelling: `spell pipeline`. */
import { capital } from "./text.ts"
import type { Rule } from "./turn.ts"

const asked =
  /^(?:spell|how (?:do|would|does|can) (?:you|i|we|one) spell|how is|how to spell)(?: the words?| out)? (.+?)( spelled| spelt| written)?$/
const ask = /^(?:please )?(?:(?:can|could|would) you )?(?:spell|how (?:do|would|does|can) (?:you|i|we|one) spell)$/

/** Spells a word, or some. */
export const spelling: Rule = ({ plain, words }) => {
  if (ask.test(plain)) return "Which word?"
  const found = asked.exec(plain)
  if (found === null || (plain.startsWith("how is") && found[2] === undefined)) return undefined
  // the words as they were said: a number in words is spelled in letters
  const wanted = words.split(" ").slice(-found[1]!.split(" ").length - (found[2] === undefined ? 0 : 1))
  const said = (found[2] === undefined ? wanted : wanted.slice(0, -1)).slice(0, 8)
  const letters = said.map((word) => Array.from(word.replace(/[^\p{L}\p{M}\d]/gu, "")).slice(0, 40))
  const spelled = letters.filter((word) => word.length > 0).map((word) =>
    word.map((letter) => letter.toUpperCase()).join(", ")
  )
  return spelled.length === 0 ? undefined : `${capital(said.join(" "))}: ${spelled.join("; ")}.`
}
