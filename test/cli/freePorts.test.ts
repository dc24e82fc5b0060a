import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../src/cli/freePorts.ts'

const MODULE = fileURLToPath(new URL('../../src/cli/freePorts.js', import.meta.url))
const COUNT = 12_000

test('no two processes get the same free port', async () => {
  const port = await freePort()
  // Another process that would get the same port gets the next one.
  const script = `Math.random = () => ${port - 18_000 - 1} / ${COUNT} + 1e-9
    const { freePort } = await import(${JSON.stringify(MODULE)})
    console.log(await freePort())`
  const other = Number(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }),
  )
  assert.ok(other > port && other < port + 50, `${other} beside ${port}`)
})
