/**
 * `FILE-walcast/keys/cluster.json`: the trust record of this node, with the secrets of the cluster.
 * Only the owner may read it. A crash at any moment leaves the old record or the new one. A file
 * that cannot be read ends the start: a node that went on with an empty record would trust keys
 * that were removed. The record here only ever moves up in the order of joins.
 */
import { EventEmitter } from 'node:events'
import type { Logger } from 'pino'
import { messageOf, systemCode, WalcastError } from '../errors.ts'
import { type FileOps, makeFolder } from '../platform/fileOps.ts'
import { chmodSync, constants, lstatSync } from '../platform/files.ts'
import { openPlain } from '../platform/plainFiles.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import { keysFolder, requireFolder } from '../security/nodeKeys.ts'
import { readOpened } from '../security/privateFile.ts'
import { withCluster } from './trustChanges.ts'
import { formatTrust, parseTrust } from './trustFormat.ts'
import { isSameTrust, mergeTrust } from './trustMerge.ts'
import { emptyTrust, MAX_TRUST_BYTES, type TrustRecord } from './trustRecord.ts'

/** Pause between two attempts at a write that failed, ms. */
const MEND_MS = 1000
const OTHERS = 0o077

/** What replaced what. */
export interface TrustChange {
  readonly before: TrustRecord
  readonly now: TrustRecord
  /** Id of the node that told it; '' for a change of this node's own. */
  readonly from: string
}

export interface TrustFileEvents {
  changed: [TrustChange]
}

export class TrustFile extends EventEmitter<TrustFileEvents> {
  readonly path: string
  readonly #folder: string
  readonly #ops: FileOps
  readonly #log: Logger
  #record: TrustRecord
  /** The record as the file has it; undefined without a file. */
  #written: TrustRecord | undefined
  /** A write failed: the file may have the record that it was to have. */
  #isUnsure = false
  #saving: Promise<void> = Promise.resolve()
  #mending: Timer | undefined
  #isStopped = false

  private constructor(
    stateFolder: string,
    ops: FileOps,
    log: Logger,
    written: TrustRecord | undefined,
  ) {
    super()
    this.#folder = keysFolder(stateFolder)
    this.path = pathIn(stateFolder)
    this.#ops = ops
    this.#log = log
    this.#written = written
    this.#record = written ?? emptyTrust('')
  }

  /**
   * Reads the record in a node's folder; an empty one without a file. Makes nothing. Throws
   * TRUST_BROKEN, SECRET_SHARED or STRANGE_FILE.
   */
  static open(stateFolder: string, ops: FileOps, log: Logger): TrustFile {
    return new TrustFile(stateFolder, ops, log, read(stateFolder))
  }

  /** The record in a node's folder; undefined without a file. Throws what `open` throws. */
  static peek(stateFolder: string): TrustRecord | undefined {
    return read(stateFolder)
  }

  get record(): TrustRecord {
    return this.#record
  }

  /** Whether there is a file. */
  get isThere(): boolean {
    return this.#written !== undefined
  }

  /**
   * Changes the record by a function of `trustChanges.ts`. Resolves when the change is durable;
   * only then this node acts on it and others hear of it. Throws what `change` throws, DISK_FULL
   * or WRITE_FAILED, and then the record is as before. The write may have failed after the rename:
   * the node writes the record before until the disk takes it.
   */
  change(change: (record: TrustRecord) => TrustRecord): Promise<void> {
    return this.#inTurn(async () => {
      const next = change(this.#record)
      await this.#write(next).catch((error) => {
        if (this.isThere) this.#mend()
        throw error
      })
      this.#become(next, '')
    })
  }

  /**
   * The same for a change that must hold whether or not the disk takes it, such as a removal: this
   * node acts on it at once, and retries the write until it succeeds. Throws the error of the first
   * write.
   */
  insist(change: (record: TrustRecord) => TrustRecord): Promise<void> {
    return this.#inTurn(async () => this.#insist(change(this.#record), ''))
  }

  /**
   * Takes over what another member knows. Resolves when it is durable, or when the disk has refused
   * it: then the write is retried. Throws TRUST_REFUSED for a record of another cluster.
   */
  learn(theirs: TrustRecord, from: string): Promise<void> {
    return this.#inTurn(async () => {
      const next = mergeTrust(this.#record, theirs)
      await this.#insist(next, from).catch((error) =>
        this.#log.warn(
          { path: this.path, error: messageOf(error) },
          'could not write the keys and members of the cluster; trying again',
        ),
      )
    })
  }

  /**
   * The record is that of this cluster. For the first start and the first copy. Throws
   * TRUST_REFUSED when the record is of another one, DISK_FULL or WRITE_FAILED.
   */
  belongTo(cluster: string): Promise<void> {
    return this.change((record) => withCluster(record, cluster))
  }

  /** Ends the retries, after a last attempt at a write that had failed. Never throws. */
  async stop(): Promise<void> {
    this.#isStopped = true
    const isMending = this.#mending !== undefined
    cancelTimer(this.#mending)
    this.#mending = undefined
    await (isMending ? this.change((record) => record) : this.#saving).catch(() => {})
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#saving = this.#saving.then(work, work)
    return this.#saving
  }

  async #insist(next: TrustRecord, from: string): Promise<void> {
    this.#become(next, from)
    try {
      await this.#write(next)
    } catch (error) {
      this.#mend()
      throw error
    }
  }

  #become(now: TrustRecord, from: string): void {
    const before = this.#record
    if (isSameTrust(before, now)) return
    this.#record = now
    this.emit('changed', { before, now, from })
  }

  async #write(record: TrustRecord): Promise<void> {
    if (!this.#isUnsure && this.#written && isSameTrust(this.#written, record)) return
    closeFolder(this.#folder)
    this.#isUnsure = true
    await this.#ops.replace(this.path, formatTrust(record), 'trust')
    this.#isUnsure = false
    this.#written = record
  }

  #mend(): void {
    if (this.#isStopped) return
    this.#mending ??= setTimer(() => {
      this.#mending = undefined
      this.change((record) => record).catch(() => this.#mend())
    }, MEND_MS).unref()
  }
}

function pathIn(stateFolder: string): string {
  return `${keysFolder(stateFolder)}/cluster.json`
}

/** Makes the folder, or closes one to other users that is there. Throws STRANGE_FILE for a link. */
function closeFolder(folder: string): void {
  requireFolder(folder)
  const found = lstatSync(folder, { throwIfNoEntry: false })
  if (!found) return makeFolder(folder)
  if ((found.mode & OTHERS) !== 0) chmodSync(folder, 0o700)
}

function read(stateFolder: string): TrustRecord | undefined {
  const path = pathIn(stateFolder)
  try {
    requireFolder(keysFolder(stateFolder))
    const file = openPlain(path, constants.O_RDONLY)
    return parseTrust(readOpened(file, path, { maxBytes: MAX_TRUST_BYTES }))
  } catch (error) {
    if (error instanceof WalcastError) throw error
    if (systemCode(error) === 'ENOENT') return undefined
    throw new WalcastError('TRUST_BROKEN', { path, detail: messageOf(error) }, error)
  }
}
