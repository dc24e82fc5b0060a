/**
 * The first copy that is being made, if any: one at a time, each begun when the one before has let
 * its file go.
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
   * Beside the database: a file gets another name only within one file system, and the node folder
   * may lie on another.
   */
  constructor(databasePath: string, ops: FileOps, log: Logger) {
    this.#path = `${databasePath}-incoming`
    this.#ops = ops
    this.#log = log
  }

  get current(): FirstCopy | undefined {
    return this.#copy
  }

  /** Removes what a crash between giving the file its name and taking away the old one has left. */
  tidy(): void {
    rmSync(this.#path, { force: true })
  }

  /** Takes up the one that was cut, or begins. */
  async open(pageSize: number): Promise<void> {
    if (this.#copy?.isBroken) void this.close()
    if (this.#copy && this.#copy.pageSize !== pageSize) void this.abandon()
    await this.#ended
    this.#copy ??= await FirstCopy.open(this.#path, pageSize, this.#ops)
  }

  /**
   * Verifies the whole and has `publish` give the side file `from`, of this state checksum and
   * `mode`, its name.
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
      this.#log.warn(
        { error: messageOf(error) },
        'the side file of a first copy could not be put away',
      ),
    )
    return this.#ended
  }
}
