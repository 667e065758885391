import { version as spoken } from "../../RtviMessage.ts"

/** What is made of the version that a client says it speaks. */
export interface Negotiated {
  /** As the client gave it; empty when that was no text. */
  readonly version: string
  /** It speaks version 1 and gets the messages of that. */
  readonly legacy: boolean
  /** The version to answer with. */
  readonly answer: string
  /** Why it may not understand everything. */
  readonly problem: string | undefined
}

const semantic = /^(\d{1,9})\.\d{1,9}\.\d{1,9}$/
const ours = spoken.split(".")[0]

/** The same major version is fine, the one before is spoken too; with any other the client is told, and that is all. */
export const negotiate = (version: unknown): Negotiated => {
  const major = typeof version === "string" ? semantic.exec(version)?.[1] : undefined
  const legacy = major === "1"
  return {
    version: typeof version === "string" ? version.slice(0, 100) : "",
    legacy,
    answer: legacy ? version as string : spoken,
    problem: legacy || major === ours ? undefined : `${problemOf(version, major)} Compatibility issues may occur.`
  }
}

const problemOf = (version: unknown, major: string | undefined): string => {
  if (typeof version !== "string" || version === "") return "Client version unknown."
  return major === undefined
    ? `Invalid client version format (${version.slice(0, 100)}).`
    : `RTVI version ${version} is not compatible with server protocol ${spoken}.`
}
