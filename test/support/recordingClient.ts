/**
 * Clients of a bank (programs/bankApp.ts) that use the proxies of its nodes in turn and record
 * requests and answers.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { type Exchange, type Kind, outcomeOf, type Transfer } from './history.ts'
import { Client } from './httpRequest.ts'
import type { Repeat } from './interruptions.ts'
import { PATIENCE_MS, randomOf, until, within } from './until.ts'

/** Where clients find a node: the URL of its proxy. */
export interface Door {
  readonly name: string
  readonly url: string
}

export interface ClientOptions {
  readonly doors: readonly Door[]
  readonly sessions?: number
  /** The most requests a second of each session. */
  readonly perSecond?: number
  readonly seed?: number
  /** A prefix of the ids of transfers and values, to tell several clients of one database apart. */
  readonly tag?: string
  /** Accounts 1 to N that transfers go between. */
  readonly accounts?: number
  /** Registers that all sessions share. */
  readonly keys?: number
  /**
   * Whether a session asks the next node each time instead of staying at one. By default every
   * second session does.
   */
  readonly roams?: (session: number) => boolean
  /** Sent with each write, such as `Walcast-Ack`. */
  readonly writeHeaders?: Readonly<Record<string, string>>
  /** Whether each write has an Idempotency-Key of its own. */
  readonly isKeyed?: boolean
  /**
   * Whether a transfer of unknown outcome is asked again with its key: the application finds
   * transfers by id.
   */
  readonly asksAgain?: boolean
  /** How long an answer is waited for. */
  readonly timeoutMs?: number
}

type Asked = Pick<Exchange, 'kind' | 'key' | 'value' | 'transfer'> & { readonly path: string }
type Settings = Required<Omit<ClientOptions, 'roams'>> & Pick<ClientOptions, 'roams'>

const MAX_EXCHANGES = 300_000
/** The most tries of a request whose outcome stays unknown. */
const MAX_REPEATS = 3
/** In turn, by chance: as many writes as reads. */
const KINDS: readonly Kind[] = ['transfer', 'transfer', 'set', 'get', 'get', 'accounts']

export class RecordingClient {
  readonly record: Exchange[] = []
  readonly repeats: Repeat[] = []
  readonly #sessions: readonly Session[]
  readonly #running: Promise<unknown>
  #isStopped = false

  /** Begins at once. */
  constructor(options: ClientOptions) {
    const settings: Settings = {
      sessions: 8,
      perSecond: 25,
      seed: 1,
      tag: 'c',
      accounts: 10,
      keys: 5,
      writeHeaders: {},
      isKeyed: false,
      asksAgain: false,
      timeoutMs: 40_000,
      ...options,
    }
    this.#sessions = Array.from({ length: settings.sessions }, (_, i) => new Session(i, settings))
    this.#running = Promise.all(this.#sessions.map((session) => this.#run(session, settings)))
    // The caller of `stop` gets the error; nothing may wait before.
    this.#running.catch(() => {})
  }

  /** Requests answered with success. */
  get done(): number {
    return this.record.reduce((sum, each) => sum + (outcomeOf(each) === 'done' ? 1 : 0), 0)
  }

  /** Waits until so many more requests than now were answered with success. */
  async advance(count: number): Promise<void> {
    const wanted = this.done + count
    await until(`${count} more answers`, (saw) => {
      saw(`${this.done} of ${wanted}`)
      return this.done >= wanted
    })
  }

  /** Waits until every session has succeeded with a write that began after now. */
  async writesEverywhere(patienceMs = PATIENCE_MS): Promise<void> {
    const fromMs = performance.now()
    const from = this.record.length
    const isFresh = (each: Exchange) =>
      each.startMs >= fromMs &&
      outcomeOf(each) === 'done' &&
      ['transfer', 'set'].includes(each.kind)
    const served = () =>
      new Set(
        this.record
          .slice(from)
          .filter(isFresh)
          .map(({ session }) => session),
      ).size
    await until(
      'a write of every session is done',
      (saw) => {
        saw(`${served()} of ${this.#sessions.length}`)
        return served() === this.#sessions.length
      },
      patienceMs,
    )
  }

  /** Lets running requests end. Returns the record, each session in its order. */
  async stop(): Promise<readonly Exchange[]> {
    this.#isStopped = true
    await within('the clients end', this.#running)
    await Promise.all(this.#sessions.map((session) => session.close()))
    return this.record
  }

  async #run(session: Session, { perSecond, asksAgain }: Settings): Promise<void> {
    const periodMs = 1000 / perSecond
    while (!this.#isStopped) {
      if (this.record.length >= MAX_EXCHANGES)
        throw new Error(`more than ${MAX_EXCHANGES} requests`)
      const exchange = await session.next()
      this.record.push(exchange)
      if (asksAgain && exchange.kind === 'transfer')
        await this.#askAgain(session, exchange, periodMs)
      // This is a rate: time lost to a slow answer is not made up for.
      await delay(Math.max(0, periodMs - (exchange.endMs - exchange.startMs)))
    }
  }

  async #askAgain(session: Session, first: Exchange, pauseMs: number): Promise<void> {
    let last = first
    for (let i = 0; i < MAX_REPEATS && outcomeOf(last) === 'unknown'; i++) {
      await delay(pauseMs)
      last = await session.again()
      this.repeats.push({ first, again: last })
    }
  }
}

/** One client: a cookie, a connection to each node, one request at a time. */
class Session {
  readonly #number: number
  readonly #settings: Settings
  readonly #random: () => number
  readonly #connections = new Map<string, Client>()
  readonly #isRoaming: boolean
  #cookie = ''
  #count = 0
  #asked: Asked | undefined
  /** Repeated requests go to the next door. */
  #repeats = 0

  constructor(number: number, settings: Settings) {
    this.#number = number
    this.#settings = settings
    this.#random = randomOf(settings.seed * 1000 + number)
    this.#isRoaming = settings.roams?.(number) ?? number % 2 === 1
  }

  next(): Promise<Exchange> {
    return this.#exchange(this.#ask(++this.#count))
  }

  /** The last request, with its key. */
  again(): Promise<Exchange> {
    if (!this.#asked) throw new Error('nothing was asked yet')
    this.#repeats++
    return this.#exchange(this.#asked)
  }

  async #exchange(asked: Asked): Promise<Exchange> {
    this.#asked = asked
    const { doors } = this.#settings
    const turn = this.#isRoaming ? this.#count + this.#repeats : 0
    const door = doors[(this.#number + turn) % doors.length]
    const { path, ...told } = asked
    const base = { session: this.#number, site: door.name, ...told, startMs: performance.now() }
    try {
      const answer = await this.#send(door, asked)
      return { ...base, ...answer, endMs: performance.now() }
    } catch (error) {
      const code = String(Object(error).code ?? error)
      return { ...base, endMs: performance.now(), status: 0, code }
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#connections.values()].map((connection) => connection.destroy()))
  }

  #ask(count: number): Asked {
    const kind = KINDS[this.#below(KINDS.length)]
    const id = `${this.#settings.tag}${this.#number}-${count}`
    if (kind === 'accounts') return { kind, key: '', path: '/accounts' }
    const key = `r${this.#below(this.#settings.keys)}`
    if (kind === 'get') return { kind, key, path: `/register/${key}` }
    if (kind === 'set') return { kind, key, value: id, path: '/register' }
    return { kind, key: id, transfer: this.#transfer(id), path: '/transfer' }
  }

  #transfer(id: string): Transfer {
    const { accounts } = this.#settings
    const from = 1 + this.#below(accounts)
    return {
      id,
      from,
      to: 1 + ((from + this.#below(accounts - 1)) % accounts),
      amount: 1 + this.#below(50),
    }
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  async #send(door: Door, { kind, key, value, transfer, path }: Asked) {
    const isWrite = kind === 'transfer' || kind === 'set'
    const { timeoutMs } = this.#settings
    const { statusCode, headers, body } = await this.#connection(door).request({
      path,
      method: isWrite ? 'POST' : 'GET',
      headers: this.#headers(isWrite),
      body: isWrite ? JSON.stringify(transfer ?? { key, value }) : null,
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
    })
    const text = await body.text()
    this.#keepCookie(headers)
    return { status: statusCode, ...figuresOf(text, kind), ...headersOf(headers) }
  }

  #headers(isWrite: boolean): Record<string, string> {
    const { writeHeaders, isKeyed, tag } = this.#settings
    return {
      ...(this.#cookie ? { cookie: this.#cookie } : {}),
      ...(isWrite ? { 'content-type': 'application/json', ...writeHeaders } : {}),
      ...(isWrite && isKeyed ? { 'idempotency-key': `${tag}${this.#number}-${this.#count}` } : {}),
    }
  }

  #connection({ url }: Door): Client {
    const known = this.#connections.get(url)
    if (known) return known
    const connection = new Client(url, { pipelining: 1, keepAliveTimeout: 60_000 })
    this.#connections.set(url, connection)
    return connection
  }

  #keepCookie(headers: IncomingHttpHeaders): void {
    for (const line of [headers['set-cookie'] ?? []].flat())
      if (line.startsWith('walcast_position=')) this.#cookie = line.split(';', 1)[0]
  }
}

/** What an answer says about the bank, or why it has no content. */
function figuresOf(text: string, kind: Kind): Pick<Exchange, 'version' | 'value' | 'sum' | 'code'> {
  const body: Partial<Record<string, unknown>> = Object(parsed(text))
  const { version, value, sum, code } = body
  return {
    ...(typeof version === 'number' ? { version } : {}),
    ...(kind === 'get' && typeof value === 'string' ? { value } : {}),
    ...(typeof sum === 'number' ? { sum } : {}),
    ...(typeof code === 'string' ? { code: code.replace('WALCAST_', '') } : {}),
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A balancer's own page.
    return { code: `no JSON: ${text.replace(/\s+/g, ' ').slice(0, 60)}` }
  }
}

const TOLD = {
  position: 'walcast-position',
  stale: 'walcast-stale',
  acked: 'walcast-acked',
  notReplicated: 'walcast-not-replicated',
  notExecuted: 'walcast-not-executed',
} as const

function headersOf(headers: IncomingHttpHeaders): Partial<Record<keyof typeof TOLD, string>> {
  const found = Object.entries(TOLD).flatMap(([name, header]) => {
    const value = headers[header]
    return value === undefined ? [] : [[name, String(value)]]
  })
  return Object.fromEntries(found)
}
