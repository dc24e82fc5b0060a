/** How the clients of the suite failover write; many writes wait at once. */
import { Pool } from 'undici'

export interface FailoverWriter {
  /** Whether the write was acknowledged as asked. Rejects when it failed. */
  insert(id: number): Promise<boolean>
  /** Writes that wait are given up. */
  close(): Promise<void>
}

/** Of one door; most wait at a leader that is gone. */
const CONNECTIONS = 400
const TIMEOUT_MS = 15_000

/** `door` is the URL of a proxy. */
export function openWriter(door: string): FailoverWriter {
  const pool = new Pool(door, { connections: CONNECTIONS, pipelining: 1 })
  const headers = { 'content-type': 'application/json', 'walcast-ack': 'one' }
  const timeouts = { headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS }
  return {
    async insert(id) {
      const body = JSON.stringify({ id })
      const asked = { path: '/row', method: 'POST', headers, body, ...timeouts } as const
      const answer = await pool.request(asked)
      await answer.body.dump()
      // A 201 without this header may yet be lost.
      return answer.statusCode === 201 && answer.headers['walcast-acked'] !== undefined
    },
    close: () => pool.destroy(),
  }
}
