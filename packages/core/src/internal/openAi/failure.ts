/** What a service says when it refuses. */

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

/** JSON, if it is some. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What an error body says, in the shapes that servers use. */
export interface Refusal {
  readonly message?: string
  readonly code?: string
  readonly parameter?: string
}

/** `{ error: { message, code, type, param } }`, `{ error: "..." }`, `{ message }`, `{ detail }`. */
export const refusalOf = (body: unknown): Refusal => {
  if (!isRecord(body)) return {}
  const error = isRecord(body["error"]) ? body["error"] : body
  const message = [error["message"], body["error"], body["message"], body["detail"]].find((it) =>
    typeof it === "string"
  )
  const code = [error["code"], error["type"]].find((it) => typeof it === "string" && it !== "")
  const parameter = error["param"]
  return {
    ...typeof message === "string" && { message: message.slice(0, 1000) },
    ...typeof code === "string" && { code: code.slice(0, 100) },
    ...typeof parameter === "string" && { parameter: parameter.slice(0, 100) }
  }
}

/** {@link refusalOf} of a text. */
export const parseError = (text: string): Refusal => refusalOf(parseJson(text))

/** Milliseconds: `retry-after-ms`, or `Retry-After` in seconds or as a date. */
export const parseRetryAfter = (
  headers: Readonly<Record<string, string | undefined>>,
  now: number
): number | undefined => {
  const millis = headers["retry-after-ms"]
  if (millis !== undefined && /^\d+(?:\.\d+)?$/.test(millis)) return Number(millis)
  const after = headers["retry-after"]?.trim()
  if (after === undefined || after === "") return undefined
  if (/^\d+(?:\.\d+)?$/.test(after)) return Number(after) * 1000
  const date = Date.parse(after)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

// Not in the ES libs; every runtime that Effect runs on has it.
declare const URL: { readonly canParse: (url: string) => boolean }

/** Whether requests can be sent there. */
export const isHttpUrl = (url: string): boolean => /^https?:\/\//i.test(url) && URL.canParse(url)
