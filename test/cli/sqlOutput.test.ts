/** SQL on a terminal, and in a file. */
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'
import { SqlOutput } from '../../src/cli/sqlOutput.ts'

const SQL = 'INSERT INTO "a\x1b[2J\u009b1m" VALUES (\'\tb\u202e\');\n'

async function written(isTTY: boolean, sql: string) {
  const stream = Object.assign(new PassThrough(), { isTTY }) as unknown as NodeJS.WriteStream
  const told: string[] = []
  const output = new SqlOutput(stream, { write: (text) => told.push(String(text)) > 0 })
  await output.write(sql)
  await output.end()
  return { text: String(stream.read()), told: told.join('') }
}

test('a terminal gets no character that could steer it, and a person hears of it', async () => {
  const { text, told } = await written(true, SQL)
  assert.equal(text, 'INSERT INTO "a\u{fffd}[2J\u{fffd}1m" VALUES (\'\tb\u{fffd}\');\n')
  assert.match(told, /write the SQL to a file/)
  assert.deepEqual(await written(true, 'COMMIT;\n'), { text: 'COMMIT;\n', told: '' })
})

test('a file gets every byte', async () => {
  assert.deepEqual(await written(false, SQL), { text: SQL, told: '' })
})
