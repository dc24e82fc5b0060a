/** The id that a node draws each time it begins to lead in a process: no copied file brings it back. */
import { randomBytes } from 'node:crypto'

/** 16 hex digits. */
export function newIncarnation(): string {
  return randomBytes(8).toString('hex')
}
