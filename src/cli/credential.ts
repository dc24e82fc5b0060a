/** By what the command line proves to a node who it is: a token, else the cluster secret. */
import { secretsInForce } from '../cluster/secretsInForce.ts'
import { TrustFile } from '../cluster/trustFile.ts'
import { nowMs } from '../platform/time.ts'
import { readSecret } from '../security/givenSecret.ts'
import { readToken } from '../security/givenToken.ts'
import type { Token } from '../security/token.ts'

export type Credential =
  | { readonly kind: 'token'; readonly token: Token }
  | { readonly kind: 'secret'; readonly secret: string }

/** Throws TOKEN_UNREADABLE, SECRET_UNREADABLE or SECRET_SHARED. */
export function readCredential(environment: NodeJS.ProcessEnv): Credential | undefined {
  const token = readToken(environment)
  if (token) return { kind: 'token', token }
  const secret = readSecret(environment)
  return secret === undefined ? undefined : { kind: 'secret', secret }
}

/**
 * The secret that a node on this machine has of its cluster, for whoever may read its folder. The
 * other node proves that it knows the secret, too, before it is asked.
 */
export function memberCredential(folder: string | undefined): Credential | undefined {
  const record = folder === undefined ? undefined : TrustFile.peek(folder)
  if (!record) return undefined
  const [secret] = secretsInForce(undefined, record, nowMs()).good
  return secret === undefined ? undefined : { kind: 'secret', secret }
}
