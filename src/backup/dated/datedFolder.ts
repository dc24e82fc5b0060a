/** The folder of what is on its way. */
import { join } from 'node:path'
import { readdirSync, removeAside, rmSync } from '../../platform/files.ts'

/**
 * Removes a folder, if it is there, with all that is in it. Files go in the background: that of a
 * large database holds up a thread for long.
 */
export async function removeFolder(folder: string): Promise<void> {
  for (const entry of entriesOf(folder)) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile()) await removeAside(path)
  }
  rmSync(folder, { recursive: true, force: true })
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
  } catch {
    // The removal that follows says what is wrong, if anything is.
    return []
  }
}
