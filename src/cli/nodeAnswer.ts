/**
 * The answer of a node to a command: what the command asked for, or a refusal. Its text never
 * reaches the terminal unescaped.
 */
import { AnswerTooLong } from '../cluster/socketExchange.ts'
import { isErrorCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import {
  type Asked,
  beginningOf,
  type Head,
  MAX_ANSWER_BYTES,
  strangeAnswer,
} from './answerFailures.ts'
import type { Credential } from './credential.ts'
import { type Shape, WHOLE } from './shape.ts'

const MAX_MESSAGE_CHARS = 500
const CREDENTIAL_WANTED =
  'set WALCAST_SECRET or WALCAST_SECRET_FILE, or WALCAST_TOKEN or WALCAST_TOKEN_FILE ' +
  '("walcast token create" makes a token on the machine of a node)'

export interface Answer {
  /** URL, or path of the socket, for messages. */
  readonly url: string
  readonly status: number
  /** A JSON object, not checked yet. */
  readonly body: Readonly<Record<string, unknown>>
  /** The beginning of the body, for messages. */
  readonly beginning: string
}

/**
 * `credential`: what the question carried. Throws NODE_ANSWER for the answer of something other
 * than a node, UNAUTHORIZED for 401, and TLS_WANTED where a command has to prove who it is.
 */
export function answerIn(
  way: Asked,
  credential: Credential['kind'] | undefined,
  head: Head,
  bytes: Buffer,
): Answer {
  const body = jsonIn(bytes)
  const beginning = beginningOf(bytes)
  if (!body) throw strangeAnswer(way, head, beginning)
  if (head.statusCode === 401 && isOfWalcast(body)) throw unauthorized(way, credential, body)
  if (body['code'] === 'WALCAST_TLS_WANTED' && credential === undefined)
    throw new WalcastError('TLS_WANTED', {
      message: `${way.shown} takes only TLS, and no question without proof of who asks`,
      cure: CREDENTIAL_WANTED,
    })
  return { url: way.shown, status: head.statusCode, body, beginning }
}

/**
 * The JSON of a successful answer. Throws the catalogue's error that the node answered with, or
 * NODE_ANSWER.
 */
export function bodyOf<T>(answer: Answer, shape: Shape): T {
  const { url, status, body, beginning } = answer
  if (status < 200 || status >= 300) throw refusalIn(answer)
  const wrong = shape(body, WHOLE)
  if (wrong === undefined) return body as T
  throw new WalcastError('NODE_ANSWER', {
    url,
    detail: `${status} with JSON that is no answer of a node (${wrong}): ${beginning}`,
  })
}

/** Leaves the loop early to close the connection of an answer that is too long. */
export async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new AnswerTooLong()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function jsonIn(bytes: Buffer): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'))
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

/** The error in a refusal, by a node or by something else. */
function refusalIn({ url, status, body, beginning }: Answer): WalcastError {
  const message = plainText(String(body['message'] ?? ''), MAX_MESSAGE_CHARS)
  const key = String(body['code'] ?? '').replace(/^WALCAST_/, '')
  // The public side of a node serves none of the paths that commands ask for.
  if (key === 'NOT_FOUND')
    return new WalcastError('NODE_ANSWER', {
      url,
      detail: `${status}, as the public side (--proxy) of a node does`,
    })
  if (isErrorCode(key)) return new WalcastError(key, { message })
  return new WalcastError('NODE_ANSWER', { url, detail: `${status}: ${message || beginning}` })
}

function isOfWalcast({ code }: Answer['body']): boolean {
  return typeof code === 'string' && code.startsWith('WALCAST_')
}

function unauthorized(
  { shown }: Asked,
  credential: Credential['kind'] | undefined,
  { message }: Answer['body'],
): WalcastError {
  switch (credential) {
    case 'token': {
      const why = plainText(String(message ?? ''), MAX_MESSAGE_CHARS)
      return new WalcastError('UNAUTHORIZED', { message: `${shown} refuses the token: ${why}` })
    }
    case 'secret':
      return new WalcastError('UNAUTHORIZED', {
        message: `${shown} has a different secret`,
        cure: 'set WALCAST_SECRET or WALCAST_SECRET_FILE to that of the node',
      })
    case undefined:
      return new WalcastError('UNAUTHORIZED', {
        message: `${shown} wants the cluster secret or a token`,
        cure: CREDENTIAL_WANTED,
      })
  }
}
