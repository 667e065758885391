/** Node transports, audio and observability for `@apipeline/core`. */
export * as CallSignature from "./CallSignature.ts"
export * as FileTransport from "./FileTransport.ts"
export * as NodeRunner from "./NodeRunner.ts"
export * as StdioTransport from "./StdioTransport.ts"
export * as TalkPage from "./TalkPage.ts"
export * as TelephoneServer from "./TelephoneServer.ts"
export * as WebSocketClient from "./WebSocketClient.ts"
export * as WebSocketServer from "./WebSocketServer.ts"
