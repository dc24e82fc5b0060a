/**
 * undici, loaded when it is first used: it is a sixth of what a start of a node loads, and most
 * nodes never ask anything by HTTP themselves.
 */
import { createRequire } from 'node:module'

type Undici = typeof import('undici')

let undici: Undici | undefined

export function httpClient(): Pick<Undici, 'Agent' | 'errors' | 'fetch' | 'request'> {
  undici ??= createRequire(import.meta.url)('undici') as Undici
  return undici
}
