/** What a vendor is answered that asks what to do with a call: a document that leads the call to a WebSocket. */
import * as HttpServerResponse from "effect/http/HttpServerResponse"

/** Vendors that ask for a document. Exotel and Genesys are told the address where their flow is set up. */
export type Asking = "twilio" | "telnyx" | "plivo" | "vonage"

export const asking: ReadonlyArray<Asking> = ["twilio", "telnyx", "plivo", "vonage"]

export interface Answer {
  readonly contentType: string
  readonly body: string
}

const entities: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&apos;"
}

/** What XML 1.0 has no place for is left out: it cannot even be escaped. */
const unspeakable = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu

const escape = (text: string): string =>
  text.replace(unspeakable, "").replace(/[&<>"']/g, (character) => entities[character]!)

const xml = (content: string): Answer => ({
  contentType: "text/xml",
  body: `<?xml version="1.0" encoding="UTF-8"?><Response>${content}</Response>`
})

const nested = (parameters: ReadonlyArray<readonly [string, string]>): string =>
  parameters.map(([name, value]) => `<Parameter name="${escape(name)}" value="${escape(value)}"/>`).join("")

export const make = (
  vendor: Asking,
  url: string,
  parameters: Readonly<Record<string, string>>,
  sampleRate: number
): Answer => {
  const all = Object.entries(parameters)
  switch (vendor) {
    case "twilio":
      return xml(`<Connect><Stream url="${escape(url)}">${nested(all)}</Stream></Connect>`)
    case "telnyx":
      return xml(
        `<Connect><Stream url="${escape(url)}" bidirectionalMode="rtp">${nested(all)}</Stream></Connect>`
      )
    case "plivo": {
      // a list in one attribute: what would end an entry is left out
      const list = all.map((pair) => pair.map((text) => text.replace(/[=;,]/g, "")).join("=")).join(";")
      const headers = all.length === 0 ? "" : ` extraHeaders="${escape(list)}"`
      return xml(
        `<Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000"${headers}>` +
          `${escape(url)}</Stream>`
      )
    }
    case "vonage": {
      const endpoint = {
        type: "websocket",
        uri: url,
        "content-type": `audio/l16;rate=${sampleRate}`,
        ...all.length > 0 && { headers: parameters }
      }
      return {
        contentType: "application/json",
        body: JSON.stringify([{ action: "connect", endpoint: [endpoint] }])
      }
    }
  }
}

export const toResponse = ({ body, contentType }: Answer): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(body, { contentType, headers: { "cache-control": "no-store" } })
