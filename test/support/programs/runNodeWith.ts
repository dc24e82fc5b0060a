/**
 * Runs a node in this process, with the arguments of the command line and the file operations of a
 * test.
 */
import { createLog } from '../../../src/cli/log.ts'
import { nodeOptions } from '../../../src/cli/nodeArguments.ts'
import { startNode } from '../../../src/node/node.ts'
import type { StartAs } from '../../../src/node/nodeFolder.ts'
import { createFileOps, type FileOps } from '../../../src/platform/fileOps.ts'

/** Of the same modules as the node: it tells errors by their class. */
export { createFileOps }

/** Resolves once the node runs. It ends at SIGTERM, or with status 1 when it cannot go on. */
export async function runNodeWith(
  ops: FileOps,
  [command, ...flags]: readonly string[],
): Promise<void> {
  const startAs = command as StartAs
  const log = await createLog(process.env)
  const options = nodeOptions(startAs, flags, process.env)
  const secret = process.env['WALCAST_SECRET']
  const node = await startNode({ options, secret, log, version: 'test', ops }, startAs)
  log.info('running')
  void node.failed.then(async (error) => {
    process.stderr.write(`${error.line}\n`)
    await node.stop()
    process.exit(1)
  })
  process.on('SIGTERM', () => void node.stop().then(() => process.exit(0)))
}
