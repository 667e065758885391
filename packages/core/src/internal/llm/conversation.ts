import * as PubSub from "effect/PubSub"
import type * as SubscriptionRef from "effect/SubscriptionRef"
import {
  type FunctionCallCancelledFrame,
  type FunctionCallInProgressFrame,
  type FunctionCallResultFrame,
  type FunctionCallsStartedFrame,
  LlmContextFrame,
  type LlmMessage
} from "../../VoiceFrames.ts"

type Part = Readonly<Record<string, unknown>>

/** A message and its place. That of an answer grows, calls and their results join it. */
class Entry {
  message: LlmMessage

  constructor(message: LlmMessage) {
    this.message = message
  }

  get parts(): ReadonlyArray<Part> {
    const { content } = this.message
    return typeof content === "string" ? [{ type: "text", text: content }] : content
  }
}

interface Group {
  readonly responseId: number | undefined
  readonly skipTts: boolean
  /** Calls that the answer waits for. */
  readonly remaining: Set<string>
  entry: Entry | undefined
  /** One of them has returned: there is something to answer. */
  returned: boolean
}

interface Call {
  readonly id: string
  readonly name: string
  readonly params: unknown
  readonly group: Group
  readonly entry: Entry
  /** `told`: the model has been told that it is still running. */
  state: "open" | "told"
}

/** Calls and answers that nobody ever ends are forgotten from then on. */
const maxOpen = 256

const running = "This call is still running. Its result will follow."
const cancelled = "This call was cancelled: the user interrupted."

/** A conversation with a model: its messages, and what is still to come of answers and calls. */
export class Conversation {
  private entries: Array<Entry>
  private readonly groups = new Map<string, Group>()
  private readonly calls = new Map<string, Call>()
  /** Where the text and the calls of an answer are. */
  private readonly answers = new Map<number, Entry>()
  private readonly ref: SubscriptionRef.SubscriptionRef<ReadonlyArray<LlmMessage>>
  /** The user has the word: what there is to answer waits. */
  userSpeaks = false
  /** An answer has been asked for and is neither complete nor interrupted. */
  answering = false
  /** Something of that answer has been heard. */
  heard = false
  /** There is a result that no answer was asked for. */
  owed = false
  private skipTts = false

  constructor(ref: SubscriptionRef.SubscriptionRef<ReadonlyArray<LlmMessage>>) {
    this.ref = ref
    this.entries = ref.value.map((message) => new Entry(message))
  }

  get messages(): ReadonlyArray<LlmMessage> {
    return this.ref.value
  }

  private changed(): void {
    const messages = this.entries.map(({ message }) => message)
    this.ref.value = messages
    PubSub.publishUnsafe(this.ref.pubsub, messages)
  }

  /** A message that stays the same object stays the same message: an answer in it goes on growing. */
  update(f: (messages: ReadonlyArray<LlmMessage>) => ReadonlyArray<LlmMessage>): void {
    const before = new Map(this.entries.map((entry) => [entry.message, entry]))
    this.entries = f(this.messages).map((message) => {
      const entry = before.get(message)
      before.delete(message)
      return entry ?? new Entry(message)
    })
    this.changed()
  }

  append(messages: ReadonlyArray<LlmMessage>): void {
    for (const message of messages) this.entries.push(new Entry(message))
    this.changed()
  }

  /** Asks for an answer to all that there is. */
  request(skipTts = false): LlmContextFrame {
    this.settle()
    this.owed = false
    this.answering = true
    this.heard = false
    this.skipTts = skipTts
    return LlmContextFrame.make({ messages: this.messages, ...skipTts && { skipTts } })
  }

  /** Every call must have a result before a model is asked again. */
  private settle(): void {
    let changed = false
    for (const call of this.calls.values()) {
      if (call.state !== "open") continue
      this.tell(call)
      changed = true
    }
    if (changed) this.changed()
  }

  interrupted(): void {
    if (this.answering && this.entries.at(-1)?.message.role === "tool") this.owed = true
    this.answering = false
  }

  // ---------------------------------------------------------------------------------------------- answers

  /** The text of an answer, as far as it goes. `id`: of its `LlmResponseStartFrame`. */
  say(id: number, text: string): void {
    if (text === "") return
    this.heard = true
    const entry = this.answers.get(id)
    if (entry === undefined || !this.entries.includes(entry)) {
      const begun = new Entry({ role: "assistant", content: text })
      this.entries.push(begun)
      this.remember(id, begun)
    } else {
      const calls = entry.parts.filter(({ type }) => type !== "text")
      entry.message = {
        role: "assistant",
        content: calls.length === 0 ? text : [{ type: "text", text }, ...calls]
      }
    }
    this.changed()
  }

  private remember(id: number, entry: Entry): void {
    this.answers.set(id, entry)
    if (this.answers.size > maxOpen) this.answers.delete(this.answers.keys().next().value!)
  }

  // ---------------------------------------------------------------------------------------------- calls

  started({ callIds, responseId }: Pick<FunctionCallsStartedFrame, "callIds" | "responseId">): void {
    const group: Group = {
      responseId,
      skipTts: this.skipTts,
      remaining: new Set(callIds),
      entry: undefined,
      returned: false
    }
    for (const id of callIds) this.groups.set(id, group)
    while (this.groups.size > maxOpen) this.groups.delete(this.groups.keys().next().value!)
  }

  /** Gives what the model is to be asked now, as `result` does. */
  inProgress(frame: FunctionCallInProgressFrame): LlmContextFrame | undefined {
    const { arguments: params, background, callId: id, functionName: name } = frame
    if (this.calls.has(id)) return undefined
    if (!this.groups.has(id)) this.started({ callIds: [id] })
    const group = this.groups.get(id)!
    const entry = this.entryOf(group)
    entry.message = { role: "assistant", content: [...entry.parts, { type: "tool-call", id, name, params }] }
    const call: Call = { id, name, params, group, entry, state: "open" }
    this.calls.set(id, call)
    if (this.calls.size > maxOpen) this.calls.delete(this.calls.keys().next().value!)
    if (background === true) {
      this.tell(call)
      group.returned = true
    }
    this.changed()
    return background === true ? this.settled(call) : undefined
  }

  /** Where the calls of a group go: into the message of the answer that asked for them. */
  private entryOf(group: Group): Entry {
    const { responseId } = group
    const known = group.entry ?? (responseId === undefined ? undefined : this.answers.get(responseId))
    if (known !== undefined && this.entries.includes(known)) return group.entry = known
    const entry = new Entry({ role: "assistant", content: [] })
    this.entries.push(entry)
    if (responseId !== undefined) this.remember(responseId, entry)
    return group.entry = entry
  }

  result({ callId, isFailure = false, result }: FunctionCallResultFrame): LlmContextFrame | undefined {
    const call = this.calls.get(callId)
    // Answered already, or never asked for.
    if (call === undefined) return undefined
    this.calls.delete(callId)
    call.group.returned = true
    if (call.state === "open" && this.entries.includes(call.entry)) this.record(call, result, isFailure)
    else {
      // The model has a result already, that it would come: this is a call of its own, to which it has come.
      const { name, params } = call
      const id = `${callId}_2`
      const entry = new Entry({ role: "assistant", content: [{ type: "tool-call", id, name, params }] })
      this.entries.push(entry)
      this.record({ entry, id, name }, result, isFailure)
    }
    this.changed()
    return this.settled(call)
  }

  cancelled({ callId }: FunctionCallCancelledFrame): void {
    const call = this.calls.get(callId)
    if (call === undefined) return
    this.calls.delete(callId)
    if (call.state === "open" && this.entries.includes(call.entry)) {
      this.record(call, cancelled, true)
      this.changed()
    }
    // the user has the word
    if (this.complete(call)) this.owed = true
  }

  private tell(call: Call): void {
    call.state = "told"
    if (this.entries.includes(call.entry)) this.record(call, running, false)
  }

  /** Puts a result behind its call. */
  private record({ entry, id, name }: Pick<Call, "entry" | "id" | "name">, result: unknown, isFailure: boolean): void {
    const part: Part = { type: "tool-result", id, name, isFailure, result }
    const at = this.entries.indexOf(entry) + 1
    const next = this.entries[at]
    const order = entry.parts.map((part) => part.id)
    if (next?.message.role === "tool" && next.parts.every((part) => order.includes(part.id))) {
      const parts = [...next.parts, part].toSorted((a, b) => order.indexOf(a.id) - order.indexOf(b.id))
      next.message = { role: "tool", content: parts }
    } else this.entries.splice(at, 0, new Entry({ role: "tool", content: [part] }))
  }

  /** Nobody waits for this call any more; is there something to answer, now that all of its group are done? */
  private complete({ group, id }: Call): boolean {
    group.remaining.delete(id)
    this.groups.delete(id)
    return group.remaining.size === 0 && group.returned
  }

  private settled(call: Call): LlmContextFrame | undefined {
    if (!this.complete(call)) return undefined
    if (!this.userSpeaks) return this.request(call.group.skipTts)
    this.owed = true
    return undefined
  }
}
