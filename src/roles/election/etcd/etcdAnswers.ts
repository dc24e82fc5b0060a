/**
 * What etcd's JSON gateway answers, read and checked. Numbers of 64 bits come as decimal texts, and
 * are kept so; fields with the value 0 or false are left out; keys and values are base64. A stream
 * has one message a line, in `result`. Newer gateways name an error in `message` only.
 * https://etcd.io/docs/v3.4/dev-guide/api_grpc_gateway/
 */
import { messageOf } from '../../../errors.ts'
import { plainText } from '../../../plainText.ts'

export type EtcdMessage = Readonly<Record<string, unknown>>

/** Something that etcd would not answer. Its message says what, for people. */
export class WrongAnswer extends Error {}

/** etcd is there, and its JSON gateway is not. */
export class NoGateway extends WrongAnswer {}

/** It is etcd, and not the one that was asked before. */
export class OtherCluster extends WrongAnswer {
  readonly cluster: string

  constructor(cluster: string, before: string) {
    super(`it belongs to the cluster ${cluster} of etcd, not to ${before} as before`)
    this.cluster = cluster
  }
}

/** An error that etcd itself names. */
export class EtcdRefusal extends Error {
  readonly status: number
  /** As etcd says it: `etcdserver: no leader`. */
  readonly reason: string

  constructor(status: number, reason: string) {
    super(`${status}: ${reason}`)
    this.status = status
    this.reason = reason
  }

  /** Whether any other member would say the same. */
  get isFinal(): boolean {
    return this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429
  }

  /** Whether it has lost the lease that was named. */
  get isLeaseGone(): boolean {
    return /requested lease not found/.test(this.reason)
  }
}

export interface EtcdKey {
  readonly value: string
  /** Decimal. */
  readonly modRevision: string
  /** Decimal; `0`: none. */
  readonly lease: string
}

const MAX_REASON_CHARS = 200
/** Of 64 bits; neither revisions nor leases are below 0. */
const DECIMAL = /^\d{1,20}$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
/** A longer TTL than etcd grants (9,000,000,000 s) would not be exact in milliseconds. */
const MAX_TTL_SECONDS = 9_000_000_000

export function base64(text: string): string {
  return Buffer.from(text).toString('base64')
}

/**
 * The messages of an answer, one a line. Throws EtcdRefusal for one that is an error, WrongAnswer
 * for what a proxy or another server says.
 */
export function readMessages(status: number, contentType: string, text: string): EtcdMessage[] {
  if (!isJson(contentType)) throw notJson(status, contentType, text)
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const messages = lines.map((line) => readMessage(line, status))
  if (messages.length === 0) throw new WrongAnswer(`it is empty, with the status ${status}`)
  if (status !== 200) throw new WrongAnswer(`it has the status ${status}`)
  return messages
}

export function isJson(contentType: string): boolean {
  return /^application\/json\b/i.test(contentType)
}

function notJson(status: number, contentType: string, text: string): Error {
  // As etcd says it: embed/serve.go.
  if (status === 400 && text.startsWith('CommonName of client'))
    return new EtcdRefusal(status, 'with users, it wants client certificates without common name')
  if (status === 404)
    return new NoGateway('a member has no JSON gateway, or too old a one (--enable-grpc-gateway)')
  const type = plainText(contentType, 40) || 'no content-type'
  return new WrongAnswer(`it is not JSON (${type}, status ${status})`)
}

/** One line. Throws EtcdRefusal, WrongAnswer. */
export function readMessage(line: string, status: number): EtcdMessage {
  const whole = objectIn(parsed(line), 'it')
  const refusal = refusalIn(whole, status)
  if (refusal) throw refusal
  return 'result' in whole ? objectIn(whole['result'], 'result') : whole
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new WrongAnswer(`it is no JSON (${plainText(messageOf(error), 80)})`)
  }
}

function refusalIn(whole: EtcdMessage, status: number): EtcdRefusal | undefined {
  const { error } = whole
  if (status === 200 && error === undefined) return undefined
  const inStream = typeof error === 'object' && error !== null ? objectIn(error, 'error') : whole
  const told = inStream['message'] ?? error
  if (typeof told !== 'string') return undefined
  const http = inStream['http_code']
  // A stream begins with 200 before it fails.
  const actual = typeof http === 'number' ? http : status === 200 ? 503 : status
  return new EtcdRefusal(actual, plainText(told, MAX_REASON_CHARS))
}

export function clusterOf(message: EtcdMessage): string {
  const id = decimalIn(objectIn(message['header'], 'header'), 'cluster_id')
  if (id === '0') throw new WrongAnswer('its "cluster_id" is missing')
  return id
}

/** Whether the comparisons held, and what each operation gave. */
export function readTxn(message: EtcdMessage): {
  readonly succeeded: boolean
  readonly responses: readonly unknown[]
} {
  const { succeeded = false, responses = [] } = message
  if (typeof succeeded !== 'boolean') throw new WrongAnswer('its "succeeded" is no boolean')
  return { succeeded, responses: listIn(responses, 'responses') }
}

/** The keys of one range of a transaction. */
export function rangeAt(responses: readonly unknown[], at: number): EtcdKey[] {
  const response = objectIn(responses[at], `responses[${at}]`)
  return readRange(objectIn(response['response_range'], 'response_range'))
}

export function readRange(range: EtcdMessage): EtcdKey[] {
  return listIn(range['kvs'] ?? [], 'kvs').map((entry) => {
    const key = objectIn(entry, 'kvs[]')
    const modRevision = decimalIn(key, 'mod_revision')
    if (modRevision === '0') throw new WrongAnswer('its "mod_revision" is 0')
    return { value: textOf(key['value'] ?? ''), modRevision, lease: decimalIn(key, 'lease') }
  })
}

/** The revision after a transaction that has written. */
export function revisionOf(message: EtcdMessage): string {
  return decimalIn(objectIn(message['header'], 'header'), 'revision')
}

/** The term of etcd's own election in which a member answered. */
export function etcdTermOf(message: EtcdMessage): string {
  return decimalIn(objectIn(message['header'], 'header'), 'raft_term')
}

export function membersIn(message: EtcdMessage): number {
  return listIn(message['members'], 'members').length
}

/** A lease that was granted, or kept. A TTL of 0: there is no such lease. */
export function readLease(message: EtcdMessage): { readonly id: string; readonly ttlMs: number } {
  const id = decimalIn(message, 'ID')
  if (id === '0') throw new WrongAnswer('its "ID" is missing')
  const { TTL: ttl = 0 } = message
  // Of a lease that ends at this moment, etcd may tell a TTL below 0.
  const seconds = /^-?\d{1,10}$/.test(String(ttl)) ? Number(ttl) : Number.NaN
  if (!Number.isInteger(seconds) || seconds > MAX_TTL_SECONDS)
    throw new WrongAnswer('its "TTL" is no number of seconds')
  return { id, ttlMs: Math.max(0, seconds) * 1000 }
}

export function readToken(message: EtcdMessage): string {
  const { token } = message
  // It becomes a header.
  if (typeof token !== 'string' || !/^[\x21-\x7e]{1,4096}$/.test(token))
    throw new WrongAnswer('it has no "token"')
  return token
}

/** Major and minor version of the cluster, which is that of its oldest member. */
export function readVersion(message: EtcdMessage): {
  readonly text: string
  readonly major: number
  readonly minor: number
} {
  const { etcdcluster, etcdserver } = message
  // A member that has just started knows only its own.
  const told = /^\d/.test(String(etcdcluster)) ? etcdcluster : etcdserver
  const found = typeof told === 'string' && /^(\d{1,4})\.(\d{1,4})\.[\w.+-]{1,40}$/.exec(told)
  if (!found) throw new WrongAnswer('it tells no version of etcd')
  return { text: found[0], major: Number(found[1]), minor: Number(found[2]) }
}

/** Throws WrongAnswer when it is no base64 of UTF-8. */
export function textOf(encoded: unknown): string {
  if (typeof encoded !== 'string' || !BASE64.test(encoded))
    throw new WrongAnswer('a value in it is no base64')
  try {
    return UTF8.decode(Buffer.from(encoded, 'base64'))
  } catch {
    throw new WrongAnswer('a value in it is no text')
  }
}

function decimalIn(from: EtcdMessage, name: string): string {
  const told = from[name] ?? '0'
  const text = typeof told === 'number' && Number.isSafeInteger(told) ? String(told) : told
  if (typeof text !== 'string' || !DECIMAL.test(text))
    throw new WrongAnswer(`its "${name}" is no number`)
  return text
}

function objectIn(value: unknown, name: string): EtcdMessage {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new WrongAnswer(`${name} is no JSON object`)
  return value as EtcdMessage
}

function listIn(value: unknown, name: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new WrongAnswer(`its "${name}" is no list`)
  return value
}
