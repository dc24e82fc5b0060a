/** What is stored: made before a system starts, compared when it has been measured. */
import { join } from 'node:path'
import type { DatabaseKind, Place, Program, Setup } from '../system.ts'
import { digest } from '../writing.ts'

/** Of the largest databases. */
const TIMEOUT_MS = 1_800_000
/** More processes at once would only take memory. */
const DIGESTS_AT_ONCE = 4

/** Makes a SQLite database in WAL mode with table t(id, v). */
export async function makeDatabase(
  setup: Setup,
  path: string,
  kind: DatabaseKind,
  megabytes: number,
): Promise<void> {
  const args = ['--db', path, '--kind', kind, '--mb', String(megabytes)]
  await run(setup, 'prepare', { script: 'programs/makeDatabase.js', args })
}

/** Reads everything at every place, each in a process of its own. Throws when two differ. */
export async function verifySame(setup: Setup, places: readonly Place[]): Promise<void> {
  const digests: string[] = []
  for (let i = 0; i < places.length; i += DIGESTS_AT_ONCE) {
    const some = places.slice(i, i + DIGESTS_AT_ONCE)
    digests.push(...(await Promise.all(some.map((place) => run(setup, 'digest', digest(place))))))
  }
  if (new Set(digests).size !== 1)
    throw new Error(`a replica differs from its primary: ${digests.join(' ')}`)
}

function run({ processes, root }: Setup, name: string, { script, args }: Program): Promise<string> {
  const file = process.execPath
  return processes.run(
    { name, file, args: [join(root, 'dist/bench', script), ...args] },
    TIMEOUT_MS,
  )
}
