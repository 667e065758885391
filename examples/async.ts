/** Queued processors work side by side: while the second is busy with one frame, the first takes the next. */
import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"

const worker = (name: string) =>
  Processor.queued(name, {
    TextFrame: (frame, { push }) =>
      Effect.gen(function*() {
        yield* Console.log(`${name} begins ${frame.text}`)
        yield* Effect.sleep("20 millis")
        yield* push(frame)
      })
  })

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Pipeline.make(worker("first"), worker("second")))
  yield* task.queueFrames(["a", "b", "c"].map((text) => Frame.TextFrame.make({ text })))
  yield* task.stopWhenDone
  yield* task.run
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
