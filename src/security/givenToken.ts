/** The token of the command line, as the person or program that runs it gives it. */
import { messageOf, WalcastError } from '../errors.ts'
import { readPrivateFile } from './privateFile.ts'
import { parseToken, type Token } from './token.ts'

/**
 * Reads the token from WALCAST_TOKEN, or from the file that WALCAST_TOKEN_FILE names; undefined
 * when neither is set. Never repeats what it read. Throws TOKEN_UNREADABLE or SECRET_SHARED.
 */
export function readToken(environment: NodeJS.ProcessEnv): Token | undefined {
  const direct = environment['WALCAST_TOKEN']
  const file = environment['WALCAST_TOKEN_FILE']
  if (direct && file) throw unreadable('both WALCAST_TOKEN and WALCAST_TOKEN_FILE are set')
  const text = file ? textIn(file) : direct
  if (!text && !file) return undefined
  const token = parseToken((text ?? '').trim())
  if (!token) throw unreadable('it is no token: one looks like wct_..., with 58 characters')
  return token
}

function textIn(path: string): string {
  try {
    return readPrivateFile(path)
  } catch (error) {
    if (error instanceof WalcastError) throw error
    throw unreadable(messageOf(error), error)
  }
}

function unreadable(detail: string, cause?: unknown): WalcastError {
  return new WalcastError('TOKEN_UNREADABLE', { detail }, cause)
}
