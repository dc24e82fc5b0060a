/**
 * Asks a running node over its private side, or over its control socket on this machine. Whatever
 * answers there may be something else, so an answer is bounded in size and time, has to be JSON,
 * and is checked against its shape before use. Its text never reaches the terminal unescaped.
 */
import type { Dispatcher } from 'undici'
import { NODE_AGENT } from '../cluster/peerCalls.ts'
import { keyOf, systemCode, WalcastError } from '../errors.ts'
import { httpClient } from '../platform/httpClient.ts'
import { delay, monotonicMs, timeLimit } from '../platform/time.ts'
import { type Asked, failureOf, type Head, MAX_ANSWER_BYTES } from './answerFailures.ts'
import { askedUrl } from './askedUrl.ts'
import { controlError, openControlConnection } from './controlConnection.ts'
import { type Credential, memberCredential, readCredential } from './credential.ts'
import { type Answer, answerIn, bodyOf, readAll } from './nodeAnswer.ts'
import { type NodeTarget, targetText } from './nodeTarget.ts'
import { type ProvenNode, provenNode } from './provenNode.ts'
import type { Shape } from './shape.ts'

const TIMEOUT_MS = 10_000
const CROWDED_MS = 50

export interface Question {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly node: NodeTarget
  readonly path: string
  readonly environment: NodeJS.ProcessEnv
  readonly timeoutMs: number
  /** Sent as JSON. */
  readonly body?: object
  /** Also over plain text: what a restore goes by must not be changed on the way. */
  readonly isAnswerProven?: boolean
}

/** A JSON answer of this shape. Throws what `askNode` and `bodyOf` throw. */
export async function askJson<T>(question: Question, shape: Shape): Promise<T> {
  return bodyOf<T>(await askNode(question), shape)
}

/** GETs a JSON answer of this shape. Throws what `askNode` and `bodyOf` throw. */
export function getJson<T>(
  node: NodeTarget,
  path: string,
  environment: NodeJS.ProcessEnv,
  shape: Shape,
): Promise<T> {
  return askJson<T>({ method: 'GET', node, path, environment, timeoutMs: TIMEOUT_MS }, shape)
}

/** POSTs, with a time limit of its own. Throws what `askNode` and `bodyOf` throw. */
export function postJson<T>(
  node: NodeTarget,
  path: string,
  environment: NodeJS.ProcessEnv,
  shape: Shape,
  timeoutMs: number,
): Promise<T> {
  return askJson<T>({ method: 'POST', node, path, environment, timeoutMs }, shape)
}

/** DELETEs. Throws what `askNode` and `bodyOf` throw. */
export async function deleteJson(
  node: NodeTarget,
  path: string,
  environment: NodeJS.ProcessEnv,
  shape: Shape,
): Promise<void> {
  await askJson({ method: 'DELETE', node, path, environment, timeoutMs: TIMEOUT_MS }, shape)
}

/** A way to the node. */
interface Way extends Asked {
  readonly credential?: Credential
  /** Over the control socket. */
  readonly dispatcher?: Dispatcher
  /** The node has proven who it is: the question goes with the proof of who asks. */
  readonly proven?: ProvenNode
}

/**
 * What a node answered, with any status but 401. Throws NODE_UNREACHABLE, NODE_ANSWER,
 * UNAUTHORIZED, PEER_UNPROVEN or USAGE; for a node on this machine also NO_LOCAL_NODE,
 * OTHER_USERS_NODE or STRANGE_FILE.
 */
export async function askNode(question: Question): Promise<Answer> {
  const { node, path, environment } = question
  if (node.kind === 'socket') return askLocalNode(node, question)
  const url = askedUrl(node.address, path)
  const credential = readCredential(environment) ?? memberCredential(node.folder)
  const way = { url, shown: url.href }
  return credential ? askProven({ ...way, credential }, credential, question) : ask(way, question)
}

/** The node proves itself before it gets the question and the proof of who asks. */
async function askProven(way: Way, credential: Credential, question: Question): Promise<Answer> {
  let proven: ProvenNode
  try {
    proven = await provenNode(way.url, credential, Math.min(question.timeoutMs, TIMEOUT_MS))
  } catch (error) {
    // Certificates of nodes are of their own making: asking once more would only tell that.
    if (keyOf(error) === 'PEER_UNPROVEN' && way.url.protocol === 'https:') throw error
    // Nothing was sent. What is there tells more when it is asked like this.
    const { method, node, environment } = { ...question, method: 'GET' as const }
    const about = { method, node, path: '/leader', environment, timeoutMs: TIMEOUT_MS }
    await ask({ ...way, url: new URL(about.path, way.url) }, about)
    // A node that has begun to listen only now answers the second question.
    throw error instanceof WalcastError
      ? error
      : failureOf(way, undefined, error, question.timeoutMs)
  }
  try {
    return await ask({ ...way, proven }, question)
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
  return answerIn(way, way.credential?.kind, head, bytes)
}

async function send(
  way: Way,
  { method, timeoutMs, body: value, isAnswerProven }: Question,
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
      const asked = { ...question, isAnswerProven }
      const { status, headers: answered, body: bytes } = await proven.ask(asked)
      return { head: { statusCode: status, headers: answered }, bytes }
    }
    // Only the signal bounds it: undici's own limit would end it after five minutes without
    // headers.
    const limits = { signal, headersTimeout: 0, bodyTimeout: 0, reset: true } as const
    const over = dispatcher ? { dispatcher } : {}
    const answer = await httpClient().request(url, {
      method,
      headers,
      body: body ?? null,
      ...limits,
      ...over,
    })
    head = answer
    return { head, bytes: await readAll(answer.body) }
  } catch (error) {
    throw error instanceof WalcastError ? error : failureOf(way, head, error, timeoutMs)
  }
}
