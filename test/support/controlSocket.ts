/** Questions over the control socket of a node, as its own user asks them without a secret. */
import { once } from 'node:events'
import { type RequestOptions, request } from 'node:http'
import { text } from 'node:stream/consumers'
import type { NodeStatus } from '../../src/api/nodeStatus.ts'

export interface LocalAnswer {
  readonly status: number
  /** `T` is what the test takes it to be; an error has `code` and `message`. */
  readonly body: Readonly<Record<string, unknown>>
}

/** Rejects when the node dies before it answers. `db`: path of its database. */
export async function askLocally(
  db: string,
  path: string,
  { method = 'GET', body }: { readonly method?: string; readonly body?: object } = {},
): Promise<LocalAnswer> {
  const options: RequestOptions = { socketPath: `${db}-walcast/control.sock`, path, method }
  const headers = body ? { 'content-type': 'application/json' } : {}
  const asked = request({ ...options, headers })
  asked.end(body ? JSON.stringify(body) : undefined)
  const [answer] = await once(asked, 'response')
  return { status: answer.statusCode ?? 0, body: Object(JSON.parse(await text(answer))) }
}

export async function statusLocally(db: string): Promise<NodeStatus> {
  const { body } = await askLocally(db, '/_walcast/status')
  return body as unknown as NodeStatus
}
