/** What was said before: repeating it, and the user's name. */
import { capital, tidy, toWords } from "./text.ts"
import type { Rule } from "./turn.ts"

const afterMe =
  /^(?:please |now )*(?:(?:can|could|would) you (?:please )?)?(?:repeat after me|say after me|repeat|say)[\s,.:;!-]+(.+)$/i
const again =
  /^(?:say|repeat|tell me)(?: (?:again|that|it|this|yourself|once more|please|what you (?:just )?said))+$|^(?:pardon|sorry|excuse me|come again|once more|again|repeat|what did you(?: just)? say|what was that|i did not (?:hear|catch|get|understand) (?:that|you|it))(?: me)?(?: please)?$/
const mine = /^what did i (?:just )?say\b/

/** Repeats after the user, or what was said last. */
export const repetition: Rule = ({ before, plain, said, text }) => {
  if (mine.test(plain)) {
    const last = before.at(-1)
    return last === undefined ? "That was the first thing that you said." : `You said: ${tidy(last)}`
  }
  if (again.test(plain)) return said === undefined ? "I have not said anything yet." : said
  const found = afterMe.exec(text)?.[1]?.trim()
  return found === undefined || !/[\p{L}\d]/u.test(found)
    ? undefined
    : capital(/[.!?]$/.test(found) ? found : `${found}.`)
}

const named = /\b(?:my name is|call me|i am called) ((?!(?:a|the|not|in|on)\b)\p{L}[\p{L}'-]{0,30})/u
const asked = /\b(?:what is|what's|do you (?:know|remember)|say) my name\b|^who am i$/

const nameIn = (text: string): string | undefined => named.exec(toWords(text))?.[1]

/** Remembers the user's name as long as it is in the conversation. */
export const name: Rule = ({ before, plain, words }) => {
  if (asked.test(plain)) {
    const known = before.toReversed().map(nameIn).find((name) => name !== undefined)
    return known === undefined ? "You have not told me your name yet." : `Your name is ${capital(known)}.`
  }
  const told = /^(?:repeat|say) /.test(plain) ? undefined : nameIn(words)
  return told === undefined ? undefined : `Nice to meet you, ${capital(told)}. What can I do for you?`
}
