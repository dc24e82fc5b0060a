/** Fields of what another node tells, checked and bounded one by one. */
import { MAX_COUNTED } from '../../proto/limits.ts'
import { plainText } from '../plainText.ts'

/** Of a word, a position or a time. */
export const MAX_WORD_CHARS = 64

export type Fields = Readonly<Record<string, unknown>>

export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= MAX_COUNTED
}

export function amountIn(fields: Fields, name: string): number {
  const value = Number(fields[name] ?? 0)
  return Number.isFinite(value) ? Math.max(0, value) : 0
}

/** null for what is no time. */
export function timeIn(fields: Fields, name: string): string | null {
  const text = textIn(fields, name, MAX_WORD_CHARS)
  return Number.isFinite(Date.parse(text)) ? text : null
}

/** '' for what is no text. */
export function textIn(fields: Fields, name: string, maxChars: number): string {
  const value = fields[name]
  return typeof value === 'string' ? plainText(value, maxChars) : ''
}

export function listIn(fields: Fields, name: string, most: number): Fields[] {
  const value = fields[name]
  return Array.isArray(value) ? value.slice(0, most).map((each): Fields => Object(each)) : []
}
