import type { StartAs } from '../node/nodeFolder.ts'
import { environmentName, isRequired, optionsOf } from './nodeArguments.ts'

export const MAIN_HELP = `walcast: live replication of one SQLite database

Usage: walcast COMMAND [options]

Nodes
  leader      lead: capture every commit of a database and feed replicas
  replica     follow: keep a copy that any SQLite reader may open
  node        in the role that its role file says, which a switchover or promotion changes
  run         a node and the application as its child, restarted or told at each change of role

  new-identity  give the node of a copied folder an id of its own

Leading
  switchover  hand leadership over without losing a write
  rehearse    hand it over and back, and measure
  promote     have a replica take over when the leader is gone
  demote      have a leader become a replica

Looking
  status      where a node stands
  lag         how far a replica is behind, with percentiles
  audit       who changed a node's role, when and why
  forget      take a replica that is away off a node's list

Comparing
  diff        two database files row by row, as text, JSON or SQL that inserts missing rows

Checking
  verify      whether nodes hold the same, read from their disks, while writes go on

Trying out
  demo        a leader, two replicas and a writer on a real database, with proof
  bench       measure lag, throughput and more on this machine, and make a report

  walcast COMMAND --help    what a command takes
  walcast --version

Exit codes: 0 ok, 1 failure, 2 usage. Of diff: 0 same, 1 different, 2 usage, 3 failure.
`

const INTRO: Readonly<Record<StartAs, string>> = {
  leader: `walcast leader --db FILE [--listen HOST:PORT] [options]

Captures every commit that any process makes to FILE and pushes it to replicas. The database is switched
to WAL mode if it is not. Applications keep writing to FILE as before; wal_autocheckpoint=0 in them saves
them futile checkpoints, since the node runs its own.`,
  replica: `walcast replica --db FILE --leader HOST:PORT [--listen HOST:PORT] [options]

Keeps FILE as a live copy of the leader's database. The node at --leader may be a replica itself. Any SQLite reader may open it, in any language; writes
get SQLITE_BUSY. FILE must not exist yet, have no content, or be a copy made before.`,
  node: `walcast node --db FILE [--listen HOST:PORT] [--leader HOST:PORT] [--peers HOST:PORT,...] [options]

Leads or follows, as FILE-walcast/node.json says: that is what a promotion or switchover changes. The first time it follows
the node at --leader, or leads when that is not given. Before a leader lets anybody write it asks the nodes that it has met,
and those at --peers, whether one of them leads by now.`,
}

const OUTRO = `
  --config FILE          options from a TOML file, keys named like the flags
  --help                 this text
  --help --all           the same, with all options

Each flag has an environment variable (--db: WALCAST_DB); a flag beats the environment, the environment
beats the file. The cluster secret comes from WALCAST_SECRET or WALCAST_SECRET_FILE, never from a flag;
without one a node listens on loopback only. Only its owner may read that file (mode 0600; 0640 if root owns
it). Logs go to standard error, as much as WALCAST_LOG_LEVEL says (debug, info, warn, error, silent).
`

/** Help of a node command; `all` shows the options that seldom need touching too. */
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
      return `  ${flag.padEnd(22)} ${spec.help}${fallback}${variable}`
    })
  return `${INTRO[role]}\n\nOptions\n${lines.join('\n')}\n${OUTRO}`
}
