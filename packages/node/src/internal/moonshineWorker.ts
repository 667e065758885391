import type { RecognizerOptions } from "./recognizer.ts"
import { readFileOf, serve, using } from "./workerServer.ts"

// Moonshine's vocabulary is Llama's: 1 begins a text, 2 ends it.
const begin = 1
const end = 2
/** "Moonshine: Speech Recognition for Live Transcription and Voice Commands", 2024: more is the model repeating itself. */
const tokensPerSecond = 6.5

/** Heads of attention, and the size of each: the decoder's first step takes an empty memory of this shape. */
const shapes = { tiny: [8, 36], base: [8, 52] } as const

await serve<RecognizerOptions, Int16Array, string>(async ({ model }) => {
  const [ort, { default: tokenizer }] = await Promise.all([
    using("onnxruntime-web", () => import("onnxruntime-web/wasm")),
    using("llama-tokenizer-js", () => import("llama-tokenizer-js"))
  ])
  ort.env.wasm.numThreads = 1
  const load = async (file: string) =>
    ort.InferenceSession.create(
      await readFileOf("@usefulsensors/moonshine-js", `./model/${model}/quantized/${file}.onnx`),
      { executionProviders: ["wasm"], logSeverityLevel: 4 }
    )
  const encoder = await load("encoder_model")
  const decoder = await load("decoder_model_merged")
  const [heads, size] = shapes[model]
  const pasts = decoder.inputNames.filter((name) => name.startsWith("past_key_values"))
  const empty = pasts.map((name) =>
    [name, new ort.Tensor("float32", new Float32Array(0), [0, heads, 1, size])] as const
  )
  const flag = (value: boolean) => new ort.Tensor("bool", [value], [1])

  const argmax = (logits: Float32Array): number => {
    let best = 0
    for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i
    return best
  }

  return async (samples, isWanted) => {
    const input = Float32Array.from(samples, (sample) => sample / 32768)
    const encoded = await encoder.run({ input_values: new ort.Tensor("float32", input, [1, input.length]) })
    const memory = new Map(empty)
    const tokens: Array<number> = []
    const limit = Math.ceil(samples.length / 16000 * tokensPerSecond)
    for (let token = begin; tokens.length < limit;) {
      // between two steps; the encoder, up to half a second, is not interrupted
      if (!isWanted()) return undefined
      const step = await decoder.run({
        ...Object.fromEntries(memory),
        input_ids: new ort.Tensor("int64", BigInt64Array.of(BigInt(token)), [1, 1]),
        encoder_hidden_states: encoded["last_hidden_state"]!,
        use_cache_branch: flag(tokens.length > 0)
      })
      token = argmax(step["logits"]!.data as Float32Array)
      if (token === end) break
      // what the decoder knows of the audio stays as the first step found it
      for (const name of pasts) {
        if (tokens.length === 0 || name.includes(".decoder.")) {
          memory.set(name, step[name.replace("past_key_values", "present")] as (typeof empty)[number][1])
        }
      }
      tokens.push(token)
    }
    return { output: tokenizer.decode([begin, ...tokens]).trim() }
  }
})
