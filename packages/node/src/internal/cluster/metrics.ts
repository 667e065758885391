/** What a cluster does, in numbers: of this process. */
import * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Channel } from "./channel.ts"

const total = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

export const sessions = Metric.gauge("apipeline_cluster_sessions", {
  description: "Sessions whose pipelines run on this runner"
})

export const attached = Metric.gauge("apipeline_cluster_attached", {
  description: "Clients of this gateway that have a session"
})

export const refused = total("apipeline_cluster_refused_total", "Sessions that a runner has not taken")

export const moved = total("apipeline_cluster_moved_total", "Sessions that another runner has gone on with")

export const mediaDropped = total("apipeline_cluster_media_dropped_total", "Media frames that were too late to be sent")

export const mediaLost = total("apipeline_cluster_media_lost_total", "Media frames that were sent and have not arrived")

export const duplicates = total("apipeline_cluster_duplicates_total", "Control that came twice, and was taken once")

export const silence = Metric.histogram("apipeline_cluster_silence_milliseconds", {
  description: "How long a session was without a runner when it moved",
  boundaries: Metric.exponentialBoundaries({ start: 25, factor: 2, count: 12 })
})

export const lag = Metric.gauge("apipeline_cluster_event_loop_lag_milliseconds", {
  description: "How late the event loop of this runner is"
})

/** For updates outside of any fiber. */
export const registry = Context.empty()

/** When the line to a client is closed: what did not get through, of what was sent and of what should have come. */
export const count = ({ dropped, duplicates: twice, lost }: Channel, droppedBehind = 0): void => {
  mediaDropped.updateUnsafe(dropped + droppedBehind, registry)
  mediaLost.updateUnsafe(lost, registry)
  duplicates.updateUnsafe(twice, registry)
}
