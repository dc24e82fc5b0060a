/** The cluster secret as the operator gives it. */
import { messageOf, WalcastError } from '../errors.ts'
import { readPrivateFile } from './privateFile.ts'

export const MIN_SECRET_CHARS = 16

/**
 * Reads the cluster secret from WALCAST_SECRET, or from the file that WALCAST_SECRET_FILE names;
 * undefined when neither is set. Throws SECRET_UNREADABLE or SECRET_SHARED.
 */
export function readSecret(environment: NodeJS.ProcessEnv): string | undefined {
  const direct = environment['WALCAST_SECRET']
  const file = environment['WALCAST_SECRET_FILE']
  if (direct && file)
    throw new WalcastError('SECRET_UNREADABLE', {
      detail: 'both WALCAST_SECRET and WALCAST_SECRET_FILE are set',
    })
  const secret = file ? readSecretFile(file) : direct
  if (!secret && !file) return undefined
  checkSecret(secret ?? '')
  return secret
}

/** Throws SECRET_UNREADABLE when the secret is too short. */
export function checkSecret(secret: string): void {
  if (secret.length < MIN_SECRET_CHARS)
    throw new WalcastError('SECRET_UNREADABLE', {
      detail: `it has only ${secret.length} characters`,
    })
}

function readSecretFile(path: string): string {
  try {
    return readPrivateFile(path)
  } catch (error) {
    if (error instanceof WalcastError) throw error
    throw new WalcastError('SECRET_UNREADABLE', { detail: messageOf(error) }, error)
  }
}
