/** The help of `walcast` and of the commands that run a node. */
import type { StartAs } from '../node/nodeFolder.ts'
import { environmentName, isRequired, optionsOf } from './nodeArguments.ts'
import { optionLine } from './optionLine.ts'

export const MAIN_HELP = `walcast: live replication of one SQLite database

Usage: walcast COMMAND [options]

Running nodes
  leader        run a leader: capture every commit to a database and send it to replicas
  replica       run a replica: keep a live copy that any SQLite reader may open
  node          run a node whose role may change by switchover or promotion
  run           run a node, and the application as its child
  systemd       write the systemd unit of a node, with or without its application
  new-identity  give the node of a copied folder an id of its own

Growing a cluster
  pair          make a one-time code, and print the command that adds a node with it
  join          become a node of a cluster with that code, and run it

Changing the leader
  switchover    hand leadership over without losing a write
  rehearse      hand leadership over and back, and report what it cost
  promote       make a replica the leader when the old one is gone
  demote        make a leader a replica

Looking at nodes
  cluster       show all nodes in one table
  status        show where a node stands
  lag           show how far a replica is behind, with percentiles
  audit         show who changed a node's role, when and why
  forget        remove an absent replica from a node's list

Who may ask
  token         make, list and revoke tokens for people and programs

Members of the cluster
  leave          take a replica out of its cluster; its file stays
  remove         refuse the key of a node for ever, on all members
  rotate-secret  replace the cluster secret while all nodes run
  rotate-key     replace the key of encrypted settings

Settings of the application
  settings      keep small settings in the database, encrypted where you say so

Comparing
  diff          compare two database files row by row: as text, JSON or SQL
  verify        check that nodes hold the same pages, while writes go on
  webhook-key   print the key that signs what --webhook gets

Backups
  backup        backup now: bring the archive level at once, and wait until it is
  backups       show what an archive has, and check it
  restore       make a database of an archive, as it was at any position
  at            answer a query on the database as it was, without a restore
  history       list what was written when, and to which tables
  undo          print or apply SQL that takes back what some transactions did to rows
  backup-key    make a key pair, so that nodes write backups that they cannot read

Trying it
  demo          replicate a real database on this machine, and prove the copies identical
  bench         measure lag, throughput and more on this machine, and write a report

  walcast COMMAND --help    show the options of a command
  walcast --version         show the version

Exit codes: 0 ok, 1 failure, 2 usage. For diff: 0 same, 1 different, 2 usage, 3 failure.
`

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
  --help                 show this text
  --help --all           show this text with all options

Each flag has an environment variable (--db: WALCAST_DB). A flag beats the environment, the
environment beats the file.

A leader that others can reach (--listen beyond loopback, or --tls) makes a secret for its cluster,
and walcast pair adds nodes. Or give all nodes one secret: WALCAST_SECRET or WALCAST_SECRET_FILE,
never a flag. Only its owner may read that file (mode 0600, or 0640 if root owns it).

Logs go to standard error. WALCAST_LOG_LEVEL sets how much: debug, info, warn, error or silent.
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
