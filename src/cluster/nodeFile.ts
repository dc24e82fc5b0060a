/**
 * The role file `FILE-walcast/node.json`: who this node is. The one truth about its role, outside
 * the database on purpose.
 */
import {
  type HistoryPoint,
  type Incarnation,
  isIncarnation,
  type Lineage,
  MAX_LINEAGE,
} from '../../proto/lineage.ts'
import { messageOf, openError, systemCode, WalcastError, writeError } from '../errors.ts'
import { type FileOps, syncFolderAside } from '../platform/fileOps.ts'
import { readFileSync, statSync } from '../platform/files.ts'
import { randomBytes } from '../platform/random.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'

export type Role = 'leader' | 'replica' | 'standby'

/** Another node of the cluster. */
export interface Member {
  readonly node: string
  /** HOST:PORT at which others reach it. */
  readonly address: string
}

/** When this node last came to lead, or ceased to. */
export interface RoleChangeMark {
  /** ISO time in this node's clock. */
  readonly at: string
  readonly epoch: number
  readonly txid: number
}

/** When this node's state was last found to have been put back to an earlier one. */
export interface PutBackMark {
  /** ISO time in this node's clock. */
  readonly at: string
  /** The position that begins the epoch above the lost commits. */
  readonly epoch: number
  readonly txid: number
  /** Where the state stood before that epoch began. */
  readonly from: HistoryPoint
  /** How it was found out. */
  readonly reason: string
}

/** Of an epoch that begins at this position, because the state was put back. */
export function putBackMark(
  at: string,
  { epoch, txid }: { readonly epoch: number; readonly txid: number },
  { from: { incarnation, txid: fromTxid }, reason }: Pick<PutBackMark, 'from' | 'reason'>,
): PutBackMark {
  return { at, epoch, txid, from: { incarnation, txid: fromTxid }, reason }
}

export interface NodeRecord {
  readonly format: 2
  readonly node: string
  /** '' on a replica before its first copy. */
  readonly cluster: string
  readonly role: Role
  /** The highest that it has led or followed in. */
  readonly epoch: number
  /** The last epoch of which this node knows that it began with a promotion; 0 when none has. */
  readonly term: number
  /** No txid above this was ever given out by this node. */
  readonly txidCeiling: number
  /** Whether it is a standby when it does not lead. */
  readonly standby: boolean
  /** HOST:PORT of the leader that it follows or last followed; '' when it leads, or has none. */
  readonly leader: string
  /** What --leader last said: given again, it does not undo a change of role. */
  readonly givenLeader: string
  /**
   * Permission bits of the database file of the leader, as last told, or as this node last began to
   * lead; a copy is never wider.
   */
  readonly leaderMode?: number | undefined
  readonly lineage: Lineage
  /** In which this node leads or last led; '' before the first. */
  readonly incarnation: string
  /** Those whom it asks who leads; at most MAX_MEMBERS. */
  readonly members: readonly Member[]
  readonly promoted?: RoleChangeMark | undefined
  /** Without a txid when it ceased to lead before it had opened its database. */
  readonly demoted?: (Omit<RoleChangeMark, 'txid'> & Partial<RoleChangeMark>) | undefined
  readonly putBack?: PutBackMark | undefined
}

export const MAX_MEMBERS = 256
/** Between two attempts to write what the disk did not take. */
const MEND_MS = 1000
/** Of the file. */
const FORMAT = 2
const ROLES: readonly string[] = ['leader', 'replica', 'standby']

/** A new random id of 12 hex digits with a readable prefix. */
export function newId(prefix: string): string {
  return `${prefix}-${randomBytes(6).toString('hex')}`
}

export class NodeFile {
  readonly path: string
  readonly #ops: FileOps
  #record: NodeRecord
  #saving: Promise<void> = Promise.resolve()
  #mending: Timer | undefined
  #isStopped = false

  private constructor(path: string, ops: FileOps, record: NodeRecord) {
    this.path = path
    this.#ops = ops
    this.#record = record
  }

  /**
   * The record in a node folder, or undefined when there is none. Throws NODE_FILE_BROKEN or
   * DB_UNREADABLE. Touches nothing.
   */
  static peek(folder: string): NodeRecord | undefined {
    const path = pathIn(folder)
    return isThere(path) ? parse(path) : undefined
  }

  /**
   * Opens the record, durable as it is read, or writes a first one. Throws NODE_FILE_BROKEN,
   * DISK_FULL or WRITE_FAILED.
   */
  static async open(folder: string, ops: FileOps, first: NodeRecord): Promise<NodeFile> {
    const known = NodeFile.peek(folder)
    const file = new NodeFile(pathIn(folder), ops, known ?? first)
    if (known) {
      // A node that died just after it had renamed it: what is acted on must not be another one
      // after a loss of power.
      await syncFolderAside(folder).catch((error) => {
        throw writeError(file.path, error)
      })
      return file
    }
    try {
      await file.update({})
    } catch (error) {
      // There is to be no node: nothing is mended after that.
      file.#endMending()
      throw error
    }
    return file
  }

  get record(): NodeRecord {
    return this.#record
  }

  /**
   * Durable, and known to `record`, when it resolves. Changes are written in the order they were
   * asked for. Throws DISK_FULL or WRITE_FAILED, and then the file is as it was, or for anything
   * but the role may not be; ROLE_UNSURE when it is not certain that the role is as it was. What is
   * not certain is written again until that goes.
   */
  update(change: Partial<NodeRecord>): Promise<void> {
    return this.#save(change, async (before, next, error) => {
      if (await this.#takeBack(before, next)) throw error
      this.#mend()
      if (next.role === before.role) throw error
      throw new WalcastError('ROLE_UNSURE', { path: this.path, detail: messageOf(error) }, error)
    })
  }

  /**
   * For a change that is so whether or not the disk takes it: known to `record` in any case, and
   * written as soon as that goes. Throws what keeps it from being durable now.
   */
  insist(change: Partial<NodeRecord>): Promise<void> {
    return this.#save(change, async (_before, next, error) => {
      this.#record = next
      this.#mend()
      throw error
    })
  }

  /**
   * Nothing is written any more by itself: what the disk did not take is tried once more. Never
   * throws.
   */
  async stop(): Promise<void> {
    const isMending = this.#mending !== undefined
    this.#endMending()
    await (isMending ? this.update({}) : this.#saving).catch(() => {})
  }

  #endMending(): void {
    this.#isStopped = true
    cancelTimer(this.#mending)
    this.#mending = undefined
  }

  #save(
    change: Partial<NodeRecord>,
    onFailed: (before: NodeRecord, next: NodeRecord, error: unknown) => Promise<never>,
  ): Promise<void> {
    const save = async () => {
      const [before, next] = [this.#record, { ...this.#record, ...change }]
      await this.#write(next).catch((error) => onFailed(before, next, error))
      this.#record = next
    }
    this.#saving = this.#saving.then(save, save)
    return this.#saving
  }

  #write(record: NodeRecord): Promise<void> {
    return this.#ops.replace(this.path, format(record), 'role')
  }

  /**
   * What failed after the rename is there all the same: a start from it must not find a role that
   * this node was told it has not. Whether it is certain that it does not.
   */
  async #takeBack(before: NodeRecord, next: NodeRecord): Promise<boolean> {
    try {
      if (readFileSync(this.path, 'utf8') === format(next)) await this.#write(before)
      return true
    } catch {
      // The first failure is the one to tell of.
      return false
    }
  }

  #mend(): void {
    if (this.#isStopped) return
    this.#mending ??= setTimer(() => {
      this.#mending = undefined
      this.update({}).catch(() => this.#mend())
    }, MEND_MS).unref()
  }
}

function format(record: NodeRecord): string {
  return `${JSON.stringify(record, null, 2)}\n`
}

function pathIn(folder: string): string {
  return `${folder}/node.json`
}

/** A folder that this user may not enter is not one without a node. Throws DB_UNREADABLE. */
function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw openError(path, error)
  }
}

function parse(path: string): NodeRecord {
  let value: Partial<NodeRecord>
  try {
    value = Object(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    if (systemCode(error) === 'EACCES') throw openError(path, error)
    throw new WalcastError('NODE_FILE_BROKEN', { path, detail: messageOf(error) }, error)
  }
  const { node, cluster, role, epoch, txidCeiling } = value
  if (value.format !== undefined && value.format !== FORMAT)
    throw new WalcastError('NODE_FILE_BROKEN', {
      path,
      detail: `it has format ${JSON.stringify(value.format)}, and this version reads format ${FORMAT}`,
    })
  const isWhole =
    value.format === FORMAT &&
    typeof node === 'string' &&
    typeof cluster === 'string' &&
    ROLES.includes(String(role)) &&
    Number.isSafeInteger(epoch) &&
    Number.isSafeInteger(txidCeiling)
  if (!isWhole)
    throw new WalcastError('NODE_FILE_BROKEN', {
      path,
      detail: 'a field is missing or of the wrong kind',
    })
  const {
    standby = role === 'standby',
    leader = '',
    givenLeader = '',
    lineage = [],
    members = [],
  } = value
  const { incarnation = '', term = 0, leaderMode } = value
  const isSound =
    typeof standby === 'boolean' &&
    typeof leader === 'string' &&
    typeof givenLeader === 'string' &&
    Number.isSafeInteger(term) &&
    (leaderMode === undefined || isMode(leaderMode)) &&
    (incarnation === '' || isIncarnation(String(incarnation))) &&
    isListOf(lineage, MAX_LINEAGE, isBegun) &&
    isListOf(members, MAX_MEMBERS, isMember)
  if (!isSound)
    throw new WalcastError('NODE_FILE_BROKEN', {
      path,
      detail: 'a field is of the wrong kind or too long',
    })
  return {
    ...(value as NodeRecord),
    standby,
    leader,
    givenLeader,
    lineage,
    incarnation,
    term,
    members,
  }
}

function isListOf<T>(
  value: unknown,
  most: number,
  isOne: (each: unknown) => each is T,
): value is readonly T[] {
  return Array.isArray(value) && value.length <= most && value.every(isOne)
}

function isBegun(value: unknown): value is Incarnation {
  const { id, epoch, after, afterEpoch, txid, leader, exact } = Object(value)
  const isSound = typeof exact === 'boolean' && typeof leader === 'string'
  const isLinked = isIncarnation(String(id)) && (after === '' || isIncarnation(String(after)))
  return [epoch, afterEpoch, txid].every(Number.isSafeInteger) && isLinked && isSound
}

function isMode(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= 0o777
}

function isMember(value: unknown): value is Member {
  const { node, address } = Object(value)
  return typeof node === 'string' && typeof address === 'string'
}
