/** Who archives brings the archive level at once; any other node asks it to. */
import type { Position } from '../../proto/position.ts'
import { formatPosition } from '../../proto/position.ts'
import type { ArchivistDesk } from '../api/archivist.ts'
import {
  BACKUP_NOW_MS,
  BACKUP_PATH,
  type BackupDesk,
  type BackupNowAnswer,
  type BackupNowHow,
  MAX_BACKUP_NOW_MS,
  MAX_BACKUPS_NOW,
} from '../api/backupNow.ts'
import { onlyDatabase } from '../api/databases.ts'
import type { Archiver } from '../backup/archiver.ts'
import type { Members } from '../cluster/members.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import { messageOf, WalcastError } from '../errors.ts'
import { monotonicMs } from '../platform/time.ts'
import { type AuditParts, audited } from './auditedChange.ts'
import { parseBackupNow } from './backupNowAnswer.ts'

/** For the way to the other node and back, beside the wait. */
const ANSWER_MS = 5000

export interface BackupNowParts extends AuditParts {
  readonly archiver: Archiver | undefined
  readonly archivist: Pick<ArchivistDesk, 'holder'>
  readonly members: Pick<Members, 'addressOf'>
  readonly calls: PeerCalls
}

/** By whom, and for how long it may be waited for. */
interface Asked {
  readonly leftMs: number
  readonly by: string
  readonly gone: AbortSignal
}

export class NodeBackupNow implements BackupDesk {
  readonly #parts: BackupNowParts
  /** Requests that wait. */
  #waiting = 0

  constructor(parts: BackupNowParts) {
    this.#parts = parts
  }

  async now(how: BackupNowHow, by: string, gone: AbortSignal): Promise<BackupNowAnswer> {
    if (this.#waiting >= MAX_BACKUPS_NOW)
      throw new WalcastError('TOO_MANY_BACKUPS', { limit: MAX_BACKUPS_NOW })
    this.#waiting++
    try {
      return await this.#now(how, by, gone)
    } finally {
      this.#waiting--
    }
  }

  async #now(how: BackupNowHow, by: string, gone: AbortSignal): Promise<BackupNowAnswer> {
    const beganMs = monotonicMs()
    const timeoutMs = Math.min(how.timeoutMs ?? BACKUP_NOW_MS, MAX_BACKUP_NOW_MS)
    const position = await this.#position(how, timeoutMs, gone)
    const leftMs = Math.max(0, Math.floor(timeoutMs - (monotonicMs() - beganMs)))
    const { archiver, nodeFile } = this.#parts
    archiver?.archivist.takeUp()
    if (!archiver?.archivist.isOn()) return this.#ask(how, position, { leftMs, by, gone })
    const detail = `up to ${formatPosition(position)}${how.isSnapshotWanted ? ', snapshot' : ''}`
    return audited(this.#parts, { action: 'backup', by, detail }, async () => {
      const { isSnapshotWanted } = how
      const order = { position, isSnapshotWanted, timeoutMs: leftMs, gone }
      const places = await archiver.now(order)
      const tookMs = Math.round(monotonicMs() - beganMs)
      return {
        node: nodeFile.record.node,
        position: formatPosition(position),
        places,
        tookMs,
      }
    })
  }

  /** What is asked for, once this node has it; else what it has. */
  async #position(
    { position }: BackupNowHow,
    timeoutMs: number,
    gone: AbortSignal,
  ): Promise<Position> {
    const { view, waits } = onlyDatabase(this.#parts.databases)
    if (!position) return view.settle()
    await waits.until(position, timeoutMs, gone)
    return position
  }

  async #ask(
    { isSnapshotWanted, passes }: BackupNowHow,
    position: Position,
    { leftMs: timeoutMs, by, gone }: Asked,
  ): Promise<BackupNowAnswer> {
    const address = this.#archivistAddress()
    if (passes === 0 || address === undefined) throw new WalcastError('NOT_ARCHIVING')
    const order = {
      ...{ by, position: formatPosition(position), passes: passes - 1 },
      timeoutMs,
      snapshot: String(isSnapshotWanted),
    }
    const limitMs = timeoutMs + ANSWER_MS
    const { calls } = this.#parts
    const sent = { signal: gone }
    const answer = await calls.tell(address, BACKUP_PATH, order, limitMs, undefined, sent)
    try {
      return parseBackupNow(answer, position)
    } catch (error) {
      const detail = `with something else than what it archived: ${messageOf(error)}`
      throw new WalcastError('NODE_ANSWER', { url: `http://${address}`, detail }, error)
    }
  }

  /** HOST:PORT of the node that archives, or of one that knows it. */
  #archivistAddress(): string | undefined {
    const { databases, archivist, members } = this.#parts
    const { view } = onlyDatabase(databases)
    if (view.role() !== 'leader') return view.leaderAddress() || undefined
    return archivist.holder === undefined ? undefined : members.addressOf(archivist.holder)
  }
}
