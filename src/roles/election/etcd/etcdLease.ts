/**
 * The lock service that etcd is (3.4 and later), over its JSON gateway. This file is its surface;
 * `etcdHolding.ts` takes and keeps the lease, `etcdNotes.ts` the note, `etcdWatch.ts` hears of
 * changes, `etcdGateway.ts` finds a member that answers.
 */
import { WalcastError } from '../../../errors.ts'
import type { Lease, LeaseService, LeaseServiceSetup, Look } from '../leaseService.ts'
import { EtcdRefusal, WrongAnswer } from './etcdAnswers.ts'
import type { EtcdCertificates } from './etcdEndpoint.ts'
import { EtcdGateway, type EtcdUser } from './etcdGateway.ts'
import { EtcdHolding } from './etcdHolding.ts'
import { EtcdNotes } from './etcdNotes.ts'
import { probeEtcd } from './etcdProbe.ts'
import { type EtcdKeys, keysOf } from './etcdRequests.ts'
import { watchEtcd } from './etcdWatch.ts'

export interface EtcdSetup extends LeaseServiceSetup {
  /** Origins of its members, such as `https://10.0.0.1:2379`. */
  readonly endpoints: readonly string[]
  readonly certificates?: EtcdCertificates
  readonly user?: EtcdUser
}

/**
 * A watch that hears nothing is made anew after so many TTLs, and not before so many ms: a dead one
 * delays a failover so long at most, and each costs two requests.
 */
const SILENT_TTLS = 3
const SILENT_MIN_MS = 10_000

export class EtcdLease implements LeaseService {
  readonly name: string
  readonly #setup: EtcdSetup
  readonly #keys: EtcdKeys
  readonly #gateway: EtcdGateway
  readonly #holding: EtcdHolding
  readonly #notes: EtcdNotes

  constructor(setup: EtcdSetup) {
    const { endpoints, certificates = {}, user, node, prefix, ttlMs, timeoutMs } = setup
    this.#setup = setup
    this.#keys = keysOf(prefix, node)
    this.#gateway = new EtcdGateway({ endpoints, certificates, user, timeoutMs })
    this.#holding = new EtcdHolding(this.#gateway, this.#keys, { node, ttlMs })
    this.#notes = new EtcdNotes(this.#gateway, this.#keys, ttlMs)
    this.name = this.#gateway.name
  }

  probe(): Promise<void> {
    return this.#plainly(() => probeEtcd(this.#gateway, this.#keys))
  }

  look(): Promise<Look> {
    return this.#plainly(() => this.#holding.look())
  }

  take(mark: string, value: string): Promise<Lease | undefined> {
    return this.#plainly(() => this.#holding.take(mark, value))
  }

  renew(lease: Lease): Promise<Lease | undefined> {
    return this.#plainly(() => this.#holding.renew(lease))
  }

  amend(lease: Lease, value: string): Promise<boolean> {
    return this.#plainly(() => this.#holding.amend(lease, value))
  }

  release(lease: Lease, value?: string): Promise<boolean> {
    return this.#plainly(() => this.#holding.release(lease, value))
  }

  publish(note: string): Promise<void> {
    return this.#plainly(() => this.#notes.publish(note))
  }

  keepNote(): Promise<void> {
    return this.#plainly(() => this.#notes.keep())
  }

  withdrawNote(): Promise<void> {
    return this.#plainly(() => this.#notes.withdraw())
  }

  notes(): Promise<readonly string[]> {
    return this.#plainly(() => this.#notes.all())
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    const { lead, value } = this.#keys
    const { ttlMs, timeoutMs } = this.#setup
    const silentMs = Math.max(SILENT_MIN_MS, SILENT_TTLS * ttlMs)
    void watchEtcd(this.#gateway, { keys: [lead, value], silentMs, timeoutMs }, onChange, signal)
  }

  close(): Promise<void> {
    return this.#gateway.close()
  }

  /** What etcd refuses, or answers wrongly, is ELECTION_AWAY to others. */
  async #plainly<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof WalcastError) throw error
      if (error instanceof EtcdRefusal || error instanceof WrongAnswer)
        throw this.#gateway.away(this.#gateway.textOf(error), error)
      throw error
    }
  }
}
