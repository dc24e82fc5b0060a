/**
 * Whether etcd is one that walcast can use, asked once before the first use: its version, its JSON
 * gateway, one cluster behind all addresses, and the rights of this node. It writes nothing.
 */
import { messageOf, WalcastError } from '../../../errors.ts'
import { clusterOf, NoGateway, readTxn, readVersion } from './etcdAnswers.ts'
import type { EtcdGateway } from './etcdGateway.ts'
import { type EtcdKeys, never, read, transaction, write } from './etcdRequests.ts'

/** The first with a gateway that is no trial. */
const LEAST = { major: 3, minor: 4 }

/** Throws ELECTION_UNFIT, ELECTION_AWAY, EtcdRefusal, WrongAnswer. */
export async function probeEtcd(gateway: EtcdGateway, keys: EtcdKeys): Promise<void> {
  await requireVersion(gateway)
  await requireOneCluster(gateway)
  const { lead, value, note } = keys
  // etcd checks the rights for both branches, whichever it takes.
  const writes = [write(lead, ''), write(value, ''), write(note, '')]
  const reads = [read(lead), read(value)]
  const { messages } = await gateway.call(transaction([never(lead)], writes, reads))
  readTxn(messages[0])
}

async function requireVersion(gateway: EtcdGateway): Promise<void> {
  const outcomes = await gateway.askAll({ path: '/version' })
  if (outcomes.every((outcome) => outcome instanceof Error))
    throw gateway.away(outcomes.map(messageOf).join('; '))
  for (const outcome of outcomes) {
    if (outcome instanceof Error) continue
    const { text, major, minor } = readVersion(outcome[0])
    if (major < LEAST.major || (major === LEAST.major && minor < LEAST.minor))
      throw unfit(gateway, `it is etcd ${text}, which is older than ${LEAST.major}.${LEAST.minor}`)
  }
}

/** Asks without authentication: a member that refuses this is asked again by its next request. */
async function requireOneCluster(gateway: EtcdGateway): Promise<void> {
  const outcomes = await gateway.askAll({ path: '/v3/kv/txn', body: '{}' })
  const clusters = new Set<string>()
  for (const outcome of outcomes) {
    if (outcome instanceof NoGateway) throw unfit(gateway, outcome.message)
    if (!(outcome instanceof Error)) clusters.add(clusterOf(outcome[0]))
  }
  if (clusters.size > 1) throw unfit(gateway, 'its addresses lead to different clusters of etcd')
}

function unfit(gateway: EtcdGateway, detail: string): WalcastError {
  return new WalcastError('ELECTION_UNFIT', { service: gateway.name, detail })
}
