import { readFileOf, serve, using } from "./workerServer.ts"

/** Windows of several streams of audio at once: what they have in common is worked out once. */
export interface SileroBatch {
  /** For each: 64 samples of the window before, and 512 of this one. */
  readonly windows: Float32Array
  /** For each: what the model remembers, 2 × 128 numbers. */
  readonly states: Float32Array
}

export interface SileroResult {
  readonly probabilities: Float32Array<ArrayBuffer>
  readonly states: Float32Array<ArrayBuffer>
}

const windowSize = 512
const contextSize = 64
const inputSize = contextSize + windowSize
/** Twice: the model has two memories. */
const half = 128
const stateSize = 2 * half

await serve<undefined, SileroBatch, SileroResult>(async () => {
  const ort = await using("onnxruntime-web", () => import("onnxruntime-web/wasm"))
  ort.env.wasm.numThreads = 1
  const model = await ort.InferenceSession.create(
    await readFileOf("@ricky0123/vad-web", "./silero_vad_v6.onnx"),
    { executionProviders: ["wasm"], logSeverityLevel: 4 }
  )
  const sr = new ort.Tensor("int64", BigInt64Array.of(16000n), [])

  /** Between one after the other, and the two halves of all: the model has them the other way round. */
  const copyStates = (from: Float32Array, to: Float32Array, count: number, toModel: boolean): void => {
    for (let i = 0; i < count; i++) {
      for (let part = 0; part < 2; part++) {
        const one = i * stateSize + part * half
        const all = (part * count + i) * half
        if (toModel) to.set(from.subarray(one, one + half), all)
        else to.set(from.subarray(all, all + half), one)
      }
    }
  }

  return async ({ states, windows }) => {
    const count = windows.length / inputSize
    const state = new Float32Array(states.length)
    copyStates(states, state, count, true)
    const result = await model.run({
      input: new ort.Tensor("float32", windows, [count, inputSize]),
      state: new ort.Tensor("float32", state, [2, count, half]),
      sr
    })
    const probabilities = Float32Array.from(result["output"]!.data as Float32Array)
    const next = new Float32Array(states.length)
    copyStates(result["stateN"]!.data as Float32Array, next, count, false)
    return { output: { probabilities, states: next }, transfer: [probabilities.buffer, next.buffer] }
  }
})
