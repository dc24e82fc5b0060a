/** `walcast cluster`: all nodes in one table, as the asked node sees them. */
import { CLUSTER_PATH, type ClusterAnswer } from '../api/clusterOverview.ts'
import { CLUSTER } from './clusterShape.ts'
import { clusterText } from './clusterText.ts'
import { nodeHelp } from './commandArguments.ts'
import { look } from './queryCommand.ts'
import { watchHelp } from './watch.ts'

const HELP = `walcast cluster [NODE] [--db FILE] [--json] [--watch]

Shows all nodes of the cluster: role, state, position, lag and version, and why one lags or is away.
Any node can be asked, also while there is no leader: it asks the others itself.

${nodeHelp(15)}
  --json            print the answer of /_walcast/cluster unchanged
${watchHelp(15)}
`

export function runCluster(args: readonly string[]): Promise<number> {
  return look<ClusterAnswer>(
    {
      name: 'cluster',
      path: CLUSTER_PATH,
      help: HELP,
      shape: CLUSTER,
      format: clusterText,
    },
    args,
  )
}
