/**
 * The last part of a stop: connections are cut when its time is over, so requests that wait until
 * then, for a leader or for an application, are let go a while before. They are told that nothing
 * was executed, and go elsewhere.
 */
import { cancelTimer, setTimer } from '../platform/time.ts'

/** Of the time that a stop has. The rest is for the answers to go out. */
const WAIT_SHARE = 0.8

/** Where requests wait. `stop` sends all of them away, and lets nobody wait any more. */
export interface WaitingRoom {
  stop(): void
}

/** Resolves with `ended`, which takes `timeoutMs` at most. */
export async function drainWithin(
  timeoutMs: number,
  ended: Promise<unknown>,
  rooms: readonly WaitingRoom[],
): Promise<void> {
  const timer = setTimer(() => {
    for (const room of rooms) room.stop()
  }, timeoutMs * WAIT_SHARE)
  try {
    await ended
  } finally {
    cancelTimer(timer)
  }
}
