/** Asks other nodes who leads and where they stand. */
import type { NodePlace } from '../../api/roleAnswers.ts'
import type { Instance } from '../../cluster/instance.ts'
import type { Members } from '../../cluster/members.ts'
import type { NodeFile } from '../../cluster/nodeFile.ts'
import type { PeerAnswer } from '../../cluster/peerAnswer.ts'
import type { PeerCalls } from '../../cluster/peerCalls.ts'
import { wrongIn } from '../../cluster/place.ts'
import type { Claims } from '../../security/claims.ts'
import type { TwinWatch } from '../twinWatch.ts'

/** Where it is noticed that another node knows other keys and members than this one. */
export interface TrustDigests {
  onDigest(node: string, digest: string): void
}

export interface PeerQuestionsParts {
  readonly timeoutMs: number
  readonly calls: PeerCalls
  readonly nodeFile: Pick<NodeFile, 'record'>
  /** HOST:PORT of this node. */
  readonly address: string
  /** This process. */
  readonly instance: Instance
  readonly members: Pick<Members, 'list'>
  readonly trust: TrustDigests
  readonly twins: TwinWatch
  /** Judges the numbers that answers tell. */
  readonly claims: Claims
}

export class PeerQuestions {
  readonly #parts: PeerQuestionsParts

  constructor(parts: PeerQuestionsParts) {
    this.#parts = parts
  }

  /**
   * Those of this cluster that answer at these addresses, this node itself left out, and known
   * nodes that do not. Other processes with the id of one of them are told. `limitMs`: for each
   * answer, if that is less than is usual.
   */
  async askAll(
    addresses: readonly string[],
    limitMs = Number.POSITIVE_INFINITY,
  ): Promise<{ readonly answers: readonly PeerAnswer[]; readonly unheard: readonly NodePlace[] }> {
    const { twins, members } = this.#parts
    const answers = await this.ask(addresses, { limitMs })
    twins.tellApart(answers)
    const heard = new Set(answers.map(({ node }) => node))
    return { answers, unheard: members.list().filter(({ node }) => !heard.has(node)) }
  }

  /** The same of some. `isTold`: another process was told to have this node's id. */
  async ask(
    addresses: readonly string[],
    { isTold = false, limitMs = Number.POSITIVE_INFINITY } = {},
  ): Promise<readonly PeerAnswer[]> {
    const { nodeFile, instance, twins, trust, calls } = this.#parts
    const timeoutMs = Math.min(limitMs, this.#parts.timeoutMs)
    const { cluster, node } = nodeFile.record
    const isOfCluster = (answer: PeerAnswer) =>
      (cluster === '' || answer.cluster === cluster) && this.#isBelieved(answer)
    const direct = (await calls.askAll(addresses, timeoutMs)).filter(isOfCluster)
    const elsewhere = await calls.askAll(this.#ownElsewhere(direct, addresses), timeoutMs)
    const ofCluster = [...direct, ...elsewhere.filter(isOfCluster)]
    for (const answer of ofCluster)
      if (answer.node === node && answer.instance !== instance.id) twins.onTwin(answer, isTold)
    const others = ofCluster.filter((answer) => answer.node !== node)
    for (const answer of others) trust.onDigest(answer.node, answer.trust)
    return others
  }

  #isBelieved(answer: PeerAnswer): boolean {
    const { claims } = this.#parts
    const wrong = wrongIn(answer)
    if (wrong) claims.count(wrong)
    return wrong === undefined && claims.refuse(answer) === undefined
  }

  /**
   * Where a replica says that this node leads, and it does not: a process with its id may be there.
   */
  #ownElsewhere(answers: readonly PeerAnswer[], asked: readonly string[]): string[] {
    const { nodeFile, address: own } = this.#parts
    const { node } = nodeFile.record
    const places = answers.filter((each) => each.role !== 'leader' && each.lastLeader === node)
    return places
      .map(({ address }) => address)
      .filter((each) => each !== '' && each !== own && !asked.includes(each))
  }
}
