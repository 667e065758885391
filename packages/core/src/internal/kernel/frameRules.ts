/**
 * What the schemas of the built-in frames demand of their fields, as plain checks for the codecs that do without
 * schemas because they run for every frame. A property test holds the two against each other.
 *
 * @since 0.1.0
 */
import { show, type Violation } from "../wire/serializerError.ts"

const violation = (field: string, found: unknown, expected: string): Violation => ({
  field,
  found: show(found),
  expected
})

export const id = (value: unknown): Violation | undefined =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : violation("id", value, "a whole number from 0")

export const pts = (value: unknown): Violation | undefined =>
  value === undefined || Number.isFinite(value) ? undefined : violation("pts", value, "a finite number")

export const text = (field: string, value: unknown): Violation | undefined =>
  typeof value === "string" ? undefined : violation(field, value, "a string")

const count = (field: string, value: unknown, maximum: number): Violation | undefined =>
  Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= maximum
    ? undefined
    : violation(field, value, `a whole number from 1${maximum === Number.MAX_SAFE_INTEGER ? "" : ` to ${maximum}`}`)

export const audio = (
  bytes: unknown,
  sampleRate: unknown,
  numChannels: unknown,
  sampleWidth: unknown,
  maximum: number
): Violation | undefined => {
  if (!(bytes instanceof Uint8Array)) return violation("audio", bytes, "bytes")
  const wrong = count("sampleRate", sampleRate, maximum) ?? count("numChannels", numChannels, maximum) ??
    count("sampleWidth", sampleWidth, 4)
  if (wrong !== undefined) return wrong
  const unit = (numChannels as number) * (sampleWidth as number)
  return bytes.length % unit === 0
    ? undefined
    : violation("audio", bytes, `a length that is a multiple of ${unit} (numChannels x sampleWidth)`)
}

export const image = (
  bytes: unknown,
  width: unknown,
  height: unknown,
  format: unknown,
  mode: unknown,
  maximum: number
): Violation | undefined =>
  bytes instanceof Uint8Array
    ? count("width", width, maximum) ?? count("height", height, maximum) ?? text("format", format) ?? text("mode", mode)
    : violation("image", bytes, "bytes")
