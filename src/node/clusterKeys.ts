/**
 * What all members share is replaced while they run: the secret, and the key that wraps the data
 * keys of settings. The old one stays good for a while, so no member must be restarted.
 */
import { type Databases, onlyDatabase } from '../api/databases.ts'
import {
  REWRAP_PATH,
  type RotatedKeyAnswer,
  type RotatedSecretAnswer,
  type ToldInfo,
} from '../api/membership.ts'
import type { PeerCalls } from '../cluster/peerCalls.ts'
import { withKek, withNewSecret } from '../cluster/trustChanges.ts'
import type { TrustFile } from '../cluster/trustFile.ts'
import { isGoodAt, type TrustRecord } from '../cluster/trustRecord.ts'
import type { NodeSetup } from '../database/engine.ts'
import { messageOf, WalcastError } from '../errors.ts'
import type { Metrics } from '../health/metrics.ts'
import { randomBytes } from '../platform/random.ts'
import { newSecret, secretId } from '../security/clusterSecrets.ts'
import { newKey } from '../security/valueEncryption.ts'
import { type AuditParts, audited } from './auditedChange.ts'
import type { ClusterTrust } from './clusterTrust.ts'
import { rewrapDataKeys } from './dataKeyRewrap.ts'
import { knownTrust } from './knownTrust.ts'
import { tellMembers } from './toldMembers.ts'

export interface ClusterKeysParts extends AuditParts {
  readonly trust: ClusterTrust
  readonly setup: Pick<NodeSetup, 'secret' | 'options'>
  readonly calls: Pick<PeerCalls, 'tell'>
  readonly metrics: Pick<Metrics, 'membership'>
  readonly databases: Databases
  /** Of the database file. */
  readonly path: string
}

/** Waiting for SQLite's write lock is in it. */
const REWRAP_MS = 30_000

export class ClusterKeys {
  readonly #parts: ClusterKeysParts

  constructor(parts: ClusterKeysParts) {
    this.#parts = parts
  }

  async rotateSecret(
    { overlapMs, force }: { readonly overlapMs: number; readonly force: boolean },
    by: string,
  ): Promise<RotatedSecretAnswer> {
    const { clock, setup, metrics } = this.#parts
    const made = newSecret()
    const { id } = made
    const fresh = { ...made, given: givenIn(setup), overlapMs }
    await audited(this.#parts, { action: 'rotate-secret', by, detail: id }, () =>
      this.file().change((record) => {
        const nowMs = clock.nowMs()
        if (!force) requireSettled(record, nowMs)
        return withNewSecret(record, fresh, nowMs)
      }),
    )
    metrics.membership().onChanged('rotate-secret')
    const older = this.file().record.secrets.filter((each) => each.id !== id && each.endsAt)
    const lasting = older.filter((each) => isGoodAt(each, clock.nowMs()))
    const endsAt = Math.max(...lasting.map((each) => each.endsAt ?? 0), 0)
    return {
      id,
      older: lasting.map((each) => each.id),
      ends: new Date(endsAt).toISOString(),
      members: await this.tellAll(),
    }
  }

  async rotateKey({ force }: { readonly force: boolean }, by: string): Promise<RotatedKeyAnswer> {
    const { clock, metrics } = this.#parts
    const id = randomBytes(4).toString('hex')
    const key = newKey().toString('hex')
    await audited(this.#parts, { action: 'rotate-key', by, detail: id }, () =>
      this.file().change((record) => {
        const newestMs = record.keks.at(-1)?.createdAt ?? -1
        const createdAt = Math.max(Math.floor(clock.nowMs()), newestMs + 1)
        return withKek(record, { id, key, createdAt })
      }),
    )
    metrics.membership().onChanged('rotate-key')
    const members = await this.tellAll()
    const older = this.file().record.keks.flatMap((kek) => (kek.id === id ? [] : [kek.id]))
    const unaware = members.filter(({ knows }) => !knows).map(({ node }) => node)
    const about = { id, older, members }
    if (unaware.length > 0 && !force)
      return { ...about, wrapped: null, detail: `${unaware.join(', ')} does not know it yet` }
    try {
      return { ...about, wrapped: await this.#rewrapAtLeader(id, by), detail: null }
    } catch (error) {
      return { ...about, wrapped: null, detail: messageOf(error) }
    }
  }

  /** As the leader. `id`: of the key that must be the newest here too. */
  async rewrap(id: string, by: string): Promise<number> {
    const { databases, path } = this.#parts
    const file = this.file()
    const { view } = onlyDatabase(databases)
    const [role, address] = [view.role(), view.leaderAddress()]
    if (role !== 'leader') throw new WalcastError('NOT_LEADER', { role, address })
    if (file.record.keks.at(-1)?.id !== id)
      throw new WalcastError('TRUST_REFUSED', { detail: `the newest key here is not ${id}` })
    const detail = `data keys under ${id}`
    return audited(this.#parts, { action: 'rotate-key', by, detail }, () => rewrapDataKeys(path))
  }

  /** Tells all members what this node knows. */
  tellAll(): Promise<ToldInfo[]> {
    return tellMembers(this.#parts)
  }

  /** Throws OPEN_CLUSTER, or STARTING before the cluster is known. */
  file(): TrustFile {
    return knownTrust(this.#parts.trust)
  }

  async #rewrapAtLeader(id: string, by: string): Promise<number> {
    const { databases, calls } = this.#parts
    const { view } = onlyDatabase(databases)
    if (view.role() === 'leader') return this.rewrap(id, by)
    const address = view.leaderAddress()
    if (address === '') throw new WalcastError('NODE_ANSWER', { url: 'the leader', detail: 'none' })
    const { wrapped } = await calls.tell(address, REWRAP_PATH, { id, by }, REWRAP_MS)
    return Number.isSafeInteger(wrapped) ? Number(wrapped) : 0
  }
}

function givenIn({ secret }: Pick<NodeSetup, 'secret'>) {
  return secret === undefined ? undefined : { id: secretId(secret), secret }
}

/** Throws ROTATION_UNDER_WAY while an older secret is still good. */
function requireSettled({ secrets }: TrustRecord, nowMs: number): void {
  const older = secrets.filter((secret) => secret.endsAt !== undefined && isGoodAt(secret, nowMs))
  const [last] = older.toSorted((a, b) => (b.endsAt ?? 0) - (a.endsAt ?? 0))
  if (last === undefined) return
  const ends = new Date(last.endsAt ?? 0).toISOString()
  throw new WalcastError('ROTATION_UNDER_WAY', { older: last.id, ends })
}
