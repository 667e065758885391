/** Lines on standard input, sentences on standard output: `cat examples/stdio.input.txt | node examples/stdio.ts` */
import { Frame, Pipeline, PipelineTask, Processor, SentenceAggregator } from "@apipeline/core"
import { NodeRunner, StdioTransport } from "@apipeline/node"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect } from "effect"

const words = Processor.sync("Words", {
  TextFrame: ({ text }, push) => {
    for (const word of text.split(" ")) push(Frame.TextFrame.make({ text: `${word} ` }))
  }
})

const program = Effect.gen(function*() {
  const transport = yield* StdioTransport.make()
  const pipeline = Pipeline.make(transport.input, words, SentenceAggregator.make(), transport.output)
  yield* (yield* PipelineTask.make(pipeline)).run
})

NodeRunner.runMain(Effect.scoped(program).pipe(Effect.provide(NodeServices.layer)))
