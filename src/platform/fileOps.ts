/**
 * The named operations on files that matter for safety. Everything that must survive a crash goes
 * through here, so that a test can fail or kill the process exactly at one of them.
 */
import { dirname } from 'node:path'
import { systemCode, WalcastError, writeError } from '../errors.ts'
import { giveOwner, linkOrRename } from './fileNames.ts'
import type { FileOp, ReplacedKind } from './fileOp.ts'
import {
  closeSync,
  constants,
  copyFileSync,
  fdatasyncAside,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openAside,
  openSync,
  readlinkSync,
  removeAside,
  renameAside,
  renameSync,
  rmSync,
  statSync,
  writeAside,
  writeSync,
} from './files.ts'
import { requirePlainFile, setMode } from './plainFiles.ts'

export type { FileOp, ReplacedKind } from './fileOp.ts'

const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW, COPYFILE_FICLONE, COPYFILE_EXCL } = constants
const ANEW = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW
/** Only the owner reads and writes. */
const OWN = 0o600

export interface FileOps {
  /** Writes all of `bytes` at `position` or throws DISK_FULL or WRITE_FAILED. */
  write(op: FileOp, fd: number, bytes: Uint8Array, position: number, path: string): void
  /** The same without holding up the thread; `bytes` must not change meanwhile. */
  writeAside(
    op: FileOp,
    fd: number,
    bytes: Uint8Array,
    position: number,
    path: string,
  ): Promise<void>
  /**
   * Makes what was written to these descriptors durable without holding up the thread. Throws
   * DISK_FULL or WRITE_FAILED.
   */
  syncAside(op: FileOp, fds: readonly number[], path: string): Promise<void>
  /**
   * Replaces `path` by `content`: written beside it, synced, renamed, folder synced. `kind` names
   * the three steps. Only the owner may read the file, whoever could read what it replaces.
   */
  replace(path: string, content: string, kind?: ReplacedKind): Promise<void>
  /**
   * Makes `to` a copy of `from` that only its owner may read; it must not exist yet. Shares the
   * blocks where the file system can. Throws DISK_FULL or WRITE_FAILED, and leaves nothing then.
   */
  copy(op: FileOp, from: string, to: string): void
  /**
   * Removes a file, or a folder with all that is in it, if it is there, and syncs the folder that
   * has it.
   */
  erase(op: FileOp, path: string): void
  /**
   * Removes a file if it is there, aside. A power cut may bring it back. Throws WRITE_FAILED.
   */
  eraseAside(op: FileOp, path: string): Promise<void>
  /**
   * Gives what was made aside the name `to`, which must not exist yet, and syncs the folder of
   * both.
   */
  rename(op: FileOp, from: string, to: string): void
  /**
   * Gives the finished file `from` the name `to`, which must not exist yet, and syncs the folder.
   */
  publish(from: string, to: string): void
  /**
   * The same over the database that has the name `to`, whose logs and wal-index lose their names
   * before.
   */
  supersede(from: string, to: string): void
}

function writeAll(fd: number, bytes: Uint8Array, position: number): void {
  let done = 0
  while (done < bytes.length)
    done += writeSync(fd, bytes, done, bytes.length - done, position + done)
}

/** Makes the names in a folder durable. */
export function syncFolder(folder: string): void {
  const fd = openSync(folder, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** The same without holding up the thread. */
export async function syncFolderAside(folder: string): Promise<void> {
  const handle = await openAside(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Throws DISK_FULL or WRITE_FAILED. */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    const isLink =
      systemCode(error) === 'ENOENT' && lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink()
    if (!isLink) throw writeError(path, error)
    const detail = `it is a link to ${readlinkSync(path)}, which does not exist; create that folder`
    throw new WalcastError('WRITE_FAILED', { path, detail }, error)
  }
}

/**
 * `before` is called with the name of each step just before it is taken; it may throw or kill the
 * process.
 */
export function createFileOps(before: (op: FileOp) => void = () => {}): FileOps {
  return {
    write(op, fd, bytes, position, path) {
      try {
        before(op)
        writeAll(fd, bytes, position)
      } catch (error) {
        throw writeError(path, error)
      }
    },
    async writeAside(op, fd, bytes, position, path) {
      try {
        before(op)
        let done = 0
        while (done < bytes.length) {
          const { bytesWritten } = await writeAside(
            fd,
            bytes,
            done,
            bytes.length - done,
            position + done,
          )
          done += bytesWritten
        }
      } catch (error) {
        throw writeError(path, error)
      }
    },
    async syncAside(op, fds, path) {
      try {
        before(op)
        await Promise.all(fds.map((fd) => fdatasyncAside(fd)))
      } catch (error) {
        throw writeError(path, error)
      }
    },
    async replace(path, content, kind = 'state') {
      const temporary = `${path}.new`
      try {
        before(`${kind}.write`)
        requirePlainFile(temporary)
        const file = await openAside(temporary, ANEW, OWN)
        try {
          // A write that was broken off may have left a file that others can read.
          await file.chmod(OWN)
          await file.writeFile(content)
          await file.sync()
        } finally {
          await file.close()
        }
        before(`${kind}.rename`)
        await renameAside(temporary, path)
        before(`${kind}.folder`)
        await syncFolderAside(dirname(path))
      } catch (error) {
        throw writeError(path, error)
      }
    },
    copy(op, from, to) {
      try {
        before(op)
        copyFileSync(from, to, COPYFILE_FICLONE | COPYFILE_EXCL)
        setMode(to, OWN)
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') rmSync(to, { force: true })
        throw writeError(to, error)
      }
    },
    erase(op, path) {
      try {
        before(op)
        rmSync(path, { recursive: true, force: true })
        syncFolder(dirname(path))
      } catch (error) {
        throw writeError(path, error)
      }
    },
    async eraseAside(op, path) {
      try {
        before(op)
        await removeAside(path)
      } catch (error) {
        if (systemCode(error) !== 'ENOENT') throw writeError(path, error)
      }
    },
    rename(op, from, to) {
      try {
        before(op)
        renameSync(from, to)
        syncFolder(dirname(to))
      } catch (error) {
        throw writeError(to, error)
      }
    },
    publish(from, to) {
      try {
        before('copy.publish')
        linkOrRename(from, to)
        syncFolder(dirname(to))
      } catch (error) {
        throw writeError(to, error)
      }
    },
    supersede(from, to) {
      try {
        before('copy.supersede')
        const { mode, uid, gid } = statSync(to)
        setMode(from, mode & 0o7777)
        giveOwner(from, uid, gid)
        for (const suffix of ['-wal', '-shm', '-journal']) rmSync(`${to}${suffix}`, { force: true })
        before('copy.publish')
        renameSync(from, to)
        syncFolder(dirname(to))
      } catch (error) {
        throw writeError(to, error)
      }
    },
  }
}

export const systemFileOps: FileOps = createFileOps()
