/** `npm run talk`, with the models that come with the package and a person's voice as the microphone, in a real browser. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import type { Page } from "playwright-core"
import { type Child, start } from "../utils/child.ts"
import * as Chromium from "../utils/chromium.ts"

const { deepStrictEqual, strictEqual } = assert

const absent = Chromium.missing
const skipped = absent === undefined ? "" : ` (SKIPPED: ${absent})`
if (absent !== undefined) console.warn(`test/node/talkBot.test.ts is skipped: ${absent}`)

describe.skipIf(absent !== undefined)(`npm run talk in Chromium${skipped}`, () => {
  const scope = Scope.makeUnsafe()
  const port = 20_000 + Math.floor(Math.random() * 11_999)
  const url = `http://localhost:${port}/`
  let child: Child
  let open: () => Effect.Effect<Chromium.Opened, never, Scope.Scope>

  beforeAll(async () => {
    child = start(["examples/talk.ts", "--port", String(port), "--no-open"], undefined, { timeout: 120_000 })
    // the person speaks 3 seconds after each end: while the bot still answers
    const browser = await Effect.runPromise(Scope.provide(Chromium.launch(3), scope))
    open = () => Chromium.open(browser, url)
    await child.printed("Talk at")
  }, 60_000)
  afterAll(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    child.kill("SIGKILL")
  })

  const long = "This is a long text that goes on and on and on, so that a person has the time to interrupt it. " +
    "It has a second sentence, which is as long as the first one and says as little as that. And the third is never said."

  const bubble = (page: Page, who: string, text: RegExp) => page.locator(`.turn.${who}`, { hasText: text }).first()

  const type = async (page: Page, text: string): Promise<void> => {
    await page.getByLabel("Type to the bot").fill(text)
    await page.getByRole("button", { name: "Send" }).click()
  }

  it.live("a person speaks, is understood and answered, and barges in", () =>
    Effect.gen(function*() {
      const { loudness, page, problems, requests } = yield* open()
      page.setDefaultTimeout(30_000)
      yield* Effect.promise(async () => {
        await page.getByRole("button", { name: "Start talking" }).click()
        await bubble(page, "user", /go forward (ten|10) meters/i).waitFor()
        const answer = bubble(page, "bot", /All right, forward 10 meters\./)
        await answer.waitFor()
        await answer.locator(".latency", { hasText: /answered in \d+\.\d\d s/ }).waitFor()
        assert.isAbove(Math.max(...(await loudness()).map(({ level }) => level)), 0.02)

        // the bot has much to say, and the person interrupts it: what nobody heard is marked, to the end
        await page.getByRole("button", { name: "Mute", exact: true }).click()
        await type(page, `Repeat after me: ${long}`)
        const cut = bubble(page, "bot", /This is a long text/)
        await page.locator("#bot[data-active=true]").waitFor()
        await cut.locator(".unspoken", { hasText: "the third is never said" }).waitFor()
        await page.getByRole("button", { name: "Unmute" }).click()
        await cut.locator(".tag", { hasText: "interrupted" }).waitFor()
        const since = (await loudness()).length
        strictEqual((await cut.locator(".text").textContent())!.trim().replaceAll(/\s+/g, " "), long)
        assert.include((await cut.locator(".unspoken").allTextContents()).join(" "), "the third is never said.")
        const next = cut.locator("xpath=following-sibling::li[contains(@class, 'user')]").first()
        await next.locator(".meta", { hasText: "spoke for" }).waitFor()
        // a voice that was cut off does not come back by itself: 100 ms for what was under way
        const after = (await loudness()).slice(since + 10).findIndex(({ level }) => level > 0.005)
        assert(after === -1 || after > 20, `silent for ${after * 10} ms`)

        await page.getByRole("button", { name: "Hang up" }).click()
        await page.getByRole("status").getByText("Disconnected").waitFor()
        await child.printed("gone after")
        deepStrictEqual(problems, [])
        const origin = new URL(url).origin
        deepStrictEqual(
          requests.filter((request) => !/^(?:blob|data):/.test(request) && !request.startsWith(origin)),
          []
        )
      })
    }), { timeout: 60_000, retry: 1 })

  it.live(
    "typing: an answer, a timer that speaks up by itself, and an answer in writing only",
    () =>
      Effect.gen(function*() {
        const { loudness, page, problems } = yield* open()
        page.setDefaultTimeout(20_000)
        yield* Effect.promise(async () => {
          await page.getByRole("button", { name: "Type only" }).click()
          await bubble(page, "bot", /Hello|Hi/).waitFor()
          await type(page, "what is seven times eight?")
          await bubble(page, "bot", /56/).waitFor()
          await page.locator("#ttfb", { hasText: /^Llm \d+ ms, Tts \d+ ms$/ }).waitFor()
          await type(page, "set a timer for 2 seconds")
          await bubble(page, "bot", /timer for 2 seconds is running/).waitFor()
          await page.locator(".tool", { hasText: "set_timer" }).first().waitFor()
          await bubble(page, "bot", /Time is up/).waitFor()
          await page.getByLabel("Answer what I type in writing only").check()
          await page.locator("#bot[data-active=false]").waitFor()
          const before = (await loudness()).length
          await type(page, "spell pipeline")
          await bubble(page, "bot", /P, I, P, E, L, I, N, E/i).waitFor()
          strictEqual((await loudness()).slice(before + 30).filter(({ level }) => level > 0.005).length, 0)
          deepStrictEqual(problems, [])
        })
      }),
    60_000
  )

  it("ends when it is told to, with a client connected", async () => {
    await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
      const { page } = yield* open()
      yield* Effect.promise(async () => {
        await page.getByRole("button", { name: "Type only" }).click()
        await bubble(page, "bot", /Hello|Hi/).waitFor()
        // nobody waits until all of that has been said
        await type(page, `Repeat after me: ${long}`)
        await bubble(page, "bot", /This is a long text/).and(page.locator(".active")).waitFor()
        child.kill("SIGINT")
        const { code, milliseconds } = await child.ended
        strictEqual(code, 130)
        // half a second for the farewell, and a moment for the models
        assert.isAtMost(milliseconds, 3000)
        await page.getByRole("alert").getByText("The connection is lost").waitFor()
      })
    })))
  }, 30_000)
})
