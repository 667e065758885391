import * as SchemaIssue from "effect/SchemaIssue"
import { show, type Violation } from "./serializerError.ts"

const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** The first thing that is wrong with `input`, which is at `path` of what the user knows. */
export const violation = (
  issue: SchemaIssue.Issue,
  input: unknown,
  path: ReadonlyArray<PropertyKey> = []
): Violation => {
  const first = format(issue).issues[0]!
  const keys = (first.path ?? []).map((key) => typeof key === "object" ? key.key : key)
  let found = input
  let missing = false
  for (const key of keys) {
    missing = typeof found !== "object" || found === null || !Object.hasOwn(found, key)
    found = missing ? undefined : (found as any)[key]
  }
  return {
    field: join([...path, ...keys]),
    found: missing ? "nothing" : show(found),
    expected: expectation(first.message)
  }
}

// The messages are those of `effect/Schema` ("Expected a, got b") and of the checks in `Frame`, which follow them.
const expectation = (message: string): string =>
  message === "Missing key" ? "a value" : message.replace(/^Expected /, "").replace(/, got [^]*$/, "")

/** `metadata.turn`, `data[0].processor` */
const join = (keys: ReadonlyArray<PropertyKey>): string => {
  let path = ""
  for (const key of keys) {
    if (typeof key === "string" && /^\w+$/.test(key)) path += path === "" ? key : `.${key}`
    else path += `[${typeof key === "string" ? JSON.stringify(key) : String(key)}]`
  }
  return path
}
