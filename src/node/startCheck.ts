/** What can be told of a start before anything is made. */
import type { NodeSetup } from '../database/engine.ts'
import { resolveDatabase } from '../sqlite/databaseFiles.ts'
import { NodeFolder, type StartAs } from './nodeFolder.ts'
import { requireSoundOptions } from './soundOptions.ts'

/** The folder of a node. Makes nothing. Throws USAGE, SELF_LEADER, and what `NodeFolder` throws. */
export function startableFolder(setup: NodeSetup, as: StartAs): NodeFolder {
  requireSoundOptions(setup.options, as)
  return new NodeFolder(resolveDatabase(setup.options.db), setup, as)
}
