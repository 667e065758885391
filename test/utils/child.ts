import { spawn } from "node:child_process"
import { root } from "./run.ts"

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Since the last signal that the test sent, or since the start. */
  readonly milliseconds: number
}

export interface Child {
  /** What it has printed so far. */
  readonly output: () => string
  /** Waits until it has printed a text. */
  readonly printed: (text: string) => Promise<void>
  readonly kill: (signal: NodeJS.Signals) => void
  /** Ends its input, with some more of it. */
  readonly end: (text?: string) => void
  /** Nobody reads what it prints any more. */
  readonly deafen: () => void
  readonly ended: Promise<Ended>
}

/** Starts a program of this repository in a process of its own, which is killed when it takes too long for a test. */
export const start = (
  args: ReadonlyArray<string>,
  input?: string,
  { env, timeout = 40_000 }: { readonly env?: Record<string, string>; readonly timeout?: number } = {}
): Child => {
  const child = spawn(process.execPath, args, {
    cwd: root,
    env: { ...process.env, NO_COLOR: "1", ...env },
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
    timeout,
    killSignal: "SIGKILL"
  })
  child.stdin?.on("error", () => {}).write(input!)
  let stdout = ""
  let stderr = ""
  let since = performance.now()
  const waiting = new Set<() => void>()
  child.stdout!.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
    for (const look of waiting) look()
  })
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  const ended = new Promise<Ended>((resolve) => {
    child.on("close", (code, signal) => {
      resolve({ code, signal, stdout, stderr, milliseconds: performance.now() - since })
      for (const look of waiting) look()
    })
  })
  return {
    ended,
    output: () => stdout,
    end: (text = "") => void child.stdin!.end(text),
    deafen: () => child.stdout!.destroy(),
    kill: (signal) => {
      since = performance.now()
      child.kill(signal)
    },
    printed: (text) =>
      new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (stdout.includes(text)) resolve()
          else if (child.exitCode !== null || child.signalCode !== null) {
            reject(new Error(`ended before it printed ${JSON.stringify(text)}:\n${stdout}\n${stderr}`))
          } else return
          waiting.delete(look)
        }
        waiting.add(look)
        look()
      })
  }
}

export const sleep = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds)
  })
