import { readFileSync } from 'node:fs'
import { manifestPath } from './programs.ts'

/** The version of the package, from the package.json above the compiled files. */
export const version: string = readVersion()

function readVersion(): string {
  return String(JSON.parse(readFileSync(manifestPath(), 'utf8')).version)
}
