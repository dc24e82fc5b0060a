/** `walcast rotate-key`: a new key for the encrypted settings, while all nodes run. */
import { ROTATE_KEY_PATH, type RotatedKeyAnswer } from '../api/membership.ts'
import { ROTATED_KEY } from './answerShapes.ts'
import { NODE_FLAGS, nodeHelp, operator, parseForNode } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { namedNode } from './namedNode.ts'
import { askJson, type Question } from './nodeClient.ts'
import { jsonLine, shown } from './queryCommand.ts'
import { toldText } from './toldText.ts'

const HELP = `walcast rotate-key [NODE] [--force] [--json]

Makes a new key-encryption key for the settings of the application, and tells it to all members.
When all know it, the leader wraps the data keys in the database with it. The old keys stay known,
so that a member that is away reads on. "walcast settings rotate --values" encrypts the values
themselves anew.

${nodeHelp(7)}
  --force   wrap the data keys though a member does not know the new key: until it does, it cannot
            decrypt
  --json    print the answer as JSON

A table of another name: walcast settings rotate --table NAME, on the machine of the leader.

Over an address the command needs a token of role admin (WALCAST_TOKEN or WALCAST_TOKEN_FILE) or the
cluster secret. On the machine of a node it needs neither.
`

export const FLAGS = { ...NODE_FLAGS, force: { type: 'boolean' } } as const
const TIMEOUT_MS = 90_000

export async function runRotateKey(args: readonly string[]): Promise<number> {
  const { values, named } = parseForNode(args, FLAGS)
  const { help, json, force = false } = values
  if (help) {
    showHelp(HELP)
    return 0
  }
  const environment = process.env
  const question: Question = {
    method: 'POST',
    node: await namedNode(named, environment),
    path: ROTATE_KEY_PATH,
    environment,
    timeoutMs: TIMEOUT_MS,
    body: { force, by: operator() },
  }
  const done = await askJson<RotatedKeyAnswer>(question, ROTATED_KEY)
  process.stdout.write(json ? jsonLine(done) : rotatedText(done))
  if (done.wrapped !== null) return 0
  process.stderr.write(
    `the data keys are still wrapped with the old key: ${shown(done.detail ?? '')}\n` +
      'when that is mended: walcast settings rotate, on the machine of the leader\n',
  )
  return 1
}

function rotatedText({ id, members, wrapped }: RotatedKeyAnswer): string {
  const done = wrapped === null ? '' : `data keys wrapped with it: ${wrapped}\n`
  return `new key ${id}\n${toldText(members)}${done}`
}
