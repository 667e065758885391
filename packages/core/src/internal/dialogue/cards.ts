/** Playing cards that are named: `ten of clubs`. */
import { counted, listing } from "./text.ts"
import type { Rule } from "./turn.ts"

const ranks = ["ace", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "jack", "queen", "king"]
const card = /\b(ace|jack|queen|king|[1-9]|10) (?:of|off|a) (club|diamond|heart|spade)s?\b/g

/** What a card counts: its pips, ten for a face, one for an ace. */
const value = (rank: number): number => Math.min(10, rank + 1)

/** Reads cards back, and counts several. */
export const cards: Rule = ({ plain }) => {
  const found = Array.from(plain.matchAll(card), ([, name, suit]) => {
    const rank = ranks.includes(name!) ? ranks.indexOf(name!) : Number(name) - 1
    return { rank, name: `${ranks[rank]} of ${suit}s` }
  })
  if (found.length === 0) return undefined
  if (found.length === 1) return `The ${found[0]!.name}. It counts ${value(found[0]!.rank)}.`
  const sum = found.reduce((sum, { rank }) => sum + value(rank), 0)
  return `${counted(found.length, "card")}: the ${listing(found.map(({ name }) => name))}. Together they count ${sum}.`
}
