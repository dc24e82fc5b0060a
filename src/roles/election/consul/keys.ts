/**
 * Where a cluster's lease, value and notes lie in Consul's keys, and what is read there:
 *
 *     PREFIX/lease/value   what `take` and `amend` write; it stays
 *     PREFIX/lease/holder  held by the session of the leader; it goes with that session
 *     PREFIX/notes/...     one for each node, held by a session of its own
 *
 * `lease/` is read at once, so that value and holder are of one moment.
 */
import { Fields } from '../../../cluster/checkedFields.ts'
import { randomBytes } from '../../../platform/random.ts'
import { type Look, MAX_CANDIDATE_NOTES, MAX_ELECTION_BYTES } from '../leaseService.ts'
import type { AgentAnswer, ConsulAgent } from './agent.ts'
import type { KeyOperation } from './transaction.ts'

export interface ConsulKeys {
  readonly lease: string
  readonly value: string
  readonly holder: string
  readonly notes: string
  readonly note: string
  /** What the probe writes and removes. */
  readonly probe: string
}

export interface StoredKey {
  readonly key: string
  readonly text: string
  /** '' when no session holds it. */
  readonly session: string
  readonly modifyIndex: number
}

/** Newer versions of Consul take no others in the names of keys, and no `..` either. */
export const KEY_NAME = /^(?!.*\.\.)[\w,./-]{1,256}$/
const SESSION = /^[\w-]{0,64}$/
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/
/** Base64 of the longest value, and what Consul writes beside it. */
const KEY_BYTES = Math.ceil((MAX_ELECTION_BYTES * 4) / 3) + 1024
export const LEASE_BYTES = 2 * KEY_BYTES
/** Twice what is read: notes that have just ended count too. */
export const NOTES_BYTES = 2 * MAX_CANDIDATE_NOTES * KEY_BYTES

export function consulKeys(prefix: string, node: string): ConsulKeys {
  // Consul refuses names that end like files, such as `.com`.
  const own = Buffer.from(node).toString('hex')
  return {
    lease: `${prefix}/lease/`,
    value: `${prefix}/lease/value`,
    holder: `${prefix}/lease/holder`,
    notes: `${prefix}/notes/`,
    note: `${prefix}/notes/${own}`,
    probe: `${prefix}/probe/${own}`,
  }
}

/** As a path of the API. */
export function keyPath(key: string): string {
  return `kv/${key.split('/').map(encodeURIComponent).join('/')}`
}

/**
 * A value as an operation writes it. Consul takes the write of what is there already for no change;
 * the flags make each write another one.
 */
export function written(text: string): Pick<KeyOperation, 'Value' | 'Flags'> {
  return { Value: Buffer.from(text).toString('base64'), Flags: randomBytes(6).readUIntBE(0, 6) }
}

/** Throws ELECTION_AWAY. */
export function storedKeys(agent: ConsulAgent, answer: AgentAnswer): readonly StoredKey[] {
  // No key begins so. Consul tells its index all the same: another 404 is not Consul's.
  if (answer.status === 404 && answer.index !== '') return []
  const list = agent.json(answer)
  try {
    if (!Array.isArray(list)) throw new Error('no list')
    return list.map((entry) => storedKey(new Fields(entry, 'a key')))
  } catch (error) {
    throw agent.away('its keys are not as Consul writes them', error)
  }
}

/** Throws ELECTION_AWAY. */
export function lookAt(
  agent: ConsulAgent,
  keys: ConsulKeys,
  stored: readonly StoredKey[],
): Look & { readonly holder: string } {
  const value = stored.find(({ key }) => key === keys.value)
  const holder = stored.find(({ key }) => key === keys.holder)?.session ?? ''
  if (value && Buffer.byteLength(value.text) > MAX_ELECTION_BYTES)
    throw agent.away(`its value has more than ${MAX_ELECTION_BYTES} bytes`)
  const mark = `${value?.modifyIndex ?? 0}${holder && ` ${holder}`}`
  return { value: value?.text, isHeld: holder !== '', mark, holder }
}

/** Notes that a session holds, without those that no node has written. */
export function notesIn(stored: readonly StoredKey[]): readonly string[] {
  return stored
    .filter(({ text, session }) => session && Buffer.byteLength(text) <= MAX_ELECTION_BYTES)
    .slice(0, MAX_CANDIDATE_NOTES)
    .map(({ text }) => text)
}

function storedKey(fields: Fields): StoredKey {
  // Null when it is empty.
  const isEmpty = fields.value('Value') === null
  const isFree = fields.value('Session') === undefined
  const value = isEmpty ? '' : fields.match('Value', BASE64)
  return {
    key: fields.text('Key', 1024),
    text: Buffer.from(value, 'base64').toString('utf8'),
    session: isFree ? '' : fields.match('Session', SESSION),
    modifyIndex: fields.count('ModifyIndex'),
  }
}
