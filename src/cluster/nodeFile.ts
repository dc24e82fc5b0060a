/** The role file `FILE-walcast/node.json`: who this node is. The one truth about its role, outside the database on purpose. */
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { messageOf, WalcastError } from '../errors.ts'
import type { FileOps } from '../fileOps.ts'

export type Role = 'leader' | 'replica' | 'standby'

export interface NodeRecord {
  readonly format: 1
  readonly node: string
  /** '' on a replica before its first copy. */
  readonly cluster: string
  readonly role: Role
  readonly epoch: number
  /** No txid above this was ever given out by this node. */
  readonly txidCeiling: number
}

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

  private constructor(path: string, ops: FileOps, record: NodeRecord) {
    this.path = path
    this.#ops = ops
    this.#record = record
  }

  /** The record in a node folder, or undefined when there is none. Throws NODE_FILE_BROKEN. Touches nothing. */
  static peek(folder: string): NodeRecord | undefined {
    const path = pathIn(folder)
    return existsSync(path) ? parse(path) : undefined
  }

  /** Opens the record, or writes a first one. */
  static async open(folder: string, ops: FileOps, first: NodeRecord): Promise<NodeFile> {
    const known = NodeFile.peek(folder)
    const file = new NodeFile(pathIn(folder), ops, known ?? first)
    if (!known) await file.update({})
    return file
  }

  get record(): NodeRecord {
    return this.#record
  }

  /** Durable, and known to `record`, when it resolves. Changes are written in the order they were asked for. */
  update(change: Partial<NodeRecord>): Promise<void> {
    const save = async () => {
      const next = { ...this.#record, ...change }
      await this.#ops.replace(this.path, `${JSON.stringify(next, null, 2)}\n`)
      this.#record = next
    }
    this.#saving = this.#saving.then(save, save)
    return this.#saving
  }
}

function pathIn(folder: string): string {
  return `${folder}/node.json`
}

function parse(path: string): NodeRecord {
  let value: Partial<NodeRecord>
  try {
    value = Object(JSON.parse(readFileSync(path, 'utf8')))
  } catch (error) {
    throw new WalcastError('NODE_FILE_BROKEN', { path, detail: messageOf(error) }, error)
  }
  const { node, cluster, role, epoch, txidCeiling } = value
  const isWhole =
    value.format === 1 &&
    typeof node === 'string' &&
    typeof cluster === 'string' &&
    ROLES.includes(String(role)) &&
    Number.isSafeInteger(epoch) &&
    Number.isSafeInteger(txidCeiling)
  if (!isWhole)
    throw new WalcastError('NODE_FILE_BROKEN', { path, detail: 'a field is missing or of the wrong kind' })
  return value as NodeRecord
}
