/** `POST /_walcast/archivist`: a replica asks its leader whether it writes the archive. */
import type { FastifyInstance } from 'fastify'
import { parsePosition } from '../../proto/position.ts'
import { ARCHIVIST_PATH, type ArchivistDesk } from '../api/archivist.ts'
import { WalcastError } from '../errors.ts'
import { isNodeId } from '../nodeId.ts'
import { headerOf } from '../proxy/headers.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'
import { givenBy, requireNoPage, textOf } from './requestFields.ts'

export function addArchivistRoutes(app: FastifyInstance, desk: ArchivistDesk): void {
  app.post(ARCHIVIST_PATH, async (request) => {
    requireNoPage(request)
    // In an open cluster nobody signs.
    const sender = senderOf(headerOf(request.raw, REPLICA_AUTH_HEADER))
    const given = givenBy(request)
    const node = sender?.node ?? textOf(given, 'node') ?? ''
    if (!isNodeId(node))
      throw new WalcastError('BAD_REQUEST', { detail: 'node is no id of a node' })
    const archived = textOf(given, 'archived')
    return desk.claim(node, archived === undefined ? undefined : parsePosition(archived))
  })
}
