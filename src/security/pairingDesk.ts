/**
 * The pairing codes of this node, in memory only: a restart ends them all.
 *
 *     open ── a right proof ──> used by one key ── ten minutes, or another secret ──> expired
 *      └──── five wrong proofs ──> ended
 *
 * A code is good for one key. That key may ask again while the code lives, so that a join that a
 * crash has cut short can run again. Only who proves the secret learns in which state a code is.
 */
import { randomBytes } from '../platform/random.ts'
import { monotonicMs } from '../platform/time.ts'
import { PAIRING_ID_BYTES, PAIRING_SECRET_BYTES } from './pairingCode.ts'
import { isJoinProof, type JoinClaim, type JoinKeys, joinProof } from './pairingProof.ts'

export const CODE_LIFE_MS = 600_000
export const MAX_WRONG_PROOFS = 5
/** Codes that nobody has used yet. */
export const MAX_OPEN_CODES = 8
/** Codes that are remembered, so that who proves one learns why it is refused. */
const MAX_CODES = 64

export interface NewPairing {
  readonly id: string
  readonly secret: Buffer
}

/** `wrong`: the code is unknown, or the proof is. */
export type PairingVerdict =
  | { readonly state: 'wrong' | 'ended' | 'expired' }
  | { readonly state: 'used'; readonly by: string }
  | { readonly state: 'good'; readonly secret: Buffer }

interface Code extends NewPairing {
  untilMs: number
  wrongProofs: number
  /** The key and the node that used it. */
  user: { readonly fingerprint: string; readonly node: string } | undefined
}

/** Proofs of codes that are not known are compared with one of this. */
const NO_SECRET = Buffer.alloc(PAIRING_SECRET_BYTES)

export class PairingDesk {
  /** The oldest first. */
  readonly #codes = new Map<string, Code>()

  /** Undefined while too many are open: see `nextFreeMs`. */
  open(): NewPairing | undefined {
    if (this.#open().length >= MAX_OPEN_CODES) return undefined
    const id = randomBytes(PAIRING_ID_BYTES).toString('hex')
    const secret = randomBytes(PAIRING_SECRET_BYTES)
    const untilMs = monotonicMs() + CODE_LIFE_MS
    this.#codes.set(id, { id, secret, untilMs, wrongProofs: 0, user: undefined })
    for (const known of this.#codes.keys()) {
      if (this.#codes.size <= MAX_CODES) break
      this.#codes.delete(known)
    }
    return { id, secret }
  }

  /** Time until the oldest open code expires; 0 when none is open. */
  get nextFreeMs(): number {
    const [oldest] = this.#open()
    return oldest === undefined ? 0 : oldest.untilMs - monotonicMs()
  }

  /** Judges a proof and counts a wrong one. A good one changes nothing: see `use`. */
  judge(claim: JoinClaim, keys: JoinKeys, proof: string): PairingVerdict {
    const code = this.#codes.get(claim.code)
    const isRight = isJoinProof(proof, joinProof(code?.secret ?? NO_SECRET, claim, keys))
    if (!code) return { state: 'wrong' }
    if (!isRight) {
      code.wrongProofs++
      return { state: 'wrong' }
    }
    if (code.wrongProofs >= MAX_WRONG_PROOFS) return { state: 'ended' }
    if (monotonicMs() >= code.untilMs) return { state: 'expired' }
    const { user, secret } = code
    if (user && user.fingerprint !== keys.client) return { state: 'used', by: user.node }
    return { state: 'good', secret }
  }

  /** To be called right after a good verdict, with no wait between: the code is this key's. */
  use(id: string, fingerprint: string, node: string): void {
    const code = this.#codes.get(id)
    if (code) code.user = { fingerprint, node }
  }

  /** All codes expire now: who has made them may have been no friend. */
  expireAll(): void {
    const nowMs = monotonicMs()
    for (const code of this.#codes.values()) code.untilMs = Math.min(code.untilMs, nowMs)
  }

  #open(): Code[] {
    const nowMs = monotonicMs()
    return [...this.#codes.values()].filter(
      ({ user, wrongProofs, untilMs }) =>
        user === undefined && wrongProofs < MAX_WRONG_PROOFS && nowMs < untilMs,
    )
  }
}
