/** Puts the parts of automatic failover together. */
import type { Logger } from 'pino'
import { AGREE_PATH, type AgreementGiven } from '../../api/roleActions.ts'
import type { NodeFile } from '../../cluster/nodeFile.ts'
import type { PeerCalls } from '../../cluster/peerCalls.ts'
import { parseAckLevel } from '../../feed/ackLevel.ts'
import type { ReplicaList } from '../../feed/replicaList.ts'
import type { ElectionMetrics } from '../../health/electionMetrics.ts'
import type { NodeOptions } from '../../options/nodeOptions.ts'
import { plainText } from '../../plainText.ts'
import type { Claims } from '../../security/claims.ts'
import type { ClusterSecrets } from '../../security/clusterSecrets.ts'
import type { RoleFacts } from '../state/roleFacts.ts'
import { Agreement } from './agreement.ts'
import { Candidate } from './candidate.ts'
import { ClusterLease } from './clusterLease.ts'
import { CountedReplicas } from './countedReplicas.ts'
import { Election } from './election.ts'
import type { ElectionNews } from './electionRounds.ts'
import { ElectionSeal } from './electionSeal.ts'
import { ElectionSight } from './electionSight.ts'
import { LeaseHolder } from './leaseHolder.ts'
import type { LeaseValidity } from './leaseValidity.ts'
import type { OpenLeaseService } from './openLeaseService.ts'
import type { PeerQuestions } from './peerQuestions.ts'

export interface ElectionSetup {
  readonly open: NonNullable<OpenLeaseService>
  readonly validity: LeaseValidity
  readonly options: NodeOptions
  readonly log: Logger
  readonly nodeFile: Pick<NodeFile, 'record'>
  readonly secrets: ClusterSecrets
  readonly claims: Claims
  readonly replicas: ReplicaList
  readonly calls: PeerCalls
  readonly questions: PeerQuestions
  readonly facts: RoleFacts
  readonly pause: { readonly now: { readonly until: string; readonly by: string } | undefined }
  readonly news: ElectionNews
  readonly metrics: ElectionMetrics
}

/** Of what another node says, for people. */
const MAX_WHY_CHARS = 200
/** How long one call may take, as a share of the TTL, and its bounds in ms. */
const CALL_SHARE = 0.2
const MIN_CALL_MS = 200
const MAX_CALL_MS = 3000

export function newElection(setup: ElectionSetup): Election {
  const { options, validity, nodeFile, facts, news, log, claims, metrics } = setup
  const { ttlMs } = options
  const timeoutMs = Math.min(MAX_CALL_MS, Math.max(MIN_CALL_MS, CALL_SHARE * ttlMs))
  const node = () => nodeFile.record.node
  const epoch = () => nodeFile.record.epoch
  const cluster = () => nodeFile.record.cluster
  // As it is now: an engine's position moves on, and has getters, which JSON omits.
  const position = () => {
    const at = facts.led?.position ?? facts.copy?.position
    return { epoch: at?.epoch ?? 0, txid: at?.txid ?? 0 }
  }
  const { electionPrefix: prefix } = options
  const service = new ClusterLease({ open: setup.open, cluster, node, prefix, ttlMs, timeoutMs })
  const seal = new ElectionSeal({ secrets: setup.secrets, cluster })
  const level = parseAckLevel(options.ack)
  const isAcknowledged = level !== undefined && level.replicas !== 0
  const holder = new LeaseHolder({
    ...{ service, seal, validity, node, epoch, position, isAcknowledged },
    address: facts.address,
    agreedUntilMs: () => agreement.agreedUntilMs,
  })
  const sight = new ElectionSight(
    service,
    seal,
    () => election.wake(),
    (claimed) => claims.refuse({ epoch: claimed }) === undefined,
  )
  const agreement: Agreement = new Agreement({
    validity,
    ttlMs,
    metrics,
    members: () => facts.members,
    record: () => nodeFile.record,
    mayHold: () => holder.mayHold,
    leader: () => facts.copy?.leaderNode ?? '',
    ask: async (address, asked, callMs) =>
      givenIn(await setup.calls.tell(address, AGREE_PATH, { ...asked }, callMs)),
  })
  const candidate = new Candidate({
    ...{ service, seal, holder, ttlMs, node, epoch },
    address: facts.address,
    priority: options.priority,
    neverLead: options.neverLead,
    isNew: cluster() === '',
    maxLoss: options.maxLoss,
    copy: () => facts.copy,
    members: () => facts.members,
    paused: () => pausedText(setup.pause.now),
    agreedUntilMs: () => agreement.agreedUntilMs,
    askOthers: async () => (await setup.questions.askAll(facts.everybody, timeoutMs)).answers,
    isBelieved: ({ position: at, knownEpoch }) =>
      claims.refuse({ epoch: knownEpoch, txid: at.txid, positionEpoch: at.epoch }) === undefined,
  })
  const counted = new CountedReplicas({
    holder,
    ttlMs,
    replicas: () => setup.replicas.list(),
    position,
  })
  const record = () => nodeFile.record
  const parts = { log, service, validity, sight, holder, candidate, agreement, counted }
  const election: Election = new Election({ ...parts, timeoutMs, record, news, metrics })
  return election
}

function pausedText(
  pause: { readonly until: string; readonly by: string } | undefined,
): string | undefined {
  return pause && `${pause.until} by ${pause.by}`
}

function givenIn(answer: Readonly<Record<string, unknown>>): AgreementGiven {
  const { node, agrees, why } = answer
  return {
    node: typeof node === 'string' ? node : '',
    agrees: agrees === true,
    why: typeof why === 'string' ? plainText(why, MAX_WHY_CHARS) : '',
  }
}
