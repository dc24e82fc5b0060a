/**
 * Whether a Consul does what a lease needs, tried on a key of its own: what the token may do, how
 * sessions are kept, that a transaction does all or nothing, that a key goes with its session.
 */
import type { ConsulAgent } from './agent.ts'
import { type ConsulKeys, KEY_NAME, keyPath, type StoredKey, storedKeys, written } from './keys.ts'
import type { ConsulSessions } from './sessions.ts'
import { transact } from './transaction.ts'

/** Throws ELECTION_UNFIT or ELECTION_AWAY. */
export async function probeConsul(
  agent: ConsulAgent,
  keys: ConsulKeys,
  sessions: ConsulSessions,
  untilMs: number,
): Promise<void> {
  const { probe: Key } = keys
  if (!KEY_NAME.test(Key))
    throw agent.unfit('names of its keys hold letters, digits and ,-_./ only: --election-prefix')
  const session = await sessions.begin(untilMs)
  const flaw = await sessions.flawOf(session, untilMs)
  if (flaw !== undefined) throw agent.unfit(flaw)
  const Session = session.id
  const text = `held by ${Session}`
  const hold = { Verb: 'lock', Key, Session, ...written(text) } as const
  // What a probe that was ended has left goes first.
  if (!(await transact(agent, [{ Verb: 'delete', Key }, hold], untilMs)))
    throw agent.unfit('it does not lock a key that nobody holds')
  const found = await read(agent, Key, untilMs)
  if (found?.text !== text || found.session !== Session)
    throw agent.unfit('it does not give back what was written: may the token read?')
  const torn = [
    { Verb: 'set', Key, ...written('torn') },
    { Verb: 'cas', Key, Index: 0, ...written('torn') },
  ] as const
  if ((await transact(agent, torn, untilMs)) || (await read(agent, Key, untilMs))?.text !== text)
    throw agent.unfit('its transactions do not do all or nothing')
  await sessions.end(Session, untilMs)
  if (await read(agent, Key, untilMs)) throw agent.unfit('a key outlives the session that held it')
}

async function read(
  agent: ConsulAgent,
  key: string,
  untilMs: number,
): Promise<StoredKey | undefined> {
  const query = { consistent: '' }
  const answer = await agent.request({ method: 'GET', path: keyPath(key), query, untilMs })
  return storedKeys(agent, answer)[0]
}
