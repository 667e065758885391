/** The cases of pipecat's `SkipTagsAggregator`, which is `TextAggregator` with `tags`. */
import * as Frame from "@apipeline/core/Frame"
import type * as Sentence from "@apipeline/core/Sentence"
import { interrupt, payload, run, sleep } from "@apipeline/core/testing"
import * as TextAggregator from "@apipeline/core/TextAggregator"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

const { deepStrictEqual, strictEqual } = assert

const spell: ReadonlyArray<Sentence.TagPair> = [["<spell>", "</spell>"]]
const both: ReadonlyArray<Sentence.TagPair> = [...spell, ["<code>", "</code>"]]

interface Case {
  readonly tags?: ReadonlyArray<Sentence.TagPair>
  readonly push: ReadonlyArray<readonly [text: string, out: ReadonlyArray<string>]>
  readonly flush?: ReadonlyArray<string>
}

const suite = (mode: TextAggregator.Mode, cases: Readonly<Record<string, Case>>): void => {
  describe(mode, () => {
    for (const [name, { flush = [], push, tags = spell }] of Object.entries(cases)) {
      const options = { mode, tags, trim: true }

      it(name, () => {
        const aggregator = TextAggregator.makeAggregator(options)
        const typed = (texts: ReadonlyArray<string>) => texts.map((text) => ({ type: mode, text }))
        // twice: a flush leaves nothing behind
        for (let i = 0; i < 2; i++) {
          for (const [text, out] of push) deepStrictEqual(aggregator.push(text), typed(out))
          deepStrictEqual(aggregator.flush(), typed(flush))
          deepStrictEqual(aggregator.flush(), [])
          strictEqual(aggregator.pending, "")
        }
      })

      it.effect(`${name}, as a processor`, () =>
        Effect.gen(function*() {
          const frames = push.map(([text]) => Frame.TextFrame.make({ text }))
          const { down } = yield* run(TextAggregator.make(options), frames)
          deepStrictEqual(payload(down).map((frame) => Frame.TextFrame.is(frame) && frame.text), [
            ...push.flatMap(([, out]) => out),
            ...flush
          ])
        }))
    }
  })
}

suite("sentence", {
  "no tags in the text": { push: [["Hello Pipecat!", []]], flush: ["Hello Pipecat!"] },
  "no sentence ends in a tag": {
    push: [["My email is <spell>foo@pipecat.ai</spell>.", []]],
    flush: ["My email is <spell>foo@pipecat.ai</spell>."]
  },
  "nor behind a dot in it": {
    push: [["My email is <spell>foo.bar@pipecat.ai</spell>.", []]],
    flush: ["My email is <spell>foo.bar@pipecat.ai</spell>."]
  },
  "sentences in a tag are none": {
    push: [["Say <spell>Oh! Well. Yes", []], [" then? No</spell>. Do", ["Say <spell>Oh! Well. Yes then? No</spell>."]]],
    flush: ["Do"]
  },
  "an open tag is spoken all the same, and forgotten": {
    push: [
      ["Hi there. Next <spell>foo@pipecat.ai. And", ["Hi there."]]
    ],
    flush: ["Next <spell>foo@pipecat.ai. And"]
  },
  "a start and an end in pieces": {
    push: [["It is <sp", []], ["ell>A. B! C</", []], ["spell> ok. Is", ["It is <spell>A. B! C</spell> ok."]]],
    flush: ["Is"]
  },
  "several pairs do not nest": {
    tags: both,
    push: [["Say <code>a. <spell>B</code>. Next", ["Say <code>a. <spell>B</code>."]], [" one. Y", ["Next one."]]],
    flush: ["Y"]
  }
})

suite("token", {
  "no tags in the text": { push: [["Hello!", ["Hello!"]]] },
  "waits in a tag": { push: [["<spell>foo@bar", []], ["</spell>", ["<spell>foo@bar</spell>"]]] },
  "an open tag comes out at a flush": { push: [["<spell>unclosed", []]], flush: ["<spell>unclosed"] },
  "text around a tag": {
    push: [["Hi ", ["Hi "]], ["<spell>", []], ["X", []], ["</spell>", ["<spell>X</spell>"]], [" bye", [" bye"]]]
  },
  "a start in two pieces": {
    push: [["Call ", ["Call "]], ["<spe", []], ["ll>a b c</spell>", ["<spell>a b c</spell>"]], [" now", [" now"]]]
  },
  "a start in three pieces": { push: [["<sp", []], ["el", []], ["l>abc</spell>", ["<spell>abc</spell>"]]] },
  "the beginning of a start gives nothing": { push: [["<spe", []]], flush: ["<spe"] },
  "what begins like a start is held, and comes out when it is none": {
    push: [["Hi <", ["Hi "]], [" there", ["< there"]]]
  },
  "a piece with text and the beginning of a start": {
    push: [["Call <spe", ["Call "]], ["ll>a b", []], [" c</sp", []], ["ell> now", ["<spell>a b c</spell> now"]]]
  },
  "several pairs": {
    tags: both,
    push: [
      ["Call ", ["Call "]],
      ["<cod", []],
      ["e>x</code>", ["<code>x</code>"]],
      [" and ", [" and "]],
      ["<spe", []],
      ["ll>y</spell>", ["<spell>y</spell>"]],
      [" done", [" done"]]
    ]
  },
  "a second tag is whole too": {
    push: [
      ["<spell>abc</spell>", ["<spell>abc</spell>"]],
      ["<spell>de", []],
      ["f</spell>", ["<spell>def</spell>"]],
      [" done", [" done"]]
    ]
  }
})

it("what is pending is the text so far", () => {
  for (const mode of ["sentence", "token"] as const) {
    const aggregator = TextAggregator.makeAggregator({ mode, tags: spell })
    deepStrictEqual(aggregator.push("<spell>foo@bar</sp"), [])
    strictEqual(aggregator.pending, "<spell>foo@bar</sp")
    aggregator.reset()
    strictEqual(aggregator.pending, "")
    deepStrictEqual(aggregator.flush(), [])
  }
})

it.effect("an interruption in a tag forgets it", () =>
  Effect.gen(function*() {
    const [first, second] = ["<spell>a", "Well. Yes"].map((text) => Frame.TextFrame.make({ text }))
    const { down } = yield* run(TextAggregator.make({ tags: spell }), [first!, sleep("1 millis"), interrupt, second!])
    deepStrictEqual(payload(down).map((frame) => Frame.TextFrame.is(frame) && frame.text), ["Well.", " Yes"])
  }))
