/** `walcast backups name` and `walcast backups forget`: names of positions, which stay. */
import { Archive } from '../backup/archive.ts'
import { ArchiveRestore } from '../backup/archiveRestore.ts'
import { HeldFiles } from '../backup/heldFiles.ts'
import { clusterArchive, positionText } from '../backup/restoreTarget.ts'
import { forgetPoint, namePoint } from '../backup/retention/namedPoints.ts'
import type { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { wallMs } from '../platform/time.ts'
import { archivePlace, identityHelp } from './archivePlace.ts'
import { parseAll } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { jsonLine } from './queryCommand.ts'
import { positionJson, warningText } from './restoreText.ts'
import { usage } from './usage.ts'
import { POSITION_FLAGS, positionHelp, wantedOf } from './wantedPosition.ts'

const MAX_SHOWN_CHARS = 100

const HELP = `walcast backups name NAME --from PLACE [options]
walcast backups forget NAME --from PLACE

Gives a position a name, such as before-migration. It can be restored until you forget the name,
whatever --keep says: walcast restore --point NAME. "walcast backups" lists the names.

  --from PLACE             the archive, as for walcast backups; it must be possible to write there
${identityHelp(23)}
  --json                   print the result as one JSON object

Which position gets the name [the newest one]
${positionHelp(23)}

NAME has up to 100 letters, digits, ".", "_" and "-", and begins with a letter or digit.
`

export const FLAGS = {
  ...POSITION_FLAGS,
  help: { type: 'boolean' },
  json: { type: 'boolean' },
  from: { type: 'string' },
  identity: { type: 'string' },
} as const

type Flags = ReturnType<typeof parseAll<typeof FLAGS>>['values']

export function runNamePoint(args: readonly string[]): Promise<number> {
  return run('name', args, give)
}

export function runForgetPoint(args: readonly string[]): Promise<number> {
  return run('forget', args, forget)
}

async function run(
  command: string,
  args: readonly string[],
  act: (name: string, flags: Flags) => Promise<void>,
): Promise<number> {
  const { values: flags, positionals } = parseAll(args, FLAGS)
  if (flags.help) {
    showHelp(HELP)
    return 0
  }
  const [name, extra] = positionals
  if (name === undefined || extra !== undefined) throw usage(`backups ${command} takes one NAME`)
  await act(name, flags)
  return 0
}

async function give(name: string, flags: Flags): Promise<void> {
  const { json, from, identity } = flags
  const wanted = wantedOf(flags)
  const { store, identities } = await archivePlace({ flag: '--from', place: from, identity })
  let unheld: WalcastError | undefined
  const restore = new ArchiveRestore({
    wanted,
    isAsFarAsPossible: false,
    list: async (bad) =>
      clusterArchive(await Archive.list(store, { identities }), wanted.cluster, bad),
    held: new HeldFiles(store, (error) => {
      unheld = error
    }),
    onBad: (file, error) => process.stderr.write(warningText(file, error)),
  })
  // Its files stay pinned until the pin expires: a round of retention that has begun already does
  // not know the name, and removes nothing that is pinned.
  const { target } = await restore.heldPlan()
  if (unheld) throw unheld
  const { incarnation, txid } = target
  await namePoint(store, { name, incarnation, txid, namedMs: wallMs() })
  process.stdout.write(
    json ? jsonLine({ name, ...positionJson(target) }) : `named ${name}: ${positionText(target)}\n`,
  )
}

async function forget(name: string, flags: Flags): Promise<void> {
  const { json, from, identity } = flags
  if (Object.keys(POSITION_FLAGS).some((flag) => Object.hasOwn(flags, flag)))
    throw usage('backups forget takes a NAME and no position')
  const { store } = await archivePlace({ flag: '--from', place: from, identity })
  if (!(await forgetPoint(store, name)))
    throw usage(
      `no position has the name ${plainText(name, MAX_SHOWN_CHARS)}: "walcast backups" lists them`,
    )
  process.stdout.write(json ? jsonLine({ name, forgotten: true }) : `forgot the name ${name}\n`)
}
