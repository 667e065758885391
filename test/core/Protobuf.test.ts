import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as Protobuf from "@apipeline/core/Protobuf"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import { Result, Schema } from "effect"
import protobuf from "protobufjs"
import { lookup } from "../utils/protobufjs.ts"
import { random } from "../utils/random.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"))
const reader = (text: string): Protobuf.Reader => new Protobuf.Reader(unhex(text))

/** The error of reading or writing, as `field (byte n): found a, expected b`. */
const failure = (f: () => unknown): string => {
  const result = Result.try(f)
  assert(Result.isFailure(result), "expected it to be refused")
  assert.instanceOf(result.failure, FrameSerializer.SerializerError)
  return result.failure.message.replace(/^protobuf: /, "")
}

describe("Reader and Writer", () => {
  const small = [
    0,
    1,
    127,
    128,
    16383,
    16384,
    2097151,
    2097152,
    268435455,
    268435456,
    0x7fffffff,
    0x80000000,
    0xffffffff
  ]
  const all = [...small, 2 ** 32, 2 ** 35 - 1, 2 ** 35, 2 ** 42, 2 ** 49, 2 ** 53 - 1]

  it("write the varints that protobufjs writes, and read them", () => {
    for (const value of all) {
      const bytes = new Protobuf.Writer().uint64(value).finish()
      strictEqual(hex(bytes), hex(protobuf.Writer.create().uint64(value).finish()), String(value))
      strictEqual(new Protobuf.Reader(bytes).uint64(), value)
      strictEqual(new Protobuf.Reader(bytes).id(), value)
      if (value <= 0xffffffff) strictEqual(new Protobuf.Reader(bytes).uint32(), value)
      else assert.include(failure(() => new Protobuf.Reader(bytes).uint32()), "more than 32 bits")
    }
    for (const value of [...all, ...all.map((value) => 0 - value)]) {
      const bytes = new Protobuf.Writer().int64(value).finish()
      strictEqual(hex(bytes), hex(protobuf.Writer.create().int64(value).finish()), String(value))
      strictEqual(new Protobuf.Reader(bytes).int64(), value)
      if (value === (value | 0)) strictEqual(new Protobuf.Reader(bytes).int32(), value)
      else if (Math.abs(value) >= 2 ** 32) {
        assert.include(failure(() => new Protobuf.Reader(bytes).int32()), "more than 32 bits")
      }
    }
    const { number } = random(1)
    for (let i = 0; i < 5000; i++) {
      const value = number(53)
      const bytes = new Protobuf.Writer().uint64(value).int64(0 - value).finish()
      strictEqual(hex(bytes), hex(protobuf.Writer.create().uint64(value).int64(0 - value).finish()))
      const both = new Protobuf.Reader(bytes)
      deepStrictEqual([both.uint64(), both.int64(), both.more()], [value, 0 - value, false])
    }
  })

  it("keep all of a 64 bit id", () => {
    strictEqual(reader("ffffffffffffff0f").uint64(), Number.MAX_SAFE_INTEGER)
    strictEqual(reader("8080808080808010").id(), "9007199254740992")
    strictEqual(reader("ffffffffffffffffff01").id(), "18446744073709551615")
    strictEqual(reader("ffffffffffffffffff01").roundedUint64(), 2 ** 64)
    strictEqual(reader("ffffffffffffffffff01").int64(), -1)
    strictEqual(
      failure(() => reader("8080808080808010").uint64()),
      "(byte 0): found 9007199254740992, expected a number up to 9007199254740991"
    )
    assert.include(failure(() => reader("8080808080808080807f").int64()), "at most 64 bits")
    assert.include(failure(() => reader("80808080808080808001").int64()), "expected a safe integer")
    strictEqual(reader("ffffffff0f").int32(), -1, "a negative number that was not sign-extended")
    strictEqual(hex(new Protobuf.Writer().uint64(2 ** 64 - 2048).finish()), "80f0ffffffffffffff01")
  })

  it("take varints that are longer than they need be, not those of more than 64 bits", () => {
    strictEqual(reader("8000").uint32(), 0)
    strictEqual(reader("8180808080808080 8000").uint32(), 1)
    strictEqual(reader("ff80808080808080 8000").id(), 127)
    strictEqual(reader("80808080808080808000").bool(), false)
    strictEqual(reader("80808080808080808001").bool(), true)
    for (const read of ["uint32", "uint64", "int32", "int64", "id", "roundedUint64", "bool"] as const) {
      const overlong = failure(() => reader("80808080808080808080808000")[read]())
      strictEqual(overlong, "(byte 0): found a varint of more than 64 bits, expected a varint of at most 64 bits")
      strictEqual(failure(() => reader("80808080808080808002")[read]()), overlong)
      for (const cut of ["", "80", "80808080", "8080808080808080"]) {
        const message = "(byte 0): found the end of the message, expected the rest of a varint"
        strictEqual(failure(() => reader(cut)[read]()), message)
      }
    }
  })

  it("read and write floats and doubles", () => {
    for (const value of [0, -0, 1.5, -1e30, Infinity, -Infinity, NaN, 5e-324, 3.4e38]) {
      const bytes = new Protobuf.Writer().float(value).double(value).finish()
      strictEqual(hex(bytes), hex(protobuf.Writer.create().float(value).double(value).finish()))
      const both = new Protobuf.Reader(bytes)
      strictEqual(both.float(), Math.fround(value))
      strictEqual(both.double(), value)
    }
    // not at the start of its buffer
    strictEqual(new Protobuf.Reader(Buffer.from("ff0000c03f", "hex").subarray(1)).float(), 1.5)
    strictEqual(failure(() => reader("0000c0").float()), "(byte 0): found 3 bytes, expected 4 bytes")
    strictEqual(failure(() => reader("00").double()), "(byte 0): found 1 bytes, expected 8 bytes")
  })

  it("read and write strings of any length", () => {
    const { text } = random(2)
    const texts = ["", "a", "é", "世界", "👋", "\ufeffBOM", "\0", "👋".repeat(64), "é".repeat(9000)]
    for (let size = 0; size < 140; size++) texts.push("x".repeat(size))
    for (let i = 0; i < 2000; i++) texts.push(text(200))
    for (const text of texts) {
      const bytes = new Protobuf.Writer().string(text).finish()
      strictEqual(hex(bytes), hex(protobuf.Writer.create().string(text).finish()))
      strictEqual(new Protobuf.Reader(bytes).string(), text)
    }
    for (const half of ["a\ud83d", "\udc4b", "\ud83d".repeat(200), "\ud83d\ud83d\udc4b", "\udc4b\ud83d"]) {
      const bytes = new Protobuf.Writer().string(half).finish()
      strictEqual(new Protobuf.Reader(bytes).string(), half.toWellFormed())
    }
  })

  it("refuse strings that are no UTF-8, of any length", () => {
    // a lone continuation, a truncated sequence, an overlong slash, a surrogate, beyond U+10FFFF, never valid
    for (const bad of ["80", "c3", "e4b8", "c0af", "eda080", "f4908080", "ff"]) {
      for (const size of [0, 1, 2, 3, 4, 5, 6, 7, 8, 100, 500]) {
        const padding = "61".repeat(size)
        for (const text of [bad + padding, padding + bad, padding + bad + padding]) {
          const wire = new Protobuf.Writer().bytes(unhex(text)).finish()
          const message = failure(() => new Protobuf.Reader(wire).string())
          assert.include(message, "found bytes that are no UTF-8, expected UTF-8")
        }
      }
    }
  })

  it("give bytes as views of the input, or as copies", () => {
    const input = Buffer.from("00000568656c6c6f", "hex").subarray(2)
    const view = new Protobuf.Reader(input).bytes()
    const copy = new Protobuf.Reader(input, { bytes: "copy" }).bytes()
    for (const bytes of [view, copy]) {
      strictEqual(Object.getPrototypeOf(bytes), Uint8Array.prototype)
      deepStrictEqual(bytes, new TextEncoder().encode("hello"))
    }
    strictEqual(view.buffer, input.buffer)
    input[1] = 0x6a
    strictEqual(view[0], 0x6a)
    strictEqual(copy[0], 0x68)
  })

  it("copies are aligned for samples of any width", () => {
    const writer = new Protobuf.Writer()
    for (const size of [101, 640, 66, 5000, 1]) writer.bytes(new Uint8Array(size))
    const reader = new Protobuf.Reader(writer.finish(), { bytes: "copy" })
    while (reader.more()) strictEqual(reader.bytes().byteOffset % 8, 0)
  })

  it("check lengths against the message they are in", () => {
    strictEqual(
      failure(() => reader("0568656c6c").bytes()),
      "(byte 0): found a length of 5 bytes, expected at most 4, which is what is left"
    )
    // a message of 3 bytes, and within it a string that ends after it
    const outer = reader("03 1202 6161")
    strictEqual(
      failure(() =>
        outer.message("m", new Map([[2, { name: "name", wireTypes: [2] }]]), (reader) => {
          reader.tag()
          return reader.string()
        })
      ),
      "m.name (byte 2): found a length of 2 bytes, expected at most 1, which is what is left"
    )
    for (const read of ["bytes", "string"] as const) {
      assert.include(failure(() => reader("ffffffff0f61")[read]()), "found a length of 4294967295 bytes")
      assert.include(failure(() => reader("ffffffff1f61")[read]()), "found a number of more than 32 bits")
    }
  })

  it("go on after a message within the message, whatever was read of it", () => {
    const outer = reader("0a 02 1801 10 07")
    strictEqual(outer.tag(), 10)
    const read = outer.message("m", new Map(), (inner) => `tag ${inner.tag()}, not the value`)
    strictEqual(read, "tag 24, not the value")
    strictEqual(failure(() => outer.fail("a", "b")), "field 1 (byte 4): found a, expected b")
    deepStrictEqual([outer.tag(), outer.uint32(), outer.more()], [16, 7, false])
  })

  it("refuse tags that no field has", () => {
    for (const zero of ["00", "02", "07"]) assert.include(failure(() => reader(zero).tag()), "found field number 0")
    assert.include(failure(() => reader("8080808010").tag()), "more than 32 bits")
    strictEqual(reader("f8ffffff0f").tag() >>> 3, 2 ** 29 - 1)
  })

  it("skip fields of any type", () => {
    const fields = [
      "1001",
      "10ffffffffffffffffff01",
      "11 0102030405060708",
      "15 01020304",
      "12 00",
      "12 03 010203",
      "13 14", // an empty group
      "13 0801 120161 13 2a00 14 1d01020304 14" // groups in one another, with fields
    ]
    for (const field of fields) {
      const it = reader(`${field}0801`)
      it.skip(it.tag())
      deepStrictEqual([it.tag(), it.uint32(), it.more()], [8, 1, false], field)
    }
  })

  it("refuse fields that cannot be skipped", () => {
    const table: ReadonlyArray<readonly [string, string]> = [
      ["10", "found the end of the message, expected the rest of a varint"],
      ["1080", "found the end of the message, expected the rest of a varint"],
      ["11 01020304050607", "found 7 bytes, expected 8 bytes"],
      ["15 010203", "found 3 bytes, expected 4 bytes"],
      ["12", "found the end of the message, expected the rest of a varint"],
      ["12 02 01", "found a length of 2 bytes, expected at most 1, which is what is left"],
      ["13", "found the end of the message, expected the rest of a varint"],
      ["13 1c", "found the end of group 3, expected the end of group 2"],
      ["13 0801", "found the end of the message, expected the rest of a varint"],
      ["14", "found wire type 4 (end of a group), expected wire type 0, 1, 2, 3 or 5"],
      ["16", "found wire type 6, expected wire type 0, 1, 2, 3 or 5"],
      ["17", "found wire type 7, expected wire type 0, 1, 2, 3 or 5"],
      ["13 16", "found wire type 6, expected wire type 0, 1, 2, 3 or 5"],
      ["13 00 14", "found field number 0, expected a field number from 1 to 536870911"]
    ]
    for (const [input, message] of table) {
      const it = reader(input)
      assert.include(failure(() => it.skip(it.tag())), message, input)
    }
  })

  it("skip 100 groups in one another, not more, and without recursion", () => {
    const nested = (depth: number): Protobuf.Reader => reader("13".repeat(depth) + "14".repeat(depth))
    const fine = nested(100)
    fine.skip(fine.tag())
    assert.isFalse(fine.more())
    for (const depth of [101, 1_000_000]) {
      const deep = nested(depth)
      assert.include(failure(() => deep.skip(deep.tag())), "found more than 100 groups in one another")
    }
  })

  it("a writer grows, starts anew after it has finished, and gives away none of its memory", () => {
    const writer = new Protobuf.Writer()
    const first = writer.bytes(new Uint8Array(100_000).fill(1)).finish()
    strictEqual(first.length, 100_003)
    const second = writer.string("a").finish()
    deepStrictEqual(second, Uint8Array.of(1, 97))
    writer.string("b").finish()
    strictEqual(second[1], 97)
    strictEqual(first[50_000], 1)
  })

  it("delimited writes the length of what it contains, however long", () => {
    for (const size of [0, 1, 127, 128, 16383, 16384, 100_000]) {
      const bytes = new Uint8Array(size).fill(7)
      const message = new Protobuf.Writer()
        .tag(1, 2)
        .delimited((writer) => writer.tag(2, 2).delimited((writer) => writer.tag(3, 2).bytes(bytes)))
        .tag(4, 0)
        .uint64(1)
        .finish()
      const oracle = protobuf.Writer.create()
      oracle.uint32(10).fork().uint32(18).fork().uint32(26).bytes(bytes).ldelim().ldelim().uint32(32).uint32(1)
      strictEqual(hex(message), hex(oracle.finish()))
    }
  })

  it("memory of what was written survives that others transfer theirs", () => {
    const write = () => new Protobuf.Writer().bytes(new Uint8Array(100).fill(5)).finish()
    const mine = write()
    const copy = mine.slice()
    structuredClone(copy, { transfer: [copy.buffer] })
    strictEqual(mine[50], 5)
    structuredClone(mine, { transfer: [mine.buffer] })
    strictEqual(write()[50], 5, "a slab that is gone is replaced")
  })
})

// ---------------------------------------------------------------------------------------------------------------------

class Everything extends Frame.App<Everything>()("Everything", {
  text: Schema.String,
  bytes: Schema.Uint8Array,
  flag: Schema.Boolean,
  int32: Schema.Int,
  uint32: Schema.Int,
  int64: Schema.Int,
  uint64: Schema.Int,
  float: Schema.Number,
  double: Schema.Number,
  note: Schema.optionalKey(Schema.String),
  maybe: Schema.UndefinedOr(Schema.Boolean),
  words: Schema.Array(Schema.String),
  numbers: Schema.Array(Schema.Int),
  doubles: Schema.Array(Schema.Number),
  at: Schema.Date,
  box: Schema.optionalKey(Schema.Struct({ x: Schema.Finite, inner: Schema.Array(Schema.Uint8Array) })),
  local: Schema.optionalKey(Schema.String)
}) {}

const fields = {
  text: Protobuf.string(3),
  bytes: Protobuf.bytes(4),
  flag: Protobuf.bool(5),
  int32: Protobuf.int32(6),
  uint32: Protobuf.uint32(7),
  int64: Protobuf.int64(8),
  uint64: Protobuf.uint64(9),
  float: Protobuf.float(10),
  double: Protobuf.double(11),
  note: Protobuf.optional(Protobuf.string(12)),
  maybe: Protobuf.optional(Protobuf.bool(13)),
  words: Protobuf.repeated(Protobuf.string(14)),
  numbers: Protobuf.repeated(Protobuf.int32(15)),
  doubles: Protobuf.repeated(Protobuf.double(16)),
  at: Protobuf.json(500),
  box: Protobuf.json(501)
}

const everything = FrameSerializer.makeProtobuf({ frames: [Protobuf.message(Everything, { number: 100, fields })] })

const oracle = lookup(
  `syntax = "proto3";
message Everything {
  uint64 id = 1; string name = 2; string text = 3; bytes bytes = 4; bool flag = 5; int32 int32 = 6; uint32 uint32 = 7;
  int64 int64 = 8; uint64 uint64 = 9; float float = 10; double double = 11; optional string note = 12;
  optional bool maybe = 13; repeated string words = 14; repeated int32 numbers = 15; repeated double doubles = 16;
  string at = 500; string box = 501;
}
message Frame { oneof frame { Everything everything = 100; } }`,
  "Frame"
)

const zero = {
  text: "",
  bytes: new Uint8Array(0),
  flag: false,
  int32: 0,
  uint32: 0,
  int64: 0,
  uint64: 0,
  float: 0,
  double: 0,
  maybe: undefined,
  words: [],
  numbers: [],
  doubles: [],
  at: new Date(0)
}

const payload = ({ id: _id, metadata: _metadata, pts: _pts, ...payload }: Everything) => ({ ...payload })

const roundTrip = (frame: Everything): Everything => {
  const decoded = everything.decodeUnsafe(everything.encodeUnsafe(frame))
  assert(Everything.is(decoded))
  return decoded
}

describe("message", () => {
  it("round trips all field types, as protobufjs reads and writes them", () => {
    const { boolean, bytes, int, number, pick, text } = random(3)
    const signed = (bits: number) => boolean() ? number(bits) : 0 - number(bits)
    const list = <A>(f: () => A): Array<A> => Array.from({ length: int(5) }, f)
    for (let i = 0; i < 500; i++) {
      const frame = Everything.make({
        text: text(10),
        bytes: bytes(int(50)),
        flag: boolean(),
        int32: signed(31),
        uint32: number(32),
        int64: signed(53),
        uint64: number(53),
        float: Math.fround(pick([0, -0, 1.1, -1e-40, Infinity, number(20) / 3])),
        double: pick([0, -0, 1.1, -5e-324, -Infinity, number(53) / 3]),
        ...boolean() && { note: text(2) },
        maybe: pick([undefined, true, false]),
        words: list(() => text(3)),
        numbers: list(() => signed(31)),
        doubles: list(() => pick([0, -0, NaN, number(53) / 7])),
        at: new Date(number(40)),
        ...boolean() && { box: { x: number(20), inner: [bytes(3)] } }
      })
      const decoded = roundTrip(frame)
      deepStrictEqual(payload(decoded), payload(frame))
      deepStrictEqual(FrameSerializer.wireIdentity(decoded), { id: frame.id, name: frame.name })

      const wire = everything.encodeUnsafe(frame)
      const seen = oracle.type.toObject(oracle.type.decode(wire), { longs: Number })["everything"]
      strictEqual(seen.text ?? "", frame.text)
      strictEqual(seen.int64 ?? 0, frame.int64)
      strictEqual(seen.float ?? 0, frame.float)
      strictEqual(seen.note, frame.note)
      strictEqual(seen.maybe, frame.maybe)
      deepStrictEqual(seen.numbers ?? [], frame.numbers)
      strictEqual(JSON.parse(seen.at), frame.at.toISOString())
      // What protobufjs makes of it again is the same message.
      const again = everything.decodeUnsafe(Uint8Array.from(oracle.type.encode(oracle.type.decode(wire)).finish()))
      deepStrictEqual(payload(again as Everything), payload(frame))
    }
  })

  it("leaves out what is default or not carried, and writes what has presence", () => {
    const wire = everything.encodeUnsafe(Everything.make({ ...zero, local: "stays here" }))
    deepStrictEqual(Object.keys(oracle.decode(wire).everything), ["id", "name", "at"])
    const decoded = roundTrip(Everything.make({ ...zero, local: "stays here" }))
    deepStrictEqual(payload(decoded) as object, {
      _tag: "Everything",
      ...zero,
      note: undefined,
      box: undefined,
      local: undefined
    })
    const present = roundTrip(Everything.make({ ...zero, note: "", maybe: false, double: -0, float: -0 }))
    deepStrictEqual([present.note, present.maybe, present.double, present.float], ["", false, -0, -0])
  })

  it("reads repeated numbers packed and not, and the last of repeated values", () => {
    const wire = new Protobuf.Writer().tag(500, 2).string("\"1970-01-01T00:00:00.000Z\"")
      .tag(15, 0).int64(-1)
      .tag(15, 2).delimited((writer) => writer.int64(2).int64(-3))
      .tag(15, 0).int64(4)
      .tag(3, 2).string("first")
      .tag(3, 2).string("last")
      .finish()
    const frame = everything.decodeUnsafe(new Protobuf.Writer().tag(100, 2).bytes(wire).finish()) as Everything
    deepStrictEqual(frame.numbers, [-1, 2, -3, 4])
    strictEqual(frame.text, "last")
  })

  const invalid: ReadonlyArray<readonly [object, string]> = [
    [{ text: 1 }, "Everything.text: found 1, expected string"],
    [{ int32: 2 ** 31 }, "Everything.int32: found 2147483648, expected a whole number of 32 bits"],
    [{ uint32: -1 }, "Everything.uint32: found -1, expected a whole number from 0, of 32 bits"],
    [{ int64: 2 ** 53 }, "Everything.int64: found 9007199254740992, expected an integer"],
    [{ uint64: -1 }, "Everything.uint64: found -1, expected a safe integer from 0"],
    [{ flag: undefined }, "Everything.flag: found undefined, expected boolean"],
    [{ words: ["a", 1] }, "Everything.words[1]: found 1, expected string"],
    [
      { numbers: [2 ** 31] },
      "Everything.numbers: found an array of 1, expected an array, each item of it a whole number of 32 bits"
    ],
    [{ box: { x: Infinity, inner: [] } }, "Everything.box.x: found Infinity, expected a finite number"],
    [{ id: -1 }, "Everything.id: found -1, expected a whole number from 0"]
  ]
  it.each(invalid)("refuses to encode %o", (fields, message) => {
    const frame = Object.assign(Everything.make(zero), fields)
    strictEqual(failure(() => everything.encodeUnsafe(frame)), message)
  })

  const malformed: ReadonlyArray<readonly [string, string]> = [
    ["1a01ff", "text (byte 5): found bytes that are no UTF-8, expected UTF-8"],
    ["1801", "text (byte 4): found wire type 0 (varint), expected wire type 2 (length-delimited)"],
    ["0a00", "id (byte 4): found wire type 2 (length-delimited), expected wire type 0 (varint)"],
    [
      "7d00000000",
      "numbers (byte 4): found wire type 5 (32 bit), expected wire type 2 (length-delimited) or wire type 0 (varint)"
    ],
    ["7a0180", "numbers (byte 5): found the end of the message, expected the rest of a varint"],
    ["8201077777777777777777", "doubles (byte 6): found 7 bytes, expected 8 bytes"],
    ["3880808080 8001", "uint32 (byte 4): found a number of more than 32 bits, expected a number of 32 bits"],
    ["", "at (byte 3): found nothing, expected a value that has a JSON form"],
    ["a21f027b5d", "at (byte 5): found \"{]\", expected JSON"],
    ["a21f0133", "at (byte 3): found 3, expected string"],
    [
      "a21f1a22313937302d30312d30315430303a30303a30302e3030305a22 aa1f027b7d",
      "box.x (byte 3): found nothing, expected a value"
    ]
  ]
  it.each(malformed)("refuses to decode %s", (text, message) => {
    const wire = new Protobuf.Writer().tag(100, 2).bytes(unhex(text)).finish()
    strictEqual(failure(() => everything.decodeUnsafe(wire)), `Everything.${message}`)
  })

  it("without identity, numbers 1 and 2 are free", () => {
    class Bare extends Frame.App<Bare>()("Bare", { text: Schema.String }) {}
    const codec = Protobuf.message(Bare, { number: 7, fields: { text: Protobuf.string(1) }, identity: false })
    const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf({ frames: [codec] })
    strictEqual(hex(encodeUnsafe(Bare.make({ text: "a" }))), "3a030a0161")
    const frame = decodeUnsafe(unhex("3a030a0161"))
    assert(Bare.is(frame))
    strictEqual(frame.text, "a")
    strictEqual(frame.metadata, undefined)
  })

  it("takes the largest of numbers", () => {
    class Bare extends Frame.App<Bare>()("Bare", { text: Schema.String }) {}
    const codec = Protobuf.message(Bare, { number: 2 ** 29 - 1, fields: { text: Protobuf.string(2 ** 29 - 1) } })
    const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf({ frames: [codec] })
    strictEqual((decodeUnsafe(encodeUnsafe(Bare.make({ text: "a" }))) as Bare).text, "a")
  })

  it("refuses what cannot be a message", () => {
    class Two extends Frame.App<Two>()("Two", { a: Schema.String, b: Schema.String }) {}
    const message = (fields: any, number = 9) => () => Protobuf.message(Two, { number, fields })
    const twice = { a: Protobuf.string(3), b: Protobuf.string(3) }
    assert.throws(message(twice), /number of Two.b: found 3, expected one that a does not have/)
    const taken = { a: Protobuf.string(1), b: Protobuf.string(3) }
    assert.throws(message(taken), /number of Two.a: found 1, expected one that id does not have/)
    assert.throws(message({ a: Protobuf.string(3) }), /fields of Two: found none for b, expected one/)
    assert.throws(message({ a: Protobuf.string(3), b: Protobuf.string(4) }, 0), /number: found 0/)
    for (const number of [0, -1, 1.5, 2 ** 29, 19000, 19999]) {
      assert.throws(() => Protobuf.string(number), /number: found .*, expected a whole number from 1 to 536870911/)
    }
  })
})
