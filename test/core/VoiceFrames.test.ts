import * as Frame from "@apipeline/core/Frame"
import * as VoiceFrames from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"

const { deepStrictEqual, strictEqual } = assert

const {
  BotSpeakingFrame,
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  FunctionCallCancelledFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame,
  InputDtmfFrame,
  InterimTranscriptionFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  TranscriptionFrame,
  UserIdleTimeoutFrame,
  UserSpeakingFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame,
  VisionImageFrame
} = VoiceFrames

const classes = [
  BotSpeakingFrame,
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  FunctionCallCancelledFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame,
  InputDtmfFrame,
  InterimTranscriptionFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  TranscriptionFrame,
  UserIdleTimeoutFrame,
  UserSpeakingFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame,
  VisionImageFrame
] as const

const said = { text: "hi", userId: "ann", timestamp: "2025-01-01T00:00:00.000Z" }

const examples: ReadonlyArray<Frame.Frame> = [
  BotSpeakingFrame.make(),
  BotStartedSpeakingFrame.make(),
  BotStoppedSpeakingFrame.make(),
  FunctionCallCancelledFrame.make({ callId: "a" }),
  FunctionCallResultFrame.make({ callId: "a", result: { degrees: 21 } }),
  FunctionCallsStartedFrame.make({ callIds: ["a", "b"] }),
  InputDtmfFrame.make({ key: "#" }),
  InterimTranscriptionFrame.make(said),
  LlmResponseEndFrame.make(),
  LlmResponseStartFrame.make(),
  TranscriptionFrame.make({ ...said, finalized: true }),
  UserIdleTimeoutFrame.make({ milliseconds: 100 }),
  UserSpeakingFrame.make(),
  UserStartedSpeakingFrame.make(),
  UserStoppedSpeakingFrame.make(),
  VisionImageFrame.make({
    text: "What is it?",
    image: new Uint8Array([1, 2, 3]),
    width: 1,
    height: 1,
    format: "raw",
    mode: "RGB",
    pts: 0
  })
]

describe("VoiceFrames", () => {
  it("every class has its own tag, which is its name", () => {
    deepStrictEqual(classes.map(({ name }) => name), classes.map(({ tag }) => tag as string))
    strictEqual(new Set(classes.map(({ tag }) => tag)).size, classes.length)
    deepStrictEqual(examples.map((frame) => frame._tag), classes.map(({ tag }) => tag as string))
  })

  it("kinds: who speaks and which key is out of band, what was said is data, markers are in order", () => {
    const of = (kind: Frame.Kind) => classes.filter((one) => one.kind === kind).map(({ tag }) => tag)
    deepStrictEqual(of("data"), ["InterimTranscriptionFrame", "TranscriptionFrame", "VisionImageFrame"])
    deepStrictEqual(of("control"), ["LlmResponseEndFrame", "LlmResponseStartFrame"])
    strictEqual(of("system").length, classes.length - 5)
    deepStrictEqual(classes.filter((one) => one.uninterruptible).map(({ tag }) => tag), [
      "FunctionCallCancelledFrame",
      "FunctionCallResultFrame",
      "FunctionCallsStartedFrame",
      "TranscriptionFrame"
    ])
  })

  it.effect("every one survives JSON, with its id", () =>
    Effect.gen(function*() {
      const codec = Schema.toCodecJson(Frame.schemaWith(classes))
      for (const frame of examples) {
        const back = yield* Schema.decodeUnknownEffect(codec)(
          JSON.parse(JSON.stringify(yield* Schema.encodeEffect(codec)(frame as any)))
        )
        strictEqual((back as Frame.Frame).id, frame.id)
        strictEqual(String(back), String(frame))
        deepStrictEqual({ ...back }, { ...frame } as typeof back)
      }
    }))

  it("a key is one of twelve", () => {
    strictEqual(Schema.is(InputDtmfFrame.schema)(InputDtmfFrame.make({ key: "0" })), true)
    const decode = Schema.decodeUnknownExit(InputDtmfFrame.schema)
    strictEqual(decode({ _tag: "InputDtmfFrame", id: 1, key: "*" })._tag, "Success")
    strictEqual(decode({ _tag: "InputDtmfFrame", id: 1, key: "A" })._tag, "Failure")
  })
})
