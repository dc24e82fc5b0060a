/** What operators and other nodes ask of a node's roles. */
import type { Position } from '../../proto/position.ts'
import type { RoleActions, TakeOver } from '../api/roleActions.ts'
import type {
  DemoteAnswer,
  FitnessAnswer,
  NodePlace,
  PromoteAnswer,
  SwitchoverAnswer,
} from '../api/roleAnswers.ts'
import { wasNotSent } from '../cluster/peerCalls.ts'
import type { PeersFile } from '../cluster/peersFile.ts'
import type { LeaderEngine } from '../database/leaderEngine.ts'
import { type ErrorCode, keyOf, WalcastError } from '../errors.ts'
import type { CurrentEngine, CurrentEngineParts } from './currentEngine.ts'
import type { PeerCommands } from './peerCommands.ts'
import { type PromoteHow, type Promotion, TOO_LATE } from './promotion.ts'
import type { RoleChangeLock } from './roleChangeLock.ts'
import type { RoleJournal } from './roleJournal.ts'
import type { RoleMonitor } from './roleMonitor.ts'
import type { StepDown } from './stepDown.ts'
import { Switchover, withApplication } from './switchover.ts'

export interface RoleRequestsParts
  extends Pick<
    CurrentEngineParts,
    'setup' | 'clock' | 'nodeFile' | 'members' | 'replicas' | 'traffic' | 'view'
  > {
  readonly peersFile: PeersFile
  readonly journal: RoleJournal
  readonly changes: RoleChangeLock
  readonly current: CurrentEngine
  readonly promotion: Promotion
  readonly givingWay: StepDown
  readonly orders: PeerCommands
  readonly watch: RoleMonitor
  own(): NodePlace
  /** A replica follows the node at this address from now on. */
  followAt(leader: string): Promise<void>
}

interface DemoteHow {
  readonly leader: string | undefined
  /** In which the node leads that tells; undefined when an operator asks. */
  readonly epoch: number | undefined
}

interface SwitchoverHow {
  readonly to: string | undefined
  readonly timeoutMs: number | undefined
}

/** What speaks of a node's own state, and is certain: it has not come to lead. */
const NOT_TAKEN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_FIT',
  'FENCE_FAILED',
  'DISK_FULL',
  'WRITE_FAILED',
  'TAKE_OVER_FAILED',
  'ROLE_CHANGING',
  'STARTING',
  'STOPPING',
])

export class RoleRequests implements RoleActions {
  readonly #parts: RoleRequestsParts

  constructor(parts: RoleRequestsParts) {
    this.#parts = parts
  }

  promote(how: PromoteHow, by: string): Promise<PromoteAnswer> {
    const { changes, promotion, current, journal } = this.#parts
    const promote = () =>
      changes.run('a promotion', () => promotion.promote(current.following(), how, by))
    return how.dryRun ? promote() : journal.audited('promote', by, promote)
  }

  async demote(how: DemoteHow, by: string): Promise<DemoteAnswer> {
    const { changes, clock, journal, view } = this.#parts
    const beganMs = clock.nowMs()
    await journal.audited('demote', by, () =>
      changes.run('a demotion', () => this.#demote(how, by)),
    )
    const { node, role, leader } = this.#record
    const { epoch, txid } = view.position()
    return { node, role, epoch, txid, leader, tookMs: clock.nowMs() - beganMs }
  }

  async switchover(how: SwitchoverHow, by: string): Promise<SwitchoverAnswer> {
    const { changes, current, journal, orders, setup, view } = this.#parts
    if (current.engine?.role === 'replica') return orders.switchover(view.leaderAddress(), how, by)
    const timeoutMs = how.timeoutMs ?? setup.options.switchoverTimeoutMs
    const handOver = () => this.#handover(current.leading(), by).switchover(how.to, timeoutMs, by)
    const handed = await journal.audited('switchover', by, () =>
      changes.run('a switchover', handOver),
    )
    // Another change of role need not wait for it.
    const acceptance = await handed.application
    if (!acceptance.accepts)
      setup.log.warn(
        { to: handed.answer.to },
        'the application of the new leader does not take requests yet',
      )
    return withApplication(handed.answer, acceptance)
  }

  takeOver(how: TakeOver, by: string): Promise<NodePlace & Position> {
    const { changes, current, clock, promotion, own } = this.#parts
    return changes.run('a switchover', async () => {
      const engine = current.following()
      if (how.to !== this.#record.node)
        throw new WalcastError('TAKE_OVER_FAILED', {
          detail: `node ${how.to} was meant, not this one`,
        })
      const { epoch, txid, checksum, isTrusted, state } = engine.replica.status
      const isSame = epoch === how.epoch && txid === how.txid && checksum === how.checksum
      if (!isSame || !isTrusted || state === 'syncing')
        throw new WalcastError('TAKE_OVER_FAILED', {
          detail: `it is at ${epoch}-${txid} (${state}), not in the state ${how.epoch}-${how.txid}`,
        })
      if (clock.nowMs() > how.until)
        throw new WalcastError('TAKE_OVER_FAILED', { detail: TOO_LATE })
      const next = Math.max(epoch, this.#record.epoch) + 1
      await promotion.lead(engine, next, `switchover from ${how.from}, by ${by}`, by, how)
      return { ...own(), epoch: next, txid }
    })
  }

  twin(address: string): Promise<void> {
    return this.#parts.watch.lookAtTwin(address)
  }

  async fitness(): Promise<FitnessAnswer> {
    const { view, members, watch, current, promotion, own } = this.#parts
    const { answers } = await watch.askEverybody()
    const { role, epoch, txid, leader, lag } = view.status()
    const { engine } = current
    const verdict =
      engine?.role === 'replica' ? promotion.judge(engine, answers) : { reasons: [], lost: null }
    const known = members.list().map((member) => {
      const answer = answers.find((each) => each.node === member.node)
      if (!answer) return { ...member, reached: false }
      return { ...member, reached: true, role: answer.role, epoch: answer.epoch, txid: answer.txid }
    })
    const { reasons, lost } = verdict
    const leaderTxid = txid + lag.txidLag
    const about = { ...own(), role, epoch, txid, leaderTxid, lagMs: lag.lagMs, leader }
    return { ...about, fit: reasons.length === 0, reasons, lost, members: known }
  }

  forget(node: string, by: string): Promise<void> {
    const { peersFile, members, journal } = this.#parts
    const forget = async () => {
      await peersFile.forget(node)
      members.forget(node)
    }
    return journal.audited('forget', by, forget, node)
  }

  get #record() {
    return this.#parts.nodeFile.record
  }

  async #demote({ leader, epoch }: DemoteHow, by: string): Promise<void> {
    const { current, givingWay, followAt } = this.#parts
    const mine = this.#record.epoch
    if (current.engine?.role === 'replica' && leader !== undefined) {
      if (epoch !== undefined && epoch < mine)
        throw new WalcastError('STALE_LEADER', { mine, theirs: epoch })
      return followAt(leader)
    }
    const leading = current.leading()
    if (epoch === undefined) return this.#handover(leading, by).demote(leader, `demoted by ${by}`)
    if (epoch <= mine) throw new WalcastError('STALE_LEADER', { mine, theirs: epoch })
    await givingWay.stepDown(leading, `demoted by ${by}`, leader)
  }

  #handover(leading: LeaderEngine, by: string): Switchover {
    const { traffic, setup, members, replicas, nodeFile, journal, current, orders, own } =
      this.#parts
    return new Switchover({
      leading,
      replicas,
      traffic,
      log: setup.log,
      timeoutMs: setup.options.switchoverTimeoutMs,
      own,
      identity: orders.identity,
      addressOf: (node) => members.addressOf(node),
      carryOn: () => current.carryOn(leading),
      isRefusal: (error) => NOT_TAKEN.has(keyOf(error) ?? 'INTERNAL') || wasNotSent(error),
      recordFollowing: (leader) => current.recordFollowing(leader),
      recordLeading: () => nodeFile.update({ role: 'leader', leader: '' }),
      follow: (held, leader) => current.follow(held, leader),
      orFatal: (step) => current.orFatal(step),
      said: (reason) => journal.changed(reason, by),
    })
  }
}
