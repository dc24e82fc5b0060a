/**
 * Who belongs to the cluster: members are removed, and this node leaves. Each change is one of the
 * trust record. It is durable here before it is told, all members are told at once, and the answer
 * says who has it. A member that is away learns it when it is back, from whoever it meets first.
 */
import { type Databases, onlyDatabase } from '../api/databases.ts'
import {
  DEPARTURE_PATH,
  type LeftAnswer,
  type MembershipDesk,
  type RemovedAnswer,
  type RotatedKeyAnswer,
  type RotatedSecretAnswer,
} from '../api/membership.ts'
import { lastLeader, type Member } from '../cluster/nodeRecord.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import { withoutMember } from '../cluster/trustChanges.ts'
import { isRemovedNode, type TrustRecord } from '../cluster/trustRecord.ts'
import type { NodeSetup } from '../database/engine.ts'
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import type { ReplicaList } from '../feed/replicaList.ts'
import type { Metrics } from '../health/metrics.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { type AuditParts, audited } from './auditedChange.ts'
import { ClusterKeys } from './clusterKeys.ts'
import type { ClusterTrust } from './clusterTrust.ts'
import { leftError, markLeft } from './departure.ts'

export interface MembershipParts extends AuditParts {
  readonly trust: ClusterTrust
  readonly setup: Pick<NodeSetup, 'secret' | 'options'>
  readonly calls: Pick<PeerCalls, 'tell'>
  readonly metrics: Pick<Metrics, 'membership'>
  readonly databases: Databases
  readonly replicas: Pick<ReplicaList, 'forgetRemoved' | 'on'>
  readonly ops: FileOps
  readonly stateFolder: string
  /** Of the database file. */
  readonly path: string
  /** The node ends, for this reason. */
  onFatal(error: WalcastError): void
}

export class Membership implements MembershipDesk {
  readonly #parts: MembershipParts
  readonly #keys: ClusterKeys
  #left: WalcastError | undefined

  constructor(parts: MembershipParts) {
    this.#parts = parts
    this.#keys = new ClusterKeys(parts)
    const { replicas, trust } = parts
    const forget = () => replicas.forgetRemoved((node) => trust.keys.isRemovedNode(node))
    trust.file.on('changed', forget)
    replicas.on('changed', forget)
  }

  rotateSecret(
    how: Parameters<MembershipDesk['rotateSecret']>[0],
    by: string,
  ): Promise<RotatedSecretAnswer> {
    return this.#keys.rotateSecret(how, by)
  }

  rotateKey(how: { readonly force: boolean }, by: string): Promise<RotatedKeyAnswer> {
    return this.#keys.rotateKey(how, by)
  }

  rewrap(id: string, by: string): Promise<number> {
    return this.#keys.rewrap(id, by)
  }

  async remove(
    { node, force }: { readonly node: string; readonly force: boolean },
    by: string,
  ): Promise<RemovedAnswer> {
    const { metrics } = this.#parts
    const keys = await audited(this.#parts, { action: 'remove', by, detail: node }, async () => {
      const { record } = this.#keys.file()
      this.#requireRemovable(record, node, force)
      return this.#removeKeys(node)
    })
    metrics.membership().onChanged('remove')
    return { removed: node, keys, members: await this.#keys.tellAll() }
  }

  async leave({ force }: { readonly force: boolean }, by: string): Promise<LeftAnswer> {
    const { stateFolder, ops, path, metrics, nodeFile, databases } = this.#parts
    const { node, cluster } = nodeFile.record
    const { view } = onlyDatabase(databases)
    const about = { action: 'leave', by, detail: node } as const
    const { told, left } = await audited(this.#parts, about, async () => {
      this.#keys.file()
      if (view.role() === 'leader') throw new WalcastError('LEADER_LEAVES')
      const told = await this.#tellSomeone(force, by)
      const { epoch, txid } = view.position()
      const left = { node, cluster, epoch, txid }
      await markLeft(stateFolder, left, ops)
      return { told, left }
    })
    metrics.membership().onChanged('leave')
    this.#left = leftError(path, left)
    return { ...left, told, db: path }
  }

  end(): void {
    if (this.#left) this.#parts.onFatal(this.#left)
  }

  async depart(from: string, by: string): Promise<void> {
    await audited(this.#parts, { action: 'leave', by, detail: from }, async () => {
      this.#keys.file()
      await this.#removeKeys(from, 'change')
    })
  }

  /** Resolves when it is durable here. `insist`: in force here whether or not the disk takes it. */
  async #removeKeys(node: string, how: 'insist' | 'change' = 'insist'): Promise<string[]> {
    const { clock } = this.#parts
    const file = this.#keys.file()
    let removed: string[] = []
    await file[how]((record) => {
      removed = record.members
        .filter((member) => member.node === node)
        .map(({ fingerprint }) => fingerprint)
      return removed.reduce((so, key) => withoutMember(so, key, node, clock.nowMs()), record)
    })
    return removed
  }

  /** Throws MEMBER_UNKNOWN or MEMBER_KEPT. */
  #requireRemovable(record: TrustRecord, node: string, force: boolean): void {
    const { nodeFile, databases } = this.#parts
    const isKnown = record.members.some((member) => member.node === node)
    if (node === nodeFile.record.node)
      throw new WalcastError('MEMBER_KEPT', { node, detail: 'it is the node that is asked' })
    if (!isKnown && !isRemovedNode(record, node)) throw new WalcastError('MEMBER_UNKNOWN', { node })
    const leads = onlyDatabase(databases).view.role() !== 'leader' && leaderIn(nodeFile) === node
    if (leads && isKnown && !force)
      throw new WalcastError('MEMBER_KEPT', { node, detail: 'it leads the cluster' })
  }

  /**
   * Has a member remove the keys of this node, the leader first. Gives its id; null when none was
   * reached. Throws NOBODY_TOLD.
   */
  async #tellSomeone(force: boolean, by: string): Promise<string | null> {
    const { nodeFile } = this.#parts
    const failures: string[] = []
    for (const member of this.#leaderFirst())
      try {
        await this.#tellOfLeaving(member, by)
        return member.node
      } catch (error) {
        failures.push(`${member.node}: ${messageOf(error)}`)
      }
    if (force) return null
    const { node } = nodeFile.record
    throw new WalcastError('NOBODY_TOLD', { node, detail: failures.join(', ') || 'it knows none' })
  }

  /** A member that has removed the keys says so to whoever asks with one of them. */
  async #tellOfLeaving({ address }: Member, by: string): Promise<void> {
    const { calls, setup } = this.#parts
    const { peerTimeoutMs } = setup.options
    const tell = () => calls.tell(address, DEPARTURE_PATH, { by }, peerTimeoutMs)
    try {
      await tell()
    } catch (error) {
      if (keyOf(error) === 'KEY_REMOVED') return
      // The connection ends with the keys, perhaps before the answer has come.
      const again = await tell().catch((failure) => failure)
      if (again instanceof Error && keyOf(again) !== 'KEY_REMOVED') throw again
    }
  }

  #leaderFirst(): Member[] {
    const { nodeFile, trust } = this.#parts
    const leader = leaderIn(nodeFile)
    return trust.others().toSorted((a, b) => Number(b.node === leader) - Number(a.node === leader))
  }
}

function leaderIn({ record }: MembershipParts['nodeFile']): string {
  return lastLeader(record)
}
