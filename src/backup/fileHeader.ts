/** The header of the archive files that this node writes. */
import { type ArchiveHeader, MAX_BLOCK_PAGES } from '../../proto/archiveHeader.ts'
import type { BackupRecipient } from '../security/backupKeys.ts'
import type { Stand } from './batchRecord.ts'
import type { Codec } from './codecs.ts'
import type { RecentKeys } from './recentKeys.ts'

/** A page is read with its block: a smaller one is read faster, and compresses less. */
const BLOCK_BYTES = 128 * 1024

/** What all files of a writer say of it. */
export interface FileMark {
  readonly cluster: string
  readonly db: string
  readonly node: string
  /** Program and version. */
  readonly writer: string
  readonly codec: Codec
  readonly createdMs: number
  /** For whom files are encrypted; undefined: they are not. */
  readonly recipients: readonly BackupRecipient[] | undefined
  /** Hold the keys of encrypted files of changes, for a while. */
  readonly keys?: RecentKeys
}

export interface FileContent {
  readonly kind: ArchiveHeader['kind']
  /** A position in the file: its history is that of all of them. */
  readonly at: Pick<Stand, 'incarnation' | 'epoch'>
  /** The position before the first one; undefined in a snapshot. */
  readonly from: Stand | undefined
  readonly pageSize: number
}

export function headerOf(
  { cluster, db, node, writer, codec, createdMs }: FileMark,
  { kind, at, from, pageSize }: FileContent,
): ArchiveHeader {
  const blockPages = Math.min(MAX_BLOCK_PAGES, Math.max(1, Math.floor(BLOCK_BYTES / pageSize)))
  return {
    kind,
    cluster,
    db,
    node,
    writer,
    codec,
    createdMs,
    incarnation: at.incarnation,
    epoch: at.epoch,
    pageSize,
    blockPages,
    fromIncarnation: from?.incarnation ?? '',
    fromEpoch: from?.epoch ?? 0,
    fromTxid: from?.txid ?? 0,
    fromChecksum: from?.checksum ?? '',
  }
}
