/**
 * Up to three nodes whose roles move under one simulated clock: an operator asks for changes,
 * messages are late, lost or doubled, processes die between any two orders and stand still, disks
 * refuse. Everything follows from a seed. What is promised of all of them is checked after each
 * order:
 *
 * - planned changes: while nobody is promoted but by an operator who knows that nobody leads, never
 * two take writes, and whoever
 *   begins to take writes has everything that was ever committed;
 * - forced ones, and nodes that cannot reach each other: once they can, one node takes writes, and
 * all others follow it.
 */
import { joined, type Lineage } from '../../../proto/lineage.ts'
import type { NodeRecord } from '../../../src/cluster/nodeRecord.ts'
import type { PeerAnswer } from '../../../src/cluster/peerAnswer.ts'
import { WalcastError } from '../../../src/errors.ts'
import type { step as roleStep } from '../../../src/roles/roleState.ts'
import type { RoleRequest } from '../../../src/roles/state/roleEvents.ts'
import type { EngineOrder, RoleAnswer } from '../../../src/roles/state/roleOrders.ts'
import { EventQueue } from './eventQueue.ts'
import { SeededRandom } from './seededRandom.ts'
import { type Content, PEER_MS, SimulatedNode } from './simulatedNode.ts'

export interface RoleWorldOptions {
  readonly seed: number
  readonly step: typeof roleStep
  /** Whether a transcript is kept. */
  readonly isNoting: boolean
}

type Asked = RoleRequest extends infer R
  ? R extends RoleRequest
    ? Omit<R, 'request'>
    : never
  : never
type Answer = { readonly answer: RoleAnswer } | { readonly error: unknown }

/** What was promised and is not so. */
export class Violation extends Error {}

const TROUBLE_MS = 6000
/** After the last trouble. */
const MENDED_MS = 40_000
const MAX_EVENTS = 60_000

export class RoleWorld {
  readonly random: SeededRandom
  readonly step: typeof roleStep
  readonly isNoting: boolean
  readonly nodes: SimulatedNode[]
  readonly lines: string[] = []
  /** Whether changes are planned ones, and nobody is promoted beside a leader. */
  readonly isPlanned: boolean
  readonly fenceWhenAloneMs: number | undefined
  readonly #queue = new EventQueue()
  readonly #cut = new Set<string>()
  #commits = 0
  #head: Content | undefined
  #isMended = false
  #taking: SimulatedNode | undefined

  constructor({ seed, step, isNoting }: RoleWorldOptions) {
    this.random = new SeededRandom(seed)
    this.step = step
    this.isNoting = isNoting
    this.isPlanned = this.random.chance(0.5)
    this.fenceWhenAloneMs = this.random.chance(0.2) ? 1500 : undefined
    const content: Content = { id: 0, parent: undefined }
    this.#head = content
    const [first, ...others] = ['node-a', 'node-b', 'node-c'].slice(0, this.random.between(2, 3))
    const position = { epoch: 1, incarnation: FIRST, txid: 1 }
    this.nodes = [first, ...others].map(
      (id) =>
        new SimulatedNode(
          this,
          id,
          recordOf(id, id === first ? '' : `${first}:1`),
          position,
          content,
        ),
    )
  }

  get nowMs(): number {
    return this.#queue.nowMs
  }

  /** Lets everything happen. Throws Violation. */
  run(): void {
    for (const node of this.nodes) node.start()
    this.#write()
    this.#operate()
    this.#queue.after(TROUBLE_MS, () => this.#mend())
    for (let events = 0; this.#queue.next(TROUBLE_MS + MENDED_MS); events++) {
      if (events > MAX_EVENTS) this.fail('it goes on and on')
      if (this.#isMended && this.#isDone()) return
    }
    this.fail(`it does not end: ${this.nodes.map((node) => this.#standingOf(node)).join('; ')}`)
  }

  fail(what: string): never {
    this.note(`# ${what}`)
    throw new Violation(what)
  }

  note(line: string): void {
    if (this.isNoting) this.lines.push(line)
  }

  after(delayMs: number, happen: () => void): void {
    this.#queue.after(delayMs, happen)
  }

  at(address: string): SimulatedNode | undefined {
    return this.nodes.find((node) => node.address === address)
  }

  nextCommit(): number {
    return ++this.#commits
  }

  onCommit(node: SimulatedNode): void {
    this.check()
    this.#head = node.content
  }

  /** What is promised of all nodes. */
  check(): void {
    const taking = this.nodes.filter((node) => node.takesWrites)
    const wrong = taking.find((node) => !node.saysThatItLeads)
    if (wrong) this.fail(`${wrong.id} takes writes, and its role file does not say that it leads`)
    if (!this.isPlanned) return
    if (taking.length > 1) this.fail(`${taking.map(({ id }) => id).join(' and ')} take writes`)
    const [now] = taking
    if (now && now !== this.#taking && now.content !== this.#head)
      this.fail(`${now.id} takes writes, and lacks some that were committed`)
    this.#taking = now
  }

  isToCrash(): boolean {
    return !this.#isMended && this.random.chance(0.004)
  }

  fateOf({ do: what }: EngineOrder): 'well' | 'badly' | 'unsure' {
    if (this.#isMended || !this.random.chance(0.04)) return 'well'
    const isRecord = what.startsWith('record') || what === 'restoreRecord'
    return isRecord && this.random.chance(0.3) ? 'unsure' : 'badly'
  }

  orderMs({ do: what }: EngineOrder): number {
    if (what === 'awaitStreaming') return 300
    return this.random.chance(0.02) ? this.random.between(200, 1500) : this.random.between(1, 20)
  }

  restartLater(node: SimulatedNode): void {
    this.#queue.after(this.random.between(50, this.#isMended ? 100 : 2000), () => {
      if (!node.isUp) node.start()
    })
  }

  ask(
    from: SimulatedNode,
    whom: readonly string[],
    answered: (answers: readonly PeerAnswer[]) => void,
  ): void {
    const answers: PeerAnswer[] = []
    let left = whom.length
    const end = () => from.later(0, () => answered(answers.filter(({ node }) => node !== from.id)))
    if (left === 0) return end()
    for (const address of whom) {
      let isEnded = false
      const ended = (answer: PeerAnswer | undefined) => {
        if (isEnded) return
        isEnded = true
        if (answer) answers.push(answer)
        if (--left === 0) end()
      }
      const peer = this.at(address)
      this.#send(from, peer, () => {
        const answer = peer?.answer()
        this.#send(peer, from, () => ended(answer))
      })
      this.#queue.after(PEER_MS, () => ended(undefined))
    }
  }

  /**
   * Has the node there asked to do something. Its answer may be lost, too; to a doubled message
   * nobody hears it. A signature is good for one take-over.
   */
  call(
    from: SimulatedNode,
    address: string,
    timeoutMs: number,
    asked: Asked,
    answered: (answer: Answer) => void,
  ): void {
    const peer = this.at(address)
    let isEnded = false
    const end = (answer: Answer) => {
      if (isEnded) return
      isEnded = true
      answered(answer)
    }
    const error = (code: string) =>
      new WalcastError(
        'NODE_UNREACHABLE',
        { url: address, detail: code },
        Object.assign(new Error(code), { code }),
      )
    if (!peer?.isUp) return this.after(1, () => end({ error: error('NOT_CONNECTED') }))
    let isFirst = true
    this.#send(from, peer, () => {
      const tells = isFirst
      isFirst = false
      if (!tells && asked.type === 'takeOverAsked') return
      peer.request(asked, (answer) => {
        if (tells) this.#send(peer, from, () => end(answer))
      })
    })
    this.after(timeoutMs, () => end({ error: error('UND_ERR_ABORTED') }))
  }

  tellMoved(from: SimulatedNode, address: string, epoch: number): void {
    for (const node of this.nodes)
      if (node.isConnected && node.leaderAddress === from.address)
        this.#send(from, node, () => node.post({ type: 'leaderMoved', address, epoch }))
  }

  hasReplica(leader: SimulatedNode, id: string): boolean {
    return this.nodes.some(
      (node) => node.id === id && node.isConnected && node.leaderAddress === leader.address,
    )
  }

  /** Whether the replica has everything; it takes what is missing, if it can. */
  isLevel(leader: SimulatedNode, id: string): boolean {
    const replica = this.nodes.find((node) => node.id === id)
    if (!replica || !this.hasReplica(leader, id)) return false
    this.stream(replica)
    return replica.isConnected && replica.content === leader.content
  }

  /** A replica hears its leader, and is heard. */
  stream(replica: SimulatedNode): void {
    if (replica.engine !== 'replica' || replica.isRetired || replica.isPaused) return
    const leader = this.at(replica.leaderAddress)
    const isThere =
      leader && this.#isReached(leader, replica) && leader.engine === 'leader' && !leader.isRetired
    if (isThere && this.#welcomes(leader, replica)) return
    if (!replica.isConnected) return
    replica.isConnected = false
    replica.post({ type: 'leaderLost' })
  }

  #welcomes(leader: SimulatedNode, replica: SimulatedNode): boolean {
    const { node, epoch, term } = replica.record
    const { record } = leader
    if (epoch > record.epoch || term > record.term) {
      const by = { node, epoch, term, address: replica.address }
      leader.post({ type: 'higherEpochHeard', by })
      return false
    }
    const lineage: Lineage = joined(replica.record.lineage, record.lineage)
    replica.record = {
      ...replica.record,
      epoch: record.epoch,
      term: record.term,
      lineage,
      leader: leader.address,
    }
    replica.disk = replica.record
    replica.position = leader.position
    replica.content = leader.content
    replica.isConnected = true
    leader.heardMs.set(node, this.nowMs)
    return true
  }

  #isReached(to: SimulatedNode, from: SimulatedNode): boolean {
    return to.isUp && !to.isPaused && !this.#cut.has(linkOf(from, to))
  }

  #send(from: SimulatedNode | undefined, to: SimulatedNode | undefined, deliver: () => void): void {
    if (!from || !to || this.#cut.has(linkOf(from, to))) return
    const isBad = !this.#isMended
    if (isBad && this.random.chance(0.05)) return
    const delayMs =
      isBad && this.random.chance(0.05)
        ? this.random.between(100, 3000)
        : this.random.between(1, 10)
    this.after(delayMs, () => to.later(0, deliver))
    if (isBad && this.random.chance(0.05))
      this.after(this.random.between(1, 3000), () => to.later(0, deliver))
  }

  /** The application of whoever leads. */
  #write(): void {
    for (const node of this.nodes) if (node.takesWrites && !node.isPaused) node.commit()
    this.after(this.random.between(20, 120), () => this.#write())
  }

  #operate(): void {
    this.after(this.random.between(100, 900), () => {
      if (this.#isMended) return
      this.#act()
      this.#operate()
    })
  }

  #act(): void {
    const node = this.random.pick(this.nodes)
    const leading = this.nodes.find(({ state }) => state.phase === 'leading')
    const by = 'an operator'
    const chosen = this.random.next()
    if (chosen < 0.3) {
      const to = this.random.chance(0.7) ? this.random.pick(this.nodes).id : undefined
      return this.#ask(leading, { type: 'switchoverAsked', by, to, timeoutMs: 1000 })
    }
    if (chosen < 0.4) {
      const leader = this.random.chance(0.5) ? node.address : undefined
      return this.#ask(leading, { type: 'demoteAsked', by, leader, epoch: undefined })
    }
    if (chosen < 0.5) return node.crash('it is killed')
    if (chosen < 0.55) return this.#stop(node)
    if (chosen < 0.65)
      return node.isUp && !node.isPaused ? node.pause(this.random.between(200, 3000)) : undefined
    if (chosen < 0.75) return this.#cutOff(node)
    this.#promote(node)
  }

  #stop(node: SimulatedNode): void {
    node.later(0, () => {
      node.post({ type: 'ending' })
      node.later(20, () => node.post({ type: 'stop' }))
    })
  }

  #cutOff(node: SimulatedNode): void {
    for (const other of this.nodes) {
      if (other === node || this.random.chance(0.3)) continue
      const link = linkOf(node, other)
      this.#cut.add(link)
      this.after(this.random.between(200, 4000), () => this.#cut.delete(link))
    }
  }

  /** Of planned changes one where nobody leads, of the node that has the most. */
  #promote(chosen: SimulatedNode): void {
    const isSure = this.nodes.every(
      (node) => node.isSettled && node.disk.role !== 'leader' && node.engine !== 'leader',
    )
    if (this.isPlanned && !isSure) return
    const furthest = [...this.nodes].sort(
      (a, b) => b.position.epoch - a.position.epoch || b.position.txid - a.position.txid,
    )[0]
    const node = this.isPlanned ? furthest : chosen
    this.#ask(node, {
      type: 'promoteAsked',
      by: 'an operator',
      force: !this.isPlanned,
      dryRun: false,
    })
  }

  #ask(node: SimulatedNode | undefined, asked: Asked): void {
    node?.later(0, () => node.request(asked, () => {}))
  }

  /** From now on everything works. Who leads goes on; when nobody does, the operator promotes. */
  #mend(): void {
    this.note('# from now on everything works')
    this.#isMended = true
    this.#cut.clear()
    for (const node of this.nodes) node.pausedUntilMs = Math.min(node.pausedUntilMs, this.nowMs)
    const look = () => {
      const isLeaderless = this.nodes.every(
        (node) => node.isSettled && node.state.phase === 'following',
      )
      const isDiskClear = this.nodes.every(({ disk }) => disk.role !== 'leader')
      if (isLeaderless && isDiskClear) {
        const [furthest] = [...this.nodes].sort(
          (a, b) => b.position.epoch - a.position.epoch || b.position.txid - a.position.txid,
        )
        this.#ask(furthest, { type: 'promoteAsked', by: 'an operator', force: true, dryRun: false })
      }
      this.after(2500, look)
    }
    this.after(3500, look)
  }

  #isDone(): boolean {
    const leaders = this.nodes.filter((node) => node.isOpen && node.state.phase === 'leading')
    if (leaders.length !== 1 || !this.nodes.every((node) => node.isSettled)) return false
    const [leader] = leaders
    return this.nodes.every(
      (node) =>
        node === leader ||
        (node.isConnected &&
          node.leaderAddress === leader.address &&
          node.record.epoch === leader.record.epoch),
    )
  }

  #standingOf(node: SimulatedNode): string {
    const { id, state, record, leaderAddress, isConnected, holds, isFenced } = node
    const follows = isConnected
      ? `follows ${leaderAddress}`
      : `looks for ${leaderAddress || 'a leader'}`
    const place = `${id} is ${state.phase} in epoch ${record.epoch} of ${record.term}`
    return `${place}, ${follows}, holds ${[...holds]}${isFenced ? ', fenced' : ''}`
  }
}

const FIRST = '0000000000000001'

function recordOf(node: string, leader: string): NodeRecord {
  const begun = {
    id: FIRST,
    epoch: 1,
    after: '',
    afterEpoch: 0,
    txid: 0,
    leader: 'node-a',
    exact: true,
  }
  return {
    format: 2,
    node,
    cluster: 'cluster-a',
    role: leader === '' ? 'leader' : 'replica',
    epoch: 1,
    term: 1,
    txidCeiling: 0,
    standby: false,
    leader,
    givenLeader: '',
    lineage: [begun],
    incarnation: leader === '' ? FIRST : '',
    members: [],
  }
}

function linkOf(one: SimulatedNode, other: SimulatedNode): string {
  return one.id < other.id ? `${one.id} ${other.id}` : `${other.id} ${one.id}`
}
