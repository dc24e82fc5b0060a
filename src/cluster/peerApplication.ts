/** Asks a leader whether its application accepts requests. */
import { delay, monotonicMs } from '../platform/time.ts'
import type { PeerCalls } from './peerCalls.ts'

/** `elsewhere`: that node is not the leader. */
export type LeaderApplication = 'up' | 'down' | 'none' | 'elsewhere' | 'unknown'

const ASK_AGAIN_MS = 20
const TIMEOUT_MS = 1000
/** The pause keeps no process alive. */
const UNHELD = { ref: false } as const

/** Never throws. A node that does not answer is `unknown`. */
export async function applicationOf(calls: PeerCalls, leader: string): Promise<LeaderApplication> {
  const answer = await calls.askRole(leader, TIMEOUT_MS)
  if (!answer) return 'unknown'
  const { role, application = 'none' } = answer.value
  if (role !== 'leader') return 'elsewhere'
  return application === 'up' || application === 'down' || application === 'none'
    ? application
    : 'unknown'
}

export interface Acceptance {
  /** From the call until the application accepted, or was last seen refusing, ms. */
  readonly waitedMs: number
  readonly accepts: boolean
}

/**
 * Waits until the application of the leader at this address accepts requests, for at most
 * `limitMs`. Gives up early when that node is not the leader.
 */
export async function untilApplicationAccepts(
  calls: PeerCalls,
  leader: string,
  limitMs: number,
): Promise<Acceptance> {
  const beganMs = monotonicMs()
  for (let isFirst = true; ; isFirst = false) {
    const askedMs = monotonicMs()
    const standing = await applicationOf(calls, leader)
    const accepts = standing === 'up' || standing === 'none'
    // An application that accepts at the first question did so before the call.
    const waitedMs = isFirst && accepts ? 0 : (accepts ? monotonicMs() : askedMs) - beganMs
    if (accepts || standing === 'elsewhere' || waitedMs >= limitMs) return { waitedMs, accepts }
    await delay(ASK_AGAIN_MS, UNHELD)
  }
}
