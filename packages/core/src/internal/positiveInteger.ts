/** A `TypeError` unless an option is an integer above 0. */
export const checkPositiveInteger = (field: string, found: unknown): void => {
  if (Number.isSafeInteger(found) && (found as number) > 0) return
  throw new TypeError(`${field}: found ${String(found)}, expected a positive integer`)
}
