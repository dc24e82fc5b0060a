/** The fields that the body and the query of a request give, each checked. */
import type { FastifyRequest } from 'fastify'
import { requireOwnPage } from '../console/ownPage.ts'
import { WalcastError } from '../errors.ts'
import { parseHostPort } from '../hostPort.ts'
import { isPlain } from '../plainText.ts'

/** As much as the audit log keeps. */
const MAX_BY_CHARS = 128

export type Given = Readonly<Record<string, unknown>>

/** Where a request came from, for the audit log. */
export interface Place {
  readonly text: string
  /** Whose share of what is bounded it takes: a token, wherever it comes from, or an address. */
  readonly asker: string
  /** Whether who asks may pass on another one's name and place: a node does. */
  readonly passesOn: boolean
}

/** The fields of the body and of the query. A field of the query wins: the query is signed. */
export function givenBy(request: FastifyRequest): Given {
  const body: Given = Object(request.body)
  return { ...body, ...Object(request.query) }
}

/**
 * A web page can send a POST to this machine, though it cannot read the answer. Throws FOREIGN_PAGE
 * unless the page is this node's console.
 */
export function requireNoForeignPage(request: FastifyRequest): void {
  requireOwnPage(request.raw)
}

/** What an operator or a program orders, and who does. */
export interface Order {
  readonly given: Given
  readonly by: string
}

/** Throws FOREIGN_PAGE for a request of a web page. */
export function orderIn(
  request: FastifyRequest,
  placeOf: (request: FastifyRequest) => Place,
): Order {
  requireNoForeignPage(request)
  const given = givenBy(request)
  return { given, by: operatorOf(given, placeOf(request)) }
}

/** Who asks, as it says itself, and from where. */
export function operatorOf(given: Given, { text, passesOn }: Place): string {
  const by = textOf(given, 'by') ?? 'an operator'
  // A node passes on who asked it, with the address in it.
  if (passesOn && by.endsWith(')')) return by.slice(0, MAX_BY_CHARS)
  return `${by.slice(0, MAX_BY_CHARS - text.length - 3)} (${text})`
}

export function badRequest(detail: string): WalcastError {
  return new WalcastError('BAD_REQUEST', { detail })
}

export function textOf(given: Given, name: string): string | undefined {
  const value = given[name]
  if (value === undefined || value === null || value === '') return undefined
  if (typeof value !== 'string' || value.length > 1024 || !isPlain(value))
    throw badRequest(`${name} is not a text`)
  return value
}

export function addressIn(given: Given, name: string): string | undefined {
  const text = textOf(given, name)
  if (text === undefined) return undefined
  // It goes into the role file, where a wrong one would keep the node from starting.
  if (!parseHostPort(text)) throw badRequest(`${name} is not HOST:PORT`)
  return text
}

export function countOf(given: Given, name: string): number | undefined {
  const value = given[name]
  if (value === undefined || value === null || value === '') return undefined
  const count = typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : value
  if (!Number.isSafeInteger(count) || Number(count) < 0)
    throw badRequest(`${name} is not a whole number`)
  return Number(count)
}

export function flagOf(given: Given, name: string): boolean {
  const value = given[name]
  if (value === undefined || value === false || value === 'false' || value === '0') return false
  if (value === true || value === 'true' || value === '1') return true
  throw badRequest(`${name} is neither true nor false`)
}
