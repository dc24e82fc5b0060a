/**
 * What a node's role goes through, kept as text: what happens, what the state becomes, what is
 * ordered. With WALCAST_REWRITE_TRANSCRIPTS=1 the files are written anew from their own input.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { roleFacts } from '../support/drivenRoles.ts'
import { replay } from '../support/roleTranscript.ts'

const FOLDER = fileURLToPath(new URL('../../../test/roles/transcripts/', import.meta.url))
const IS_TO_REWRITE = process.env['WALCAST_REWRITE_TRANSCRIPTS'] === '1'

for (const name of readdirSync(FOLDER).filter((each) => each.endsWith('.txt')))
  test(`transcript ${name}`, () => {
    const path = join(FOLDER, name)
    const text = readFileSync(path, 'utf8')
    const now = replay(text, roleFacts())
    if (IS_TO_REWRITE && now !== text) writeFileSync(path, now)
    else assert.equal(now, text)
  })
