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
import { Clock, Console, Data, Effect, Exit, FileSystem, Layer, Option, Path, Schedule, Stream } from "effect"
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

/** Both sides as the left and the right channel. The header is complete when the conversation is, however that ends. */
const writeWav = (file: FileSystem.File) => (recording: Stream.Stream<AudioBuffer.Event>) => {
  const format = { sampleRate, numChannels: 2 }
  let dataLength = 0
  return file.writeAll(Wav.header(format)).pipe(
    Effect.andThen(Stream.runForEach(recording, (event) => {
      if (event._tag !== "Audio") return Effect.void
      const bytes = Wav.encodeSamples(AudioBuffer.stereo(event))
      dataLength += bytes.length
      return file.writeAll(bytes)
    })),
    Effect.ensuring(
      Effect.ignore(
        Effect.suspend(() =>
          Effect.andThen(file.seek(0n, "start"), file.writeAll(Wav.header({ ...format, dataLength })))
        )
      )
    )
  )
}

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
    const speed = fast ? 3 : 1
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const lines = yield* recordings(input)
    const [wav, ...transcripts] = ["conversation.wav", "transcript.json", "transcript.md"].map((file) =>
      path.join(out, file)
    ) as [string, string, string]
    // before the models are loaded: it may be impossible
    const file = yield* because(out)(
      Effect.andThen(files.makeDirectory(out, { recursive: true }), files.open(wav, { flag: "w" }))
    )

    const progress = `Loading the models (Silero, Moonshine ${stt}, flite) ...`
    const loading = (json ? Console.log(JSON.stringify({ event: "loading" })) : Console.error(progress)).pipe(
      Effect.repeat(Schedule.spaced("2 seconds")),
      Effect.andThen(Effect.never)
    )
    const start = yield* Clock.currentTimeMillis
    const services = yield* Layer.build(Bot.layer({ stt: { model: stt } })).pipe(
      because("the models"),
      Effect.raceFirst(loading)
    )
    const loaded = (yield* Clock.currentTimeMillis) - start

    const conversation = Effect.gen(function*() {
      const show = yield* Show.make({ json, stopMillis: Bot.stopMillis })
      yield* show.note(
        "loaded",
        { milliseconds: Math.round(loaded) },
        `models loaded in ${(loaded / 1000).toFixed(1)} s`
      )
      const connection = yield* Caller.make({ lines, patience: 10_000 * speed, onLine: ({ name }) => show.line(name) })
      const transport = yield* Transport.make(connection, { input: { onDisconnect: "end" } })
      const transcript = yield* Transcript.make()
      const write = Effect.gen(function*() {
        const entries = yield* transcript.entries
        yield* files.writeFileString(transcripts[0]!, Transcript.toJson(entries))
        yield* files.writeFileString(transcripts[1]!, Transcript.toMarkdown(entries))
      })
      // of a conversation that is cut short; added before the task is made, this runs after that has come to its end
      yield* Effect.addFinalizer((exit) => Exit.isSuccess(exit) ? Effect.void : Effect.ignore(write))
      const { pipeline } = yield* Bot.make(transport, { record: writeWav(file) })
      const task = yield* PipelineTask.make(pipeline, {
        name: "conversation",
        audioInSampleRate: sampleRate,
        audioOutSampleRate: sampleRate,
        enableMetrics: true,
        enableUsageMetrics: true,
        observers: [...show.observers, transcript.observer]
      })
      yield* Effect.ensuring(task.run, show.close)
      yield* because(out)(write)
      const written = [wav, ...transcripts]
      yield* show.end(task, { files: written })
      if (!json) yield* Console.log(`\nWritten: ${written.join(", ")}`)
    })
    yield* conversation.pipe(
      Effect.scoped,
      Effect.provide(fast ? FastClock.layer(speed) : Layer.empty),
      Effect.provideContext(services)
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription("Plays human speech to a bot that understands, answers and speaks, and shows what happens")
)

// `npm start | head`: nobody listens any more.
process.stdout.once("error", () => process.exit(141))

main.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRunner.runMain)
