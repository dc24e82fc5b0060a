/** Whether who asked still waits for the answer. */
import type { FastifyReply } from 'fastify'

/** Aborted when who asked goes away before the answer is whole. */
export function goneOf({ raw }: Pick<FastifyReply, 'raw'>): AbortSignal {
  const gone = new AbortController()
  if (raw.destroyed) gone.abort()
  else raw.once('close', () => raw.writableFinished || gone.abort())
  return gone.signal
}
