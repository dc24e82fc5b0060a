/**
 * The workplace of an end-to-end test: a temporary folder and child processes. All are gone when
 * the test ends, however it ends. A node that ends unasked fails the test.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { isFurther, type Position } from '../../proto/position.ts'
import { freePort } from '../../src/cli/freePorts.ts'
import { Child } from './child.ts'
import { compareDatabases, execute } from './databaseJobs.ts'
import { BARE, CLI, PROGRAMS, PYTHON, PYTHON_PROGRAMS } from './paths.ts'
import { processesIn } from './processesIn.ts'
import { SqlSession } from './sqlSession.ts'
import { type NodeCommand, type NodeOptions, TestNode } from './testNode.ts'
import { PATIENCE_MS, type Saw, until } from './until.ts'

/** With `uid` and `gid` it runs as that user, in no other group. */
interface SessionOptions {
  readonly timeoutMs?: number
  readonly uid?: number
  readonly gid?: number
}

export type StartOptions = Partial<NodeOptions>

/** Waits find what hangs; this limit is for tests that go on without end. */
export const ENDLESS_MS = 15 * 60_000
/** How long connections of tests wait for SQLite's locks by default. */
const BUSY_MS = 30_000
/** Pause before files that differ are compared again, ms. */
const LOOK_MS = 200
/** Comparisons at one position: a large commit may be on its way into it for seconds. */
const LOOKS = 20
/** Comparisons at all, of a database that is written. */
const MAX_LOOKS = 100

/**
 * A test with a lab, which is cleaned up. When it fails, the last lines of its processes are shown.
 */
export function labTest(name: string, run: (lab: Lab, t: TestContext) => Promise<void>): void {
  test(name, { timeout: ENDLESS_MS + PATIENCE_MS }, async (t) => {
    const lab = new Lab()
    try {
      await limited(run(lab, t))
      lab.requireAlive()
    } catch (error) {
      for (const tail of lab.tails()) t.diagnostic(tail)
      throw error
    } finally {
      await lab.close()
    }
  })
}

/** The same, for what `npm test` tries in fewer ways: `npm run campaigns` tries them all. */
export const campaignTest: typeof labTest = process.env['TEST_CAMPAIGN'] ? labTest : () => {}

/** What `work` gives, or a failure when it goes on without end. */
export function limited<T>(work: Promise<T>): Promise<T> {
  let overdue: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    overdue = setTimeout(() => reject(new Error(`the test took over ${ENDLESS_MS} ms`)), ENDLESS_MS)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(overdue))
}

export class Lab {
  readonly folder = mkdtempSync(join(tmpdir(), 'walcast-test-'))
  readonly #children: Child[] = []
  readonly #nodes = new Set<Child>()
  readonly #onExit = () => this.#killAll()
  readonly #cleanups: (() => void | Promise<void>)[] = []
  #names = 0

  constructor() {
    process.once('exit', this.#onExit)
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  /** Run at the end, the last one first. */
  atEnd(cleanup: () => void | Promise<void>): void {
    this.#cleanups.push(cleanup)
  }

  spawn(
    name: string,
    file: string,
    args: readonly string[],
    environment?: Readonly<Record<string, string>>,
  ): Child {
    const child = new Child(name, file, args, { ...cleanEnvironment(), ...environment })
    this.#children.push(child)
    return child
  }

  /** Runs the command line with `args`; nothing is added. */
  cli(args: readonly string[], environment?: Readonly<Record<string, string>>): Child {
    return this.spawn(`walcast ${args[0]}`, process.execPath, [CLI, ...args], environment)
  }

  /** A program of test/support/programs with its arguments as one JSON object. */
  program(name: string, options: object, environment?: Readonly<Record<string, string>>): Child {
    const args = [join(PROGRAMS, `${name}.js`), JSON.stringify(options)]
    return this.spawn(`${name} ${++this.#names}`, process.execPath, args, environment)
  }

  /** A program of test/support/py, which brings another SQLite version. */
  python(name: string, options: object): Child {
    return this.spawn(`${name}.py ${++this.#names}`, PYTHON, [
      ...BARE,
      '-u',
      join(PYTHON_PROGRAMS, `${name}.py`),
      JSON.stringify(options),
    ])
  }

  /** A connection of Python's SQLite in a process of its own. */
  sql(path: string, options: SessionOptions & { readonly readOnly?: boolean } = {}): SqlSession {
    return new SqlSession(
      this.python('sql', { path, timeoutMs: BUSY_MS, readOnly: false, ...options }),
    )
  }

  /** A connection of better-sqlite3 in a process of its own. */
  modernSql(path: string, options: SessionOptions = {}): SqlSession {
    return new SqlSession(this.program('sql', { path, timeoutMs: BUSY_MS, ...options }))
  }

  /** Runs statements in a process of their own. */
  async exec(path: string, ...statements: readonly string[]): Promise<void> {
    const session = this.sql(path)
    for (const statement of statements) await session.rows(statement)
    await session.close()
  }

  /** The same for a database that no node has yet, in a process that the tests share. */
  prepare(path: string, ...statements: readonly string[]): Promise<void> {
    return execute(path, statements, BUSY_MS)
  }

  /** '' when two databases are sound and equal page by page, else the difference. */
  compare(a: string, b: string): Promise<string> {
    return compareDatabases(a, b)
  }

  leader(db: string, options: StartOptions = {}): Promise<TestNode> {
    return this.#start('leader', { db, ...options })
  }

  /** A node in the role of its role file. */
  node(db: string, options: StartOptions = {}): Promise<TestNode> {
    return this.#start('node', { db, ...options })
  }

  replica(db: string, leader: TestNode | string, options: StartOptions = {}): Promise<TestNode> {
    return this.#start('replica', {
      db,
      leader: typeof leader === 'string' ? leader : leader.address,
      ...options,
    })
  }

  /**
   * Restarts a node with the same file, port and options. `command` may differ, such as `node`
   * after a role change.
   */
  restart(node: TestNode, options: StartOptions = {}, command = node.role): Promise<TestNode> {
    return this.#start(command, { ...node.options, ...options })
  }

  /** Treats a process as a node that must live until it is stopped. */
  nodeOf(role: NodeCommand, options: NodeOptions, child: Child): TestNode {
    this.#nodes.add(child)
    return new TestNode(role, options, child)
  }

  /** The node may end by itself from now on. */
  mayEnd({ child }: TestNode): void {
    this.#nodes.delete(child)
  }

  requireAlive(): void {
    for (const child of this.#nodes) {
      if (child.end && !child.isStopped) throw new Error(`a node ended by itself\n${child.tail()}`)
    }
  }

  tails(): string[] {
    return this.#children.slice(-12).map((child) => child.tail())
  }

  async close(): Promise<void> {
    process.removeListener('exit', this.#onExit)
    for (const cleanup of this.#cleanups.reverse()) await cleanup()
    this.#killAll()
    await Promise.all(this.#children.map((child) => child.ended))
    await this.#removeFolder()
  }

  /** What a killed node has started, such as a comparison of rows, may still write into it. */
  #removeFolder(): Promise<boolean> {
    return until('nothing writes into the folder any more', (saw) => {
      saw(processesIn(this.folder).join('\n'))
      rmSync(this.folder, { recursive: true, force: true })
      return true
    })
  }

  async #start(
    role: NodeCommand,
    given: StartOptions & { readonly db: string },
  ): Promise<TestNode> {
    const options: NodeOptions = { port: await freePort(), ...given }
    const args = [options.oldProgram ?? CLI, ...nodeArguments(role, options)]
    const child = this.spawn(`walcast ${role}`, process.execPath, args, options.environment)
    await child.errorLine((line) => line.includes('"msg":"running"'))
    return this.nodeOf(role, options, child)
  }

  #killAll(): void {
    for (const child of this.#children) {
      child.kill('SIGCONT')
      child.kill('SIGKILL')
    }
  }
}

export function nodeArguments(role: NodeCommand, options: NodeOptions): string[] {
  const { db, port, leader, flags = [] } = options
  const base = [role, '--db', db, '--listen', `127.0.0.1:${port}`]
  return [...base, ...(leader ? ['--leader', leader] : []), ...flags]
}

/** WALCAST_ variables of the outside must not leak in. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  const entries = Object.entries(process.env).filter(
    ([key]) => !key.startsWith('WALCAST_') && key !== 'NODE_TEST_CONTEXT',
  )
  return Object.fromEntries(entries)
}

/** Waits until the replica stands where the leader stands: epoch, txid and state checksum. */
export function waitLevel(leader: TestNode, replica: TestNode): Promise<string> {
  // A commit that has just returned may not be in the leader's position yet.
  let least: Position | undefined
  return until('the replica is level', async (saw: Saw) => {
    least ??= await leader.settled()
    if (!least) return undefined
    const [theirs, ours] = await Promise.all([leader.status(), replica.status()])
    const [a, b] = [theirs, ours].map(({ epoch, txid, checksum }) => `${epoch}-${txid} ${checksum}`)
    saw(
      `leader ${a} (${theirs.state}), replica ${b} (${ours.state}, ` +
        `${ours.sync?.remaining ?? 0} pages to come)`,
    )
    const isLevel = a === b && ours.state === 'streaming' && !isFurther(least, theirs)
    return isLevel ? a : undefined
  })
}

/** Waits until level and then proves that both files hold the same, as any SQLite reads them. */
export async function requireSame(lab: Lab, leader: TestNode, replica: TestNode): Promise<void> {
  // A commit that has just returned may still be on its way into the leader's position.
  let last = ''
  let times = 0
  for (let attempt = 0; attempt < MAX_LOOKS && times < LOOKS; attempt++) {
    const before = await waitLevel(leader, replica)
    const difference = await compareFiles(lab, leader.db, replica.db)
    if (difference === '') return
    const after = await waitLevel(leader, replica)
    times = after === before ? times + 1 : 0
    await delay(LOOK_MS)
    last = `the files differ at ${before}: ${difference}`
  }
  throw new Error(last)
}

/** '' when both databases are sound and equal page by page, else the difference. */
export async function compareFiles(lab: Lab, a: string, b: string): Promise<string> {
  return existsSync(a) && existsSync(b) ? lab.compare(a, b) : 'a file is missing'
}
