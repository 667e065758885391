import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import { act, capture, interrupt, payload, run, settle, show, sleep, upstream } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Cause, Data, Deferred, Effect, Exit, Latch, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}
class Boom extends Data.TaggedError("Boom")<{ readonly why: string }> {}

const texts = (...all: ReadonlyArray<string>): Array<string> => all.map((t) => `TextFrame("${t}")`)

const same = Processor.sync("Same", {})

describe("Processor", () => {
  it.effect("forwards what it does not list, the same frame, once", () =>
    Effect.gen(function*() {
      const frame = text("a")
      const { down, up } = yield* run(same, [frame, upstream(frame)])
      deepStrictEqual(show(down), ["StartFrame", "TextFrame(\"a\")", "EndFrame"])
      assert.strictEqual(down[1], frame)
      assert.strictEqual(up[0], frame)
    }))

  it.effect("a sync handler gets its frame and pushes both ways", () =>
    Effect.gen(function*() {
      const both = Processor.sync("Both", {
        TextFrame: (frame, push) => {
          push(text(`${frame.text}1`))
          push.upstream(text(`${frame.text}2`))
          push.downstream(text(`${frame.text}3`))
        }
      })
      const { down, up } = yield* run(both, [text("a"), text("b")])
      deepStrictEqual(show(payload(down)), ["a1", "a3", "b1", "b3"].map((t) => `TextFrame("${t}")`))
      deepStrictEqual(show(up), ["TextFrame(\"a2\")", "TextFrame(\"b2\")"])
    }))

  it.effect("upstream handlers push on upstream", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", {
        upstream: { TextFrame: (frame, { push }) => push(text(`${frame.text}!`)) }
      })
      const { down, up } = yield* run(p, [text("a"), upstream(text("b"))])
      deepStrictEqual(show(payload(down)), ["TextFrame(\"a\")"])
      deepStrictEqual(show(up), ["TextFrame(\"b!\")"])
    }))

  it.effect("state is per task: a function or an Effect makes the handlers", () =>
    Effect.gen(function*() {
      const count = Processor.sync("Count", () => {
        let n = 0
        return { TextFrame: (_, push) => push(text(String(++n))) }
      })
      const released: Array<string> = []
      const resource = Processor.effect(
        "Resource",
        Effect.gen(function*() {
          yield* Effect.acquireRelease(Effect.void, () => Effect.sync(() => released.push("released")))
          let n = 10
          return { TextFrame: (_: Frame.TextFrame, { push }: Processor.ProcessorContext) => push(text(String(++n))) }
        })
      )
      for (let i = 0; i < 2; i++) {
        const first = yield* run(count, [text("a"), text("b")])
        deepStrictEqual(show(payload(first.down)), ["TextFrame(\"1\")", "TextFrame(\"2\")"])
        const second = yield* run(resource, [text("a")])
        deepStrictEqual(show(payload(second.down)), ["TextFrame(\"11\")"])
      }
      deepStrictEqual(released, ["released", "released"])
    }))

  it.effect("handlers by kind take what is not listed by tag; lifecycle frames never", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const see = (frame: Frame.Frame, push: Processor.Push) => {
        seen.push(frame._tag)
        push(frame)
      }
      const p = Processor.sync("P", { data: see, control: see, system: see, TextFrame: (frame, push) => push(frame) })
      yield* run(p, [
        text("a"),
        Frame.SyncFrame.make({}),
        Urgent.make({ n: 1 }),
        Keep.make({ n: 1 }),
        sleep("1 millis"),
        interrupt
      ])
      deepStrictEqual(seen.toSorted(), ["Keep", "SyncFrame", "Urgent"])
    }))

  it.effect("app frames are handled by tag like built-in ones", () =>
    Effect.gen(function*() {
      const p = Processor.sync("P", { Keep: (frame, push) => push(Keep.make({ n: frame.n + 1 })) }, { frames: [Keep] })
      const { down } = yield* run(p, [Keep.make({ n: 1 })])
      assert.strictEqual((down[1] as Keep).n, 2)
    }))

  it.effect("interruptible: the frame at work and those behind it are cut", () =>
    Effect.gen(function*() {
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep("400 millis"), push(frame))
      })
      const { down } = yield* run(slow, [text("a"), text("b"), sleep("200 millis"), interrupt])
      deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", "EndFrame"])
    }))

  it.effect("uninterruptible: the frame at work finishes first, those behind it survive in order", () =>
    Effect.gen(function*() {
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep("400 millis"), push(frame))
      })
      const { down } = yield* run(slow, [
        Keep.make({ n: 1 }),
        text("a"),
        Keep.make({ n: 2 }),
        text("b"),
        sleep("200 millis"),
        act((task) => Effect.forkChild(task.interrupt, { startImmediately: true })),
        sleep("200 millis"),
        act((task) => task.queueFrame(text("c"))),
        sleep("800 millis")
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "Keep(n: 1)",
        "StartInterruptionFrame",
        "Keep(n: 2)",
        "TextFrame(\"c\")",
        "EndFrame"
      ])
    }))

  it.effect("a handler asks for an interruption and goes on", () =>
    Effect.gen(function*() {
      const p = Processor.queued("P", {
        TextFrame: (_, { interrupt, push }) => Effect.andThen(interrupt, push(Urgent.make({ n: 1 })))
      })
      const { down, up } = yield* run(p, [text("a"), sleep("1 millis")])
      deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", "Urgent(n: 1)", "EndFrame"])
      deepStrictEqual(show(up), ["StartInterruptionFrame"])
    }))

  for (const kind of ["sync", "effect", "timeout", "lifecycle frame"] as const) {
    it.effect(`a handler asks for an interruption and what it pushes next follows it (${kind})`, () =>
      Effect.gen(function*() {
        const told: Array<string> = []
        const onInterruption = () => {
          told.push("onInterruption of the asker")
        }
        const p = kind === "sync"
          ? Processor.sync("P", {
            TextFrame: (frame, push) => {
              push(text("old"))
              push.interrupt()
              push(frame)
            },
            onInterruption
          })
          : Processor.effect("P", {
            TextFrame: (frame, context) => {
              const asks = kind === "lifecycle frame"
                ? context.push(Frame.StartInterruptionFrame.make({}))
                : context.interrupt
              const all = Effect.gen(function*() {
                yield* asks
                yield* context.push(frame)
              })
              return kind === "timeout" ? Effect.timeout(all, "1 second") : all
            },
            onInterruption: () => Effect.sync(onInterruption)
          })
        const slow = Processor.queued("Slow", {
          TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
        })
        const { down, up } = yield* run(Pipeline.make(Processor.sync("Above", {}), p, same, slow), [
          text("new"),
          sleep("100 millis")
        ])
        deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", "TextFrame(\"new\")", "EndFrame"])
        deepStrictEqual(show(up), ["StartInterruptionFrame"])
        deepStrictEqual(told, [])
      }))
  }

  it.effect("terminal frames survive an interruption that overtakes them", () =>
    Effect.gen(function*() {
      const p = Processor.queued("P", {
        TextFrame: (frame, { interrupt, push }) =>
          Effect.sleep("100 millis").pipe(Effect.andThen(interrupt), Effect.andThen(push(frame)))
      })
      const ended = yield* run(p, [text("a"), act((task) => task.stopWhenDone), sleep("200 millis")], { end: false })
      deepStrictEqual(show(ended.down), ["StartFrame", "StartInterruptionFrame", "TextFrame(\"a\")", "EndFrame"])
      const stopped = yield* run(p, [text("a"), act((task) => task.stopTask), sleep("200 millis")], { end: false })
      deepStrictEqual(show(stopped.down), ["StartFrame", "StartInterruptionFrame", "TextFrame(\"a\")", "StopTaskFrame"])
    }))

  it.effect("an interruption with nothing allowed to be cut is told and cuts nothing", () =>
    Effect.gen(function*() {
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
      })
      const { down } = yield* run(slow, [text("a"), text("b"), interrupt, sleep("30 millis")], {
        allowInterruptions: false
      })
      deepStrictEqual(show(down), [
        "StartFrame",
        "StartInterruptionFrame",
        "TextFrame(\"a\")",
        "TextFrame(\"b\")",
        "EndFrame"
      ])
    }))

  it.effect("hooks run before the kernel forwards the frame", () =>
    Effect.gen(function*() {
      const p = Processor.sync("P", {
        onStart: (_, push) => push(text("start")),
        onInterruption: (_, push) => push(text("interruption")),
        onEnd: (_, push) => push(text("end"))
      })
      const { down } = yield* run(p, [text("a"), act(() => settle), interrupt])
      deepStrictEqual(show(down), [
        "StartFrame",
        "TextFrame(\"start\")",
        "TextFrame(\"a\")",
        "StartInterruptionFrame",
        "TextFrame(\"interruption\")",
        "TextFrame(\"end\")",
        "EndFrame"
      ])
    }))

  it.effect("onCancel runs after the handler has been stopped", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const p = Processor.queued("P", {
        TextFrame: () => Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("handler stopped"))),
        onCancel: (frame) => Effect.sync(() => log.push(`cancel: ${frame.reason}`))
      })
      const { exit } = yield* run(p, [text("a"), sleep("1 millis"), act((task) => task.cancel("enough"))], {
        end: false
      })
      deepStrictEqual(log, ["handler stopped", "cancel: enough"])
      assert.isTrue(Exit.isSuccess(exit) && exit.value._tag === "Cancelled" && exit.value.frame.reason === "enough")
    }))

  it.effect("a typed failure goes upstream as an ErrorFrame, and the next frame is handled", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", {
        TextFrame: (frame, { push }) => frame.text === "bad" ? Effect.fail(new Boom({ why: "bad" })) : push(frame)
      })
      const { down, exit, failures, up } = yield* run(p, [text("bad"), text("good")])
      deepStrictEqual(show(payload(down)), ["TextFrame(\"good\")"])
      const error = up[0] as Frame.ErrorFrame
      assert.deepStrictEqual([error._tag, error.processor, error.fatal, error.error instanceof Boom], [
        "ErrorFrame",
        "P",
        false,
        true
      ])
      assert.strictEqual(failures.length, 1)
      assert.strictEqual(Cause.squash(failures[0]!.cause), error.error)
      assert.isTrue(Exit.isSuccess(exit) && exit.value._tag === "Ended")
    }))

  for (const mode of ["sync", "effect"] as const) {
    it.effect(`a defect is fatal: run fails with the cause (${mode})`, () =>
      Effect.gen(function*() {
        const bug = new Error("bug")
        const p = mode === "sync"
          ? Processor.sync("P", {
            TextFrame: () => {
              throw bug
            }
          })
          : Processor.effect("P", { TextFrame: () => Effect.die(bug) })
        const { exit } = yield* run(p, [text("a"), sleep("1 millis")], { end: false })
        assert.isTrue(Exit.isFailure(exit))
        const error = Cause.squash((exit as Exit.Failure<never, any>).cause) as { reason: any }
        assert.deepStrictEqual([error.reason._tag, error.reason.processor, error.reason.cause], [
          "ProcessorFailed",
          "P",
          bug
        ])
      }))
  }

  it.effect("the error policy of a processor decides", () =>
    Effect.gen(function*() {
      const handlers = (fail: Effect.Effect<never, Boom>) => ({ TextFrame: () => fail })
      const fatal = yield* run(
        Processor.effect("P", handlers(Effect.fail(new Boom({ why: "x" }))), { onError: "fatal" }),
        [text("a"), sleep("1 millis")],
        { end: false }
      )
      assert.isTrue(Exit.isFailure(fatal.exit))
      const reported = yield* run(Processor.effect("P", handlers(Effect.die("x")), { onError: () => "report" }), [
        text("a")
      ])
      deepStrictEqual(show(reported.up), ["ErrorFrame(P: x)"])
      const ignored = yield* run(Processor.effect("P", handlers(Effect.die("x")), { onError: "ignore" }), [text("a")])
      deepStrictEqual(show(ignored.up), [])
      assert.isTrue(Exit.isSuccess(ignored.exit))
    }))

  it.effect("a sync handler that returns an Effect is told so", () =>
    Effect.gen(function*() {
      const { exit } = yield* run(
        Processor.sync("P", { TextFrame: () => Effect.void }),
        [text("a"), sleep("1 millis")],
        {
          end: false
        }
      )
      assert.include(String(Cause.squash((exit as Exit.Failure<never, any>).cause)), "returned an Effect")
    }))

  it.effect("report sends an error up and goes on", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", {
        TextFrame: (frame, { push, report }) => Effect.andThen(report(new Boom({ why: "mild" })), push(frame))
      })
      const { down, up } = yield* run(p, [text("a")])
      deepStrictEqual(show(payload(down)), ["TextFrame(\"a\")"])
      assert.strictEqual((up[0] as Frame.ErrorFrame).fatal, false)
    }))

  it.effect("a handler that interrupts itself loses its frame, nothing else", () =>
    Effect.gen(function*() {
      const p = Processor.queued("P", {
        TextFrame: (frame, { push }) => frame.text === "a" ? Effect.interrupt : push(frame)
      })
      const { down, exit } = yield* run(p, [text("a"), text("b")])
      deepStrictEqual(show(payload(down)), ["TextFrame(\"b\")"])
      assert.isTrue(Exit.isSuccess(exit))
    }))

  it.effect("dropping and sliding mailboxes drop data only, and count it", () =>
    Effect.gen(function*() {
      for (const strategy of ["dropping", "sliding"] as const) {
        const slow = Processor.queued("Slow", {
          data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
        }, { capacity: 2, strategy })
        let drops = 0
        const { down } = yield* run(slow, [
          text("a"),
          sleep("1 millis"),
          text("b"),
          text("c"),
          Frame.SyncFrame.make({}),
          text("d"),
          Keep.make({ n: 1 }),
          text("e"),
          sleep("100 millis"),
          act((task) => Effect.map(task.drops, (d) => drops = d.full))
        ])
        const kept = strategy === "dropping" ? ["b", "c"] : ["d", "e"]
        assert.deepStrictEqual(
          show(payload(down)).filter((line) => line.startsWith("Text")),
          ["a", ...kept].map((t) => `TextFrame("${t}")`)
        )
        assert.include(show(down), "SyncFrame")
        assert.include(show(down), "Keep(n: 1)")
        assert.strictEqual(drops, 2)
      }
    }))

  it.effect("a full suspending mailbox makes the pusher wait", () =>
    Effect.gen(function*() {
      let pushed = 0
      const fast = Processor.queued("Fast", {
        TextFrame: (frame, { push }) => Effect.tap(push(frame), () => Effect.sync(() => pushed++))
      })
      const latch = yield* Latch.make(false)
      const gate = Processor.queued("Gate", {
        TextFrame: (frame, { push }) => Effect.andThen(latch.await, push(frame))
      }, { capacity: 2 })
      const frames = Array.from({ length: 10 }, (_, i) => text(String(i)))
      const { down } = yield* run(Pipeline.make(fast, gate), [
        ...frames,
        sleep("1 millis"),
        act(() => Effect.sync(() => assert.strictEqual(pushed, 3))),
        act(() => latch.open)
      ])
      deepStrictEqual(payload(down), frames)
      assert.strictEqual(pushed, 10)
    }))

  it.effect("holding is not pulling: a handler that waits holds what is behind it, and an interruption wins", () =>
    Effect.gen(function*() {
      const latch = yield* Latch.make(false)
      const hold = Processor.queued("Hold", {
        TextFrame: (frame, { push }) => Effect.andThen(latch.await, push(frame))
      })
      const held = yield* run(hold, [
        text("a"),
        text("b"),
        sleep("200 millis"),
        act(() => latch.open)
      ])
      deepStrictEqual(show(payload(held.down)), ["TextFrame(\"a\")", "TextFrame(\"b\")"])
      yield* latch.close
      const cut = yield* run(hold, [text("a"), Keep.make({ n: 1 }), sleep("1 millis"), interrupt, sleep("1 millis")])
      deepStrictEqual(show(cut.down), ["StartFrame", "StartInterruptionFrame", "Keep(n: 1)", "EndFrame"])
    }))

  it.effect("no late results: an interrupted handler cannot emit data any more", () =>
    Effect.gen(function*() {
      const p = Processor.queued("P", {
        TextFrame: (frame, { push }) => Effect.uninterruptible(Effect.andThen(Effect.sleep("50 millis"), push(frame)))
      })
      const { down } = yield* run(p, [
        text("late"),
        sleep("10 millis"),
        act((task) => Effect.forkChild(task.interrupt, { startImmediately: true })),
        text("new"),
        sleep("200 millis")
      ])
      deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", "TextFrame(\"new\")", "EndFrame"])
    }))

  it.effect("source pushes what its stream emits, with backpressure, until the end", () =>
    Effect.gen(function*() {
      let emitted = 0
      const source = Processor.source(
        "Source",
        Stream.range(1, 100_000).pipe(
          Stream.rechunk(1),
          Stream.tap(() => Effect.sync(() => emitted++)),
          Stream.map((n) => text(String(n)))
        )
      )
      const slow = Processor.effect("Slow", {
        TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 millis"), push(frame))
      })
      const { down } = yield* run(Pipeline.make(source, slow), [sleep("10 millis")])
      assert.isBelow(emitted, 5000)
      assert.isAtLeast(payload(down).length, 10)
      deepStrictEqual(show(payload(down)).slice(0, 3), ["TextFrame(\"1\")", "TextFrame(\"2\")", "TextFrame(\"3\")"])
      assert.strictEqual(down.at(-1)!._tag, "EndFrame")
    }))

  it.effect("source with endWhenDone ends the task; one that fails is reported", () =>
    Effect.gen(function*() {
      const ending = yield* PipelineTask.make(Pipeline.make(
        Processor.source("Source", Stream.make(text("a"), text("b")), { endWhenDone: true }),
        Processor.queued("Q", {})
      ))
      const frames = yield* Stream.runCollect(ending.output)
      deepStrictEqual(show(frames), ["StartFrame", "TextFrame(\"a\")", "TextFrame(\"b\")", "EndFrame"])
      const failing = Processor.source(
        "Source",
        Stream.concat(Stream.make(text("a")), Stream.fail(new Boom({ why: "gone" })))
      )
      const { down, failures, up } = yield* run(failing, [sleep("1 millis"), text("z")])
      deepStrictEqual(show(payload(down)), ["TextFrame(\"a\")", "TextFrame(\"z\")"])
      deepStrictEqual(show(up), ["ErrorFrame(Source: Boom)"])
      assert.strictEqual(failures.length, 1)
      const both = yield* run(
        Processor.source("Source", Stream.fail(new Boom({ why: "gone" })), { endWhenDone: true }),
        [act((task) => task.await)],
        { end: false }
      )
      deepStrictEqual(show(both.down), ["StartFrame", "EndFrame"])
      assert.strictEqual(both.failures.length, 1)
    }))

  it.effect("sink takes data in order and passes control and system frames", () =>
    Effect.gen(function*() {
      const played: Array<string> = []
      const sink = Processor.sink("Sink", (frame) =>
        Effect.andThen(Effect.sleep("5 millis"), Effect.sync(() => played.push(...show([frame])))))
      const { down } = yield* run(sink, [
        text("a"),
        Frame.SyncFrame.make({}),
        text("b"),
        Urgent.make({ n: 1 }),
        sleep("50 millis")
      ])
      deepStrictEqual(played, ["TextFrame(\"a\")", "TextFrame(\"b\")"])
      deepStrictEqual(show(payload(down)), ["Urgent(n: 1)", "SyncFrame"])
    }))

  it.effect("fromStream transforms data, restarts on interruption, drains at the end", () =>
    Effect.gen(function*() {
      const pairs = Processor.fromStream("Pairs", (frames) =>
        frames.pipe(
          Stream.filter(Frame.TextFrame.is),
          Stream.map((frame) => frame.text),
          Stream.mapAccum(
            () => "",
            (before, now) => before === "" ? [now, []] as const : ["", [before + now]] as const,
            {
              onHalt: (rest) => rest === "" ? [] : [rest]
            }
          ),
          Stream.map(text)
        ))
      const { down } = yield* run(pairs, [
        text("a"),
        text("b"),
        text("c"),
        sleep("1 millis"),
        interrupt,
        text("d"),
        text("e"),
        Frame.SyncFrame.make({}),
        text("f")
      ])
      deepStrictEqual(
        show(payload(down)).filter((line) => line !== "SyncFrame"),
        ["ab", "de", "f"].map((t) => `TextFrame("${t}")`)
      )
    }))

  it.effect("an interruption that cuts nothing calls no onInterruption: fromStream keeps what it holds", () =>
    Effect.gen(function*() {
      const slowly = Processor.fromStream(
        "Slowly",
        Stream.mapEffect((frame) => Effect.as(Effect.sleep("20 millis"), frame))
      )
      const { down } = yield* run(slowly, [text("a"), text("b"), sleep("5 millis"), interrupt], {
        allowInterruptions: false
      })
      deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", ...texts("a", "b"), "EndFrame"])
    }))

  it.effect("concurrent puts any processor behind a mailbox", () =>
    Effect.gen(function*() {
      const captured = capture()
      const p = Processor.concurrent(
        Processor.sync("P", { TextFrame: (frame, push) => push(text(frame.text.toUpperCase())) })
      )
      const { down } = yield* run(Pipeline.make(p, captured.below), [text("a")])
      deepStrictEqual(show(down), ["StartFrame", "TextFrame(\"A\")", "EndFrame"])
    }))

  it.effect("pushes from fibers that a handler forks keep their order and never overlap", () =>
    Effect.gen(function*() {
      let inside = 0
      const fan = Processor.queued("Fan", {
        TextFrame: (frame, { push }) =>
          Effect.forEach([1, 2, 3], (n) => push(text(`${frame.text}${n}`)), { concurrency: "unbounded" })
      })
      const alone = Processor.effect("Alone", {
        TextFrame: (frame, { push }) =>
          Effect.gen(function*() {
            assert.strictEqual(++inside, 1)
            yield* Effect.sleep("3 millis")
            inside--
            yield* push(frame)
          })
      })
      const { down } = yield* run(Pipeline.make(fan, alone), [text("a"), text("b"), sleep("100 millis")])
      deepStrictEqual(show(payload(down)), ["a1", "a2", "a3", "b1", "b2", "b3"].map((t) => `TextFrame("${t}")`))
    }))

  it.effect("a fiber that a handler forked waits until the handler's own push has been dealt with", () =>
    Effect.gen(function*() {
      let inside = 0
      const fork = Processor.queued("Fork", {
        TextFrame: (frame, { push }) =>
          Effect.gen(function*() {
            yield* Effect.forkChild(Effect.andThen(Effect.sleep("1 millis"), push(text(`${frame.text}2`))))
            yield* push(text(`${frame.text}1`))
            yield* Effect.sleep("10 millis")
          })
      })
      const alone = Processor.effect("Alone", {
        TextFrame: (frame, { push }) =>
          Effect.gen(function*() {
            assert.strictEqual(++inside, 1)
            yield* Effect.sleep("3 millis")
            inside--
            yield* push(frame)
          })
      })
      const { down } = yield* run(Pipeline.make(fork, alone), [text("a"), sleep("100 millis")])
      deepStrictEqual(show(payload(down)), texts("a1", "a2"))
    }))

  it.effect("what a synchronous handler had still to push survives its cut when it is uninterruptible", () =>
    Effect.gen(function*() {
      const pair = Processor.concurrent(Processor.sync("Pair", {
        TextFrame: (frame, push) => {
          push(frame)
          push(text("lost in the mailbox"))
          push(text("lost while it waits for room"))
          push(Keep.make({ n: Number(frame.text) }))
        }
      }))
      const narrow = Processor.queued("Narrow", {
        TextFrame: () => Effect.sleep("1 hour"),
        Keep: (frame, { push }) => push(frame)
      }, { capacity: 1, frames: [Keep] })
      const { down } = yield* run(Pipeline.make(pair, narrow), [text("1"), text("2"), sleep("1 millis"), interrupt])
      deepStrictEqual(show(down), ["StartFrame", "StartInterruptionFrame", "Keep(n: 1)", "EndFrame"])
    }))

  it.effect("a handler that an interruption waits for does not wait for room", () =>
    Effect.gen(function*() {
      const many = Processor.queued("Many", {
        Keep: (_, { push }) =>
          Effect.andThen(
            Effect.sleep("10 millis"),
            Effect.forEach([1, 2, 3, 4, 5], (n) => push(text(String(n))), { discard: true })
          )
      }, { frames: [Keep] })
      const narrow = Processor.queued("Narrow", {
        TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 millis"), push(frame))
      }, { capacity: 1 })
      const { down } = yield* run(Pipeline.make(many, narrow), [
        Keep.make({ n: 1 }),
        sleep("1 millis"),
        act((task) => Effect.forkChild(task.interrupt, { startImmediately: true })),
        sleep("100 millis")
      ])
      deepStrictEqual(show(payload(down)), texts("1", "2", "3", "4", "5"))
    }))

  it.effect("synchronous processors in a row wait for room, and lose nothing", () =>
    Effect.gen(function*() {
      const pass = (name: string) => Processor.sync(name, { TextFrame: (frame, push) => push(frame) })
      const slow = Processor.queued("Slow", {
        TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(1), push(frame))
      }, { capacity: 1 })
      const sent = Array.from({ length: 20 }, (_, i) => String(i))
      const { down } = yield* run(Pipeline.make(pass("A"), pass("B"), pass("C"), slow), [
        ...sent.map((t) => text(t)),
        sleep("1 second")
      ])
      deepStrictEqual(show(payload(down)), texts(...sent))
    }))

  it.effect("a push kept from a handler is no plain call while another lane's code runs on its stack", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      let kept: Processor.Push | undefined
      const first = Processor.sync("First", {
        TextFrame: (frame, push) => {
          push(frame)
          kept = push
          if (frame.text === "b") push.interrupt()
        }
      })
      const second = Processor.sync("Second", {
        TextFrame: (frame) => void log.push(frame.text),
        onInterruption: () => {
          log.push("(")
          kept!(text("c"))
          log.push(")")
        }
      })
      yield* run(Pipeline.make(first, second), [text("a"), text("b"), sleep("1 second")])
      deepStrictEqual(log, ["a", "b", "(", ")", "c"])
    }))

  it.effect("a synchronous handler's pushes the other way do not wait for room on its own", () =>
    Effect.gen(function*() {
      const ends = capture()
      const stuck = Processor.queued("Stuck", { TextFrame: () => Effect.never }, { capacity: 1 })
      const both = Processor.sync("Both", {
        TextFrame: (frame, push) => {
          push(frame)
          push.upstream(frame)
        }
      })
      const task = yield* PipelineTask.make(Pipeline.make(ends.above, both, stuck))
      yield* Effect.forkScoped(task.run, { startImmediately: true })
      for (const t of ["a", "b", "c"]) yield* task.queueFrame(text(t))
      yield* settle
      deepStrictEqual(show(payload(ends.up)), texts("a", "b", "c"))
    }))

  it.effect("a push kept from a hook and used in another processor's handler loses nothing", () =>
    Effect.gen(function*() {
      let kept: Processor.Push | undefined
      const first = Processor.sync("First", { TextFrame: (frame) => kept!.downstream(frame) })
      const second = Processor.sync("Second", {
        onStart: (_, push) => {
          kept = push
        }
      })
      const third = Processor.effect("Third", { TextFrame: (frame, { push }) => push(text(`${frame.text}!`)) })
      const { down } = yield* run(Pipeline.make(first, second, third), [text("a"), text("b")])
      deepStrictEqual(show(payload(down)), texts("a!", "b!"))
    }))

  it.effect("a timeout inside a handler does not hold its pushes back", () =>
    Effect.gen(function*() {
      const seen: Array<[string, number]> = []
      const p = Processor.queued("P", {
        TextFrame: (_, { push }) =>
          Effect.timeout(
            Effect.gen(function*() {
              for (const t of ["x", "y"]) {
                yield* push(text(t))
                yield* Effect.sleep("10 millis")
              }
            }),
            "1 second"
          )
      })
      const below = Processor.effect("Below", {
        TextFrame: (frame) =>
          Effect.clockWith((clock) => Effect.sync(() => seen.push([frame.text, clock.currentTimeMillisUnsafe()])))
      })
      yield* run(Pipeline.make(p, below), [text("a"), sleep("100 millis")])
      deepStrictEqual(seen, [["x", 0], ["y", 10]])
    }))

  it.effect("lifecycle frames that a handler pushes are requests to the task", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", {
        TextFrame: (frame, { push }) =>
          frame.text === "end"
            ? push(Frame.EndFrame.make({ reason: "asked" }))
            : frame.text === "cancel"
            ? push(Frame.CancelFrame.make({ reason: "asked" }))
            : push(Frame.StartFrame.make({}))
      })
      const ended = yield* run(p, [text("end"), act((task) => task.await)], { end: false })
      assert.isTrue(
        Exit.isSuccess(ended.exit) && ended.exit.value._tag === "Ended" && ended.exit.value.frame.reason === "asked"
      )
      const cancelled = yield* run(p, [text("cancel"), act((task) => task.await)], { end: false })
      assert.isTrue(Exit.isSuccess(cancelled.exit) && cancelled.exit.value._tag === "Cancelled")
      const refused = yield* run(p, [text("start")])
      assert.strictEqual(refused.up.length, 1)
    }))

  it.effect("a push after the end is dropped, counted and told", () =>
    Effect.gen(function*() {
      const late = yield* Deferred.make<Processor.ProcessorContext>()
      const p = Processor.effect("P", { onStart: (_, context) => Deferred.succeed(late, context) })
      const task = yield* PipelineTask.make(p)
      yield* task.stopWhenDone
      yield* task.run
      const { push } = yield* Deferred.await(late)
      yield* push(text("late"))
      assert.strictEqual((yield* task.drops).ended, 1)
    }))

  it.effect("system frames overtake data; their slow handlers hold up neither data nor an interruption", () =>
    Effect.gen(function*() {
      const p = Processor.queued("P", {
        TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame)),
        Urgent: (frame, { push }) => Effect.andThen(Effect.sleep("15 millis"), push(frame))
      }, { frames: [Urgent] })
      const { down } = yield* run(p, [
        text("a"),
        text("b"),
        text("c"),
        Urgent.make({ n: 1 }),
        Urgent.make({ n: 2 }),
        sleep("25 millis"),
        interrupt,
        sleep("100 millis")
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "TextFrame(\"a\")",
        "Urgent(n: 1)",
        "TextFrame(\"b\")",
        "StartInterruptionFrame",
        "Urgent(n: 2)",
        "EndFrame"
      ])
    }))

  it.effect("time only passes by the Clock", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 second")
      const { down } = yield* run(same, [sleep("1 hour")])
      deepStrictEqual(show(down), ["StartFrame", "EndFrame"])
    }))
})
