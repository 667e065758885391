/**
 * The class factories behind `Frame`: identity, prototypes, schema wiring and the one-line form.
 *
 * The classes are put together at run time, which types cannot follow: `any` stands for a frame class, its instances
 * or its fields here, and `Frame.ts` gives each of them its type.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Formatter from "effect/Formatter"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import type * as Frame from "../../Frame.ts"

/** @internal */
export const TypeId = "~apipeline/Frame"

let lastId = 0

/** @internal */
export const nextId = (): number => ++lastId

// ---------------------------------------------------------------------------------------------------------------------
// prototypes
// ---------------------------------------------------------------------------------------------------------------------

// Has no fields and no constructor of its own on purpose: a constructor shared by all classes would see every hidden
// class there is, and a megamorphic store costs more than the whole frame. Each class writes its own fields.
/** @internal */
export abstract class Root {
  declare readonly _tag: string
  declare readonly id: number

  get name(): string {
    return `${this._tag}#${this.id}`
  }
  toString(): string {
    return format(this as any)
  }
  toJSON(): unknown {
    return readableFields(this)
  }
  [Symbol.for("nodejs.util.inspect.custom")](): string {
    return this.toString()
  }
}

interface Spec {
  readonly origin: Frame.Origin
  readonly tag: string
  readonly kind: Frame.Kind
  readonly uninterruptible: boolean
  readonly fields: Schema.Struct.Fields
  readonly check?: SchemaAST.Check<any> | undefined
}

/** A class without a constructor: what a descriptor carries, as statics and on the prototype. */
const descriptor = (spec: Spec): any => {
  abstract class Descriptor extends Root {
    static readonly tag = spec.tag
    static readonly kind = spec.kind
    static readonly uninterruptible = spec.uninterruptible
    static readonly fields = spec.fields
    static get schema(): Schema.Top {
      return own(this, "schema", makeSchema(this as any, spec))
    }
    static get is(): (u: unknown) => boolean {
      return own(this, "is", (u: unknown) => u instanceof this)
    }
  }
  for (const key of ["kind", "uninterruptible"] as const) {
    Object.defineProperty(Descriptor.prototype, key, { value: spec[key] })
  }
  Object.defineProperty(Descriptor.prototype, TypeId, { value: spec.origin })
  return Descriptor
}

/** Computed once for the class it is read from, and usable without `this` from then on. */
const own = <A>(self: object, key: string, value: A): A => {
  Object.defineProperty(self, key, { value })
  return value
}

/** @internal */
export const builtIn =
  <Self>() =>
  <const Tag extends string, const K extends Frame.Kind, const Fields extends Schema.Struct.Fields>(
    tag: Tag,
    kind: K,
    fields: Fields,
    options?: {
      readonly uninterruptible?: boolean | undefined
      readonly check?: SchemaAST.Check<Schema.Struct.Type<Fields>> | undefined
    }
  ): BuiltInBase<Self, Tag, K, Fields> =>
    descriptor({ ...options, origin: "builtIn", tag, kind, fields, uninterruptible: options?.uninterruptible === true })

export interface BuiltInBase<Self, Tag extends string, K extends Frame.Kind, Fields extends Schema.Struct.Fields>
  extends Frame.Descriptor<Self, Tag, K, Fields>
{
  new(): Frame.Base<Tag, K, "builtIn">
}

// ---------------------------------------------------------------------------------------------------------------------
// app frames
// ---------------------------------------------------------------------------------------------------------------------

const reserved = [
  "_tag",
  "id",
  "pts",
  "metadata",
  "kind",
  "uninterruptible",
  "name",
  "toString",
  "toJSON",
  "constructor"
] as const

/** The names that a type can refuse: every object type has the others. */
export type Reserved = Exclude<(typeof reserved)[number], "toString" | "constructor">

/** @internal */
export const refuse = (field: string, found: unknown, expected: string): never => {
  throw new TypeError(`Frame: ${field}: found ${Formatter.format(found)}, expected ${expected}`)
}

/** @internal */
export const app = (
  tag: string,
  fields: Schema.Struct.Fields,
  options: { readonly kind?: Frame.Kind | undefined; readonly uninterruptible?: boolean | undefined } | undefined,
  builtIns: ReadonlySet<string>
): any => {
  if (typeof tag !== "string" || tag === "") refuse("tag", tag, "a string that is not empty")
  if (builtIns.has(tag)) refuse("tag", tag, "a tag that no built-in frame has")
  if (/^(upstream|run|source|data|control|system|on[A-Z].*)$/.test(tag)) {
    refuse("tag", tag, "a tag that names nothing else in a processor (\"upstream\", \"data\", \"onStart\")")
  }
  const kind = options?.kind ?? "data"
  if (kind !== "data" && kind !== "control" && kind !== "system") {
    refuse("kind", kind, "\"data\", \"control\" or \"system\"")
  }
  for (const key of reserved) {
    if (Object.hasOwn(fields, key)) refuse("fields", key, "a name that frames do not use themselves")
  }
  for (const key of Object.keys(fields)) {
    if (!Schema.isSchema(fields[key])) refuse(`fields.${key}`, fields[key], "a schema")
  }
  const base = descriptor({ origin: "app", tag, kind, fields, uninterruptible: options?.uninterruptible === true })
  const payload = Object.entries(fields).map(([key, schema]): Payload => {
    const effect = (schema.ast as SchemaAST.AST).context?.constructorDefault
    return { key, fallback: effect && (() => Effect.runSync(effect)) }
  })
  const Constructor = compiled(base, tag, payload) ?? interpreted(base, tag, payload)
  Object.defineProperty(Constructor, "make", {
    configurable: true,
    get(this: any) {
      const make = compile("Self", "return (fields = {}) => new Self(fields)", this)
      return own(this, "make", make ?? ((fields: any = {}) => new this(fields)))
    }
  })
  return Constructor
}

interface Payload {
  readonly key: string
  readonly fallback: (() => unknown) | undefined
}

const interpreted = (base: any, tag: string, payload: ReadonlyArray<Payload>) =>
  class extends base {
    [key: string]: unknown
    constructor(fields: any) {
      super()
      this._tag = tag
      this.id = nextId()
      this.pts = fields.pts
      this.metadata = fields.metadata
      for (const { fallback, key } of payload) {
        const value = fields[key]
        this[key] = value === undefined && fallback !== undefined ? fallback() : value
      }
    }
  }

// One constructor body for all app frames would see every hidden class there is, which makes each store about ten
// times slower. So each app frame gets a body of its own where code may be generated; all names in it are quoted.
const compiled = (base: any, tag: string, payload: ReadonlyArray<Payload>) => {
  const stores = payload.map(({ fallback, key }, i) => {
    const k = JSON.stringify(key)
    return `this[${k}] = fields[${k}]${fallback === undefined ? "" : ` ?? fallback(${i}, fields[${k}])`}`
  })
  return compile(
    "Base, nextId, fallback",
    `return class extends Base {
      constructor(fields) {
        super()
        this._tag = ${JSON.stringify(tag)}
        this.id = nextId()
        this.pts = fields.pts
        this.metadata = fields.metadata
        ${stores.join("\n")}
      }
    }`,
    base,
    nextId,
    (i: number, value: unknown) => value === undefined ? payload[i]!.fallback!() : value
  )
}

/** `undefined` where a content security policy or the platform forbids generated code. */
const compile = (parameters: string, body: string, ...args: ReadonlyArray<unknown>): any => {
  let make: (...args: ReadonlyArray<unknown>) => any
  try {
    make = new Function(parameters, body) as any
  } catch {
    return undefined
  }
  return make(...args)
}

// ---------------------------------------------------------------------------------------------------------------------
// copying
// ---------------------------------------------------------------------------------------------------------------------

/** @internal */
export const copy = <F extends Frame.Frame>(frame: F, changes?: object): F => {
  const fields: any = changes === undefined ? frame : { ...frame, ...changeable(frame, changes) }
  // A plain object that only looks like a frame has no constructor that could be trusted with its fields.
  return frame instanceof Root ? new (frame.constructor as any)(fields) : { ...fields, id: nextId() }
}

const changeable = (frame: Frame.Frame, changes: object): object => {
  for (const key of Object.keys(changes)) {
    if (key === "_tag" || key === "id" || !(Object.hasOwn(frame, key) || Object.hasOwn(common, key))) {
      refuse(`copy of ${frame._tag}`, key, "pts, metadata or a field of the payload")
    }
  }
  return changes
}

// ---------------------------------------------------------------------------------------------------------------------
// schemas
// ---------------------------------------------------------------------------------------------------------------------

/** Like the check, but its message always says what was found: a number gives no secret away. */
export const reporting = (check: SchemaAST.Filter<number>): SchemaAST.Filter<number> =>
  Schema.makeFilter(
    (n: number, ast, options) =>
      check.run(n, ast, options) === undefined ? undefined : `Expected ${check.annotations?.expected}, got ${n}`,
    check.annotations
  )

/** @internal */
export const integer = (check: SchemaAST.Filter<number>): Schema.Number =>
  Schema.Number.check(reporting(Schema.isInt()), reporting(check))

const common = {
  id: integer(Schema.isGreaterThanOrEqualTo(0)),
  pts: Schema.optionalKey(Schema.Finite),
  metadata: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
}

const makeSchema = (self: new(fields: any) => Root, spec: Spec): Schema.Top => {
  const all: Record<string, Schema.Constraint> = { _tag: Schema.Literal(spec.tag), ...common, ...spec.fields }
  const unchecked: Schema.Struct<any> = Schema.Struct(all)
  const struct = spec.check === undefined ? unchecked : unchecked.check(spec.check)
  const keys = Object.entries(all).map(([key, schema]) => ({ key, optional: SchemaAST.isOptional(schema.ast) }))
  const transformation = SchemaTransformation.transform<any, any>({
    decode: (fields) => Object.assign(new self(fields), { id: fields.id }),
    encode: (frame) => {
      const fields: Record<string, unknown> = {}
      for (const { key, optional } of keys) {
        if (frame[key] !== undefined || !optional) fields[key] = frame[key]
      }
      return fields
    }
  })
  const type = Schema.declareConstructor<any, any>()(
    [struct],
    () => (u, ast, options) =>
      u instanceof self ? Effect.succeed(u) : Effect.fail(new SchemaIssue.InvalidType(ast, u, options)),
    {
      identifier: spec.tag,
      toCodec: ([struct]) => new SchemaAST.Link(struct.ast, transformation),
      toEquivalence: ([fields]: any) => fields,
      toFormatter: () => (frame: any) => format(frame),
      "~sentinels": [{ key: "_tag", literal: spec.tag }] // lets a union find its member by tag when encoding
    }
  )
  return struct.pipe(Schema.decodeTo(type, transformation)) as any
}

// ---------------------------------------------------------------------------------------------------------------------
// formatting
// ---------------------------------------------------------------------------------------------------------------------

const maxLine = 400
const maxLength = 80
const maxItems = 5
const maxDepth = 2

/** @internal */
export const format = (frame: Frame.Frame): string => {
  const name = `${frame._tag}#${frame.id}`
  const body = frame[TypeId] === "builtIn" ? describe(frame) : describeFields(frame)
  // One line, whatever is in it: text, names and messages may come from outside.
  return body === "" ? name : `${name}(${cut(body, maxLine).replace(/[\p{Cc}\u2028\u2029]+/gu, " ")})`
}

const describe = (frame: Frame.BuiltIn): string => {
  switch (frame._tag) {
    case "TextFrame":
      return show(frame.text)
    case "AudioRawFrame": {
      const width = frame.sampleWidth === 2 ? "" : `${frame.sampleWidth * 8} bit, `
      const rate = `${frame.sampleRate / 1000} kHz, ${channels(frame.numChannels)}`
      return `${size(frame.audio.byteLength)}, ${rate}, ${width}${time(frame.duration)}`
    }
    case "ImageRawFrame":
      return `${frame.width}x${frame.height} ${cut(frame.format)} ${cut(frame.mode)}, ${size(frame.image.byteLength)}`
    case "ErrorFrame": {
      const where = frame.processor === undefined ? "" : `${cut(frame.processor)}: `
      return `${where}${message(frame.error)}${frame.fatal ? ", fatal" : ""}`
    }
    case "MetricsFrame":
      return some(frame.data, (metric) => `${cut(metric.processor)} ${measure(metric)}`)
    default:
      return describeFields(frame)
  }
}

const describeFields = (frame: object): string =>
  Object.entries(frame)
    .filter(([key, value]) => value !== undefined && key !== "_tag" && !Object.hasOwn(common, key))
    .map(([key, value]) => `${key}: ${show(value)}`)
    .join(", ")

const measure = (metric: Frame.Metric): string => {
  switch (metric._tag) {
    case "Ttfb":
    case "Ttfa":
    case "Ttfat":
    case "Processing":
      return `${metric._tag} ${time(metric.milliseconds)}`
    case "TokenUsage":
      return `${metric.totalTokens} tokens`
    case "CharacterUsage":
      return `${metric.characters} characters`
    case "AudioUsage":
      return `${metric.seconds} s of audio`
  }
}

const show = (u: unknown, depth = 0): string => {
  if (typeof u === "string") {
    return u.length > maxLength ? `${JSON.stringify(cut(u))} ${u.length} chars` : JSON.stringify(u)
  }
  if (typeof u !== "object" || u === null) return Formatter.format(u)
  if (isBytes(u)) return size(u.byteLength)
  if (u instanceof Error) return message(u)
  if (Array.isArray(u)) return depth > maxDepth ? "[…]" : `[${some(u, (item) => show(item, depth + 1))}]`
  if (!isPlain(u)) return cut(Formatter.format(u))
  if (depth > maxDepth) return "{…}"
  return `{${some(Object.entries(u), ([key, value]) => `${cut(key)}: ${show(value, depth + 1)}`)}}`
}

const some = <A>(items: ReadonlyArray<A>, f: (item: A) => string): string => {
  const shown = items.slice(0, maxItems).map(f)
  if (items.length > maxItems) shown.push(`… ${items.length - maxItems} more`)
  return shown.join(", ")
}

/** Not in the middle of a surrogate pair. */
const cut = (text: string, length = maxLength): string =>
  text.length <= length ? text : `${text.slice(0, length).replace(/[\uD800-\uDBFF]$/, "")}…`

const message = (error: unknown): string =>
  error instanceof Error ? cut(error.message || error.name) : typeof error === "string" ? cut(error) : show(error)

const isBytes = (u: object): u is ArrayBufferView | ArrayBuffer => ArrayBuffer.isView(u) || u instanceof ArrayBuffer

const isPlain = (u: object): boolean => {
  const proto = Object.getPrototypeOf(u)
  return proto === null || proto === Object.prototype
}

const round = (n: number): number => Math.round(n * 10) / 10

const size = (bytes: number): string =>
  bytes < 1e3 ? `${bytes} B` : bytes < 1e6 ? `${round(bytes / 1e3)} KB` : `${round(bytes / 1e6)} MB`

const time = (millis: number): string => millis < 1e3 ? `${round(millis)} ms` : `${round(millis / 1e3)} s`

const channels = (n: number): string => n === 1 ? "mono" : n === 2 ? "stereo" : `${n} channels`

const readable = (u: unknown, depth: number): unknown => {
  if (typeof u !== "object" || u === null) return u
  if (isBytes(u)) return size(u.byteLength)
  if (u instanceof Error) return message(u)
  if (depth > maxDepth) return show(u, depth)
  if (Array.isArray(u)) return u.map((item) => readable(item, depth + 1))
  return isPlain(u) ? readableFields(u, depth + 1) : u
}

const readableFields = (fields: object, depth = 0): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, readable(value, depth)]))
