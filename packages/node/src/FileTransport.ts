/**
 * WAV files as a transport: one is what the user says, into another goes what the bot says.
 *
 * @since 0.1.0
 */
import * as Frame from "@apipeline/core/Frame"
import * as Transport from "@apipeline/core/Transport"
import * as Wav from "@apipeline/core/Wav"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import type { PlatformError } from "effect/PlatformError"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { makeWriteQueue } from "./internal/writeQueue.ts"

/**
 * Options of {@link make}. The end of the file ends the task, unless `input.onDisconnect` says otherwise.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> extends Transport.Options<E, R> {
  /** The path of a WAV file to read. Default: nothing is read. */
  readonly read?: string | undefined
  /** The path of a WAV file to write; what is there is overwritten. Default: nothing is written. */
  readonly write?: string | undefined
  /**
   * Whether audio comes (and goes) as if somebody spoke, or as fast as it can. Voice activity, turns and interruptions mean
   * what they should only in real time. Default: true.
   */
  readonly realTime?: boolean | undefined
}

const readFailed = (cause: unknown): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.ReadFailed({ cause }) })

const writeFailed = (cause: PlatformError): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.WriteFailed({ cause }) })

/** Gives each frame when all of it could have been spoken. */
const inRealTime = <E>(frames: Stream.Stream<Frame.AudioRawFrame, E>): Stream.Stream<Frame.AudioRawFrame, E> =>
  Stream.unwrap(Effect.map(Clock.Clock, (clock) => {
    let at: number | undefined
    // one by one: those of a chunk come one after the other, too
    return Stream.mapEffect(Stream.rechunk(frames, 1), (frame) =>
      Effect.suspend(() => {
        const now = clock.currentTimeMillisUnsafe()
        at = (at ?? now) + frame.duration
        return at <= now ? Effect.succeed(frame) : Effect.as(Effect.sleep(Math.ceil(at - now)), frame)
      }))
  }))

/**
 * Makes a transport of WAV files. Fails when the file to write cannot be opened; a file that cannot be read is the end of
 * what comes in, with that as its reason.
 *
 * **Details**
 *
 * The file that is written is complete when the scope has closed: until then its header says "up to the end". It has the
 * rate and channels of the output.
 *
 * @example
 * ```ts
 * import * as NodeServices from "@effect/platform-node/NodeServices"
 * import { Effect } from "effect"
 * import { Pipeline, PipelineTask } from "@apipeline/core"
 * import { FileTransport, NodeRunner } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const transport = yield* FileTransport.make({ read: "question.wav", write: "answer.wav", realTime: false })
 *   const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
 *   yield* task.run
 * })
 *
 * NodeRunner.runMain(Effect.scoped(program).pipe(Effect.provide(NodeServices.layer)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R> = {}
): Effect.Effect<
  Transport.Transport<E, R>,
  Transport.TransportError,
  Scope.Scope | FileSystem.FileSystem
> =>
  Effect.gen(function*() {
    const { read, realTime = true, write } = options
    const files = yield* FileSystem.FileSystem
    const frames = read === undefined ? undefined : Stream.mapError(Wav.toAudio(files.stream(read)), readFailed)
    const incoming = frames === undefined ? Stream.never : realTime ? inRealTime(frames) : frames
    const writer = write === undefined
      ? undefined
      : yield* Effect.mapError(files.open(write, { flag: "w" }), writeFailed)
    let format: Wav.WriteOptions | undefined
    let dataLength = 0
    let isComplete = false

    const append = (file: FileSystem.File, frame: Frame.AudioRawFrame): Effect.Effect<void, PlatformError> =>
      Effect.gen(function*() {
        if (format === undefined) {
          format = { sampleRate: frame.sampleRate, numChannels: frame.numChannels }
          yield* file.writeAll(Wav.header(format))
        }
        yield* file.writeAll(frame.audio)
        dataLength += frame.audio.length
      })

    /** The header with the sizes, over the one without. */
    const complete = (file: FileSystem.File): Effect.Effect<void, PlatformError> =>
      Effect.gen(function*() {
        if (isComplete) return
        isComplete = true
        const { numChannels, sampleRate = 24_000 } = options.output ?? {}
        yield* file.seek(0n, "start")
        yield* file.writeAll(Wav.header({ ...format ?? { sampleRate, numChannels }, dataLength }))
      })

    const queue = writer === undefined ?
      undefined :
      yield* makeWriteQueue<Frame.AudioRawFrame>((frames) =>
        Effect.mapError(Stream.runForEach(frames, (frame) => append(writer, frame)), writeFailed)
      )

    return yield* Transport.make({
      name: "FileTransport",
      incoming,
      send: (frame) => queue !== undefined && Frame.AudioRawFrame.is(frame) ? queue.offer(frame) : Effect.void,
      close: () =>
        queue === undefined ? Effect.void : Effect.andThen(queue.end, Effect.mapError(complete(writer!), writeFailed))
    }, {
      ...options,
      input: { onDisconnect: "end", ...options.input },
      output: { realTime, ...options.output }
    })
  })
