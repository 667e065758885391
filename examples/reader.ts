/**
 * A text is read aloud, and somebody barges in.
 *
 *     npm run reader                      the first two chapters of Alice's Adventures in Wonderland
 *     npm run reader -- notes.txt --fast  a file of yours, as fast as it goes
 *     npm run reader -- - < notes.txt     standard input
 *
 * Words stream in one by one, as from a language model. `SentenceAggregator` and `Tidy` run inline: they are plain
 * calls. `Speak` takes its time, so it has a mailbox, and what is said lags behind what has been written. In the
 * middle of the text the listener interrupts: whatever waits is dropped, what is being said is cut short, and the
 * words that come afterwards are read as if nothing had been. Every word is accounted for.
 */
import { Frame, Pipeline, PipelineTask, Processor, SentenceAggregator } from "@apipeline/core"
import { NodeRunner } from "@apipeline/node"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Exit, Option, Schedule, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Account from "./support/Account.ts"
import * as Document from "./support/Document.ts"

/** Inline: line breaks become spaces. */
const tidy = (account: Account.Account) =>
  Processor.sync("Tidy", {
    TextFrame: (frame, push) => {
      account.made(frame)
      push(Frame.TextFrame.make({ text: frame.text.trim().replaceAll(/\s+/g, " ") }))
    }
  })

/** Queued, and slow on purpose: saying a sentence takes its time. An interruption cuts the handler that runs. */
const speak = (account: Account.Account, millisPerCharacter: number) =>
  Processor.queued("Speak", {
    TextFrame: (frame, { push }) =>
      Effect.sleep(frame.text.length * millisPerCharacter).pipe(
        Effect.andThen(push(frame)),
        Effect.onInterrupt(() => account.cut(frame))
      ),
    onCancel: (frame) => account.cancelled(frame)
  }, { capacity: 16 })

/** Queued: takes what was said, and lets nothing but control frames pass. */
const show = (account: Account.Account) => Processor.queued("Show", { TextFrame: (frame) => account.said(frame) })

const main = Command.make(
  "apipeline",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("A text file, or - for standard input. Default: a text that comes with this example"),
      Argument.optional
    ),
    bargeIn: Flag.Int("barge-in").pipe(
      Flag.withDescription(
        "The word at which the listener interrupts. Default: the middle; of standard input the 200th"
      ),
      Flag.optional
    ),
    fast: Flag.Boolean("fast").pipe(Flag.withDescription("Do not slow down for people"), Flag.withDefault(false)),
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print only the account, as JSON"), Flag.withDefault(false))
  },
  Effect.fn(function*({ bargeIn, fast, file, json }) {
    const document = yield* Document.open(file)
    const interruptAt = Option.getOrElse(bargeIn, () => Math.floor((document.length ?? 400) / 2))
    const account = yield* Account.make({ json })
    yield* Effect.addFinalizer((exit) => Exit.hasInterrupts(exit) ? account.interrupted : Effect.void)

    const pipeline = Pipeline.make(
      SentenceAggregator.make(),
      tidy(account),
      speak(account, fast ? 0.01 : 0.4),
      show(account)
    )
    const task = yield* PipelineTask.make(pipeline, {
      name: "reader",
      enableMetrics: true,
      observers: [account.observer]
    })

    yield* account.title(document.title, "words -> SentenceAggregator -> Tidy -> [16] Speak (slow) -> [1024] Show")
    yield* Effect.forkScoped(account.pulse)

    yield* task.start
    let word = 0
    yield* document.words.pipe(
      fast ? (words) => words : Stream.schedule(Schedule.spaced("1 millis")),
      Stream.runForEach(Effect.fnUntraced(function*(text) {
        if (word++ === interruptAt) {
          const [took] = yield* Effect.timed(task.interrupt)
          yield* account.bargeIn(task, took)
        }
        const frame = Frame.TextFrame.make({ text })
        account.heard(frame)
        yield* task.queueFrame(frame)
      }))
    )
    yield* task.stopWhenDone // what is queued is said, then the task ends
    yield* task.await
    yield* account.end(task)
  }, Effect.scoped)
).pipe(Command.withDescription("Reads a text aloud, is interrupted, and accounts for every word"))

// `npm start | head`: nobody listens any more.
process.stdout.once("error", () => process.exit(141))

// Ctrl-C cancels the task: `onCancel` and every finalizer run, and the exit code is 130. A second one does not wait.
main.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRunner.runMain)
