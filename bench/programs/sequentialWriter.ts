/** Writes a new file from its beginning to its end and syncs it. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { Flags, readyThenGo, report } from './program.ts'

const CHUNK_BYTES = 1 << 20

const flags = new Flags(['file', 'mb'])
const chunks = Math.ceil((flags.number('mb') * 1e6) / CHUNK_BYTES)
const chunk = Buffer.alloc(CHUNK_BYTES, 0x61)
const file = openSync(flags.text('file'), 'w')

await readyThenGo()
const fromNs = process.hrtime.bigint()
for (let i = 0; i < chunks; i++) writeSync(file, chunk)
fsyncSync(file)
const elapsedMs = Number(process.hrtime.bigint() - fromNs) / 1e6
closeSync(file)
report({ bytes: chunks * CHUNK_BYTES, elapsedMs })
