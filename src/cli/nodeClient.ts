/** Asks a running node over its private side. */
import { messageOf, WalcastError } from '../errors.ts'
import { readSecret } from '../http/auth.ts'

const TIMEOUT_MS = 10_000

/** GETs a JSON answer. Throws NODE_UNREACHABLE, NODE_ANSWER or UNAUTHORIZED. */
export async function getJson<T>(node: string, path: string, environment: NodeJS.ProcessEnv): Promise<T> {
  const url = new URL(path, /^https?:\/\//.test(node) ? node : `http://${node}`)
  const secret = readSecret(environment)
  const headers: Record<string, string> = secret ? { authorization: `Bearer ${secret}` } : {}
  let response: Response
  let body: { readonly message?: string }
  try {
    response = await fetch(url, { headers, signal: AbortSignal.timeout(TIMEOUT_MS) })
    body = (await response.json()) as { readonly message?: string }
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    throw new WalcastError('NODE_UNREACHABLE', { url: url.href, detail: messageOf(cause) }, error)
  }
  if (response.status === 401)
    throw new WalcastError('UNAUTHORIZED', { message: `${url.href} wants the cluster secret` })
  if (!response.ok)
    throw new WalcastError('NODE_ANSWER', {
      url: url.href,
      status: response.status,
      detail: body.message ?? '',
    })
  return body as T
}
