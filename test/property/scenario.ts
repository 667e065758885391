import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import { capture, settle } from "@apipeline/core/testing"
import { Arbitrary, Data, Effect, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

/** Runs of each property: 1,000 in `npm test`, any number with the environment variable. */
export const runs = Number(process.env["APIPELINE_RUNS"] ?? 1000)

/** The same scenarios each time, unless `APIPELINE_SEED` asks for others. */
export const seed = Number(process.env["APIPELINE_SEED"] ?? 1)

export class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}
export class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
export class Mishap extends Data.TaggedError("Mishap")<{ readonly frame: number }> {}

/** One processor of a random pipeline. It lets everything pass, in its own manner. */
export interface Stage {
  readonly kind: "sync" | "effect" | "queued" | "forking" | "concurrent" | "silent"
  /** Handlers take up to this many milliseconds, depending on the frame. */
  readonly delay: number
  readonly capacity: number
  readonly strategy: Processor.MailboxStrategy
  /** Answers upstream to some data, and downstream to some of those answers. */
  readonly reacts: boolean
  /** Fails on some data instead of passing it on. */
  readonly fails: boolean
}

export type Action =
  | { readonly act: "text" | "keep" | "sync" | "urgent" | "up" }
  | { readonly act: "burst"; readonly times: number }
  | { readonly act: "time"; readonly millis: number }
  | { readonly act: "interrupt" | "ask" }

export interface Scenario {
  readonly stages: ReadonlyArray<Stage>
  readonly script: ReadonlyArray<Action>
  /** Draws how the stages are put together; without any, one after another. */
  readonly shape: ReadonlyArray<number>
  /** Frames may get lost in full mailboxes, and doubled where pipelines are merged. */
  readonly loose: boolean
}

const stage = Schema.Struct({
  kind: Schema.Literals(["sync", "effect", "queued", "forking", "concurrent", "silent"]),
  delay: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
  capacity: Schema.Literals([1, 2, 3, 8, 1024]),
  strategy: Schema.Literals(["suspend", "dropping", "sliding"]),
  reacts: Schema.Boolean,
  fails: Schema.Boolean
})

const action = (interrupts: boolean) =>
  Schema.Union([
    Schema.Struct({ act: Schema.Literals(["text", "keep", "sync", "urgent", "up"]) }),
    Schema.Struct({
      act: Schema.Literals(["burst"]),
      times: Schema.Int.check(Schema.isBetween({ minimum: 2, maximum: 12 }))
    }),
    Schema.Struct({
      act: Schema.Literals(["time"]),
      millis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8 }))
    }),
    ...(interrupts ? [Schema.Struct({ act: Schema.Literals(["interrupt", "ask"]) })] : [])
  ])

/** Random pipelines of one to seven processors, nested at random, and scripts of up to forty steps. */
export const scenario = (
  options: {
    readonly interrupts?: boolean
    readonly reacts?: boolean
    readonly fails?: boolean
    readonly loose?: boolean
  } = {}
): Arbitrary.Arbitrary<Scenario> =>
  Arbitrary.map(
    Arbitrary.schema(Schema.Struct({
      stages: Schema.Array(stage).check(Schema.isMinLength(1), Schema.isMaxLength(7)),
      shape: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 14 }))).check(Schema.isMaxLength(8)),
      script: Schema.Array(action(options.interrupts === true)).check(Schema.isMinLength(8), Schema.isMaxLength(40))
    })),
    ({ script, shape, stages }) => ({
      script,
      shape,
      loose: options.loose === true,
      stages: stages.map((s) => ({
        ...s,
        strategy: options.loose === true ? s.strategy : "suspend",
        reacts: s.reacts && options.reacts === true,
        fails: s.fails && options.fails === true
      }))
    })
  )

/** What happened, in order: a processor saw or pushed a frame, or was told of a lifecycle frame. */
export interface Entry {
  readonly what: "saw" | "pushed" | "told"
  /** -1: the task itself, or the ends around the pipeline. */
  readonly stage: number
  readonly direction: Frame.Direction
  readonly frame: Frame.Frame
}

export interface Recording {
  readonly log: Array<Entry>
  /** Frames that the script queued. */
  readonly queued: Array<Frame.Frame>
  /** For each interruption, by its frame's id: the length of the log at the instant of the request. */
  readonly cuts: Map<number, number>
  readonly down: Array<Frame.Frame>
  readonly up: Array<Frame.Frame>
  failed: number
  /** What frames' ids are counted from, so that a scenario plays the same way each time. */
  readonly first: number
  /** Frames on which a stage has failed. */
  readonly mishaps: Array<number>
}

const hash = (a: number, b: number): number => (((a + 1) * 2654435761 + b * 40503) >>> 7) % 1000

const isReply = (frame: Frame.Frame): boolean => frame.metadata?.["reply"] !== undefined

/** Puts processors together as the shape says: in line, or as branches side by side, and so on inside. */
const nest = (
  processors: ReadonlyArray<Pipeline.Element<Mishap, never>>,
  shape: Array<number>,
  loose: boolean
): Pipeline.Element<Mishap, never> => {
  const draw = shape.shift()
  if (draw === undefined || processors.length < 2) return Pipeline.make(processors[0]!, ...processors.slice(1))
  const middle = 1 + draw % (processors.length - 1)
  const first = nest(processors.slice(0, middle), shape, loose)
  const second = nest(processors.slice(middle), shape, loose)
  const modes = [
    Pipeline.make,
    Pipeline.parallel,
    Pipeline.syncParallel({ order: "branch" }),
    Pipeline.syncParallel({ order: "arrival" }),
    loose ? Pipeline.merge : Pipeline.parallel
  ] as const
  return modes[Math.floor(draw / 3)]!(first, second)
}

/** The pipeline of a scenario, with a recorder in every processor. */
export const build = (
  { loose, shape, stages }: Scenario,
  recording: Recording,
  asks: Set<number>
): Pipeline.Element<Mishap, never> => {
  const { log } = recording
  const processors = stages.map((stage, index): Processor.Processor<Mishap> => {
    const entry = (what: Entry["what"], direction: Frame.Direction, frame: Frame.Frame) => {
      log.push({ what, stage: index, direction, frame })
    }
    const told = (frame: Frame.Frame) => entry("told", "downstream", frame)
    const reply = (frame: Frame.Frame, direction: Frame.Direction): Frame.Frame | undefined => {
      if (!stage.reacts || hash(frame.id - recording.first, index) % 3 !== 0) return undefined
      if (direction === "downstream" ? isReply(frame) : frame.metadata?.["reply"] !== 1) return undefined
      const level = direction === "downstream" ? 1 : 2
      return Frame.TextFrame.make({ text: "reply", metadata: { reply: level } })
    }
    const opposite = { downstream: "upstream", upstream: "downstream" } as const
    const sync = (direction: Frame.Direction) => (frame: Frame.Frame, push: Processor.Push) => {
      entry("saw", direction, frame)
      const answer = reply(frame, direction)
      if (answer !== undefined) {
        entry("pushed", opposite[direction], answer)
        push[opposite[direction]](answer)
      }
      entry("pushed", direction, frame)
      push(frame)
    }
    const effectful = (direction: Frame.Direction) => (frame: Frame.Frame, context: Processor.ProcessorContext) => {
      entry("saw", direction, frame)
      const work = Effect.gen(function*() {
        const pause = stage.delay === 0 ? 0 : hash(frame.id - recording.first, index + 7) % (stage.delay + 1)
        if (pause > 0) yield* Effect.sleep(pause)
        if (
          stage.fails && frame.kind === "data" && !isReply(frame) && hash(frame.id - recording.first, index) % 5 === 0
        ) {
          recording.mishaps.push(frame.id)
          return yield* new Mishap({ frame: frame.id })
        }
        if (asks.has(frame.id) && frame.metadata?.["asks"] === index % stages.length) {
          const interruption = Frame.StartInterruptionFrame.make({})
          recording.cuts.set(interruption.id, log.length)
          // The kernel does not tell the processor that asks.
          told(interruption)
          yield* context.push(interruption)
        }
        const answer = reply(frame, direction)
        if (answer !== undefined) {
          entry("pushed", opposite[direction], answer)
          yield* direction === "downstream" ? context.pushUpstream(answer) : context.pushDownstream(answer)
        }
        entry("pushed", direction, frame)
        yield* context.push(frame)
      })
      return stage.kind === "forking"
        ? Effect.catchTag(Effect.timeout(work, "1 hour"), "TimeoutError", Effect.die)
        : work
    }
    const lifecycle = <Result>(result: Result) => {
      const tell = (frame: Frame.Frame): Result => {
        told(frame)
        return result
      }
      return {
        StartFrame: tell,
        EndFrame: tell,
        StopTaskFrame: tell,
        CancelFrame: tell,
        StartInterruptionFrame: tell,
        upstream: { StartInterruptionFrame: tell }
      }
    }
    if (stage.kind === "silent") return Processor.sync(`silent${index}`, {})
    if (stage.kind === "sync" || stage.kind === "concurrent") {
      const { upstream, ...rest } = lifecycle<void>(undefined)
      const [down, up] = [sync("downstream"), sync("upstream")]
      const processor = Processor.sync(`sync${index}`, {
        data: down,
        control: down,
        system: down,
        ...rest,
        upstream: { data: up, control: up, system: up, ...upstream }
      })
      return stage.kind === "sync"
        ? processor
        : Processor.concurrent(processor, { capacity: stage.capacity, strategy: stage.strategy })
    }
    const { upstream, ...rest } = lifecycle(Effect.void)
    const [down, up] = [effectful("downstream"), effectful("upstream")]
    const handlers = {
      data: down,
      control: down,
      system: down,
      ...rest,
      upstream: { data: up, control: up, system: up, ...upstream }
    }
    return stage.kind === "effect"
      ? Processor.effect(`effect${index}`, handlers)
      : Processor.queued(`${stage.kind}${index}`, handlers, { capacity: stage.capacity, strategy: stage.strategy })
  })
  return nest(processors, [...shape], loose)
}

export const recording = (): Recording => ({
  log: [],
  queued: [],
  cuts: new Map(),
  down: [],
  up: [],
  failed: 0,
  first: Frame.SyncFrame.make({}).id,
  mishaps: []
})

/** Plays a script against a task. */
export const play = Effect.fnUntraced(function*(
  task: PipelineTask.PipelineTask<unknown>,
  script: ReadonlyArray<Action>,
  stages: number,
  recording: Recording,
  asks: Set<number>
) {
  let n = 0
  const steps = script.flatMap((action): ReadonlyArray<Action> =>
    action.act === "burst" ? Array.from({ length: action.times }, () => ({ act: "text" })) : [action]
  )
  for (const action of steps) {
    if (action.act === "time") {
      yield* TestClock.adjust(action.millis)
      continue
    }
    if (action.act === "interrupt") {
      const frame = Frame.StartInterruptionFrame.make({})
      recording.cuts.set(frame.id, recording.log.length)
      // Not waited for: what follows is queued while the interruption spreads.
      yield* Effect.forkScoped(task.queueFrame(frame), { startImmediately: true })
      continue
    }
    n++
    const frame = action.act === "keep"
      ? Keep.make({ n })
      : action.act === "sync"
      ? Frame.SyncFrame.make({})
      : action.act === "urgent"
      ? Urgent.make({ n })
      : Frame.TextFrame.make({ text: String(n), metadata: action.act === "ask" ? { asks: n % stages } : undefined })
    if (action.act === "ask") asks.add(frame.id)
    const direction = action.act === "up" ? "upstream" : "downstream"
    recording.queued.push(frame)
    recording.log.push({ what: "pushed", stage: -1, direction, frame })
    // Pushers wait their turn in order; the script goes on.
    yield* Effect.forkScoped(Effect.ignore(task.queueFrame(frame, direction)), { startImmediately: true })
  }
})

/** Lets virtual time pass until an Effect has completed: `false` when it has not after a minute of standing still. */
export const within = (fiber: { readonly pollUnsafe: () => unknown }): Effect.Effect<boolean> =>
  Effect.gen(function*() {
    for (let i = 0; i < 600 && fiber.pollUnsafe() === undefined; i++) {
      yield* settle
      if (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("100 millis")
    }
    return fiber.pollUnsafe() !== undefined
  })

/** Builds, plays, ends, and records everything. */
export const perform = (
  scenario: Scenario,
  options: PipelineTask.Options & { readonly finish?: "end" | "cancel" } = {}
): Effect.Effect<Recording & { readonly finished: boolean; readonly drops: Readonly<Record<string, number>> }> =>
  Effect.gen(function*() {
    const { script, stages } = scenario
    const record = recording()
    const asks = new Set<number>()
    const ends = capture()
    const pipeline = Pipeline.make(ends.above, build(scenario, record, asks), ends.below)
    const task = yield* Effect.orDie(PipelineTask.make(pipeline, { ...options }))
    yield* Stream.runForEach(task.failures, () => Effect.sync(() => record.failed++)).pipe(
      Effect.forkScoped({ startImmediately: true })
    )
    const running = yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
    yield* play(task, script, stages.length, record, asks)
    // Everything has its place in the intake's line by now, and the end goes behind it.
    if (options.finish === "cancel") yield* task.cancel()
    else yield* Effect.ignore(task.stopWhenDone)
    const finished = yield* within(running)
    yield* settle
    return { ...record, failed: record.failed, down: ends.down, up: ends.up, finished, drops: yield* task.drops }
  }).pipe(Effect.scoped)
