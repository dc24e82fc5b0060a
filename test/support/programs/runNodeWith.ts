/**
 * A node in a test's process, as the command line with the same arguments, on file operations of
 * the test's own.
 */
import { createLog } from '../../../src/cli/log.ts'
import { nodeOptions } from '../../../src/cli/nodeArguments.ts'
import { startNode } from '../../../src/node/node.ts'
import type { StartAs } from '../../../src/node/nodeFolder.ts'
import type { FileOps } from '../../../src/platform/fileOps.ts'

/** Resolves when it runs; it ends with SIGTERM, or with status 1 when it cannot go on. */
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
