/** The systems that can be compared with walcast, by the names that --peers takes. */

import { NotAvailable } from '../install.ts'
import { UsageError } from '../options.ts'
import type { System } from '../system.ts'
import { litefs } from './litefs.ts'
import { litestream, litestreamFast } from './litestream.ts'
import { litestreamVfs, litestreamVfsFast } from './litestreamVfs.ts'
import { postgres, postgresRemoteApply } from './postgres.ts'
import { push, pushEvery30s } from './push.ts'
import { redis } from './redis.ts'
import { rqlite } from './rqlite.ts'
import { sqld } from './sqld.ts'
import { turso } from './turso.ts'
import { walcastTls } from './walcast.ts'

/** A peer may be measured in several set-ups. */
const PEERS: Readonly<Record<string, readonly System[]>> = {
  postgres: [postgres, postgresRemoteApply],
  litestream: [litestream, litestreamFast],
  redis: [redis],
  sqld: [sqld],
  rqlite: [rqlite],
  push: [push, pushEvery30s],
  turso: [turso],
  'litestream-vfs': [litestreamVfs, litestreamVfsFast],
  litefs: [litefs],
  'walcast-tls': [walcastTls],
}

const PEER_NAMES: readonly string[] = Object.keys(PEERS)

export interface Peers {
  readonly systems: readonly System[]
  /** Why others cannot run here. */
  readonly skipped: ReadonlyMap<string, string>
}

/**
 * Installs what the named peers need. `all` is every one; a name is a peer or one of its set-ups.
 * Throws UsageError.
 */
export async function findPeers(
  names: readonly string[],
  progress: (text: string) => void,
): Promise<Peers> {
  const systems: System[] = []
  const skipped = new Map<string, string>()
  for (const system of names.flatMap(named)) {
    try {
      await system.install(progress)
      systems.push(system)
    } catch (error) {
      if (!(error instanceof NotAvailable)) throw error
      progress(`skipping ${system.name}: ${error.message}`)
      skipped.set(system.name, error.message)
    }
  }
  return { systems, skipped }
}

/** Throws UsageError. */
export function requirePeerNames(names: readonly string[]): void {
  names.forEach(named)
}

function named(name: string): readonly System[] {
  const all = Object.values(PEERS).flat()
  if (name === 'all') return all
  const found = PEERS[name] ?? all.filter((system) => system.name === name)
  if (found.length === 0)
    throw new UsageError(`--peers: ${name} is not one of ${PEER_NAMES.join(', ')}, all`)
  return found
}
