/**
 * The schema, version by version. Only a leader migrates: its replicas get the tables as they get
 * everything else.
 */
import type { Inventory } from './inventory.ts'

const VERSIONS: readonly string[] = [
  `CREATE TABLE machine (
     id INTEGER PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     notes TEXT NOT NULL DEFAULT ''
   ) STRICT;
   CREATE TABLE network (
     id INTEGER PRIMARY KEY,
     name TEXT NOT NULL UNIQUE,
     cidr TEXT NOT NULL
   ) STRICT;
   CREATE TABLE endpoint (
     id INTEGER PRIMARY KEY,
     machineId INTEGER NOT NULL REFERENCES machine ON DELETE CASCADE,
     networkId INTEGER NOT NULL REFERENCES network ON DELETE CASCADE,
     address TEXT NOT NULL,
     state TEXT NOT NULL DEFAULT 'fresh' CHECK (state IN ('fresh', 'stale')),
     seenAt TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
     UNIQUE (networkId, address)
   ) STRICT;
   CREATE INDEX endpoint_machine ON endpoint (machineId);
   CREATE INDEX endpoint_seen ON endpoint (seenAt) WHERE state = 'fresh';
   CREATE TABLE journal (
     id INTEGER PRIMARY KEY,
     at TEXT NOT NULL,
     node TEXT NOT NULL,
     what TEXT NOT NULL
   ) STRICT;`,
]

/** Brings the schema up to date in one transaction. Returns its former version. */
export function migrate(inventory: Inventory, node: string): number {
  const { database } = inventory
  const work = database.transaction(() => {
    const before = Number(database.pragma('user_version', { simple: true }))
    for (const sql of VERSIONS.slice(before)) database.exec(sql)
    if (before >= VERSIONS.length) return before
    database.pragma(`user_version = ${VERSIONS.length}`)
    inventory.note(node, `migrated from version ${before} to ${VERSIONS.length}`)
    return before
  })
  return work.immediate()
}
