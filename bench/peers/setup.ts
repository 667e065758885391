// Installs the peers written in other languages into a scratch folder: a venv each for pipeline-py and pipecat, and
// the Go program for pipeline-go. What cannot be installed is reported as missing, and the rest goes on.
// `node bench/peers/setup.ts` prints what is there.
import { spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export type Peer =
  | { readonly system: string; readonly command: ReadonlyArray<string> }
  | { readonly system: string; readonly missing: string }

const here = fileURLToPath(new URL(".", import.meta.url))
const windows = process.platform === "win32"

type Outcome = { readonly ok: boolean; readonly output: string }

const run = (command: ReadonlyArray<string>, cwd: string, env: NodeJS.ProcessEnv = process.env): Promise<Outcome> =>
  new Promise((resolve) => {
    const [program = "", ...args] = command
    const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"], timeout: 900_000 })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output += data)
    child.on("error", (error) => resolve({ ok: false, output: error.message }))
    child.on("close", (code, signal) => {
      resolve({ ok: code === 0, output: signal === null ? output : `${output}\nended by ${signal}` })
    })
  })

// One line without addresses and paths: the reason ends up in the published results.
const reason = (output: string, scratch: string): string => {
  const lines = output.split("\n").map((line) => line.trim()).filter((line) => line !== "")
  const errors = lines.filter((line) => line.startsWith("ERROR"))
  return (errors.length > 0 ? errors.slice(-1) : lines.slice(-2)).join("; ")
    .replace(/^\S+\.go:\d+:\d+: /, "")
    .replaceAll(scratch, "").replaceAll(here, "")
    .replaceAll(/https?:\/\/\S+/g, "(registry)")
    .slice(0, 240)
}

const fingerprint = (...parts: ReadonlyArray<string>): string =>
  createHash("sha256").update([process.platform, process.arch, ...parts].join("\0")).digest("hex")

const isCurrent = (stamp: string, print: string, program: string): boolean =>
  existsSync(program) && existsSync(stamp) && readFileSync(stamp, "utf8") === print

type Python = { readonly program: string; readonly version: string }

// Those the pinned packages have wheels for; the published figures are from 3.13.
const findPython = async (): Promise<Python | undefined> => {
  const candidates = ["python3.13", "python3.12", "python3", "python"]
  // pyenv's python3.13 is a shim that refuses unless that version is the selected one
  const { ok, output } = await run(["pyenv", "versions", "--bare"], here)
  for (const version of ok ? output.split("\n").filter((line) => /^3\.1[23]\.\d+$/.test(line)).sort().reverse() : []) {
    const prefix = await run(["pyenv", "prefix", version], here)
    if (prefix.ok) candidates.push(join(prefix.output.trim(), "bin", "python"))
  }
  const found: Array<Python> = []
  for (const program of candidates) {
    // ensurepip: Debian packages it separately, and a venv without it has no pip
    const { ok, output } = await run([program, "-c", "import sys, venv, ensurepip; print(*sys.version_info[:2])"], here)
    const version = output.trim()
    if (ok && (version === "3 13" || version === "3 12")) found.push({ program, version })
  }
  return found.find(({ version }) => version === "3 13") ?? found[0]
}

const setUpPython = async (
  system: string,
  script: string,
  python: Python | undefined,
  scratch: string,
  say: (line: string) => void
): Promise<Peer> => {
  if (python === undefined) return { system, missing: "no Python 3.12 or 3.13 with venv" }
  const requirements = join(here, "python", `requirements-${system}.txt`)
  const venv = join(scratch, system)
  const program = join(venv, ...(windows ? ["Scripts", "python.exe"] : ["bin", "python"]))
  const stamp = join(venv, ".setup")
  const print = fingerprint(python.version, readFileSync(requirements, "utf8"))
  if (!isCurrent(stamp, print, program)) {
    say(`${system}: installing into a venv ...`)
    rmSync(venv, { recursive: true, force: true })
    const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    const steps = [[python.program, "-m", "venv", venv], [program, ...pip, "-r", requirements]]
    for (const step of steps) {
      const { ok, output } = await run(step, scratch)
      if (!ok) return { system, missing: reason(output, scratch) }
    }
    writeFileSync(stamp, print)
    say(`${system}: installed`)
  }
  // -B: no __pycache__ in the checkout
  return { system, command: [program, "-B", join(here, "python", script)] }
}

const goSources = ["go.mod", "main.go", "rig.go", "workloads.go", "w4.go"]

const setUpGo = async (scratch: string, say: (line: string) => void): Promise<Peer> => {
  const system = "pipeline-go"
  const version = await run(["go", "env", "GOVERSION"], here)
  if (!version.ok) return { system, missing: "no Go toolchain" }
  const folder = join(scratch, system)
  const program = join(folder, windows ? "bench.exe" : "bench")
  const stamp = join(folder, ".setup")
  const sum = join(here, "go", "go.sum")
  const sources = [...goSources.map((name) => join(here, "go", name)), ...(existsSync(sum) ? [sum] : [])]
  const print = fingerprint(version.output, ...sources.map((path) => readFileSync(path, "utf8")))
  if (!isCurrent(stamp, print, program)) {
    say(`${system}: building ...`)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    // In a copy, with -mod=mod: go completes go.mod and go.sum there instead of in the checkout.
    for (const name of goSources) cpSync(join(here, "go", name), join(folder, name))
    if (existsSync(sum)) cpSync(sum, join(folder, "go.sum"))
    const { ok, output } = await run(["go", "build", "-mod=mod", "-o", program, "."], folder)
    if (!ok) return { system, missing: reason(output, scratch) }
    writeFileSync(stamp, print)
    say(`${system}: built`)
  }
  return { system, command: [program] }
}

export const setUpPeers = async (scratch: string, say: (line: string) => void): Promise<ReadonlyArray<Peer>> => {
  mkdirSync(scratch, { recursive: true })
  writeFileSync(join(scratch, ".gitignore"), "*\n")
  const python = await findPython()
  return [
    await setUpGo(scratch, say),
    await setUpPython("pipeline-py", "pipeline_py.py", python, scratch, say),
    await setUpPython("pipecat", "pipecat_bench.py", python, scratch, say)
  ]
}

if (import.meta.main) {
  const scratch = process.argv[2] ?? join(here, "..", ".scratch")
  for (const peer of await setUpPeers(scratch, console.log)) {
    console.log(`${peer.system}: ${"missing" in peer ? `missing, ${peer.missing}` : peer.command.join(" ")}`)
  }
}
