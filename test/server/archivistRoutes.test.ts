/** `POST /_walcast/backup`: who asks and leaves is told of. */
import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import Fastify from 'fastify'
import { BACKUP_PATH, type BackupNowAnswer } from '../../src/api/backupNow.ts'
import { Deferred } from '../../src/roles/deferred.ts'
import { addArchivistRoutes } from '../../src/server/archivistRoutes.ts'
import { until } from '../support/until.ts'

const ANSWER: BackupNowAnswer = { node: 'n', position: '1-2', places: [], tookMs: 1 }

test('a wait is ended when its caller closes the connection, and by nothing else', async (t) => {
  const app = Fastify()
  t.after(() => app.close())
  const asked: AbortSignal[] = []
  const ends: (() => void)[] = []
  const arrived = [new Deferred<void>(), new Deferred<void>()]
  const backup = {
    now: (_how: object, _by: string, gone: AbortSignal) =>
      new Promise<BackupNowAnswer>((resolve) => {
        asked.push(gone)
        ends.push(() => resolve(ANSWER))
        arrived[asked.length - 1].resolve()
      }),
  }
  const archivist = { claim: assert.fail, decline: assert.fail }
  addArchivistRoutes(app, { archivist, backup }, () => ({ text: 'a', asker: 'a', passesOn: false }))
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as AddressInfo
  const ask = () => {
    const question = request({ port, host: '127.0.0.1', path: BACKUP_PATH, method: 'POST' })
    question.on('error', () => {}).end()
    return question
  }
  const leaver = ask()
  await arrived[0].promise
  assert.equal(asked[0].aborted, false)
  leaver.destroy()
  await until('it is told of', () => asked[0].aborted)
  const whole = new Deferred<void>()
  ask().once('response', (response) => response.resume().once('close', () => whole.resolve()))
  await arrived[1].promise
  ends[1]()
  await whole.promise
  assert.equal(asked[1].aborted, false)
})
