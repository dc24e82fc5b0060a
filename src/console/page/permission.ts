/** Whether who looks at the page may do something, and why not. Pure. */
import { isEnough, type TokenRole } from '../../security/tokenRoles.ts'
import type { ConsoleState } from './state.ts'

/** Undefined: it may be done. */
export function refusalText(state: ConsoleState, needed: TokenRole): string | undefined {
  const { session, link } = state
  if (link.is === 'away') return 'This node does not answer.'
  if (!session) return 'Log in first.'
  if (isEnough(session.role, needed)) return undefined
  return `Your role is ${session.role}; this needs the role ${needed}.`
}
