/**
 * What a Consul of the tests keeps: keys, sessions that end at twice their TTL, one index that
 * counts all changes. The words of failures are those of Consul's source.
 */
import { randomUUID } from 'node:crypto'

export interface Session {
  readonly ID: string
  readonly Name: string
  readonly TTL: string
  readonly Behavior: string
  /** Nanoseconds. */
  readonly LockDelay: number
  readonly NodeChecks: readonly string[]
}

export interface Entry {
  readonly Key: string
  readonly Value: string | null
  readonly Flags: number
  readonly Session?: string
  readonly LockIndex: number
  readonly CreateIndex: number
  readonly ModifyIndex: number
}

export interface Operation {
  readonly Verb: string
  readonly Key: string
  readonly Value?: string
  readonly Flags?: number
  readonly Index?: number
  readonly Session?: string
}

export interface Outcome {
  readonly results: readonly { readonly KV: Entry }[]
  readonly errors: readonly { readonly OpIndex: number; readonly What: string }[]
}

/** `structs.SessionTTLMultiplier` of Consul's source. */
const TTL_MULTIPLIER = 2

export class ConsulStore {
  readonly sessions = new Map<string, Session>()
  readonly #timers = new Map<string, NodeJS.Timeout>()
  readonly #onChange: () => void
  #entries = new Map<string, Entry>()
  #tombstones = new Map<string, number>()
  #index = 10

  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  get entries(): readonly Entry[] {
    return [...this.#entries.values()]
  }

  /** Of the last change of a key that matches, or of all. */
  indexOf(matches: (key: string) => boolean): number {
    const changes = this.entries.map(({ Key, ModifyIndex }) => [Key, ModifyIndex] as const)
    const all = [...changes, ...this.#tombstones].filter(([key]) => matches(key))
    return Math.max(0, ...all.map(([, index]) => index)) || this.#index
  }

  begin(session: Omit<Session, 'ID'>): Session {
    const begun = { ID: randomUUID(), ...session }
    this.#index++
    this.sessions.set(begun.ID, begun)
    this.renew(begun)
    return begun
  }

  /** Counts the TTL anew. */
  renew({ ID, TTL }: Session): void {
    clearTimeout(this.#timers.get(ID))
    const end = setTimeout(() => this.end(ID), TTL_MULTIPLIER * millis(TTL))
    this.#timers.set(ID, end.unref())
  }

  end(id: string): void {
    const session = this.sessions.get(id)
    if (!session) return
    this.#forget(id)
    this.#write(() => {
      for (const entry of this.entries) {
        if (entry.Session !== id) continue
        if (session.Behavior === 'delete') this.#delete(entry.Key)
        else this.#set({ ...entry, Session: undefined })
      }
    })
  }

  remove(key: string): void {
    this.#write(() => this.#delete(key))
  }

  clear(): void {
    for (const id of [...this.sessions.keys()]) this.#forget(id)
    this.#entries = new Map()
    this.#tombstones = new Map()
    this.#index = 10
  }

  stop(): void {
    for (const id of [...this.sessions.keys()]) this.#forget(id)
  }

  /** All or nothing, unless `isTorn`. */
  transact(operations: readonly { readonly KV: Operation }[], isTorn: boolean): Outcome {
    const [entries, tombstones] = [new Map(this.#entries), new Map(this.#tombstones)]
    const results: { KV: Entry }[] = []
    const errors: { OpIndex: number; What: string }[] = []
    this.#index++
    for (const [OpIndex, { KV }] of operations.entries()) {
      const outcome = this.#apply(KV)
      if (typeof outcome === 'string') errors.push({ OpIndex, What: outcome })
      else if (outcome) results.push({ KV: { ...outcome, Value: null } })
    }
    if (errors.length > 0 && !isTorn) [this.#entries, this.#tombstones] = [entries, tombstones]
    else this.#onChange()
    return { results, errors }
  }

  #forget(id: string): void {
    clearTimeout(this.#timers.get(id))
    this.#timers.delete(id)
    this.sessions.delete(id)
  }

  /** Why not, or the entry as it is now; undefined after a removal. */
  #apply(op: Operation): Entry | string | undefined {
    const { Verb, Key, Session } = op
    const there = this.#entries.get(Key)
    const asAsked = { Key, Value: op.Value ?? null, Flags: op.Flags ?? 0 }
    const lockIndex = there?.LockIndex ?? 0
    switch (Verb) {
      case 'set':
        return this.#set({ ...asAsked, Session: there?.Session, LockIndex: lockIndex })
      case 'cas':
        if ((op.Index ?? 0) !== (there?.ModifyIndex ?? 0))
          return `failed to set key "${Key}", index is stale`
        return this.#set({ ...asAsked, Session: there?.Session, LockIndex: lockIndex })
      case 'delete':
        this.#delete(Key)
        return undefined
      case 'lock':
        if (!Session || !this.sessions.has(Session)) return `invalid session "${Session}"`
        if (there?.Session !== undefined && there.Session !== Session)
          return `failed to lock key "${Key}", lock is already held`
        return this.#set({
          ...asAsked,
          Session,
          LockIndex: there?.Session === Session ? lockIndex : lockIndex + 1,
        })
      case 'check-session':
        if (!there) return `failed to check session, key "${Key}" doesn't exist`
        if ((there.Session ?? '') !== Session)
          return [
            `failed session check for key "${Key}", `,
            `current session "${there.Session ?? ''}" != "${Session}"`,
          ].join('')
        return there
      default:
        return `unknown KV verb "${Verb}"`
    }
  }

  #set(
    entry: Omit<Entry, 'CreateIndex' | 'ModifyIndex' | 'Session'> & {
      Session?: string | undefined
    },
  ): Entry {
    const { Session, ...rest } = entry
    const there = this.#entries.get(entry.Key)
    const isSame =
      there !== undefined &&
      there.Value === entry.Value &&
      there.Flags === entry.Flags &&
      there.Session === Session &&
      there.LockIndex === entry.LockIndex
    if (isSame) return there
    const made = {
      ...rest,
      ...(Session === undefined ? {} : { Session }),
      CreateIndex: there?.CreateIndex ?? this.#index,
      ModifyIndex: this.#index,
    }
    this.#entries.set(entry.Key, made)
    return made
  }

  #delete(key: string): void {
    if (this.#entries.delete(key)) this.#tombstones.set(key, this.#index)
  }

  #write(change: () => void): void {
    this.#index++
    change()
    this.#onChange()
  }
}

/** `300ms` or `15s`. */
export function millis(text: string): number {
  const [, amount, unit] = /^(\d+)(ms|s|m)$/.exec(text) ?? []
  return Number(amount) * { ms: 1, s: 1000, m: 60_000 }[unit as 'ms' | 's' | 'm']
}
