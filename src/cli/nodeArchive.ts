/** The archive of a node, asked over its private side or its control socket. */
import {
  type ArchiveObjects,
  type ListedObjects,
  NOTE_PATH,
  OBJECT_BYTES_HEADER,
  OBJECT_PATH,
  OBJECTS_PATH,
  type ObjectRange,
} from '../api/archiveObjects.ts'
import { beginningOf, strangeAnswer } from './answerFailures.ts'
import { LISTED_OBJECTS, NEW_NOTE } from './answerShapes.ts'
import { operator } from './commandArguments.ts'
import { answerIn, bodyOf } from './nodeAnswer.ts'
import { askJson } from './nodeClient.ts'
import { type LineReply, NodeLines } from './nodeLines.ts'
import type { NodeTarget } from './nodeTarget.ts'
import { fields } from './shape.ts'

/** A list may be that of a bucket with many objects. */
const TIMEOUT_MS = 120_000
const OK = 200

export class NodeArchive implements ArchiveObjects {
  readonly #node: NodeTarget
  readonly #place: number
  readonly #environment: NodeJS.ProcessEnv
  readonly #lines: NodeLines

  /**
   * Asks nothing yet. `place`: which one of those that the node archives to, from 1. Throws
   * TOKEN_UNREADABLE, SECRET_UNREADABLE or SECRET_SHARED.
   */
  constructor(node: NodeTarget, place: number, environment: NodeJS.ProcessEnv) {
    this.#node = node
    this.#place = place
    this.#environment = environment
    this.#lines = new NodeLines(node, environment)
  }

  list(folder: string, after: string, listing: string): Promise<ListedObjects> {
    const question = this.#question('GET', OBJECTS_PATH, { folder, after, listing })
    return askJson(question, LISTED_OBJECTS)
  }

  async read(name: string, at: number, bytes: number): Promise<ObjectRange> {
    const range = { name, at: String(at), bytes: String(bytes) }
    const reply = await this.#lines.get(this.#path(OBJECT_PATH, range))
    const length = reply.head.headers[OBJECT_BYTES_HEADER]
    if (reply.head.statusCode !== OK || !/^\d{1,15}$/.test(String(length))) throw refusalIn(reply)
    return { bytes: reply.bytes, objectBytes: Number(length) }
  }

  async writeNote(name: string, note: object): Promise<boolean> {
    const question = { ...this.#question('POST', NOTE_PATH, noteQuery(name)), body: note }
    const { isNew } = await askJson<{ readonly isNew: boolean }>(question, NEW_NOTE)
    return isNew
  }

  async removeNote(name: string): Promise<void> {
    await askJson(this.#question('DELETE', NOTE_PATH, noteQuery(name)), fields({}))
  }

  #question(method: 'GET' | 'POST' | 'DELETE', path: string, query: Query) {
    const environment = this.#environment
    const asked = { method, node: this.#node, path: this.#path(path, query) }
    return { ...asked, environment, timeoutMs: TIMEOUT_MS, isAnswerProven: true }
  }

  #path(path: string, query: Query): string {
    return `${path}?${new URLSearchParams({ place: String(this.#place), ...query })}`
  }
}

type Query = Readonly<Record<string, string>>

/** With who asks, for the audit log of the node. */
function noteQuery(name: string): Query {
  return { name, by: operator() }
}

/** Why an answer is no bytes of an object. */
function refusalIn({ way, credential, head, bytes }: LineReply): Error {
  try {
    bodyOf(answerIn(way, credential, head, bytes), fields({}))
  } catch (error) {
    if (error instanceof Error) return error
  }
  return strangeAnswer(way, head, beginningOf(bytes))
}
