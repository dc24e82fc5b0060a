/** The help of the commands that run a node. */
import type { StartAs } from '../node/nodeFolder.ts'
import { LOG_OPTIONS } from './logOptions.ts'
import { environmentName, isRequired, optionsOf } from './nodeArguments.ts'
import { optionLine } from './optionLine.ts'

const INTRO: Readonly<Record<StartAs, string>> = {
  leader: `walcast leader --db FILE [--listen HOST:PORT] [options]

Captures every commit that any process makes to FILE and sends it to replicas. Switches the database
to WAL mode if it is in another mode. Applications go on writing to FILE as before. They should set
wal_autocheckpoint=0: the node checkpoints, and their own attempts only cost time.`,
  replica: `walcast replica --db FILE --leader HOST:PORT [--listen HOST:PORT] [options]

Keeps FILE as a live copy of the leader's database. Any SQLite reader may open it, in any language;
writers get SQLITE_BUSY. The node at --leader may be a replica itself. FILE must be missing, empty,
or a copy that this cluster made.`,
  node: `walcast node --db FILE [--listen HOST:PORT] [--leader HOST:PORT] [options]

Leads or follows, as FILE-walcast/node.json says. A promotion or a switchover changes that file. On
its first start the node follows the node at --leader, or leads if there is no --leader. Before a
leader accepts writes, it asks the nodes that it has met, and those at --peers, whether one of them
leads.`,
}

const OUTRO = `
  --config FILE          read options from a TOML file; its keys are the names of the flags
${LOG_OPTIONS.map(({ flag, value, help }) => optionLine(`--${flag} ${value}`, help)).join('\n')}
  --print-config         show these options with where each came from, and start nothing
  --help                 show this text
  --help --all           show this text with all options

Each flag has an environment variable (--db: WALCAST_DB). A flag beats the environment, the
environment beats the file.

A leader that others can reach (--listen beyond loopback, or --tls) makes a secret for its cluster,
and walcast pair adds nodes. Or give all nodes one secret: WALCAST_SECRET or WALCAST_SECRET_FILE,
never a flag. Only its owner may read that file (mode 0600, or 0640 if root owns it).

Logs go to standard error.
`

/** The help of a node command. `all` adds the options that are seldom set. */
export function nodeHelp(role: StartAs, all: boolean): string {
  const lines = optionsOf(role)
    .filter((spec) => all || spec.common)
    .map((spec) => {
      const flag = `--${spec.flag}${spec.value ? ` ${spec.value}` : ''}`
      const fallback = spec.default
        ? ` [${spec.default}]`
        : isRequired(spec, role)
          ? ' (required)'
          : ''
      const variable = all ? ` ${environmentName(spec)}` : ''
      return optionLine(flag, `${spec.help}${fallback}${variable}`)
    })
  return `${INTRO[role]}\n\nOptions\n${lines.join('\n')}\n${OUTRO}`
}
