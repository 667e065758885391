/** The timer: what asks for one, and what is said about it. */
import { capital, counted, listing } from "./text.ts"
import { durationSeconds } from "./units.ts"

/** What a timer is set to. */
export interface Request {
  readonly seconds: number
  /** What it is for: `tea`. */
  readonly label?: string
}

/** Longer than a day is a calendar's business; and no fiber sleeps longer than 24 days. */
export const maxSeconds = 86_400

const asked = /\btimers?\b|^remind me\b|^wake me\b|\bcount down\b|\bcountdown\b|\balarm\b/
const cancel = /\b(?:cancel|stop|delete|clear|end|remove|turn off)\b/
const unit = "(?:second|sec|minute|min|hour|day)s?"
const label = new RegExp(
  `\\b(?:called|named|labell?ed|for (?:the|my|an?)|to) ([a-z][a-z' ]{1,40}?)(?= (?:for|in|of) (?:\\d|an?\\b)|$)`
)

/** `a tea timer` */
const kind = /\b(?:an?|my|the) ((?!(?:new|other|second|minute|hour|day)\b)[a-z]{2,20}) timer\b/

/** Reads a request for a timer: a duration and perhaps what it is for; a sentence instead when it cannot be done. */
export const timerRequest = (plain: string): Request | string | undefined => {
  if (!asked.test(plain)) return undefined
  if (cancel.test(plain)) return "A timer that runs cannot be stopped by me. Tell me to be quiet when it rings."
  const seconds = durationSeconds(plain)
  if (seconds === undefined) {
    return /^(?:set|start|make|create|remind|wake|count|begin|put|timer|alarm|a|i)\b/.test(plain)
      ? "For how long? Say, for example: set a timer for ten seconds."
      : undefined
  }
  if (!(seconds > 0)) return "A timer needs some time."
  if (seconds > maxSeconds) return "I can set timers of up to one day."
  const found = (label.exec(plain) ?? kind.exec(plain))?.[1]?.replace(new RegExp(`\\b${unit}\\b.*$`), "").trim()
  return found === undefined || found === "" || /\btimer\b/.test(found) ? { seconds } : { seconds, label: found }
}

/** `1 minute and 30 seconds`. */
export const formatDuration = (seconds: number): string => {
  const whole = Math.floor(seconds)
  const parts = [
    [Math.floor(whole / 3600), "hour"],
    [Math.floor(whole / 60) % 60, "minute"],
    [whole % 60 + Number((seconds - whole).toFixed(2)), "second"]
  ] as const
  const said = parts.filter(([count]) => count > 0).map(([count, unit]) => counted(count, unit))
  return said.length === 0 ? "0 seconds" : listing(said)
}

/** Said when the timer runs. */
export const timerStarted = ({ label, seconds }: Request): string =>
  label === undefined
    ? `All right, a timer for ${formatDuration(seconds)} is running.`
    : `All right, the ${label} timer is running: ${formatDuration(seconds)}.`

/** How an announcement begins. */
export const timeIsUp = "Time is up!"

/** Said when it rings. */
export const timerRang = ({ label, seconds }: Request): string =>
  label === undefined
    ? `${timeIsUp} Your timer for ${formatDuration(seconds)} has rung.`
    : `${timeIsUp} ${capital(label)}: ${formatDuration(seconds)} are over.`
