/** The time: `what time is it`, `what time is it in new york`. */
import { capital } from "./text.ts"
import type { Rule } from "./turn.ts"

/** Cities that name no zone of their own. */
const others: ReadonlyArray<readonly [string, string]> = [
  ["san francisco", "America/Los_Angeles"],
  ["seattle", "America/Los_Angeles"],
  ["boston", "America/New_York"],
  ["washington", "America/New_York"],
  ["miami", "America/New_York"],
  ["montreal", "America/Toronto"],
  ["beijing", "Asia/Shanghai"],
  ["delhi", "Asia/Kolkata"],
  ["mumbai", "Asia/Kolkata"],
  ["india", "Asia/Kolkata"],
  ["japan", "Asia/Tokyo"],
  ["germany", "Europe/Berlin"],
  ["france", "Europe/Paris"],
  ["england", "Europe/London"],
  ["austria", "Europe/Vienna"],
  ["munich", "Europe/Berlin"],
  ["hamburg", "Europe/Berlin"],
  ["geneva", "Europe/Zurich"],
  ["barcelona", "Europe/Madrid"],
  ["milan", "Europe/Rome"],
  ["utc", "UTC"],
  ["gmt", "UTC"]
]

let zones: ReadonlyMap<string, string> | undefined

/** The zone of a city, by the names in the IANA data that the runtime has. */
const zoneOf = (city: string): string | undefined => {
  zones ??= new Map([
    ...Intl.supportedValuesOf("timeZone").map((zone) =>
      [zone.slice(zone.lastIndexOf("/") + 1).replaceAll("_", " ").toLowerCase(), zone] as const
    ),
    ...others
  ])
  return zones.get(city)
}

/** `3:07 PM`. */
export const formatTime = (now: number, timeZone: string): string =>
  new Intl.DateTimeFormat("en-US", { timeZone, hour: "numeric", minute: "2-digit" }).format(now).replace(/\s/g, " ")

const asked =
  /\bwhat(?: is the)? time\b|\btime is it\b|\bthe time\b(?: now)?$|^what is the time\b|^the time\b|^time\b(?: now)?$|\bhave (?:you got )?the time\b/
const place = /\b(?:in|at) (?:the city of )?([\p{L} ']{2,40}?)(?: (?:right )?now| today)?$/u

/** Tells the time, here or in a city. */
export const timeOfDay: Rule = ({ now, plain, timeZone }) => {
  if (!asked.test(plain) || /\b(?:timer|times)\b/.test(plain)) return undefined
  const city = place.exec(plain)?.[1]?.replace(/^the /, "")
  if (city === undefined) return `It is ${formatTime(now, timeZone)}.`
  const zone = zoneOf(city)
  const name = city.split(" ").map(capital).join(" ")
  return zone === undefined
    ? `I do not know the time in ${name}. Here it is ${formatTime(now, timeZone)}.`
    : `It is ${formatTime(now, zone)} in ${name.replace(/^(Utc|Gmt)$/, (it) => it.toUpperCase())}.`
}
