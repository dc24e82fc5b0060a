/**
 * The trust record as text: one JSON object with a format number. The reader takes nothing on
 * trust: each field has a kind and a bound, each list a length, and entries come in canonical order
 * whatever order the text has them in. Fields that this version does not know are left out.
 */
import { MAX_NOTE_CHARS } from '../api/tokens.ts'
import { messageOf } from '../errors.ts'
import { NODE_ID } from '../nodeId.ts'
import { MIN_SECRET_CHARS } from '../security/givenSecret.ts'
import { TOKEN_ROLES } from '../security/token.ts'
import { Fields } from './checkedFields.ts'
import { type EntryKind, isPast, latest, type Mark, type RemovalSet } from './removalSet.ts'
import {
  MEMBERS,
  markOfSetting,
  memberSet,
  newestKeks,
  newestSecrets,
  TOKENS,
  tokenSet,
} from './trustEntries.ts'
import {
  MAX_KEKS,
  MAX_REMOVED,
  MAX_REVOKED,
  MAX_SECRETS,
  MAX_SETTINGS,
  MAX_TOKENS,
  MAX_TRUST_BYTES,
  MAX_TRUSTED,
  type RemovedMember,
  type RevokedToken,
  type TrustKek,
  type TrustMember,
  type TrustRecord,
  type TrustSecret,
  type TrustSetting,
  type TrustToken,
} from './trustRecord.ts'

const FORMAT = 1
/** A node or a cluster that may be unknown. */
const NAME_OR_NONE = /^[\w.-]{0,128}$/
const SETTING_NAME = /^[\w.-]{1,64}$/
const TOKEN_ID = /^[\w-]{10}$/
const ID = /^[0-9a-f]{8}$/
const DIGEST = /^[0-9a-f]{64}$/
const MAX_SETTING_CHARS = 256
const MAX_SECRET_CHARS = 1024

/** The same text for equal records, on every node. */
export function formatTrust(record: TrustRecord): string {
  return `${JSON.stringify({ format: FORMAT, ...record })}\n`
}

/** Throws an Error that says what is wrong with the text. */
export function parseTrust(text: string): TrustRecord {
  if (text.length > MAX_TRUST_BYTES) throw new Error(`${text.length} bytes are too many`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new Error(`it is not JSON: ${messageOf(error)}`)
  }
  return readTrust(value)
}

/** The same for a text that is parsed already. */
export function readTrust(value: unknown): TrustRecord {
  const fields = new Fields(value, 'the record')
  const format = fields.value('format')
  if (format !== FORMAT)
    throw new Error(
      `it has format ${JSON.stringify(format)?.slice(0, 20)}, and this version reads ${FORMAT}`,
    )
  const record: TrustRecord = {
    cluster: fields.match('cluster', NAME_OR_NONE),
    secrets: newestSecrets(fields.list('secrets', MAX_SECRETS, readSecret)),
    keks: newestKeks(fields.list('keks', MAX_KEKS, readKek)),
    members: latest(fields.list('members', MAX_TRUSTED, readMember), MEMBERS.markOf),
    removedMembers: latest(
      fields.list('removedMembers', MAX_REMOVED, readRemoved),
      MEMBERS.markOfEnded,
    ),
    membersHorizon: readHorizon(fields, 'membersHorizon', DIGEST),
    tokens: latest(fields.list('tokens', MAX_TOKENS, readToken), TOKENS.markOf),
    revokedTokens: latest(
      fields.list('revokedTokens', MAX_REVOKED, readRevoked),
      TOKENS.markOfEnded,
    ),
    tokensHorizon: readHorizon(fields, 'tokensHorizon', TOKEN_ID),
    settings: latest(fields.list('settings', MAX_SETTINGS, readSetting), markOfSetting),
  }
  requireSound(record)
  return record
}

/** What a join never makes, and what would take effect on other nodes if it were believed. */
function requireSound(record: TrustRecord): void {
  for (const { living, ended, horizon, full } of [
    marksOf(MEMBERS, memberSet(record)),
    marksOf(TOKENS, tokenSet(record)),
  ]) {
    const gone = new Set(ended.map(({ key }) => key))
    if (living.some(({ key }) => gone.has(key)))
      throw new Error('an entry is removed, and there all the same')
    // There is a horizon only where tombstones had to make room. All others are past it.
    if (horizon && (ended.length !== full || !ended.every((mark) => isPast(horizon, mark))))
      throw new Error('it has a horizon that nothing explains')
  }
}

function marksOf<Living, Ended>(
  { markOf, markOfEnded, maxEnded }: EntryKind<Living, Ended>,
  { living, ended, horizon }: RemovalSet<Living, Ended>,
) {
  const marks = { living: living.map(markOf), ended: ended.map(markOfEnded) }
  return { ...marks, horizon, full: maxEnded }
}

function readSecret(fields: Fields): TrustSecret {
  const secret = fields.text('secret', MAX_SECRET_CHARS)
  if (secret.length < MIN_SECRET_CHARS) throw new Error('a secret is too short')
  return {
    id: fields.match('id', ID),
    secret,
    createdAt: fields.time('createdAt'),
    ...fields.timeIfThere('endsAt'),
  }
}

function readKek(fields: Fields): TrustKek {
  return {
    id: fields.match('id', ID),
    key: fields.match('key', DIGEST),
    createdAt: fields.time('createdAt'),
  }
}

function readMember(fields: Fields): TrustMember {
  return {
    fingerprint: fields.match('fingerprint', DIGEST),
    node: fields.match('node', NODE_ID),
    address: fields.address('address'),
    addedAt: fields.time('addedAt'),
    changedAt: fields.time('changedAt'),
    ...fields.timeIfThere('endsAt'),
  }
}

function readRemoved(fields: Fields): RemovedMember {
  return {
    fingerprint: fields.match('fingerprint', DIGEST),
    node: fields.match('node', NAME_OR_NONE),
    removedAt: fields.time('removedAt'),
  }
}

function readToken(fields: Fields): TrustToken {
  const role = TOKEN_ROLES.find((known) => known === fields.value('role'))
  if (role === undefined) throw new Error('a token has an unknown role')
  return {
    id: fields.match('id', TOKEN_ID),
    hash: fields.match('hash', DIGEST),
    role,
    note: fields.plain('note', MAX_NOTE_CHARS),
    createdAt: fields.time('createdAt'),
    ...fields.timeIfThere('expiresAt'),
  }
}

function readRevoked(fields: Fields): RevokedToken {
  return { id: fields.match('id', TOKEN_ID), revokedAt: fields.time('revokedAt') }
}

function readSetting(fields: Fields): TrustSetting {
  return {
    name: fields.match('name', SETTING_NAME),
    value: fields.text('value', MAX_SETTING_CHARS),
    changedAt: fields.time('changedAt'),
    by: fields.match('by', NODE_ID),
  }
}

function readHorizon(record: Fields, name: string, key: RegExp): Mark | undefined {
  if (record.value(name) === undefined) return undefined
  const fields = new Fields(record.value(name), name)
  return { at: fields.time('at'), key: fields.match('key', key) }
}
