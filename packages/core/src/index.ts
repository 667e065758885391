/** Real-time pipelines of typed frames, built on Effect. */
export * as Frame from "./Frame.ts"
export * as Pipeline from "./Pipeline.ts"
export * as PipelineError from "./PipelineError.ts"
export * as PipelineTask from "./PipelineTask.ts"
export * as Processor from "./Processor.ts"
