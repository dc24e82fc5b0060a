/**
 * `POST /_walcast/archivist`: a replica asks its leader whether it writes the archive.
 * `POST /_walcast/backup`: an operator, or a node in its name, wants the archive level now.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Position, parsePosition } from '../../proto/position.ts'
import { ARCHIVIST_PATH, type ArchivistDesk } from '../api/archivist.ts'
import { BACKUP_PATH, type BackupDesk, MAX_PASSES } from '../api/backupNow.ts'
import { WalcastError } from '../errors.ts'
import { isNodeId } from '../nodeId.ts'
import { headerOf } from '../proxy/headers.ts'
import { REPLICA_AUTH_HEADER, senderOf } from '../security/requestSignature.ts'
import { goneOf } from './goneOf.ts'
import {
  countOf,
  flagOf,
  type Given,
  givenBy,
  orderIn,
  type Place,
  requireNoForeignPage,
  textOf,
} from './requestFields.ts'

export interface ArchivingDesks {
  readonly archivist: Pick<ArchivistDesk, 'claim' | 'decline'>
  readonly backup: BackupDesk
}

export function addArchivistRoutes(
  app: FastifyInstance,
  { archivist, backup }: ArchivingDesks,
  placeOf: (request: FastifyRequest) => Place,
): void {
  app.post(ARCHIVIST_PATH, async (request) => {
    requireNoForeignPage(request)
    // In an open cluster nobody signs.
    const sender = senderOf(headerOf(request.raw, REPLICA_AUTH_HEADER))
    const given = givenBy(request)
    const node = sender?.node ?? textOf(given, 'node') ?? ''
    if (!isNodeId(node))
      throw new WalcastError('BAD_REQUEST', { detail: 'node is no id of a node' })
    if (flagOf(given, 'declines')) return archivist.decline(node)
    const archived = textOf(given, 'archived')
    return archivist.claim(node, archived === undefined ? undefined : parsePosition(archived))
  })
  app.post(BACKUP_PATH, async (request, reply) => {
    const { given, by } = orderIn(request, placeOf)
    const how = {
      isSnapshotWanted: flagOf(given, 'snapshot'),
      position: positionIn(given),
      timeoutMs: countOf(given, 'timeoutMs'),
      passes: Math.min(MAX_PASSES, countOf(given, 'passes') ?? MAX_PASSES),
    }
    return backup.now(how, by, goneOf(reply))
  })
}

/** Throws BAD_REQUEST. */
function positionIn(given: Given): Position | undefined {
  const text = textOf(given, 'position')
  const position = text === undefined ? undefined : parsePosition(text)
  if (text !== undefined && !position)
    throw new WalcastError('BAD_REQUEST', { detail: 'position is not EPOCH-TXID' })
  return position
}
