/** Debian's Chromium, or another, without a window, whose microphone is a file. */
import * as Resampler from "@apipeline/core/Resampler"
import * as Wav from "@apipeline/core/Wav"
import { Effect, Result, type Scope } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import type { Browser, Page } from "playwright-core"
import { root } from "./run.ts"

const executable = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/snap/bin/chromium",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
].find((file) => file !== undefined && fs.existsSync(file))

const playwright = await import("playwright-core").catch(() => undefined)

/** What is not there, if so. */
export const missing = executable === undefined
  ? "no Chromium: apt-get install chromium, or tell where it is in CHROMIUM"
  : playwright === undefined
  ? "no playwright-core: npm install"
  : undefined

/** Again and again: silence, and a person who says "go forward ten meters", so many seconds each. */
const microphone = (silence: number): { readonly samples: Int16Array; readonly sampleRate: number } => {
  const sampleRate = 48_000
  const file = Result.getOrThrow(Wav.decode(fs.readFileSync(path.join(root, "test/fixtures/audio/goforward.wav"))))
  const speech = Result.getOrThrow(Resampler.resample(file.samples, { from: file.format.sampleRate, to: sampleRate }))
  const samples = new Int16Array(silence * sampleRate + speech.length)
  samples.set(speech, silence * sampleRate)
  return { samples, sampleRate }
}

/** Until the scope closes. `silence`: seconds before the person speaks, and between. */
export const launch = (silence: number): Effect.Effect<Browser, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const folder = fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-chromium-"))
      const file = path.join(folder, "microphone.wav")
      const { sampleRate, samples } = microphone(silence)
      fs.writeFileSync(file, Wav.encode(samples, { sampleRate }))
      const browser = await playwright!.chromium.launch({
        executablePath: executable!,
        args: [
          "--headless",
          "--no-sandbox",
          "--disable-gpu",
          "--disable-quic",
          "--no-first-run",
          "--disable-background-networking",
          "--disable-component-update",
          "--disable-sync",
          "--autoplay-policy=no-user-gesture-required",
          "--use-fake-device-for-media-stream",
          "--use-fake-ui-for-media-stream",
          `--use-file-for-fake-audio-capture=${file}`
        ]
      })
      return { browser, folder }
    }),
    ({ browser, folder }) =>
      Effect.promise(async () => {
        await browser.close()
        fs.rmSync(folder, { recursive: true, force: true })
      })
  ).pipe(Effect.map(({ browser }) => browser))

/** How loud what is played is (RMS, 1 is full scale), and when, in milliseconds since the epoch. */
export interface Loudness {
  readonly at: number
  readonly level: number
}

export interface Opened {
  readonly page: Page
  /** Everything that the page asked for. */
  readonly requests: ReadonlyArray<string>
  /** What it complained of. */
  readonly problems: ReadonlyArray<string>
  /** What was to be heard until now, every 10 ms. */
  readonly loudness: () => Promise<ReadonlyArray<Loudness>>
}

/** Opens a page in a profile of its own, until the scope closes. */
export const open = (
  browser: Browser,
  url: string,
  options: { readonly width?: number; readonly init?: string } = {}
): Effect.Effect<Opened, never, Scope.Scope> =>
  Effect.gen(function*() {
    const context = yield* Effect.acquireRelease(
      Effect.promise(() =>
        browser.newContext({
          viewport: { width: options.width ?? 1200, height: 760 },
          permissions: ["microphone"]
        })
      ),
      (context) => Effect.promise(() => context.close())
    )
    return yield* Effect.promise(async () => {
      const page = await context.newPage()
      page.setDefaultTimeout(8000)
      const requests: Array<string> = []
      const problems: Array<string> = []
      page.on("request", (request) => void requests.push(request.url()))
      page.on("pageerror", (error) => void problems.push(String(error)))
      page.on("console", (message) => {
        if (message.type() === "error") problems.push(message.text())
      })
      await page.addInitScript({ path: path.join(root, "test/fixtures/loudness.js") })
      if (options.init !== undefined) await page.addInitScript({ content: options.init })
      await page.goto(url)
      const loudness = () => page.evaluate<Array<Loudness>>("measured")
      return { page, requests, problems, loudness }
    })
  })
