/**
 * Reports changes of role to a command of the operator's and to a webhook, each in the order of the
 * changes.
 */
import type { Logger } from 'pino'
import type { NodeRole } from '../api/roleAnswers.ts'
import { runHookCommand } from './hookCommand.ts'
import { HookQueue } from './hookQueue.ts'
import { deliver, WEBHOOK_RETRY, type WebhookRetry } from './webhook.ts'

/** A completed change of this node's role. */
export interface RoleChange {
  /** ISO time. */
  readonly at: string
  readonly node: string
  readonly role: NodeRole
  readonly was: NodeRole
  readonly epoch: number
  readonly txid: number
  /** Id or address of the leader; '' when unknown. */
  readonly leader: string
  readonly reason: string
}

export interface RoleHookOptions {
  /** A shell command. */
  readonly command: string | undefined
  readonly webhook: string | undefined
  /** Time limit of the command, and of each POST. */
  readonly timeoutMs: number
  /** Signs the webhook's notices. */
  /** Signs what the webhook gets; undefined in a cluster without a secret. */
  readonly webhookKey: () => string | undefined
  /** Path of the database file. */
  readonly db: string
  /** URL at which the command reaches this node. */
  readonly nodeUrl: string
  readonly log: Logger
  /** A hook was not told of a change. */
  readonly onDropped?: (hook: 'command' | 'webhook') => void
  /** The command gets these variables, but no secrets. */
  readonly environment: NodeJS.ProcessEnv
  readonly retry?: WebhookRetry
  /** How long a stop waits for a running hook. */
  readonly stopGraceMs?: number
}

/** The most changes that wait for a slow command or address. */
const MAX_WAITING = 16
const STOP_GRACE_MS = 5000
/** Variables that children must not see: secrets, and the webhook, whose URL may hold one. */
const WITHHELD: ReadonlySet<string> = new Set([
  'WALCAST_SECRET',
  'WALCAST_SECRET_FILE',
  'WALCAST_TOKEN',
  'WALCAST_TOKEN_FILE',
  'WALCAST_ELECTION_PASSWORD',
  'WALCAST_ELECTION_PASSWORD_FILE',
  'WALCAST_WEBHOOK',
])

/** The variables that a child process of a node may see. */
export function withoutSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !WITHHELD.has(name)))
}

export class RoleHooks {
  readonly #queues: HookQueue<RoleChange>[] = []
  readonly #stopGraceMs: number

  constructor(options: RoleHookOptions) {
    const { command, webhook, stopGraceMs = STOP_GRACE_MS } = options
    this.#stopGraceMs = stopGraceMs
    if (command !== undefined) this.#queues.push(commandQueue(options, command))
    if (webhook !== undefined) this.#queues.push(webhookQueue(options, webhook))
  }

  /** Returns at once, and never throws. */
  notify(change: RoleChange): void {
    for (const queue of this.#queues) queue.push(change)
  }

  /** Waits a moment for a running hook, then ends it. */
  async stop(): Promise<void> {
    await Promise.all(this.#queues.map((queue) => queue.stop(this.#stopGraceMs)))
  }
}

function commandQueue(options: RoleHookOptions, command: string): HookQueue<RoleChange> {
  const { log, timeoutMs, onDropped } = options
  return new HookQueue<RoleChange>({
    maxWaiting: MAX_WAITING,
    onDropped({ role, epoch }) {
      onDropped?.('command')
      log.warn(
        { role, epoch },
        'not running the command for a change of role: too many wait, or the node stops',
      )
    },
    async run(change, signal) {
      const { role, epoch } = change
      const { code, output, ...rest } = await runHookCommand(
        command,
        hookEnvironment(options, change),
        {
          timeoutMs,
          signal,
        },
      )
      const said = { role, epoch, code, ...rest, output: output.replace(/\p{Cc}+/gu, ' ').trim() }
      if (code === 0) log.info(said, 'ran the command for a change of role')
      else log.error(said, 'the command for a change of role failed')
    },
  })
}

function webhookQueue(options: RoleHookOptions, url: string): HookQueue<RoleChange> {
  const { log, webhookKey, timeoutMs, onDropped, retry = WEBHOOK_RETRY } = options
  const { origin } = new URL(url)
  return new HookQueue<RoleChange>({
    maxWaiting: MAX_WAITING,
    onDropped({ role, epoch }) {
      onDropped?.('webhook')
      log.warn(
        { role, epoch, origin },
        'not calling the webhook for a change of role: too many wait, or the node stops',
      )
    },
    async run(change, signal) {
      const { role, epoch } = change
      const { delivered, ...rest } = await deliver(
        { url, key: webhookKey(), timeoutMs, retry },
        change,
        signal,
      )
      const said = { role, epoch, origin, ...rest }
      if (delivered) log.info(said, 'called the webhook for a change of role')
      else log.error(said, 'could not call the webhook for a change of role')
    },
  })
}

function hookEnvironment(
  { environment, db, nodeUrl }: RoleHookOptions,
  { role, was, epoch, txid, node, leader, reason }: RoleChange,
): NodeJS.ProcessEnv {
  return {
    ...withoutSecrets(environment),
    WALCAST_ROLE: role,
    WALCAST_WAS: was,
    WALCAST_EPOCH: String(epoch),
    WALCAST_TXID: String(txid),
    WALCAST_POSITION: `${epoch}-${txid}`,
    WALCAST_NODE: node,
    WALCAST_NODE_URL: nodeUrl,
    WALCAST_LEADER: leader,
    WALCAST_DB: db,
    // The command would not start with a NUL in a variable.
    WALCAST_REASON: reason.replaceAll('\0', ''),
  }
}
