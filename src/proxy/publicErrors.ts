/**
 * What clients of the application are told of an error: its code, what happened and what to do.
 * Addresses, ids and URLs are for the log, unless the operator wants clients to see them
 * (`--verbose-errors`).
 */
import { CATALOGUE } from '../errorCatalogue.ts'
import { type ErrorCode, fill, WalcastError } from '../errors.ts'
import { type ErrorBody, errorBody } from './answer.ts'

/** Texts in place of the catalogue's, where those name what strangers must not know. */
const FOR_STRANGERS: Partial<Record<ErrorCode, string>> = {
  APP_UNREACHABLE: 'cannot reach the application',
  APP_FAILED: 'the application broke off',
  APP_SILENT: 'the application gave no answer in time',
  TOO_MANY_FROM_CLIENT: 'this client already has {limit} {what}',
  LEADER_AWAY: 'the leader did not take the request within {seconds} s',
  LEADER_UNREACHABLE: 'cannot reach the leader',
  NOT_LEADER: 'this node is no leader',
  NOT_EXECUTED: 'the leader did not take the request',
  OUTCOME_UNKNOWN: 'the request may have been executed or not',
  FORWARD_LOOP: 'this request has been through this node already',
  INTERNAL: 'unexpected failure',
}
const UNNAMED = 'the request could not be served'
const SEE_LOG = 'see the log of the node'

/** What a text for clients may name: bounds, and what the client itself sent. */
const HARMLESS: ReadonlySet<string> = new Set([
  'limit',
  'seconds',
  'timeoutMs',
  'what',
  'path',
  'wanted',
])
/**
 * Errors whose detail is about the request alone, and the one that says where clients should go.
 */
const OPEN: ReadonlySet<ErrorCode> = new Set(['BAD_REQUEST', 'STANDBY'])

/** The body that a client of the application gets. */
export function publicBody(error: WalcastError, isVerbose: boolean): ErrorBody {
  const { key, code, details } = error
  if (isVerbose || OPEN.has(key)) return errorBody(error)
  const { what, cure } = CATALOGUE[key]
  const text = FOR_STRANGERS[key] ?? (isHarmless(what) && !details['message'] ? what : UNNAMED)
  return { code, message: fill(text, details), cure: isHarmless(cure) ? error.cure : SEE_LOG }
}

/** The same for an application that answers errors itself. The cause is the original error. */
export function asTold(error: unknown, isVerbose: boolean): unknown {
  if (isVerbose || !(error instanceof WalcastError) || !isHidden(error)) return error
  return new WalcastError(error.key, { message: publicBody(error, false).message }, error)
}

/** Whether clients are not told all of the error: the rest is for the log. */
export function isHidden(error: WalcastError): boolean {
  return publicBody(error, false).message !== error.message
}

function isHarmless(template: string): boolean {
  return [...template.matchAll(/\{(\w+)\}/g)].every(([, name]) => HARMLESS.has(name))
}
