import { assert, describe, it } from "@effect/vitest"
import { type Child, type Ended, sleep, start } from "../utils/child.ts"

const fixture = (runner: string, behaviour = "waits"): Child => start(["test/fixtures/signals.ts", runner, behaviour])

/** Starts the fixture, waits until its tasks are at work, and signals. */
const signalled = async (signal: NodeJS.Signals, runner: string, behaviour?: string): Promise<Child> => {
  const child = fixture(runner, behaviour)
  await child.printed("ready")
  child.kill(signal)
  return child
}

const assertCode = (ended: Ended, code: number): void => {
  assert.strictEqual(ended.code, code, `${ended.signal}\n${ended.stdout}\n${ended.stderr}`)
}

/** Both tasks were cancelled in full, and then the program's own scope was closed. */
const assertClean = ({ stderr, stdout }: Ended): void => {
  const lines = stdout.slice(stdout.indexOf("ready\n") + 6).split("\n").filter((line) => line !== "")
  assert.sameMembers(lines, [
    ...["a", "b"].flatMap((name) => [`${name} stopped`, `${name} cancelled`, `${name} released`]),
    "program released"
  ])
  for (const name of ["a", "b"]) {
    const [stopped, cancelled, released] = ["stopped", "cancelled", "released"].map((what) =>
      lines.indexOf(`${name} ${what}`)
    )
    assert(stopped! < cancelled! && cancelled! < released!, stdout)
  }
  assert.strictEqual(stderr, "")
}

describe("signals", { timeout: 60_000 }, () => {
  it.for([["SIGINT", 130], ["SIGTERM", 143]] as const)(
    "%s cancels every task: exit code %i",
    async ([signal, code]) => {
      const ended = await (await signalled(signal, "ours")).ended
      assertCode(ended, code)
      assertClean(ended)
      assert.isBelow(ended.milliseconds, 3000)
    }
  )

  it("a program that ends: 0, and signals are the process's own again", async () => {
    const child = fixture("ours", "ends")
    await child.printed("alone")
    child.kill("SIGTERM")
    const { code, signal, stdout } = await child.ended
    assert.deepStrictEqual([code, signal], [null, "SIGTERM"])
    assert.include(stdout, "program released")
  })

  it("a program that fails: 1, and says why", async () => {
    const ended = await fixture("ours", "fails").ended
    assertCode(ended, 1)
    assert.include(ended.stdout + ended.stderr, "Boom")
  })

  it("a program that cannot be released after a signal has failed: 1", async () => {
    const ended = await (await signalled("SIGTERM", "ours", "breaks")).ended
    assertCode(ended, 1)
    assert.include(ended.stdout + ended.stderr, "broken")
    assert.include(ended.stdout, "b released")
  })

  it("a teardown of one's own decides, and errors may go unreported", async () => {
    const ended = await fixture("ours-teardown", "fails").ended
    assertCode(ended, 42)
    assert.notInclude(ended.stdout + ended.stderr, "Boom")
  })

  it.for([["SIGINT", "SIGINT", 130], ["SIGTERM", "SIGTERM", 143], ["SIGTERM", "SIGINT", 130]] as const)(
    "after %s, a second signal (%s) does not wait for what hangs: exit code %i",
    async ([first, second, code]) => {
      const child = await signalled(first, "ours", "hangs")
      await child.printed("b hangs")
      await sleep(700)
      child.kill(second)
      const ended = await child.ended
      assertCode(ended, code)
      assert.isBelow(ended.milliseconds, 3000)
      assert.strictEqual(ended.stderr, `${second} again: exit at once\n`)
      assert.include(ended.stdout, "a released")
      assert.notInclude(ended.stdout, "b released")
    }
  )

  it("without a second signal the task's own cancelTimeout is the end of it", async () => {
    const ended = await (await signalled("SIGTERM", "ours", "late")).ended
    assertCode(ended, 143)
    assert.isAtLeast(ended.milliseconds, 590)
    assert.isBelow(ended.milliseconds, 5000)
    assert.include(ended.stdout, "a released")
    assert.include(ended.stdout, "program released")
  })

  it("a second signal right behind the first is the same one", async () => {
    const child = await signalled("SIGINT", "ours", "slow")
    await sleep(50)
    child.kill("SIGINT")
    const ended = await child.ended
    assertCode(ended, 130)
    assertClean(ended)
  })

  it("unless there is no grace", async () => {
    const child = await signalled("SIGINT", "ours-impatient", "hangs")
    await child.printed("b hangs")
    child.kill("SIGINT")
    const ended = await child.ended
    assertCode(ended, 130)
    assert.include(ended.stderr, "again")
  })

  describe("with plain NodeRuntime.runMain", () => {
    it.for(["plain", "plain-layer", "plain-merged", "plain-effect"])(
      "%s: the first cancels every task",
      async (runner) => {
        const ended = await (await signalled("SIGTERM", runner)).ended
        assertCode(ended, 130) // which is what Effect says after either signal
        assertClean(ended)
      }
    )

    it.for(["plain-layer", "plain-merged", "plain-effect"])("%s: the second forces it", async (runner) => {
      const child = await signalled("SIGTERM", runner, "hangs")
      await child.printed("b hangs")
      await sleep(700)
      child.kill("SIGTERM")
      const ended = await child.ended
      assertCode(ended, 143)
      assert.isBelow(ended.milliseconds, 3000)
    })
  })
})
