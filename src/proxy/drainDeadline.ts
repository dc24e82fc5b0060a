/**
 * The last part of a stop. When the time is over, connections are cut. So requests that still wait
 * for a leader or an application are released a while before. They are told that nothing was
 * executed, and go elsewhere.
 */
import { cancelTimer, setTimer } from '../platform/time.ts'

/** Share of the time that a stop has; the rest is for the answers to go out. */
const WAIT_SHARE = 0.8

/** A place where requests wait. `stop` releases all of them, and lets none wait any more. */
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
