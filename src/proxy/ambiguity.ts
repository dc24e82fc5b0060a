/**
 * Requests that the next server could read in another way than this node: they are not passed on.
 */
import type { IncomingMessage } from 'node:http'
import { WalcastError } from '../errors.ts'

/** Throws BAD_REQUEST. */
export function requireUnambiguous({ headers, rawHeaders }: IncomingMessage): void {
  const coding = headers['transfer-encoding']
  if (coding !== undefined && coding.toLowerCase() !== 'chunked')
    throw new WalcastError('BAD_REQUEST', {
      detail: `the transfer coding ${coding} is not supported`,
    })
  const hosts = rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === 'host')
  if (hosts.length > 1)
    throw new WalcastError('BAD_REQUEST', { detail: 'the request has several Host headers' })
}
