/** Reads JSON that a peer has sent: every field may be missing or something else. */
import { DtmfKey } from "../../VoiceFrames.ts"
import * as Bytes from "../wire/bytes.ts"
import * as Errors from "../wire/serializerError.ts"

export type JsonObject = Readonly<Record<string, unknown>>

export const isObject = (u: unknown): u is JsonObject => typeof u === "object" && u !== null && !Array.isArray(u)

/** Ids are kept and sent back with each message: one that is long would multiply. */
const maxId = 512

export const parse = (format: string, text: string): JsonObject => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw Errors.malformed(format, { field: "", found: Errors.show(text), expected: "JSON" })
  }
  if (isObject(value)) return value
  throw Errors.malformed(format, { field: "", found: Errors.show(value), expected: "an object" })
}

/** The value at a path, `undefined` where there is none. */
export const at = (message: JsonObject, path: string): unknown => {
  let value: unknown = message
  for (const key of path.split(".")) value = isObject(value) ? value[key] : undefined
  return value ?? undefined
}

export const isText = (message: JsonObject, path: string): boolean => typeof at(message, path) === "string"

export const wrong = (format: string, path: string, value: unknown, expected: string): Errors.SerializerError =>
  Errors.malformed(format, { field: path, found: value === undefined ? "nothing" : Errors.show(value), expected })

export const text = (format: string, message: JsonObject, path: string): string => {
  const value = at(message, path)
  if (typeof value === "string") return value
  throw wrong(format, path, value, "text")
}

export const optionalText = (format: string, message: JsonObject, path: string): string | undefined =>
  at(message, path) === undefined ? undefined : text(format, message, path)

export const id = (format: string, message: JsonObject, path: string): string => {
  const value = text(format, message, path)
  if (value.length > 0 && value.length <= maxId) return value
  throw Errors.malformed(format, {
    field: path,
    found: `${value.length} characters`,
    expected: `an id of 1 to ${maxId} characters`
  })
}

export const optionalId = (format: string, message: JsonObject, path: string): string | undefined =>
  at(message, path) === undefined ? undefined : id(format, message, path)

/** A whole number that is not negative: vendors write them as numbers and as text. */
export const natural = (format: string, message: JsonObject, path: string): number => {
  const value = at(message, path)
  const number = typeof value === "string" && /^[0-9]{1,15}$/.test(value) ? Number(value) : value
  if (Number.isSafeInteger(number) && number as number >= 0) return number as number
  throw wrong(format, path, value, "a whole number that is not negative")
}

export const optionalNatural = (format: string, message: JsonObject, path: string): number | undefined =>
  at(message, path) === undefined ? undefined : natural(format, message, path)

export const oneOf = <const A extends string | number>(
  format: string,
  path: string,
  found: unknown,
  all: ReadonlyArray<A>
): A => {
  const value = all.find((one) => one === found)
  if (value !== undefined) return value
  throw wrong(format, path, found, all.length === 1 ? String(all[0]) : `one of ${all.join(", ")}`)
}

export const key = (format: string, message: JsonObject, path: string): DtmfKey =>
  oneOf(format, path, at(message, path), DtmfKey.literals)

export const base64 = (format: string, message: JsonObject, path: string): Uint8Array => {
  const value = text(format, message, path)
  const bytes = Bytes.fromBase64(value)
  if (bytes !== undefined) return bytes
  throw Errors.malformed(format, { field: path, found: Errors.show(value), expected: "base64" })
}

type Parameters = Readonly<Record<string, string>>

/** Not all that can be parsed can be written: both have limits to nesting. */
const json = (value: unknown): string | undefined => {
  try {
    return JSON.stringify(value)
  } catch {
    return undefined
  }
}

const entries = (format: string, path: string, value: JsonObject): Parameters =>
  Object.fromEntries(
    Object.entries(value).map(([name, value]) => {
      const text = typeof value === "string" ? value : json(value)
      if (text !== undefined) return [name, text]
      throw wrong(format, `${path}.${name}`, value, "text")
    })
  )

/** What a user has attached to a call, as text. */
export const parameters = (format: string, message: JsonObject, path: string): Parameters => {
  const value = at(message, path) ?? {}
  if (isObject(value)) return entries(format, path, value)
  throw wrong(format, path, value, "an object")
}

/** Parameters as some vendors write them: `a=1;b=2`, with any of `separators`, or JSON. */
export const parametersOf = (format: string, message: JsonObject, path: string, separators: RegExp): Parameters => {
  const value = at(message, path)
  if (typeof value !== "string") return parameters(format, message, path)
  if (value.startsWith("{")) return entries(format, path, parse(format, value))
  return Object.fromEntries(
    value.split(separators).flatMap((pair) => {
      const equals = pair.indexOf("=")
      return equals <= 0 ? [] : [[pair.slice(0, equals).trim(), pair.slice(equals + 1).trim()]]
    })
  )
}
