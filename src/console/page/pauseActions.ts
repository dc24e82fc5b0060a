/** Pausing and resuming role changes in the whole cluster. */
import { PAUSE_PATH, type PauseAnswer } from '../../api/rolePause.ts'
import { told } from './accessActions.ts'
import { type Action, BY, line } from './actions.ts'
import { shellWord } from './commandText.ts'
import { ask } from './requests.ts'

/** Lengths that are offered, in the words of the command line, with their milliseconds. */
export const PAUSE_LENGTHS = { '30m': 1_800_000, '1h': 3_600_000, '4h': 14_400_000 } as const

export type PauseLength = keyof typeof PAUSE_LENGTHS

export function isPauseLength(text: string): text is PauseLength {
  return Object.hasOwn(PAUSE_LENGTHS, text)
}

export function pauseRoles(length: PauseLength, reason: string): Action {
  const why = reason === '' ? '' : ` --reason ${shellWord(reason)}`
  return {
    title: 'Pause role changes',
    does: `No node takes a promotion, demotion or switchover for ${length}, or until resumed.`,
    needs: 'operate',
    plan: async () => ({
      lines: [
        line('warn', 'No node replaces a leader lost meanwhile: resume first, at any node.'),
        line('quiet', 'Nodes still give way to a newer leader by themselves.'),
      ],
      command: `walcast pause --for ${length}${why}`,
      button: 'Pause',
      run: async () => {
        const asked = { forMs: PAUSE_LENGTHS[length], reason, by: BY }
        const { members } = await ask<PauseAnswer>('POST', PAUSE_PATH, asked)
        return [line('good', 'Role changes are paused.'), ...told(members)]
      },
    }),
  }
}

export function resumeRoles(): Action {
  return {
    title: 'Resume role changes',
    does: 'Promotions, demotions and switchovers are possible again.',
    needs: 'operate',
    plan: async () => ({
      lines: [line('quiet', 'Whoever paused may still be at work: ask, if the time allows.')],
      command: 'walcast resume',
      button: 'Resume',
      run: async () => {
        const query = new URLSearchParams({ by: BY })
        const { members } = await ask<PauseAnswer>('DELETE', `${PAUSE_PATH}?${query}`)
        return [line('good', 'Role changes are possible again.'), ...told(members)]
      },
    }),
  }
}
