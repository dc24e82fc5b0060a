/**
 * Removals that are announced, in objects `removals/...`, before they are made. See
 * `removeFiles.ts`, and `pins.ts` for the other side.
 */
import { randomBytes } from '../../platform/random.ts'
import type { Store } from '../stores/store.ts'
import { namesIn, readNote, writeNote } from './noteObject.ts'
import { DAY_MS } from './periods.ts'

/** When it was announced, ms since 1970. */
const NAME = /^removals\/(\d{15})-[0-9a-f]{16}\.json$/

/** Gives the name of the announcement. */
export async function announceRemoval(
  store: Store,
  files: readonly string[],
  nowMs: number,
): Promise<string> {
  const id = randomBytes(8).toString('hex')
  const name = `removals/${String(Math.round(nowMs)).padStart(15, '0')}-${id}.json`
  await writeNote(store, name, { files })
  return name
}

/** Names of all files that are about to go. */
export async function announcedRemovals(store: Store): Promise<ReadonlySet<string>> {
  const going = new Set<string>()
  for (const { name } of await store.list('removals'))
    for (const file of namesIn((await readNote(store, name)) ?? {})) going.add(file)
  return going
}

/** Announcements of processes that died. */
export async function forgetOldRemovals(store: Store, nowMs: number): Promise<void> {
  for (const { name } of await store.list('removals')) {
    const [, atMs] = NAME.exec(name) ?? []
    if (atMs !== undefined && Number(atMs) + DAY_MS < nowMs) await store.remove(name)
  }
}
