/** The program of the README. */
import { Frame, Pipeline, PipelineTask, Processor, SentenceAggregator } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"

const shout = Processor.sync("Shout", {
  TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
})
const slowly = Processor.queued("Slowly", {
  TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("100 millis"), push(frame))
})

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Pipeline.make(SentenceAggregator.make(), shout, slowly))
  const words = "Hello, world. How are you? I am fine!".split(/(?<= )/)
  yield* task.queueFrames(words.map((text) => Frame.TextFrame.make({ text })))
  yield* task.stopWhenDone
  yield* Stream.runForEach(task.output, (frame) => Console.log(Frame.format(frame)))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
