/**
 * The lock service as one cluster's nodes see it. The id of the cluster is part of the keys, and a
 * new replica learns it from its leader: until then the service counts as away.
 */
import { WalcastError } from '../../errors.ts'
import type { Lease, LeaseService, LeaseServiceSetup, Look } from './leaseService.ts'

export interface ClusterLeaseParts extends Omit<LeaseServiceSetup, 'prefix' | 'node'> {
  open(setup: LeaseServiceSetup): LeaseService
  /** '' before it is known. */
  cluster(): string
  node(): string
  /** What the keys begin with, before the id of the cluster. */
  readonly prefix: string
}

export class ClusterLease implements LeaseService {
  readonly #parts: ClusterLeaseParts
  #opened: LeaseService | undefined

  constructor(parts: ClusterLeaseParts) {
    this.#parts = parts
  }

  get isKnown(): boolean {
    return this.#parts.cluster() !== ''
  }

  get name(): string {
    return this.#opened?.name ?? 'the lock service'
  }

  async probe(): Promise<void> {
    await this.#service.probe()
  }

  async look(): Promise<Look> {
    return this.#service.look()
  }

  async take(mark: string, value: string): Promise<Lease | undefined> {
    return this.#service.take(mark, value)
  }

  async renew(lease: Lease): Promise<Lease | undefined> {
    return this.#service.renew(lease)
  }

  async amend(lease: Lease, value: string): Promise<boolean> {
    return this.#service.amend(lease, value)
  }

  async release(lease: Lease, value?: string): Promise<boolean> {
    return this.#service.release(lease, value)
  }

  async publish(note: string): Promise<void> {
    await this.#service.publish(note)
  }

  async keepNote(): Promise<void> {
    await this.#service.keepNote()
  }

  async withdrawNote(): Promise<void> {
    await this.#service.withdrawNote()
  }

  async notes(): Promise<readonly string[]> {
    return this.#service.notes()
  }

  watch(onChange: () => void, signal: AbortSignal): void {
    this.#service.watch(onChange, signal)
  }

  async close(): Promise<void> {
    await this.#opened?.close()
  }

  get #service(): LeaseService {
    if (this.#opened) return this.#opened
    const { open, cluster, node, prefix, ttlMs, timeoutMs } = this.#parts
    const id = cluster()
    if (id === '')
      throw new WalcastError('ELECTION_AWAY', {
        service: this.name,
        detail: 'the id of the cluster is not known before the first copy',
      })
    this.#opened = open({ node: node(), prefix: `${prefix}/${id}`, ttlMs, timeoutMs })
    return this.#opened
  }
}
