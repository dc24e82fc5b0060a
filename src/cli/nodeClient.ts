import type { Dispatcher } from 'undici'
import { NODE_AGENT } from '../cluster/peerCalls.ts'
import { AnswerTooLong } from '../cluster/socketExchange.ts'
import { asWalcastError, isErrorCode, systemCode, WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { request } from '../platform/sockets.ts'
import { delay, monotonicMs, timeLimit } from '../platform/time.ts'
import { readSecret } from '../security/givenSecret.ts'
import {
  type Asked,
  beginningOf,
  failureOf,
  type Head,
  MAX_ANSWER_BYTES,
  strangeAnswer,
} from './answerFailures.ts'
import { askedUrl } from './askedUrl.ts'
import { controlError, openControlConnection } from './controlConnection.ts'
import { type NodeTarget, targetText } from './nodeTarget.ts'
import { type ProvenNode, provenNode } from './provenNode.ts'
import { type Shape, WHOLE } from './shape.ts'

const TIMEOUT_MS = 10_000
const CROWDED_MS = 50
const MAX_MESSAGE_CHARS = 500

export interface Answer {
  /** URL, or path of the socket, for messages. */
  readonly url: string
  readonly status: number
  /** A JSON object, not checked yet. */
  readonly body: Readonly<Record<string, unknown>>
  /** The beginning of the body, for messages. */
  readonly beginning: string
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly node: NodeTarget
  readonly path: string
  readonly environment: NodeJS.ProcessEnv
  readonly timeoutMs: number
  /** Sent as JSON. */
  readonly body?: object
}

/** GETs a JSON answer of this shape. Throws what `askNode` and `bodyOf` throw. */
export async function getJson<T>(
  node: NodeTarget,
  path: string,
  environment: NodeJS.ProcessEnv,
  shape: Shape,
): Promise<T> {
  return bodyOf<T>(
    await askNode({ method: 'GET', node, path, environment, timeoutMs: TIMEOUT_MS }),
    shape,
  )
}

/** POSTs, with a time limit of its own. Throws what `askNode` and `bodyOf` throw. */
export async function postJson<T>(
  node: NodeTarget,
  path: string,
  environment: NodeJS.ProcessEnv,
  shape: Shape,
  timeoutMs: number,
): Promise<T> {
  return bodyOf<T>(await askNode({ method: 'POST', node, path, environment, timeoutMs }), shape)
}

/** DELETEs. Throws what `askNode` and `bodyOf` throw. */
export async function deleteJson(
  node: NodeTarget,
  path: string,
  environment: NodeJS.ProcessEnv,
  shape: Shape,
): Promise<void> {
  bodyOf(await askNode({ method: 'DELETE', node, path, environment, timeoutMs: TIMEOUT_MS }), shape)
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

/** Where a question goes, and with which proof of the one who asks. */
interface Way extends Asked {
  readonly dispatcher?: Dispatcher
  /** The node has proven that it knows the cluster secret: the question is signed. */
  readonly proven?: ProvenNode
  /** Whether there is a secret to sign with. */
  readonly isSigned?: boolean
}

/**
 * What a node answered, with any status but 401. Throws NODE_UNREACHABLE, NODE_ANSWER, UNAUTHORIZED
 * or USAGE; for a node on this machine also NO_LOCAL_NODE, OTHER_USERS_NODE or STRANGE_FILE.
 */
export function askNode(question: Question): Promise<Answer> {
  const { node, path, environment } = question
  if (node.kind === 'socket') return askLocalNode(node, question)
  const url = askedUrl(node.address, path)
  const secret = readSecret(environment)
  const way = { url, shown: url.href }
  return secret === undefined ? ask(way, question) : askProven(way, secret, question)
}

/** The node proves itself before it gets the question, which is signed. */
async function askProven(way: Way, secret: string, question: Question): Promise<Answer> {
  const signed = { ...way, isSigned: true }
  let proven: ProvenNode
  try {
    proven = await provenNode(way.url, secret, Math.min(question.timeoutMs, TIMEOUT_MS))
  } catch (error) {
    // Nothing was sent. What is there tells more when it is asked without a signature.
    const { method, node, environment } = { ...question, method: 'GET' as const }
    const about = { method, node, path: '/leader', environment, timeoutMs: TIMEOUT_MS }
    await ask({ ...signed, url: new URL(about.path, way.url) }, about)
    throw asWalcastError(error)
  }
  try {
    return await ask({ ...signed, proven }, question)
  } finally {
    proven.close()
  }
}

type LocalNode = Extract<NodeTarget, { readonly kind: 'socket' }>

/** Asks again while so many wait to be let in that the socket takes no more: nothing was sent. */
async function askLocalNode(node: LocalNode, question: Question): Promise<Answer> {
  const endMs = monotonicMs() + question.timeoutMs
  for (;;)
    try {
      return await askOnce(node, question)
    } catch (error) {
      const cause = error instanceof WalcastError ? error.cause : undefined
      if (systemCode(cause) !== 'EAGAIN' || monotonicMs() >= endMs) throw error
      await delay(CROWDED_MS)
    }
}

async function askOnce(node: LocalNode, question: Question): Promise<Answer> {
  const connection = openControlConnection(node.db, node.folder)
  const { dispatcher } = connection
  const url = new URL(question.path, 'http://localhost')
  try {
    return await ask({ url, shown: targetText(node), dispatcher }, question)
  } catch (error) {
    const isRefused = error instanceof WalcastError && error.key === 'NODE_UNREACHABLE'
    throw (isRefused && controlError(node.db, error.cause)) || error
  } finally {
    await connection.close()
  }
}

async function ask(way: Way, question: Question): Promise<Answer> {
  const { head, bytes } = await send(way, question)
  const body = jsonIn(bytes)
  const beginning = beginningOf(bytes)
  if (!body) throw strangeAnswer(way, head, beginning)
  if (head.statusCode === 401 && isOfWalcast(body)) throw unauthorized(way)
  return { url: way.shown, status: head.statusCode, body, beginning }
}

async function send(
  way: Way,
  { method, timeoutMs, body: value }: Question,
): Promise<{ readonly head: Head; readonly bytes: Buffer }> {
  const { url, dispatcher, proven } = way
  const body = value && JSON.stringify(value)
  const headers = { ...NODE_AGENT, ...(body ? { 'content-type': 'application/json' } : {}) }
  const signal = timeLimit(timeoutMs)
  let head: Head | undefined
  try {
    if (proven) {
      const path = `${url.pathname}${url.search}`
      const question = { method, path, headers, body, maxBytes: MAX_ANSWER_BYTES, signal }
      const { status, headers: answered, body: bytes } = await proven.ask(question)
      return { head: { statusCode: status, headers: answered }, bytes }
    }
    // Only the signal bounds it: undici's own limit would end it after five minutes without
    // headers.
    const limits = { signal, headersTimeout: 0, bodyTimeout: 0, reset: true } as const
    const over = dispatcher ? { dispatcher } : {}
    const answer = await request(url, { method, headers, body: body ?? null, ...limits, ...over })
    head = answer
    return { head, bytes: await readAll(answer.body) }
  } catch (error) {
    throw failureOf(way, head, error, timeoutMs)
  }
}

async function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
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

function unauthorized({ shown, isSigned }: Way): WalcastError {
  const what = isSigned ? 'has a different secret' : 'wants the cluster secret'
  return new WalcastError('UNAUTHORIZED', { message: `${shown} ${what}` })
}
