/**
 * Takes other nodes into the cluster. Whoever proves a pairing code over TLS becomes a member with
 * the key of that connection, and gets what a member must know. The entry is durable before the
 * answer goes. Nothing that a host says of itself counts before its proof is right.
 */

import { onlyDatabase } from '../api/databases.ts'
import type { JoinAnswer, JoinBundle, JoinCaller, PairAnswer, PairingDoor } from '../api/pairing.ts'
import { isGivenLasting } from '../cluster/secretsInForce.ts'
import { GIVEN_AT_MS, withMember, withSecret } from '../cluster/trustChanges.ts'
import type { TrustFile } from '../cluster/trustFile.ts'
import { formatTrust } from '../cluster/trustFormat.ts'
import { isGoodAt, isRemovedKey, membersByNode, type TrustRecord } from '../cluster/trustRecord.ts'
import type { NodeSetup } from '../database/engine.ts'
import { WalcastError } from '../errors.ts'
import { ownAddress } from '../options/address.ts'
import { clientOf } from '../proxy/clientAddress.ts'
import { type ClusterSecrets, secretId } from '../security/clusterSecrets.ts'
import { FailedAttempts } from '../security/failedAttempts.ts'
import { formatPairingCode } from '../security/pairingCode.ts'
import {
  CODE_LIFE_MS,
  MAX_OPEN_CODES,
  MAX_WRONG_PROOFS,
  PairingDesk,
  type PairingVerdict,
} from '../security/pairingDesk.ts'
import { type JoinClaim, joinAnswerContext, joinAnswerKey } from '../security/pairingProof.ts'
import { sealText } from '../security/sealedText.ts'
import type { NodeTls } from './nodeTls.ts'
import { PairingJournal, type PairingJournalParts } from './pairingJournal.ts'

/** Clocks further apart are refused: signatures between the two nodes would be, later. */
const MAX_CLOCK_MS = 60_000
/** The last time that a Date can be. */
const MAX_DATE_MS = 8.64e15

export interface ClusterPairingParts extends Omit<PairingJournalParts, 'log'> {
  readonly setup: NodeSetup
  readonly trust: { readonly file: TrustFile; readonly digest: string }
  readonly secrets: Pick<ClusterSecrets, 'isOpen'>
  readonly tls: NodeTls | undefined
}

export class ClusterPairing implements PairingDoor {
  readonly #parts: ClusterPairingParts
  readonly #desk = new PairingDesk()
  readonly #attempts = new FailedAttempts()
  readonly #journal: PairingJournal

  constructor(parts: ClusterPairingParts) {
    this.#parts = parts
    this.#journal = new PairingJournal({ ...parts, log: parts.setup.log })
    // Who has stolen the secret may have made a code with it.
    parts.trust.file.on('changed', ({ before, now }) => {
      if (isReplaced(before, now)) this.#desk.expireAll()
    })
  }

  pair(by: string): PairAnswer {
    const { fingerprint } = this.#ready()
    const made = this.#desk.open()
    if (!made) {
      const seconds = Math.ceil(this.#desk.nextFreeMs / 1000)
      throw new WalcastError('PAIRING_FULL', { limit: MAX_OPEN_CODES, seconds })
    }
    const { id } = made
    const address = ownAddress(this.#parts.setup.options)
    const code = formatPairingCode({ ...made, address, fingerprint })
    this.#journal.made(id, by)
    return { code, id, node: this.#node, address, expiresMs: CODE_LIFE_MS }
  }

  async join(claim: JoinClaim, proof: string, caller: JoinCaller): Promise<JoinAnswer> {
    try {
      const answer = await this.#join(claim, proof, caller)
      this.#journal.joined(claim, caller.from)
      return answer
    } catch (error) {
      this.#journal.refused(claim, caller.from, error)
      throw error
    }
  }

  async #join(claim: JoinClaim, proof: string, caller: JoinCaller): Promise<JoinAnswer> {
    const { file } = this.#ready()
    const { keys, from } = caller
    const verdict = this.#desk.judge(claim, keys, proof)
    if (verdict.state !== 'good') throw await this.#refusal(verdict, from)
    this.#requireFit(claim, caller)
    // From here on the code is this host's. Nothing was awaited since the verdict.
    this.#desk.use(claim.code, keys.client, claim.node)
    await file.change((record) => this.#withBoth(record, claim, caller))
    const sealed = sealText(
      joinAnswerKey(verdict.secret),
      joinAnswerContext(proof),
      JSON.stringify(this.#bundle(file.record)),
    )
    return { sealed }
  }

  async #refusal(
    verdict: Exclude<PairingVerdict, { state: 'good' }>,
    from: string,
  ): Promise<WalcastError> {
    switch (verdict.state) {
      case 'wrong': {
        const seconds = await this.#attempts.add(clientOf(from))
        if (seconds === 0) return new WalcastError('PAIRING_CODE_WRONG', { node: this.#node })
        return new WalcastError('TOO_MANY_ATTEMPTS', {
          seconds,
          message: `too many wrong tries came from this address; the next is in ${seconds} s`,
          cure: 'make a new code with "walcast pair"; one that is right is taken at once',
        })
      }
      case 'ended':
        return new WalcastError('PAIRING_CODE_ENDED', { limit: MAX_WRONG_PROOFS })
      case 'expired':
        return new WalcastError('PAIRING_CODE_EXPIRED', { minutes: CODE_LIFE_MS / 60_000 })
      case 'used':
        return new WalcastError('PAIRING_CODE_USED', { by: verdict.by })
    }
  }

  /** Throws what is wrong with a host that has the code. The code stays good. */
  #requireFit(claim: JoinClaim, { keys, isVerified }: JoinCaller): void {
    const { tls, trust, clock } = this.#parts
    const { record } = trust.file
    const nowMs = clock.nowMs()
    if (Math.abs(nowMs - claim.timeMs) > MAX_CLOCK_MS)
      throw new WalcastError('PAIRING_CLOCK', {
        theirs: new Date(Math.min(claim.timeMs, MAX_DATE_MS)).toISOString(),
        node: this.#node,
        mine: new Date(nowMs).toISOString(),
      })
    if (keys.client === keys.server) throw new WalcastError('JOIN_SELF')
    if (claim.cluster !== '' && claim.cluster !== record.cluster)
      throw new WalcastError('PAIRING_OTHER_CLUSTER', {
        theirs: claim.cluster,
        mine: record.cluster,
      })
    if (tls?.keys.current.authority !== undefined && !isVerified)
      throw new WalcastError('WRONG_KEY', {
        node: claim.node,
        detail:
          'no authority that is known here vouches for its certificate; walcast join takes one ' +
          'with --tls-cert, --tls-key and --tls-ca',
      })
    if (isRemovedKey(record, keys.client))
      throw new WalcastError('KEY_REMOVED', { node: claim.node })
    this.#requireFree(record, claim.node, keys.client)
  }

  #requireFree(record: TrustRecord, node: string, fingerprint: string): void {
    const nowMs = this.#parts.clock.nowMs()
    const others = membersByNode(record, node).filter(
      (member) => member.fingerprint !== fingerprint && isGoodAt(member, nowMs),
    )
    if (others.length > 0 || node === this.#node)
      throw new WalcastError('PAIRING_NODE_TAKEN', { node })
  }

  /** The new member needs this node's entry, and the secret that this node has from elsewhere. */
  #withBoth(record: TrustRecord, claim: JoinClaim, { keys }: JoinCaller): TrustRecord {
    const { clock, setup } = this.#parts
    const nowMs = clock.nowMs()
    this.#requireFree(record, claim.node, keys.client)
    const own = { fingerprint: keys.server, node: this.#node, address: ownAddress(setup.options) }
    const { node, address } = claim
    const withOwn = withMember(this.#withGivenSecret(record), own, nowMs)
    return withMember(withOwn, { fingerprint: keys.client, node, address }, nowMs)
  }

  /** It is the oldest, as everywhere. One that was replaced stays as it is. */
  #withGivenSecret(record: TrustRecord): TrustRecord {
    const { secret } = this.#parts.setup
    if (secret === undefined || !isGivenLasting(secret, record)) return record
    return withSecret(record, { id: secretId(secret), secret, createdAt: GIVEN_AT_MS })
  }

  #bundle(record: TrustRecord): JoinBundle {
    const { databases, setup } = this.#parts
    const leader = onlyDatabase(databases).view.leaderAddress() || ownAddress(setup.options)
    return { cluster: record.cluster, leader, trust: formatTrust(record) }
  }

  get #node(): string {
    return this.#parts.nodeFile.record.node
  }

  /** Throws PAIRING_WITHOUT_SECRET, or STARTING before the cluster is known. */
  #ready(): { readonly file: TrustFile; readonly fingerprint: string } {
    const { trust, secrets, tls } = this.#parts
    if (secrets.isOpen || !tls) throw new WalcastError('PAIRING_WITHOUT_SECRET')
    if (trust.digest === '') throw new WalcastError('STARTING')
    return { file: trust.file, fingerprint: tls.keys.current.fingerprint }
  }
}

/** Whether a secret has got an end. */
function isReplaced(before: TrustRecord, now: TrustRecord): boolean {
  const ending = ({ secrets }: TrustRecord) =>
    secrets.flatMap(({ id, endsAt }) => (endsAt === undefined ? [] : [id]))
  const known = ending(before)
  return ending(now).some((id) => !known.includes(id))
}
