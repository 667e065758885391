/** HTTP message signatures (RFC 9421), as far as AudioHook uses them: one signature, strings and integers. */

export interface Signed {
  /** What was signed, in order. */
  readonly components: ReadonlyArray<string>
  readonly parameters: Readonly<Record<string, string | number>>
  /** List and parameters as they were written: they are signed, too. */
  readonly raw: string
  readonly signature: Uint8Array
}

const member =
  /^\s*([a-z*][a-z0-9_.*-]*)=(\(((?:"[^"\\]*" ?)*)\)((?:;[a-z*][a-z0-9_.*-]*=(?:"[^"\\]*"|-?\d{1,15}))*))\s*$/
const value = /^\s*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]+={0,2}):\s*$/

/** What is wrong with the headers, if anything is. */
export const parseSignature = (input: string | undefined, signature: string | undefined): Signed | string => {
  if (input === undefined || signature === undefined) return "nothing"
  const [, label, raw, list, rest] = member.exec(input) ?? []
  const [, other, base64] = value.exec(signature) ?? []
  if (label === undefined || base64 === undefined || label !== other) return "something else"
  const parameters = Array.from(
    rest!.matchAll(/;([^=]+)=(?:"([^"]*)"|(-?\d+))/g),
    ([, name, text, number]) => [name!, text ?? Number(number)] as const
  )
  return {
    components: Array.from(list!.matchAll(/"([^"]*)"/g), ([, name]) => name!),
    parameters: Object.fromEntries(parameters),
    raw: raw!,
    signature: Buffer.from(base64, "base64")
  }
}

/** What is signed; `undefined` where the request lacks a part of it. */
export const signatureBase = (
  { components, raw }: Signed,
  valueOf: (name: string) => string | undefined
): string | undefined => {
  const values = components.map(valueOf)
  if (values.includes(undefined)) return undefined
  return [...components.map((name, i) => `"${name}": ${values[i]!.trim()}`), `"@signature-params": ${raw}`].join("\n")
}
