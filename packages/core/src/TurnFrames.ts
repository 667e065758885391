/**
 * Frames about turns of the user that are not decided yet: proposed, or waiting for somebody's judgement.
 *
 * @since 0.1.0
 */
import * as Frame from "./Frame.ts"

/**
 * Somebody proposes that a turn of the user has begun: a recogniser with turn detection of its own, for example. What
 * comes of it is decided by the processor of turns, which does not let it pass when its strategies decide on proposals.
 *
 * @example
 * ```ts
 * import { TurnFrames } from "@apipeline/core"
 *
 * TurnFrames.ProposedUserStartedSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class ProposedUserStartedSpeakingFrame
  extends Frame.App<ProposedUserStartedSpeakingFrame>()("ProposedUserStartedSpeakingFrame", {}, { kind: "system" })
{}

/**
 * Somebody proposes that the turn of the user is over.
 *
 * @example
 * ```ts
 * import { TurnFrames } from "@apipeline/core"
 *
 * TurnFrames.ProposedUserStoppedSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class ProposedUserStoppedSpeakingFrame
  extends Frame.App<ProposedUserStoppedSpeakingFrame>()("ProposedUserStoppedSpeakingFrame", {}, { kind: "system" })
{}

/**
 * Enough was said to begin an answer, but the turn is not over: whoever judges that will say so with
 * {@link UserTurnInferenceCompletedFrame}. Sent downstream by the processor of turns, for strategies that are deferred.
 *
 * @example
 * ```ts
 * import { TurnFrames } from "@apipeline/core"
 *
 * TurnFrames.UserTurnInferenceTriggeredFrame.make().kind // => "system"
 * ```
 *
 * Source: `on_user_turn_inference_triggered` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class UserTurnInferenceTriggeredFrame
  extends Frame.App<UserTurnInferenceTriggeredFrame>()("UserTurnInferenceTriggeredFrame", {}, { kind: "system" })
{}

/**
 * Somebody has judged that the turn of the user is complete. It may come from either side.
 *
 * @example
 * ```ts
 * import { TurnFrames } from "@apipeline/core"
 *
 * TurnFrames.UserTurnInferenceCompletedFrame.make().kind // => "system"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class UserTurnInferenceCompletedFrame
  extends Frame.App<UserTurnInferenceCompletedFrame>()("UserTurnInferenceCompletedFrame", {}, { kind: "system" })
{}
