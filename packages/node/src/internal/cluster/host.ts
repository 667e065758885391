/** What the sessions of one runner share. */
import type { Serializer } from "@apipeline/core/FrameSerializer"
import * as Context from "effect/Context"
import type { Admission } from "./admission.ts"
import type { HostedSession } from "./hosted.ts"
import type { Snapshots } from "./snapshots.ts"

/**
 * This process runs sessions: `layerRunner` and `layerSingle` provide it, a gateway does not.
 *
 * @internal
 * @category services
 * @since 0.1.0
 */
export class Host extends Context.Service<Host, {
  /** `host:port` */
  readonly runner: string
  /** Where gateways of other processes reach sessions. */
  readonly url: string
  readonly admission: Admission
  /** By id. */
  readonly sessions: Map<string, HostedSession>
  readonly snapshots: Snapshots["Service"]
  /** Milliseconds that a session may take to leave in order. */
  readonly handOverTimeout: number
  /** Milliseconds that sessions may go on while the runner is about to end. */
  readonly drainTimeout: number
  /** Of the kinds of session that it runs, by name. */
  readonly kinds: Map<string, Serializer<string>>
}>()("@apipeline/node/Cluster/Host") {}
