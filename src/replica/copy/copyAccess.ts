/**
 * Who may read a replica's copy: only those who may read the leader's file, unless the operator of
 * this node chooses otherwise (`--copy-mode`). The leader's word can only narrow the mode of an
 * existing file. Nothing from the network opens a file of this machine to more readers.
 */
import type { Logger } from 'pino'
import { messageOf } from '../../errors.ts'
import { existsSync } from '../../platform/files.ts'
import { fileMode, setDatabaseMode, usableMode } from '../../sqlite/fileModes.ts'

export interface CopyAccessOptions {
  readonly path: string
  /** The operator's choice. */
  readonly copyMode?: number | undefined
  /** The mode of the leader's file, as last told; undefined when no leader has told one. */
  leaderMode(): number | undefined
  readonly log: Logger
}

/** The mode while the leader's is unknown. */
const PRIVATE = 0o600

export class CopyAccess {
  readonly #options: CopyAccessOptions
  #hasWarned = false

  constructor(options: CopyAccessOptions) {
    this.#options = options
  }

  /** The mode of a copy that does not exist yet. */
  get firstMode(): number {
    const { copyMode, leaderMode } = this.#options
    return copyMode ?? usableMode(leaderMode() ?? PRIVATE)
  }

  /**
   * Sets the mode of the existing copy, and of its `-wal` and `-shm`. Never throws: a copy with
   * another owner is still a copy.
   */
  apply(): void {
    const { path, copyMode, log } = this.#options
    if (!existsSync(path)) return
    try {
      const had = fileMode(path)
      const mode = copyMode ?? usableMode(had & this.firstMode)
      setDatabaseMode(path, mode)
      if (mode !== had)
        log.info({ path, from: octal(had), to: octal(mode) }, 'changed the mode of the copy')
    } catch (error) {
      if (!this.#hasWarned)
        log.warn(
          { path, wanted: octal(this.firstMode), error: messageOf(error) },
          'cannot set the mode of the copy; make the user that runs this node its owner',
        )
      this.#hasWarned = true
    }
  }
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`
}
