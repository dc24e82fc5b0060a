/**
 * How many replicas hold a write before it is answered: `local` (none), `one`, `all` or a number;
 * with `-durable` behind it, such as `one-durable`, where it must survive a loss of power there.
 * `backup`: the archive has it, in every place of the node that archives.
 */
import { WalcastError } from '../errors.ts'
import type { AckWanted } from './acknowledgements.ts'

export interface AckLevel extends AckWanted {
  /** The level as it is written. */
  readonly name: string
  /** For a metric, whose labels must be few: `n` for every number. */
  readonly label: string
}

/** What `parseAckLevel` takes, for people. */
export const ACK_LEVELS =
  'local, one, all or a number such as 2, or one-durable, all-durable or 2-durable, or backup'

const LEVEL = /^(one|all|[1-9]\d{0,2})(-durable)?$/
const LOCAL: AckLevel = { name: 'local', label: 'local', replicas: 0, durable: false }
const BACKUP: AckLevel = {
  name: 'backup',
  label: 'backup',
  replicas: 0,
  durable: true,
  archived: true,
}

/** Undefined when `text` is no level. */
export function parseAckLevel(text: string): AckLevel | undefined {
  const name = text.trim().toLowerCase()
  if (name === LOCAL.name) return LOCAL
  if (name === BACKUP.name) return BACKUP
  const [, count, suffix = ''] = LEVEL.exec(name) ?? []
  if (count === undefined) return undefined
  const replicas = count === 'all' ? count : count === 'one' ? 1 : Number(count)
  const label = /^\d/.test(count) ? `n${suffix}` : name
  return { name, label, replicas, durable: suffix !== '' }
}

/** Whether there is nothing to wait for. */
export function isLocal({ replicas, archived }: AckLevel): boolean {
  return replicas === 0 && !archived
}

/** Throws BAD_REQUEST. */
export function requireAckLevel(text: string): AckLevel {
  const level = parseAckLevel(text)
  if (!level)
    throw new WalcastError('BAD_REQUEST', { detail: `a level is ${ACK_LEVELS}, not "${text}"` })
  return level
}
