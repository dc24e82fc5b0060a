/**
 * A node on a machine of its own: its role file, its roles, its engines and its thread for SQLite
 * are the real ones. It can be killed at any event or at any write, and started again over its
 * files.
 */
import { NodeFile } from '../../src/cluster/nodeFile.ts'
import type { NodeRecord } from '../../src/cluster/nodeRecord.ts'
import { asWalcastError } from '../../src/errors.ts'
import { SqliteThread } from '../../src/sqlite/sqliteThread.ts'
import type { NodeSite } from './nodeOptions.ts'
import { NodeProcess } from './nodeProcess.ts'
import { NOBODY } from './scheduler.ts'

const HELD_MS = 200

export class SimulatedNode {
  readonly id: string
  readonly address: string
  readonly folder: string
  readonly path: string
  readonly #site: NodeSite
  /** The role file of its first start. */
  readonly first: NodeRecord
  #lastRecord: NodeRecord | undefined
  /** This machine's clock is so far off. */
  readonly skewMs: number
  /** This machine's monotonic clock runs so fast. */
  readonly clockRate: number
  process: NodeProcess | undefined
  isHeldDown = false
  /** Of one that is down: since when. */
  downSinceMs = 0

  constructor(id: string, site: NodeSite, first: NodeRecord, skewMs: number, clockRate: number) {
    this.id = id
    this.address = `${id}:7400`
    this.folder = `/${id}/app.db-walcast`
    this.path = `/${id}/app.db`
    this.#site = site
    this.first = first
    this.skewMs = skewMs
    this.clockRate = clockRate
  }

  /** The role file, also of a node that is down; undefined before it was first up. */
  get record(): NodeRecord | undefined {
    return this.process?.nodeFileIfOpen?.record ?? this.#lastRecord
  }

  get isUp(): boolean {
    return this.process !== undefined
  }

  /** Not while others decide that it does not lead any more. */
  start(): void {
    if (this.isHeldDown) return void this.#site.scheduler.after(HELD_MS, () => this.start(), NOBODY)
    if (this.isUp) return
    const { scheduler, trace } = this.#site
    const process = new NodeProcess(this, this.#site)
    this.process = process
    trace.add(this.id, 'starts')
    scheduler.after(0, () => void this.#open(process), process)
  }

  /** Its memory is lost, its files stay as they are. */
  kill(): void {
    const { process } = this
    if (!process) return
    this.#site.trace.add(this.id, 'is killed')
    this.#lastRecord = this.record
    this.process = undefined
    this.downSinceMs = this.#site.scheduler.elapsedMs
    process.isAlive = false
    this.#site.network.bury(process)
  }

  /** Its process does nothing for so long. */
  freeze(forMs: number): void {
    const { process } = this
    if (!process) return
    this.#site.trace.add(this.id, `stands still for ${Math.round(forMs)} ms`)
    process.frozenUntilMs = this.#site.scheduler.elapsedMs + forMs
  }

  /** Dies within one of its next writes, or at the latest after `withinMs`. */
  killAtWrite(writes: number, withinMs: number): void {
    const { process } = this
    if (!process) return
    process.writesLeft = writes
    this.#site.scheduler.after(withinMs, () => {
      if (this.process === process) this.kill()
    })
  }

  /** Told of each write of a process to a file. */
  onWrite(process: NodeProcess): void {
    if (this.process === process && process.writesLeft-- <= 0) this.kill()
  }

  /** Ends in order, and is down when it has. */
  stop(): void {
    const { process } = this
    if (!process) return
    this.#site.trace.add(this.id, 'is told to stop')
    this.#site.scheduler.after(0, () => void this.#stop(process), process)
  }

  async #stop(process: NodeProcess): Promise<void> {
    try {
      await process.stop()
    } catch (error) {
      return this.#site.onFatal(this, asWalcastError(error))
    }
    if (this.process === process) this.kill()
  }

  async #open(process: NodeProcess): Promise<void> {
    try {
      const nodeFile = await NodeFile.open(this.folder, this.#site.ops, this.first)
      await process.open(nodeFile, new SqliteThread())
      this.#site.trace.add(this.id, `is up as ${nodeFile.record.role}`)
      if (process.isAlive) this.#site.onUp(this)
    } catch (error) {
      if (process.isAlive) this.#site.onFatal(this, asWalcastError(error))
    }
  }
}
