/** Bots for a cluster. One is easy to check: it says each number that it is told back, and each sound, and remembers how many there were. */
import { Frame, Pipeline, PipelineTask, Processor, Rtvi, VoiceActivity } from "@apipeline/core"
import { Cluster } from "@apipeline/node"
import { Context, Effect, Layer, Ref, Schema } from "effect"
import * as Parrot from "./Parrot.ts"

class Heard extends Context.Service<Heard, Ref.Ref<number>>()("Heard") {
  static readonly layer = Layer.effect(Heard, Ref.make(0))
}

const answer = Processor.queued(
  "Numbers",
  Effect.map(Heard, (heard) => ({
    TextFrame: (frame: Frame.TextFrame, { push }: Processor.ProcessorContext) =>
      frame.text === "how many?"
        ? Effect.flatMap(Ref.get(heard), (n) => push(Frame.TextFrame.make({ text: `so many: ${n}` })))
        : Effect.andThen(Ref.update(heard, (n) => n + 1), push(frame)),
    SessionMovedFrame: (
      { from, lostFrames, restored, to }: Cluster.SessionMovedFrame,
      { push }: Processor.ProcessorContext
    ) => push(Frame.TextFrame.make({ text: `moved: ${JSON.stringify({ from, to, lostFrames, restored })}` }))
  })),
  { frames: [Cluster.SessionMovedFrame] }
)

export const Numbers = Cluster.session("numbers", {
  services: Heard.layer,
  pipeline: answer,
  snapshot: { schema: Schema.Int, take: Heard.use(Ref.get), every: "1 second" },
  restore: (n) => Heard.use(Ref.set(n)),
  // sounds go back as they came, and at once
  transport: { output: { chunk: 20, sampleRate: 16_000, realTime: false } }
})

/** The bot of `examples/talk.ts`, for pipecat's clients. */
export const Talking = Cluster.session("talking", {
  services: VoiceActivity.layerEnergy(),
  pipeline: (transport) =>
    Effect.gen(function*() {
      const rtvi = yield* Rtvi.make({ about: { library: "parrot" } })
      const pipeline = Pipeline.make(transport.input, rtvi.processor, Parrot.pipeline, transport.output)
      return yield* PipelineTask.make(pipeline, { observers: [rtvi.observer], audioOutSampleRate: 24_000 })
    })
})
