/**
 * Watches a simulated cluster from outside, and says what must not be: a state that was never
 * committed, a position that goes back, a batch that is applied twice, a commit that was
 * acknowledged and is not there, an error that no fault explains.
 */
import assert from 'node:assert/strict'
import { decode } from '../../proto/codec.ts'
import { TYPE_BY_CODE } from '../../proto/messages.ts'
import { formatPosition, isFurther, type Position } from '../../proto/position.ts'
import type { CommittedStates } from './committedStates.ts'
import type { MemorySqlite } from './memorySqlite.ts'
import type { Host } from './network.ts'
import { NodeProcess } from './nodeProcess.ts'
import { Reader } from './reader.ts'
import type { SimulatedNode } from './simulatedNode.ts'
import type { Trace } from './trace.ts'

/**
 * What ends a connection, or is an error in a log, while nothing is wrong but the network, a
 * process that died, and an operator who promotes beside a leader that lives.
 */
const EXPECTED: ReadonlySet<string> = new Set([
  'LEADER_UNREACHABLE',
  'NODE_ID_TAKEN',
  'NOT_LEADER',
  'STALE_LEADER',
  'STALLED',
  'STARTING',
  'STOPPING',
])
/** The same of nodes that fail over by themselves: what nobody acknowledged may be lost. */
const EXPECTED_OF_FAILOVERS: ReadonlySet<string> = new Set(['SOURCE_BEHIND'])
const TYPE_AT = 13

const EXPECTED_LOGS: readonly string[] = [
  'whether the other node leads is not known: following it',
  'this node leads no more: what only it holds is kept aside',
  'this node leads no more: another one does, in a higher epoch',
  'two nodes lead: this one gives way',
  'another node leads too: it is told to give way',
]

/**
 * The same once two have led side by side. A copy of what the other one let in may be taken for a
 * part of this leader's history that is missing: the epoch is raised above it, which costs nothing
 * but a number.
 */
const EXPECTED_OF_TWO = 'this database was put back to an earlier state'

/** The same of nodes that fail over by themselves. */
const EXPECTED_OF_LEASES: readonly string[] = [
  'an automatic promotion failed',
  'the lease of this leader has ended',
  'this node cannot be sure that it leads: nobody may write',
  'this node led, and begins as a replica: it did not get the lease',
]

/** What is known of a copy. */
interface Known {
  at: Position
  /** The newest commit that it has shown. */
  commit: number
  /** The newest commit that it has acknowledged. */
  acked: number
  readonly reader: Reader
}

export class Witness {
  readonly #states: CommittedStates
  readonly #trace: Trace
  readonly #database: (node: SimulatedNode) => MemorySqlite
  readonly #known = new Map<SimulatedNode, Known>()
  /** The state checksum of each position that was captured, by leader and `epoch-txid`. */
  readonly #captured = new Map<string, string>()
  /** Who led, by incarnation. */
  readonly #leaders = new Map<string, string>()
  /** What a promotion lost that others had, by the promoted node. */
  readonly #losses = new Map<SimulatedNode, readonly string[]>()
  /** Side by side, or one without what the other had let in. */
  #haveTwoLed = false
  readonly #hasElection: boolean
  readonly #expectedLogs: readonly string[]
  /** The first thing that must not be. */
  failure: unknown

  constructor(
    states: CommittedStates,
    trace: Trace,
    database: (node: SimulatedNode) => MemorySqlite,
    hasElection: boolean,
  ) {
    this.#hasElection = hasElection
    this.#expectedLogs = [...EXPECTED_LOGS, ...(hasElection ? EXPECTED_OF_LEASES : [])]
    this.#states = states
    this.#trace = trace
    this.#database = database
  }

  readonly onCaptured = (node: SimulatedNode, position: Position, checksum: string): void =>
    this.check(() => {
      const at = `${node.id} ${formatPosition(position)}`
      this.#leaders.set(node.record?.incarnation ?? '', node.id)
      assert.ok(this.#states.numberOf(checksum) !== undefined, `what was captured is no commit`)
      assert.equal(this.#captured.get(at) ?? checksum, checksum, `${at} was captured twice`)
      this.#captured.set(at, checksum)
    })

  readonly onApplied = (node: SimulatedNode): void =>
    this.check(() => {
      const now = standing(node)
      const { at } = this.#knownOf(node)
      const about = `${node.id} applied ${formatPosition(now)} after ${formatPosition(at)}`
      assert.ok(isFurther(now, at), about)
      this.#onVisible(node)
    })

  readonly onSynced = (node: SimulatedNode): void => this.check(() => this.#onVisible(node))

  /** A node leads beside one that goes before it. */
  onTwo(): void {
    this.#haveTwoLed = true
  }

  /** `node` leads by now, and the commits after `number` are lost. */
  onLost(leading: SimulatedNode, number: number): void {
    this.#haveTwoLed = true
    const had: string[] = []
    for (const [node, known] of this.#known) {
      const { commit, acked, reader } = known
      const newest = Math.max(commit, acked, reader.newest)
      if (node.isUp && newest > number) had.push(`${node.id} has had ${newest}, of which is lost`)
      known.commit = Math.min(commit, number)
      known.acked = Math.min(acked, number)
      reader.newest = Math.min(reader.newest, number)
    }
    this.#losses.set(leading, had)
  }

  /**
   * `node` was promoted with the newest state of all: nobody else may have had what is lost, if
   * anything is.
   */
  requireNothingLost(node: SimulatedNode): void {
    this.check(() => assert.deepEqual(this.#losses.get(node) ?? [], [], `${node.id} leads`))
  }

  /** Before a promotion. */
  forgetLoss(node: SimulatedNode): void {
    this.#losses.delete(node)
  }

  /** What it showed or acknowledged before it died is in its files. */
  readonly onUp = (node: SimulatedNode): void =>
    this.check(() => {
      const status = (node.process?.replica ?? node.process?.leader)?.status
      if (!status || status.checksum === '') return
      const { commit, acked } = this.#knownOf(node)
      const now = this.#states.numberOf(status.checksum) ?? -1
      const before = Math.max(commit, acked)
      assert.ok(now >= before, `${node.id} had ${before} and comes up with ${now}`)
    })

  readonly onTrouble = (node: SimulatedNode, what: string): void => {
    const isExpected =
      EXPECTED.has(what) ||
      (this.#hasElection && EXPECTED_OF_FAILOVERS.has(what)) ||
      this.#expectedLogs.some((text) => what.startsWith(text)) ||
      (this.#haveTwoLed && what.startsWith(EXPECTED_OF_TWO))
    if (!isExpected) this.fail(new Error(`${node.id} tells of ${what}`))
  }

  readonly onFatal = (node: SimulatedNode, error: Error): void =>
    this.fail(new Error(`${node.id} has failed: ${error.message}`, { cause: error }))

  readonly onMessage = (from: Host, bytes: Buffer): void => {
    if (TYPE_BY_CODE.get(bytes[TYPE_AT]) !== 'ack' || !(from instanceof NodeProcess)) return
    const message = decode(bytes)
    if (message.type !== 'ack' || message.body.checksum === '') return
    const { checksum } = message.body
    this.check(() => {
      const commit = this.#states.numberOf(checksum)
      assert.ok(commit !== undefined, `${from.node.id} acknowledged what was never committed`)
      const known = this.#knownOf(from.node)
      known.acked = Math.max(known.acked, commit)
    })
  }

  /** A program begins to read the copy, or ends. */
  read(node: SimulatedNode, isLong: boolean): void {
    this.check(() => {
      const { reader, acked } = this.#knownOf(node)
      if (reader.isReading) return reader.end()
      reader.begin()
      const { newest } = reader
      assert.ok(newest >= acked, `${node.id} acknowledged ${acked}, and a reader sees ${newest}`)
      if (!isLong) reader.end()
    })
  }

  /** The whole content of every copy is that of the leader. */
  requireLevel(nodes: readonly SimulatedNode[]): void {
    const leading = nodes.filter(({ process }) => process?.leader)
    assert.equal(leading.length, 1, `${leading.length} nodes lead`)
    const leader = leading[0].process?.leader
    const { checksum, last, pages } = this.#states
    assert.equal(leader?.status.checksum, checksum, 'capture has not come to the end')
    const { epoch, txid } = leader?.position ?? { epoch: 0, txid: 0 }
    for (const node of nodes) {
      if (node !== leading[0]) {
        const { state, ...at } = standing(node)
        assert.equal(state, 'streaming', `${node.id} is not fed`)
        const found = { epoch: at.epoch, txid: at.txid, checksum: at.checksum }
        assert.deepEqual(found, { epoch, txid, checksum }, `${node.id} is not level`)
      }
      const { reader } = this.#knownOf(node)
      if (reader.isReading) reader.end()
      reader.begin()
      assert.deepEqual(reader.images(), pages, `${node.id} has other pages`)
      reader.end()
    }
    this.#trace.add('world', `all are level at commit ${last}`)
  }

  fail(error: unknown): void {
    this.failure ??= error
  }

  /** Whatever calls it: what `work` throws ends the simulation. */
  check(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.fail(error)
    }
  }

  #onVisible(node: SimulatedNode): void {
    const { epoch, txid, checksum } = standing(node)
    const at = formatPosition({ epoch, txid })
    const known = this.#knownOf(node)
    const commit = this.#states.numberOf(checksum)
    assert.ok(commit !== undefined, `${node.id} shows at ${at} what was never committed`)
    assert.ok(commit >= known.commit, `${node.id} went back from ${known.commit} to ${commit}`)
    const leader = this.#leaders.get(node.process?.replica?.position.incarnation ?? '')
    const captured = this.#captured.get(`${leader} ${at}`)
    assert.equal(checksum, captured ?? checksum, `${node.id} has another state at ${at}`)
    known.at = { epoch, txid }
    known.commit = commit
    this.#trace.add(node.id, `is at ${at}, commit ${commit}`)
  }

  #knownOf(node: SimulatedNode): Known {
    const known = this.#known.get(node)
    if (known) return known
    const reader = new Reader(this.#database(node), this.#states)
    const fresh = { at: { epoch: 0, txid: 0 }, commit: 0, acked: 0, reader }
    this.#known.set(node, fresh)
    return fresh
  }
}

function standing(node: SimulatedNode) {
  const status = node.process?.replica?.status
  assert.ok(status, `${node.id} is no replica`)
  return status
}
