/** What the trust record says of the keys of other nodes, for who connects to them. */
import { keyOf } from '../errors.ts'
import type { KnownKeys } from '../security/senderKeys.ts'
import { withMember } from './trustChanges.ts'
import type { TrustFile } from './trustFile.ts'
import { isGoodAt, isRemovedKey, isRemovedNode, memberByKey, membersByNode } from './trustRecord.ts'

export interface TrustedKeysParts {
  readonly file: Pick<TrustFile, 'record' | 'change'>
  /**
   * Whether who proves the cluster secret becomes a member. In a cluster that was made by pairing
   * only pairing adds members.
   */
  introduces(): boolean
  nowMs(): number
  onFailed(error: unknown): void
}

export class TrustedKeys implements KnownKeys {
  readonly #parts: TrustedKeysParts

  constructor(parts: TrustedKeysParts) {
    this.#parts = parts
  }

  /** Id of the living member with this key. */
  nodeOf(fingerprint: string): string | undefined {
    const member = memberByKey(this.#parts.file.record, fingerprint)
    return member && isGoodAt(member, this.#parts.nowMs()) ? member.node : undefined
  }

  /** 64 hex digits; '' for a node whose key is not known. */
  fingerprintOf(node: string): string {
    const { file, nowMs } = this.#parts
    const good = membersByNode(file.record, node).find((member) => isGoodAt(member, nowMs()))
    return good?.fingerprint ?? ''
  }

  isRemoved(fingerprint: string): boolean {
    return isRemovedKey(this.#parts.file.record, fingerprint)
  }

  isRemovedNode(node: string): boolean {
    return isRemovedNode(this.#parts.file.record, node)
  }

  /**
   * A node has proven the cluster secret over TLS with this key. False when the cluster takes in no
   * member in this way, or has removed the key. The entry is written aside.
   */
  introduce(node: string, fingerprint: string, address: string): boolean {
    const { file, introduces, nowMs, onFailed } = this.#parts
    if (!introduces() || this.isRemoved(fingerprint)) return false
    const known = memberByKey(file.record, fingerprint)
    if (known?.node === node && (address === '' || known.address === address)) return true
    const member = { fingerprint, node, address: address || (known?.address ?? '') }
    file
      .change((record) => withMember(record, { ...member, endsAt: known?.endsAt }, nowMs()))
      .catch((error) => {
        if (keyOf(error) !== 'KEY_REMOVED') onFailed(error)
      })
    return true
  }
}
