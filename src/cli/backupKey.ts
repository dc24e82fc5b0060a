/** `walcast backup-key`: a key pair for encrypted backups. */
import { WalcastError } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { systemFileOps } from '../platform/fileOps.ts'
import { existsSync } from '../platform/files.ts'
import { writeIdentity } from '../security/backupKeyFiles.ts'
import { formatRecipient, newIdentity } from '../security/backupKeys.ts'
import { parseFlags } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'

const DEFAULT_PATH = 'walcast-backup.identity'
const HELP = `walcast backup-key [--to FILE]

Makes a key pair for encrypted backups. Run it on a machine that is no node.

Writes the identity, which opens backups, to FILE, readable by you alone, and never over a file that
is there. Prints the recipient: a line for the file of --backup-recipients at every node. A node
encrypts for it, and cannot open what it has encrypted.

Who loses the identity loses the backups: keep a copy of FILE elsewhere.

  --to FILE    where the identity goes [${DEFAULT_PATH}]
`

export const FLAGS = { help: { type: 'boolean' }, to: { type: 'string' } } as const
const MAX_SHOWN_CHARS = 500

export async function runBackupKey(args: readonly string[]): Promise<number> {
  const { help, to = DEFAULT_PATH } = parseFlags(args, FLAGS)
  if (help) {
    showHelp(HELP)
    return 0
  }
  const path = plainText(to, MAX_SHOWN_CHARS)
  if (existsSync(to))
    throw new WalcastError('USAGE', {
      detail: `${path} is there, and no identity is overwritten: give --to another name`,
    })
  const identity = newIdentity()
  await writeIdentity(to, identity, systemFileOps)
  const { id } = identity.recipient
  process.stderr.write(
    `wrote the identity to ${path}; keep it, and a copy, where no node is; its id is ${id}\n`,
  )
  process.stdout.write(`${formatRecipient(identity.recipient)}\n`)
  return 0
}
