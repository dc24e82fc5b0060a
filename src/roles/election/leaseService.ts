/**
 * What walcast asks of a lock service: one lease that one node holds at a time, one value beside
 * it, and a note of each candidate. `etcdLease.ts`, `consulLease.ts` and `s3Lease.ts` are such
 * services. None of them knows what the values mean, and none of them looks at a clock for safety:
 * how long a lease counts is the matter of `leaseValidity.ts`.
 *
 * Each call is one attempt. A service that does not answer, answers wrongly or has no leader of its
 * own makes it throw ELECTION_AWAY: whether it was done is not known then.
 */

/** Of the value and of each note, in bytes. */
export const MAX_ELECTION_BYTES = 8 * 1024
/** Notes that a look gives; those beyond are left out. */
export const MAX_CANDIDATE_NOTES = 64

/** The service as it is at one moment. */
export interface Look {
  /** What `take` or `amend` wrote last. It stays when the lease ends. Undefined: never written. */
  readonly value: string | undefined
  readonly isHeld: boolean
  /** Another one whenever the value or who holds the lease changes. For `take`. */
  readonly mark: string
}

export interface Lease {
  /** Of the lease, in the service; for people too. */
  readonly id: string
  /** What the service granted, ms: it may be more than what was asked for. */
  readonly ttlMs: number
  /**
   * By the monotonic clock of this process: when the request was sent that last began or renewed
   * it. The service counts from a later moment.
   */
  readonly sentMs: number
}

export interface LeaseService {
  /** For people: kind and address, without user and password. */
  readonly name: string

  /**
   * Whether the service does what is asked of it here, once before the first use. Throws
   * ELECTION_UNFIT with the reason, or ELECTION_AWAY.
   */
  probe(): Promise<void>

  look(): Promise<Look>

  /**
   * Takes the lease and writes `value`, both or neither, if nobody holds it and nothing has changed
   * since `mark`. Undefined when something has.
   */
  take(mark: string, value: string): Promise<Lease | undefined>

  /** Undefined when the lease has ended, or is somebody else's. */
  renew(lease: Lease): Promise<Lease | undefined>

  /** Writes `value` if the lease is still held. False when it is not. */
  amend(lease: Lease, value: string): Promise<boolean>

  /**
   * Ends the lease at once, and writes `value` with it if one is given: both or neither. False when
   * it had ended already, and nothing was written.
   */
  release(lease: Lease, value?: string): Promise<boolean>

  /** The note of this node, which ends by itself when it is not published again within its TTL. */
  publish(note: string): Promise<void>

  /** Keeps the note from ending, or publishes it again. Called every third of its TTL. */
  keepNote(): Promise<void>

  withdrawNote(): Promise<void>

  /** The notes of all nodes, this one's too. */
  notes(): Promise<readonly string[]>

  /**
   * Calls `onChange` soon after each change of the value or of who holds the lease, and once after
   * each time that it could not tell. Never throws; goes on until `signal` aborts. A service that
   * cannot tell of changes is looked at in its place.
   */
  watch(onChange: () => void, signal: AbortSignal): void

  /** Ends connections. What was taken or published stays until it ends by itself. */
  close(): Promise<void>
}

/** What every service is told. */
export interface LeaseServiceSetup {
  /** Of this node. */
  readonly node: string
  /** Where the keys of this cluster are, such as `walcast/orders`. No slash at either end. */
  readonly prefix: string
  /** What is asked for, ms. */
  readonly ttlMs: number
  /** How long one call may take, ms. */
  readonly timeoutMs: number
}
