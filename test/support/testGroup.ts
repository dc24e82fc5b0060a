/**
 * Several test files in one process, one after the other: `scripts/test` makes such groups. Each is
 * a suite with the file's name, so that a report names it.
 */
import { describe } from 'node:test'

/**
 * Runs test files, each named by its path below `test`, such as `proxy/gate`. A file that cannot be
 * loaded is a failed suite. A process that ends before its last file fails, too.
 */
export async function runTestFiles(files: readonly string[]): Promise<void> {
  let running = ''
  process.once('exit', () => {
    if (running === '') return
    console.error(`the process ended in test/${running}.test.ts`)
    process.exitCode ||= 1
  })
  for (const file of files) {
    running = file
    await describe(`test/${file}.test.ts`, async () => {
      await import(`../${file}.test.js`)
    })
  }
  running = ''
}
