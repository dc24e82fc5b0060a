/**
 * Both ends of `POST /_walcast/trust`, by which two members exchange their trust records. Body and
 * answer are sealed with a key that is derived from the cluster secret, in TLS as well: secrets do
 * not travel in clear, and a record that opens comes from a node that knows the secret. An answer
 * is bound to its question.
 *
 * While the secret is being replaced, a question is sealed with the oldest that is good: a member
 * that has not heard of the new one must be told it.
 */
import { keyOf, messageOf, WalcastError } from '../errors.ts'
import type { ClusterSecrets } from '../security/clusterSecrets.ts'
import { openText, sealText } from '../security/sealedText.ts'
import type { Member } from './nodeRecord.ts'
import { formatTrust, parseTrust } from './trustFormat.ts'
import { isRemovedNode, MAX_TRUST_BYTES, type TrustRecord } from './trustRecord.ts'

/** A record that is at all bounds, in base64, with what is around it. */
export const MAX_SEALED_BYTES = Math.ceil((MAX_TRUST_BYTES * 4) / 3) + 1024
const ASK = 'walcast trust ask'
const NOT_GOOD_THERE: ReadonlySet<unknown> = new Set(['WRONG_SECRET', 'SECRET_ENDED'])

export interface TrustCallsParts {
  readonly secrets: Pick<ClusterSecrets, 'isOpen' | 'ids' | 'key'>
  /**
   * POSTs a body of JSON to a node's TRUST_PATH, signed with the secret of this id, and gives the
   * fields of the answer.
   */
  post(member: Member, body: string, keyId: string): Promise<Readonly<Record<string, unknown>>>
}

/** One message: which key it is sealed with, and the sealed record. */
export interface SealedTrust {
  readonly key: string
  readonly sealed: string
}

export class TrustCalls {
  readonly #parts: TrustCallsParts

  constructor(parts: TrustCallsParts) {
    this.#parts = parts
  }

  /** Throws what `post` throws, or TRUST_REFUSED for an answer that is not a member's. */
  async exchange(member: Member, record: TrustRecord): Promise<TrustRecord> {
    const [oldest, ...others] = this.#idsByAge(record)
    if (oldest === undefined) throw refused('this node has no secret')
    let id = oldest
    for (;;)
      try {
        return await this.#ask(member, record, id)
      } catch (error) {
        // To the member it has ended already, or it has never heard of it.
        const next = NOT_GOOD_THERE.has(keyOf(error)) ? others.shift() : undefined
        if (next === undefined) throw error
        id = next
      }
  }

  /**
   * Those that are good, the oldest first: a member may not have heard of the newest yet, and would
   * put a refusal into its audit log. The record has its secrets in the order of their age; that of
   * the environment, which is not in there, counts as the oldest.
   */
  #idsByAge({ secrets }: TrustRecord): string[] {
    const placeOf = (id: string) => secrets.findIndex((secret) => secret.id === id)
    return this.#parts.secrets.ids.toReversed().sort((a, b) => placeOf(a) - placeOf(b))
  }

  async #ask(member: Member, record: TrustRecord, id: string): Promise<TrustRecord> {
    const sealed = sealText(this.#keyOf(id), ASK, formatTrust(record))
    const question: SealedTrust = { key: id, sealed }
    const answer = await this.#parts.post(member, JSON.stringify(question), id)
    return this.#open(answer, answerTo(question))
  }

  /**
   * The answer to a question of the node `from`. `take` joins what it sent, and gives what it
   * should know. Throws TRUST_REFUSED, KEY_REMOVED, and what `take` throws.
   */
  async answer(
    from: string,
    body: unknown,
    own: TrustRecord,
    take: (node: string, theirs: TrustRecord) => Promise<TrustRecord>,
  ): Promise<SealedTrust> {
    if (this.#parts.secrets.isOpen) throw refused('this node has no secret')
    if (isRemovedNode(own, from)) throw new WalcastError('KEY_REMOVED', { node: from })
    const theirs = this.#open(body, ASK)
    const question = body as SealedTrust
    const known = await take(from, theirs)
    // With the key that the other one knows: this node may have a newer secret to tell it.
    const key = this.#keyOf(question.key)
    return { key: question.key, sealed: sealText(key, answerTo(question), formatTrust(known)) }
  }

  #keyOf(id: string): Buffer {
    const key = this.#parts.secrets.key(id, 'trust')
    if (key === undefined) throw refused('it is sealed with a secret that this node does not know')
    return key
  }

  #open(message: unknown, context: string): TrustRecord {
    const { key, sealed } = Object(message)
    if (typeof key !== 'string' || typeof sealed !== 'string')
      throw refused('it is not a sealed record')
    const text = openText(this.#keyOf(key.slice(0, 64)), context, sealed)
    if (text === undefined) throw refused('it was sealed for something else, or changed on the way')
    try {
      return parseTrust(text)
    } catch (error) {
      throw refused(messageOf(error))
    }
  }
}

/** The end of what was sealed is its authentication tag: no two questions have the same. */
function answerTo({ sealed }: SealedTrust): string {
  return `walcast trust answer ${sealed.slice(-24)}`
}

function refused(detail: string): WalcastError {
  return new WalcastError('TRUST_REFUSED', { detail })
}
