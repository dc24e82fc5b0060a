/**
 * Opens a database of Turso's own library. `where` is the path of a file, or a server's URL with
 * the path of the local copy behind a '#': each client has a copy of its own, which it pushes from
 * and pulls into.
 */
import { importPeer } from './peerPackage.ts'

interface Statement {
  run(...values: readonly unknown[]): Promise<unknown>
  get(...values: readonly unknown[]): Promise<Readonly<Record<string, unknown>> | undefined>
  all(...values: readonly unknown[]): Promise<readonly Readonly<Record<string, unknown>>[]>
}

export interface TursoDatabase {
  exec(sql: string): Promise<void>
  prepare(sql: string): Promise<Statement>
  /** Sends local commits to the server. */
  push(): Promise<void>
  /** Fetches the server's changes into the local copy. */
  pull(): Promise<boolean>
  close(): Promise<void>
}

interface TursoSync {
  connect(options: { readonly path: string; readonly url?: string }): Promise<TursoDatabase>
}

export const MAKE_TABLE = 'CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v BLOB)'

interface TursoPlace {
  readonly path: string
  /** Of the server, when there is one. */
  readonly url: string | undefined
}

export function tursoPlace(where: string): TursoPlace {
  const [before, path] = where.split('#')
  return path === undefined ? { path: before, url: undefined } : { path, url: before }
}

/** Fetches a missing copy whole from the server. Throws when another process has the file open. */
export async function openTurso({ path, url }: TursoPlace): Promise<TursoDatabase> {
  const { connect } = await importPeer<TursoSync>('@tursodatabase/sync')
  return connect(url === undefined ? { path } : { path, url })
}
