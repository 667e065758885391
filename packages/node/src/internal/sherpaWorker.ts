import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import type { RecognizerOptions } from "./recognizer.ts"
import { fileOf, serve, using } from "./workerServer.ts"

/** What is used of sherpa-onnx-node: it has no types of its own. */
interface Sherpa {
  readonly OfflineRecognizer: new(config: unknown) => {
    readonly createStream: () => {
      readonly acceptWaveform: (audio: { readonly samples: Float32Array; readonly sampleRate: number }) => void
    }
    readonly decode: (stream: unknown) => void
    readonly getResult: (stream: unknown) => { readonly text: string }
  }
}

const moonshine = "@usefulsensors/moonshine-js"

/** Bytes that are no word have names in the vocabulary. */
const bytesOf = (word: string): Buffer => {
  const byte = /^<0x([0-9A-F]{2})>$/.exec(word)?.[1]
  return byte === undefined ? Buffer.from(word) : Buffer.from(byte, "hex")
}

/** The vocabulary, as sherpa reads it: from a file, while it loads. */
const withTokens = <A>(words: ReadonlyArray<string>, use: (file: string) => A): A => {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-"))
  try {
    const file = path.join(folder, "tokens.txt")
    fs.writeFileSync(file, words.map((word, i) => `${bytesOf(word).toString("base64")} ${i}\n`).join(""))
    return use(file)
  } finally {
    fs.rmSync(folder, { recursive: true, force: true })
  }
}

await serve<RecognizerOptions, Int16Array, string>(async ({ model, module = "sherpa-onnx-node" }) => {
  const imported: { readonly default: Sherpa } = await using("sherpa-onnx-node", () => import(module))
  const sherpa = imported.default
  const { default: tokenizer } = await using("llama-tokenizer-js", () => import("llama-tokenizer-js"))
  const file = async (name: string) => fileURLToPath(await fileOf(moonshine, `./model/${model}/quantized/${name}.onnx`))
  const encoder = await file("encoder_model")
  const mergedDecoder = await file("decoder_model_merged")
  const recognizer = withTokens(tokenizer.vocabById, (tokens) =>
    new sherpa.OfflineRecognizer({
      featConfig: { sampleRate: 16000, featureDim: 80 },
      modelConfig: { moonshine: { encoder, mergedDecoder }, tokens, numThreads: 1, provider: "cpu", debug: 0 }
    }))
  return async (input) => {
    const stream = recognizer.createStream()
    stream.acceptWaveform({ samples: Float32Array.from(input, (sample) => sample / 32768), sampleRate: 16000 })
    recognizer.decode(stream)
    return { output: recognizer.getResult(stream).text.trim() }
  }
})
