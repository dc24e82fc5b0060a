/**
 * undici, loaded when it is first used: most nodes never ask anything by HTTP themselves. Programs
 * of dist/bundle have only what this file names of it (scripts/bundle.js).
 */
import { createRequire } from 'node:module'

type Undici = typeof import('undici')

let undici: Undici | undefined

export function httpClient(): Pick<Undici, 'Agent' | 'errors' | 'request'> {
  undici ??= createRequire(import.meta.url)('undici') as Undici
  return undici
}
