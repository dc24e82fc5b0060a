/**
 * `FILE-walcast/peers.json`: the replicas that a node has met. After a restart the node still
 * reports a replica that is away. The file serves people and the status only: replication does not
 * depend on it, so a broken or missing file costs the list and no more.
 */
import type { Logger } from 'pino'
import { messageOf, systemCode } from '../errors.ts'
import { MAX_REMEMBERED, type ReplicaList } from '../feed/replicaList.ts'
import type { Peer } from '../feed/replicaStatus.ts'
import { isNodeId } from '../nodeId.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { readFileSync, rmSync, statSync } from '../platform/files.ts'
import { cancelTimer, setRepeatingTimer, setTimer, type Timer } from '../platform/time.ts'

const FORMAT = 1
/** No file of ours is larger: texts and the number of entries are bounded. */
const MAX_BYTES = 4 * 1024 * 1024
/** Changes within this time go into one write. */
const GATHER_MS = 100
/** How often changed positions are written. */
const MOVED_MS = 10_000
/** How often the file is written for the times of last contact alone. */
const AGE_MS = 300_000

/** The peers in a node folder; none without a file. Logs an unusable file and returns none. */
export function readPeers(folder: string, log: Logger): Peer[] {
  const path = pathIn(folder)
  try {
    const size = statSync(path).size
    if (size > MAX_BYTES) throw new Error(`${size} bytes are too many`)
    const { peers, damaged } = parsePeers(readFileSync(path, 'utf8'))
    if (damaged > 0)
      log.warn({ path, damaged }, 'some remembered replicas cannot be read; going on without')
    return peers
  } catch (error) {
    if (systemCode(error) !== 'ENOENT')
      log.warn(
        { path, error: messageOf(error) },
        'the remembered replicas cannot be read; starting with none',
      )
    return []
  }
}

/** Leaves out incomplete entries. Throws when the text has another format. */
export function parsePeers(text: string): { readonly peers: Peer[]; readonly damaged: number } {
  const value: { format?: unknown; peers?: unknown } = Object(JSON.parse(text))
  if (value.format !== FORMAT || typeof value.peers !== 'object' || value.peers === null)
    throw new Error('it is of another format')
  const entries = Object.entries(value.peers).slice(0, MAX_REMEMBERED)
  const peers = entries.flatMap(([node, fields]) => parsePeer(node, Object(fields)) ?? [])
  return { peers, damaged: entries.length - peers.length }
}

function parsePeer(node: string, fields: Partial<Record<keyof Peer, unknown>>): Peer | undefined {
  const { address, via, epoch, txid, lagMs, lastSeen } = fields
  const isWhole =
    isNodeId(node) &&
    typeof address === 'string' &&
    (via === undefined || typeof via === 'string') &&
    isPlace(epoch) &&
    isPlace(txid) &&
    isCount(lagMs) &&
    typeof lastSeen === 'string' &&
    Number.isFinite(Date.parse(lastSeen))
  if (!isWhole) return undefined
  return { node, address, epoch, txid, lagMs, lastSeen, ...(via === undefined ? {} : { via }) }
}

/** Null for a replica that has never told its position. */
function isPlace(value: unknown): value is number | null {
  return value === null || isCount(value)
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/**
 * The folder gets a new node id, and the new node never met these replicas. Only while no node
 * runs.
 */
export function forgetPeers(folder: string): void {
  rmSync(pathIn(folder), { force: true })
}

function formatPeers(peers: readonly Peer[]): string {
  const byNode = Object.fromEntries(peers.map(({ node, ...rest }) => [node, rest]))
  return `${JSON.stringify({ format: FORMAT, peers: byNode }, null, 2)}\n`
}

function pathIn(folder: string): string {
  return `${folder}/peers.json`
}

/**
 * Writes the list to the file: soon after a replica comes or goes, now and then while positions
 * move, and at stop.
 */
export class PeersFile {
  readonly #path: string
  readonly #ops: FileOps
  readonly #log: Logger
  readonly #list: ReplicaList
  readonly #moved: Timer
  readonly #onChanged = (): void => this.#saveSoon()
  #gathering: Timer | undefined
  #saving: Promise<void> = Promise.resolve()
  #next: Promise<void> | undefined
  /** Positions and addresses of the last write. */
  #written: string
  #hasFailed = false
  #ticks = 0

  constructor(folder: string, ops: FileOps, log: Logger, list: ReplicaList) {
    this.#path = pathIn(folder)
    this.#ops = ops
    this.#log = log
    this.#list = list
    this.#written = placesOf(list.peers())
    this.#moved = setRepeatingTimer(() => this.#saveMoved(), MOVED_MS)
    list.on('changed', this.#onChanged)
  }

  /** Writes the list. Never throws: logs the first of several failures in a row. */
  save(): Promise<void> {
    cancelTimer(this.#gathering)
    this.#gathering = undefined
    // A write that waits for a slow disk includes all changes until it begins.
    this.#next ??= this.#saving.then(() => {
      this.#next = undefined
      return this.#save()
    })
    this.#saving = this.#next
    return this.#saving
  }

  /**
   * Removes an absent replica from the list and the file. Throws REPLICA_UNKNOWN or
   * REPLICA_CONNECTED.
   */
  async forget(node: string): Promise<void> {
    this.#list.forget(node)
    await this.save()
  }

  /** Writes the file a last time. */
  async stop(): Promise<void> {
    cancelTimer(this.#moved)
    this.#list.off('changed', this.#onChanged)
    if (this.#gathering || this.#isMoved || this.#list.peers().length > 0) await this.save()
    await this.#saving
  }

  get #isMoved(): boolean {
    return this.#written !== placesOf(this.#list.peers())
  }

  #saveSoon(): void {
    this.#gathering ??= setTimer(() => void this.save(), GATHER_MS)
  }

  #saveMoved(): void {
    const isOld = ++this.#ticks % (AGE_MS / MOVED_MS) === 0 && this.#list.links().length > 0
    if (isOld || this.#isMoved) void this.save()
  }

  async #save(): Promise<void> {
    try {
      const peers = this.#list.peers()
      await this.#ops.replace(this.#path, formatPeers(peers))
      this.#written = placesOf(peers)
      this.#hasFailed = false
    } catch (error) {
      if (!this.#hasFailed)
        this.#log.warn(
          { path: this.#path, error: messageOf(error) },
          'cannot write the remembered replicas',
        )
      this.#hasFailed = true
    }
  }
}

/** The fields whose change is worth a write. The time of last contact changes all the time. */
function placesOf(peers: readonly Peer[]): string {
  const places = peers.map(({ node, address, via, epoch, txid }) => [
    node,
    address,
    via ?? '',
    epoch,
    txid,
  ])
  return JSON.stringify(places.sort(([a], [b]) => (String(a) < String(b) ? -1 : 1)))
}
