/**
 * Writes two settings with one value, in one transaction of its own, again and again, and rotates
 * their keys now and then. Prints the number of each value that is committed. Options: `path` of
 * the database, `keks`, `first` number.
 */
import Database from 'better-sqlite3'
import { Keyring } from '../../../src/security/keyring.ts'
import { settings } from '../../../src/settings/settings.ts'

const { path, keks, first } = JSON.parse(process.argv[2])
const db = new Database(path, { timeout: 30_000 })
const store = settings(db, Keyring.of(keks))
const both = db.transaction((i: number) => {
  store.set('one', i, { encrypt: true })
  store.set('other', { i }, { encrypt: i % 2 > 0 })
  if (i % 7 === 0) store.rotate({ values: i % 14 === 0 })
})

const round = (i: number): void => {
  both.immediate(i)
  // The next one begins once the line is on its way.
  process.stdout.write(`${i}\n`, () => round(i + 1))
}
round(first)
