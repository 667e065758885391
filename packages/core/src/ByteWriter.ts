/**
 * Writes data frames as bytes: text as lines or as it is, audio and images as their bytes, or what a function makes of
 * them; to a function, an Effect `Sink`, or standard output.
 *
 * A writer is an output: it has a mailbox and a fiber of its own and writes one frame after the other, while whoever is
 * further up goes on until the mailbox is full. An interruption cuts what waits, and stops the write that is under way
 * (make it uninterruptible if half a frame must not be written). Control and system frames pass, and so do data frames
 * that the writer does not write.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as PlatformError from "effect/PlatformError"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Frame from "./Frame.ts"
import type * as Output from "./Output.ts"
import * as Processor from "./Processor.ts"

declare const TextEncoder: { new(): { encode(text: string): Uint8Array } }

/**
 * What is written of a frame, text in UTF-8; `undefined`: the frame is not for this writer, and passes.
 *
 * @category models
 * @since 0.1.0
 */
export type Format = (frame: Output.Data) => string | Uint8Array | undefined

/**
 * Options of every writer.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Output.Options {
  /** Default: {@link lines}. */
  readonly format?: Format | undefined
}

/**
 * What took the bytes takes no more: the sink is done, or has failed.
 *
 * @example
 * ```ts
 * import { ByteWriter } from "@apipeline/core"
 *
 * new ByteWriter.WriterClosed({ writer: "Out", frame: "TextFrame#1" }).message
 * // => "Out is closed: TextFrame#1 was not written"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class WriterClosed extends Schema.TaggedError<WriterClosed>()("WriterClosed", {
  writer: Schema.String,
  frame: Schema.String
}) {
  override get message(): string {
    return `${this.writer} is closed: ${this.frame} was not written`
  }
}

/**
 * The text of text frames, each with a line break behind it. Nothing else is written.
 *
 * **Example** (A line)
 *
 * ```ts
 * import { ByteWriter, Frame } from "@apipeline/core"
 *
 * ByteWriter.lines(Frame.TextFrame.make({ text: "hello" })) // => "hello\n"
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const lines: Format = (frame) => Frame.TextFrame.is(frame) ? `${frame.text}\n` : undefined

/**
 * The payload as it is: text, samples of audio, bytes of images. App frames are not written.
 *
 * **Example** (Samples)
 *
 * ```ts
 * import { ByteWriter, Frame } from "@apipeline/core"
 *
 * const audio = Uint8Array.of(1, 2)
 * ByteWriter.raw(Frame.AudioRawFrame.make({ audio, sampleRate: 8000, numChannels: 1 })) === audio // => true
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const raw: Format = (frame) => {
  if (Frame.TextFrame.is(frame)) return frame.text
  if (Frame.AudioRawFrame.is(frame)) return frame.audio
  return Frame.ImageRawFrame.is(frame) ? frame.image : undefined
}

interface Target<out E, out R> {
  readonly write: (bytes: Uint8Array, frame: Output.Data) => Effect.Effect<unknown, E, R>
  readonly onEnd?: (() => Effect.Effect<unknown>) | undefined
  readonly run?: ((_: undefined, context: Processor.ProcessorContext) => Effect.Effect<unknown, E, R>) | undefined
}

const nameOf = (options: Options): string => options.name ?? "ByteWriter"

const build = <E, R>(
  target: Effect.Effect<Target<E, R>, never, Scope.Scope>,
  options: Options
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  const { capacity, format = lines, onError, passThrough, strategy, upstreamMailbox } = options
  const behaviour = Effect.map(target, ({ onEnd, run, write }) => {
    const encoder = new TextEncoder()
    const data = (frame: Output.Data, { push }: Processor.ProcessorContext): Effect.Effect<unknown, E, R> => {
      const found = format(frame)
      if (found === undefined) return push(frame)
      const bytes = typeof found === "string" ? encoder.encode(found) : found
      const written = bytes.length === 0 ? Effect.void : write(bytes, frame)
      if (passThrough !== true) return written
      return Effect.matchCauseEffect(written, {
        onSuccess: () => push(frame),
        onFailure: (cause) =>
          Cause.hasInterruptsOnly(cause)
            ? Effect.failCause(cause)
            : Effect.andThen(push(frame), Effect.failCause(cause))
      })
    }
    return { data, onEnd, run }
  })
  return Processor.queued(nameOf(options), behaviour, { capacity, strategy, upstreamMailbox, onError })
}

/**
 * Makes a writer that calls a function with the bytes of each frame; the next frame waits until the Effect is done. A
 * failure is reported, and the next frame is written.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { ByteWriter, Frame, PipelineTask } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const written: Array<number> = []
 *   const writer = ByteWriter.toFunction((bytes) => Effect.sync(() => written.push(...bytes)))
 *   const task = yield* PipelineTask.make(writer)
 *   yield* task.queueFrames(["a", "b"].map((text) => Frame.TextFrame.make({ text })))
 *   yield* task.stopWhenDone
 *   yield* task.run
 *   return written
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => [97, 10, 98, 10]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const toFunction = <E, R>(
  write: (bytes: Uint8Array) => Effect.Effect<unknown, E, R>,
  options: Options = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> =>
  build<E, R>(Effect.succeed({ write: (bytes) => write(bytes) }), options)

/**
 * Makes a writer that runs an Effect `Sink` over the bytes, from the start of the task to its end.
 *
 * **Details**
 *
 * `EndFrame` ends the bytes and waits until the sink is done. An interruption cuts what waits, but not the sink. When
 * the sink is done before, or has failed (which is reported), each later frame is a {@link WriterClosed} failure.
 *
 * @example
 * ```ts
 * import { Console, Sink } from "effect"
 * import { ByteWriter } from "@apipeline/core"
 *
 * const sizes = ByteWriter.toSink(Sink.forEach((bytes: Uint8Array) => Console.log(bytes.length)), {
 *   format: ByteWriter.raw
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const toSink = <E, R>(
  sink: Sink.Sink<unknown, Uint8Array, unknown, E, R>,
  options: Options = {}
): Processor.Processor<E | WriterClosed, Exclude<R, Scope.Scope>> =>
  build<E | WriterClosed, R>(
    Effect.gen(function*() {
      // hands over and holds nothing: an interruption finds all that waits in the mailbox
      const queue = yield* Queue.bounded<Uint8Array, Cause.Done>(0)
      const done = yield* Deferred.make<void>()
      const pull = Effect.map(Queue.take(queue), (bytes) => [bytes] as const)
      const close = Effect.andThen(Queue.shutdown(queue), Deferred.succeed(done, undefined))
      return {
        write: (bytes, frame) =>
          Effect.flatMap(
            Queue.offer(queue, bytes),
            (taken) =>
              taken ? Effect.void : Effect.fail(new WriterClosed({ writer: nameOf(options), frame: frame.name }))
          ),
        onEnd: () => Effect.andThen(Queue.end(queue), Deferred.await(done)),
        run: (_, { reportCause }) =>
          Stream.run(Stream.fromPull(Effect.succeed(pull)), sink).pipe(
            // why it is closed is told before what that means
            Effect.catchCause(reportCause),
            Effect.ensuring(close)
          )
      }
    }),
    options
  )

const toStdio = (
  sink: (stdio: Stdio.Stdio) => Sink.Sink<void, Uint8Array, never, PlatformError.PlatformError>,
  options: Options
): Processor.Processor<PlatformError.PlatformError | WriterClosed, Stdio.Stdio> =>
  toSink(Sink.unwrap(Effect.map(Stdio.Stdio, sink)), options)

/**
 * Makes a writer to standard output, which stays open: see {@link toSink}.
 *
 * @example
 * ```ts
 * import { ByteWriter, Pipeline, SentenceAggregator } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(SentenceAggregator.make(), ByteWriter.stdout()) // Pipeline<..., Stdio>
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const stdout = (
  options: Options = {}
): Processor.Processor<PlatformError.PlatformError | WriterClosed, Stdio.Stdio> =>
  toStdio((stdio) => stdio.stdout({ endOnDone: false }), options)

/**
 * Makes a writer to standard error output, which stays open: see {@link toSink}.
 *
 * @example
 * ```ts
 * import { ByteWriter } from "@apipeline/core"
 *
 * const transcript = ByteWriter.stderr({ passThrough: true })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const stderr = (
  options: Options = {}
): Processor.Processor<PlatformError.PlatformError | WriterClosed, Stdio.Stdio> =>
  toStdio((stdio) => stdio.stderr({ endOnDone: false }), options)
