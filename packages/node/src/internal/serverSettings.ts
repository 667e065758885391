/** Options of a server, with the defaults filled in. */
import * as Duration from "effect/Duration"
import type { Options } from "../WebSocketServer.ts"
import type { Settings } from "./clientLine.ts"

export const maxMessageSize = 1024 * 1024 + 1024

/** Throws a `TypeError` that names the server when an option cannot work. */
export const makeSettings = (
  server: string,
  { farewellTimeout, limits = {}, ping = {} }: Pick<Options<any, any>, "farewellTimeout" | "limits" | "ping">
): Settings => {
  const positive = (field: string, found: number): number => {
    if (found > 0 && found < Infinity) return found
    throw new TypeError(`${server}: ${field}: found ${found}, expected a finite number greater than zero`)
  }
  return {
    clients: positive("limits.clients", limits.clients ?? 1000),
    messageSize: positive("limits.messageSize", limits.messageSize ?? maxMessageSize),
    messagesPerSecond: positive("limits.messagesPerSecond", limits.messagesPerSecond ?? 200),
    invalidMessages: positive("limits.invalidMessages", limits.invalidMessages ?? 50),
    buffered: positive("limits.buffered", limits.buffered ?? 1024 * 1024),
    slowness: positive("limits.slowness", Duration.toMillis(limits.slowness ?? "4 seconds")),
    ping: ping === false ? undefined : {
      interval: positive("ping.interval", Duration.toMillis(ping.interval ?? "15 seconds")),
      timeout: positive("ping.timeout", Duration.toMillis(ping.timeout ?? "10 seconds"))
    },
    farewell: positive("farewellTimeout", Duration.toMillis(farewellTimeout ?? "5 seconds"))
  }
}
