/**
 * `GET /_walcast/audit`: who changed a node's role, its list of replicas or the keys of its
 * cluster, when and why; also how its archive and the drills of it fare, who asked for a backup,
 * read the archive or named positions in it, removed rows kept aside, and what commands wrote into
 * the database.
 * `POST /_walcast/audit`: a command notes what it wrote.
 */

import type { NodeRole } from './roleAnswers.ts'

export const AUDIT_PATH = '/_walcast/audit'
/** The most entries in one answer. */
export const MAX_AUDIT_ENTRIES = 200
export const AUDIT_ACTIONS = [
  'promote',
  'demote',
  'switchover',
  'rehearse',
  'pause',
  'resume',
  'forget',
  'create-token',
  'revoke-token',
  'token',
  'peer',
  'pair',
  'join',
  'rotate-secret',
  'rotate-key',
  'remove',
  'leave',
  'role',
  'drill',
  'archive',
  'archive-read',
  'pin',
  'point',
  'backup',
  'restore',
  'snapshot',
  'bundle-read',
  'drop-bundle',
  'undo',
  'start',
] as const
/** What a command writes into the database as an application does, without asking the node. */
export const NOTED_ACTIONS = ['restore', 'undo'] as const
export const AUDIT_OUTCOMES = ['done', 'refused', 'failed'] as const

export interface AuditEntry {
  /** ISO time. */
  readonly at: string
  readonly node: string
  readonly action: (typeof AUDIT_ACTIONS)[number]
  readonly outcome: (typeof AUDIT_OUTCOMES)[number]
  /** Role of the node when the entry was made; its position follows. */
  readonly role: NodeRole
  readonly epoch: number
  readonly txid: number
  /** Who asked for it: an operator as `user@host`, or a part of the node. */
  readonly by: string
  readonly detail?: string
}

export interface AuditAnswer {
  /** Newest last. */
  readonly entries: readonly AuditEntry[]
}

/** What a command did, as it says itself. */
export interface AuditNote {
  readonly action: (typeof NOTED_ACTIONS)[number]
  readonly outcome: (typeof AUDIT_OUTCOMES)[number]
  readonly by: string
  readonly detail: string
}

/** The part of the audit log that answers need. */
export interface AuditSource {
  /** The last `limit` entries, newest last. */
  recent(limit: number): readonly AuditEntry[]
}

export interface AuditDesk extends AuditSource {
  /** Resolves when the note is durable, if the disk allows. */
  note(note: AuditNote): Promise<void>
}
