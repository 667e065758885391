import type { Package } from "./enginePackages.ts"

/** What a worker is given when it starts. */
export interface Start<Options> {
  readonly options: Options
  /** One number: the job that is not wanted any more. It is read in the middle of a job, when no message can come in. */
  readonly cancelled: Int32Array
}

/** To a worker: a piece of work. */
export interface Job<In> {
  readonly id: number
  readonly input: In
}

/** From a worker. */
export type Reply<Out> =
  | { readonly _tag: "Ready" }
  | { readonly _tag: "NotLoaded"; readonly detail: string; readonly missing?: Package | undefined }
  | { readonly _tag: "Done"; readonly id: number; readonly output: Out }
  | { readonly _tag: "Refused"; readonly id: number; readonly detail: string }
  | { readonly _tag: "Cancelled"; readonly id: number }
