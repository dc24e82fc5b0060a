/** Which of TLS and plain text a node takes and speaks, and the keys for it. */
import type { Logger } from 'pino'
import type { Transport } from '../cluster/peerDialer.ts'
import { secretsInForce } from '../cluster/secretsInForce.ts'
import type { TrustFile } from '../cluster/trustFile.ts'
import type { NodeSetup } from '../database/engine.ts'
import { WalcastError } from '../errors.ts'
import { isLoopback } from '../hostPort.ts'
import { addressOf } from '../options/address.ts'
import type { NodeOptions } from '../options/nodeOptions.ts'
import { systemClock } from '../platform/clock.ts'
import type { FileOps } from '../platform/fileOps.ts'
import { openNodeKeys } from '../security/nodeKeys.ts'
import { OperatorKeyWatch, readOperatorKeys } from '../security/operatorKeys.ts'
import { ServedKeys } from '../security/servedKeys.ts'

export interface NodeTls {
  readonly keys: ServedKeys
  readonly transport: Exclude<Transport, 'open'>
  /** Undefined where the node made its keys itself. */
  readonly watch: OperatorKeyWatch | undefined
}

interface NodeTlsParts {
  readonly options: NodeOptions
  readonly log: Logger
  /** The folder of the node. */
  readonly stateFolder: string
  readonly ops: FileOps
}

/** Undefined in a cluster without a secret. Throws USAGE, and what `openNodeTls` throws. */
export async function tlsOf(
  { options, log, secret, clock = systemClock }: NodeSetup,
  { record }: Pick<TrustFile, 'record'>,
  stateFolder: string,
  ops: FileOps,
): Promise<NodeTls | undefined> {
  if (secretsInForce(secret, record, clock.nowMs()).good.length > 0)
    return openNodeTls({ options, log, stateFolder, ops })
  requireNoTls(options)
  return undefined
}

/**
 * For a node of a cluster with a secret. Throws KEYS_BROKEN, CERTIFICATE_EXPIRED, SECRET_SHARED,
 * DISK_FULL or WRITE_FAILED.
 */
async function openNodeTls({ options, log, stateFolder, ops }: NodeTlsParts): Promise<NodeTls> {
  const { tlsCert, tlsKey, tlsCa } = options
  const transport = transportOf(options)
  if (transport === 'plain') warnOfPlainText(options, log)
  const keys = await ownKeys(options, stateFolder, ops)
  if (tlsCert === undefined || tlsKey === undefined) return { keys, transport, watch: undefined }
  return { keys, transport, watch: new OperatorKeyWatch({ tlsCert, tlsKey, tlsCa }, keys, log) }
}

/**
 * The keys by which other nodes know this one. The operator gives them, or the node makes them.
 * Throws KEYS_BROKEN, CERTIFICATE_EXPIRED, SECRET_SHARED, DISK_FULL or WRITE_FAILED.
 */
export async function ownKeys(
  { tlsCert, tlsKey, tlsCa }: NodeOptions,
  stateFolder: string,
  ops: FileOps,
): Promise<ServedKeys> {
  if (tlsCert === undefined || tlsKey === undefined)
    return new ServedKeys(await openNodeKeys(stateFolder, ops))
  return new ServedKeys(readOperatorKeys({ tlsCert, tlsKey, tlsCa }))
}

/** Throws USAGE for options that mean nothing without a secret. */
function requireNoTls({ tls, tlsCert }: NodeOptions): void {
  if (tls || tlsCert !== undefined)
    throw new WalcastError('USAGE', {
      detail:
        '--tls and --tls-cert want a cluster secret: join the cluster (walcast pair, then ' +
        'walcast join), or set WALCAST_SECRET or WALCAST_SECRET_FILE',
    })
}

/** Beyond this machine it is TLS unless the operator takes plain text. */
function transportOf({ listen, tls, tlsCert, plaintext }: NodeOptions): NodeTls['transport'] {
  if (plaintext) return 'plain'
  return tls || tlsCert !== undefined || !isLoopback(addressOf(listen).host) ? 'tls' : 'plain'
}

function warnOfPlainText({ listen }: NodeOptions, log: Logger): void {
  if (isLoopback(addressOf(listen).host)) return
  log.warn(
    { listen },
    '--plaintext: whoever is on the way between two nodes can read the whole database and all ' +
      'that is forwarded, passwords and cookies too, and can change the bodies of forwarded ' +
      'requests; nodes still prove who they are',
  )
}
