/** Asks a running node over its private side. */
import { request } from 'undici'
import { messageOf, WalcastError } from '../errors.ts'
import { readSecret } from '../http/auth.ts'

const TIMEOUT_MS = 10_000

/** GETs a JSON answer. Throws NODE_UNREACHABLE, NODE_ANSWER or UNAUTHORIZED. */
export function getJson<T>(node: string, path: string, environment: NodeJS.ProcessEnv): Promise<T> {
  return ask<T>('GET', node, path, environment, TIMEOUT_MS)
}

/** The same with POST, for what takes its time. */
export function postJson<T>(
  node: string,
  path: string,
  environment: NodeJS.ProcessEnv,
  timeoutMs: number,
): Promise<T> {
  return ask<T>('POST', node, path, environment, timeoutMs)
}

async function ask<T>(
  method: 'GET' | 'POST',
  node: string,
  path: string,
  environment: NodeJS.ProcessEnv,
  timeoutMs: number,
): Promise<T> {
  const url = urlOf(node, path)
  const secret = readSecret(environment)
  const headers: Record<string, string> = secret ? { authorization: `Bearer ${secret}` } : {}
  let status: number
  let body: { readonly message?: string }
  try {
    // Bounded by the signal alone: fetch would give up after five minutes without headers.
    const answer = await request(url, {
      method,
      headers,
      signal: AbortSignal.timeout(timeoutMs),
      headersTimeout: 0,
      bodyTimeout: 0,
      reset: true,
    })
    status = answer.statusCode
    body = (await answer.body.json()) as { readonly message?: string }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new WalcastError('NODE_UNREACHABLE', { url: url.href, detail: messageOf(cause) }, error)
  }
  if (status === 401)
    throw new WalcastError('UNAUTHORIZED', { message: `${url.href} wants the cluster secret` })
  if (status < 200 || status > 299)
    throw new WalcastError('NODE_ANSWER', {
      url: url.href,
      status,
      detail: body.message ?? '',
    })
  return body as T
}

/** Throws USAGE for what is no address. */
function urlOf(node: string, path: string): URL {
  const base = /^https?:\/\//.test(node) ? node : `http://${node}`
  if (!URL.canParse(base)) throw new WalcastError('USAGE', { detail: `"${node}" is no URL` })
  return new URL(path, base)
}
