/**
 * Connections to one node for many questions, a few at once: those of a restore, which asks for
 * bytes thousands of times. Each connection is proven once, and kept for the next question. One
 * that is not in use does not keep the command from ending.
 */
import { NODE_AGENT } from '../cluster/peerCalls.ts'
import { WalcastError } from '../errors.ts'
import { httpClient } from '../platform/httpClient.ts'
import { timeLimit } from '../platform/time.ts'
import { Turns } from '../platform/turns.ts'
import { type Asked, failureOf, type Head, MAX_ANSWER_BYTES } from './answerFailures.ts'
import { askedUrl } from './askedUrl.ts'
import { type ControlConnection, openControlConnection } from './controlConnection.ts'
import { type Credential, memberCredential, readCredential } from './credential.ts'
import { readAll } from './nodeAnswer.ts'
import { type NodeTarget, targetText } from './nodeTarget.ts'
import { provenNode } from './provenNode.ts'

const AT_ONCE = 4
/** A question may wait for others at the node, and bring some megabytes over a slow line. */
const TIMEOUT_MS = 120_000
const CONNECT_MS = 10_000

export interface LineReply {
  readonly way: Asked
  readonly credential: Credential['kind'] | undefined
  readonly head: Head
  readonly bytes: Buffer
}

interface Line {
  get(url: URL, signal: AbortSignal): Promise<Pick<LineReply, 'head' | 'bytes'>>
  close(): void
}

/** The node may have closed a kept line: that tells nothing. What it answered does. */
function ofClosedLine(error: unknown): undefined {
  if (error instanceof WalcastError) throw error
}

export class NodeLines {
  readonly #node: NodeTarget
  readonly #credential: Credential | undefined
  readonly #turns = new Turns(AT_ONCE, Number.POSITIVE_INFINITY)
  readonly #idle: Line[] = []
  #control: ControlConnection | undefined

  /** Throws TOKEN_UNREADABLE, SECRET_UNREADABLE or SECRET_SHARED. */
  constructor(node: NodeTarget, environment: NodeJS.ProcessEnv) {
    this.#node = node
    if (node.kind === 'address')
      this.#credential = readCredential(environment) ?? memberCredential(node.folder)
  }

  /** Throws NODE_UNREACHABLE, PEER_UNPROVEN, NO_LOCAL_NODE, OTHER_USERS_NODE or STRANGE_FILE. */
  async get(path: string): Promise<LineReply> {
    const node = this.#node
    const isLocal = node.kind === 'socket'
    const url = isLocal ? new URL(path, 'http://localhost') : askedUrl(node.address, path)
    const way = { url, shown: isLocal ? targetText(node) : url.href }
    const leave = await this.#turns.take()
    try {
      const kept = this.#idle.pop()
      const answered = kept && (await this.#over(kept, url).catch(ofClosedLine))
      const { head, bytes } = answered ?? (await this.#over(await this.#connect(url), url))
      return { way, credential: this.#credential?.kind, head, bytes }
    } catch (error) {
      throw error instanceof WalcastError ? error : failureOf(way, undefined, error, TIMEOUT_MS)
    } finally {
      leave?.()
    }
  }

  async #over(line: Line, url: URL): Promise<Pick<LineReply, 'head' | 'bytes'>> {
    try {
      const reply = await line.get(url, timeLimit(TIMEOUT_MS))
      this.#idle.push(line)
      return reply
    } catch (error) {
      line.close()
      throw error
    }
  }

  async #connect(url: URL): Promise<Line> {
    const node = this.#node
    if (node.kind === 'socket') {
      this.#control ??= openControlConnection(node.db, node.folder)
      return plainLine(this.#control)
    }
    return this.#credential ? provenLine(url, this.#credential) : plainLine(undefined)
  }
}

/** Connections of the client that it keeps by itself. */
function plainLine(control: ControlConnection | undefined): Line {
  return {
    async get(url, signal) {
      const answer = await httpClient().request(url, {
        ...{ method: 'GET', headers: NODE_AGENT, signal, headersTimeout: 0, bodyTimeout: 0 },
        ...(control && { dispatcher: control.dispatcher }),
      })
      return { head: answer, bytes: await readAll(answer.body) }
    },
    close() {},
  }
}

async function provenLine(asked: URL, credential: Credential): Promise<Line> {
  const proven = await provenNode(asked, credential, CONNECT_MS)
  return {
    async get({ pathname, search }, signal) {
      const question = { method: 'GET', path: `${pathname}${search}`, headers: NODE_AGENT, signal }
      const { status, headers, body } = await proven.ask({
        ...question,
        body: undefined,
        maxBytes: MAX_ANSWER_BYTES,
        isAnswerProven: true,
      })
      return { head: { statusCode: status, headers }, bytes: body }
    },
    close: () => proven.close(),
  }
}
