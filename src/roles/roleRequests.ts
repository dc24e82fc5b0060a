/**
 * What operators and other nodes ask of a node's roles: written down, and handed to what moves the
 * role.
 */
import type { Position } from '../../proto/position.ts'
import type { AgreementAsked, AgreementGiven, RoleActions, TakeOver } from '../api/roleActions.ts'
import type {
  DemoteAnswer,
  FitnessAnswer,
  NodePlace,
  PromoteAnswer,
  SwitchoverAnswer,
} from '../api/roleAnswers.ts'
import type { PauseInfo } from '../api/rolePause.ts'
import type { Members } from '../cluster/members.ts'
import type { NodeFile } from '../cluster/nodeFile.ts'
import type { Acceptance } from '../cluster/peerApplication.ts'
import type { PeersFile } from '../cluster/peersFile.ts'
import type { DelegatingView } from '../database/delegatingView.ts'
import type { NodeSetup } from '../database/engine.ts'
import { WalcastError } from '../errors.ts'
import type { Clock } from '../platform/clock.ts'
import type { Claims } from '../security/claims.ts'
import type { Election } from './election/election.ts'
import type { PeerQuestions } from './election/peerQuestions.ts'
import type { EngineSlot } from './engineSlot.ts'
import type { PeerCommands } from './peerCommands.ts'
import type { RoleDriver } from './roleDriver.ts'
import type { RoleJournal } from './roleJournal.ts'
import { fitnessOf } from './state/judging.ts'
import type { RoleFacts } from './state/roleFacts.ts'
import type { RoleAnswer } from './state/roleOrders.ts'

export interface RoleRequestsParts {
  readonly setup: NodeSetup
  readonly clock: Clock
  readonly nodeFile: NodeFile
  readonly members: Members
  readonly view: DelegatingView
  readonly peersFile: PeersFile
  readonly journal: RoleJournal
  readonly driver: RoleDriver
  readonly facts: RoleFacts
  readonly questions: PeerQuestions
  readonly commands: PeerCommands
  readonly slot: EngineSlot
  /** Judges the numbers that other nodes tell. */
  readonly claims: Claims
  /** What operators may ask waits for its end. What nodes do for safety does not. */
  readonly pause: { readonly now: PauseInfo | undefined }
  /** Undefined when operators alone decide who leads. */
  readonly election: Pick<Election, 'agree'> | undefined
}

interface PromoteHow {
  readonly force: boolean
  readonly dryRun: boolean
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

export class RoleRequests implements RoleActions {
  readonly #parts: RoleRequestsParts

  constructor(parts: RoleRequestsParts) {
    this.#parts = parts
  }

  promote(how: PromoteHow, by: string): Promise<PromoteAnswer> {
    const { driver, journal } = this.#parts
    const promote = async () => {
      this.#requireNoPause()
      const { answer } = await driver.request({ type: 'promoteAsked', by, ...how })
      return answerTo('promote', answer).answer
    }
    return how.dryRun ? promote() : journal.audited('promote', by, promote)
  }

  async demote({ leader, epoch }: DemoteHow, by: string): Promise<DemoteAnswer> {
    const { driver, clock, journal, view, nodeFile, claims } = this.#parts
    claims.require({ epoch })
    const beganMs = clock.nowMs()
    const asked = { type: 'demoteAsked', by, leader, epoch } as const
    await journal.audited('demote', by, async () => {
      if (epoch === undefined) this.#requireNoPause()
      return driver.request(asked)
    })
    const { node, role, leader: followed } = nodeFile.record
    const position = view.position()
    return {
      node,
      role,
      epoch: position.epoch,
      txid: position.txid,
      leader: followed,
      tookMs: clock.nowMs() - beganMs,
    }
  }

  async switchover(how: SwitchoverHow, by: string): Promise<SwitchoverAnswer> {
    const { driver, journal, commands, setup, view, slot } = this.#parts
    if (slot.following) return commands.switchover(view.leaderAddress(), how, by)
    const timeoutMs = how.timeoutMs ?? setup.options.switchoverTimeoutMs
    const asked = { type: 'switchoverAsked', by, to: how.to, timeoutMs } as const
    const done = await journal.audited('switchover', by, async () => {
      this.#requireNoPause()
      return driver.request(asked)
    })
    const { answer } = answerTo('switchover', done.answer)
    // Another change of role need not wait for it.
    const acceptance = await done.application
    if (!acceptance) return answer
    if (!acceptance.accepts)
      setup.log.warn(
        { to: answer.to },
        'the application of the new leader does not take requests yet',
      )
    return withApplication(answer, acceptance)
  }

  async takeOver(how: TakeOver, by: string): Promise<NodePlace & Position> {
    const { driver, nodeFile, facts, claims } = this.#parts
    claims.require(how)
    const { answer } = await driver.request({ type: 'takeOverAsked', by, how })
    const { epoch, txid } = answerTo('takeOver', answer)
    return { node: nodeFile.record.node, address: facts.address, epoch, txid }
  }

  /**
   * Another process says that it has this node's id. It is asked: its word alone counts for
   * nothing.
   */
  async twin(address: string): Promise<void> {
    await this.#parts.questions.ask([address], { isTold: true })
  }

  async fitness(): Promise<FitnessAnswer> {
    const { view, members, questions, facts, nodeFile } = this.#parts
    const { answers } = await questions.askAll(facts.everybody)
    const { role, epoch, txid, leader, lag } = view.status()
    const { copy, record, address } = facts
    const verdict = copy ? fitnessOf(copy, record, answers) : { reasons: [], lost: null }
    const known = members.list().map((member) => {
      const answer = answers.find((each) => each.node === member.node)
      if (!answer) return { ...member, reached: false }
      return {
        ...member,
        reached: true,
        role: answer.role,
        epoch: answer.epoch,
        txid: answer.txid,
      }
    })
    const { reasons, lost } = verdict
    const leaderTxid = txid + lag.txidLag
    const own = { node: nodeFile.record.node, address }
    const about = { ...own, role, epoch, txid, leaderTxid, lagMs: lag.lagMs, leader }
    return { ...about, fit: reasons.length === 0, reasons, lost, members: known }
  }

  agree(asked: AgreementAsked): AgreementGiven {
    const { election, claims, nodeFile } = this.#parts
    claims.require({ epoch: asked.epoch })
    if (election) return election.agree(asked)
    const { node } = nodeFile.record
    return { node, agrees: false, why: 'it has no lock service: --election' }
  }

  forget(node: string, by: string): Promise<void> {
    const { peersFile, members, journal } = this.#parts
    const forget = async () => {
      await peersFile.forget(node)
      members.forget(node)
    }
    return journal.audited('forget', by, forget, node)
  }

  /** Throws ROLE_CHANGES_PAUSED. */
  #requireNoPause(): void {
    const { now } = this.#parts.pause
    if (!now) return
    const { until, by, reason } = now
    throw new WalcastError('ROLE_CHANGES_PAUSED', { until, by, reason: reason && ` (${reason})` })
  }
}

function answerTo<Of extends RoleAnswer['of']>(
  of: Of,
  answer: RoleAnswer,
): Extract<RoleAnswer, { readonly of: Of }> {
  if (isAnswerTo(of, answer)) return answer
  throw new WalcastError('INTERNAL', { detail: `the answer to ${of} is one to ${answer.of}` })
}

function isAnswerTo<Of extends RoleAnswer['of']>(
  of: Of,
  answer: RoleAnswer,
): answer is Extract<RoleAnswer, { readonly of: Of }> {
  return answer.of === of
}

/**
 * The answer with what the clients felt: nothing was executed before the new leader's application
 * took requests.
 */
function withApplication(
  { pauseMs, stages, tookMs, ...rest }: SwitchoverAnswer,
  { waitedMs }: Acceptance,
): SwitchoverAnswer {
  const felt = { pauseMs: pauseMs + waitedMs, stages: { ...stages, applicationMs: waitedMs } }
  return { ...rest, ...felt, tookMs: Math.max(tookMs, pauseMs + waitedMs) }
}
