import type * as Rtvi from "../../Rtvi.ts"
import * as RtviMessage from "../../RtviMessage.ts"
import type {
  FunctionCallCancelledFrame,
  FunctionCallInProgressFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame
} from "../../VoiceFrames.ts"

type Messages = Array<RtviMessage.Server>

const ranks = { disabled: 0, none: 1, name: 2, arguments: 3, full: 4 } as const

/** Calls that nobody ever answers are forgotten from then on. */
const maxOpen = 1024

interface Call {
  readonly name: string | undefined
  readonly inProgress: boolean
}

/** What a client is told of function calls: each phase of a call once, and no more of it than its level allows. */
export class Calls {
  private readonly open = new Map<string, Call>()
  private readonly levels: { readonly [name: string]: Rtvi.FunctionCallLevel }

  constructor(levels: { readonly [name: string]: Rtvi.FunctionCallLevel }) {
    this.levels = levels
  }

  private rank(name: string | undefined): number {
    const own = name !== undefined && Object.hasOwn(this.levels, name) ? this.levels[name] : undefined
    return ranks[own ?? this.levels["*"] ?? "none"]
  }

  private set(id: string, call: Call): void {
    this.open.set(id, call)
    if (this.open.size > maxOpen) this.open.delete(this.open.keys().next().value!)
  }

  started({ callIds, functionNames }: FunctionCallsStartedFrame): Messages {
    return callIds.flatMap((id, i) => {
      if (this.open.has(id)) return []
      const name = functionNames?.[i]
      this.set(id, { name, inProgress: false })
      const rank = this.rank(name)
      if (rank === ranks.disabled) return []
      return [RtviMessage.server("llm-function-call-started", named(name, rank))]
    })
  }

  inProgress({ arguments: args, callId, functionName }: FunctionCallInProgressFrame): Messages {
    if (this.open.get(callId)?.inProgress === true) return []
    this.set(callId, { name: functionName, inProgress: true })
    const rank = this.rank(functionName)
    if (rank === ranks.disabled) return []
    return [
      RtviMessage.server("llm-function-call-in-progress", {
        tool_call_id: callId,
        ...named(functionName, rank),
        ...rank >= ranks.arguments && args !== undefined && { arguments: args }
      })
    ]
  }

  stopped(frame: FunctionCallResultFrame | FunctionCallCancelledFrame): Messages {
    const call = this.open.get(frame.callId)
    // Answered already, or never asked for: a client may say that it has called anything.
    if (call === undefined) return []
    this.open.delete(frame.callId)
    const rank = this.rank(call.name)
    if (rank === ranks.disabled) return []
    const cancelled = frame._tag === "FunctionCallCancelledFrame"
    return [
      RtviMessage.server("llm-function-call-stopped", {
        tool_call_id: frame.callId,
        cancelled,
        ...named(call.name, rank),
        ...!cancelled && rank === ranks.full && frame.result !== undefined && { result: frame.result }
      })
    ]
  }
}

const named = (name: string | undefined, rank: number): { readonly function_name?: string } =>
  name !== undefined && rank >= ranks.name ? { function_name: name } : {}
