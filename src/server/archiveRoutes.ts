/**
 * `/_walcast/archive/...`: the archive of this node, for `walcast restore --from NODE` and other
 * commands that read one. What is encrypted stays so: the node has no keys.
 *
 * A few requests are answered at once. Each has its turn from before its body is read until its
 * answer is made, and sent or of no use any more: neither slow readers nor those who leave pile up
 * work. A reader that takes its answer too slowly loses its connection. Readers have their turns
 * one after another, so that one token holds up none of the others. Who reads files is told.
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
import { FairTurns } from '../platform/fairTurns.ts'
import { cancelTimer, setTimer } from '../platform/time.ts'
import type { ProofParts } from './answerProofs.ts'
import { ArchiveReaders } from './archiveReaders.ts'
import {
  countOf,
  type Given,
  operatorOf,
  type Place,
  requireNoForeignPage,
  textOf,
} from './requestFields.ts'

/**
 * A restore asks for four parts at once, and any command for a dozen lists: two of them go on,
 * whoever asks for more, and ten commands of one asker wait.
 */
const READS = { atOnce: 8, maxWaiting: 256, atOnceEach: 4, maxWaitingEach: 128 }
/** Of pins and names that are written, whose bodies may be large: a restore writes one. */
const NOTES = { atOnce: 2, maxWaiting: 32, atOnceEach: 1, maxWaitingEach: 16 }
/** For an answer to be taken: no command waits longer for one. */
const SEND_MS = 120_000

export interface ArchiveParts {
  readonly archive: ArchiveDesk
  /** Hears of each reader once an hour. `place`: which one of --backup. */
  onArchiveRead(reader: string, place: number): void
  /** A request was refused: too many wait, all together or of who asks. */
  onArchiveBusy(): void
}

/** Who asked is told the outcome; the turn only ends with it. */
function ignored(): void {}

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
  sendMs = SEND_MS,
): void {
  const readers = new ArchiveReaders(nowMs, onArchiveRead)
  const turns = new FairTurns(READS)
  const noteTurns = new FairTurns(NOTES)
  /** What is being made for requests; it resolves at its end, however that is. */
  const works = new WeakMap<FastifyRequest, Promise<void>>()
  const inTurn = (from: FairTurns) => async (request: FastifyRequest, reply: FastifyReply) => {
    requireNoForeignPage(request)
    const leave = await from.take(placeOf(request).asker)
    if (!leave) {
      onArchiveBusy()
      throw new WalcastError('NODE_ARCHIVE_BUSY', { node: record().node })
    }
    reply.raw.once('close', () => void (works.get(request) ?? Promise.resolve()).then(leave))
    if (!reply.raw.destroyed && !reply.raw.closed) return
    leave()
    reply.hijack()
  }
  const answered =
    (answer: (objects: ArchiveObjects, given: Given, request: Asked) => Promise<unknown>) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      if (reply.raw.closed) return reply.hijack()
      const given: Given = Object(request.query)
      const place = countOf(given, 'place') ?? 1
      const { body } = request
      const asked = placeOf(request)
      const reader = asked.text
      const onRead = () => readers.onRead(reader, place)
      const work = archive
        .open(place, { reader, by: operatorOf(given, asked) })
        .then((objects) => answer(objects, given, { body, reply, onRead }))
      works.set(request, work.then(ignored, ignored))
      return work
    }
  const onSend = async (request: FastifyRequest, reply: FastifyReply) => {
    // Who has left takes no answer, and closes once only.
    if (reply.raw.closed) return
    const late = setTimer(() => request.raw.socket.destroy(), sendMs)
    reply.raw.once('close', () => cancelTimer(late))
  }
  const hooks = { onRequest: inTurn(turns), onSend }
  app.get(
    OBJECTS_PATH,
    hooks,
    answered((objects, given) =>
      objects.list(
        textOf(given, 'folder') ?? '',
        textOf(given, 'after') ?? '',
        textOf(given, 'listing') ?? '',
      ),
    ),
  )
  app.get(
    OBJECT_PATH,
    hooks,
    answered(async (objects, given, { reply, onRead }) => {
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
    { ...hooks, onRequest: inTurn(noteTurns), bodyLimit: MAX_NOTE_BYTES },
    answered(async (objects, given, { body }) => ({
      isNew: await objects.writeNote(textOf(given, 'name') ?? '', Object(body)),
    })),
  )
  app.delete(
    NOTE_PATH,
    hooks,
    answered(async (objects, given) => {
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
