/** Dates: `what day is it`, `how many days until christmas`, `what date is next friday`. */
import { ordinalOf } from "./numbers.ts"
import { capital, counted } from "./text.ts"
import type { Rule, Turn } from "./turn.ts"

const dayMillis = 86_400_000
const weekdays = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
const months = (
  "january february march april may june july august september october november december"
).split(" ")

/** Days since 1970, of the calendar: no zone, no hour. */
type Day = number

const toDay = (year: number, month: number, date: number): Day =>
  Math.floor(Date.UTC(year, month - 1, date) / dayMillis)

interface Parts {
  readonly year: number
  /** From 1. */
  readonly month: number
  readonly date: number
  /** From Sunday, 0. */
  readonly weekday: number
}

const partsOf = (day: Day): Parts => {
  const date = new Date(day * dayMillis)
  return {
    year: date.getUTCFullYear(),
    month: date.getUTCMonth() + 1,
    date: date.getUTCDate(),
    weekday: date.getUTCDay()
  }
}

/** The day that it is in a time zone. */
export const today = ({ now, timeZone }: Pick<Turn, "now" | "timeZone">): Day => {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, year: "numeric", month: "numeric", day: "numeric" })
    .formatToParts(now)
  const part = (type: string): number => Number(parts.find((part) => part.type === type)?.value)
  return toDay(part("year"), part("month"), part("day"))
}

/** `Friday, June 12th, 2026`. */
export const formatDay = (day: Day): string => {
  const { date, month, weekday, year } = partsOf(day)
  return `${capital(weekdays[weekday]!)}, ${capital(months[month - 1]!)} ${ordinalOf(date)}, ${year}`
}

/** Easter Sunday of the Gregorian calendar, by Butcher's rule. */
const easter = (year: number): Day => {
  const a = year % 19
  const b = Math.floor(year / 100)
  const c = year % 100
  const d = (19 * a + b - Math.floor(b / 4) - Math.floor((b - Math.floor((b + 8) / 25) + 1) / 3) + 15) % 30
  const e = (32 + 2 * (b % 4) + 2 * Math.floor(c / 4) - d - c % 4) % 7
  const f = d + e - 7 * Math.floor((a + 11 * d + 22 * e) / 451) + 114
  return toDay(year, Math.floor(f / 31), f % 31 + 1)
}

/** The fourth Thursday of November. */
const thanksgiving = (year: number): Day => {
  const first = toDay(year, 11, 1)
  return first + (4 - partsOf(first).weekday + 7) % 7 + 21
}

const holidays: ReadonlyArray<readonly [pattern: RegExp, name: string, day: (year: number) => Day]> = [
  [/\bchristmas eve\b/, "Christmas Eve", (year) => toDay(year, 12, 24)],
  [/\b(?:christmas|xmas)\b/, "Christmas", (year) => toDay(year, 12, 25)],
  [/\bnew year'?s eve\b/, "New Year's Eve", (year) => toDay(year, 12, 31)],
  [/\bnew year'?s?\b/, "New Year", (year) => toDay(year, 1, 1)],
  [/\bhalloween\b/, "Halloween", (year) => toDay(year, 10, 31)],
  [/\bvalentine'?s\b/, "Valentine's Day", (year) => toDay(year, 2, 14)],
  [/\b(?:saint|st) patrick'?s\b/, "Saint Patrick's Day", (year) => toDay(year, 3, 17)],
  [/\bindependence day\b/, "Independence Day", (year) => toDay(year, 7, 4)],
  [/\beaster\b/, "Easter", easter],
  [/\bthanksgiving\b/, "Thanksgiving", thanksgiving]
]

const monthNames = months.join("|")
const monthFirst = new RegExp(`\\b(${monthNames}) (?:the )?(\\d{1,2})(?:st|nd|rd|th)?\\b(?:,? (\\d{4})\\b)?`)
const dateFirst = new RegExp(`\\b(\\d{1,2})(?:st|nd|rd|th)? (?:of )?(${monthNames})\\b(?:,? (\\d{4})\\b)?`)
const weekdayName = new RegExp(`\\b(next |last |this |on )?(${weekdays.join("|")})\\b`)
const later =
  /\bin (\d{1,5}) (day|week|month|year)s?\b|\b(\d{1,5}) (day|week|month|year)s? (?:from (?:now|today)|later)\b/
const ago = /\b(\d{1,5}) (day|week|month|year)s? ago\b/

const shift = (day: Day, count: number, unit: string): Day => {
  if (unit === "day") return day + count
  if (unit === "week") return day + count * 7
  const { date, month, year } = partsOf(day)
  const all = year * 12 + (month - 1) + count * (unit === "year" ? 12 : 1)
  const [newYear, newMonth] = [Math.floor(all / 12), all % 12 + 1]
  // the 31st of a month that has none is its last day
  const last = partsOf(toDay(newYear, newMonth + 1, 0)).date
  return toDay(newYear, newMonth, Math.min(date, last))
}

interface Found {
  readonly day: Day
  /** How it was called, if not by its date. */
  readonly name?: string
}

/** The year that was said, or the next time that the day comes. */
const soonest = (now: Day, of: (year: number) => Day, year: number | undefined): Day => {
  if (year !== undefined) return of(year)
  const current = partsOf(now).year
  const day = of(current)
  return day < now ? of(current + 1) : day
}

const dateOf = (now: Day, month: string, date: number, year: string | undefined): Found | undefined => {
  const number = months.indexOf(month) + 1
  const day = soonest(now, (year) => toDay(year, number, date), year === undefined ? undefined : Number(year))
  const parts = partsOf(day)
  return parts.month === number && parts.date === date ? { day } : undefined
}

/** The day that a text names. */
export const findDay = (text: string, now: Day): Found | undefined => {
  const relative = later.exec(text)
  if (relative !== null) {
    const count = Number(relative[1] ?? relative[3])
    const unit = (relative[2] ?? relative[4])!
    return { day: shift(now, count, unit), name: `in ${counted(count, unit)}` }
  }
  const past = ago.exec(text)
  if (past !== null) {
    const count = Number(past[1])
    return { day: shift(now, -count, past[2]!), name: `${counted(count, past[2]!)} ago` }
  }
  const holiday = holidays.find(([pattern]) => pattern.test(text))
  if (holiday !== undefined) {
    const year = /\b(\d{4})\b/.exec(text)?.[1]
    return { day: soonest(now, holiday[2], year === undefined ? undefined : Number(year)), name: holiday[1] }
  }
  const first = monthFirst.exec(text)
  if (first !== null) return dateOf(now, first[1]!, Number(first[2]), first[3])
  const second = dateFirst.exec(text)
  if (second !== null) return dateOf(now, second[2]!, Number(second[1]), second[3])
  const weekday = weekdayName.exec(text)
  if (weekday !== null) {
    const wanted = weekdays.indexOf(weekday[2]!)
    const ahead = (wanted - partsOf(now).weekday + 7) % 7
    const name = `${weekday[1] ?? ""}${capital(weekday[2]!)}`
    if (weekday[1] === "last ") return { day: now - (7 - ahead), name }
    // a weekday that is today is the one in a week, except for `this`
    return { day: now + (ahead === 0 && weekday[1] !== "this " ? 7 : ahead), name: name.replace(/^on /, "") }
  }
  if (/\bday after tomorrow\b/.test(text)) return { day: now + 2, name: "the day after tomorrow" }
  if (/\bday before yesterday\b/.test(text)) return { day: now - 2, name: "the day before yesterday" }
  if (/\btomorrow\b/.test(text)) return { day: now + 1, name: "tomorrow" }
  if (/\byesterday\b/.test(text)) return { day: now - 1, name: "yesterday" }
  if (/\btoday\b/.test(text)) return { day: now, name: "today" }
  return undefined
}

const until =
  /^how (?:many|much) (days|weeks)\b.*?\b(?:until|till|til|to|before|since|are left)\b|^how long\b.*?\b(?:until|till|til|before)\b/
const which = /^(?:what|which|when)\b.*\b(?:day|date|is|was|will)\b/
const isAbout = /\b(?:day|date)\b|^when\b|^what (?:is|was|will be) (?:today|tomorrow|yesterday|next|last|this|on)\b/

/** Answers about dates. */
export const calendar: Rule = (turn) => {
  const text = turn.plain
  const now = today(turn)
  const count = until.exec(text)
  if (count !== null) {
    const found = findDay(text, now)
    if (found === undefined) return undefined
    const days = found.day - now
    const name = found.name ?? formatDay(found.day)
    if (days === 0) return `${capital(name)} is today.`
    const amount = count[1] === "weeks" && Math.abs(days) >= 7
      ? counted(Math.round(Math.abs(days) / 7 * 10) / 10, "week")
      : counted(Math.abs(days), "day")
    return days > 0 ? `${amount} until ${name}.` : `${amount} since ${name}.`
  }
  const { month, year } = partsOf(now)
  if (/^(?:what|which) year\b/.test(text)) return `It is ${year}.`
  if (/^(?:what|which) month\b/.test(text)) return `It is ${capital(months[month - 1]!)}.`
  if (!which.test(text)) {
    return /^(?:today'?s? )?(?:date|day)\b.{0,20}$/.test(text)
      ? `Today is ${formatDay(now)}.`
      : undefined
  }
  const found = findDay(text, now)
  if (found === undefined && (monthFirst.test(text) || dateFirst.test(text))) return "There is no such day."
  if (found !== undefined && isAbout.test(text)) {
    const verb = found.day < now ? "was" : "is"
    return found.name === undefined
      ? `${capital(formatDay(found.day).replace(/^(\w+), (.*)$/, `$2 ${verb} a $1`))}.`
      : `${capital(found.name)} ${verb} ${
        weekdayName.test(found.name.toLowerCase()) ? formatDay(found.day).replace(/^\w+, /, "") : formatDay(found.day)
      }.`
  }
  return /^(?:what|which) (?:day|date)\b|^what is (?:the )?(?:date|day)\b|^what is today\b/.test(text) &&
      found === undefined
    ? `Today is ${formatDay(now)}.`
    : undefined
}
