/** Tokens, and the secret and the key that all members share. */
import {
  MIN_OVERLAP_MS,
  ROTATE_KEY_PATH,
  ROTATE_SECRET_PATH,
  type RotatedKeyAnswer,
  type RotatedSecretAnswer,
  type ToldInfo,
} from '../../api/membership.ts'
import { type CreatedToken, type RevokedAnswer, TOKENS_PATH } from '../../api/tokens.ts'
import type { TokenRole } from '../../security/tokenRoles.ts'
import { type Action, BY, line, type PlanLine, takenLine } from './actions.ts'
import { shellWord } from './commandText.ts'
import { plural } from './format.ts'
import { ask } from './requests.ts'

/** The old secret stays good for so long. */
const OVERLAP_MS = 288 * MIN_OVERLAP_MS

const MAY: Readonly<Record<TokenRole, string>> = {
  metrics: 'It may read metrics.',
  read: 'It may read the state of all nodes.',
  operate: 'It may promote, switch over and back up, and read the archive.',
  admin: 'It may do everything: pair, remove, make tokens, replace keys.',
}

export function createToken(role: TokenRole, note: string): Action {
  const noted = note === '' ? '' : ` --note ${shellWord(note)}`
  return {
    title: 'Create a token',
    does: `A new token of the role ${role}, good until it is revoked. ${MAY[role]}`,
    needs: 'admin',
    plan: async () => ({
      lines: [line('quiet', 'It is shown once. Nodes keep only a hash of it.')],
      command: `walcast token create --role ${role}${noted}`,
      button: 'Create',
      run: async () => {
        const made = await ask<CreatedToken>('POST', TOKENS_PATH, { role, note, by: BY })
        return [line('good', `Token ${made.id} is made. Copy it now:`), takenLine(made.token)]
      },
    }),
  }
}

export function revokeToken(id: string, isOwn: boolean): Action {
  return {
    title: 'Revoke a token',
    does: `The token ${id} lets nobody in any more, on any node.`,
    needs: 'admin',
    plan: async () => ({
      lines: [line('warn', 'Programs and people that use it are refused at once.')],
      command: `walcast token revoke ${id}`,
      accepts: isOwn
        ? 'It is the token of this session: I accept that I am logged out.'
        : undefined,
      button: 'Revoke',
      isDangerous: true,
      run: async () => {
        const query = new URLSearchParams({ id, by: BY })
        const { revoked } = await ask<RevokedAnswer>('DELETE', `${TOKENS_PATH}?${query}`)
        return [line('good', `${revoked} is revoked.`)]
      },
    }),
  }
}

export function rotateSecret(): Action {
  return {
    title: 'Replace the secret',
    does: 'All members get a new secret while they run. The old one stays good for a day.',
    needs: 'admin',
    plan: async () => ({
      lines: [line('quiet', 'A member that is away for longer must be joined again.')],
      command: 'walcast rotate-secret --overlap 24h',
      button: 'Replace the secret',
      run: async () => {
        const asked = { overlapMs: OVERLAP_MS, by: BY }
        const { id, ends, members } = await ask<RotatedSecretAnswer>(
          'POST',
          ROTATE_SECRET_PATH,
          asked,
        )
        return [line('good', `The new secret is ${id}; older ones end ${ends}.`), ...told(members)]
      },
    }),
  }
}

export function rotateKey(): Action {
  return {
    title: 'Replace the key of settings',
    does: 'A new key wraps the keys of encrypted settings. Older keys open what they wrapped.',
    needs: 'admin',
    plan: async () => ({
      lines: [line('quiet', 'No setting is written again.')],
      command: 'walcast rotate-key',
      button: 'Replace the key',
      run: async () => {
        const answer = await ask<RotatedKeyAnswer>('POST', ROTATE_KEY_PATH, { by: BY })
        const { id, wrapped, detail, members } = answer
        const done =
          wrapped === null ? (detail ?? '') : `${plural(wrapped, 'data key')} wrapped anew`
        const tone = wrapped === null ? 'warn' : 'good'
        return [line(tone, `The new key is ${id}: ${done}.`), ...told(members)]
      },
    }),
  }
}

/** What the members say of a change. */
export function told(members: readonly ToldInfo[]): PlanLine[] {
  return members.map(({ node, knows, detail }) =>
    knows
      ? line('good', `${node} knows it.`)
      : line('warn', `${node} hears of it when it is back: ${detail ?? ''}`),
  )
}
