/** Filters let pass what they are told to; system and lifecycle frames they never hold up. */
import { Frame, FrameFilter, Pipeline, PipelineTask } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Pipeline.make(
    FrameFilter.byType([Frame.TextFrame]),
    FrameFilter.make((frame) => !Frame.TextFrame.is(frame) || frame.text.length > 3)
  ))
  const silence = Frame.AudioRawFrame.make({ audio: new Uint8Array(640), sampleRate: 16_000, numChannels: 1 })
  const texts = ["a", "long enough", "no", "this too"].map((text) => Frame.TextFrame.make({ text }))
  yield* task.queueFrames([silence, ...texts, silence])
  yield* task.stopWhenDone
  yield* Stream.runForEach(task.output, (frame) => Console.log(Frame.TextFrame.is(frame) ? frame.text : frame._tag))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
