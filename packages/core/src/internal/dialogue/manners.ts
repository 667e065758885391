/** Greetings, help, thanks, goodbye. */
import type { Rule } from "./turn.ts"

/** What is said when nobody has said anything yet. */
export const greeting = "Hello! Ask me for the time, a date, a sum, a conversion, or a timer."

/** What it can do. */
export const help =
  "I can tell the time and dates, calculate, convert units, spell words, repeat what you say, and set a timer. " +
  "Try: what is seven times eight."

/** What is said when there is nothing to answer. */
export const nothingHeard = "I did not catch that. Could you say it again?"

/** What is said to a user who is silent. */
export const stillThere = "Are you still there?"

/** Whole turns, without what is only polite. */
const table: ReadonlyArray<readonly [RegExp, string]> = [
  [
    /^(?:what (?:can|do) you do|how can you help|what are you able to do|what are you for)\b|^(?:i need )?help(?: me)?$/,
    help
  ],
  [/^(?:thank you|thanks|thank you very much|many thanks|cheers)\b.{0,30}$/, "You are welcome."],
  [/^(?:good ?bye|bye|bye bye|see you|see you later|farewell|good night)\b.{0,20}$/, "Goodbye!"],
  [/^(?:stop|be quiet|quiet|shut up|silence|enough|cancel|never mind|nevermind)\b.{0,20}$/, "All right."],
  [/^how are you\b|^how do you do\b|^how is it going\b/, "I am fine, thank you. How are you?"],
  [/^(?:who|what) are you\b|^what is your name\b/, "I am a small dialogue engine: rules, no model. " + help],
  [/^are you (?:a |an )?(?:human|person|robot|bot|machine|computer|real|ai)\b/, "I am a program that follows rules."],
  [
    /^(?:hello|hi|hey|good (?:morning|afternoon|evening|day)|greetings|welcome)(?: [a-z]+){0,1}$/,
    "Hello! What can I do for you?"
  ],
  [/^(?:yes|yeah|yep|sure|of course|no|nope|okay|ok|right|fine|good|great)$/, "I see. What else can I do for you?"],
  [/^(?:test|testing|check|mic check)(?: [\d ]+)?$/, "I hear you."]
]

/** Answers what is said out of politeness. */
export const manners: Rule = ({ plain, words }) =>
  table.find(([pattern]) => pattern.test(plain) || pattern.test(words))?.[1]
