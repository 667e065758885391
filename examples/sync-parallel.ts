/** Branches in step: what they make of one input is released together, here in the order of the branches. */
import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"

const caption = Processor.sync("Caption", {
  TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: `caption of ${frame.text}` }))
})

const picture = Processor.effect("Picture", {
  TextFrame: (frame, { push }) =>
    Effect.andThen(Effect.sleep("30 millis"), push(Frame.TextFrame.make({ text: `picture of ${frame.text}` })))
})

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Pipeline.syncParallel({ order: "branch" })(picture, caption))
  yield* task.queueFrames(["January", "February"].map((text) => Frame.TextFrame.make({ text })))
  yield* task.stopWhenDone
  yield* task.output.pipe(Stream.filter(Frame.TextFrame.is), Stream.runForEach((frame) => Console.log(frame.text)))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
