/** Asks a running node over its private side. */
import { request } from 'undici'
import { isErrorCode, messageOf, WalcastError } from '../errors.ts'
import { readSecret } from '../http/auth.ts'
import { NODE_AGENT } from '../http/headers.ts'

const TIMEOUT_MS = 10_000

export interface Answer {
  readonly url: string
  readonly status: number
  /** `leader`: where the leader is reached, in the answer of a node that is none. */
  readonly body: { readonly code?: string; readonly message?: string; readonly leader?: string }
}

export interface Question {
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** URL or HOST:PORT. */
  readonly node: string
  readonly path: string
  readonly environment: NodeJS.ProcessEnv
  readonly timeoutMs: number
  /** Sent as JSON. */
  readonly body?: object
}

/** GETs a JSON answer. Throws NODE_UNREACHABLE, NODE_ANSWER or UNAUTHORIZED. */
export async function getJson<T>(node: string, path: string, environment: NodeJS.ProcessEnv): Promise<T> {
  return requireOk<T>(await ask({ method: 'GET', node, path, environment, timeoutMs: TIMEOUT_MS }))
}

/** The same with POST, for what takes its time. Throws the error of the catalogue that the node answers with, too. */
export async function postJson<T>(
  node: string,
  path: string,
  environment: NodeJS.ProcessEnv,
  timeoutMs: number,
): Promise<T> {
  const answer = await ask({ method: 'POST', node, path, environment, timeoutMs })
  requireNoError(answer)
  return requireOk<T>(answer)
}

/** DELETEs. Throws the same, and the error of the catalogue that the node answers with. */
export async function deleteJson(node: string, path: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const answer = await ask({ method: 'DELETE', node, path, environment, timeoutMs: TIMEOUT_MS })
  requireNoError(answer)
  requireOk(answer)
}

/** What a node answered, whatever its status but 401. Throws NODE_UNREACHABLE, UNAUTHORIZED or USAGE. */
export function askNode(question: Question): Promise<Answer> {
  return ask(question)
}

/** The JSON of a good answer. Throws the error of the catalogue that the node answered with, or NODE_ANSWER. */
export function bodyOf<T>(answer: Answer): T {
  requireNoError(answer)
  return requireOk<T>(answer)
}

/** Throws the error of the catalogue that the node answered with, if any. */
function requireNoError({ status, body }: Answer): void {
  const key = String(body.code ?? '').replace(/^WALCAST_/, '')
  if (!isOk(status) && isErrorCode(key)) throw new WalcastError(key, { message: String(body.message ?? '') })
}

function requireOk<T>({ url, status, body }: Answer): T {
  if (!isOk(status)) throw new WalcastError('NODE_ANSWER', { url, status, detail: body.message ?? '' })
  return body as T
}

function isOk(status: number): boolean {
  return status >= 200 && status < 300
}

async function ask({ method, node, path, environment, timeoutMs, body: sent }: Question): Promise<Answer> {
  const url = urlOf(node, path)
  const secret = readSecret(environment)
  const headers: Record<string, string> = { ...NODE_AGENT }
  if (secret) headers['authorization'] = `Bearer ${secret}`
  if (sent) headers['content-type'] = 'application/json'
  let status: number
  let body: Answer['body']
  try {
    // Bounded by the signal alone: fetch would give up after five minutes without headers.
    const answer = await request(url, {
      method,
      headers,
      body: sent ? JSON.stringify(sent) : null,
      signal: AbortSignal.timeout(timeoutMs),
      headersTimeout: 0,
      bodyTimeout: 0,
      reset: true,
    })
    status = answer.statusCode
    body = Object(await answer.body.json())
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new WalcastError('NODE_UNREACHABLE', { url: url.href, detail: messageOf(cause) }, error)
  }
  if (status === 401)
    throw new WalcastError('UNAUTHORIZED', { message: `${url.href} wants the cluster secret` })
  return { url: url.href, status, body }
}

/** Throws USAGE for what is no address. */
function urlOf(node: string, path: string): URL {
  const base = /^https?:\/\//.test(node) ? node : `http://${node}`
  if (!URL.canParse(base)) throw new WalcastError('USAGE', { detail: `"${node}" is no URL` })
  return new URL(path, base)
}
