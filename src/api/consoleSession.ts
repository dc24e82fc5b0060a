/** The session of a person at the web console of a node, and where the console lies. */
import type { TokenRole } from '../security/token.ts'
import type { BackupReport } from './backupStatus.ts'
import type { SnapshotReport } from './snapshotStatus.ts'

/** The page and its files lie below. */
export const CONSOLE_PATH = '/_walcast/'
export const SESSION_PATH = '/_walcast/session'
export const CONSOLE_EVENTS_PATH = '/_walcast/console/events'
/**
 * The page sends it, with the value `1`, whenever it changes something. Forms and other simple
 * requests of foreign pages cannot.
 */
export const CONSOLE_HEADER = 'walcast-console'

export interface ConsoleSession {
  readonly role: TokenRole
  /** Id of its token; null where none is needed: an open cluster, or the control socket. */
  readonly token: string | null
  /** When it ends at the latest, ISO time; null: never by itself. */
  readonly expires: string | null
}

/** `GET`, `POST` and `DELETE /_walcast/session`. */
export interface SessionAnswer {
  readonly node: string
  /** The cluster has no secret: whoever reaches the node may do everything. */
  readonly isOpen: boolean
  /** null: nobody is logged in. */
  readonly session: ConsoleSession | null
}

/**
 * The events of `GET /_walcast/console/events`; the data of each is JSON. `clock` comes every
 * second and tells that the node lives. The others come when they have changed. `measured`: the
 * newest points of the history of lag, the last of which still grows.
 */
export const CONSOLE_EVENTS = [
  'clock',
  'session',
  'node',
  'lag',
  'measured',
  'cluster',
  'backups',
  'restore',
  'audit',
] as const
export type ConsoleEvent = (typeof CONSOLE_EVENTS)[number]

export interface ConsoleClock {
  /** The node's time, ISO. */
  readonly at: string
}

/** The archives and dated snapshots of each database, by its name. */
export type ConsoleBackups = Readonly<
  Record<string, { readonly backup?: BackupReport; readonly snapshots?: SnapshotReport }>
>
