/** What every command throws for a wrong use of it. */
import { WalcastError } from '../errors.ts'

/** `detail`: what is wrong, and what is wanted. */
export function usage(detail: string, cause?: unknown): WalcastError {
  return new WalcastError('USAGE', { detail }, cause)
}
