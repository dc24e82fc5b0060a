/**
 * Files in memory, of all machines of a simulation: what of node:fs the source uses. They outlive
 * the processes that write them; what a dead process still does leaves no trace in them.
 *
 * A file has an inode of its own as long as the test process lives: descriptors of database files
 * are pinned by it.
 */
import { EventEmitter } from 'node:events'
import { constants } from 'node:fs'
import type { FileSource } from '../../src/platform/files.ts'
import type { Owner, Scheduler } from './scheduler.ts'
import type { SeededRandom } from './seededRandom.ts'

export const DEVICE = 0x801n
const FIRST_FD = 1_000_000
let lastInode = 0

export interface Inode {
  readonly number: number
  readonly isFolder: boolean
  mode: number
  bytes: Buffer
  size: number
  readonly watchers: Set<Watcher>
}

interface Watcher {
  readonly owner: Owner
  readonly emitter: EventEmitter
  readonly onEvent: () => void
  isPending: boolean
}

/** What files of `/proc` hold, by their path. */
export type ProcFiles = Readonly<Record<string, () => string>>

/** A file event comes so late. */
const EVENT_MS = 0.03
const READ_MS = 0.05
const SYNC_MS = [0.3, 4] as const

export class MemoryFiles {
  readonly #scheduler: Scheduler
  readonly #random: SeededRandom
  readonly #proc: ProcFiles
  readonly #inodes = new Map<string, Inode>()
  readonly #open = new Map<number, Inode>()
  #nextFd = FIRST_FD
  /** Called before each write, with the process that writes: it may end there. */
  readonly #beforeWrite: (owner: Owner) => void

  constructor(
    scheduler: Scheduler,
    random: SeededRandom,
    proc: ProcFiles,
    beforeWrite: (owner: Owner) => void,
  ) {
    this.#scheduler = scheduler
    this.#random = random
    this.#proc = proc
    this.#beforeWrite = beforeWrite
  }

  /** Undefined when nothing has that name. */
  at(path: string): Inode | undefined {
    return this.#inodes.get(path)
  }

  /** A file of this name, made if there is none. */
  make(path: string, mode = 0o644, isFolder = false): Inode {
    const known = this.#inodes.get(path)
    if (known) return known
    const inode = {
      number: ++lastInode,
      isFolder,
      mode,
      bytes: Buffer.alloc(0),
      size: 0,
      watchers: new Set<Watcher>(),
    }
    this.#inodes.set(path, inode)
    return inode
  }

  descriptor(inode: Inode): number {
    const fd = this.#nextFd++
    this.#open.set(fd, inode)
    return fd
  }

  remove(path: string): void {
    this.#inodes.delete(path)
  }

  /** All of node:fs that the source uses; overloads that it does not use are not there. */
  get source(): FileSource {
    return { ...this.#metadata(), ...this.#content(), ...this.#aside() } as unknown as FileSource
  }

  /** Whether the process whose event happens may still change something. */
  get #mayWrite(): boolean {
    if (this.#scheduler.owner.isAlive) this.#beforeWrite(this.#scheduler.owner)
    return this.#scheduler.owner.isAlive
  }

  #metadata() {
    const stat = (inode: Inode, isBig: boolean) => ({
      dev: isBig ? DEVICE : Number(DEVICE),
      ino: isBig ? BigInt(inode.number) : inode.number,
      size: inode.size,
      mode: inode.mode,
      uid: process.geteuid?.() ?? 0,
      gid: process.getegid?.() ?? 0,
      nlink: 1,
      isFile: () => !inode.isFolder,
      isDirectory: () => inode.isFolder,
      isSymbolicLink: () => false,
    })
    const statSync = (
      path: string,
      options: { bigint?: boolean; throwIfNoEntry?: boolean } = {},
    ) =>
      options.throwIfNoEntry === false && !this.#inodes.has(path)
        ? undefined
        : stat(this.#named(path), options.bigint ?? false)
    const renameSync = (from: string, to: string) => {
      const inode = this.#named(from)
      if (!this.#mayWrite) return
      for (const path of [...this.#inodes.keys()])
        if (path.startsWith(`${from}/`)) this.#move(path, to + path.slice(from.length))
      this.#inodes.delete(from)
      this.#inodes.set(to, inode)
    }
    const rmSync = (path: string, { force = false } = {}) => {
      if (!force) this.#named(path)
      if (!this.#mayWrite) return
      for (const each of [...this.#inodes.keys()])
        if (each === path || each.startsWith(`${path}/`)) this.#inodes.delete(each)
    }
    return {
      statSync,
      lstatSync: statSync,
      fstatSync: (fd: number, options: { bigint?: boolean } = {}) =>
        stat(this.#opened(fd), options.bigint ?? false),
      existsSync: (path: string) => this.#inodes.has(path),
      realpathSync: (path: string) => (this.#named(path) ? path : ''),
      readlinkSync: (path: string) => this.#procFile(path) ?? fail('EINVAL', path),
      readdirSync: (path: string) => this.#namesIn(path),
      mkdirSync: (path: string) => void this.make(path, 0o700, true),
      renameSync,
      rmSync,
      unlinkSync: (path: string) => rmSync(path),
      linkSync: (from: string, to: string) => {
        if (this.#inodes.has(to)) fail('EEXIST', to)
        if (this.#mayWrite) this.#inodes.set(to, this.#named(from))
      },
      chmodSync: (path: string, mode: number) => {
        const fd = /^\/proc\/self\/fd\/(\d+)$/.exec(path)?.[1]
        const inode = fd === undefined ? this.#named(path) : this.#opened(Number(fd))
        inode.mode = mode
      },
      fchmodSync: (fd: number, mode: number) => {
        this.#opened(fd).mode = mode
      },
      lchownSync: () => {},
      fchownSync: () => {},
    }
  }

  #content() {
    return {
      openSync: (path: string, flags: number | string, mode = 0o666) =>
        this.#openFile(path, numberOf(flags), mode),
      closeSync: (fd: number) => void this.#open.delete(fd),
      readSync: (fd: number, into: Uint8Array, at: number, length: number, position: number) =>
        this.#read(this.#opened(fd), into, at, length, position),
      writeSync: (
        fd: number,
        bytes: Uint8Array,
        at = 0,
        length = bytes.length - at,
        position = 0,
      ) => {
        this.write(this.#opened(fd), bytes.subarray(at, at + length), position)
        return length
      },
      ftruncateSync: (fd: number, size = 0) => {
        if (this.#mayWrite) this.truncate(this.#opened(fd), size)
      },
      readFileSync: (path: string, options?: BufferEncoding | { encoding?: BufferEncoding }) => {
        const encoding = typeof options === 'string' ? options : options?.encoding
        const bytes = this.#whole(path)
        return encoding ? bytes.toString(encoding) : bytes
      },
      fsyncSync: () => {},
      fdatasyncSync: () => {},
      watch: (path: string, onEvent: () => void) => this.#watch(this.#named(path), onEvent),
    }
  }

  #aside() {
    const synced = () => this.#later(this.#random.between(...SYNC_MS), () => {})
    return {
      fsyncAside: synced,
      fdatasyncAside: synced,
      readAside: (fd: number, into: Buffer, at: number, length: number, position: number) =>
        this.#later(READ_MS, () => ({
          bytesRead: this.#read(this.#opened(fd), into, at, length, position),
          buffer: into,
        })),
      writeAside: (fd: number, bytes: Buffer, at: number, length: number, position: number) =>
        this.#later(READ_MS, () => {
          this.write(this.#opened(fd), bytes.subarray(at, at + length), position)
          return { bytesWritten: length, buffer: bytes }
        }),
      renameAside: (from: string, to: string) =>
        this.#later(READ_MS, () => this.#metadata().renameSync(from, to)),
      openAside: async (path: string, flags: number | string, mode = 0o666) => {
        const fd = this.#openFile(path, numberOf(flags), mode)
        return {
          fd,
          writeFile: async (text: string | Uint8Array) =>
            this.write(this.#opened(fd), Buffer.from(text), 0),
          chmod: async () => {},
          sync: synced,
          close: async () => void this.#open.delete(fd),
        }
      },
    }
  }

  #later<T>(afterMs: number, work: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#scheduler.after(afterMs, () => {
        try {
          resolve(work())
        } catch (error) {
          reject(error)
        }
      })
    })
  }

  #openFile(path: string, flags: number, mode: number): number {
    const known = this.#inodes.get(path)
    if (known && flags & constants.O_EXCL) fail('EEXIST', path)
    const inode = known ?? (flags & constants.O_CREAT ? this.make(path, mode) : this.#named(path))
    if (flags & constants.O_TRUNC && this.#mayWrite) this.truncate(inode, 0)
    return this.descriptor(inode)
  }

  #read(inode: Inode, into: Uint8Array, at: number, length: number, position: number): number {
    const end = Math.min(inode.size, position + length)
    if (end <= position) return 0
    return inode.bytes.copy(into, at, position, end)
  }

  /** As the process whose event happens; nothing when that is dead. */
  write(inode: Inode, bytes: Uint8Array, position: number): void {
    if (!this.#mayWrite) return
    const end = position + bytes.length
    if (end > inode.bytes.length) {
      const larger = Buffer.alloc(Math.max(end, 2 * inode.bytes.length, 4096))
      inode.bytes.copy(larger, 0, 0, inode.size)
      inode.bytes = larger
    }
    inode.bytes.set(bytes, position)
    inode.size = Math.max(inode.size, end)
    this.#notify(inode)
  }

  /** The same of what is cut off or added at the end. */
  truncate(inode: Inode, size: number): void {
    if (!this.#scheduler.owner.isAlive) return
    if (size < inode.size) inode.bytes.fill(0, size, inode.size)
    else if (size > inode.bytes.length) inode.bytes = Buffer.concat([inode.bytes], size)
    inode.size = size
    this.#notify(inode)
  }

  #watch(inode: Inode, onEvent: () => void): EventEmitter {
    const emitter = new EventEmitter()
    const watcher = { owner: this.#scheduler.owner, emitter, onEvent, isPending: false }
    inode.watchers.add(watcher)
    return Object.assign(emitter, { close: () => void inode.watchers.delete(watcher) })
  }

  /** Events of the same file that nobody has taken yet are one. */
  #notify(inode: Inode): void {
    for (const watcher of inode.watchers) {
      if (!watcher.owner.isAlive) inode.watchers.delete(watcher)
      if (watcher.isPending) continue
      watcher.isPending = true
      const tell = () => {
        watcher.isPending = false
        if (inode.watchers.has(watcher)) watcher.onEvent()
      }
      this.#scheduler.after(EVENT_MS, tell, watcher.owner)
    }
  }

  #move(from: string, to: string): void {
    const inode = this.#named(from)
    this.#inodes.delete(from)
    this.#inodes.set(to, inode)
  }

  #namesIn(folder: string): string[] {
    this.#named(folder)
    return [...this.#inodes.keys()]
      .filter(
        (path) => path.startsWith(`${folder}/`) && !path.slice(folder.length + 1).includes('/'),
      )
      .map((path) => path.slice(folder.length + 1))
      .sort()
  }

  #whole(path: string): Buffer {
    const text = this.#procFile(path)
    if (text !== undefined) return Buffer.from(text, 'latin1')
    const inode = this.#named(path)
    return Buffer.from(inode.bytes.subarray(0, inode.size))
  }

  #procFile(path: string): string | undefined {
    return path.startsWith('/proc/') ? this.#proc[path]?.() : undefined
  }

  #named(path: string): Inode {
    return this.#inodes.get(path) ?? fail('ENOENT', path)
  }

  #opened(fd: number): Inode {
    return this.#open.get(fd) ?? fail('EBADF', String(fd))
  }
}

const FLAGS: Readonly<Record<string, number>> = {
  r: constants.O_RDONLY,
  'r+': constants.O_RDWR,
  w: constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC,
  wx: constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL,
}

function numberOf(flags: number | string): number {
  return typeof flags === 'number' ? flags : FLAGS[flags]
}

function fail(code: string, path: string): never {
  throw Object.assign(new Error(`${code}: ${path}`), { code })
}
