import * as Frame from "@apipeline/core/Frame"
import * as Notifier from "@apipeline/core/Notifier"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import { act, payload, run, settle, show, sleep } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"

const { deepStrictEqual, strictEqual } = assert

const waiting = (notifier: Notifier.Notifier, log: Array<string>, name: string) =>
  Effect.forkChild(Effect.andThen(notifier.wait, Effect.sync(() => log.push(name))), { startImmediately: true })

describe("Notifier", () => {
  it.effect("a notification wakes all who wait, once", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const log: Array<string> = []
      const a = yield* waiting(notifier, log, "a")
      const b = yield* waiting(notifier, log, "b")
      yield* settle
      deepStrictEqual(log, [])
      yield* notifier.notify
      yield* Fiber.join(a)
      yield* Fiber.join(b)
      deepStrictEqual(log, ["a", "b"])
      const c = yield* waiting(notifier, log, "c")
      yield* settle
      strictEqual(c.pollUnsafe(), undefined)
    }))

  it.effect("a notification that nobody waits for is kept for the next who does, and only one is", () =>
    Effect.gen(function*() {
      const notifier = Notifier.makeUnsafe()
      notifier.notifyUnsafe()
      yield* notifier.notify
      yield* notifier.wait
      const log: Array<string> = []
      const next = yield* waiting(notifier, log, "next")
      yield* settle
      strictEqual(next.pollUnsafe(), undefined)
      notifier.notifyUnsafe()
      yield* Fiber.join(next)
      deepStrictEqual(log, ["next"])
    }))

  it.effect("who has been woken does not take the next one", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const log: Array<string> = []
      const first = yield* waiting(notifier, log, "first")
      yield* notifier.notify
      yield* Fiber.join(first)
      yield* notifier.notify
      const second = yield* waiting(notifier, log, "second")
      yield* Fiber.join(second)
      deepStrictEqual(log, ["first", "second"])
    }))

  it.effect("who gives up waiting takes no notification", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const log: Array<string> = []
      const gone = yield* waiting(notifier, log, "gone")
      yield* Fiber.interrupt(gone)
      yield* notifier.notify
      yield* notifier.wait
      deepStrictEqual(log, [])
    }))

  it.effect("one processor waits for another", () =>
    Effect.gen(function*() {
      const ready = yield* Notifier.make
      const received: Array<string> = []
      const pipeline = Pipeline.make(
        Processor.sync("Notifies", {
          SyncNotifyFrame: () => ready.notifyUnsafe()
        }),
        Processor.queued("Waits", { TextFrame: (frame, { push }) => Effect.andThen(ready.wait, push(frame)) }),
        Processor.sync("Below", {
          TextFrame: (frame, push) => {
            received.push(frame.text)
            push(frame)
          }
        })
      )
      const { down } = yield* run(pipeline, [
        Frame.TextFrame.make({ text: "a" }),
        Frame.TextFrame.make({ text: "b" }),
        sleep("1 second"),
        act(() => Effect.sync(() => deepStrictEqual(received, []))),
        Frame.SyncNotifyFrame.make(),
        sleep("1 millis"),
        act(() => Effect.sync(() => deepStrictEqual(received, ["a"]))),
        Frame.SyncNotifyFrame.make()
      ])
      deepStrictEqual(show(payload(down)), ["TextFrame(\"a\")", "TextFrame(\"b\")"])
    }))
})
