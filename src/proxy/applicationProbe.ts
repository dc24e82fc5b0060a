/**
 * One look at an application: whether it accepts a connection, or what its check answers. Never
 * throws.
 */

import { messageOf, systemCode } from '../errors.ts'
import { httpClient } from '../platform/httpClient.ts'
import { connectTcp } from '../platform/sockets.ts'
import { timeLimit } from '../platform/time.ts'

const TIMEOUT_MS = 1000
const TIMED_OUT = `no answer within ${TIMEOUT_MS} ms`

export interface Look {
  /** Why it is not up; undefined when it is. */
  readonly whyNot: string | undefined
  /** The role that the application works in, if its check tells (`Walcast-Role`). */
  readonly role?: string | undefined
}

/**
 * Whether the application at `url` accepts connections; with a `check` (a path), whether that
 * answers 200 to 399.
 */
export function lookAt(url: string, check: string | undefined): Promise<Look> {
  return check === undefined ? connects(url) : passes(url, check)
}

function connects(url: string): Promise<Look> {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '')
  return new Promise((resolve) => {
    const socket = connectTcp({ host, port: Number(port) || (protocol === 'https:' ? 443 : 80) })
    const end = (whyNot: string | undefined) => {
      socket.destroy()
      resolve({ whyNot })
    }
    socket.setTimeout(TIMEOUT_MS, () => end(TIMED_OUT))
    socket.once('connect', () => end(undefined))
    socket.once('error', (error) => end(systemCode(error) || messageOf(error)))
  })
}

async function passes(url: string, check: string): Promise<Look> {
  try {
    const signal = timeLimit(TIMEOUT_MS)
    const { statusCode, headers, body } = await httpClient().request(`${url}${check}`, {
      signal,
      reset: true,
    })
    await body.dump()
    const role = headers['walcast-role']
    const isUp = statusCode >= 200 && statusCode < 400
    return {
      whyNot: isUp ? undefined : `${check} answers ${statusCode}`,
      role: typeof role === 'string' ? role : undefined,
    }
  } catch (error) {
    const isLate = Object(error).name === 'TimeoutError'
    return { whyNot: isLate ? TIMED_OUT : systemCode(error) || messageOf(error) }
  }
}
