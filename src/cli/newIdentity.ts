/** `walcast new-identity`: gives the node of a copied folder an id of its own. */
import { WalcastError } from '../errors.ts'
import { giveNewIdentity } from '../node/newIdentity.ts'
import { parseValue } from '../options/optionValues.ts'
import { parseFlags } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { jsonLine } from './queryCommand.ts'

const HELP = `walcast new-identity --db FILE [--name ID] [--json]

Gives the node of FILE an id of its own. Use it after copying FILE and FILE-walcast from another
node: two processes with one id cannot both serve. No node may be running on FILE.

Afterwards the node is a replica of the same cluster: start it with --leader. What FILE has and its
leader lacks is kept in FILE-walcast/diverged/ before it is overwritten.

  --db FILE    the database file of the copy [WALCAST_DB]
  --name ID    the new id [a random one]
  --json       print the result as JSON
`

export const FLAGS = {
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  db: { type: 'string' },
  name: { type: 'string' },
} as const

export async function runNewIdentity(args: readonly string[]): Promise<number> {
  const { help, json, name, db = process.env['WALCAST_DB'] } = parseFlags(args, FLAGS)
  if (help) {
    showHelp(HELP)
    return 0
  }
  if (!db) throw new WalcastError('USAGE', { detail: '--db FILE is required' })
  const given = name === undefined ? undefined : String(parseValue('name', 'text', name))
  const made = await giveNewIdentity(db, given)
  const text = `${made.db} is now ${made.node} (it was ${made.was}), a ${made.role}
start it: walcast replica --db ${made.db} --leader HOST:PORT --listen HOST:PORT
`
  process.stdout.write(json ? jsonLine(made) : text)
  return 0
}
