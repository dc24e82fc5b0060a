/**
 * Every command: its name, and what the main help says of it. The main help, the completion of
 * shells and the guess at a mistyped name go by this table; `main.ts` runs them.
 */

interface Group {
  readonly title: string
  /** Names, each with what the command does. */
  readonly commands: Readonly<Record<string, string>>
}

const GROUPS = [
  {
    title: 'Running nodes',
    commands: {
      leader: 'run a leader: capture every commit to a database and send it to replicas',
      replica: 'run a replica: keep a live copy that any SQLite reader may open',
      node: 'run a node whose role may change by switchover or promotion',
      run: 'run a node, and the application as its child',
      systemd: 'write the systemd unit of a node, with or without its application',
      witness: 'print how to run a third vote for two servers: a small etcd with TLS',
      'new-identity': 'give the node of a copied folder an id of its own',
      'check-config': 'name every mistake in the options of a node, without starting it',
    },
  },
  {
    title: 'Growing a cluster',
    commands: {
      pair: 'make a one-time code, and print the command that adds a node with it',
      join: 'become a node of a cluster with that code, and run it',
    },
  },
  {
    title: 'Changing the leader',
    commands: {
      switchover: 'hand leadership over without losing a write',
      rehearse: 'hand leadership over and back, and report what it cost',
      promote: 'make a replica the leader when the old one is gone',
      demote: 'make a leader a replica',
      pause: 'let nobody change roles while you work',
      resume: 'end such a pause',
    },
  },
  {
    title: 'Looking at nodes',
    commands: {
      cluster: 'show all nodes in one table',
      status: 'show where a node stands',
      config: 'show the options of a node in force, and where each came from',
      lag: 'show how far a replica is behind, with percentiles',
      audit: "show who changed a node's role, when and why",
      tail: 'print positions as they come, with the tables that they touched',
      diverged: 'look at rows that a node kept aside, print their SQL, remove them',
      forget: "remove an absent replica from a node's list",
    },
  },
  {
    title: 'Who may ask',
    commands: {
      token: 'make, list and revoke tokens for people and programs',
    },
  },
  {
    title: 'Members of the cluster',
    commands: {
      leave: 'take a replica out of its cluster; its file stays',
      remove: 'refuse the key of a node for ever, on all members',
      'rotate-secret': 'replace the cluster secret while all nodes run',
      'rotate-key': 'replace the key of encrypted settings',
    },
  },
  {
    title: 'Settings of the application',
    commands: {
      settings: 'keep small settings in the database, encrypted where you say so',
    },
  },
  {
    title: 'Comparing',
    commands: {
      diff: 'compare two database files row by row: as text, JSON or SQL',
      verify: 'check that nodes hold the same pages, while writes go on',
      'webhook-key': 'print the key that signs what --webhook gets',
    },
  },
  {
    title: 'Backups',
    commands: {
      backup: 'backup now: bring the archive level at once, and wait until it is',
      backups: 'show what an archive has, and check it',
      restore: 'make a database of an archive, as it was at any position',
      at: 'answer a query on the database as it was, without a restore',
      history: 'list what was written when, and to which tables',
      undo: 'print or apply SQL that takes back what some transactions did to rows',
      'backup-key': 'make a key pair, so that nodes write backups that they cannot read',
    },
  },
  {
    title: 'Finding out',
    commands: {
      explain: 'say what an error code means, and what to do',
      completion: 'print the script by which bash, zsh or fish complete these words',
      wal: 'show a WAL and its wal-index, without opening the database',
    },
  },
  {
    title: 'Trying it',
    commands: {
      demo: 'replicate a real database on this machine, and prove the copies identical',
      bench: 'measure lag, throughput and more on this machine, and write a report',
    },
  },
] as const satisfies readonly Group[]

type KeysOf<T> = T extends unknown ? keyof T : never
export type CommandName = KeysOf<(typeof GROUPS)[number]['commands']>

export const COMMAND_GROUPS: readonly Group[] = GROUPS

const NAMES = new Set(GROUPS.flatMap(({ commands }) => Object.keys(commands)))

export const COMMAND_NAMES: readonly CommandName[] = [...NAMES].filter(isCommandName)

export function isCommandName(name: string): name is CommandName {
  return NAMES.has(name)
}
