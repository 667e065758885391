/**
 * Barge-in: the handler that runs is interrupted, what waits is dropped, what is uninterruptible survives, and what
 * comes afterwards is new.
 */
import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Schema } from "effect"

class Receipt extends Frame.App<Receipt>()("Receipt", { of: Schema.String }, { uninterruptible: true }) {}

const speak = Processor.queued("Speak", {
  TextFrame: (frame) =>
    Effect.andThen(Console.log(`says ${frame.text} ...`), Effect.sleep("1 second")).pipe(
      Effect.andThen(Console.log(`has said ${frame.text}`)),
      Effect.onInterrupt(() => Console.log(`was cut off in ${frame.text}`))
    ),
  Receipt: (frame) => Console.log(`receipt of ${frame.of}`),
  onInterruption: () => Console.log("interrupted")
}, { frames: [Receipt] })

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Pipeline.make(speak))
  yield* task.start
  yield* task.queueFrame(Frame.TextFrame.make({ text: "one" }))
  yield* task.queueFrame(Frame.TextFrame.make({ text: "two" }))
  yield* task.queueFrame(Receipt.make({ of: "two" }))
  yield* Effect.sleep("50 millis")
  yield* task.interrupt
  yield* task.queueFrame(Frame.TextFrame.make({ text: "three" }))
  yield* task.stopWhenDone
  yield* task.run
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
