/**
 * Seals what nodes write into a lock service: `KEYID BASE64`, encrypted with a key of the cluster,
 * for one cluster and one kind. In an open cluster, which has no secret, it is JSON behind `open`.
 */
import { WalcastError } from '../../errors.ts'
import { type ClusterSecrets, OPEN } from '../../security/clusterSecrets.ts'
import { openText, sealText } from '../../security/sealedText.ts'
import { type CandidateNote, noteIn, type Term, termIn } from './electionRecord.ts'
import { MAX_ELECTION_BYTES } from './leaseService.ts'

const SEALED = /^([\w-]{4,32}) (.+)$/s

export interface ElectionSealParts {
  readonly secrets: Pick<ClusterSecrets, 'signingKey' | 'key'>
  /** Id of the cluster. */
  cluster(): string
}

export class ElectionSeal {
  readonly #parts: ElectionSealParts

  constructor(parts: ElectionSealParts) {
    this.#parts = parts
  }

  sealTerm(term: Term): string {
    return this.#seal('term', term)
  }

  sealNote(note: CandidateNote): string {
    return this.#seal('note', note)
  }

  /** Undefined when this cluster did not write it, or with a secret that is not good here. */
  termIn(sealed: string): Term | undefined {
    return termIn(this.#open('term', sealed))
  }

  /** As `termIn`. */
  noteIn(sealed: string): CandidateNote | undefined {
    return noteIn(this.#open('note', sealed))
  }

  #seal(kind: string, value: object): string {
    const { id, key } = this.#parts.secrets.signingKey('election')
    const text = JSON.stringify(value)
    const sealed = `${id} ${id === OPEN ? text : sealText(key, this.#context(kind), text)}`
    if (sealed.length > MAX_ELECTION_BYTES)
      throw new WalcastError('INTERNAL', { detail: `a ${kind} of ${sealed.length} characters` })
    return sealed
  }

  #open(kind: string, sealed: string): unknown {
    if (sealed.length > MAX_ELECTION_BYTES) return undefined
    const [, id = '', content = ''] = SEALED.exec(sealed) ?? []
    const key = this.#parts.secrets.key(id, 'election')
    if (!key) return undefined
    const text = id === OPEN ? content : openText(key, this.#context(kind), content)
    try {
      return text === undefined ? undefined : JSON.parse(text)
    } catch {
      return undefined
    }
  }

  #context(kind: string): string {
    return `election ${kind} ${this.#parts.cluster()}`
  }
}
