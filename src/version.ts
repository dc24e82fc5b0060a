import { readFileSync } from 'node:fs'

/** The version of the package, from the package.json above the compiled files. */
export const version: string = readVersion()

function readVersion(): string {
  const path = new URL('../../package.json', import.meta.url)
  return String(JSON.parse(readFileSync(path, 'utf8')).version)
}
