/**
 * The relay of the network suite (order, content and delay), and the cases that the suite measures.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parseOptions } from '../../bench/options.ts'
import { Processes } from '../../bench/processes.ts'
import { casesOf } from '../../bench/suites/network.ts'
import { PATIENCE_MS } from '../support/until.ts'

const RELAY = fileURLToPath(new URL('../../bench/programs/relay.js', import.meta.url))
const DELAY_MS = 30

test('a relay delays both directions and keeps the order', async () => {
  const processes = new Processes()
  const folder = mkdtempSync(join(tmpdir(), 'walcast-relay-'))
  const echo = createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1')
  try {
    await once(echo, 'listening')
    const address = echo.address()
    assert.ok(typeof address === 'object' && address)
    const path = join(folder, 'relay')
    const to = `127.0.0.1:${address.port}`
    const args = [RELAY, '--listen', path, '--connect', to, '--delay-ms', String(DELAY_MS)]
    const relay = processes.start({ name: 'relay', file: process.execPath, args })
    await relay.ready(PATIENCE_MS)
    relay.go()
    const socket = connect({ path })
    const fromMs = performance.now()
    const sent = Array.from({ length: 200 }, (_, i) => `chunk ${i}\n`)
    for (const chunk of sent) socket.write(chunk)
    socket.end()
    let firstMs = 0
    let received = ''
    for await (const chunk of socket) {
      firstMs ||= performance.now() - fromMs
      received += chunk
    }
    assert.equal(received, sent.join(''))
    assert.ok(firstMs >= 2 * DELAY_MS, `back after ${firstMs} ms`)
    await relay.stop()
    const { heldP50Ms } = JSON.parse(await relay.result(1000))
    assert.ok(heldP50Ms >= DELAY_MS && heldP50Ms < 10 * DELAY_MS, `held ${heldP50Ms} ms`)
  } finally {
    echo.close()
    await processes.close()
    rmSync(folder, { recursive: true, force: true })
  }
})

test('large commits are measured on narrow links, at rates that fit them', () => {
  const options = parseOptions(['network', '--rates', '200', '--pages', '1,100'])
  assert.notEqual(options, 'help')
  if (options === 'help') return
  const cases = casesOf({ options }).map(
    ({ condition, pages, rate }) => `${condition.name}: ${pages} at ${rate}/s`,
  )
  assert.equal(cases.filter((each) => each.endsWith(': 1 at 200/s')).length, 8)
  assert.deepEqual(
    cases.filter((each) => each.includes('100 at')),
    ['none: 100 at 15/s', 'rate 100 Mbit/s: 100 at 15/s'],
  )
})
