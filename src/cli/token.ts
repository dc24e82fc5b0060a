/**
 * `walcast token`: makes, lists and revokes tokens. The token itself goes to standard output, once;
 * all that is for people goes to standard error, so that `walcast token create > FILE` keeps it.
 */
import {
  type CreatedToken,
  MAX_NOTE_CHARS,
  MAX_TOKEN_MS,
  type RevokedAnswer,
  TOKENS_PATH,
  type TokenInfo,
  type TokensAnswer,
} from '../api/tokens.ts'
import { WalcastError } from '../errors.ts'
import { isPlain } from '../plainText.ts'
import { isTokenId, parseToken, TOKEN_ROLES } from '../security/token.ts'
import { CREATED_TOKEN, REVOKED_TOKEN, TOKENS } from './answerShapes.ts'
import { NODE_FLAGS, operator, parseAll } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { parseLifetime } from './lifetime.ts'
import { namedNode } from './namedNode.ts'
import { bodyOf } from './nodeAnswer.ts'
import { askJson, askNode, getJson, type Question } from './nodeClient.ts'
import { jsonLine } from './queryCommand.ts'
import { type NodeSubcommand, runSubcommand } from './subcommand.ts'
import { shown, table } from './table.ts'
import { lookOf, timeText } from './terminalLook.ts'
import { usage } from './usage.ts'

const HELP = `walcast token create --role ROLE [--expires TIME] [--note TEXT]
walcast token list
walcast token revoke ID

Tokens let people and programs ask nodes without the cluster secret. All nodes of the cluster come
to know a new or revoked one, also while the leader is away.

  create   prints a new token on standard output. It is shown this once: nodes keep only a hash
  list     shows which tokens there are, never the tokens themselves
  revoke   ends a token for ever, on every node

  --role ROLE       what the token may do; each may do what those before it may:
                    metrics (only paths that are open anyway), read (status, lag, events, audit),
                    operate (promote, demote, switchover, scrub, backup, forget, rows kept
                    aside, read the archive), admin (tokens, members, secrets and keys)
  --expires TIME    how long it is good, such as 12h, 90d or 1y [until it is revoked]
  --note TEXT       what it is for, at most ${MAX_NOTE_CHARS} characters
  --node NODE       id, HOST:PORT or URL of the node to ask [WALCAST_NODE]
  --db FILE         the node of FILE on this machine [WALCAST_DB, else the only one there]
  --wide            of list: cut nothing, and show whole times
  --json            print the result as JSON

Over an address the command needs a token of role admin (WALCAST_TOKEN or WALCAST_TOKEN_FILE) or the
cluster secret. On the machine of a node it needs neither.
`

export const FLAGS = {
  ...NODE_FLAGS,
  role: { type: 'string' },
  expires: { type: 'string' },
  note: { type: 'string' },
  wide: { type: 'boolean' },
} as const

type Flags = ReturnType<typeof parseAll<typeof FLAGS>>['values']

const COMMANDS: Readonly<Record<string, NodeSubcommand<Flags>>> = {
  create: { argument: undefined, flags: ['role', 'expires', 'note'], run: create },
  list: { argument: undefined, flags: ['wide'], run: list },
  revoke: { argument: 'ID', flags: [], run: revoke },
}
const TIMEOUT_MS = 30_000

export async function runToken(args: readonly string[]): Promise<number> {
  const { values: flags, positionals } = parseAll(args, FLAGS)
  if (flags.help) {
    showHelp(HELP)
    return 0
  }
  await runSubcommand(COMMANDS, 'token', flags, positionals)
  return 0
}

async function create(flags: Flags): Promise<void> {
  const role = TOKEN_ROLES.find((known) => known === flags.role)
  if (!role) throw usage(`--role wants one of ${TOKEN_ROLES.join(', ')}`)
  const { expires, note = '' } = flags
  if (note.length > MAX_NOTE_CHARS || !isPlain(note))
    throw usage(`--note wants one line of at most ${MAX_NOTE_CHARS} characters`)
  const expiresMs = expires === undefined ? undefined : lifetimeMs(expires)
  const answer = await askNode({
    ...(await about(flags)),
    method: 'POST',
    path: TOKENS_PATH,
    body: { role, note, expiresMs, by: operator() },
  })
  const made = bodyOf<CreatedToken>(answer, CREATED_TOKEN)
  // It goes to a terminal or a file as it is.
  if (!parseToken(made.token))
    throw new WalcastError('NODE_ANSWER', { url: answer.url, detail: 'with no token' })
  if (flags.json) return void process.stdout.write(jsonLine(made))
  const until = made.expires === null ? 'until it is revoked' : `until ${made.expires}`
  process.stderr.write(
    `${shown(`token ${made.id}, role ${made.role}, good ${until}`)}; it is shown this once\n`,
  )
  process.stdout.write(`${made.token}\n`)
}

// An id is long enough to be typed, and goes whole.
const COLUMNS = [{ heading: 'id', least: 10 }, 'role', 'note', 'created', 'expires', 'revoked']

async function list(flags: Flags): Promise<void> {
  const { node, environment } = await about(flags)
  const answer = await getJson<TokensAnswer>(node, TOKENS_PATH, environment, TOKENS)
  if (flags.json) return void process.stdout.write(jsonLine(answer))
  const { tokens, revoked } = answer
  const look = lookOf(process.stdout, process.env, flags.wide)
  const rows = [
    ...tokens.toSorted(byTime).map(({ id, role, note, created, expires }) => {
      const until = expires === null ? 'never' : timeText(expires, look)
      return [id, role, note, timeText(created, look), until, '']
    }),
    ...revoked.map(({ id, revoked: at }) => [id, '', '', '', '', timeText(at, look)]),
  ]
  process.stdout.write(rows.length > 0 ? table(COLUMNS, rows, look) : 'no tokens\n')
}

function byTime(a: TokenInfo, b: TokenInfo): number {
  return a.created.localeCompare(b.created)
}

async function revoke(flags: Flags, given: string): Promise<void> {
  // A person may have only the token at hand. Of that the node gets no more than the id.
  const id = parseToken(given)?.id ?? given
  if (!isTokenId(id)) throw usage('token revoke takes the id of a token: walcast token list')
  const query = new URLSearchParams({ id, by: operator() })
  const path = `${TOKENS_PATH}?${query}`
  const question: Question = { ...(await about(flags)), method: 'DELETE', path }
  const { known } = await askJson<RevokedAnswer>(question, REVOKED_TOKEN)
  if (flags.json) process.stdout.write(jsonLine({ revoked: id, known }))
  else process.stdout.write(`revoked ${id}\n`)
  if (!known)
    process.stderr.write(
      `this node had not heard of token ${id}; should another node have it, it ends there too\n`,
    )
}

async function about(flags: Flags) {
  const environment = process.env
  return { node: await namedNode(flags, environment), environment, timeoutMs: TIMEOUT_MS }
}

/** Throws USAGE. */
function lifetimeMs(text: string): number {
  const ms = parseLifetime(text) ?? 0
  if (ms < 1 || ms > MAX_TOKEN_MS)
    throw usage('--expires wants a time such as 12h, 90d or 1y, at most 10y')
  return ms
}
