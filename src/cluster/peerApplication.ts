/** Whether the application of a leader takes requests, as the leader tells it. */

import { delay, monotonicMs } from '../platform/time.ts'
import { askRole } from './peerCalls.ts'

/** `elsewhere`: it is no leader, or no more. */
export type LeaderApplication = 'up' | 'down' | 'none' | 'elsewhere' | 'unknown'

const ASK_AGAIN_MS = 20
const TIMEOUT_MS = 1000
/** It keeps no process from ending. */
const UNHELD = { ref: false } as const

/** Never throws: a node that does not answer is `unknown`. */
export async function applicationOf(leader: string): Promise<LeaderApplication> {
  const answer = await askRole(leader, TIMEOUT_MS)
  if (!answer) return 'unknown'
  const { role, application = 'none' } = answer.value
  if (role !== 'leader') return 'elsewhere'
  return application === 'up' || application === 'down' || application === 'none'
    ? application
    : 'unknown'
}

export interface Acceptance {
  /** From the call until it took requests, or was last seen not to, ms. */
  readonly waitedMs: number
  readonly accepts: boolean
}

/**
 * Waits until the application of the leader there takes requests, or it is clear that it is not to
 * be waited for; `limitMs` at most.
 */
export async function untilApplicationAccepts(
  leader: string,
  limitMs: number,
): Promise<Acceptance> {
  const beganMs = monotonicMs()
  for (let isFirst = true; ; isFirst = false) {
    const askedMs = monotonicMs()
    const standing = await applicationOf(leader)
    const accepts = standing === 'up' || standing === 'none'
    // What took requests when it was first asked did so before.
    const waitedMs = isFirst && accepts ? 0 : (accepts ? monotonicMs() : askedMs) - beganMs
    if (accepts || standing === 'elsewhere' || waitedMs >= limitMs) return { waitedMs, accepts }
    await delay(ASK_AGAIN_MS, UNHELD)
  }
}
