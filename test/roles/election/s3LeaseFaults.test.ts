/**
 * Leases in an object store in simulated time: contenders whose clocks run at different rates, and
 * requests whose answers are lost or that are carried out minutes later. Never do two of them hold
 * a lease at one moment, each by its own clock.
 */
import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { type TestContext, test } from 'node:test'
import { keyOf } from '../../../src/errors.ts'
import { delay, setRepeatingTimer } from '../../../src/platform/time.ts'
import type { Lease } from '../../../src/roles/election/leaseService.ts'
import { S3Lease } from '../../../src/roles/election/s3Lease.ts'
import { Scheduler } from '../../simulation/scheduler.ts'
import { propertyRuns } from '../../support/propertyRuns.ts'
import { RatedMachine, replaceRatedTime } from '../../support/ratedTime.ts'
import { seededRandom } from '../../support/seededRandom.ts'
import {
  type Fate,
  SimulatedObjects,
  SimulatedStore,
  type StoreWeather,
} from '../../support/simulatedObjects.ts'

const TTL_MS = 5000
const TIMEOUT_MS = 1500
const STORM_MS = 10 * 60_000
const CALM_MS = 6 * TTL_MS
/** Of a clock: 1 % slow to 1 % fast. */
const MAX_DRIFT = 0.01

/** When a node counts on a lease, in simulated time. */
interface Claim {
  readonly node: string
  readonly fromMs: number
  toMs: number
}

class World {
  readonly scheduler = new Scheduler()
  readonly store = new SimulatedStore()
  readonly claims: Claim[] = []
  readonly random: () => number
  readonly weather: StoreWeather
  isStormy = true
  takes = 0

  constructor(seed: number) {
    this.random = seededRandom(seed)
    this.weather = {
      random: this.random,
      fateOf: (isWrite) => this.#fate(isWrite),
      lateMs: 4 * TTL_MS,
    }
  }

  #fate(isWrite: boolean): Fate {
    const chance = this.random()
    if (!this.isStormy || chance < 0.72) return 'done'
    if (chance < 0.77) return 'lost'
    if (chance < 0.82) return 'lost answer'
    if (chance < 0.87) return 'failed'
    if (chance < 0.9) return 'thawed'
    return isWrite ? 'late' : 'lost'
  }

  /** A contender, with a new one in its place when it has died. */
  begin(node: string): void {
    const drift = (2 * this.random() - 1) * MAX_DRIFT
    // As often as not a clock is as wrong as it may be.
    const rate = 1 + (this.random() < 0.5 ? Math.sign(drift) * MAX_DRIFT : drift)
    const machine = new RatedMachine(node, rate, this.random() * 1e6)
    this.scheduler.as(machine, () => {
      const contender = new Contender(this, machine)
      this.scheduler.after(0, () => void contender.run())
    })
  }
}

class Contender {
  readonly #world: World
  readonly #machine: RatedMachine
  readonly #service: S3Lease
  #lease: Lease | undefined
  #claim: Claim | undefined

  constructor(world: World, machine: RatedMachine) {
    const { store, scheduler, weather } = world
    this.#world = world
    this.#machine = machine
    this.#service = new S3Lease(new SimulatedObjects(store, scheduler, weather), {
      ...{ node: machine.name, prefix: '', ttlMs: TTL_MS, timeoutMs: TIMEOUT_MS },
    })
  }

  async run(): Promise<void> {
    // Other calls are on their way at the same time.
    this.#service.watch(
      () => void this.#service.look().catch(() => {}),
      new AbortController().signal,
    )
    while (this.#machine.isAlive) {
      try {
        await (this.#lease ? this.#lead(this.#lease) : this.#campaign())
      } catch (error) {
        assert.equal(keyOf(error), 'ELECTION_AWAY')
      }
      const { random, isStormy } = this.#world
      const chance = isStormy ? random() : 1
      if (chance < 0.005) return this.#die()
      // A process that is frozen for a while, now and then.
      await delay((chance < 0.02 ? 4 * TTL_MS : TTL_MS / 3) * (0.2 + random()))
    }
  }

  #die(): void {
    this.#give()
    this.#machine.isAlive = false
    this.#world.begin(this.#machine.name)
  }

  async #campaign(): Promise<void> {
    const { isHeld, mark } = await this.#service.look()
    if (isHeld) return
    const lease = await this.#service.take(mark, this.#machine.name)
    if (lease) this.#world.takes++
    this.#count(lease)
  }

  async #lead(lease: Lease): Promise<void> {
    const chance = this.#world.isStormy ? this.#world.random() : 1
    if (chance < 0.05) {
      this.#give()
      this.#lease = undefined
      await this.#service.release(lease)
    } else if (chance < 0.15) {
      if (!(await this.#service.amend(lease, `${this.#machine.name} again`))) this.#count(undefined)
    } else {
      this.#count(await this.#service.renew(lease))
    }
  }

  #count(lease: Lease | undefined): void {
    this.#give()
    this.#lease = lease
    if (!lease) return
    this.#claim = {
      node: this.#machine.name,
      fromMs: this.#world.scheduler.elapsedMs,
      toMs: this.#machine.elapsedAt(lease.sentMs + lease.ttlMs),
    }
    this.#world.claims.push(this.#claim)
  }

  #give(): void {
    const { elapsedMs } = this.#world.scheduler
    if (this.#claim) this.#claim.toMs = Math.min(this.#claim.toMs, elapsedMs)
    this.#claim = undefined
  }
}

/** Two claims of different nodes that overlap, if there are any. */
function overlap(claims: readonly Claim[]): readonly Claim[] | undefined {
  const last = new Map<string, Claim>()
  for (const claim of claims.toSorted((a, b) => a.fromMs - b.fromMs)) {
    for (const other of last.values())
      if (other.node !== claim.node && other.toMs > claim.fromMs && claim.toMs > claim.fromMs)
        return [other, claim]
    const before = last.get(claim.node)
    if (!before || before.toMs < claim.toMs) last.set(claim.node, claim)
  }
  return undefined
}

async function simulated<T>(scheduler: Scheduler, work: () => Promise<T>): Promise<T> {
  const restore = replaceRatedTime(scheduler)
  try {
    return await work()
  } finally {
    restore()
  }
}

test('never do two count on the lease, whatever is lost, late or off', async () => {
  let [lateWrites, takes] = [0, 0]
  for (let run = 0; run < propertyRuns(100); run++) {
    const seed = randomInt(2 ** 31)
    const world = new World(seed)
    await simulated(world.scheduler, async () => {
      for (const node of ['node-a', 'node-b', 'node-c'].slice(0, 2 + (run % 2))) world.begin(node)
      await world.scheduler.run(STORM_MS)
      world.isStormy = false
      await world.scheduler.run(STORM_MS + CALM_MS)
    })
    assert.deepEqual(overlap(world.claims), undefined, `seed ${seed}`)
    const { elapsedMs } = world.scheduler
    const now = world.claims.filter(({ fromMs, toMs }) => fromMs <= elapsedMs && elapsedMs < toMs)
    assert.equal(now.length, 1, `seed ${seed}: one leads once all is well`)
    lateWrites += world.store.lateWrites
    takes += world.takes
  }
  assert.ok(lateWrites > 0 && takes > 0)
})

interface Pair {
  readonly scheduler: Scheduler
  readonly store: SimulatedStore
  readonly weather: StoreWeather
  open(node: string, ttlMs?: number): { readonly service: S3Lease; readonly machine: RatedMachine }
}

/** Nothing goes wrong unless the test says so. */
async function pair(work: (pair: Pair) => Promise<void>): Promise<void> {
  const scheduler = new Scheduler()
  const store = new SimulatedStore()
  const random = seededRandom(randomInt(2 ** 31))
  const weather: StoreWeather = { random, fateOf: () => 'done', lateMs: 0 }
  const open = (node: string, ttlMs = TTL_MS) => {
    const machine = new RatedMachine(node, 1, 0)
    const objects = new SimulatedObjects(store, scheduler, weather)
    const setup = { node, prefix: '', ttlMs, timeoutMs: TIMEOUT_MS }
    return { machine, service: scheduler.as(machine, () => new S3Lease(objects, setup)) }
  }
  await simulated(scheduler, () => work({ scheduler, store, weather, open }))
}

/** Runs the simulation until `work`, which belongs to `machine`, has ended. */
async function done<T>(
  scheduler: Scheduler,
  machine: RatedMachine,
  work: () => Promise<T>,
): Promise<T> {
  const ended: { value?: T; error?: unknown } = {}
  scheduler.as(machine, () =>
    scheduler.after(0, () => {
      work().then(
        (value) => Object.assign(ended, { value }),
        (error) => Object.assign(ended, { error }),
      )
    }),
  )
  for (let step = 0; step < 1000; step++) {
    if ('error' in ended) throw ended.error
    if ('value' in ended) return ended.value as T
    await scheduler.run(scheduler.elapsedMs + 10)
  }
  throw new Error('it does not end')
}

async function takenBy(
  scheduler: Scheduler,
  machine: RatedMachine,
  service: S3Lease,
): Promise<Lease> {
  return done(scheduler, machine, async () => {
    const lease = await service.take((await service.look()).mark, machine.name)
    assert.ok(lease)
    return lease
  })
}

/** Renews as a leader does, for as long as its machine lives. */
function renewAlways(scheduler: Scheduler, machine: RatedMachine, service: S3Lease, lease: Lease) {
  scheduler.as(machine, () =>
    setRepeatingTimer(() => void service.renew(lease).catch(() => {}), lease.ttlMs / 3),
  )
}

test('at rest a node asks less than once a second', async (t: TestContext) => {
  for (const ttlMs of [5000, 15_000])
    await pair(async ({ scheduler, store, open }) => {
      const a = open('node-a', ttlMs)
      const lease = await takenBy(scheduler, a.machine, a.service)
      const ofNode = async ({ machine, service }: typeof a) => {
        scheduler.as(machine, () => {
          service.watch(() => {}, new AbortController().signal)
          setRepeatingTimer(() => void service.keepNote(), ttlMs / 3)
        })
        await done(scheduler, machine, () => service.publish(`note of ${machine.name}`))
      }
      const perSecond = async (): Promise<number> => {
        const [asked, beganMs] = [store.log.length, scheduler.elapsedMs]
        await scheduler.run(beganMs + 900_000)
        return (store.log.length - asked) / 900
      }
      renewAlways(scheduler, a.machine, a.service, lease)
      scheduler.as(a.machine, () => a.service.watch(() => {}, new AbortController().signal))
      const holder = await perSecond()
      await ofNode(open('node-b', ttlMs))
      const candidate = (await perSecond()) - holder
      t.diagnostic(
        `TTL ${ttlMs / 1000} s: holder ${holder.toFixed(2)}/s, candidate ${candidate.toFixed(2)}/s`,
      )
      assert.ok(holder < 1 && candidate < 1)
    })
})

test('watch tells of who holds it, of the value and of an end, and not of renewals', async () => {
  await pair(async ({ scheduler, weather, open }) => {
    const [a, b] = [open('node-a'), open('node-b')]
    let told = 0
    const end = new AbortController()
    scheduler.as(b.machine, () => b.service.watch(() => told++, end.signal))
    const toldAfter = async (forMs: number) => {
      told = 0
      await scheduler.run(scheduler.elapsedMs + forMs)
      return told
    }
    assert.equal(await toldAfter(2 * TTL_MS), 1, 'before it began it could not tell')
    const lease = await takenBy(scheduler, a.machine, a.service)
    assert.equal(await toldAfter(TTL_MS / 2), 1)
    renewAlways(scheduler, a.machine, a.service, lease)
    assert.equal(await toldAfter(10 * TTL_MS), 0)
    await done(scheduler, a.machine, () => a.service.amend(lease, 'other'))
    assert.equal(await toldAfter(TTL_MS / 2), 1)
    weather.fateOf = () => 'failed'
    assert.equal(await toldAfter(TTL_MS / 2), 0)
    weather.fateOf = () => 'done'
    assert.equal(await toldAfter(TTL_MS / 2), 1, 'after it could not tell')
    a.machine.isAlive = false
    assert.equal(await toldAfter(2 * TTL_MS), 1)
    end.abort()
    const asked = scheduler.count
    await scheduler.run(scheduler.elapsedMs + 10 * TTL_MS)
    assert.ok(scheduler.count - asked < 10, 'it has ended')
  })
})

test('a lease that is not renewed is seen to end soon after its TTL', async (t) => {
  let longestMs = 0
  for (let run = 0; run < 20; run++)
    await pair(async ({ scheduler, open }) => {
      const [a, b] = [open('node-a'), open('node-b')]
      const lease = await takenBy(scheduler, a.machine, a.service)
      const endsMs = a.machine.elapsedAt(lease.sentMs + lease.ttlMs)
      let freeMs = 0
      scheduler.as(b.machine, () =>
        b.service.watch(() => {
          freeMs = scheduler.elapsedMs
        }, new AbortController().signal),
      )
      await scheduler.run(3 * TTL_MS)
      assert.ok(freeMs > endsMs)
      longestMs = Math.max(longestMs, freeMs - endsMs)
    })
  t.diagnostic(`at most ${Math.round(longestMs)} ms after the TTL of ${TTL_MS} ms`)
  assert.ok(longestMs < TTL_MS / 2)
})

test('a process that was frozen for longer than its TTL renews nothing', async () => {
  await pair(async ({ scheduler, store, open }) => {
    const a = open('node-a')
    const lease = await takenBy(scheduler, a.machine, a.service)
    await scheduler.run(scheduler.elapsedMs + 2 * TTL_MS)
    const asked = store.log.length
    const tried = await done(scheduler, a.machine, async () => [
      await a.service.renew(lease),
      await a.service.amend(lease, 'late'),
      await a.service.release(lease, 'late'),
    ])
    assert.deepEqual(tried, [undefined, false, false])
    assert.equal(store.log.length, asked)
    // It may take it anew at once: nobody else counts on what was its own.
    assert.notEqual((await takenBy(scheduler, a.machine, a.service)).id, lease.id)
  })
})
