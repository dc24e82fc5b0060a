/** By what the command line proves to a node who it is: a token, else the cluster secret. */
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
