/** A look at every page of this node's database. */
import { SCRUB_PATH, type ScrubAnswer } from '../../api/checks.ts'
import type { Action, PlanLine } from './actions.ts'
import { countText, durationText, plural } from './format.ts'
import { ask } from './requests.ts'

export function verifyPages(): Action {
  return {
    title: 'Verify now',
    does: 'Reads every page of the database from the disk, and compares it with its checksum.',
    needs: 'operate',
    plan: async () => ({
      lines: [
        { tone: 'good', text: 'Nothing is changed. Readers and writers go on.' },
        { tone: 'quiet', text: 'The disk is read at full speed meanwhile.' },
      ],
      command: 'walcast verify',
      button: 'Verify',
      run: async () => verifiedLines(await ask<ScrubAnswer>('POST', SCRUB_PATH, {})),
    }),
  }
}

function verifiedLines(answer: ScrubAnswer): PlanLine[] {
  const { epoch, txid, checksum, pagesRead, rottenPages, rotten, seconds, direct } = answer
  const read = `${plural(pagesRead, 'page')} read in ${durationText(seconds * 1000)}`
  const from = direct ? 'from the disk' : "through the system's cache"
  const at: PlanLine = { tone: 'quiet', text: `Position ${epoch}-${txid}, checksum ${checksum}.` }
  if (rottenPages === 0) return [{ tone: 'good', text: `${read} ${from}: all sound.` }, at]
  const first = rotten.map(countText).join(', ')
  return [
    { tone: 'bad', text: `${read} ${from}: ${plural(rottenPages, 'page')} differ: ${first}.` },
    at,
  ]
}
