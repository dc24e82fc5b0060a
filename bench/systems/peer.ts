/** What adapters of peers share. */
import { loadClient } from '../clients/clients.ts'
import { type Child, pause } from '../processes.ts'
import type { Place, Setup } from '../system.ts'
import { verifySame } from './content.ts'

const READY_TIMEOUT_MS = 60_000
const PAUSE_MS = 20
/** A push of the whole database every 30 s may have just begun. */
const LEVEL_TIMEOUT_MS = 60_000

/** Asks until the answer is true. Throws when the process ends or it takes too long. */
export async function whenReady(child: Child, isReady: () => Promise<boolean>): Promise<void> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS
  while (!(await isReady())) {
    if (!child.isRunning) throw child.failure('ended')
    if (performance.now() > deadlineMs) throw child.failure('does not become ready')
    await pause(PAUSE_MS)
  }
}

/** Whether a reader can be opened and answers. */
export async function answers(place: Place): Promise<boolean> {
  try {
    const client = await loadClient(place.client)
    const reader = await client.openReader(place.where)
    try {
      await reader.maxId()
      return true
    } finally {
      await reader.close()
    }
  } catch {
    return false
  }
}

/** Resolves when readers at every place see `id`. Throws after `timeoutMs`. */
export async function whenShown(
  places: readonly Place[],
  id: number,
  timeoutMs: number,
): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs
  for (const place of places) {
    const client = await loadClient(place.client)
    const reader = await client.openReader(place.where)
    try {
      for (;;) {
        const seen = await reader.maxId()
        if (seen >= id) break
        if (performance.now() > deadlineMs)
          throw new Error(`${place.where} shows ${seen} of ${id} after ${timeoutMs / 1000} s`)
        await pause(1)
      }
    } finally {
      await reader.close()
    }
  }
}

/**
 * Waits until every replica shows the last commit, then reads everything at every place. Throws
 * when two differ.
 */
export async function verifyWhenLevel(
  setup: Setup,
  primary: Place,
  replicas: readonly Place[],
): Promise<void> {
  const client = await loadClient(primary.client)
  const reader = await client.openReader(primary.where)
  let last: number
  try {
    last = await reader.maxId()
  } finally {
    await reader.close()
  }
  await whenShown(replicas, last, LEVEL_TIMEOUT_MS)
  await verifySame(setup, [primary, ...replicas])
}
