/**
 * What an application writes: orders that change their state, and a line in a journal for each
 * change. Text as people and programs write it, so that it compresses as theirs does. The same
 * numbers come each time, so two systems get the same commits.
 */
import type Database from 'better-sqlite3'

export const PAGE_BYTES = 4096
/** Rows of orders as they lie in the file, with their index. */
const BYTES_OF_ORDER = 285
const ORDERS_AT_ONCE = 20_000
const STATES = ['new', 'paid', 'packed', 'shipped', 'delivered', 'returned']
const WORDS = (
  'order customer please deliver before noon ring at the second door neighbour parcel left ' +
  'invoice address corrected blue large small paid twice refund asked by mail phone call again ' +
  'gift wrapped note missing box damaged replaced shop garden bicycle lamp chair table shelf'
).split(' ')

export class OrderTraffic {
  readonly #db: Database.Database
  readonly #orders: number
  readonly #change: Database.Transaction<(order: number, commit: number) => void>
  #seed = 1

  /** Makes the tables, and orders that fill `megabytes`, in an empty database in WAL mode. */
  constructor(db: Database.Database, megabytes: number) {
    this.#db = db
    this.#orders = Math.max(1, Math.ceil((megabytes * 1e6) / BYTES_OF_ORDER))
    this.#fill()
    const update = db.prepare('UPDATE orders SET state = ?, changed = ?, note = ? WHERE id = ?')
    const insert = db.prepare('INSERT INTO journal(at, order_id, text) VALUES (?, ?, ?)')
    this.#change = db.transaction((order: number, commit: number) => {
      const state = STATES[this.#below(STATES.length)]
      update.run(state, commit, this.#text(20), order)
      insert.run(
        commit,
        order,
        `{"state":"${state}","by":${this.#below(500)},"why":"${this.#text(6)}"}`,
      )
    })
  }

  /** One commit: a random order changes, and a line is added. */
  commit(number: number): void {
    this.#change(1 + this.#below(this.#orders), number)
  }

  #fill(): void {
    this.#db.exec(`
      CREATE TABLE orders(id INTEGER PRIMARY KEY, customer INTEGER, state TEXT, changed INTEGER,
        reference TEXT, note TEXT);
      CREATE INDEX orders_by_customer ON orders(customer);
      CREATE TABLE journal(id INTEGER PRIMARY KEY, at INTEGER, order_id INTEGER, text TEXT)`)
    const insert = this.#db.prepare(
      "INSERT INTO orders(customer, state, changed, reference, note) VALUES (?, 'new', 0, ?, ?)",
    )
    const some = this.#db.transaction((count: number) => {
      for (let i = 0; i < count; i++)
        insert.run(this.#below(50_000), this.#next().toString(36).padStart(24, 'r'), this.#text(30))
    })
    for (let left = this.#orders; left > 0; left -= ORDERS_AT_ONCE)
      some(Math.min(left, ORDERS_AT_ONCE))
  }

  #text(words: number): string {
    return Array.from({ length: words }, () => WORDS[this.#below(WORDS.length)]).join(' ')
  }

  #below(bound: number): number {
    return this.#next() % bound
  }

  /** A 31-bit number: mulberry32. */
  #next(): number {
    this.#seed = (this.#seed + 0x6d2b79f5) | 0
    let mixed = Math.imul(this.#seed ^ (this.#seed >>> 15), 1 | this.#seed)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return (mixed ^ (mixed >>> 14)) >>> 1
  }
}
