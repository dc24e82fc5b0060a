/**
 * Passes TCP connections on and counts what goes each way, until it is stopped: `up` comes from who
 * connects, `down` goes to it.
 */
import { connect, createServer } from 'node:net'
import { Flags, readyThenGo, report } from './program.ts'

const flags = new Flags(['listen-port', 'port'])
const HOST = '127.0.0.1'
const bytes = { up: 0, down: 0 }

const server = createServer((near) => {
  const far = connect({ host: HOST, port: flags.number('port') })
  near.on('data', (chunk: Buffer) => {
    bytes.up += chunk.length
  })
  far.on('data', (chunk: Buffer) => {
    bytes.down += chunk.length
  })
  for (const [from, to] of [
    [near, far],
    [far, near],
  ])
    from
      .setNoDelay(true)
      .on('error', () => to.destroy())
      .on('close', () => to.destroySoon())
      .pipe(to)
})

process.once('SIGTERM', () => {
  process.stdout.write('', () => process.exit(0))
  report(bytes)
})

await new Promise<void>((resolve) => server.listen(flags.number('listen-port'), HOST, resolve))
await readyThenGo()
