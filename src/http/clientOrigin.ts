/** Who a request is counted under, where clients share what is bounded. The one place that decides what of it is believed. */
import type { IncomingMessage } from 'node:http'
import { CLIENT_HEADER, headerOf } from './headers.ts'

/** More than an IPv6 address with its zone has. */
const MAX_CHARS = 80

/**
 * The address of the client, '' once it has gone. Of a request that a node forwarded (`isForwarded`: its `X-Replica-Auth` was
 * valid) the one that the node tells, which takes such a header off what clients send. No other header is believed.
 */
export function clientAddressOf(request: IncomingMessage, isForwarded: boolean): string {
  const address = isForwarded ? headerOf(request, CLIENT_HEADER) : request.socket.remoteAddress
  return (address ?? '').slice(0, MAX_CHARS)
}
