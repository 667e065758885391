/** Failures of the connection as those of a language model. */
import * as AiError from "effect/ai/AiError"
import * as Duration from "effect/Duration"
import type { OpenAiError } from "../../OpenAiClient.ts"
import { invalid } from "./chatResponse.ts"

const policy = new Set(["content_filter", "content_policy_violation"])

/** The reason that callers know. */
export const toReason = (error: OpenAiError, url: string): AiError.AiErrorReason => {
  const { code, description, parameter, retryAfter, status } = error
  if (error.reason === "response") return invalid(description)
  if (status === undefined) {
    return new AiError.NetworkError({
      reason: error.isRetryable ? "TransportError" : "InvalidUrlError",
      method: "POST",
      url,
      description
    })
  }
  if (code === "insufficient_quota") return new AiError.QuotaExhaustedError({})
  if (code !== undefined && policy.has(code)) return new AiError.ContentPolicyError({ description })
  if (status === 401) return new AiError.AuthenticationError({ kind: "InvalidKey", description })
  if (status === 403) return new AiError.AuthenticationError({ kind: "InsufficientPermissions", description })
  if (status === 429) {
    return new AiError.RateLimitError(retryAfter === undefined ? {} : { retryAfter: Duration.millis(retryAfter) })
  }
  if (status >= 500 || status === 408 || status === 409) {
    return new AiError.InternalProviderError({ description: error.message })
  }
  return new AiError.InvalidRequestError({
    description: error.message,
    ...parameter !== undefined && { parameter }
  })
}
