/**
 * A small reader and writer of protobuf (proto3), and codecs that put app frames into protobuf messages.
 *
 * The reader takes nothing on trust: lengths are checked against the message they are in, varints against their type,
 * strings against UTF-8, and unknown fields are skipped without recursion. It never allocates more than the input has.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as Frame from "./Frame.ts"
import * as Bytes from "./internal/wire/bytes.ts"
import * as Issue from "./internal/wire/schemaIssue.ts"
import * as SerializerError from "./internal/wire/serializerError.ts"
import * as Identity from "./internal/wire/wireIdentity.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * How a value is laid out: 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. 3 and 4 mark groups, which proto3
 * has no more.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * const varint: Protobuf.WireType = 0
 * Array.from(new Protobuf.Writer().tag(1, varint).bool(true).finish()) // => [8, 1]
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type WireType = 0 | 1 | 2 | 5

/**
 * The fields of a message by number: the name, for errors, and the wire type.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 * import { Result } from "effect"
 *
 * const shape: Protobuf.Shape = new Map([[1, { name: "level", wireTypes: [5] }]])
 * const reader = new Protobuf.Reader(new Uint8Array([0x08, 0x01]), { shape })
 * const result = Result.try(() => reader.unexpected(reader.tag()))
 * Result.isFailure(result) && String(result.failure)
 * // => "SerializerError: protobuf: level (byte 1): found wire type 0 (varint), expected wire type 5 (32 bit)"
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type Shape = ReadonlyMap<number, { readonly name: string; readonly wireTypes: ReadonlyArray<WireType> }>

/**
 * How frames of one class become a message, and which field of the `Frame` message holds it. {@link message} makes one
 * from a list of fields; anything else can be written by hand.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer, Protobuf } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Level extends Frame.App<Level>()("Level", { decibels: Schema.Finite }) {}
 *
 * const level: Protobuf.Codec<Level> = {
 *   frame: Level,
 *   number: 16,
 *   name: "level",
 *   shape: new Map([[1, { name: "decibels", wireTypes: [5] }]]),
 *   write: (frame, writer) => writer.tag(1, 5).float(frame.decibels),
 *   read: (reader) => {
 *     let decibels = 0
 *     while (reader.more()) {
 *       const tag = reader.tag()
 *       if (tag === 13) decibels = reader.float() // 13 is field 1, wire type 5
 *       else reader.unexpected(tag)
 *     }
 *     return Level.make({ decibels })
 *   }
 * }
 *
 * const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf({ frames: [level] })
 * const frame = decodeUnsafe(encodeUnsafe(Level.make({ decibels: -6 })))
 * Level.is(frame) && frame.decibels // => -6
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface Codec<in out F extends Frame.Base = any> {
  /** Whose frames it is for. */
  readonly frame: Frame.AnyClass & { readonly is: (u: unknown) => u is F }
  /** The number of the field in the `Frame` message. */
  readonly number: number
  /** What errors call it. */
  readonly name: string
  readonly shape: Shape
  /** Writes the fields of the message. */
  readonly write: (frame: F, writer: Writer) => void
  /** Reads fields until there are no more. */
  readonly read: (reader: Reader) => F
}

const maxNumber = 2 ** 29 - 1
// What protobuf's own C++ and Java parsers allow (`kDefaultRecursionLimit`).
const maxDepth = 100
const noShape: Shape = new Map()

const wireNames = ["varint", "64 bit", "length-delimited", "start of a group", "end of a group", "32 bit"]
const wireName = (type: number): string => `wire type ${type}${type < 6 ? ` (${wireNames[type]})` : ""}`

// ---------------------------------------------------------------------------------------------------------------------
// reader
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Reads one message. Every method that reads moves on by what it has read, and throws a `SerializerError` that names
 * the field and the byte where the input is at fault; the serializers turn that into a typed failure.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * const reader = new Protobuf.Reader(new Uint8Array([0x08, 0x96, 0x01]))
 * const tag = reader.tag()
 * const read = [tag >>> 3, tag & 7, reader.uint32(), reader.more()]
 * read // => [1, 0, 150, false]
 * ```
 *
 * @category readers
 * @since 0.1.0
 */
export class Reader {
  /** What errors call the format. */
  readonly format: string
  readonly input: Uint8Array
  /** The next byte to be read. */
  position: number
  /** Where the current message ends. */
  end: number
  private readonly copies: boolean
  private path: string
  private shape: Shape
  private last: number
  private low: number
  private high: number

  constructor(
    input: Uint8Array,
    options?: {
      readonly format?: string | undefined
      /** The fields of the message, for errors. */
      readonly shape?: Shape | undefined
      /** Whether {@link Reader.bytes} gives views of the input or copies. Default `view`. */
      readonly bytes?: "view" | "copy" | undefined
    }
  ) {
    this.format = options?.format ?? "protobuf"
    this.input = input
    this.position = 0
    this.end = input.length
    this.copies = options?.bytes === "copy"
    this.path = ""
    this.shape = options?.shape ?? noShape
    this.last = 0
    this.low = 0
    this.high = 0
  }

  /** Whether the current message has more fields. */
  more(): boolean {
    return this.position < this.end
  }

  /** The number of the next field (`tag >>> 3`) and its wire type (`tag & 7`). */
  tag(): number {
    const start = this.position
    this.last = 0
    const tag = this.uint32()
    if (tag < 8) this.fail("field number 0", `a field number from 1 to ${maxNumber}`, start)
    return this.last = tag
  }

  /** Whole numbers of 32 bits. */
  uint32(): number {
    const input = this.input
    const start = this.position
    const limit = this.end < start + 4 ? this.end : start + 4
    let value = 0
    let shift = 0
    for (let i = start; i < limit; i++, shift += 7) {
      const byte = input[i]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.position = i + 1
        return value
      }
    }
    this.varint()
    if (this.high !== 0) this.fail("a number of more than 32 bits", "a number of 32 bits", start)
    return this.low
  }

  /** Whole numbers of 32 bits with a sign. */
  int32(): number {
    const start = this.position
    this.varint()
    // Negative numbers come sign-extended to 64 bits, though some writers stop at 32.
    if (this.high !== 0 && (this.high !== 0xffffffff || this.low < 0x80000000)) {
      this.fail("a number of more than 32 bits", "a number of 32 bits", start)
    }
    return this.low | 0
  }

  /** Whole numbers up to `Number.MAX_SAFE_INTEGER`. */
  uint64(): number {
    const start = this.position
    this.varint()
    if (this.high >= 0x200000) this.fail(this.decimal(), `a number up to ${Number.MAX_SAFE_INTEGER}`, start)
    return this.high * 0x100000000 + this.low
  }

  /** All 64 bits: a number where that is exact, in decimal digits otherwise (as in protobuf's JSON mapping). */
  id(): number | string {
    this.varint()
    return this.high < 0x200000 ? this.high * 0x100000000 + this.low : this.decimal()
  }

  /** All 64 bits, rounded to what a number can hold. */
  roundedUint64(): number {
    this.varint()
    return this.high * 0x100000000 + this.low
  }

  /** Whole numbers from `Number.MIN_SAFE_INTEGER` to `Number.MAX_SAFE_INTEGER`. */
  int64(): number {
    const start = this.position
    this.varint()
    const value = (this.high | 0) * 0x100000000 + this.low
    if (!Number.isSafeInteger(value)) this.fail(`about ${value}`, "a safe integer", start)
    return value
  }

  bool(): boolean {
    this.varint()
    return this.low !== 0 || this.high !== 0
  }

  float(): number {
    const start = this.take(4)
    return new DataView(this.input.buffer, this.input.byteOffset).getFloat32(start, true)
  }

  double(): number {
    const start = this.take(8)
    return new DataView(this.input.buffer, this.input.byteOffset).getFloat64(start, true)
  }

  string(): string {
    const length = this.length()
    const start = this.position
    this.position = start + length
    return Bytes.readUtf8(this.input, start, this.position) ?? this.fail("bytes that are no UTF-8", "UTF-8", start)
  }

  /** A view of the input, or a copy of it, as the options say. */
  bytes(): Uint8Array {
    const length = this.length()
    const start = this.position
    this.position = start + length
    return this.copies ? Bytes.copy(this.input, start, this.position) : Bytes.view(this.input, start, this.position)
  }

  /** A message within the message. */
  message<A>(name: string, shape: Shape, read: (reader: Reader) => A): A {
    const { end, last, path } = this
    const outer = this.shape
    const length = this.length()
    const inner = this.position + length
    this.path = path === "" ? name : `${path}.${name}`
    this.shape = shape
    this.end = inner
    this.last = 0
    const value = read(this)
    this.position = inner
    this.path = path
    this.shape = outer
    this.end = end
    this.last = last
    return value
  }

  /** Values one after another, without tags, as proto3 packs repeated numbers. */
  packed(read: () => void): void {
    const length = this.length()
    const end = this.end
    this.end = this.position + length
    while (this.position < this.end) read()
    this.end = end
  }

  /** What to do with a tag that one does not read: skips an unknown field, refuses a known one of the wrong type. */
  unexpected(tag: number): void {
    const field = this.shape.get(tag >>> 3)
    if (field !== undefined) this.fail(wireName(tag & 7), field.wireTypes.map(wireName).join(" or "))
    this.skip(tag)
  }

  /** Skips a field. Groups are skipped too, up to 100 within one another. */
  skip(tag: number): void {
    if ((tag & 7) !== 3) return this.skipValue(tag & 7)
    const groups = [tag >>> 3]
    while (groups.length > 0) {
      const start = this.position
      const inner = this.tag()
      if ((inner & 7) === 3) {
        if (groups.length === maxDepth) this.fail(`more than ${maxDepth} groups in one another`, "fewer", start)
        groups.push(inner >>> 3)
      } else if ((inner & 7) === 4) {
        const open = groups.pop()!
        if (inner >>> 3 !== open) this.fail(`the end of group ${inner >>> 3}`, `the end of group ${open}`, start)
      } else {
        this.skipValue(inner & 7)
      }
    }
  }

  /** Throws: the input is at fault at `offset`, by default where the reader is, and in `field`, by default the last. */
  fail(found: string, expected: string, offset: number = this.position, field: string = this.lastName()): never {
    throw SerializerError.malformed(this.format, {
      field: [this.path, field].filter((part) => part !== "").join("."),
      found,
      expected
    }, offset)
  }

  private lastName(): string {
    const number = this.last >>> 3
    return number === 0 ? "" : this.shape.get(number)?.name ?? `field ${number}`
  }

  private skipValue(type: number): void {
    switch (type) {
      case 0:
        return this.varint()
      case 1:
        this.take(8)
        return
      case 2:
        this.take(this.length())
        return
      case 5:
        this.take(4)
        return
      default:
        this.fail(wireName(type), "wire type 0, 1, 2, 3 or 5")
    }
  }

  private take(size: number): number {
    const start = this.position
    if (size > this.end - start) this.fail(`${this.end - start} bytes`, `${size} bytes`, start)
    this.position = start + size
    return start
  }

  private length(): number {
    const start = this.position
    const length = this.uint32()
    const left = this.end - this.position
    if (length > left) this.fail(`a length of ${length} bytes`, `at most ${left}, which is what is left`, start)
    return length
  }

  /** Leaves the two halves in `low` and `high`. */
  private varint(): void {
    const start = this.position
    let low = 0
    let high = 0
    for (let i = 0; i < 10; i++) {
      if (this.position >= this.end) this.fail("the end of the message", "the rest of a varint", start)
      const byte = this.input[this.position++]!
      const bits = byte & 0x7f
      if (i < 5) low |= bits << (7 * i)
      if (i === 4) high = bits >>> 4
      else if (i > 4) high |= bits << (7 * i - 32)
      if (i === 9 && byte > 1) break
      if (byte < 0x80) {
        this.low = low >>> 0
        this.high = high >>> 0
        return
      }
    }
    this.fail("a varint of more than 64 bits", "a varint of at most 64 bits", start)
  }

  private decimal(): string {
    return String(BigInt(this.high) * BigInt(0x100000000) + BigInt(this.low))
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// writer
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Writes one message. Nothing is checked: fields of {@link message} check their values before they write them.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Array.from(new Protobuf.Writer().tag(1, 0).uint64(150).finish()) // => [8, 150, 1]
 * ```
 *
 * @category writers
 * @since 0.1.0
 */
export class Writer {
  /** What errors call the format. */
  readonly format: string
  private target: Uint8Array
  private position: number

  constructor(options?: { readonly format?: string | undefined }) {
    this.format = options?.format ?? "protobuf"
    this.target = Bytes.allocate(256)
    this.position = 0
  }

  tag(number: number, type: WireType): this {
    return this.uint64(number * 8 + type)
  }

  /** Any whole number from 0 to 2^64 - 1: the varint of all unsigned types. */
  uint64(value: number): this {
    this.reserve(10)
    this.position = Bytes.writeVarint(value, this.target, this.position)
    return this
  }

  /** Any safe integer: the varint of `int32` and `int64`. */
  int64(value: number): this {
    if (value >= 0) return this.uint64(value)
    this.reserve(10)
    let low = value >>> 0
    let high = Math.floor(value / 0x100000000) >>> 0
    for (let i = 0; i < 9; i++) {
      this.target[this.position++] = (low & 0x7f) | 0x80
      low = ((low >>> 7) | (high << 25)) >>> 0
      high >>>= 7
    }
    this.target[this.position++] = low
    return this
  }

  bool(value: boolean): this {
    return this.uint64(value ? 1 : 0)
  }

  float(value: number): this {
    this.reserve(4)
    this.view(4).setFloat32(0, value, true)
    return this
  }

  double(value: number): this {
    this.reserve(8)
    this.view(8).setFloat64(0, value, true)
    return this
  }

  /** Length and text. Half of a surrogate pair becomes U+FFFD: protobuf allows no other form. */
  string(text: string): this {
    const size = Bytes.utf8Size(text)
    this.uint64(size)
    this.reserve(size)
    this.position = Bytes.writeUtf8(text, size, this.target, this.position)
    return this
  }

  /** Length and bytes. */
  bytes(bytes: Uint8Array): this {
    this.uint64(bytes.length)
    this.reserve(bytes.length)
    this.target.set(bytes, this.position)
    this.position += bytes.length
    return this
  }

  /** Length and whatever is written by `write`: a message within the message, or packed numbers. */
  delimited(write: (writer: this) => void): this {
    const start = this.position
    write(this)
    const size = this.position - start
    const prefix = Bytes.varintSize(size)
    this.reserve(prefix)
    this.target.copyWithin(start + prefix, start, this.position)
    Bytes.writeVarint(size, this.target, start)
    this.position += prefix
    return this
  }

  /** What was written. The writer can be used on: it starts anew. */
  finish(): Uint8Array<ArrayBuffer> {
    const bytes = Bytes.copy(this.target, 0, this.position)
    this.position = 0
    return bytes
  }

  private view(size: number): DataView {
    const at = this.target.byteOffset + this.position
    this.position += size
    return new DataView(this.target.buffer, at, size)
  }

  private reserve(size: number): void {
    const needed = this.position + size
    if (needed <= this.target.length) return
    const target = new Uint8Array(Math.max(needed, this.target.length * 2))
    target.set(this.target)
    this.target = target
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// fields
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Marks a {@link Field}.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~apipeline/Protobuf/Field"

/**
 * Marks a {@link Field}.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.TypeId // => "~apipeline/Protobuf/Field"
 * ```
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = "~apipeline/Protobuf/Field"

/**
 * A field of a message: its number and type.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * const words: Protobuf.Field<ReadonlyArray<string>> = Protobuf.repeated(Protobuf.string(3))
 * words.number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export interface Field<in out A> {
  readonly [TypeId]: (a: A) => A
  readonly number: number
}

interface FieldImpl<A> extends Field<A> {
  readonly wireType: WireType
  readonly wireTypes: ReadonlyArray<WireType>
  /** Of a value that `accepts` refuses: what it should have been. */
  readonly expected: string
  readonly accepts: (u: unknown) => boolean
  readonly write: (writer: Writer, value: A) => void
  readonly read: (reader: Reader) => A
  /** What an absent field means. */
  readonly absent: A
  /** Whether a value that `absent` means is written all the same. */
  readonly explicit: boolean
  readonly repeated: boolean
  /** Whether it holds the JSON form of the value. */
  readonly json: boolean
}

const checkNumber = (number: number): void => {
  if (Number.isInteger(number) && number >= 1 && number <= maxNumber && (number < 19000 || number >= 20000)) return
  throw new TypeError(
    `Protobuf: number: found ${number}, expected a whole number from 1 to ${maxNumber}, not from 19000 to 19999`
  )
}

const field = <A>(
  number: number,
  wireType: WireType,
  absent: A,
  expected: string,
  accepts: (u: unknown) => boolean,
  write: (writer: Writer, value: A) => void,
  read: (reader: Reader) => A
): FieldImpl<A> => {
  checkNumber(number)
  return {
    [TypeId]: (a) => a,
    number,
    wireType,
    wireTypes: [wireType],
    expected,
    accepts,
    write,
    read,
    absent,
    explicit: false,
    repeated: false,
    json: false
  }
}

const between = (minimum: number, maximum: number) => (u: unknown): boolean =>
  Number.isSafeInteger(u) && (u as number) >= minimum && (u as number) <= maximum

/**
 * Text.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.string(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const string = (number: number): Field<string> =>
  field(number, 2, "", "a string", Predicate.isString, (writer, value) => writer.string(value), (r) => r.string())

/**
 * Bytes. On reading they are a view of the input, unless the serializer copies.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.bytes(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const bytes = (number: number): Field<Uint8Array> =>
  field<Uint8Array>(
    number,
    2,
    new Uint8Array(0),
    "bytes",
    (u) => u instanceof Uint8Array,
    (writer, value) => writer.bytes(value),
    (reader) => reader.bytes()
  )

/**
 * A boolean.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.bool(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const bool = (number: number): Field<boolean> =>
  field(number, 0, false, "a boolean", Predicate.isBoolean, (writer, value) => writer.bool(value), (r) => r.bool())

/**
 * A whole number of 32 bits, with a sign.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.int32(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const int32 = (number: number): Field<number> =>
  field(
    number,
    0,
    0,
    "a whole number of 32 bits",
    between(-0x80000000, 0x7fffffff),
    (writer, value) => writer.int64(value),
    (reader) => reader.int32()
  )

/**
 * A whole number of 32 bits, from 0.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.uint32(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const uint32 = (number: number): Field<number> =>
  field(
    number,
    0,
    0,
    "a whole number from 0, of 32 bits",
    between(0, 0xffffffff),
    (writer, value) => writer.uint64(value),
    (reader) => reader.uint32()
  )

/**
 * A safe integer, on the wire of 64 bits.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.int64(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const int64 = (number: number): Field<number> =>
  field(
    number,
    0,
    0,
    "a safe integer",
    Number.isSafeInteger,
    (writer, value) => writer.int64(value),
    (reader) => reader.int64()
  )

/**
 * A safe integer from 0, on the wire of 64 bits.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.uint64(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const uint64 = (number: number): Field<number> =>
  field(
    number,
    0,
    0,
    "a safe integer from 0",
    between(0, Number.MAX_SAFE_INTEGER),
    (writer, value) => writer.uint64(value),
    (reader) => reader.uint64()
  )

/**
 * A number, rounded to 32 bits.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.float(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const float = (number: number): Field<number> =>
  field(number, 5, 0, "a number", Predicate.isNumber, (writer, value) => writer.float(value), (r) => r.float())

/**
 * A number.
 *
 * @example
 * ```ts
 * import { Protobuf } from "@apipeline/core"
 *
 * Protobuf.double(3).number // => 3
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const double = (number: number): Field<number> =>
  field(number, 1, 0, "a number", Predicate.isNumber, (writer, value) => writer.double(value), (r) => r.double())

/**
 * Anything that has a JSON form, as JSON text: for structs, dates, unions. The schema of the field says which form.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer, Protobuf } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Seen extends Frame.App<Seen>()("Seen", { at: Schema.Date, box: Schema.Struct({ x: Schema.Finite }) }) {}
 *
 * const seen = Protobuf.message(Seen, { number: 16, fields: { at: Protobuf.json(3), box: Protobuf.json(4) } })
 * const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf({ frames: [seen] })
 * const frame = decodeUnsafe(encodeUnsafe(Seen.make({ at: new Date(0), box: { x: 1 } })))
 * Seen.is(frame) && frame.box // => { x: 1 }
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const json = (number: number): Field<any> => {
  const self = field<unknown>(
    number,
    2,
    undefined,
    "a value that has a JSON form",
    (u) => u !== undefined,
    (writer, value) => writer.string(JSON.stringify(value)),
    (reader) => {
      const start = reader.position
      const text = reader.string()
      return Result.getOrElse(
        Result.try(() => JSON.parse(text) as unknown),
        () => reader.fail(SerializerError.show(text), "JSON", start)
      )
    }
  )
  const impl: FieldImpl<any> = { ...self as FieldImpl<any>, json: true }
  return impl
}

/**
 * A field with presence: `undefined` is not written, and anything else is, also `""`, 0 and `false`.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer, Protobuf } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Note extends Frame.App<Note>()("Note", { text: Schema.optionalKey(Schema.String) }) {}
 *
 * const note = Protobuf.message(Note, { number: 16, fields: { text: Protobuf.optional(Protobuf.string(3)) } })
 * const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf({ frames: [note] })
 * const frame = decodeUnsafe(encodeUnsafe(Note.make({ text: "" })))
 * Note.is(frame) && frame.text // => ""
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const optional = <A>(self: Field<A>): Field<A | undefined> => {
  const inner = self as FieldImpl<A>
  const impl: FieldImpl<A | undefined> = {
    ...inner as FieldImpl<any>,
    absent: undefined,
    explicit: true,
    accepts: (u) => u === undefined || inner.accepts(u)
  }
  return impl
}

/**
 * Any number of values. Numbers are packed, as proto3 does by default; on reading both forms are taken.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer, Protobuf } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Words extends Frame.App<Words>()("Words", { words: Schema.Array(Schema.String) }) {}
 *
 * const words = Protobuf.message(Words, { number: 16, fields: { words: Protobuf.repeated(Protobuf.string(3)) } })
 * const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf({ frames: [words] })
 * const frame = decodeUnsafe(encodeUnsafe(Words.make({ words: ["a", "", "b"] })))
 * Words.is(frame) && frame.words // => ["a", "", "b"]
 * ```
 *
 * @category fields
 * @since 0.1.0
 */
export const repeated = <A>(self: Field<A>): Field<ReadonlyArray<A>> => {
  const inner = self as FieldImpl<A>
  const impl: FieldImpl<ReadonlyArray<A>> = {
    ...inner as FieldImpl<any>,
    wireTypes: inner.wireType === 2 ? [2] : [2, inner.wireType],
    absent: [],
    expected: `an array, each item of it ${inner.expected}`,
    accepts: (u) => Array.isArray(u) && u.every(inner.accepts),
    repeated: true
  }
  return impl
}

// ---------------------------------------------------------------------------------------------------------------------
// messages
// ---------------------------------------------------------------------------------------------------------------------

type Payload<Fields extends Schema.Struct.Fields> = Schema.Struct.Encoded<Fields>

/**
 * The fields of a message for frames of a class: one for each field of the payload, of the type its schema encodes to.
 * A field that the payload may be without can be left out: then the message does not carry it.
 *
 * @example
 * ```ts
 * import { Frame, Protobuf } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Note extends Frame.App<Note>()("Note", { text: Schema.String, draft: Schema.optionalKey(Schema.Boolean) }) {}
 *
 * const fields: Protobuf.FieldsOf<typeof Note.fields> = { text: Protobuf.string(3) }
 * Protobuf.message(Note, { number: 16, fields }).name // => "Note"
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export type FieldsOf<Fields extends Schema.Struct.Fields> =
  & {
    readonly [K in keyof Payload<Fields> & keyof Fields as {} extends Pick<Payload<Fields>, K> ? never : K]: Field<
      Payload<Fields>[K]
    >
  }
  & {
    readonly [K in keyof Payload<Fields> & keyof Fields as {} extends Pick<Payload<Fields>, K> ? K : never]?: Field<
      Payload<Fields>[K] | undefined
    >
  }

/**
 * A class of frames that {@link message} can take: any app frame whose schemas need no services.
 *
 * @example
 * ```ts
 * import { Frame, Protobuf } from "@apipeline/core"
 *
 * class Hush extends Frame.App<Hush>()("Hush", {}) {}
 *
 * const frame: Protobuf.AppClass<Hush, {}> = Hush
 * Protobuf.message(frame, { number: 16, fields: {} }).number // => 16
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export interface AppClass<F extends Frame.Base, Fields extends Schema.Struct.Fields> extends Frame.AnyClass {
  readonly fields: Fields
  readonly make: (...args: ReadonlyArray<any>) => F
  readonly is: (u: unknown) => u is F
}

/**
 * A codec from a list of fields. The message begins with `uint64 id = 1` and `string name = 2`, as those of the
 * built-in frames do, unless `identity` is false; a decoded frame has them in its metadata.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer, Protobuf } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Ping extends Frame.App<Ping>()("Ping", { n: Schema.Finite }) {}
 *
 * // message Ping { uint64 id = 1; string name = 2; double n = 3; }
 * const ping = Protobuf.message(Ping, { number: 16, fields: { n: Protobuf.double(3) } })
 *
 * const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf({ frames: [ping] })
 * const frame = decodeUnsafe(encodeUnsafe(Ping.make({ n: 1.5 })))
 * Ping.is(frame) && frame.n // => 1.5
 * ```
 *
 * @category codecs
 * @since 0.1.0
 */
export const message = <F extends Frame.Base, const Fields extends Schema.Struct.Fields>(
  frame: AppClass<F, Fields>,
  options: {
    /** The number of the field in the `Frame` message. */
    readonly number: number
    readonly fields: FieldsOf<Fields>
    /** What errors call it. Default the tag. */
    readonly name?: string | undefined
    /** Whether the message has the frame's id and name. Default `true`. */
    readonly identity?: boolean | undefined
  }
): Codec<F> => {
  checkNumber(options.number)
  const identity = options.identity !== false
  const shape = new Map<number, { readonly name: string; readonly wireTypes: ReadonlyArray<WireType> }>()
  if (identity) {
    shape.set(1, { name: "id", wireTypes: [0] })
    shape.set(2, { name: "name", wireTypes: [2] })
  }
  const parts: Array<Part> = []
  for (const key of Object.keys(frame.fields)) {
    const schema = frame.fields[key] as Schema.Codec<unknown>
    const self = (options.fields as { readonly [key: string]: Field<any> | undefined })[key] as
      | FieldImpl<any>
      | undefined
    if (self === undefined) {
      if (SchemaAST.isOptional(schema.ast)) continue
      throw new TypeError(`Protobuf: fields of ${frame.tag}: found none for ${key}, expected one`)
    }
    const twin = shape.get(self.number)
    if (twin !== undefined) {
      throw new TypeError(
        `Protobuf: number of ${frame.tag}.${key}: found ${self.number}, expected one that ${twin.name} does not have`
      )
    }
    shape.set(self.number, { name: key, wireTypes: self.wireTypes })
    parts.push(makePart(key, self, schema))
  }
  const byNumber = new Map(parts.map((part) => [part.field.number, part]))

  const write = (self: F, writer: Writer): void => {
    if (identity) Identity.write(self, writer)
    for (const part of parts) writePart(part, self, writer)
  }

  const read = (reader: Reader): F => {
    const start = reader.position
    const payload: Record<string, unknown> = {}
    let id: number | string = 0
    let name = ""
    while (reader.more()) {
      const tag = reader.tag()
      const part = byNumber.get(tag >>> 3)
      if (identity && tag === 8) id = reader.id()
      else if (identity && tag === 18) name = reader.string()
      else if (part === undefined || !part.field.wireTypes.includes((tag & 7) as WireType)) reader.unexpected(tag)
      else payload[part.key] = readPart(part.field, payload[part.key], tag & 7, reader)
    }
    for (const part of parts) decodePart(part, payload, start, reader)
    return frame.make({ ...payload, metadata: Identity.metadata(id, name) })
  }

  return { frame, number: options.number, name: options.name ?? frame.tag, shape, write, read }
}

interface Part {
  readonly key: string
  readonly field: FieldImpl<any>
  /** Whether the payload may be without it. */
  readonly optional: boolean
  readonly encode: (u: unknown) => Result.Result<unknown, Schema.SchemaError>
  readonly decode: (u: unknown) => Result.Result<unknown, Schema.SchemaError>
}

const makePart = (key: string, field: FieldImpl<any>, schema: Schema.Codec<unknown>): Part => {
  const codec = field.json ? Schema.toCodecJson(schema) : schema
  return {
    key,
    field,
    optional: SchemaAST.isOptional(schema.ast),
    encode: Schema.encodeUnknownResult(codec),
    decode: Schema.decodeUnknownResult(codec)
  }
}

const writePart = ({ encode, field, key, optional }: Part, frame: Frame.Base, writer: Writer): void => {
  const value: unknown = (frame as any)[key]
  if (value === undefined && optional) return
  const result = encode(value)
  if (Result.isFailure(result)) {
    const violation = Issue.violation(result.failure.issue, value, [key])
    throw SerializerError.invalid(writer.format, frame._tag, violation)
  }
  const encoded: any = result.success
  if (!field.accepts(encoded)) {
    throw SerializerError.invalid(writer.format, frame._tag, {
      field: key,
      found: SerializerError.show(encoded),
      expected: field.expected
    })
  }
  if (field.repeated) {
    if (encoded.length === 0) return
    if (field.wireType === 2) { for (const item of encoded) field.write(writer.tag(field.number, 2), item) }
    else writer.tag(field.number, 2).delimited(() => encoded.forEach((item: unknown) => field.write(writer, item)))
  } else if (encoded !== undefined && (field.explicit || !isDefault(field, encoded))) {
    field.write(writer.tag(field.number, field.wireType), encoded)
  }
}

// -0 is no default: protobuf compares the bits.
const isDefault = ({ absent }: FieldImpl<any>, value: any): boolean =>
  Object.is(value, absent) || (value instanceof Uint8Array && value.length === 0)

const readPart = (field: FieldImpl<any>, previous: unknown, type: number, reader: Reader): unknown => {
  if (!field.repeated) return field.read(reader)
  const items = previous === undefined ? [] : previous as Array<unknown>
  if (type === field.wireType) items.push(field.read(reader))
  else reader.packed(() => items.push(field.read(reader)))
  return items
}

const decodePart = (
  { decode, field, key, optional }: Part,
  payload: Record<string, unknown>,
  start: number,
  reader: Reader
): void => {
  if (!Object.hasOwn(payload, key)) {
    if (optional) return
    if (field.json && !field.explicit && !field.repeated) reader.fail("nothing", field.expected, start, key)
    payload[key] = field.absent
  }
  const result = decode(payload[key])
  if (Result.isFailure(result)) {
    const violation = Issue.violation(result.failure.issue, payload[key], [key])
    reader.fail(violation.found, violation.expected, start, violation.field)
  }
  payload[key] = result.success
}
