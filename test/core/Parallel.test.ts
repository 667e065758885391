import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import { act, interrupt, leaks, payload, run, show, sleep, upstream } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Data, Effect, Exit, Schema, Stream } from "effect"

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const texts = (...all: ReadonlyArray<string>): Array<string> => all.map((t) => `TextFrame("${t}")`)
class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}
class Boom extends Data.TaggedError("Boom")<{}> {}

const same = (name = "Same") => Processor.sync(name, {})
const nothing = (name = "Nothing") => Processor.sync(name, { data: () => {} })
const tag = (tag: string) =>
  Processor.sync(`Tag${tag}`, { TextFrame: (frame, push) => push(text(`${frame.text}${tag}`)) })
const slowTag = (tag: string, millis: number) =>
  Processor.effect(`Slow${tag}`, {
    TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(millis), push(text(`${frame.text}${tag}`)))
  })

describe("Pipeline.parallel", () => {
  it.effect("one branch, two branches that let pass: each frame once", () =>
    Effect.gen(function*() {
      const frame = text("a")
      const one = yield* run(Pipeline.parallel(same()), [frame])
      deepStrictEqual(show(one.down), ["StartFrame", ...texts("a"), "EndFrame"])
      const two = yield* run(Pipeline.parallel(same("A"), same("B")), [frame, upstream(text("u"))])
      deepStrictEqual(show(two.down), ["StartFrame", ...texts("a"), "EndFrame"])
      assert.strictEqual(two.down[1], frame)
      deepStrictEqual(show(two.up), texts("u"))
    }))

  it.effect("the same frame object queued twice comes out twice, also when a branch swallowed it the first time", () =>
    Effect.gen(function*() {
      const frame = text("a")
      const { down } = yield* run(Pipeline.parallel(same("A"), nothing(), same("B")), [
        frame,
        frame,
        sleep("1 millis"),
        frame
      ])
      deepStrictEqual(show(payload(down)), texts("a", "a", "a"))
    }))

  it.effect("a branch that lets the same frame out twice adds nothing to what came in", () =>
    Effect.gen(function*() {
      const twice = Processor.sync("Twice", {
        TextFrame: (frame, push) => {
          push(frame)
          push(frame)
        }
      })
      const { down } = yield* run(Pipeline.parallel(same("A"), twice, nothing()), [text("a"), text("b")])
      deepStrictEqual(show(payload(down)), texts("a", "b"))
    }))

  it.effect("outputs of all branches are merged as they come", () =>
    Effect.gen(function*() {
      const { down } = yield* run(Pipeline.parallel(slowTag("1", 5), tag("2")), [
        text("a"),
        text("b"),
        sleep("20 millis")
      ])
      deepStrictEqual(show(payload(down)), texts("a2", "b2", "a1", "b1"))
    }))

  it.effect("frames that a branch pushes at the start come before those that the user queued", () =>
    Effect.gen(function*() {
      const early = Processor.sync("Early", { onStart: (_, push) => push(text("from start")) })
      const { down } = yield* run(Pipeline.parallel(early, same()), [text("user")])
      deepStrictEqual(show(down), ["StartFrame", ...texts("from start", "user"), "EndFrame"])
    }))

  it.effect("the end comes once, after every branch", () =>
    Effect.gen(function*() {
      const flush = Processor.queued("Flush", {
        onEnd: (_, { push }) => Effect.andThen(Effect.sleep("50 millis"), push(text("rest")))
      })
      const { down } = yield* run(Pipeline.parallel(flush, same(), Pipeline.make(same("X"), slowTag("s", 3))), [
        text("a")
      ])
      deepStrictEqual(show(down), ["StartFrame", ...texts("a", "as", "rest"), "EndFrame"])
    }))

  it.effect("system frames pass every branch at once and once; lifecycle frames are told once", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const tell = (name: string) =>
        Processor.queued(name, {
          data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame)),
          StartInterruptionFrame: () => Effect.sync(() => told.push(name))
        })
      const { down } = yield* run(Pipeline.make(Pipeline.parallel(tell("A"), tell("B")), tell("C")), [
        text("a"),
        Urgent.make({ n: 1 }),
        sleep("1 millis"),
        interrupt,
        sleep("50 millis")
      ])
      deepStrictEqual(show(down), ["StartFrame", "Urgent(n: 1)", "StartInterruptionFrame", "EndFrame"])
      deepStrictEqual(told, ["A", "B", "C"])
    }))

  it.effect("a branch that runs inline costs no fibers", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.parallel(tag("1"), Pipeline.make(tag("2"), tag("3")))
      const task = yield* PipelineTask.make(pipeline)
      yield* task.start
      const [, started] = yield* leaks(Effect.gen(function*() {
        for (let i = 0; i < 100; i++) yield* task.queueFrame(text(String(i)))
        yield* Effect.yieldNow
      }))
      assert.strictEqual(started, 0)
    }).pipe(Effect.scoped))

  it.effect("errors inside a branch reach the task once", () =>
    Effect.gen(function*() {
      const bad = Processor.effect("Bad", { TextFrame: () => Effect.fail(new Boom()) })
      const { failures, up } = yield* run(Pipeline.parallel(same("A"), Pipeline.make(same("B"), bad)), [text("a")])
      deepStrictEqual(show(up), ["ErrorFrame(Bad: Boom)"])
      assert.strictEqual(failures.length, 1)
      const dead = Processor.effect("Dead", { TextFrame: () => Effect.die("bug") })
      const { exit } = yield* run(Pipeline.parallel(same("A"), dead), [text("a"), sleep("1 millis")], { end: false })
      assert.isTrue(Exit.isFailure(exit))
    }))

  it.effect("nothing is left of branches after the scope has closed", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.parallel(
        slowTag("1", 50),
        Pipeline.syncParallel()(slowTag("2", 10), Processor.queued("Q", {}))
      )
      const [, alive] = yield* leaks(run(pipeline, [text("a"), sleep("20 millis")], { end: false }))
      assert.strictEqual(alive, 0)
    }))
})

describe("Pipeline.syncParallel", () => {
  it.effect("two branches that let pass: each frame once, in order", () =>
    Effect.gen(function*() {
      const { down, up } = yield* run(Pipeline.syncParallel()(same("A"), same("B")), [
        text("a"),
        text("b"),
        upstream(text("u"))
      ])
      deepStrictEqual(show(down), ["StartFrame", ...texts("a", "b"), "EndFrame"])
      deepStrictEqual(show(up), texts("u"))
    }))

  for (const order of ["arrival", "branch"] as const) {
    it.effect(`outputs of one input are released together, by ${order}`, () =>
      Effect.gen(function*() {
        const pipeline = Pipeline.syncParallel(order === "arrival" ? {} : { order })(slowTag("slow", 50), tag("fast"))
        const result = run(pipeline, [
          text("1"),
          text("2"),
          sleep("49 millis"),
          act((task) => Effect.map(task.phase, (phase) => assert.strictEqual(phase, "Running"))),
          sleep("60 millis")
        ])
        const expected = order === "arrival"
          ? ["1fast", "1slow", "2fast", "2slow"]
          : ["1slow", "1fast", "2slow", "2fast"]
        deepStrictEqual(show(payload((yield* result).down)), texts(...expected))
      }))
  }

  it.effect("nothing is released before every branch is done with the input", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const below = Processor.sync("Below", { TextFrame: (frame) => void seen.push(frame.text) })
      yield* run(Pipeline.make(Pipeline.syncParallel()(slowTag("slow", 50), tag("fast")), below), [
        text("1"),
        sleep("49 millis"),
        act(() => Effect.sync(() => deepStrictEqual(seen, []))),
        sleep("1 millis"),
        act(() => Effect.sync(() => deepStrictEqual(seen, ["1fast", "1slow"])))
      ])
    }))

  it.effect("several outputs of one input, and a branch that swallows it", () =>
    Effect.gen(function*() {
      const twice = Processor.sync("Twice", {
        TextFrame: (frame, push) => {
          push(frame)
          push(text(`${frame.text}!`))
        }
      })
      const { down } = yield* run(Pipeline.syncParallel({ order: "branch" })(nothing(), twice, slowTag("s", 5)), [
        text("a"),
        text("b"),
        sleep("20 millis")
      ])
      deepStrictEqual(show(payload(down)), texts("a", "a!", "as", "b", "b!", "bs"))
    }))

  it.effect("system frames pass at once; an interruption discards the held batch and keeps what is uninterruptible", () =>
    Effect.gen(function*() {
      const hang = Processor.queued("Hang", { TextFrame: () => Effect.never })
      const { down } = yield* run(Pipeline.syncParallel()(hang, same()), [
        text("a"),
        Keep.make({ n: 1 }),
        Urgent.make({ n: 1 }),
        sleep("1 millis"),
        interrupt,
        text("hangs again"),
        sleep("1 millis"),
        interrupt
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "Urgent(n: 1)",
        "StartInterruptionFrame",
        "Keep(n: 1)",
        "StartInterruptionFrame",
        "EndFrame"
      ])
    }))

  it.effect("errors inside a branch reach the task and hold up nobody", () =>
    Effect.gen(function*() {
      const bad = Processor.effect("Bad", { TextFrame: () => Effect.fail(new Boom()) })
      const { down, up } = yield* run(Pipeline.syncParallel()(bad, same()), [text("a"), text("b")])
      deepStrictEqual(show(payload(down)), texts("a", "b"))
      deepStrictEqual(show(up), ["ErrorFrame(Bad: Boom)", "ErrorFrame(Bad: Boom)"])
    }))

  it.effect("upstream in step too", () =>
    Effect.gen(function*() {
      const upTag = (tag: string, millis: number) =>
        Processor.effect(`Up${tag}`, {
          upstream: {
            TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(millis), push(text(`${frame.text}${tag}`)))
          }
        })
      const { up } = yield* run(Pipeline.syncParallel({ order: "branch" })(upTag("1", 10), upTag("2", 0)), [
        upstream(text("a")),
        upstream(text("b")),
        sleep("50 millis")
      ])
      deepStrictEqual(show(up), texts("a1", "a2", "b1", "b2"))
    }))
})

describe("Pipeline.merge and mergeSequential", () => {
  const counting = (name: string, millis: number) =>
    Processor.source(
      name,
      Stream.range(1, 3).pipe(Stream.mapEffect((n) => Effect.as(Effect.sleep(millis), text(`${name}${n}`))))
    )

  it.effect("merge interleaves as they come, without removing anything", () =>
    Effect.gen(function*() {
      const { down } = yield* run(Pipeline.merge(counting("a", 2), counting("b", 5)), [sleep("20 millis"), text("x")])
      deepStrictEqual(show(payload(down)), texts("a1", "a2", "b1", "a3", "b2", "b3", "x", "x"))
    }))

  it.effect("mergeSequential puts the second one's output behind the first one's", () =>
    Effect.gen(function*() {
      const { down } = yield* run(Pipeline.mergeSequential(counting("a", 2), counting("b", 1)), [sleep("20 millis")])
      deepStrictEqual(show(down), ["StartFrame", ...texts("a1", "a2", "a3", "b1", "b2", "b3"), "EndFrame"])
    }))
})

describe("nesting", () => {
  it.effect("any of these in any other", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(
        same("S0"),
        Pipeline.parallel(
          Pipeline.make(tag("a"), Pipeline.syncParallel()(tag("1"), Pipeline.parallel(tag("2"), slowTag("3", 5)))),
          Processor.concurrent(tag("b"))
        ),
        Processor.queued("Q", {})
      )
      const { down } = yield* run(pipeline, [text("x"), sleep("20 millis")])
      deepStrictEqual(show(payload(down)).toSorted(), texts("xa1", "xa2", "xa3", "xb"))
      assert.include(Pipeline.toMermaid(pipeline), "Taga")
    }))
})
