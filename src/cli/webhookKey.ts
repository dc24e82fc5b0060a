/** `walcast webhook-key`: the key that signs what --webhook gets. */
import { WalcastError } from '../errors.ts'
import { ClusterSecrets, webhookKeyOf } from '../security/clusterSecrets.ts'
import { readSecret } from '../security/givenSecret.ts'
import { parseFlags } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'

const HELP = `walcast webhook-key

Prints the key with which nodes sign what they POST to --webhook (header Walcast-Signature). Give it
to the receiver in place of the cluster secret: it opens nothing else. It changes with the secret.

The secret is read from WALCAST_SECRET, or from the file that WALCAST_SECRET_FILE names.
`

export async function runWebhookKey(args: readonly string[]): Promise<number> {
  const { help } = parseFlags(args, { help: { type: 'boolean' } })
  if (help) {
    showHelp(HELP)
    return 0
  }
  const secret = readSecret(process.env)
  const key = webhookKeyOf(new ClusterSecrets(secret === undefined ? [] : [secret]))
  if (key === undefined)
    throw new WalcastError('SECRET_UNREADABLE', { detail: 'neither variable is set' })
  process.stdout.write(`${key}\n`)
  return 0
}
