import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import { leaks, settle } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { type Arbitrary, Effect, Exit, Schema } from "effect"
import { TestClock } from "effect/testing"
import { build, type Entry, perform, play, recording, runs, type Scenario, scenario, seed, within } from "./scenario.ts"

const options = { arbitrary: { runs, seed } }
const timeout = Math.max(60_000, runs * 60)

const inOrder = (frame: Frame.Frame): boolean => frame.kind !== "system" && !Frame.isLifecycle(frame)
const ids = (frames: ReadonlyArray<Frame.Frame>): Array<number> => frames.map((frame) => frame.id)
const isReply = (frame: Frame.Frame): boolean => frame.metadata?.["reply"] !== undefined

const check = (
  name: string,
  arbitrary: Arbitrary.Arbitrary<Scenario>,
  property: (scenario: Scenario) => Effect.Effect<unknown>
) => it.effect.prop(name, { scenario: arbitrary }, ({ scenario }) => property(scenario), { ...options, timeout })

/**
 * What one processor pushes in one direction reaches every other processor in that order. With branches, a frame may
 * arrive by another branch's push of it: frames are compared with those that come from the same place and so take the
 * same branches. A frame whose handler asked for an interruption goes on in its own branch only, and is left out.
 */
const assertOrder = (log: ReadonlyArray<Entry>, { shape, stages }: Scenario) => {
  const origin = new Map<number, number>()
  for (const { frame, stage } of log) if (!origin.has(frame.id)) origin.set(frame.id, stage)
  for (const direction of ["downstream", "upstream"] as const) {
    const of = (what: Entry["what"], stage: number) =>
      log.filter((e) => e.what === what && e.stage === stage && e.direction === direction && inOrder(e.frame))
    for (let from = 0; from < stages.length; from++) {
      const place = new Map(of("pushed", from).map((e, index) => [e.frame.id, index]))
      const group = ({ frame }: Entry): string =>
        shape.length === 0 ? "all" : `${origin.get(frame.id)} ${frame.metadata?.["asks"] === undefined}`
      for (let to = 0; to < stages.length; to++) {
        if (direction === "downstream" ? to <= from : to >= from) continue
        const last: Record<string, number> = {}
        for (const entry of of("saw", to)) {
          const at = place.get(entry.frame.id)
          if (at === undefined) continue
          assert.isAbove(at, last[group(entry)] ?? -1, `${direction}: ${from} -> ${to}`)
          last[group(entry)] = at
        }
      }
    }
  }
}

describe("guarantees", () => {
  check(
    "1. order: what one processor pushes in one direction is seen in push order",
    scenario({ interrupts: true, reacts: true }),
    (s) =>
      Effect.gen(function*() {
        const { finished, log } = yield* perform(s)
        assert.isTrue(finished)
        assertOrder(log, s)
      })
  )

  check("2. nothing lost, nothing twice", scenario({ reacts: true }), (s) =>
    Effect.gen(function*() {
      const { down, log, queued, up } = yield* perform(s)
      const entered = (direction: Frame.Direction) =>
        queued.filter((f) => log.some((e) => e.stage === -1 && e.direction === direction && e.frame === f))
      const left = (frames: ReadonlyArray<Frame.Frame>) => frames.filter((f) => !Frame.isLifecycle(f) && !isReply(f))
      assert.deepStrictEqual(ids(left(down).filter(inOrder)), ids(entered("downstream").filter(inOrder)))
      assert.deepStrictEqual(ids(left(up).filter(inOrder)), ids(entered("upstream").filter(inOrder)))
      const system = ids(left(down).filter((f) => f.kind === "system")).toSorted((a, b) => a - b)
      assert.deepStrictEqual(system, ids(entered("downstream").filter((f) => f.kind === "system")))
      const everyReply = new Set(log.filter((e) => e.what === "pushed" && isReply(e.frame)).map((e) => e.frame.id))
      const replies = [...down, ...up].filter(isReply)
      assert.strictEqual(replies.length, everyReply.size)
    }))

  check(
    "3. interruption is a barrier",
    scenario({ loose: true, interrupts: true, reacts: true }),
    (s) =>
      Effect.gen(function*() {
        const { cuts, finished, log } = yield* perform(s)
        assert.isTrue(finished)
        for (let stage = 0; stage < s.stages.length; stage++) {
          let cut = -1
          const told = new Set<number>()
          log.forEach((entry, index) => {
            if (entry.stage !== stage) return
            if (entry.frame._tag === "StartInterruptionFrame") {
              assert.isFalse(told.has(entry.frame.id), "an interruption is told once")
              told.add(entry.frame.id)
              cut = Math.max(cut, cuts.get(entry.frame.id)!)
            }
            if (entry.what !== "saw" || entry.frame.uninterruptible || entry.frame.kind === "system" || cut < 0) return
            const pushed = log.findLastIndex((e, i) =>
              i < index && e.what === "pushed" && e.frame === entry.frame && e.direction === entry.direction
            )
            assert.isAtLeast(pushed, cut, `stage ${stage} saw ${entry.frame.name} of before the interruption`)
          })
          if (s.stages[stage]!.kind !== "silent") {
            assert.strictEqual(told.size, cuts.size, `stage ${stage} is told of every interruption`)
          }
        }
      })
  )

  check(
    "4. uninterruptible frames survive, exactly once, in order",
    scenario({ interrupts: true, reacts: true }),
    (s) =>
      Effect.gen(function*() {
        const { down, queued } = yield* perform(s)
        const keep = (frames: ReadonlyArray<Frame.Frame>) => ids(frames.filter((f) => f._tag === "Keep"))
        assert.deepStrictEqual(keep(down), keep(queued))
      })
  )

  check(
    "5. the end is last: everything queued before it is seen, nothing after it",
    scenario({ loose: true, interrupts: true, reacts: true }),
    (s) =>
      Effect.gen(function*() {
        const { cuts, down, log, queued, up } = yield* perform(s)
        for (let stage = 0; stage < s.stages.length; stage++) {
          const seen = log.filter((e) => e.stage === stage && e.what !== "pushed")
          if (s.stages[stage]!.kind === "silent") continue
          assert.strictEqual(seen.filter((e) => e.frame._tag === "EndFrame").length, 1)
          assert.strictEqual(seen.at(-1)!.frame._tag, "EndFrame")
        }
        assert.strictEqual(down.at(-1)!._tag, "EndFrame")
        if (cuts.size > 0 || s.loose) return
        assert.strictEqual([...down, ...up].filter((f) => queued.includes(f)).length, queued.length)
      })
  )

  check(
    "6. cancel is prompt and total",
    scenario({ loose: true, interrupts: true, reacts: true }),
    (s) =>
      Effect.gen(function*() {
        const record = recording()
        const [task, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
          const asks = new Set<number>()
          const task = yield* Effect.orDie(PipelineTask.make(build(s, record, asks)))
          const half = Math.floor(s.script.length / 2)
          yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
          yield* play(task, s.script.slice(0, half), s.stages.length, record, asks)
          if (s.script.length % 3 === 0) yield* Effect.ignore(task.stopWhenDone)
          yield* Effect.forkScoped(play(task, s.script.slice(half), s.stages.length, record, asks))
          const cancelling = yield* Effect.forkScoped(task.cancel("property"), { startImmediately: true })
          assert.isTrue(yield* within(cancelling))
          const after = record.log.length
          yield* settle
          yield* TestClock.adjust("1 minute")
          const late = record.log.slice(after).filter((e) => e.stage >= 0)
          assert.deepStrictEqual(late.map((e) => `${e.what} ${e.frame.name}`), [])
          const exit = yield* Effect.exit(task.await)
          assert.isTrue(Exit.isSuccess(exit) && ["Cancelled", "Ended"].includes(exit.value._tag))
          return task
        })))
        assert.strictEqual(yield* task.phase, "Done")
        assert.strictEqual(alive, 0)
      })
  )

  check(
    "7. StopTask keeps processors alive: a new task takes over",
    scenario({ reacts: true }),
    (s) =>
      Effect.gen(function*() {
        const record = recording()
        const asks = new Set<number>()
        const first = yield* Effect.orDie(PipelineTask.make(build(s, record, asks)))
        const running = yield* Effect.forkScoped(first.run, { startImmediately: true })
        const half = Math.floor(s.script.length / 2)
        yield* play(first, s.script.slice(0, half), s.stages.length, record, asks)
        yield* Effect.orDie(first.stopTask)
        assert.isTrue(yield* within(running))
        const before = record.log.length
        const second = yield* Effect.orDie(PipelineTask.takeOver(first))
        const again = yield* Effect.forkScoped(second.run, { startImmediately: true })
        yield* play(second, s.script.slice(half), s.stages.length, record, asks)
        yield* Effect.orDie(second.stopWhenDone)
        assert.isTrue(yield* within(again))
        for (let stage = 0; stage < s.stages.length; stage++) {
          if (s.stages[stage]!.kind === "silent") continue
          const told = (entries: ReadonlyArray<Entry>) =>
            entries.filter((e) => e.stage === stage && e.what === "told").map((e) => e.frame._tag)
          assert.deepStrictEqual(told(record.log.slice(0, before)), ["StartFrame", "StopTaskFrame"])
          assert.deepStrictEqual(told(record.log.slice(before)), ["StartFrame", "EndFrame"])
          const seen = record.log.filter((e) =>
            e.stage === stage && e.what === "saw" && record.queued.includes(e.frame)
          )
          assert.strictEqual(seen.length, record.queued.length)
        }
      }).pipe(Effect.scoped)
  )

  check(
    "8. no deadlock with bounded mailboxes",
    scenario({ loose: true, interrupts: true, reacts: true, fails: true }),
    (s) =>
      Effect.gen(function*() {
        const tight = { ...s, stages: s.stages.map((stage) => ({ ...stage, capacity: 1, reacts: true })) }
        const { finished } = yield* perform(tight, { capacity: 1 })
        assert.isTrue(finished)
      })
  )

  check(
    "9. no silence: every failure is told, every frame that did not arrive is counted",
    scenario({ fails: true, interrupts: true }),
    (s) =>
      Effect.gen(function*() {
        const { cuts, down, drops, failed, log, mishaps, queued, up } = yield* perform(s)
        assert.strictEqual(failed, mishaps.length)
        const errors = up.filter((f) => f._tag === "ErrorFrame")
        assert.strictEqual(errors.length, mishaps.length)
        const arrived = new Set([...down, ...up])
        const missing = queued.filter((f) => !arrived.has(f) && !mishaps.includes(f.id))
        if (cuts.size === 0) assert.deepStrictEqual(ids(missing), [])
        // A frame that an interruption takes is either still queued (counted as dropped) or at work (its handler is cut).
        const has = (what: Entry["what"], stage: number, f: Frame.Frame) =>
          log.some((e) => e.what === what && e.stage === stage && e.frame === f)
        const atWork = missing.filter((f) =>
          s.stages.some((_, stage) => has("saw", stage, f) && !has("pushed", stage, f))
        )
        assert.isAtLeast(drops["interrupted"]! + atWork.length, missing.length)
      })
  )

  it.effect.prop("9b. dropping and sliding: in = out + dropped", {
    capacity: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 9 })),
    strategy: Schema.Literals(["dropping", "sliding"]),
    gaps: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 }))).check(Schema.isMaxLength(40))
  }, ({ capacity, gaps, strategy }) =>
    Effect.gen(function*() {
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep("2 millis"), push(frame))
      }, { capacity, strategy })
      let arrived = 0
      const sink = Processor.sync("Sink", { data: () => void arrived++ })
      const task = yield* Effect.orDie(PipelineTask.make(Pipeline.make(slow, sink)))
      const running = yield* Effect.forkScoped(task.run, { startImmediately: true })
      for (const gap of gaps) {
        yield* Effect.orDie(task.queueFrame(Frame.TextFrame.make({ text: "x" })))
        yield* settle
        if (gap > 0) yield* TestClock.adjust(gap)
      }
      yield* Effect.orDie(task.stopWhenDone)
      assert.isTrue(yield* within(running))
      assert.strictEqual(arrived + (yield* task.drops).full, gaps.length)
    }).pipe(Effect.scoped), { ...options, timeout })
})
