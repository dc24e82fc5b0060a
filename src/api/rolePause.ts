/** A pause of role changes: operators cannot promote, demote or switch over until it ends. */
import type { ToldInfo } from './membership.ts'

/** `POST` pauses, `DELETE` resumes. Any node takes both, also while there is no leader. */
export const PAUSE_PATH = '/_walcast/pause'

export const MIN_PAUSE_MS = 60_000
export const MAX_PAUSE_MS = 24 * 3_600_000
export const MAX_REASON_CHARS = 100

/** The pause in force. */
export interface PauseInfo {
  /** ISO time. */
  readonly since: string
  /** When it ends by itself, ISO time. Each node goes by its own clock. */
  readonly until: string
  /** Who paused, and from where. */
  readonly by: string
  /** '' when none was given. */
  readonly reason: string
}

export interface PauseAnswer {
  /** Null after a resumption. */
  readonly paused: PauseInfo | null
  readonly members: readonly ToldInfo[]
}

export interface PauseDesk {
  /**
   * Durable here when it resolves, and told to all members that answer. A pause that is in force
   * is replaced. Throws OPEN_CLUSTER, STARTING, DISK_FULL, WRITE_FAILED or TRUST_FULL.
   */
  pause(how: { readonly forMs: number; readonly reason: string }, by: string): Promise<PauseAnswer>
  /** The same for the end of it. Also when nothing is paused: another node may know otherwise. */
  resume(by: string): Promise<PauseAnswer>
}
