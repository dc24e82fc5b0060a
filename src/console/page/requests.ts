/** Requests of the page to its node, and what the node answers to them. */
import { CONSOLE_HEADER } from '../../api/consoleSession.ts'
import { send } from './browser.ts'

/** An error of the catalogue, as the node has told it; or that there was no answer. */
export class Refusal extends Error {
  readonly status: number
  readonly code: string
  readonly cure: string

  constructor(status: number, code: string, message: string, cure: string) {
    super(message)
    this.status = status
    this.code = code
    this.cure = cure
  }
}

export type Method = 'GET' | 'POST' | 'DELETE'

/** A change of role may wait for others. */
const LIMIT_MS = 120_000

/** Throws Refusal. `T`: what the node is known to answer at that path. */
export async function ask<T>(
  method: Method,
  path: string,
  body?: object,
  limitMs = LIMIT_MS,
  signal?: AbortSignal,
): Promise<T> {
  const headers: Record<string, string> = { accept: 'application/json', [CONSOLE_HEADER]: '1' }
  if (body) headers['content-type'] = 'application/json'
  const init = {
    ...{ method, headers },
    ...(body ? { body: JSON.stringify(body) } : {}),
    ...(signal ? { signal } : {}),
  }
  const answer = await send(path, init, limitMs).catch((error: unknown) => {
    throw new Refusal(0, 'NO_ANSWER', `the node does not answer (${String(error)})`, TRY_AGAIN)
  })
  const value: unknown = await answer.json().catch(() => undefined)
  if (answer.ok && value !== undefined) return value as T
  throw refusalOf(answer.status, value)
}

const TRY_AGAIN = 'see whether it runs and can be reached, then try again'

function refusalOf(status: number, value: unknown): Refusal {
  const { code, message, cure } = Object(value)
  if (typeof code !== 'string')
    return new Refusal(status, `HTTP ${status}`, 'the answer is none of a node', TRY_AGAIN)
  return new Refusal(status, code, String(message ?? ''), String(cure ?? ''))
}

/** Anything thrown, as the page shows it. */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  return new Refusal(0, 'PAGE', String(error), 'load the page again')
}
