/**
 * `GET /_walcast/audit`: who changed the node's role or its list of replicas, when and why, as far
 * back as the node remembers. `POST` adds what a command wrote into the database. Few such notes
 * are written at once, so that whoever sends many makes the log lack none.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import {
  AUDIT_OUTCOMES,
  AUDIT_PATH,
  type AuditAnswer,
  type AuditDesk,
  MAX_AUDIT_ENTRIES,
  NOTED_ACTIONS,
} from '../api/audit.ts'
import { WalcastError } from '../errors.ts'
import { Turns } from '../platform/turns.ts'
import { type Given, orderIn, type Place, textOf } from './requestFields.ts'

const DEFAULT_ENTRIES = 50
const NOTES_AT_ONCE = 8
const MAX_WAITING_NOTES = 64

/** `audit` gives undefined while the node starts. */
export function addAuditRoutes(
  app: FastifyInstance,
  audit: () => AuditDesk | undefined,
  placeOf: (request: FastifyRequest) => Place,
): void {
  const started = () => {
    const there = audit()
    if (!there) throw new WalcastError('STARTING')
    return there
  }
  const turns = new Turns(NOTES_AT_ONCE, MAX_WAITING_NOTES)
  app.get(AUDIT_PATH, async (request): Promise<AuditAnswer> => {
    const { limit } = request.query as Record<string, unknown>
    const wanted = limit === undefined ? DEFAULT_ENTRIES : limitOf(limit)
    return { entries: started().recent(wanted) }
  })
  app.post(AUDIT_PATH, async (request) => {
    const { given, by } = orderIn(request, placeOf)
    const [action, outcome] = [
      oneOf(NOTED_ACTIONS, 'action', given),
      oneOf(AUDIT_OUTCOMES, 'outcome', given),
    ]
    const detail = textOf(given, 'detail') ?? ''
    const desk = started()
    const leave = await turns.take()
    if (!leave) throw new WalcastError('AUDIT_BUSY', { limit: MAX_WAITING_NOTES })
    try {
      await desk.note({ action, outcome, by, detail })
    } finally {
      leave()
    }
    return { noted: true }
  })
}

/** Throws BAD_REQUEST. */
function oneOf<T extends string>(known: readonly T[], name: string, given: Given): T {
  const found = known.find((each) => each === given[name])
  if (found === undefined)
    throw new WalcastError('BAD_REQUEST', { detail: `${name} is none of ${known.join(', ')}` })
  return found
}

function limitOf(given: unknown): number {
  const limit = typeof given === 'string' && /^\d{1,3}$/.test(given) ? Number(given) : 0
  if (limit < 1 || limit > MAX_AUDIT_ENTRIES)
    throw new WalcastError('BAD_REQUEST', {
      detail: `limit is not a whole number from 1 to ${MAX_AUDIT_ENTRIES}`,
    })
  return limit
}
