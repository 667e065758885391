/** A frame of your own: one line with a Schema, and it is treated like the built-in ones everywhere. */
import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Schema, Stream } from "effect"

class Point extends Frame.App<Point>()("Point", { x: Schema.Finite, y: Schema.Finite }) {}

const mirror = Processor.sync("Mirror", {
  Point: (frame, push) => push(Point.make({ x: frame.y, y: frame.x }))
}, { frames: [Point] })

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Pipeline.make(mirror))
  yield* task.queueFrame(Point.make({ x: 1, y: 2 }))
  yield* task.stopWhenDone
  yield* task.output.pipe(
    Stream.filter(Point.is),
    Stream.runForEach((frame) => Console.log(`(${frame.x}, ${frame.y}), a ${frame.kind} frame`))
  )
  const refused = yield* Effect.flip(Schema.decodeUnknownEffect(Point.schema)({ _tag: "Point", id: 1, x: 1, y: "two" }))
  yield* Console.log(refused.message)
}).pipe(Effect.scoped)

NodeRuntime.runMain(program)
