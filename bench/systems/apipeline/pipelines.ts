/** Pipelines of ours, and ways to feed them. */
import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Count, Pass } from "../measure.ts"
import { text } from "../peer.ts"

export type Task = PipelineTask.PipelineTask

export const make = (): Frame.TextFrame => Frame.TextFrame.make({ text })

export const inline = (): Processor.Processor =>
  Processor.sync("Pass", { TextFrame: (frame, push) => push(frame), AudioRawFrame: (frame, push) => push(frame) })

/** A mailbox of its own in front of a synchronous processor. */
export const queued = (): Processor.Processor => Processor.concurrent(inline())

export const effect = (): Processor.Processor =>
  Processor.effect("Pass", { TextFrame: (frame, { push }) => push(frame) })

/** Something synchronous comes first: the handler's Effect has to be run. */
export const effectWork = (): Processor.Processor =>
  Processor.effect("Pass", { TextFrame: (frame, { push }) => Effect.suspend(() => push(frame)) })

export const queuedEffect = (): Processor.Processor =>
  Processor.queued("Pass", { TextFrame: (frame, { push }) => push(frame) })

export const sink = (seen: (frame: Frame.TextFrame) => void): Processor.Processor =>
  Processor.sync("Sink", { TextFrame: seen })

/** Of `hops` processors and what is given besides. */
export const chain = (
  hops: number,
  processor: (i: number) => Processor.Processor,
  last: Processor.Processor,
  ...before: Array<Processor.Processor>
): Pipeline.Pipeline => {
  const all = Array.from({ length: hops }, (_, i) => processor(i))
  return Pipeline.make(...[...before, ...all, last] as [Processor.Processor])
}

/** `n` branches of two processors. */
export const parallel = (n: number, processor: () => Processor.Processor, last: Processor.Processor) => {
  const branches = Array.from({ length: n }, () => Pipeline.make(processor(), processor()))
  return Pipeline.make(Pipeline.parallel(...branches as [Pipeline.Pipeline]), last)
}

export interface Session {
  readonly task: Task
  readonly close: () => Promise<void>
}

type Around = <A>(effect: Effect.Effect<A>) => Effect.Effect<A>

export const start = (pipeline: Pipeline.Pipeline, around: Around = (effect) => effect): Promise<Session> =>
  Effect.runPromise(around(
    Effect.orDie(Effect.gen(function*() {
      const scope = yield* Scope.make()
      const task = yield* Scope.provide(PipelineTask.make(pipeline), scope)
      yield* task.start
      return { task, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
    }))
  ))

export const withTask = async <A>(pipeline: Pipeline.Pipeline, use: (task: Task) => Promise<A>): Promise<A> => {
  const { close, task } = await start(pipeline)
  const value = await use(task)
  await close()
  return value
}

/** As a callback of a transport would. */
export const push = (task: Task, frame: Frame.Frame): void => {
  Effect.runFork(task.queueFrame(frame))
}

function* fresh(frames: number): Generator<Frame.TextFrame> {
  for (let i = 0; i < frames; i++) yield make()
}

/** Through the task's intake, as fast as it takes them. */
export const saturate = (task: Task, count: Count): Pass => async (frames) => {
  const done = count.more(frames)
  await Effect.runPromise(task.queueFrames(fresh(frames)))
  await done
}

/** Frames that a source pushes for each one that it gets: the chain alone is measured, not the intake. */
const burst = 1000

export const source = (): Processor.Processor =>
  Processor.sync("Source", {
    IdleFrame: (_, push) => {
      for (let i = 0; i < burst; i++) push(make())
    }
  })

export const effectSource = (): Processor.Processor =>
  Processor.effect("Source", {
    IdleFrame: (_, { push }) => {
      let left = burst
      return Effect.whileLoop({
        while: () => left > 0,
        body: () => push(make()),
        step: () => void left--
      })
    }
  })

/** Asks the source for bursts. */
export const ask = (task: Task, count: Count): Pass => async (frames) => {
  const bursts = Math.ceil(frames / burst)
  const done = count.more(bursts * burst)
  await Effect.runPromise(task.queueFrames(Array.from({ length: bursts }, () => Frame.IdleFrame.make())))
  await done
}
