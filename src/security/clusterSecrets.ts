/**
 * The cluster's secret, and the keys that are derived from it, one for each purpose (HKDF, RFC
 * 5869). The secret itself signs nothing and is sent nowhere: who is given the key of one purpose
 * learns nothing of the others. While the secret is being replaced, several are good at once; the
 * first signs.
 */
import { createHash, hkdfSync } from 'node:crypto'
import { randomBytes } from '../platform/random.ts'

/**
 * `stream`: upgrades to the replication stream. `forward`: requests of applications' clients.
 * `order`: questions and orders of nodes and of the command line. `proof`: answers. `webhook`:
 * notices. `trust`: what seals secrets in the trust record on the way. `election`: what nodes write
 * into a lock service.
 */
export type KeyPurpose = 'stream' | 'forward' | 'order' | 'proof' | 'webhook' | 'trust' | 'election'

/** A derived key, and the id by which the other side finds the same one. */
export interface DerivedKey {
  /** 8 hex digits of the secret that it is derived from; OPEN without a secret. */
  readonly id: string
  readonly key: Buffer
}

const KEY_BYTES = 32
const SECRET_BYTES = 32
const SALT = 'walcast'
/** Id of the key of a cluster without a secret: it proves nothing. */
export const OPEN = 'open'

/** 32 bytes. */
export function deriveKey(secret: string, purpose: KeyPurpose): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, SALT, `walcast v2 ${purpose}`, KEY_BYTES))
}

/** 8 hex digits that tell secrets apart, and tell nothing about this one. */
export function secretId(secret: string): string {
  const derived = hkdfSync('sha256', secret, SALT, 'walcast v2 id', KEY_BYTES)
  return createHash('sha256').update(Buffer.from(derived)).digest('hex').slice(0, 8)
}

/** A random secret, and its id. */
export function newSecret(): { readonly id: string; readonly secret: string } {
  const secret = randomBytes(SECRET_BYTES).toString('hex')
  return { id: secretId(secret), secret }
}

/** What a node knows of secrets beside those that are good. */
export interface OtherSecrets {
  /** They open nothing. */
  readonly ended?: readonly string[]
  /** Good ones that are being replaced: somebody may have stolen them. */
  readonly ending?: readonly string[]
  /** Of the good ones: all members know it. By default the last. */
  readonly oldest?: string | undefined
}

export class ClusterSecrets {
  #ids: readonly string[] = []
  #oldestId: string | undefined
  #secrets = new Map<string, string>()
  /** They open nothing. */
  #ended = new Map<string, string>()
  #endingIds: ReadonlySet<string> = new Set()
  /** By id and purpose: a derivation costs more than a signature. */
  readonly #keys = new Map<string, Buffer>()

  /** The first signs. None: the cluster is open. */
  constructor(secrets: readonly string[], others: OtherSecrets = {}) {
    this.replace(secrets, others)
  }

  /** Other secrets from now on. */
  replace(
    secrets: readonly string[],
    { ended = [], ending = [], oldest = secrets.at(-1) }: OtherSecrets = {},
  ): void {
    this.#secrets = new Map(secrets.map((secret) => [secretId(secret), secret]))
    this.#ended = new Map(ended.map((secret) => [secretId(secret), secret]))
    this.#endingIds = new Set(ending.map(secretId))
    this.#ids = [...this.#secrets.keys()]
    this.#oldestId = oldest === undefined ? undefined : secretId(oldest)
    this.#keys.clear()
  }

  /** Whether there is no secret: nothing is authenticated. */
  get isOpen(): boolean {
    return this.#ids.length === 0
  }

  /** Ids of the secrets that are good; the first signs. */
  get ids(): readonly string[] {
    return this.#ids
  }

  /** Ids of the same from the oldest on: a member may not have heard of the newest. */
  get idsByAge(): readonly string[] {
    const older = this.#ids.filter((id) => id === this.#oldestId)
    return [...older, ...this.#ids.filter((id) => id !== this.#oldestId).reverse()]
  }

  /**
   * The secret that signs; undefined when open. For the trust record, and for nodes of the version
   * before keys.
   */
  get current(): string | undefined {
    const [id] = this.#ids
    return id === undefined ? undefined : this.#secrets.get(id)
  }

  signingKey(purpose: KeyPurpose): DerivedKey {
    const [id = OPEN] = this.#ids
    return { id, key: this.#derive(id, purpose) }
  }

  /** The key that the other side named; undefined when this node does not know its secret. */
  key(id: string, purpose: KeyPurpose): Buffer | undefined {
    if (this.isOpen ? id !== OPEN : !this.#secrets.has(id)) return undefined
    return this.#derive(id, purpose)
  }

  /**
   * The key of a secret that has ended. It makes nobody believed: it tells a node that was away
   * from one that was never of this cluster.
   */
  endedKey(id: string, purpose: KeyPurpose): Buffer | undefined {
    return this.#ended.has(id) ? this.#derive(id, purpose) : undefined
  }

  /** Whether a secret that is good is being replaced. */
  isEnding(id: string): boolean {
    return this.#endingIds.has(id)
  }

  /** The same secrets, of which this one signs. */
  signingWith(id: string): Pick<ClusterSecrets, 'signingKey'> {
    return { signingKey: (purpose) => ({ id, key: this.#derive(id, purpose) }) }
  }

  #derive(id: string, purpose: KeyPurpose): Buffer {
    const name = `${id} ${purpose}`
    const known = this.#keys.get(name)
    if (known) return known
    const secret = this.#secrets.get(id) ?? this.#ended.get(id) ?? ''
    const key = deriveKey(secret, purpose)
    this.#keys.set(name, key)
    return key
  }
}

/** What signs notices, as their receiver is given it: 64 hex digits. Undefined without a secret. */
export function webhookKeyOf(secrets: ClusterSecrets): string | undefined {
  return secrets.isOpen ? undefined : secrets.signingKey('webhook').key.toString('hex')
}
