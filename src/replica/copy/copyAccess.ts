/**
 * Who may read a replica's copy: nobody who may not read the leader's file, unless the operator of
 * this node has said otherwise (`--copy-mode`). What a leader says only ever narrows the mode of a
 * file that is there: nothing that comes over the network opens a file of this machine to more
 * readers.
 */
import type { Logger } from 'pino'
import { messageOf } from '../../errors.ts'
import { existsSync } from '../../platform/files.ts'
import { fileMode, setDatabaseMode, usableMode } from '../../sqlite/fileModes.ts'

export interface CopyAccessOptions {
  readonly path: string
  /** The mode that the operator has chosen. */
  readonly copyMode?: number | undefined
  /** The mode of the leader's file, as the leader last told it; undefined when none has. */
  leaderMode(): number | undefined
  readonly log: Logger
}

/** While the leader's mode is unknown. */
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
   * Brings the copy that is there, and its `-wal` and `-shm`, to the mode that they are to have.
   * Never throws: a copy with another owner is still a copy.
   */
  apply(): void {
    const { path, copyMode, log } = this.#options
    if (!existsSync(path)) return
    try {
      const had = fileMode(path)
      const mode = copyMode ?? usableMode(had & this.firstMode)
      setDatabaseMode(path, mode)
      if (mode !== had)
        log.info({ path, from: octal(had), to: octal(mode) }, 'who may read the copy was changed')
    } catch (error) {
      if (!this.#hasWarned)
        log.warn(
          { path, wanted: octal(this.firstMode), error: messageOf(error) },
          'cannot set who may read the copy; make the user that runs this node its owner',
        )
      this.#hasWarned = true
    }
  }
}

function octal(mode: number): string {
  return `0${mode.toString(8)}`
}
