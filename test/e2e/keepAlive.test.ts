/**
 * Applications that close idle connections: no write meets the close, whatever the application
 * announces.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { ask, codeOf } from '../support/trafficLab.ts'
import { makeDatabase } from '../support/workload.ts'

interface Closing {
  readonly idleMs: number
  readonly lateMs: number
  readonly announcedSeconds?: number
}

/** A leader as a proxy before such an application. */
async function startBefore(lab: Lab, closing: Closing) {
  const [port, appPort] = [await freePort(), await freePort()]
  const app = lab.program('closingApp', { port: appPort, ...closing })
  await app.line((line) => line.includes('"port"'))
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const flags = ['--proxy', `127.0.0.1:${port}`, '--upstream', `http://127.0.0.1:${appPort}`]
  await lab.leader(db, { environment: { WALCAST_SECRET: 'correct horse battery staple' }, flags })
  const executed = async (): Promise<Record<string, number>> =>
    JSON.parse((await ask(appPort, { path: '/!count' })).body.toString())
  return { port, executed }
}

/**
 * Several clients, each of which pauses for `pauseMs` and then writes. Returns the answers that do
 * not come from the application.
 */
async function writeWithPauses(port: number, clients: number, pausesMs: readonly number[]) {
  const failed: string[] = []
  const client = async (id: number) => {
    for (const [i, pauseMs] of pausesMs.entries()) {
      await delay(pauseMs)
      const asked = { method: 'POST', path: `/${id}-${i}`, body: 'abc' }
      const got = await ask(port, asked)
      if (got.status !== 200) failed.push(`${asked.path} after ${pauseMs} ms: ${codeOf(got)}`)
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, id) => client(id)))
  return failed
}

function requireOnce(executed: Readonly<Record<string, number>>, count: number): void {
  assert.equal(Object.keys(executed).length, count)
  assert.deepEqual([...new Set(Object.values(executed))], [1])
}

const AROUND_200 = Array.from({ length: 30 }, (_, i) => 140 + ((i * 17) % 80))

labTest(
  'no request is lost to an application that closes after 200 ms unannounced',
  async (lab) => {
    const { port, executed } = await startBefore(lab, { idleMs: 200, lateMs: 150 })
    assert.deepEqual(await writeWithPauses(port, 4, AROUND_200), [])
    requireOnce(await executed(), 120)
  },
)

labTest(
  'no request is lost to an application that closes after 200 ms and says 0 s',
  async (lab) => {
    const { port, executed } = await startBefore(lab, {
      idleMs: 200,
      lateMs: 150,
      announcedSeconds: 0,
    })
    assert.deepEqual(await writeWithPauses(port, 4, AROUND_200.slice(0, 10)), [])
    requireOnce(await executed(), 40)
  },
)

labTest('no request is lost to an application that says 1 s and is 400 ms late', async (lab) => {
  const { port, executed } = await startBefore(lab, {
    idleMs: 1000,
    lateMs: 600,
    announcedSeconds: 1,
  })
  assert.deepEqual(await writeWithPauses(port, 8, [0, 620, 700, 900, 980]), [])
  requireOnce(await executed(), 40)
})

labTest('a read that meets a closing connection is repeated', async (lab) => {
  const { port, executed } = await startBefore(lab, { idleMs: 300, lateMs: 20 })
  for (let i = 0; i < 10; i++) {
    await delay(40)
    const got = await ask(port, { path: `/${i}` })
    assert.equal(got.status, 200)
  }
  requireOnce(await executed(), 10)
})
