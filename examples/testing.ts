/** Testing a processor: send frames, let virtual time pass, see exactly what came out. */
import { Frame, Processor } from "@apipeline/core"
import { interrupt, run, show, sleep } from "@apipeline/core/testing"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect } from "effect"
import { TestClock } from "effect/testing"

const slow = Processor.queued("Slow", {
  TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 hour"), push(frame))
})

const text = (text: string) => Frame.TextFrame.make({ text })

const program = Effect.gen(function*() {
  const { down } = yield* run(slow, [
    text("in time"),
    sleep("1 hour"),
    text("too late"),
    sleep("59 minutes"),
    interrupt
  ])
  yield* Console.log(show(down).join("\n"))
}).pipe(Effect.provide(TestClock.layer()))

NodeRuntime.runMain(program)
