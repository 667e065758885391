/** WAV files as a transport: what one says, at half the volume, into another, as fast as it can. */
import { Dtmf, Frame, Pcm, Pipeline, PipelineTask, Processor, Wav } from "@apipeline/core"
import { FileTransport } from "@apipeline/node"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem } from "effect"

const softer = Processor.sync("Softer", {
  AudioRawFrame: (frame, push) => {
    const audio = Pcm.fromInt16(Pcm.gain(Pcm.toInt16Unsafe(frame.audio), 0.5))
    push(Frame.AudioRawFrame.make({ ...frame, audio }))
  }
})

const show = Effect.fnUntraced(function*(file: string) {
  const bytes = yield* (yield* FileSystem.FileSystem).readFile(file)
  const { format: { sampleRate }, samples } = yield* Effect.fromResult(Wav.decode(bytes))
  const seconds = samples.length / sampleRate
  yield* Console.log(`${seconds} s at ${sampleRate} Hz, ${Pcm.dbfs(samples).toFixed(1)} dBFS`)
})

const program = Effect.gen(function*() {
  const files = yield* FileSystem.FileSystem
  const folder = yield* files.makeTempDirectoryScoped()
  const [read, write] = [`${folder}/question.wav`, `${folder}/answer.wav`]
  const tones = Dtmf.sequence(["1", "2", "3", "#"], { sampleRate: 16_000, duration: 200, gap: 50 })
  yield* files.writeFile(read, Wav.encode(tones, { sampleRate: 16_000 }))

  yield* Effect.scoped(Effect.gen(function*() {
    const transport = yield* FileTransport.make({ read, write, realTime: false })
    const pipeline = Pipeline.make(transport.input, softer, transport.output)
    const task = yield* PipelineTask.make(pipeline, { audioOutSampleRate: 8000 })
    yield* task.run
  }))
  yield* show(read)
  yield* show(write)
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

NodeRuntime.runMain(program)
