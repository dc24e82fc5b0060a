/** A backup that somebody asks for. */
import { BACKUP_PATH, type BackupNowAnswer } from '../../api/backupNow.ts'
import { type Action, BY } from './actions.ts'
import { bytesText, durationText } from './format.ts'
import { ask } from './requests.ts'

export function backUpNow(isSnapshotWanted: boolean): Action {
  return {
    title: isSnapshotWanted ? 'Back up now, with a snapshot' : 'Back up now',
    does: isSnapshotWanted
      ? 'Brings the archive level, and writes the whole database into it once more.'
      : 'Brings the archive level with what this node has.',
    needs: 'operate',
    plan: async () => ({
      lines: [{ tone: 'good', text: 'Nothing is removed, and no write waits.' }],
      command: `walcast backup now${isSnapshotWanted ? ' --snapshot' : ''}`,
      button: 'Back up now',
      run: () => backedUp(isSnapshotWanted),
    }),
  }
}

async function backedUp(snapshot: boolean) {
  const { node, places, tookMs } = await ask<BackupNowAnswer>('POST', BACKUP_PATH, {
    snapshot,
    by: BY,
  })
  return places.map((place) => ({
    tone: 'good' as const,
    text:
      `${place.place} has ${place.position}: ${node} wrote ${bytesText(place.bytes)} in ` +
      `${durationText(tookMs)}${place.snapshot ? `, and the snapshot ${place.snapshot}` : ''}.`,
  }))
}
