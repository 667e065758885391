/**
 * The messages of RTVI, the protocol of pipecat's clients, version 2.1.0: what each carries, how it is read, and what
 * answers one that cannot be read.
 *
 * A message is a JSON object `{ label: "rtvi-ai", type, id, data }`. Messages of a client have an id, the server's only
 * where they answer one. `RtviProcessor` makes frames of what a client says, `RtviObserver` messages of what happens in
 * the pipeline.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Schemas from "./internal/rtvi/rtviSchemas.ts"
import { violation } from "./internal/wire/schemaIssue.ts"
import { show } from "./internal/wire/serializerError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// constants
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What marks a message as one of this protocol.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * RtviMessage.label // => "rtvi-ai"
 * ```
 *
 * @category constants
 * @since 0.1.0
 */
export const label = "rtvi-ai"

/**
 * The version that is spoken here.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * RtviMessage.version // => "2.1.0"
 * ```
 *
 * @category constants
 * @since 0.1.0
 */
export const version = "2.1.0"

/**
 * What each message of a client carries, by type, as schemas.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * Schema.is(RtviMessage.clientData.dtmf)({ buttons: ["1", "#"] }) // => true
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const clientData = Schemas.clientData

/**
 * What each message of the server carries, by type, as schemas. Times are in seconds, except `at`, which is in
 * milliseconds since the epoch.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * Schema.is(RtviMessage.serverData["bot-llm-text"])({ text: "Hel" }) // => true
 * ```
 *
 * @category schemas
 * @since 0.1.0
 */
export const serverData = Schemas.serverData

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The types of a client's messages.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientType = keyof typeof clientData

/**
 * The types of the server's messages.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerType = keyof typeof serverData

/**
 * The server's messages that answer one of the client, whose id they have.
 *
 * @category models
 * @since 0.1.0
 */
export type AnswerType = "bot-ready" | "server-response" | "error-response"

/**
 * What a client's message of a type carries, decoded.
 *
 * @category models
 * @since 0.1.0
 */
export type ClientData<T extends ClientType> = (typeof clientData)[T]["Type"]

/**
 * What the server's message of a type carries.
 *
 * @category models
 * @since 0.1.0
 */
export type ServerData<T extends ServerType> = (typeof serverData)[T]["Type"]

/**
 * A message of a client, decoded. `Client<"dtmf">` is that of one type.
 *
 * @category models
 * @since 0.1.0
 */
export type Client<T extends ClientType = ClientType> = T extends ClientType
  ? { readonly label: typeof label; readonly type: T; readonly id: string; readonly data: ClientData<T> }
  : never

/**
 * A message of the server: plain JSON. `Server<"bot-output">` is that of one type.
 *
 * @category models
 * @since 0.1.0
 */
export type Server<T extends ServerType = ServerType> = T extends ServerType ?
    & { readonly label: typeof label; readonly type: T }
    & (T extends AnswerType ? { readonly id: string } : { readonly id?: string })
    & (undefined extends ServerData<T> ? { readonly data?: ServerData<T> } : { readonly data: ServerData<T> })
  : never

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * It is no message of this protocol: no object, or with another label. Somebody else may understand it.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * new RtviMessage.NotRtvi({ found: "nothing" }).message
 * // => `Not an RTVI message: label: found nothing, expected "rtvi-ai"`
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class NotRtvi extends Schema.TaggedError<NotRtvi>()("NotRtvi", { found: Schema.String }) {
  override get message(): string {
    return `Not an RTVI message: label: found ${this.found}, expected "${label}"`
  }
}

/**
 * The label is right, and what is around the data is not: `field` names what.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * new RtviMessage.InvalidEnvelope({ field: "id", found: "7", expected: "a string" }).message
 * // => "Invalid RTVI transport message: id: found 7, expected a string"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidEnvelope extends Schema.TaggedError<InvalidEnvelope>()("InvalidEnvelope", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `Invalid RTVI transport message: ${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * The message is of a type that is not known here.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * new RtviMessage.UnsupportedType({ id: "1", type: "dance" }).message
 * // => "Unsupported type dance"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedType extends Schema.TaggedError<UnsupportedType>()("UnsupportedType", {
  id: Schema.String,
  type: Schema.String
}) {
  override get message(): string {
    return `Unsupported type ${this.type}`
  }
}

/**
 * The data is not what a message of this type carries: `field` is the path to what is wrong.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * const data = { id: "1", type: "send-text", field: "content", found: "7", expected: "a string" }
 * new RtviMessage.InvalidData(data).field // => "content"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidData extends Schema.TaggedError<InvalidData>()("InvalidData", {
  id: Schema.String,
  type: Schema.String,
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `Invalid message: ${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * Why a message was not understood; `reason` tells which.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * const reason = new RtviMessage.UnsupportedType({ id: "1", type: "dance" })
 * new RtviMessage.RtviMessageError({ reason }).message // => "Unsupported type dance"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class RtviMessageError extends Schema.TaggedError<RtviMessageError>()("RtviMessageError", {
  reason: Schema.Union([NotRtvi, InvalidEnvelope, UnsupportedType, InvalidData])
}) {
  override get message(): string {
    return this.reason.message
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

type Rest<T extends ServerType> = T extends AnswerType ? [data: ServerData<T>, id: string]
  : undefined extends ServerData<T> ? [data?: ServerData<T>]
  : [data: ServerData<T>]

/**
 * Makes a message of the server. It validates nothing.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * const toast = RtviMessage.server("ui-command", { command: "toast", payload: { title: "Saved" } })
 * toast.type // => "ui-command"
 * RtviMessage.server("server-response", { t: "time", d: "12:00" }, "d43f92d3").id // => "d43f92d3"
 * RtviMessage.server("bot-llm-started") // => { label: "rtvi-ai", type: "bot-llm-started" }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const server = <T extends ServerType>(type: T, ...[data, id]: Rest<T>): Server<T> =>
  ({
    label,
    type,
    ...id !== undefined && { id },
    ...data !== undefined && { data }
  }) as Server<T> // what is left out is optional there

/**
 * Makes the error that a client is told of. A `fatal` one makes it disconnect.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 *
 * RtviMessage.error("no route", false).data.fatal // => false
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const error = (text: string, fatal: boolean): Server<"error"> =>
  server("error", { error: text, fatal, message: text })

/**
 * Makes the message that answers one that was not understood; none where it was for somebody else.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const result = RtviMessage.decodeClient({ label: "rtvi-ai", type: "fly", id: "1" })
 * const answer = Result.isFailure(result) ? RtviMessage.answer(result.failure) : undefined
 * answer // => { label: "rtvi-ai", type: "error-response", id: "1", data: { error: "Unsupported type fly" } }
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const answer = ({ message, reason }: RtviMessageError): Server<"error" | "error-response"> | undefined => {
  switch (reason._tag) {
    case "NotRtvi":
      return undefined
    case "InvalidEnvelope":
      return error(message, false)
    default:
      return server("error-response", { error: message }, reason.id)
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// decoding
// ---------------------------------------------------------------------------------------------------------------------

const fail = (reason: RtviMessageError["reason"]): Result.Result<never, RtviMessageError> =>
  Result.fail(new RtviMessageError({ reason }))

type Decoder = (data: unknown) => Result.Result<unknown, Schema.SchemaError>

/** Made when the first message of the type comes. */
const decodersOf = (schemas: Record<string, Schema.Decoder<unknown>>): (type: string) => Decoder | undefined => {
  const decoders = new Map<string, Decoder>()
  return (type) => {
    const known = decoders.get(type)
    if (known !== undefined || !Object.hasOwn(schemas, type)) return known
    const decoder = Schema.decodeUnknownResult(schemas[type]!)
    decoders.set(type, decoder)
    return decoder
  }
}

const clientDecoder = decodersOf(clientData)
const serverDecoder = decodersOf(serverData)

const decode = (
  u: unknown,
  decoderOf: (type: string) => Decoder | undefined,
  options: { readonly needsId: (type: string) => boolean; readonly empty?: string }
): Result.Result<
  { readonly type: string; readonly id: string | undefined; readonly data: unknown },
  RtviMessageError
> => {
  if (typeof u !== "object" || u === null || Array.isArray(u)) return fail(new NotRtvi({ found: show(u) }))
  const fields = u as Record<string, unknown>
  const field = (name: string): unknown => Object.hasOwn(fields, name) ? fields[name] : undefined
  const shown = (name: string): string => Object.hasOwn(fields, name) ? show(fields[name]) : "nothing"
  if (field("label") !== label) return fail(new NotRtvi({ found: shown("label") }))
  const type = field("type")
  const id = field("id") ?? undefined
  if (typeof type !== "string") {
    return fail(new InvalidEnvelope({ field: "type", found: shown("type"), expected: "a string" }))
  }
  if (typeof id !== "string" && (id !== undefined || options.needsId(type))) {
    return fail(new InvalidEnvelope({ field: "id", found: shown("id"), expected: "a string" }))
  }
  const decoder = decoderOf(type)
  if (decoder === undefined) return fail(new UnsupportedType({ id: id ?? "", type }))
  const data = type === options.empty ? field("data") ?? {} : field("data")
  const result = decoder(data)
  if (Result.isSuccess(result)) return Result.succeed({ type, id, data: result.success })
  const { expected, field: path, found } = violation(result.failure.issue, data, ["data"])
  return fail(
    new InvalidData({ id: id ?? "", type, field: path, found: data === undefined ? "nothing" : found, expected })
  )
}

/**
 * Reads what a client has sent.
 *
 * **Details**
 *
 * `data` may be missing, or `null`, where nothing in it is needed. Unknown fields are dropped.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const result = RtviMessage.decodeClient({ label: "rtvi-ai", type: "dtmf", id: "1", data: { buttons: ["A"] } })
 * Result.isFailure(result) && result.failure.reason._tag // => "InvalidData"
 * ```
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeClient = (u: unknown): Result.Result<Client, RtviMessageError> =>
  Result.map(
    decode(u, clientDecoder, { needsId: () => true, empty: "client-ready" }),
    (message) => ({ label, ...message }) as Client // the type chose the schema
  )

/**
 * Reads what a server has sent: for clients, and for tests.
 *
 * @example
 * ```ts
 * import { RtviMessage } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const result = RtviMessage.decodeServer({ label: "rtvi-ai", type: "bot-llm-text", data: { text: "Hel" } })
 * Result.isSuccess(result) && result.success.type // => "bot-llm-text"
 * ```
 *
 * @category decoding
 * @since 0.1.0
 */
export const decodeServer = (u: unknown): Result.Result<Server, RtviMessageError> =>
  Result.map(decode(u, serverDecoder, { needsId: (type) => answers.has(type) }), ({ data, id, type }) =>
    ({
      label,
      type,
      ...id !== undefined && { id },
      ...data !== undefined && { data }
    }) as Server) // the type chose the schema

const answers: ReadonlySet<string> = new Set<AnswerType>(["bot-ready", "server-response", "error-response"])
