/**
 * The clients by name, loaded when they are asked for: a program loads only the packages it needs.
 */
import type { Client } from './client.ts'

const CLIENTS = {
  sqlite: async () => (await import('./sqlite.ts')).sqlite,
  postgres: async () => (await import('./postgres.ts')).postgres,
  redis: async () => (await import('./redis.ts')).redis,
  litestream: async () => (await import('./litestream.ts')).litestream,
  push: async () => (await import('./push.ts')).push,
  sqld: async () => (await import('./sqld.ts')).sqld,
  rqlite: async () => (await import('./rqlite.ts')).rqlite,
  turso: async () => (await import('./turso.ts')).turso,
  'litestream-vfs': async () => (await import('./litestreamVfs.ts')).litestreamVfs,
} as const satisfies Record<string, () => Promise<Client>>

export type ClientName = keyof typeof CLIENTS

/** Throws when there is no client of that name. */
export function loadClient(name: string): Promise<Client> {
  if (!Object.hasOwn(CLIENTS, name)) throw new Error(`there is no client ${name}`)
  return CLIENTS[name as ClientName]()
}
