/**
 * How a node ends its membership. `FILE-walcast/left.json` is written first; from then on no node
 * runs in this folder, and every start and every `walcast leave` erases what is left of its keys.
 * So a crash between two steps leaves nothing that a later start does not finish. The database file
 * and the role file stay: the copy can become that of a member again.
 */
import { systemCode, WalcastError, writeError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { readFileSync } from '../platform/files.ts'
import { keysFolder } from '../security/nodeKeys.ts'

/** What the file says. */
export interface Left {
  readonly node: string
  readonly cluster: string
  readonly epoch: number
  readonly txid: number
}

interface LeftFile {
  readonly left: Left
  /** Whether its keys are erased. Keys that lie there afterwards come from a join. */
  readonly isErased: boolean
}

const MAX_SHOWN_CHARS = 128
/** Codes of a read: no file, no folder. */
const ABSENT: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR'])

function leftPathIn(stateFolder: string): string {
  return `${stateFolder}/left.json`
}

/**
 * What a node's folder says of its departure; undefined unless it has left. Throws WRITE_FAILED for
 * a file that is there and cannot be read: a node that has left must not start.
 */
export function readLeft(stateFolder: string): Left | undefined {
  return readFile(stateFolder)?.left
}

function readFile(stateFolder: string): LeftFile | undefined {
  let text: string
  try {
    text = readFileSync(leftPathIn(stateFolder), 'utf8')
  } catch (error) {
    if (ABSENT.has(systemCode(error))) return undefined
    throw writeError(leftPathIn(stateFolder), error)
  }
  // It is written whole, so its presence is what counts.
  const { node, cluster, epoch, txid, isErased } = fieldsOf(text)
  const left = {
    node: plainText(String(node ?? ''), MAX_SHOWN_CHARS),
    cluster: plainText(String(cluster ?? ''), MAX_SHOWN_CHARS),
    epoch: Number(epoch ?? 0),
    txid: Number(txid ?? 0),
  }
  return { left, isErased: isErased === true }
}

/** From here on the node has left. Throws DISK_FULL or WRITE_FAILED: then it has not. */
export async function markLeft(stateFolder: string, left: Left, ops: FileOps): Promise<void> {
  await ops.replace(leftPathIn(stateFolder), `${JSON.stringify(left)}\n`, 'left')
}

/**
 * Erases the keys and secrets of a node that has left; nothing for any other. Only under its lock.
 * Throws WRITE_FAILED.
 */
export function finishLeaving(stateFolder: string, ops: FileOps): Left | undefined {
  const file = readFile(stateFolder)
  if (file && !file.isErased) ops.erase('left.erase', keysFolder(stateFolder))
  return file?.left
}

/**
 * The same before a join, which makes new keys. They stay from here on: a pairing code is good for
 * one key, and a join that was cut short goes on with it. Throws DISK_FULL or WRITE_FAILED.
 */
export async function finishBeforeJoin(stateFolder: string, ops: FileOps): Promise<void> {
  finishLeaving(stateFolder, ops)
  const file = readFile(stateFolder)
  if (!file || file.isErased) return
  const text = `${JSON.stringify({ ...file.left, isErased: true })}\n`
  await ops.replace(leftPathIn(stateFolder), text, 'left')
}

/** The node has become a member again. Throws WRITE_FAILED. */
export function unmarkLeft(stateFolder: string, ops: FileOps): void {
  if (readLeft(stateFolder)) ops.erase('left.erase', leftPathIn(stateFolder))
}

/** `path`: of the database. */
export function leftError(path: string, { node, cluster, epoch, txid }: Left): WalcastError {
  return new WalcastError('LEFT', { node, cluster, path, position: `${epoch}-${txid}` })
}

function fieldsOf(text: string): Readonly<Record<string, unknown>> {
  try {
    return Object(JSON.parse(text))
  } catch {
    return {}
  }
}
