/**
 * A node believes what clients claim to have seen only as far as it can know it. A false claim
 * neither delays a read nor moves it to the leader.
 */
import assert from 'node:assert/strict'
import { type Lab, labTest } from '../support/lab.ts'
import { cookieOf, type NotesCluster, post, startNotes } from '../support/notesCluster.ts'
import { within } from '../support/until.ts'

/** A read held for so long outlasts the test. */
const NEVER = '30m'
const FORWARDED = 'walcast_forwarded_requests_total'

type Headers = Record<string, string>

async function read(url: string, headers: Headers) {
  const answer = await within('an answer', fetch(url, { headers }))
  assert.equal(answer.status, 200)
  return { answer, ...((await answer.json()) as { newest: number; by: string }) }
}

/** False claims, and whether the answer is marked for each. */
async function claims({ leader }: NotesCluster): Promise<readonly (readonly [Headers, boolean])[]> {
  const { epoch, txid, cluster } = await leader.node.status()
  const ahead = `${epoch}-${txid + 1000}`
  const real = cookieOf(await post(`${leader.url}/notes`, 'mine'))
  const [name, value] = real.split('=')
  const [tag, position, mac] = value.split('.')
  assert.match(position, /^\d+-\d+$/)
  return [
    [{ 'walcast-position': ahead }, true],
    [{ 'walcast-position': `${epoch + 1}-1` }, true],
    [{ 'walcast-position': '999999999999999-999999999999999' }, true],
    [{ cookie: `${name}=${tag}.${ahead}.${mac}` }, false],
    [{ cookie: `${name}=${tag}.${epoch + 1}-1.${mac}` }, false],
    [{ cookie: `${name}=${cluster}.${ahead}` }, false],
    [{ cookie: `${name}=${ahead}` }, false],
    [{ 'walcast-max-staleness': '0ms' }, false],
    [{ 'walcast-max-staleness': '0s', cookie: real }, false],
  ]
}

labTest('an invented position, cookie or staleness is answered locally at once', async (lab) => {
  const flags = ['--read-wait', NEVER, '--hold', NEVER]
  // The leader's own reports come too late for all of them.
  const cluster = await startNotes(lab, {
    replicas: 1,
    leaderFlags: ['--heartbeat', '5s'],
    replicaFlags: flags,
  })
  const [replica] = cluster.replicas
  for (const [headers, isMarked] of await claims(cluster)) {
    const answers = await Promise.all(Array.from({ length: 20 }, () => read(replica.url, headers)))
    for (const { answer, by } of answers) {
      assert.equal(by, 'replica1', JSON.stringify(headers))
      const mark = answer.headers.get('walcast-stale')
      assert.equal(mark, isMarked ? headers['walcast-position'] : null, JSON.stringify(headers))
    }
  }
  assert.equal(await replica.node.metric(FORWARDED), 0)
  assert.equal(await replica.node.metric('walcast_waits'), 0)
})

labTest('a replica reads a position that it has not heard of yet', async (lab) => {
  const cluster = await startNotes(lab, {
    replicas: 1,
    leaderFlags: ['--heartbeat', '5s'],
    replicaFlags: ['--read-wait', NEVER],
  })
  const { leader, replicas, links } = cluster
  links[0].streamDelayMs = 200
  for (let i = 0; i < 5; i++) {
    const made = await post(`${leader.url}/notes`, `fresh ${i}`)
    const { id } = (await made.json()) as { id: number }
    const position = made.headers.get('walcast-position') ?? ''
    const asking: Headers[] = [{ 'walcast-position': position }, { cookie: cookieOf(made) }]
    for (const headers of [...asking, { 'walcast-max-staleness': '0ms' }]) {
      const got = await read(replicas[0].url, headers)
      assert.equal(got.by, 'replica1', JSON.stringify(headers))
      assert.equal(got.answer.headers.get('walcast-stale'), null, JSON.stringify(headers))
      assert.ok(got.newest >= id, `${JSON.stringify(headers)}: ${got.newest} < ${id}`)
    }
  }
  assert.equal(await replicas[0].node.metric(FORWARDED), 0)
})

async function lateCookie({
  leader,
  links,
}: NotesCluster): Promise<{ cookie: string; id: number }> {
  links[0].streamDelayMs = 20_000
  const made = await post(`${leader.url}/notes`, 'late')
  return { cookie: cookieOf(made), id: ((await made.json()) as { id: number }).id }
}

async function boundedReads(lab: Lab): Promise<void> {
  const cluster = await startNotes(lab, {
    replicas: 1,
    replicaFlags: ['--read-wait', '1ms', '--stale-forwards', '1'],
  })
  const [replica] = cluster.replicas
  const { cookie, id } = await lateCookie(cluster)
  const answers = await Promise.all(Array.from({ length: 50 }, () => read(replica.url, { cookie })))
  const atLeader = answers.filter(({ by }) => by === 'leader')
  const here = answers.filter(({ by }) => by === 'replica1')
  assert.ok(atLeader.length > 0 && here.length > 0, `${atLeader.length} went to the leader`)
  for (const { newest } of atLeader) assert.equal(newest, id)
  for (const { answer } of here)
    assert.match(answer.headers.get('walcast-stale') ?? '', /^\d+-\d+$/)
  const did = (what: string) => replica.node.metric('walcast_stale_reads_total', `did="${what}"`)
  assert.deepEqual([await did('forward'), await did('bounded')], [atLeader.length, here.length])
}

labTest('stale reads past --stale-forwards are answered locally, with Walcast-Stale', boundedReads)
