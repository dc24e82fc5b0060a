/**
 * The other nodes of the cluster that this one has met or heard of. It asks them who leads. The
 * role file keeps them.
 */
import type { Logger } from 'pino'
import { messageOf } from '../errors.ts'
import { cancelTimer, monotonicMs, setTimer, type Timer } from '../platform/time.ts'
import type { Claims } from '../security/claims.ts'
import type { NodeFile } from './nodeFile.ts'
import { MAX_MEMBERS, type Member } from './nodeRecord.ts'
import { wrongIn } from './place.ts'
import type { TrustFile } from './trustFile.ts'
import { isRemovedNode, membersByNode } from './trustRecord.ts'

/** Changes within this time go into one write. */
const GATHER_MS = 100
/**
 * At most MAX_MEMBERS members come or move within this time. Each is told to all replicas, and in a
 * full list each pushes another one out.
 */
const WINDOW_MS = 60_000

export interface MemberChange extends Member {
  readonly gone: boolean
}

export class Members {
  readonly #file: NodeFile
  readonly #log: Logger
  readonly #trust: Pick<TrustFile, 'record'>
  /** Addresses that the operator gave. They are asked too, whichever node answers there. */
  readonly #given: readonly string[]
  readonly #claims: Claims
  readonly #addresses: Map<string, string>
  #windowMs = Number.NEGATIVE_INFINITY
  /** Changes since `#windowMs`. */
  #learnt = 0
  #timer: Timer | undefined
  #saving: Promise<void> = Promise.resolve()
  readonly #onChanged: (change: MemberChange) => void

  /**
   * `trust` says who was removed from the cluster, and is not to be met again. `onChanged`: one
   * came, moved or was forgotten.
   */
  constructor(
    file: NodeFile,
    log: Logger,
    trust: Pick<TrustFile, 'record'>,
    given: readonly string[],
    claims: Claims,
    onChanged: (change: MemberChange) => void,
  ) {
    this.#file = file
    this.#log = log
    this.#trust = trust
    this.#given = given
    this.#claims = claims
    this.#onChanged = onChanged
    // An earlier version wrote down whatever it was told.
    const known = file.record.members.filter(
      (member) => wrongIn(member) === undefined && !this.#isRemoved(member.node),
    )
    this.#addresses = new Map(known.map(({ node, address }) => [node, address]))
    if (known.length < file.record.members.length) this.#saveSoon()
  }

  list(): Member[] {
    return [...this.#addresses].map(([node, address]) => ({ node, address }))
  }

  /** Addresses at which nodes may be, each once. */
  addresses(): string[] {
    return [...new Set([...this.#given, ...this.#addresses.values()])]
  }

  addressOf(node: string): string | undefined {
    return this.#addresses.get(node)
  }

  /**
   * Cheap when nothing is new. In a full list the member known for longest makes room. Refuses what
   * is no node id or no address, and more changes than a cluster makes.
   */
  learn(node: string, address: string): void {
    if (node === '' || address === '' || node === this.#file.record.node) return
    if (this.#addresses.get(node) === address || this.#isRemoved(node)) return
    const wrong = wrongIn({ node, address }) ?? (this.#isFlooded() ? 'member' : undefined)
    if (wrong) return this.#claims.count(wrong)
    this.#addresses.delete(node)
    this.#addresses.set(node, address)
    for (const oldest of this.#addresses.keys()) {
      if (this.#addresses.size <= MAX_MEMBERS) break
      this.#addresses.delete(oldest)
    }
    this.#changed({ node, address, gone: false })
  }

  forget(node: string): void {
    const address = this.#addresses.get(node)
    if (address !== undefined && this.#addresses.delete(node))
      this.#changed({ node, address, gone: true })
  }

  /** Forgets the nodes that were removed from the cluster. */
  forgetRemoved(): void {
    for (const node of [...this.#addresses.keys()]) if (this.#isRemoved(node)) this.forget(node)
  }

  /** SHA-256 of its public key, 64 hex digits; '' while it is unknown. */
  fingerprintOf(node: string): string {
    return membersByNode(this.#trust.record, node)[0]?.fingerprint ?? ''
  }

  /** Writes pending changes. */
  async stop(): Promise<void> {
    if (this.#timer) this.#save()
    await this.#saving
  }

  #isFlooded(): boolean {
    const nowMs = monotonicMs()
    if (nowMs - this.#windowMs > WINDOW_MS) {
      this.#windowMs = nowMs
      this.#learnt = 0
    }
    return ++this.#learnt > MAX_MEMBERS
  }

  #isRemoved(node: string): boolean {
    return isRemovedNode(this.#trust.record, node)
  }

  #changed(change: MemberChange): void {
    this.#saveSoon()
    this.#onChanged(change)
  }

  #saveSoon(): void {
    this.#timer ??= setTimer(() => this.#save(), GATHER_MS)
  }

  /** After a failure the next change tries again. Until then a restart would not know it. */
  #save(): void {
    cancelTimer(this.#timer)
    this.#timer = undefined
    this.#saving = this.#file.update({ members: this.list() }).catch((error) => {
      this.#log.warn(
        { error: messageOf(error) },
        'could not write the members of the cluster; trying again at the next change',
      )
    })
  }
}
