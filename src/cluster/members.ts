/**
 * The other nodes of the cluster that this one has met or heard of: whom to ask who leads. Kept in
 * the role file.
 */
import type { Logger } from 'pino'
import { messageOf } from '../errors.ts'
import { cancelTimer, setTimer, type Timer } from '../platform/time.ts'
import { MAX_MEMBERS, type Member, type NodeFile } from './nodeFile.ts'

/** Nodes that come together are written together. */
const GATHER_MS = 100

export class Members {
  readonly #file: NodeFile
  readonly #log: Logger
  /** Addresses that an operator gave: asked too, whoever is there. */
  readonly #given: readonly string[]
  readonly #addresses: Map<string, string>
  #timer: Timer | undefined
  #saving: Promise<void> = Promise.resolve()
  /** One came, moved or was forgotten. */
  onChanged: (change: Member & { readonly gone: boolean }) => void = () => {}

  constructor(file: NodeFile, log: Logger, given: readonly string[]) {
    this.#file = file
    this.#log = log
    this.#given = given
    this.#addresses = new Map(file.record.members.map(({ node, address }) => [node, address]))
  }

  list(): Member[] {
    return [...this.#addresses].map(([node, address]) => ({ node, address }))
  }

  /** Where nodes may be, each address once. */
  addresses(): string[] {
    return [...new Set([...this.#given, ...this.#addresses.values()])]
  }

  addressOf(node: string): string | undefined {
    return this.#addresses.get(node)
  }

  /** Cheap when nothing of it is new. The one known for longest makes room. */
  learn(node: string, address: string): void {
    if (node === '' || address === '' || node === this.#file.record.node) return
    if (this.#addresses.get(node) === address) return
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

  /** Writes what is not written yet. */
  async stop(): Promise<void> {
    if (this.#timer) this.#save()
    await this.#saving
  }

  #changed(change: Member & { readonly gone: boolean }): void {
    this.#timer ??= setTimer(() => this.#save(), GATHER_MS)
    this.onChanged(change)
  }

  /** A failure costs what a restart would know: the next change tries again. */
  #save(): void {
    cancelTimer(this.#timer)
    this.#timer = undefined
    this.#saving = this.#file.update({ members: this.list() }).catch((error) => {
      this.#log.warn(
        { error: messageOf(error) },
        'the nodes of the cluster could not be written down',
      )
    })
  }
}
