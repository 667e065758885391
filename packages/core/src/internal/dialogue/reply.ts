/** Reads a conversation, and decides what to say or which tool to call. */
import type * as Prompt from "effect/ai/Prompt"
import { arithmetic } from "./arithmetic.ts"
import { calendar } from "./calendar.ts"
import { cards } from "./cards.ts"
import { eliza } from "./eliza.ts"
import { greeting, manners, nothingHeard, stillThere } from "./manners.ts"
import { name, repetition } from "./memory.ts"
import { toDigits } from "./numbers.ts"
import { spelling } from "./spelling.ts"
import { tidy, toPlain, toWords } from "./text.ts"
import { timeOfDay } from "./timeOfDay.ts"
import { type Request, timeIsUp, timerRang, timerRequest, timerStarted } from "./timer.ts"
import type { Rule, Turn } from "./turn.ts"
import { conversion, measure } from "./units.ts"

/** What the engine does. */
export type Reply =
  | { readonly _tag: "Say"; readonly text: string }
  | { readonly _tag: "SetTimer"; readonly request: Request }

/** What the engine knows beside the conversation. */
export interface Surroundings {
  /** Milliseconds since 1970. */
  readonly now: number
  /** IANA. */
  readonly timeZone: string
  /** Whether there is a tool for it. */
  readonly canSetTimer: boolean
}

/** The first that has an answer gives it: what is narrow comes before what is wide. */
const before: ReadonlyArray<Rule> = [spelling, name, repetition]
const after: ReadonlyArray<Rule> = [cards, arithmetic, conversion, timeOfDay, calendar, manners, measure]

const say = (text: string): Reply => ({ _tag: "Say", text })

/** Answers one turn of the user, if a rule knows how. */
const answer = (turn: Turn, canSetTimer: boolean): Reply | undefined => {
  for (const rule of before) {
    const text = rule(turn)
    if (text !== undefined) return say(text)
  }
  const request = timerRequest(turn.plain)
  if (typeof request === "string") return say(request)
  if (request !== undefined) {
    return canSetTimer ? { _tag: "SetTimer", request } : say("I would, but there is no timer here that I can set.")
  }
  for (const rule of after) {
    const text = rule(turn)
    if (text !== undefined) return say(text)
  }
  return undefined
}

interface Conversation {
  /** What the user said up to the bot's last message. */
  readonly heard: Array<string>
  /** What the user has said since. */
  readonly fresh: Array<string>
  said: string | undefined
  /** The timers that have rung and have not been announced. */
  readonly rang: Array<Request>
  /** What became of tools since the bot's last message, other than a timer that rang. */
  readonly results: Array<string>
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const toRequest = (value: unknown): Request | undefined => {
  if (!isRecord(value) || typeof value["seconds"] !== "number" || !Number.isFinite(value["seconds"])) return undefined
  const label = value["label"]
  return typeof label === "string" && label !== ""
    ? { seconds: value["seconds"], label: tidy(label) }
    : { seconds: value["seconds"] }
}

/** A result of the timer that comes as a message of its own, as text with JSON somewhere in it. */
const rangInText = (text: string): Request | undefined => {
  if (text.length > 4000 || !/"status\\*"\s*:\s*\\*"rang\\*"/.test(text)) return undefined
  const seconds = /"seconds\\*"\s*:\s*(\d{1,8}(?:\.\d{1,8})?)/.exec(text)?.[1]
  const label = /"label\\*"\s*:\s*\\*"([^"\\]{1,100})/.exec(text)?.[1]
  return toRequest({ seconds: Number(seconds ?? 0), label })
}

const textOf = (content: ReadonlyArray<{ readonly type: string; readonly text?: unknown }>): string =>
  content.map((part) => part.type === "text" && typeof part.text === "string" ? part.text : "").join(" ").trim()

/** What is said about a result of a tool, other than a timer that rang. */
const aboutResult = (part: Prompt.ToolResultPart, request: Request | undefined): string => {
  if (part.name !== "set_timer") return typeof part.result === "string" && part.result !== "" ? part.result : "Done."
  if (part.isFailure) {
    return /cancel/i.test(String(part.result)) ? "The timer was stopped." : "I am sorry, the timer could not be set."
  }
  return timerStarted(request ?? toRequest(part.result) ?? { seconds: 0 })
}

/** A call of a tool alone answers nothing else: it may stand for a result that has come in between. */
const asksForTimer = (text: string | undefined): boolean =>
  text !== undefined && typeof timerRequest(plainOf(toWords(text))) === "object"

const plainOf = (words: string): string => toPlain(toDigits(toPlain(words)))

const read = (prompt: Prompt.Prompt): Conversation => {
  const conversation: Conversation = {
    heard: [],
    fresh: [],
    said: undefined,
    rang: [],
    results: []
  }
  const calls = new Map<string, Request | undefined>()
  const result = (part: Prompt.ToolResultPart): void => {
    const request = isRecord(part.result) && part.result["status"] === "rang" && part.name === "set_timer"
      ? toRequest(part.result)
      : undefined
    if (request === undefined) conversation.results.push(aboutResult(part, calls.get(part.id)))
    else conversation.rang.push(request)
  }
  for (const message of prompt.content) {
    if (message.role === "assistant") {
      const text = textOf(message.content)
      conversation.results.length = 0
      if (text !== "" || asksForTimer(conversation.fresh.at(-1))) {
        conversation.heard.push(...conversation.fresh.splice(0))
      }
      if (text !== "") conversation.said = text
      conversation.rang.splice(0, text.split(timeIsUp).length - 1)
      for (const part of message.content) {
        if (part.type === "tool-call") calls.set(part.id, toRequest(part.params))
        else if (part.type === "tool-result") result(part)
      }
    } else if (message.role === "tool") {
      for (const part of message.content) if (part.type === "tool-result") result(part)
    } else {
      const text = message.role === "system" ? message.content : textOf(message.content)
      const request = rangInText(text)
      if (request !== undefined) conversation.rang.push(request)
      else if (message.role === "user") conversation.fresh.push(text)
    }
  }
  return conversation
}

const turnOf = (text: string, heard: ReadonlyArray<string>, said: string | undefined, at: Surroundings): Turn => {
  const words = toWords(text)
  return {
    text: tidy(text),
    words,
    plain: plainOf(words),
    now: at.now,
    timeZone: at.timeZone,
    before: heard,
    said
  }
}

/** Answers what the user said last; what was said in two parts, if the last one alone means nothing. */
const answerUser = ({ fresh, heard, said }: Conversation, at: Surroundings): Reply => {
  const last = turnOf(fresh.at(-1)!, [...heard, ...fresh.slice(0, -1)], said, at)
  const found = answer(last, at.canSetTimer)
  if (found !== undefined) return found
  const whole = fresh.length === 1 ? undefined : turnOf(fresh.join(" "), heard, said, at)
  const together = whole === undefined ? undefined : answer(whole, at.canSetTimer)
  if (together !== undefined) return together
  return say(/[\p{L}\d]/u.test(last.words) ? eliza(last) : nothingHeard)
}

/** What comes next in a conversation. A text is never empty. */
export const replyTo = (prompt: Prompt.Prompt, at: Surroundings): Reply => {
  const conversation = read(prompt)
  const news = [...conversation.results, ...conversation.rang.map(timerRang)]
  if (conversation.fresh.length > 0) {
    const reply = answerUser(conversation, at)
    return reply._tag === "Say" ? say([...news, reply.text].join(" ")) : reply
  }
  if (news.length > 0) return say(news.join(" "))
  return say(conversation.heard.length === 0 && conversation.said === undefined ? greeting : stillThere)
}
