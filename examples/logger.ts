/** A frame logger between two processors, and an observer that sees every push of the whole pipeline. */
import { Frame, FrameLogger, Pipeline, PipelineObserver, PipelineTask, Processor } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Logger } from "effect"

const upper = Processor.sync("Upper", {
  TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
})

const pushes = PipelineObserver.make("pushes", (event) =>
  event._tag === "Push" && Frame.TextFrame.is(event.frame)
    ? Console.log(`${event.from} -> ${event.to}: ${event.frame.text}`)
    : Effect.void)

const plain = Logger.make(({ message }) => globalThis.console.log(String(message).replaceAll(/#\d+/g, "")))

const program = Effect.gen(function*() {
  const pipeline = Pipeline.make(upper, FrameLogger.make({ include: [Frame.TextFrame] }))
  const task = yield* PipelineTask.make(pipeline, { observers: [pushes] })
  yield* task.queueFrame(Frame.TextFrame.make({ text: "hello" }))
  yield* task.stopWhenDone
  yield* task.run
}).pipe(Effect.scoped, Effect.provide(Logger.layer([plain])))

NodeRuntime.runMain(program)
