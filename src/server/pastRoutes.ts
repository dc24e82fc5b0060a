/**
 * `/_walcast/past...`: see api/past.ts. All of it tells what the database had, as the archive does,
 * and needs the same role.
 */
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Asker } from '../api/asker.ts'
import {
  DEFAULT_ROWS,
  MAX_QUERY_MS,
  MAX_ROWS,
  MAX_SQL_CHARS,
  PAST_FILE_PATH,
  PAST_PATH,
  PAST_PLAN_PATH,
  PAST_QUERY_PATH,
  PAST_RESTORE_PATH,
  type PastDesk,
  type PastDownload,
  type PastMoment,
  QUERY_MS,
} from '../api/past.ts'
import { WalcastError } from '../errors.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'
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

/** A reader that takes nothing of a file for so long loses its connection. */
const STALL_MS = 60_000
/** Of a page of the console that is shown in a frame or sniffed: it is a file, and nothing else. */
const FILE_HEADERS = {
  'cache-control': 'no-store',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'none'; sandbox",
}

export function addPastRoutes(
  app: FastifyInstance,
  past: PastDesk,
  placeOf: (request: FastifyRequest) => Place,
  stallMs = STALL_MS,
): void {
  const asked = (request: FastifyRequest, reply: FastifyReply) => {
    const { given, by } = orderIn(request, placeOf)
    void reply.header('cache-control', 'no-store')
    const asker: Asker = { reader: placeOf(request).asker, by }
    return { given, asker }
  }
  app.get(PAST_PATH, async (request, reply) => {
    const { given, asker } = asked(request, reply)
    return past.contents(countOf(given, 'place') ?? 1, asker, goneOf(reply))
  })
  app.get(PAST_PLAN_PATH, async (request, reply) => {
    const { given, asker } = asked(request, reply)
    return past.plan(momentIn(given), fileIn(given), asker, goneOf(reply))
  })
  app.post(PAST_QUERY_PATH, async (request, reply) => {
    const { given, asker } = asked(request, reply)
    const rows = Math.min(MAX_ROWS, countOf(given, 'rows') ?? DEFAULT_ROWS)
    const timeoutMs = Math.min(MAX_QUERY_MS, countOf(given, 'timeoutMs') ?? QUERY_MS)
    const order = { ...momentIn(given), sql: sqlIn(given), rows, timeoutMs }
    return past.query(order, asker, goneOf(reply))
  })
  app.get(PAST_RESTORE_PATH, async (request, reply) => {
    asked(request, reply)
    return { restore: past.report() ?? null }
  })
  app.post(PAST_RESTORE_PATH, async (request, reply) => {
    const { given, asker } = asked(request, reply)
    const name = fileIn(given)
    const isForced = flagOf(given, 'force')
    const restore = past.restore({ ...momentIn(given), name, isForced }, asker)
    return reply.code(202).send({ restore })
  })
  app.delete(PAST_RESTORE_PATH, async (request, reply) => {
    const { given } = asked(request, reply)
    return { restore: await past.cancel(idIn(given)) }
  })
  // A HEAD would use the file up.
  app.get(PAST_FILE_PATH, { exposeHeadRoute: false }, async (request, reply) => {
    const { given, asker } = asked(request, reply)
    const download = await past.download(idIn(given), asker)
    if (reply.raw.destroyed) await download.close(false)
    reply.raw.once('close', () => void download.close(reply.raw.writableFinished))
    return reply
      .type('application/vnd.sqlite3')
      .headers({
        ...FILE_HEADERS,
        'content-length': download.bytes,
        'content-disposition': `attachment; filename="${download.name}"`,
      })
      .send(Readable.from(sent(download, request, stallMs), { objectMode: false }))
  })
}

/** Its chunks are asked for as the reader takes them. */
async function* sent(
  download: PastDownload,
  { raw }: FastifyRequest,
  stallMs: number,
): AsyncGenerator<Buffer> {
  for (;;) {
    const chunk = await download.read()
    if (!chunk) return
    const late = setTimer(() => raw.socket.destroy(), stallMs)
    try {
      yield chunk
    } finally {
      cancelTimer(late)
    }
  }
}

/** Undefined: a download. An empty name is none of a file. Throws BAD_REQUEST. */
function fileIn(given: Given): string | undefined {
  if (given['file'] === '') throw badRequest('file has no name')
  return textOf(given, 'file')
}

/** Throws BAD_REQUEST. */
function momentIn(given: Given): PastMoment {
  const at = textOf(given, 'at')
  if (at === undefined) throw badRequest('at is needed')
  return { place: countOf(given, 'place') ?? 1, at, incarnation: textOf(given, 'incarnation') }
}

/** Throws BAD_REQUEST. */
function idIn(given: Given): string {
  const id = textOf(given, 'id')
  if (id === undefined) throw badRequest('id is needed')
  return id
}

/** Throws BAD_REQUEST. */
function sqlIn(given: Given): string {
  const sql = given['sql']
  if (typeof sql !== 'string' || sql.length === 0 || sql.length > MAX_SQL_CHARS)
    throw new WalcastError('BAD_REQUEST', {
      detail: `sql is no text of 1 to ${MAX_SQL_CHARS} characters`,
    })
  // SQLite would read up to it, and no more.
  if (sql.includes('\0')) throw badRequest('sql has a NUL in it')
  return sql
}
