import type { LlmMessage } from "../../VoiceFrames.ts"

type Part = Readonly<Record<string, unknown>>

const partsOf = ({ content }: LlmMessage): ReadonlyArray<Part> =>
  typeof content === "string" ? [{ type: "text", text: content }] : content

const idsOf = (messages: ReadonlyArray<LlmMessage>, type: string): Array<unknown> =>
  messages.flatMap((message) => partsOf(message).flatMap((part) => part.type === type ? [part.id] : []))

/** The messages that may be summarised: no instructions, not the last ones, no call without its result, or the reverse. */
export const old = (messages: ReadonlyArray<LlmMessage>, keep: number): ReadonlyArray<LlmMessage> => {
  const from = messages.findIndex(({ role }) => role !== "system")
  if (from < 0) return []
  for (let to = messages.length - keep; to > from; to--) {
    if (messages[to]?.role === "tool") continue
    const all = messages.slice(from, to)
    const answered = new Set(idsOf(all, "tool-result"))
    if (idsOf(all, "tool-call").every((id) => answered.has(id))) return all
  }
  return []
}

const json = (value: unknown): string => JSON.stringify(value) ?? "nothing"

const lineOf = (part: Part, role: LlmMessage["role"]): string => {
  switch (part.type) {
    case "text":
      return `${role}: ${String(part.text)}`
    case "tool-call":
      return `${role} calls ${String(part.name)}: ${json(part.params)}`
    case "tool-result":
      return `${String(part.name)} ${part.isFailure === true ? "fails" : "returns"}: ${json(part.result)}`
    default:
      return `${role}: (${String(part.type)})`
  }
}

/** As a text that can be read. */
export const toText = (messages: ReadonlyArray<LlmMessage>): string =>
  messages.flatMap((message) => partsOf(message).map((part) => lineOf(part, message.role))).join("\n")

/** Tokens: one for 4 characters, as a rule of thumb for English has it. */
export const estimate = ({ content }: LlmMessage): number =>
  Math.ceil((typeof content === "string" ? content : json(content)).length / 4)
