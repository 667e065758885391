/** Branches side by side: each frame goes into all of them, and what several let pass comes out once. */
import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Stream } from "effect"

const tag = (tag: string, millis: number) =>
  Processor.effect(tag, {
    TextFrame: (frame, { push }) =>
      Effect.andThen(Effect.sleep(millis), push(Frame.TextFrame.make({ text: `${frame.text} ${tag}` })))
  })

const pipeline = Pipeline.parallel(tag("slowly", 60), tag("quickly", 0), Processor.sync("Same", {}))

const program = Effect.gen(function*() {
  yield* Console.log(Pipeline.toMermaid(pipeline))
  const task = yield* PipelineTask.make(pipeline)
  yield* task.queueFrames(["one", "two"].map((text) => Frame.TextFrame.make({ text })))
  yield* task.stopWhenDone
  yield* task.output.pipe(Stream.filter(Frame.TextFrame.is), Stream.runForEach((frame) => Console.log(frame.text)))
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
