/**
 * Requests while the leader restarts, dies or is away: held, executed once, or answered with an
 * unknown outcome.
 */
import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { type Lab, labTest, requireSame } from '../support/lab.ts'
import {
  type NotesCluster,
  post,
  requestsOf,
  SECRET,
  type Site,
  startNotes,
} from '../support/notesCluster.ts'
import { operatorFetch } from '../support/signatures.ts'
import { until, within } from '../support/until.ts'

interface Written {
  readonly body: string
  readonly status: number
  readonly code: string
}

/** Clients that write and read through the replicas until stopped. */
class Load {
  readonly written: Written[] = []
  readonly badReads: string[] = []
  #stopped = false
  readonly #clients: Promise<void>[]

  constructor(replicas: readonly Site[], clients: number) {
    this.#clients = Array.from({ length: clients }, (_, i) =>
      this.#run(`client${i}`, replicas[i % replicas.length].url),
    )
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await within('the clients end', Promise.all(this.#clients))
  }

  async #run(name: string, url: string): Promise<void> {
    for (let i = 0; !this.#stopped; i++) {
      const body = `${name}-${i}`
      const answer = await post(`${url}/notes`, body)
      const { code = '' } = (await answer.json()) as { code?: string }
      this.written.push({ body, status: answer.status, code })
      const read = await fetch(`${url}/note?body=${body}`)
      const wanted = answer.status === 201 ? 200 : read.status
      if (read.status !== wanted) this.badReads.push(`${body}: ${read.status} ${await read.text()}`)
      else await read.arrayBuffer()
      await delay(2)
    }
  }
}

async function countsOf(lab: Lab, { leader }: NotesCluster): Promise<Map<string, number>> {
  const session = lab.sql(leader.node.db)
  const rows = await session.rows('SELECT body, count(*) FROM notes GROUP BY body')
  await session.close()
  return new Map(rows.map(([body, count]) => [String(body), Number(count)]))
}

labTest('leader restarts under load: every read is 200, every write runs once', async (lab) => {
  // On a machine busy with other tests a restart may take longer than the default.
  const cluster = await startNotes(lab, { replicaFlags: ['--hold', '60s'] })
  const load = new Load(cluster.replicas, 6)
  let leader = cluster.leader.node
  for (let i = 0; i < 2; i++) {
    await until('the load moves', () => load.written.length > (i + 1) * 60)
    const ended = await leader.stop()
    assert.equal(ended.code, 0)
    leader = await lab.restart(leader)
  }
  const before = load.written.length
  await until('the load moves on', () => load.written.length > before + 60)
  await load.stop()
  assert.deepEqual(
    load.written.filter(({ status }) => status !== 201),
    [],
  )
  assert.deepEqual(load.badReads, [])
  const counts = await countsOf(lab, cluster)
  assert.deepEqual(
    load.written.filter(({ body }) => counts.get(body) !== 1),
    [],
  )
  assert.equal(counts.size, load.written.length)
  assert.ok((await cluster.replicas[0].node.metric('walcast_held_requests_total')) > 0)
  for (const { node } of cluster.replicas) await requireSame(lab, leader, node)
})

labTest(
  'leader killed under load: answered writes run once, unknown ones at most once',
  async (lab) => {
    const cluster = await startNotes(lab)
    const load = new Load(cluster.replicas, 6)
    let leader = cluster.leader.node
    for (let i = 0; i < 2; i++) {
      await until('the load moves', () => load.written.length > (i + 1) * 60)
      await leader.stop('SIGKILL')
      leader = await lab.restart(leader)
    }
    await load.stop()
    assert.deepEqual(load.badReads, [])
    const counts = await countsOf(lab, cluster)
    for (const { body, status, code } of load.written) {
      const count = counts.get(body) ?? 0
      if (status === 201) assert.equal(count, 1, body)
      else {
        assert.equal(status, 502)
        assert.equal(code, 'WALCAST_OUTCOME_UNKNOWN')
        assert.ok(count <= 1, `${body} was executed ${count} times`)
      }
    }
  },
)

labTest('a stopping leader finishes its requests and delays none', async (lab) => {
  const cluster = await startNotes(lab, { replicas: 1 })
  const [replica] = cluster.replicas
  const slow = post(`${replica.url}/slow?ms=800`, 'slow one')
  const there = post(`${cluster.leader.url}/slow?ms=800`, 'there')
  await until('both are under way', async () => (await requestsOf(cluster.leader)) === 2)
  const stopped = cluster.leader.node.stop()
  await until('the replica knows', () => replica.node.logged('the leader is stopping').length > 0)
  const next = post(`${replica.url}/notes`, 'next one')
  assert.equal((await slow).status, 201)
  assert.equal(
    (await slow).headers.get('walcast-stale'),
    null,
    'its commit came before the stream ended',
  )
  assert.equal((await there).status, 201)
  assert.equal(
    (await there).headers.get('connection'),
    'close',
    'a kept connection would hold up the stop',
  )
  assert.equal((await stopped).code, 0)
  await lab.restart(cluster.leader.node)
  assert.equal((await next).status, 201)
  const counts = await countsOf(lab, cluster)
  assert.deepEqual([counts.get('slow one'), counts.get('next one')], [1, 1])
})

labTest('without a leader reads go on, and writes are held, then refused', async (lab) => {
  const cluster = await startNotes(lab, {
    replicas: 1,
    replicaFlags: ['--hold', '700ms', '--max-held', '2'],
  })
  const [replica] = cluster.replicas
  await cluster.leader.node.stop('SIGKILL')
  const held = [post(`${replica.url}/notes`, 'a'), post(`${replica.url}/notes`, 'b')]
  await until(
    'two are held',
    async () => (await replica.node.metric('walcast_requests_held')) === 2,
  )
  const third = await post(`${replica.url}/notes`, 'c')
  assert.equal(third.status, 503)
  assert.equal(((await third.json()) as { code: string }).code, 'WALCAST_TOO_MANY_HELD')
  assert.equal((await fetch(replica.url)).status, 200)
  for (const answer of await Promise.all(held)) {
    assert.equal(answer.status, 503)
    assert.ok(Number(answer.headers.get('retry-after')) > 0)
    assert.equal(((await answer.json()) as { code: string }).code, 'WALCAST_LEADER_AWAY')
  }
  await lab.restart(cluster.leader.node)
  assert.equal((await post(`${replica.url}/notes`, 'd')).status, 201)
  assert.deepEqual([...(await countsOf(lab, cluster)).keys()], ['d'])
})

labTest('a cut connection: unknown without a key, executed once with one', async (lab) => {
  const cluster = await startNotes(lab, { replicas: 1 })
  const [replica] = cluster.replicas
  const [link] = cluster.links
  const cutWhenTaken = async () => {
    await until(
      'it is under way',
      async () => (await cluster.leader.node.metric('walcast_intake_requests')) >= 1,
    )
    link.cutAll()
  }
  const plain = post(`${replica.url}/slow?ms=500`, 'plain')
  await cutWhenTaken()
  assert.equal((await plain).status, 502)
  await until(
    'the leader is done with it',
    async () => (await cluster.leader.node.metric('walcast_intake_requests')) === 0,
  )

  const keyed = post(`${replica.url}/slow?ms=500`, 'keyed', { 'idempotency-key': 'key-1' })
  await cutWhenTaken()
  assert.equal((await keyed).status, 201)
  const again = await post(`${replica.url}/slow?ms=500`, 'keyed', { 'idempotency-key': 'key-1' })
  assert.equal(again.status, 201)
  const counts = await countsOf(lab, cluster)
  assert.equal(counts.get('keyed'), 1)
  assert.ok((counts.get('plain') ?? 0) <= 1)

  // A leader killed meanwhile does not know the key, which is not executed again either.
  const lost = post(`${replica.url}/slow?ms=500`, 'lost', { 'idempotency-key': 'key-2' })
  await until(
    'it is under way',
    async () => (await cluster.leader.node.metric('walcast_intake_requests')) === 1,
  )
  await cluster.leader.node.stop('SIGKILL')
  await lab.restart(cluster.leader.node)
  assert.equal((await lost).status, 502)
  assert.ok(((await countsOf(lab, cluster)).get('lost') ?? 0) <= 1)
})

labTest('a key does not hide that a write may have been executed', async (lab) => {
  const cluster = await startNotes(lab, { replicas: 1, replicaFlags: ['--hold', '1500ms'] })
  const [replica] = cluster.replicas
  const sent = post(`${replica.url}/slow?ms=300`, 'sent', { 'idempotency-key': 'key-3' })
  await until('the application has it', async () => (await requestsOf(cluster.leader)) === 1)
  await cluster.leader.node.stop('SIGKILL')
  const answer = await sent
  assert.equal(answer.status, 502)
  assert.equal(((await answer.json()) as { code: string }).code, 'WALCAST_OUTCOME_UNKNOWN')
})

labTest('a standby serves no application traffic, and names the leader', async (lab) => {
  const flags = ['--standby', '--standby-paths', '/note']
  const cluster = await startNotes(lab, { replicas: 1, replicaFlags: flags })
  const [standby] = cluster.replicas
  await post(`${cluster.leader.url}/notes`, 'seen')
  await requireSame(lab, cluster.leader.node, standby.node)
  for (const request of [
    fetch(standby.url),
    post(`${standby.url}/notes`, 'x'),
    fetch(`${standby.url}/note/../notes`),
  ]) {
    const answer = await request
    assert.equal(answer.status, 503)
    const body = (await answer.json()) as { detail: string; primary_url: string }
    assert.equal(body.primary_url, cluster.leader.url)
    assert.match(body.detail, /standby/)
  }
  assert.equal((await fetch(`${standby.url}/note?body=seen`)).status, 200)
  assert.equal((await fetch(`${standby.url}/livez`)).status, 200)
  // A load balancer must send no client there; the node itself is well.
  assert.equal((await fetch(`${standby.url}/readyz`)).status, 503)
  assert.equal((await standby.node.get('/readyz')).status, 200)
  assert.equal((await standby.node.status()).role, 'standby')
})

labTest('the event stream reports role, synchronisation and each position', async (lab) => {
  const cluster = await startNotes(lab, { replicas: 1 })
  const [replica] = cluster.replicas
  const abort = new AbortController()
  const { url } = replica.node
  assert.equal((await fetch(`${url}/_walcast/events`)).status, 401)
  const answer = await operatorFetch(SECRET, url, '/_walcast/events', { signal: abort.signal })
  let text = ''
  const reading = (async () => {
    for await (const part of answer.body ?? []) text += Buffer.from(part).toString()
  })().catch(() => {})
  await until('the role is told', () => /event: role\ndata: \{"role":"replica"/.test(text))
  assert.match(text, /event: sync\ndata: \{"state":"streaming"/)
  const made = await post(`${replica.url}/notes`, 'told')
  const position = made.headers.get('walcast-position')
  await until('the position is told', () => text.includes(`"position":"${position}"`))
  assert.equal(await replica.node.metric('walcast_event_streams'), 1)
  abort.abort()
  await reading
  await until('it is gone', async () => (await replica.node.metric('walcast_event_streams')) === 0)
})
