/**
 * The first copy that is being made, if any. There is one at a time; the next begins after the one
 * before has closed its file.
 */
import type { Logger } from 'pino'
import type { Body } from '../../../proto/messages.ts'
import { messageOf, WalcastError } from '../../errors.ts'
import type { FileOps } from '../../platform/fileOps.ts'
import { rmSync } from '../../platform/files.ts'
import { FirstCopy } from './firstCopy.ts'

export class FirstCopySlot {
  readonly #path: string
  readonly #ops: FileOps
  readonly #log: Logger
  #copy: FirstCopy | undefined
  #ended: Promise<void> = Promise.resolve()

  /**
   * The side file lies beside the database: a rename works only within one file system, and the
   * node folder may lie on another.
   */
  constructor(databasePath: string, ops: FileOps, log: Logger) {
    this.#path = `${databasePath}-incoming`
    this.#ops = ops
    this.#log = log
  }

  get current(): FirstCopy | undefined {
    return this.#copy
  }

  /** Removes the side file's old name, which a crash may leave beside the new one. */
  tidy(): void {
    rmSync(this.#path, { force: true })
  }

  /** Goes on with an interrupted copy, or begins one. */
  async open(pageSize: number): Promise<void> {
    if (this.#copy?.isBroken) void this.close()
    if (this.#copy && this.#copy.pageSize !== pageSize) void this.abandon()
    await this.#ended
    this.#copy ??= await FirstCopy.open(this.#path, pageSize, this.#ops)
  }

  /**
   * Verifies the whole and calls `publish`, which gives the side file `from` the database's name.
   */
  async publish(
    synced: Body<'synced'>,
    payload: Buffer,
    mode: number,
    publish: (from: string, checksum: bigint) => void,
  ): Promise<void> {
    const copy = this.#copy
    if (!copy) throw new WalcastError('MESSAGE_BAD', { detail: 'no copy was asked for' })
    try {
      await copy.finish(synced, payload, mode, publish)
    } finally {
      await this.close()
    }
  }

  /** Ends this attempt; the side file stays for the next. */
  close(): Promise<void> {
    return this.#end((copy) => copy.close())
  }

  /** Removes the side file, so that the next copy begins with nothing. */
  abandon(): Promise<void> {
    return this.#end((copy) => copy.abandon())
  }

  #end(end: (copy: FirstCopy) => Promise<void>): Promise<void> {
    const copy = this.#copy
    this.#copy = undefined
    if (!copy) return this.#ended
    this.#ended = end(copy).catch((error) =>
      this.#log.warn({ error: messageOf(error) }, 'could not close the side file of a first copy'),
    )
    return this.#ended
  }
}
