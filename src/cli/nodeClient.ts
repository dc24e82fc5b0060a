/** Asks a running node over its private side. */
import { isErrorCode, messageOf, WalcastError } from '../errors.ts'
import { readSecret } from '../http/auth.ts'

const TIMEOUT_MS = 10_000

interface Answer {
  readonly url: string
  readonly status: number
  readonly body: { readonly code?: string; readonly message?: string }
}

/** GETs a JSON answer. Throws NODE_UNREACHABLE, NODE_ANSWER or UNAUTHORIZED. */
export async function getJson<T>(node: string, path: string, environment: NodeJS.ProcessEnv): Promise<T> {
  const { url, status, body } = await ask('GET', node, path, environment)
  if (status >= 300) throw new WalcastError('NODE_ANSWER', { url, status, detail: body.message ?? '' })
  return body as T
}

/** DELETEs. Throws the same, and the error of the catalogue that the node answers with. */
export async function deleteJson(node: string, path: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const { url, status, body } = await ask('DELETE', node, path, environment)
  if (status < 300) return
  const key = String(body.code ?? '').replace(/^WALCAST_/, '')
  const message = String(body.message ?? '')
  if (isErrorCode(key)) throw new WalcastError(key, { message })
  throw new WalcastError('NODE_ANSWER', { url, status, detail: message })
}

async function ask(
  method: 'GET' | 'DELETE',
  node: string,
  path: string,
  environment: NodeJS.ProcessEnv,
): Promise<Answer> {
  const url = new URL(path, /^https?:\/\//.test(node) ? node : `http://${node}`)
  const secret = readSecret(environment)
  const headers: Record<string, string> = secret ? { authorization: `Bearer ${secret}` } : {}
  let response: Response
  let body: Answer['body']
  try {
    response = await fetch(url, { method, headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
    body = Object(await response.json())
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new WalcastError('NODE_UNREACHABLE', { url: url.href, detail: messageOf(cause) }, error)
  }
  if (response.status === 401)
    throw new WalcastError('UNAUTHORIZED', { message: `${url.href} wants the cluster secret` })
  return { url: url.href, status: response.status, body }
}
