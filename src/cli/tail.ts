/**
 * `walcast tail`: positions of a node as they come, with the tables that they touched. The node
 * says where it stands. On its own machine the command reads the WAL for itself, so that it costs
 * the node no more than a question.
 */
import { asWalcastError, keyOf, WalcastError } from '../errors.ts'
import { delay, wallMs } from '../platform/time.ts'
import { STATUS } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, parseForNode } from './commandArguments.ts'
import { DataOutput } from './dataOutput.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { answerIn, bodyOf } from './nodeAnswer.ts'
import { NodeLines } from './nodeLines.ts'
import { type NodeTarget, targetText } from './nodeTarget.ts'
import { countOf } from './pastArguments.ts'
import { jsonLine, shown } from './queryCommand.ts'
import { TailedFile } from './tailedFile.ts'
import {
  type Standing,
  type TailedCommit,
  TailedPositions,
  tailJson,
  tailText,
} from './tailLines.ts'

const HELP = `walcast tail [NODE] [--db FILE] [--no-tables] [--count N] [--json]

Prints each position of a node as it comes, until Ctrl-C: when it was seen, how many pages it
changed, and of which tables. Pages of an index count for its table; "?" stands for what cannot be
told. It says when the role of the node changes, and when the node is away and back.

Pages and tables are told on the machine of the node, by its database file. For a node elsewhere the
positions alone are. With --db FILE and no node there, the commits in the WAL of FILE are told.

${nodeHelp(11)}
  --no-tables   leave the tables out: to tell them, the interior pages of the database are read
  --count N     end after N lines
  --json        one JSON object a line
`

export const FLAGS = {
  ...NODE_FLAGS,
  'no-tables': { type: 'boolean' },
  count: { type: 'string' },
} as const

/** Between two looks, on this machine and elsewhere. */
const LOCAL_MS = 100
const REMOTE_MS = 500

export async function runTail(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const most = countOf('--count', values.count) ?? Number.POSITIVE_INFINITY
  const target = await namedNode(named, process.env)
  const tail = new Tail(target, !values['no-tables'], values.json ?? false, most)
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  await tail.run(stop.signal)
  return 0
}

class Tail {
  readonly #target: NodeTarget
  readonly #file: TailedFile | undefined
  readonly #lines: NodeLines
  readonly #isJson: boolean
  readonly #most: number
  readonly #output = new DataOutput(process.stdout)
  readonly #positions = new TailedPositions()
  /** How the node was called last: role and state. */
  #role = ''
  #isAway = false
  #hasNode = true
  #told = 0

  constructor(target: NodeTarget, hasTables: boolean, isJson: boolean, most: number) {
    this.#target = target
    this.#lines = new NodeLines(target, process.env)
    this.#isJson = isJson
    this.#most = most
    if (target.kind === 'socket') this.#file = new TailedFile(target.db, hasTables)
  }

  /** Throws what the first question to the node does. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      // Before the first question, so that no commit after it is missed.
      await this.#read()
      await this.#begin()
      while (!signal.aborted && (await this.#look()))
        await delay(this.#file ? LOCAL_MS : REMOTE_MS, { signal }).catch(() => {})
    } finally {
      this.#file?.close()
      await this.#output.end()
    }
  }

  async #begin(): Promise<void> {
    try {
      await this.#tellStanding(await this.#ask())
    } catch (error) {
      const isAway = ['NO_LOCAL_NODE', 'NODE_UNREACHABLE'].includes(keyOf(error) ?? '')
      const isAlone = isAway && this.#file?.isOpen
      if (!isAlone) throw error
      this.#hasNode = false
      this.#say(`no node of this file runs: telling the commits in its WAL`)
    }
  }

  /** False when nobody reads on, or enough was told. */
  async #look(): Promise<boolean> {
    const standing = this.#hasNode ? await this.#asked() : undefined
    await this.#read()
    if (standing) await this.#tellStanding(standing)
    else if (!this.#hasNode)
      for (const commit of this.#positions.takeAll(this.#file?.pageSize ?? 0))
        await this.#tell(commit)
    return this.#told < this.#most && (await this.#output.end())
  }

  async #read(): Promise<void> {
    const step = await this.#file?.step()
    if (step) this.#positions.add(step.commits, step.isBroken)
  }

  /** Undefined while the node is away. */
  async #asked(): Promise<Answer | undefined> {
    try {
      const answer = await this.#ask()
      if (this.#isAway) {
        this.#say(`${targetText(this.#target)} answers again`)
        // It may have come back as another one.
        this.#role = ''
      }
      this.#isAway = false
      return answer
    } catch (error) {
      const { key, message } = asWalcastError(error)
      if (key === 'UNAUTHORIZED' || key === 'USAGE') throw error
      if (!this.#isAway) this.#say(`${message}; trying again`)
      this.#isAway = true
      return undefined
    }
  }

  async #ask(): Promise<Answer> {
    const { way, credential, head, bytes } = await this.#lines.get('/_walcast/status')
    const answer = bodyOf<Answer>(answerIn(way, credential, head, bytes), STATUS)
    if (Object.keys(answer.databases ?? {}).length > 1)
      throw new WalcastError('USAGE', { detail: 'tail tells of a node with one database' })
    return answer
  }

  async #tellStanding(answer: Answer): Promise<void> {
    const { node, role, state, leader, epoch, txid } = answer
    const named = `${role} ${state} ${leader} ${epoch}`
    if (named !== this.#role) {
      this.#role = named
      const position = `${epoch}-${txid}`
      if (this.#isJson)
        await this.#output.write(
          jsonLine({ type: 'role', node, role, state, leader, epoch, position }),
        )
      else this.#say(`${node}: ${role} (${state}) at ${position}, leader ${leader || 'not known'}`)
    }
    // A node that starts does not know yet where it stands.
    if (txid === 0) return
    for (const commit of this.#positions.reach(answer)) await this.#tell(commit)
  }

  async #tell(commit: TailedCommit): Promise<void> {
    if (this.#told >= this.#most) return
    this.#told++
    const tables = await this.#file?.tablesOf(commit.changed)
    const atMs = wallMs()
    const text = this.#isJson
      ? jsonLine(tailJson(commit, tables, atMs))
      : tailText(commit, tables, atMs)
    await this.#output.write(text)
  }

  #say(text: string): void {
    process.stderr.write(`${shown(text)}\n`)
  }
}

interface Answer extends Standing {
  readonly node: string
  readonly state: string
  readonly leader: string
  readonly databases?: object
}
