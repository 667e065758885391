/**
 * A spoken conversation, without a key and without a network: human recordings are played to a bot at the speed of speech,
 * which is interrupted once while it answers.
 *
 *     npm start                          the recordings that come with this example
 *     npm start -- --input question.wav  a recording of yours
 *     npm start -- --help                what else there is
 *
 * What one sees happens while one sees it: speech is found (Silero), understood (Moonshine), answered (a small engine of
 * rules) and spoken (flite), by models that run on this machine. See `support/Bot.ts` for the pipeline.
 */
import { AudioBuffer, PipelineTask, Transcript, Transport, Wav } from "@apipeline/core"
import { NodeRunner } from "@apipeline/node"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Data, Effect, FileSystem, Layer, Option, Path, Schedule, Stream } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { fileURLToPath } from "node:url"
import * as Bot from "./support/Bot.ts"
import * as Caller from "./support/Caller.ts"
import * as FastClock from "./support/FastClock.ts"
import * as Show from "./support/Show.ts"

class Unusable
  extends Data.TaggedError("Unusable")<{ readonly what: string; readonly why: { readonly message: string } }>
{
  override get [CliError.userMessage](): string {
    return `${this.what}: ${this.why.message}`
  }
}

const because = (what: string) => Effect.mapError((why: { readonly message: string }) => new Unusable({ what, why }))

/** Hz, of what is recorded and of the bot's voice. */
const sampleRate = 16_000

const afterAnswer: Caller.When = { _tag: "AfterAnswer", pause: 300 }

const script: ReadonlyArray<readonly [file: string, when: Caller.When]> = [
  ["goforward.wav", afterAnswer],
  ["librivox-0880.wav", afterAnswer],
  ["cards-005.wav", { _tag: "BargeIn", after: 900 }],
  ["cards-001.wav", afterAnswer]
]

const recordings = (input: Option.Option<string>) =>
  Option.match(input, {
    onSome: (path) => because(path)(Effect.map(Caller.read(path, afterAnswer), (line) => [line])),
    onNone: () =>
      Effect.forEach(script, ([file, when]) => {
        const path = fileURLToPath(new URL(`../test/fixtures/audio/${file}`, import.meta.url))
        return because(path)(Caller.read(path, when))
      })
  })

/** Both sides as the left and the right channel. The header is complete when the conversation is. */
const writeWav = Effect.fnUntraced(function*(
  files: FileSystem.FileSystem,
  path: string,
  recording: Stream.Stream<AudioBuffer.Event>
) {
  const format = { sampleRate, numChannels: 2 }
  const file = yield* files.open(path, { flag: "w" })
  let dataLength = 0
  yield* file.writeAll(Wav.header(format))
  yield* Stream.runForEach(recording, (event) => {
    if (event._tag !== "Audio") return Effect.void
    const bytes = Wav.encodeSamples(AudioBuffer.stereo(event))
    dataLength += bytes.length
    return file.writeAll(bytes)
  })
  yield* file.seek(0n, "start")
  yield* file.writeAll(Wav.header({ ...format, dataLength }))
}, Effect.scoped)

const main = Command.make(
  "apipeline",
  {
    input: Flag.File("input", { mustExist: true }).pipe(
      Flag.withDescription("A WAV file of somebody speaking English. Default: recordings that come with this example"),
      Flag.optional
    ),
    stt: Flag.Literals("stt", ["tiny", "base"]).pipe(
      Flag.withDescription("The model that understands: base errs less and takes twice as long"),
      Flag.withDefault("tiny" as const)
    ),
    out: Flag.String("out").pipe(
      Flag.withDescription("Where the recording and the transcript are written"),
      Flag.withDefault("conversation")
    ),
    fast: Flag.Boolean("fast").pipe(
      Flag.withDescription("Three times as fast as people speak"),
      Flag.withDefault(false)
    ),
    json: Flag.Boolean("json").pipe(
      Flag.withDescription("Print events as JSON, one a line"),
      Flag.withDefault(false)
    )
  },
  Effect.fn(function*({ fast, input, json, out, stt }) {
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const lines = yield* recordings(input)
    yield* because(out)(files.makeDirectory(out, { recursive: true }))

    const loading = Console.error(`Loading the models (Silero, Moonshine ${stt}, flite) ...`).pipe(
      Effect.repeat(Schedule.spaced("2 seconds")),
      Effect.andThen(Effect.never)
    )
    const start = yield* Clock.currentTimeMillis
    const services = yield* Layer.build(Bot.layer({ stt: { model: stt } })).pipe(
      because("the models"),
      Effect.raceFirst(json ? Effect.never : loading)
    )
    const loaded = (yield* Clock.currentTimeMillis) - start

    const conversation = Effect.gen(function*() {
      const show = yield* Show.make({ json, stopMillis: Bot.stopMillis })
      yield* show.note(
        "loaded",
        { milliseconds: Math.round(loaded) },
        `models loaded in ${(loaded / 1000).toFixed(1)} s`
      )
      const connection = yield* Caller.make({ lines, patience: 8000, onLine: ({ name }) => show.line(name) })
      const transport = yield* Transport.make(connection, { vad: Bot.vad, input: { onDisconnect: "end" } })
      const transcript = yield* Transcript.make()
      const { pipeline } = yield* Bot.make(transport, {
        record: (recording) => writeWav(files, path.join(out, "conversation.wav"), recording)
      })
      const task = yield* PipelineTask.make(pipeline, {
        name: "conversation",
        audioInSampleRate: sampleRate,
        audioOutSampleRate: sampleRate,
        enableMetrics: true,
        enableUsageMetrics: true,
        observers: [...show.observers, transcript.observer]
      })
      yield* task.run
      const entries = yield* transcript.entries
      const written = ["conversation.wav", "transcript.json", "transcript.md"].map((file) => path.join(out, file))
      yield* files.writeFileString(written[1]!, Transcript.toJson(entries))
      yield* files.writeFileString(written[2]!, Transcript.toMarkdown(entries))
      yield* show.end(task, { files: written })
      if (!json) yield* Console.log(`\nWritten: ${written.join(", ")}`)
    })
    yield* conversation.pipe(
      Effect.scoped,
      Effect.provide(fast ? FastClock.layer(3) : Layer.empty),
      Effect.provideContext(services)
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription("Plays human speech to a bot that understands, answers and speaks, and shows what happens")
)

// `npm start | head`: nobody listens any more.
process.stdout.once("error", () => process.exit(141))

main.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRunner.runMain)
