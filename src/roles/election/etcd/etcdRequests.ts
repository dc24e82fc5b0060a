/**
 * Requests to etcd's JSON gateway, as texts. Operators find the keys with `etcdctl get --prefix`.
 *
 * | key | holds | ends |
 * |---|---|---|
 * | `PREFIX/lead` | the node that holds the lease | with its lease |
 * | `PREFIX/value` | what the holder wrote last | never |
 * | `PREFIX/notes/NODE` | the note of a candidate | with a lease of its own |
 */
import { base64 } from './etcdAnswers.ts'
import type { EtcdRequest } from './etcdEndpoint.ts'

/** In base64. */
export interface EtcdKeys {
  readonly lead: string
  readonly value: string
  /** Of this node. */
  readonly note: string
  readonly firstNote: string
  readonly afterNotes: string
}

export type Comparison = Readonly<Record<string, string>>
export type Operation = Readonly<Record<string, object>>

export function keysOf(prefix: string, node: string): EtcdKeys {
  return {
    lead: base64(`${prefix}/lead`),
    value: base64(`${prefix}/value`),
    note: base64(`${prefix}/notes/${node}`),
    firstNote: base64(`${prefix}/notes/`),
    // The character after the slash.
    afterNotes: base64(`${prefix}/notes0`),
  }
}

/** `0`: there is no such key. */
export function changedAt(key: string, revision: string): Comparison {
  return { key, target: 'MOD', mod_revision: revision }
}

export function holds(key: string, value: string): Comparison {
  return { key, target: 'VALUE', value: base64(value) }
}

export function isMissing(key: string): Comparison {
  return { key, target: 'CREATE', create_revision: '0' }
}

export function isOnLease(key: string, lease: string): Comparison {
  return { key, target: 'LEASE', lease }
}

/** No key was created before revision 0. */
export function never(key: string): Comparison {
  return { key, target: 'CREATE', result: 'LESS', create_revision: '0' }
}

export function read(key: string): Operation {
  return { request_range: { key } }
}

export function write(key: string, value: string, lease?: string): Operation {
  return { request_put: { key, value: base64(value), ...(lease === undefined ? {} : { lease }) } }
}

export function remove(key: string): Operation {
  return { request_delete_range: { key } }
}

/** All comparisons hold: `success`; else `failure`. It is one step for every other client. */
export function transaction(
  compare: readonly Comparison[],
  success: readonly Operation[],
  failure: readonly Operation[] = [],
): EtcdRequest {
  return { path: '/v3/kv/txn', body: JSON.stringify({ compare, success, failure }) }
}

/** etcd counts in whole seconds, and may grant more than is asked for. */
export function leaseGrant(ttlMs: number): EtcdRequest {
  const TTL = String(Math.ceil(ttlMs / 1000))
  return { path: '/v3/lease/grant', body: JSON.stringify({ TTL }) }
}

/** The stream ends after one answer, as it has one message. */
export function leaseKeepAlive(ID: string): EtcdRequest {
  return { path: '/v3/lease/keepalive', body: JSON.stringify({ ID }) }
}

export function leaseRevoke(ID: string): EtcdRequest {
  return { path: '/v3/lease/revoke', body: JSON.stringify({ ID }) }
}

/** Of these keys, from now on. A message for each key says that its watch has begun. */
export function watchOf(keys: readonly string[]): EtcdRequest {
  const body = keys.map((key) => JSON.stringify({ create_request: { key } })).join('\n')
  return { path: '/v3/watch', body }
}

/** The first `limit` notes. */
export function notesBetween(key: string, range_end: string, limit: number): EtcdRequest {
  return { path: '/v3/kv/range', body: JSON.stringify({ key, range_end, limit: String(limit) }) }
}
