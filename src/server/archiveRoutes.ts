/**
 * `/_walcast/archive/...`: the archive of this node, for `walcast restore --from NODE` and other
 * commands that read one. What is encrypted stays so: the node has no keys.
 *
 * A few requests are answered at once. Each has its turn until its answer is made, and sent or of
 * no use any more: neither slow readers nor those who leave pile up work. Who reads files is told.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import {
  type ArchiveDesk,
  type ArchiveObjects,
  MAX_RANGE_BYTES,
  NOTE_PATH,
  OBJECT_BYTES_HEADER,
  OBJECT_PATH,
  OBJECTS_PATH,
} from '../api/archiveObjects.ts'
import { MAX_NOTE_BYTES } from '../backup/retention/noteObject.ts'
import { WalcastError } from '../errors.ts'
import { Turns } from '../platform/turns.ts'
import type { ProofParts } from './answerProofs.ts'
import { ArchiveReaders } from './archiveReaders.ts'
import {
  countOf,
  type Given,
  operatorOf,
  type Place,
  requireNoPage,
  textOf,
} from './requestFields.ts'

const AT_ONCE = 8
const MAX_WAITING = 128

export interface ArchiveParts {
  readonly archive: ArchiveDesk
  /** Hears of each reader once an hour. `place`: which one of --backup. */
  onArchiveRead(reader: string, place: number): void
  /** A request was refused: too many wait. */
  onArchiveBusy(): void
}

export function addArchiveRoutes(
  app: FastifyInstance,
  {
    archive,
    record,
    nowMs,
    onArchiveRead,
    onArchiveBusy,
  }: ArchiveParts & Pick<ProofParts, 'record' | 'nowMs'>,
  placeOf: (request: FastifyRequest) => Place,
): void {
  const readers = new ArchiveReaders(nowMs, onArchiveRead)
  const turns = new Turns(AT_ONCE, MAX_WAITING)
  const inTurn =
    (answer: (objects: ArchiveObjects, given: Given, request: Asked) => Promise<unknown>) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      requireNoPage(request)
      const given: Given = Object(request.query)
      const place = countOf(given, 'place') ?? 1
      const leave = await turns.take()
      if (!leave) {
        onArchiveBusy()
        throw new WalcastError('NODE_ARCHIVE_BUSY', { node: record().node })
      }
      const closed = new Promise<void>((resolve) => reply.raw.once('close', resolve))
      if (reply.raw.destroyed || reply.raw.closed) {
        leave()
        return reply.hijack()
      }
      try {
        const { body } = request
        const asked = placeOf(request)
        const reader = asked.text
        const onRead = () => readers.onRead(reader, place)
        const objects = await archive.open(place, { reader, by: operatorOf(given, asked) })
        return await answer(objects, given, { body, reply, onRead })
      } finally {
        void closed.then(leave)
      }
    }
  app.get(
    OBJECTS_PATH,
    inTurn((objects, given) =>
      objects.list(
        textOf(given, 'folder') ?? '',
        textOf(given, 'after') ?? '',
        textOf(given, 'listing') ?? '',
      ),
    ),
  )
  app.get(
    OBJECT_PATH,
    inTurn(async (objects, given, { reply, onRead }) => {
      const at = countOf(given, 'at') ?? 0
      const bytes = countOf(given, 'bytes') ?? MAX_RANGE_BYTES
      const range = await objects.read(textOf(given, 'name') ?? '', at, bytes)
      onRead()
      return reply
        .type('application/octet-stream')
        .headers({ 'cache-control': 'no-store', [OBJECT_BYTES_HEADER]: range.objectBytes })
        .send(range.bytes)
    }),
  )
  app.post(
    NOTE_PATH,
    { bodyLimit: MAX_NOTE_BYTES },
    inTurn(async (objects, given, { body }) => ({
      isNew: await objects.writeNote(textOf(given, 'name') ?? '', Object(body)),
    })),
  )
  app.delete(
    NOTE_PATH,
    inTurn(async (objects, given) => {
      await objects.removeNote(textOf(given, 'name') ?? '')
      return {}
    }),
  )
}

interface Asked {
  readonly body: unknown
  readonly reply: FastifyReply
  /** A part of a file is given. */
  onRead(): void
}
