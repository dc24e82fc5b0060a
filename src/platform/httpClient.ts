/**
 * undici, loaded when it is first used: it is a sixth of what a start of a node loads, and most
 * nodes never ask anything by HTTP themselves.
 */
import { createRequire } from 'node:module'

type Undici = typeof import('undici')

const require = createRequire(import.meta.url)
let undici: Undici | undefined

export function httpClient(): Pick<Undici, 'Agent' | 'errors' | 'fetch' | 'request'> {
  undici ??= require('undici') as Undici
  return undici
}
