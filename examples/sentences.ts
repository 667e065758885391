/** Characters come in one by one; sentences come out, upper-cased. The example of pipeline-py. */
import { Frame, Pipeline, PipelineTask, SentenceAggregator, TextTransformer } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Pipeline.make(
    SentenceAggregator.make(),
    TextTransformer.map((text) => text.toUpperCase())
  ))
  yield* task.queueFrames(Array.from("Hello, world. It's me, a pipeline.", (text) => Frame.TextFrame.make({ text })))
  yield* task.stopWhenDone
  yield* task.output.pipe(
    Stream.filter(Frame.TextFrame.is),
    Stream.runForEach((frame) => Console.log(JSON.stringify(frame.text)))
  )
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
