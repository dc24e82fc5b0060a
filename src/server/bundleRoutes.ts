/** `/_walcast/diverged`: what the node kept aside; see bundles.ts of `api`. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Asker } from '../api/asker.ts'
import {
  BUNDLE_ROWS_PATH,
  BUNDLE_SQL_PATH,
  BUNDLES_PATH,
  type BundleDesk,
  DEFAULT_PAGE_ROWS,
} from '../api/bundles.ts'
import { MAX_CHOSEN_ROWS, MAX_PAGE_ROWS } from '../replica/diverged/keptRow.ts'
import { goneOf } from './goneCaller.ts'
import {
  badRequest,
  countOf,
  flagOf,
  type Given,
  orderIn,
  type Place,
  textOf,
} from './requestFields.ts'

/** No bundle has a longer name. */
const MAX_NAME_CHARS = 100
const MAX_TABLE_CHARS = 4096

export function addBundleRoutes(
  app: FastifyInstance,
  desk: BundleDesk,
  placeOf: (request: FastifyRequest) => Place,
): void {
  const askedBy = (request: FastifyRequest) => {
    const { given, by } = orderIn(request, placeOf)
    const asker: Asker = { reader: placeOf(request).asker, by }
    return { given, asker }
  }
  app.get(BUNDLES_PATH, async () => desk.list())
  app.get(BUNDLE_ROWS_PATH, async (request, reply) => {
    const { given, asker } = askedBy(request)
    const asked = {
      table: tableIn(given),
      from: countOf(given, 'from') ?? 0,
      limit: limitIn(given),
    }
    return desk.page(nameIn(given), asked, asker, unkept(reply))
  })
  app.post(BUNDLE_SQL_PATH, async (request, reply) => {
    const { given, asker } = askedBy(request)
    const updates = flagOf(given, 'updates')
    const asked = { table: tableIn(given), rows: rowsIn(given), updates }
    return desk.sql(nameIn(given), asked, asker, unkept(reply))
  })
  app.delete(BUNDLES_PATH, async (request) => {
    const { given, by } = orderIn(request, placeOf)
    return desk.remove(nameIn(given), flagOf(given, 'dryRun'), by)
  })
}

/** Rows of a database belong into no cache. */
function unkept(reply: FastifyReply): AbortSignal {
  void reply.header('cache-control', 'no-store')
  return goneOf(reply)
}

/** Throws BAD_REQUEST, as all below do. */
function nameIn(given: Given): string {
  const name = textOf(given, 'name') ?? ''
  if (name === '' || name.length > MAX_NAME_CHARS)
    throw badRequest('name is not the name of a bundle')
  return name
}

/** A table may have any name. */
function tableIn(given: Given): string | null {
  const table = given['table'] ?? ''
  if (table === '') return null
  if (typeof table !== 'string' || table.length > MAX_TABLE_CHARS)
    throw badRequest('table is not the name of a table')
  return table
}

function limitIn(given: Given): number {
  const limit = countOf(given, 'limit') ?? DEFAULT_PAGE_ROWS
  if (limit >= 1 && limit <= MAX_PAGE_ROWS) return limit
  throw badRequest(`limit is not a whole number from 1 to ${MAX_PAGE_ROWS}`)
}

function rowsIn(given: Given): number[] {
  const rows: unknown = given['rows'] ?? []
  const isList = Array.isArray(rows) && rows.length <= MAX_CHOSEN_ROWS
  if (isList && rows.every((row) => Number.isSafeInteger(row) && row >= 0)) return rows
  throw badRequest(`rows is not a list of at most ${MAX_CHOSEN_ROWS} rows`)
}
