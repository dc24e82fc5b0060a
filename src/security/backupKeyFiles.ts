/**
 * Files of recipients and of identities: one a line, with lines of `#` for people. No error quotes
 * a line, which may be a secret in the wrong file.
 */
import { MAX_RECIPIENTS } from '../../proto/archiveSeal.ts'
import { messageOf, WalcastError, writeError } from '../errors.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { closeSync, constants, fstatSync, openSync, rmSync } from '../platform/files.ts'
import {
  type BackupIdentity,
  type BackupRecipient,
  formatIdentity,
  formatRecipient,
  parseIdentity,
  parseRecipient,
} from './backupKeys.ts'
import { readOpened } from './privateFile.ts'

const { O_RDONLY, O_NONBLOCK, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants
const MAX_FILE_BYTES = 64 * 1024
const MAX_IDENTITIES = 32
/** Only the owner reads and writes. */
const OWN = 0o600
/** Bits of those who may write a file and are not its owner. */
const WRITTEN_BY_OTHERS = 0o022

/**
 * The recipients in a file: 1 to MAX_RECIPIENTS, each once. Whoever may write the file decides who
 * reads all backups to come, so that is to be its owner. Throws RECIPIENTS_UNREADABLE.
 */
export function readRecipients(path: string): BackupRecipient[] {
  try {
    const found = linesOf(readWrittenByOwner(path), parseRecipient)
    const each = new Map(found.map((recipient) => [recipient.id, recipient]))
    return bounded([...each.values()], MAX_RECIPIENTS, 'recipient')
  } catch (error) {
    throw new WalcastError('RECIPIENTS_UNREADABLE', { path, detail: messageOf(error) }, error)
  }
}

/**
 * The identities in a file that only its owner may read, or in a pipe. Throws IDENTITY_UNREADABLE
 * or SECRET_SHARED.
 */
export function readIdentities(path: string): BackupIdentity[] {
  try {
    const text = readOpened(openSync(path, O_RDONLY), path, { maxBytes: MAX_FILE_BYTES })
    return bounded(linesOf(text, parseIdentity), MAX_IDENTITIES, 'identity')
  } catch (error) {
    if (error instanceof WalcastError) throw error
    throw new WalcastError('IDENTITY_UNREADABLE', { path, detail: messageOf(error) }, error)
  }
}

/** What the file of an identity holds: the recipient stands there for people. */
export function identityText(identity: BackupIdentity): string {
  return `# A walcast backup identity. It opens backups: keep it where no node is, and a copy of it.
# Where "walcast backups" and errors name it, they say ${identity.recipient.id}.
# Nodes write backups for it with this line in the file of --backup-recipients:
# ${formatRecipient(identity.recipient)}
${formatIdentity(identity)}
`
}

/**
 * Makes the file of an identity, durable and readable by its owner only. Throws DISK_FULL or
 * WRITE_FAILED, also when there is a file of this name.
 */
export async function writeIdentity(
  path: string,
  identity: BackupIdentity,
  ops: FileOps,
): Promise<void> {
  const made = `${path}.new`
  try {
    rmSync(made, { force: true })
    const fd = openSync(made, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, OWN)
    try {
      await ops.writeAside('identity.write', fd, Buffer.from(identityText(identity)), 0, path)
      await ops.syncAside('identity.sync', [fd], path)
    } finally {
      closeSync(fd)
    }
    ops.publish(made, path)
  } catch (error) {
    rmSync(made, { force: true })
    throw error instanceof WalcastError ? error : writeError(path, error)
  }
}

function readWrittenByOwner(path: string): string {
  // A pipe that takes its place must not hold up the thread.
  const fd = openSync(path, O_RDONLY | O_NONBLOCK)
  const stats = fstatSync(fd)
  const isOwned = stats.isFile() && (stats.mode & WRITTEN_BY_OTHERS) === 0
  if (isOwned) return readOpened(fd, path, { maxBytes: MAX_FILE_BYTES, isPrivate: false })
  closeSync(fd)
  const mode = (stats.mode & 0o777).toString(8)
  throw new Error(stats.isFile() ? `others may write it: its mode is 0${mode}` : 'it is no file')
}

function linesOf<T>(text: string, parse: (line: string) => T): T[] {
  return text.split('\n').flatMap((given, i) => {
    const line = given.trim()
    if (line === '' || line.startsWith('#')) return []
    try {
      return [parse(line)]
    } catch (error) {
      throw new Error(`line ${i + 1}: ${messageOf(error)}`)
    }
  })
}

function bounded<T>(found: T[], most: number, what: string): T[] {
  if (found.length === 0) throw new Error(`it has no ${what}`)
  if (found.length > most) throw new Error(`it has more than ${most}`)
  return found
}
