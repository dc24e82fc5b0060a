/**
 * What a comparison of nodes asks of each: a scrub on demand, and the state checksums of its recent
 * positions.
 */
import type { FastifyInstance } from 'fastify'
import { type NodeChecks, POSITIONS_PATH, SCRUB_PATH } from '../api/checks.ts'
import { WalcastError } from '../errors.ts'
import { requireNoForeignPage } from './requestFields.ts'

/** `checks` gives undefined while the node starts. */
export function addCheckRoutes(app: FastifyInstance, checks: () => NodeChecks | undefined): void {
  const started = () => {
    const there = checks()
    if (!there) throw new WalcastError('STARTING')
    return there
  }
  app.post(SCRUB_PATH, async (request) => {
    requireNoForeignPage(request)
    return started().scrub()
  })
  app.get(POSITIONS_PATH, async () => started().positions())
}
