/** The supervisor of an application: every order of events, and real processes. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { WalcastError } from '../../src/errors.ts'
import { systemClock } from '../../src/platform/clock.ts'
import type { ServedApplication } from '../../src/proxy/servedApplication.ts'
import { spawnApplication } from '../../src/supervisor/applicationProcess.ts'
import { step } from '../../src/supervisor/supervision.ts'
import {
  SUPERVISION_START,
  type SupervisionAction,
  type SupervisionEvent,
  type SupervisionRules,
  type SupervisionState,
} from '../../src/supervisor/supervisionStates.ts'
import { Supervisor, type SupervisorParts } from '../../src/supervisor/supervisor.ts'
import { until } from '../support/until.ts'

/** Against hanging only: a busy machine takes its time. */
const TIMEOUT_MS = 600_000
const RULES: SupervisionRules = {
  onRoleChange: 'restart',
  roleSignal: 'SIGUSR1',
  restart: 'never',
  followMs: 2000,
  hasPair: false,
  stopTimeoutMs: 10_000,
  backoffMs: 100,
  maxBackoffMs: 1000,
  soundRunMs: 5000,
}

const exited = (code: number | null, ranMs = 10): SupervisionEvent => ({
  type: 'exited',
  exit: code === null ? { code, signal: 'SIGSEGV' } : { code, signal: null },
  ranMs,
})
const spawnFailed: SupervisionEvent = { type: 'spawnFailed', detail: 'ENOENT' }

/** A transcript: each event with the phase after it and the actions. */
function transcript(
  rules: Partial<SupervisionRules>,
  ...events: (SupervisionEvent | SupervisionEvent['type'])[]
) {
  let state: SupervisionState = SUPERVISION_START
  return events.map((given) => {
    const event = typeof given === 'string' ? ({ type: given } as SupervisionEvent) : given
    const next = step({ ...RULES, ...rules }, state, event)
    state = next.state
    return [event.type, state.phase, next.actions.map(actionText).join(' ')].join(' ').trim()
  })
}

function actionText(action: SupervisionAction): string {
  switch (action.do) {
    case 'signal':
      return action.signal
    case 'killAfter':
    case 'startAfter':
    case 'awaitFollow':
      return `${action.do}:${action.delayMs}`
    case 'end':
      return action.end.type
    default:
      return action.do
  }
}

test('the usual life: started when the node is ready, restarted, ended', () => {
  const change = ['roleChanged', 'turn', 'drained', exited(0)] as const
  const life = ['begin', 'ready', 'spawned', ...change, 'ready', 'spawned', 'stop'] as const
  assert.deepEqual(transcript({}, ...life, 'stopOverdue', exited(null)), [
    'begin idle awaitReady',
    'ready starting spawn',
    'spawned running',
    'roleChanged waiting holdWrites awaitTurn',
    'turn draining drain',
    'drained stopping SIGTERM killAfter:10000',
    'exited idle awaitReady',
    'ready starting spawn',
    'spawned running',
    'stop stopping SIGTERM killAfter:10000',
    'stopOverdue stopping SIGKILL',
    'exited ended stopped',
  ])
})

test('a change of role is a signal, or nothing', () => {
  const life = ['begin', 'ready', 'roleChanged', 'spawned', 'roleChanged'] as const
  assert.deepEqual(transcript({ onRoleChange: 'signal' }, ...life).slice(2), [
    'roleChanged starting',
    'spawned following holdWrites SIGUSR1 awaitFollow:2000',
    'roleChanged following holdWrites SIGUSR1 awaitFollow:2000',
  ])
  assert.deepEqual(transcript({ onRoleChange: 'ignore' }, ...life).slice(2), [
    'roleChanged starting',
    'spawned running',
    'roleChanged running',
  ])
  assert.deepEqual(transcript({}, ...life).slice(2), [
    'roleChanged starting',
    'spawned waiting holdWrites awaitTurn',
    'roleChanged waiting holdWrites awaitTurn',
  ])
})

test('a signalled application has to show that it follows, or is restarted', () => {
  const life = ['begin', 'ready', 'spawned', 'roleChanged'] as const
  const signal = { onRoleChange: 'signal' } as const
  assert.equal(transcript(signal, ...life, 'followed').at(-1), 'followed running releaseWrites')
  assert.deepEqual(transcript(signal, ...life, 'followOverdue', 'turn').slice(-2), [
    'followOverdue waiting holdWrites awaitTurn',
    'turn draining drain',
  ])
  // The signal ended the application, which did not handle it.
  assert.equal(transcript(signal, ...life, exited(null)).at(-1), 'exited idle awaitReady')
})

test('with a pair of ports the successor serves before the old process ends', () => {
  const pair = { hasPair: true }
  const change = ['begin', 'ready', 'spawned', 'roleChanged', 'turn'] as const
  assert.deepEqual(transcript(pair, ...change, 'successorAccepts').slice(-2), [
    'turn replacing spawnSuccessor',
    'successorAccepts running switchOver',
  ])
  assert.equal(transcript(pair, ...change, exited(1)).at(-1), 'exited running adoptSuccessor')
  assert.equal(
    transcript(pair, ...change, 'roleChanged').at(-1),
    'roleChanged waiting dropSuccessor holdWrites awaitTurn',
  )
  const failed = { type: 'successorExited', exit: { code: 7, signal: null }, ranMs: 5 } as const
  assert.deepEqual(transcript(pair, ...change, failed, exited(0)).slice(-2), [
    'successorExited stopping SIGTERM killAfter:10000',
    'exited ended exited',
  ])
  assert.equal(
    transcript(pair, ...change, 'stop').at(-1),
    'stop stopping dropSuccessor SIGTERM killAfter:10000',
  )
})

test('an exit ends all, or restarts the application after growing pauses', () => {
  const run = ['backoffOver', 'ready', 'spawned'] as const
  const first = ['begin', 'ready', 'spawned'] as const
  assert.equal(transcript({}, ...first, exited(0)).at(-1), 'exited ended exited')
  assert.equal(
    transcript({ restart: 'on-failure' }, ...first, exited(0)).at(-1),
    'exited ended exited',
  )
  const pauses = transcript(
    { restart: 'on-failure' },
    ...first,
    ...Array.from({ length: 6 }, () => [exited(1), ...run]).flat(),
    exited(null, 6000),
  )
  assert.deepEqual(
    pauses.filter((line) => line.startsWith('exited')).map((line) => line.split(':')[1]),
    ['100', '200', '400', '800', '1000', '1000', '100'],
  )
  assert.equal(
    transcript({ restart: 'always' }, ...first, exited(0), 'stop').at(-1),
    'stop ended stopped',
  )
})

test('an application that cannot be run ends all', () => {
  assert.equal(
    transcript({ restart: 'always' }, 'begin', 'ready', spawnFailed).at(-1),
    'spawnFailed ended failed',
  )
  assert.equal(
    transcript({}, 'begin', 'ready', 'stop', spawnFailed).at(-1),
    'spawnFailed ended stopped',
  )
})

test('any order of events: at most one process and one successor, and a stop ends all', () => {
  const rules = fc.record({
    onRoleChange: fc.constantFrom('restart' as const, 'signal' as const, 'ignore' as const),
    restart: fc.constantFrom('never' as const, 'on-failure' as const, 'always' as const),
    hasPair: fc.boolean(),
  })
  const orders = fc.array(fc.constantFrom(...EVENTS), { maxLength: 80 })
  fc.assert(
    fc.property(rules, orders, (changed, order) => {
      const world = new World({ ...RULES, ...changed })
      for (const what of order) world.try(what)
      world.try('stop')
      for (let turn = 0; turn < 10 && world.phase !== 'ended'; turn++)
        for (const what of ['spawned', 'exit']) world.try(what)
      assert.equal(world.phase, 'ended')
      assert.deepEqual(
        [world.alive, world.making, world.hasSuccessor, world.ends],
        [false, false, false, 1],
      )
    }),
    { numRuns: 2000 },
  )
})

const EVENTS = [
  'ready',
  'spawned',
  'fail',
  'crash',
  'exit',
  'role',
  'timer',
  'stop',
  'followed',
  'turn',
  'drained',
  'accepts',
  'successorExit',
  'successorFail',
] as const

/**
 * The world around the state machine: only a running process can end, only a timer that is set can
 * go off.
 */
class World {
  readonly #rules: SupervisionRules
  #state: SupervisionState = SUPERVISION_START
  making = false
  alive = false
  hasSuccessor = false
  ends = 0
  #isAwaited = false
  /** What the present phase waits for. */
  #wanted: 'followed' | 'turn' | 'drained' | 'successorAccepts' | undefined
  #timer: 'stopOverdue' | 'backoffOver' | 'followOverdue' | undefined

  constructor(rules: SupervisionRules) {
    this.#rules = rules
    this.#on({ type: 'begin' })
  }

  get phase() {
    return this.#state.phase
  }

  try(what: string): void {
    if (what === 'stop') this.#on({ type: 'stop' })
    else if (what === 'role') this.#on({ type: 'roleChanged' })
    else if (what === 'ready' && this.#isAwaited) {
      this.#isAwaited = false
      this.#on({ type: 'ready' })
    } else if (what === 'spawned' && this.making) {
      this.making = false
      this.alive = true
      this.#on({ type: 'spawned' })
    } else if (what === 'fail' && this.making) {
      this.making = false
      this.#on(spawnFailed)
    } else if ((what === 'exit' || what === 'crash') && this.alive) {
      this.alive = false
      this.#on(exited(what === 'exit' ? 0 : null))
    } else if (what === 'successorExit' && this.hasSuccessor) {
      this.hasSuccessor = false
      this.#on({ type: 'successorExited', exit: { code: 1, signal: null }, ranMs: 10 })
    } else if (what === 'successorFail' && this.hasSuccessor) {
      this.hasSuccessor = false
      this.#on({ type: 'successorFailed', detail: 'ENOENT' })
    } else if (
      this.#wanted &&
      what === (this.#wanted === 'successorAccepts' ? 'accepts' : this.#wanted)
    ) {
      const type = this.#wanted
      this.#wanted = undefined
      this.#on({ type })
    } else if (what === 'timer' && this.#timer) {
      const type = this.#timer
      this.#timer = undefined
      this.#on({ type })
    }
  }

  #on(event: SupervisionEvent): void {
    const before = this.#state.phase
    const { state, actions } = step(this.#rules, this.#state, event)
    if (before === 'ended') assert.deepEqual([state.phase, actions], ['ended', []])
    this.#state = state
    if (state.phase !== before) {
      this.#timer = undefined
      this.#wanted = undefined
    }
    for (const action of actions) this.#do(action)
  }

  #do(action: SupervisionAction): void {
    switch (action.do) {
      case 'awaitReady':
        assert.ok(!this.#isAwaited && !this.alive && !this.making)
        this.#isAwaited = true
        return
      case 'spawn':
        assert.ok(!this.alive && !this.making)
        this.making = true
        return
      case 'signal':
        return assert.ok(this.alive, 'a signal has somewhere to go')
      case 'holdWrites':
      case 'releaseWrites':
        return
      case 'awaitFollow':
        this.#timer = 'followOverdue'
        this.#wanted = 'followed'
        return
      case 'awaitTurn':
        this.#wanted = 'turn'
        return
      case 'drain':
        assert.ok(this.alive)
        this.#wanted = 'drained'
        return
      case 'spawnSuccessor':
        assert.ok(this.alive && !this.hasSuccessor)
        this.hasSuccessor = true
        this.#wanted = 'successorAccepts'
        return
      case 'switchOver':
        // The process before ends by itself from here on.
        assert.ok(this.alive && this.hasSuccessor)
        this.hasSuccessor = false
        return
      case 'adoptSuccessor':
        assert.ok(!this.alive && this.hasSuccessor)
        this.hasSuccessor = false
        this.alive = true
        return
      case 'dropSuccessor':
        assert.ok(this.hasSuccessor)
        this.hasSuccessor = false
        return
      case 'killAfter':
        this.#timer = 'stopOverdue'
        return
      case 'startAfter':
        assert.ok(!this.alive)
        this.#timer = 'backoffOver'
        return
      case 'end':
        assert.ok(!this.alive && !this.making)
        this.ends++
    }
  }
}

/** A node that does nothing and accepts every step. */
const UNSERVED: ServedApplication = {
  suspend() {},
  started() {},
  holdWrites() {},
  releaseWrites() {},
  drain: async () => {},
  replacedBy: async () => {},
  accepts: async () => {},
  turn: async () => {},
  followed: async () => {},
}

/** A supervisor of a shell script. The script appends its lines to a file. */
function supervised(
  t: TestContext,
  script: string,
  more: Partial<SupervisionRules> = {},
  parts: Partial<SupervisorParts> = {},
) {
  const folder = mkdtempSync(join(tmpdir(), 'walcast-supervisor-'))
  const file = join(folder, 'list')
  const node = { role: 'replica' as 'leader' | 'replica', epoch: 3 }
  const supervisor = new Supervisor({
    rules: { ...RULES, ...more },
    clock: systemClock,
    command: '/bin/sh',
    application: UNSERVED,
    ports: [],
    spawn: () =>
      spawnApplication(
        ['/bin/sh', '-c', script],
        { PATH: process.env['PATH'], FILE: file, WALCAST_SECRET: 'hidden', WALCAST_ROLE: 'stale' },
        {
          role: node.role,
          position: { epoch: node.epoch, txid: 7 },
          nodeUrl: 'http://127.0.0.1:8470',
          db: '/srv/app.db',
        },
      ),
    whenReady: async () => {},
    say: () => {},
    ...parts,
  })
  t.after(async () => {
    supervisor.abandon()
    await supervisor.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  const lines = () => (existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [])
  return {
    supervisor,
    node,
    lines,
    reached: (line: string) => until(line, () => lines().includes(line)),
  }
}

const SERVE = 'echo "up $WALCAST_ROLE $WALCAST_EPOCH" >> "$FILE"; while :; do sleep 0.02; done'

test("the application is told its node's role and position, and no secret", {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const { supervisor, node, lines, reached } = supervised(
    t,
    `trap 'echo bye >> "$FILE"; exit 0' TERM; env | grep ^WALCAST_ | sort >> "$FILE"; ${SERVE}`,
  )
  supervisor.begin()
  await reached('up replica 3')
  node.role = 'leader'
  node.epoch = 4
  supervisor.roleChanged()
  await reached('up leader 4')
  await supervisor.stop()
  assert.equal(await supervisor.ended, 0)
  const variables = (role: string, epoch: number) => [
    'WALCAST_DB=/srv/app.db',
    `WALCAST_EPOCH=${epoch}`,
    'WALCAST_NODE_URL=http://127.0.0.1:8470',
    `WALCAST_POSITION=${epoch}-7`,
    `WALCAST_ROLE=${role}`,
    `up ${role} ${epoch}`,
    'bye',
  ]
  assert.deepEqual(lines(), [...variables('replica', 3), ...variables('leader', 4)])
})

test('a signal in place of a restart', { timeout: TIMEOUT_MS }, async (t) => {
  const { supervisor, lines, reached } = supervised(
    t,
    `trap 'echo changed >> "$FILE"' USR1; ${SERVE}`,
    {
      onRoleChange: 'signal',
    },
  )
  supervisor.begin()
  await reached('up replica 3')
  supervisor.roleChanged()
  await reached('changed')
  await supervisor.stop()
  assert.deepEqual(lines(), ['up replica 3', 'changed'])
})

test('an application that ignores SIGTERM gets SIGKILL', { timeout: TIMEOUT_MS }, async (t) => {
  const { supervisor, reached } = supervised(t, `trap '' TERM; ${SERVE}`, { stopTimeoutMs: 50 })
  supervisor.begin()
  await reached('up replica 3')
  await supervisor.stop()
  assert.equal(await supervisor.ended, 0)
})

test('the exit status is passed on, with signals as a shell gives them', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  for (const [script, status] of [
    ['exit 0', 0],
    ['exit 7', 7],
    ['kill -KILL $$', 137],
    ['kill -SEGV $$', 139],
  ] as const) {
    const { supervisor } = supervised(t, script)
    supervisor.begin()
    assert.equal(await supervisor.ended, status, script)
  }
})

test('a failed application is started again until it succeeds', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const pauses: number[] = []
  const { supervisor, lines } = supervised(
    t,
    'echo x >> "$FILE"; [ $(wc -l < "$FILE") -ge 4 ] && exit 0; exit 1',
    { restart: 'on-failure' },
    {
      setTimer(run, delayMs) {
        pauses.push(delayMs)
        const timer = setImmediate(run)
        return { cancel: () => clearImmediate(timer) }
      },
    },
  )
  supervisor.begin()
  assert.equal(await supervisor.ended, 0)
  assert.deepEqual([lines().length, pauses], [4, [100, 200, 400]])
})

test('a program that cannot be run is told in one line', { timeout: TIMEOUT_MS }, async (t) => {
  for (const file of ['/no/such/program', 'a\0b']) {
    const { supervisor } = supervised(
      t,
      '',
      { restart: 'always' },
      {
        command: 'program',
        spawn: () =>
          spawnApplication(
            [file],
            {},
            {
              role: 'leader',
              position: { epoch: 1, txid: 1 },
              nodeUrl: '',
              db: '',
            },
          ),
      },
    )
    supervisor.begin()
    await assert.rejects(supervisor.ended, {
      key: 'COMMAND_FAILED',
      message: /^cannot run program: /,
    })
  }
})

test('a node that never gets ready ends all, and a stop does not wait for it', {
  timeout: TIMEOUT_MS,
}, async (t) => {
  const failed = new WalcastError('STOPPING')
  const broken = supervised(t, SERVE, {}, { whenReady: () => Promise.reject(failed) })
  broken.supervisor.begin()
  await assert.rejects(broken.supervisor.ended, failed)
  await broken.supervisor.stop()
  let isAborted = false
  const waiting = supervised(
    t,
    SERVE,
    {},
    {
      whenReady: (signal) =>
        new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            isAborted = true
            resolve()
          })
        }),
    },
  )
  waiting.supervisor.begin()
  await waiting.supervisor.stop()
  assert.deepEqual([isAborted, waiting.supervisor.phase, waiting.lines()], [true, 'ended', []])
})
