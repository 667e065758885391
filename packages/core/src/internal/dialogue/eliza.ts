/** What is said when no other rule knows: in the manner of Weizenbaum's ELIZA, it hands the words back. */
import { capital } from "./text.ts"
import type { Rule } from "./turn.ts"

const reflections = new Map([
  ["i", "you"],
  ["me", "you"],
  ["my", "your"],
  ["mine", "yours"],
  ["myself", "yourself"],
  ["am", "are"],
  ["i'm", "you are"],
  ["i've", "you have"],
  ["i'd", "you would"],
  ["i'll", "you will"],
  ["was", "were"],
  ["you", "I"],
  ["your", "my"],
  ["yours", "mine"],
  ["yourself", "myself"],
  ["you're", "I am"],
  ["you've", "I have"]
])

/** Turns the speaker around: `i am sad about my dog` is `you are sad about your dog`. */
export const reflect = (words: string): string =>
  words.split(" ").map((word, at, all) => word === "was" && all[at - 1] !== "i" ? word : reflections.get(word) ?? word)
    .join(" ")

/** More is cut: an answer is to be listened to. */
const maxWords = 14
const short = (words: string): string => {
  const all = words.split(" ")
  return all.length > maxWords ? `${all.slice(0, maxWords).join(" ")} and so on` : words
}

/** Decompositions, tried in order, and what is made of them: `$` is what was said there,
 * turned around, `$$` a name. */
const table: ReadonlyArray<readonly [RegExp, ReadonlyArray<string>]> = [
  [/\bi need (.+)/, ["Why do you need $?", "Would it help you to get $?"]],
  [/\bi want (.+)/, ["What would it mean to you to have $?", "Why do you want $?"]],
  [/\bi (?:feel|felt) (.+)/, ["Do you often feel $?", "When do you usually feel $?"]],
  [/\b(?:i am|i'm) (.+)/, ["How long have you been $?", "How do you feel about being $?"]],
  [/\bi (?:can't|cannot|can not) (.+)/, ["What would it take for you to $?", "Why do you think that you cannot $?"]],
  [/\bi (?:think|believe|guess) (?:that )?(.+)/, ["Why do you think that $?", "Are you sure that $?"]],
  [/\bi (?:like|love) (.+)/, ["What do you like about $?", "Since when do you like $?"]],
  [/\bi (?:don't|do not) (.+)/, ["Why do you not $?", "Would you like to $?"]],
  [/\b(i (?:had|have|was|went|saw|did|made|got|took) .+)/, ["How did it come that $?", "So $. How was that?"]],
  [/\bmy (mother|father|sister|brother|wife|husband|son|daughter|family|friend|boss|dog|cat)\b/, [
    "Tell me more about your $.",
    "How do you get on with your $?"
  ]],
  [/^because (.+)/, ["Is that the only reason?", "What other reasons come to mind?"]],
  [/^(?:can|could|will|would) you (.+)/, ["I am afraid that I cannot $. Say help to hear what I can do."]],
  [/^(?:tell|give|show|play|sing|read|write|open|call|send|find|turn|switch|make|buy|start|put) (.+)/, [
    "I am afraid that I cannot do that. Say help to hear what I can do."
  ]],
  [/^(?:what|who|where|when|why|how|which|is|are|do|does|did|can|will)\b/, [
    "I do not know. I am only a few rules; say help to hear what I can do.",
    "That is beyond me. What do you think?"
  ]],
  [
    /\b((?:mister|mr|missis|mrs|miss|ms|doctor|dr|professor|sir|lady|captain|colonel)(?: (?!(?:had|has|was|is|were|did|would|could|said|and|the|who|to)\b)\p{L}+){1,2})/u,
    [
      "Tell me more about $$.",
      "What do you think of $$?"
    ]
  ],
  [/^((?:he|she|it|they|we|this|that|there) .+)/, ["What makes you say that $?", "Are you sure that $?"]]
]

const common = new Set((
  "about above after again also always because before being below between could does doing during each every from have " +
  "having here himself herself into just mister more most much must never only other over shall should some such than " +
  "that their them then there these they this those through under until very were what when where which while will with " +
  "would your yours might really something anything nothing well going still"
).split(" "))

/** The longest word that means something. */
const topic = (words: string): string | undefined =>
  words.split(" ").filter((word) => /^\p{L}{4,24}$/u.test(word) && !common.has(word)).slice(0, 100)
    .reduce<string | undefined>(
      (best, word) => best === undefined || word.length > best.length ? word : best,
      undefined
    )

const about = ["Tell me more about $.", "What does $ mean to you?", "Why do you mention $?"]
const anything = ["Please go on.", "I see. Tell me more.", "What else comes to mind?"]

/** Always has an answer; which one depends on how much has been said before. */
export const eliza = ({ before, words }: Pick<Parameters<Rule>[0], "before" | "words">): string => {
  const pick = (choices: ReadonlyArray<string>): string => choices[before.length % choices.length]!
  for (const [pattern, answers] of table) {
    const found = pattern.exec(words)
    if (found === null) continue
    const part = (found[1] ?? "").trim()
    return pick(answers).replace(
      /\$\$?/,
      (mark) => mark === "$" ? short(reflect(part)) : part.split(" ").map(capital).join(" ")
    )
  }
  const found = topic(words)
  return found === undefined ? pick(anything) : pick(about).replace("$", () => found)
}
