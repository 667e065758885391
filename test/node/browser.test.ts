/** Real pages in a real browser, in real time: ours, and one with the official clients of pipecat. */
import type * as Transport from "@apipeline/core/Transport"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Browser, Page } from "playwright-core"
import { sleep } from "../utils/child.ts"
import * as Chromium from "../utils/chromium.ts"
import { root } from "../utils/run.ts"
import * as Talk from "../utils/talk.ts"

const { deepStrictEqual, strictEqual } = assert

// ---------------------------------------------------------------------------------------------------------------------
// what is looked at
// ---------------------------------------------------------------------------------------------------------------------

/** What is measured in milliseconds may fail where others use the machine: once, not always. */
const inRealTime = { timeout: 15_000, retry: 2 }

const until = async (what: string, condition: () => boolean | Promise<boolean>, millis = 8000): Promise<void> => {
  for (const end = Date.now() + millis; !await condition();) {
    if (Date.now() > end) throw new Error(`not within ${millis} ms: ${what}`)
    await sleep(20)
  }
}

/** When the voice began that led to an interruption: before it, half a second was quiet. */
const onset = ({ levels, times }: Talk.Session, interruption: number): number => {
  let begin = interruption
  for (let i = times.length - 1; i >= 0 && begin - times[i]! < 500; i--) {
    if (times[i]! <= interruption && levels[i]! > 0.005) begin = times[i]!
  }
  return begin
}

/**
 * A person who speaks silences the bot within 250 ms: from when the server knows it, which takes the 200 ms of speech that
 * voice activity detection wants.
 */
const assertBargeIn = (session: Talk.Session, loudness: ReadonlyArray<Chromium.Loudness>): void => {
  const interruption = session.interruptions.at(-1)!
  const loud = loudness.findLast(({ at, level }) => at > interruption && level > 0.005)
  const silent = loud?.at ?? interruption
  assert.isAtMost(silent - interruption, 250)
  assert.isAtMost(silent - onset(session, interruption), 800)
}

/** The bot is heard, at the level at which it speaks, for most of half a second. */
const assertLevel = (loudness: ReadonlyArray<Chromium.Loudness>): void => {
  const heard = loudness.map(({ level }) => level).filter((level) => level > 0.01).sort((a, b) => a - b)
  assert.isAtLeast(heard.length, 20)
  assert.approximately(heard[Math.floor(heard.length / 2)]!, Talk.level, 0.01)
}

/** A person speaks, in the format that was asked for, loud enough, and in real time. */
const assertMicrophone = async (session: Talk.Session, format: string): Promise<void> => {
  deepStrictEqual([...session.formats], [format])
  assert.isAbove(Math.max(...session.levels), 0.02)
  const before = session.samples
  const since = Date.now()
  await sleep(1500)
  const seconds = (Date.now() - since) / 1000
  assert.approximately((session.samples - before) / 16_000, seconds, 0.4)
}

/** While it is muted nothing comes, afterwards it does again. */
const assertMute = async (
  session: Talk.Session,
  mute: () => Promise<void>,
  unmute: () => Promise<void>
): Promise<void> => {
  await until("audio", () => session.samples > 4000)
  await mute()
  await sleep(300)
  const before = session.samples
  await sleep(1000)
  strictEqual(session.samples, before)
  await unmute()
  await until("audio again", () => session.samples > before + 8000)
}

// rolldown comes with vitest
const bundler = await import("rolldown").catch(() => undefined)
const hasClients = fs.existsSync(path.join(root, "node_modules/@pipecat-ai/websocket-transport"))

const absent = Chromium.missing
const absentClients = absent ??
  (bundler === undefined || !hasClients ? "no @pipecat-ai/websocket-transport: npm install" : undefined)
const skipped = (reason: string | undefined): string => reason === undefined ? "" : ` (SKIPPED: ${reason})`
if (absentClients !== undefined) console.warn(`test/node/browser.test.ts is skipped: ${absentClients}`)

/** One browser for all: it takes a second to start. */
const scope = Scope.makeUnsafe()
let browser: Browser
beforeAll(async () => {
  if (absent === undefined) browser = await Effect.runPromise(Scope.provide(Chromium.launch(2), scope))
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

// ---------------------------------------------------------------------------------------------------------------------
// our page
// ---------------------------------------------------------------------------------------------------------------------

describe.skipIf(absent !== undefined)(`our page in Chromium${skipped(absent)}`, () => {
  const connect = (
    options: {
      readonly microphone?: boolean
      readonly width?: number
      readonly init?: string
      readonly server?: Scope.Scope
      readonly transport?: Transport.Options
    } = {}
  ) =>
    Effect.gen(function*() {
      const server = yield* Scope.provide(
        Talk.serveBot({ transport: options.transport }),
        options.server ?? (yield* Effect.scope)
      )
      const opened = yield* Chromium.open(browser, `${server.url}/`, options)
      const { page } = opened
      yield* Effect.promise(async () => {
        await page.getByRole("button", { name: options.microphone === false ? "Type only" : "Start talking" }).click()
        await page.getByRole("status").getByText("Connected", { exact: true }).waitFor()
        await until("a session", () => server.sessions.length === 1)
      })
      const type = async (text: string) => {
        await page.getByRole("textbox", { name: "Type to the bot" }).fill(text)
        await page.getByRole("button", { name: "Send" }).click()
      }
      const bubble = (who: "user" | "bot", text: string) =>
        page.locator(`.turn.${who}`).filter({ has: page.locator(".text", { hasText: text }) })
      return { ...opened, session: server.sessions[0]!, url: server.url, type, bubble }
    })

  it.live(
    "a conversation: the microphone arrives, captions and answers appear, the bot is heard",
    () =>
      Effect.gen(function*() {
        const { bubble, loudness, page, problems, requests, session, url } = yield* connect()
        yield* Effect.promise(async () => {
          // what seems to be said, then what was
          await page.locator(".turn.user .interim", { hasText: /^go$/ }).waitFor()
          strictEqual(await page.locator("#you-state").textContent(), "speaking")
          await bubble("user", "go forward ten meters").waitFor()
          await bubble("bot", "You said: go forward ten meters.").waitFor()
          strictEqual(await page.locator(".turn.user .interim").first().textContent(), "")
          await page.locator(".turn.bot .unspoken", { hasText: /^$/ }).first().waitFor({ state: "attached" })
          await until("the end of the answer", async () => (await page.locator("#bot-state").textContent()) === "quiet")
          assert.match(
            (await page.locator(".turn.bot .latency").first().textContent())!,
            /^answered in [01]\.\d\d s$/
          )
          assertLevel(await loudness())
          await assertMicrophone(session, "640 bytes, 16000 Hz, 1 channel")
          deepStrictEqual(requests.filter((request) => !/^(?:blob|data):/.test(request)), [`${url}/`, `${url}/start`])
          deepStrictEqual(problems, [])
        })
      }),
    15_000
  )

  it.live("who barges in silences the bot within 250 ms, and sees what was not said", () =>
    Effect.gen(function*() {
      const { bubble, loudness, page, session, type } = yield* connect({
        // the page has a second of what the bot says, and drops it
        transport: { output: { lead: "1 second" } }
      })
      yield* Effect.promise(async () => {
        const before = session.interruptions.length
        await type("long") // which interrupts, too
        await until("the bot speaks", async () => (await loudness()).at(-1)!.level > 0.1)
        await until("a person interrupts", () => session.interruptions.length === before + 2)
        await sleep(500)
        assertBargeIn(session, await loudness())
        const cut = bubble("bot", "This takes a long time to say.")
        await cut.locator(".tag", { hasText: "interrupted" }).waitFor()
        assert.notStrictEqual(await cut.locator(".unspoken").textContent(), "")
        // and it is heard again
        await bubble("bot", "You said: go forward ten meters.").waitFor()
        await until("the bot speaks again", async () => (await loudness()).at(-1)!.level > 0.1)
        await page.locator("#bot-state", { hasText: "quiet" }).waitFor()
      })
    }), inRealTime)

  it.live("a microphone that is muted sends nothing", () =>
    Effect.gen(function*() {
      const { page, session } = yield* connect()
      const mute = page.getByRole("button", { name: "Mute", exact: true })
      const unmute = page.getByRole("button", { name: "Unmute" })
      yield* Effect.promise(async () => {
        strictEqual(await mute.getAttribute("aria-pressed"), "false")
        await assertMute(session, () => mute.click(), async () => {
          strictEqual(await page.locator("#you-state").textContent(), "muted")
          strictEqual(await unmute.getAttribute("aria-pressed"), "true")
          await page.locator("#view").press("m")
          await mute.waitFor()
        })
      })
    }), 15_000)

  it.live(
    "typing, without a microphone: spoken, written, by function of the page, failed",
    () =>
      Effect.gen(function*() {
        const { bubble, loudness, page, problems, session, type } = yield* connect({ microphone: false })
        yield* Effect.promise(async () => {
          strictEqual(await page.locator("#you-state").textContent(), "no microphone")
          strictEqual(await page.getByRole("button", { name: "Mute", exact: true }).isDisabled(), true)
          await type("<b>hello</b>")
          await bubble("user", "<b>hello</b>").waitFor()
          await bubble("bot", "You wrote: <b>hello</b>.").locator(".latency", { hasText: /^answered in 0\.\d\d s$/ })
            .waitFor()
          await page.locator("#bot-state", { hasText: "speaking" }).waitFor()
          await page.locator("#bot-state", { hasText: "quiet" }).waitFor()
          assertLevel(await loudness())

          const heard = (await loudness()).length
          await page.getByLabel("Answer what I type in writing only").check()
          await type("quietly")
          await bubble("bot", "You wrote: quietly.").locator(".latency").waitFor()
          await sleep(300)
          deepStrictEqual((await loudness()).slice(heard).filter(({ level }) => level > 0), [])

          await page.evaluate("talk.tools.get_color = ({ of }) => ({ color: 'blue', of })")
          await type("tool")
          await bubble("bot", "The sky is blue.").waitFor()
          deepStrictEqual(session.results, [{ color: "blue", of: "sky" }])
          strictEqual(
            await page.locator(".tool").textContent(),
            "get_color: done, {\"color\":\"blue\",\"of\":\"sky\"}"
          )

          await type("ignore me")
          await page.locator("#you-state", { hasText: "not listened to now" }).waitFor()
          await type("listen")
          await page.locator("#you-state", { hasText: "no microphone" }).waitFor()

          await type("fail")
          await page.locator(".note.error", { hasText: "no route" }).waitFor()
          await page.getByText("Keypad").click()
          await page.getByRole("button", { name: "7" }).click()
          await page.getByText("Messages").click()
          await page.locator("#log", { hasText: "→ dtmf {\"buttons\":[\"7\"]}" }).waitFor()
          strictEqual(session.samples, 0)
          deepStrictEqual(problems, [])
        })
      }),
    15_000
  )

  it.live.each([
    [
      "The browser does not allow the microphone",
      `navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError") }`
    ],
    // what a browser has for a page of another machine
    [
      "The browser gives the microphone only to pages from this machine, or over HTTPS",
      `Object.defineProperty(navigator, "mediaDevices", { value: undefined })`
    ],
    [
      "The browser gives sound only to pages from this machine, or over HTTPS",
      `Object.defineProperty(BaseAudioContext.prototype, "audioWorklet", { value: undefined })`
    ]
  ])("one can still type: %s", ([problem, init]) =>
    Effect.gen(function*() {
      const { bubble, page, type } = yield* connect({ init: init! })
      yield* Effect.promise(async () => {
        strictEqual(await page.getByRole("alert").textContent(), `${problem}. You can type.`)
        await type("hello")
        await bubble("bot", "You wrote: hello.").waitFor()
      })
    }), 15_000)

  it.live("what goes wrong with the connection is told, and one may try again", () =>
    Effect.gen(function*() {
      const server = yield* Scope.make()
      const { page, url } = yield* connect({ microphone: false, server })
      const again = page.getByRole("button", { name: "Talk again" })
      const alert = page.getByRole("alert")
      yield* Effect.promise(async () => {
        await page.getByRole("button", { name: "Hang up" }).click()
        await page.getByRole("status").getByText("Disconnected").waitFor()
        strictEqual(await alert.isVisible(), false)
        await again.click()
        await page.getByRole("status").getByText("Connected", { exact: true }).waitFor()
      })
      yield* Scope.close(server, Exit.void)
      yield* Effect.promise(async () => {
        await alert.getByText("The connection is lost: the server goes away (1001)").waitFor()
        await again.click()
        await alert.getByText("The server cannot be reached").waitFor()
        await page.route(`${url}/start`, (route) => route.fulfill({ status: 403, json: { detail: "Not you" } }))
        await again.click()
        await alert.getByText("Not you").waitFor()
      })
    }), 15_000)

  it.live.each([400, 1200])("fits a window of %i pixels", (width) =>
    Effect.gen(function*() {
      const { bubble, page, type } = yield* connect({ microphone: false, width })
      yield* Effect.promise(async () => {
        for (const text of ["a word that is long: ".padEnd(150, "x"), "two", "three", "four"]) {
          await type(text)
          await bubble("bot", `You wrote: ${text}`).waitFor()
        }
        strictEqual(await page.evaluate("document.documentElement.scrollWidth"), width)
        for (const name of ["Send", "Hang up"]) {
          const box = (await page.getByRole("button", { name }).boundingBox())!
          assert.isAtLeast(box.x, 0)
          assert.isAtMost(box.x + box.width, width)
          assert.isAtMost(box.y + box.height, 760)
        }
        // the newest is in sight
        await page.evaluate("talk.tools.get_color = () => ({ color: 'blue', why: 'because of '.repeat(50) })")
        await type("tool")
        await bubble("bot", "The sky is blue.").locator(".latency").waitFor()
        const last = (await bubble("bot", "The sky is blue.").boundingBox())!
        const view = (await page.locator("#view").boundingBox())!
        assert.isAtMost(last.y + last.height, view.y + view.height + 1)
      })
    }), 15_000)
})

// ---------------------------------------------------------------------------------------------------------------------
// pipecat's
// ---------------------------------------------------------------------------------------------------------------------

describe.skipIf(absentClients !== undefined)(`the official client in Chromium${skipped(absentClients)}`, () => {
  let script: string
  beforeAll(async () => {
    // only the default media manager needs it, which loads code from elsewhere
    const daily = "\0daily"
    const bundle = await bundler!.rolldown({
      input: path.join(root, "test/fixtures/rtviPage.js"),
      platform: "browser",
      logLevel: "silent",
      plugins: [{
        name: "no daily",
        resolveId: (id) => id === "@daily-co/daily-js" ? daily : null,
        load: (id) => id === daily ? "export default {}" : null
      }]
    })
    const { output } = await bundle.generate({ format: "iife" })
    await bundle.close()
    script = output[0].code
  })

  const connect = (flush: boolean, transport: Transport.Options = {}) =>
    Effect.gen(function*() {
      const html =
        "<!doctype html><meta charset=utf-8><link rel=icon href=data:,><title>RTVI</title><script src=rtvi.js defer></script>"
      const routes = Layer.merge(
        HttpRouter.add("GET", "/rtvi", HttpServerResponse.text(html, { contentType: "text/html" })),
        HttpRouter.add("GET", "/rtvi.js", HttpServerResponse.text(script, { contentType: "text/javascript" }))
      )
      const server = yield* Talk.serveBot({ routes, flushes: false, transport })
      const opened = yield* Chromium.open(browser, `${server.url}/rtvi`)
      const ready = yield* Effect.promise(() => opened.page.evaluate(`connect(${flush})`))
      const line = (who: string, text: string) => opened.page.locator(`p.${who}`, { hasText: text }).first().waitFor()
      return { ...opened, ready, url: server.url, session: server.sessions[0]!, line }
    })

  const type = (page: Page, text: string) => page.evaluate(`client.sendText(${JSON.stringify(text)})`)

  it.live(
    "reaches ready, is heard, sees what is said, hears the bot, and asks nobody else",
    () =>
      Effect.gen(function*() {
        const { line, loudness, ready, requests, session, url } = yield* connect(false)
        deepStrictEqual(ready, { version: "2.1.0", about: { library: "test" } })
        yield* Effect.promise(async () => {
          await line("interim", "go")
          await line("user", "go forward ten meters")
          await line("bot", "You said: go forward ten meters.")
          await sleep(800)
          assertLevel(await loudness())
          await assertMicrophone(session, "512 bytes, 16000 Hz, 1 channel")
          deepStrictEqual(requests.filter((request) => !/^(?:blob|data):/.test(request)), [
            `${url}/rtvi`,
            `${url}/rtvi.js`,
            `${url}/start`
          ])
        })
      }),
    15_000
  )

  it.live.each(
    [
      // it plays to the end what it has: that is the default lead
      ["as it comes", false, undefined],
      ["with a media manager that flushes", true, { output: { lead: "1 second" } }]
    ] as const
  )("who barges in silences the bot within 250 ms, %s", ([_, flush, transport]) =>
    Effect.gen(function*() {
      const { line, loudness, page, session } = yield* connect(flush, transport)
      yield* Effect.promise(async () => {
        const before = session.interruptions.length
        await type(page, "long")
        await until("the bot speaks", async () => (await loudness()).at(-1)!.level > 0.1)
        await until("a person interrupts", () => session.interruptions.length === before + 2)
        await sleep(700)
        assertBargeIn(session, await loudness())
        await line("bot", "You said: go forward ten meters.")
        await until("the bot speaks again", async () => (await loudness()).at(-1)!.level > 0.1)
      })
    }), inRealTime)

  it.live("mute and unmute, and a function that the page runs", () =>
    Effect.gen(function*() {
      const { line, page, session } = yield* connect(false)
      yield* Effect.promise(async () => {
        const mute = (muted: boolean) => page.evaluate<void>(`client.enableMic(${!muted})`)
        await assertMute(session, () => mute(true), () => mute(false))
        await mute(true)
        await type(page, "tool")
        await line("bot", "The sky is blue.")
        deepStrictEqual(session.results, [{ color: "blue", of: "sky" }])
      })
    }), 15_000)
})
