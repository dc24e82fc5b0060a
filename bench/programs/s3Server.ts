/** s3rver with an empty bucket `archives`, on the loopback interface, until it is stopped. */
import { createRequire } from 'node:module'
import { Flags, readyThenGo } from './program.ts'

interface Server {
  run(): Promise<unknown>
}

/** It has no types of its own. */
const S3rver = createRequire(import.meta.url)('s3rver') as new (options: object) => Server

const flags = new Flags(['port', 'folder'])
const server = new S3rver({
  ...{ port: flags.number('port'), address: '127.0.0.1', silent: true },
  directory: flags.text('folder'),
  configureBuckets: [{ name: 'archives' }],
})
await server.run()
await readyThenGo()
