/** Node transports, audio and observability for `@apipeline/core`. */
export * as NodeRunner from "./NodeRunner.ts"
