/** What every processor did, in numbers. */
import { Frame, Pipeline, PipelineMetrics, PipelineTask, Processor } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, References } from "effect"

const even = Processor.sync("Even", {
  TextFrame: (frame, push) => {
    if (Number(frame.text) % 2 === 0) push(frame)
  }
})

const picky = Processor.queued("Picky", {
  TextFrame: (frame, { push }) => Number(frame.text) % 10 === 0 ? Effect.fail("a round number") : push(frame)
}, { onError: "report" })

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Pipeline.make(even, picky), { enableMetrics: true })
  yield* task.queueFrames(Array.from({ length: 100 }, (_, i) => Frame.TextFrame.make({ text: String(i) })))
  yield* task.stopWhenDone
  yield* task.run
  const rows = yield* task.metrics
  // The times differ from run to run: the example shows the rest.
  yield* Console.log(PipelineMetrics.table(rows.map((row) => ({ ...row, handled: 0 }))))
}).pipe(Effect.scoped, Effect.provideService(References.MinimumLogLevel, "Error"))

NodeRuntime.runMain(program)
