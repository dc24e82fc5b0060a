/**
 * How a node is taken into a cluster. `POST /_walcast/pair` makes a code. With it another host asks
 * `POST /_walcast/join`, over TLS, with the key that it wants to be known by.
 */
import type { JoinClaim, JoinKeys } from '../security/pairingProof.ts'

export const PAIR_PATH = '/_walcast/pair'
export const JOIN_PATH = '/_walcast/join'

/** Dark modules of a QR code as an SVG path, in a square with sides of `size`. */
export interface QrDrawing {
  readonly size: number
  readonly path: string
}

export interface PairAnswer {
  /** The code itself. It is shown this once. */
  readonly code: string
  /** The part of it that names it, and is no secret. */
  readonly id: string
  readonly node: string
  /** HOST:PORT in the code. */
  readonly address: string
  /** How long it is good. */
  readonly expiresMs: number
  /** `joinCommand` of it for a camera, when `qr` was asked for. As secret as the code. */
  readonly qr?: QrDrawing
}

/** What the operator of a new host runs. The two names are those of the new host. */
export function joinCommand(code: string): string {
  return `walcast join ${code} --db FILE --listen HOST:PORT`
}

export interface JoinAnswer {
  /** A `JoinBundle` as JSON, sealed with a key that is derived from the code. */
  readonly sealed: string
}

/** What a node that joins is given. */
export interface JoinBundle {
  readonly cluster: string
  /** HOST:PORT of the leader, or of a node that feeds the new one. */
  readonly leader: string
  /** The trust record as text (`trustFormat.ts`). */
  readonly trust: string
}

export interface PairingDoor {
  /** Throws PAIRING_WITHOUT_SECRET, PAIRING_FULL or STARTING. `by`: who asks. */
  pair(by: string): PairAnswer
  /**
   * The answer to a host at `from` that proves a code. The new member is durable when it resolves.
   * Throws what refuses it, with the reason.
   */
  join(claim: JoinClaim, proof: string, caller: JoinCaller): Promise<JoinAnswer>
}

/** Who asks to join, as the connection tells. */
export interface JoinCaller {
  readonly keys: JoinKeys
  /** Whether the operator's authority vouches for its certificate. */
  readonly isVerified: boolean
  readonly from: string
}
