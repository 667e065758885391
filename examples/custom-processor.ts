/** A processor that is a service, and a pipeline that is a layer: the types tell which layers are missing. */
import { Frame, Pipeline, PipelineTask, Processor, SentenceAggregator } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Context, Effect, Layer, Stream } from "effect"

class Translator extends Context.Service<Translator, {
  readonly stream: (text: string) => Stream.Stream<string>
}>()("app/Translator") {
  static readonly layer = Layer.succeed(Translator, {
    stream: (text) => Stream.fromIterable(text.split(" ").map((word) => `${word.slice(1)}${word.slice(0, 1)}ay`))
  })
}

class Translate extends Processor.Service<Translate>()("app/Translate", {
  make: Effect.gen(function*() {
    const translator = yield* Translator
    return Processor.queued({
      TextFrame: (frame, { push }) =>
        Stream.runForEach(translator.stream(frame.text), (text) => push(Frame.TextFrame.make({ text })))
    })
  })
}) {}

class Bot extends Pipeline.Service<Bot>()("app/Bot", Pipeline.make(SentenceAggregator.make(), Translate)) {
  static readonly live = Bot.layer.pipe(Layer.provide(Translate.layer), Layer.provide(Translator.layer))
}

const program = Effect.gen(function*() {
  const task = yield* PipelineTask.make(Bot)
  yield* task.queueFrames(["pig latin ", "is spoken here."].map((text) => Frame.TextFrame.make({ text })))
  yield* task.stopWhenDone
  yield* task.output.pipe(Stream.filter(Frame.TextFrame.is), Stream.runForEach((frame) => Console.log(frame.text)))
}).pipe(Effect.scoped, Effect.provide(Bot.live))

NodeRuntime.runMain(program)
