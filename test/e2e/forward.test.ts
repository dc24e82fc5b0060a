/**
 * Reads go to the local application, writes to the leader's: one leader and two replicas, each
 * before an application.
 */
import assert from 'node:assert/strict'
import { PositionCookie } from '../../src/proxy/positionCookie.ts'
import { STREAMED } from '../../src/security/requestSignature.ts'
import { ownWrites, writeAndRead } from '../campaigns/ownWrites.ts'
import { request } from '../support/httpRequest.ts'
import { labTest, requireSame } from '../support/lab.ts'
import {
  cookieOf,
  type NotesCluster,
  post,
  requestsOf,
  SECRET,
  type Site,
  startNotes,
  startSite,
} from '../support/notesCluster.ts'
import { signatureOf } from '../support/signatures.ts'
import { until } from '../support/until.ts'

async function newest(url: string, headers: Record<string, string> = {}) {
  const answer = await fetch(url, { headers })
  assert.equal(answer.status, 200)
  const body = (await answer.json()) as { newest: number; count: number; by: string }
  return { answer, ...body }
}

/** The five checks that hold for each replica. */
async function fiveChecks({ leader }: NotesCluster, replica: Site): Promise<void> {
  const before = await requestsOf(leader)
  assert.match((await newest(`${replica.url}/`)).by, /^replica/)
  assert.equal(await requestsOf(leader), before, 'a read never touches the leader')

  assert.equal((await fetch(`${replica.url}/livez`)).status, 200)

  const made = await post(`${replica.url}/notes`, `five ${replica.url}`)
  assert.equal(made.status, 201)
  assert.equal(made.statusText, 'Created')
  assert.equal(made.headers.get('x-custom'), 'as it was')
  assert.equal(made.headers.get('x-app'), 'leader')
  const { id, by } = (await made.json()) as { id: number; by: string }
  assert.equal(made.headers.get('location'), `/notes/${id}`)
  assert.equal(by, 'leader')

  const now = await requestsOf(leader)
  const direct = await post(`${leader.node.url}/notes`, 'direct')
  assert.equal(direct.status, 401)
  assert.equal(((await direct.json()) as { code: string }).code, 'WALCAST_FORWARD_REFUSED')
  assert.equal(await requestsOf(leader), now, 'nothing reached the application')

  assert.equal(
    (await fetch(`${replica.url}/note?body=${encodeURIComponent(`five ${replica.url}`)}`)).status,
    200,
  )
}

labTest('a client reads its own write at once, on each replica', async (lab) => {
  const cluster = await startNotes(lab)
  for (const replica of cluster.replicas) await fiveChecks(cluster, replica)
  await ownWrites(lab, cluster, 200)
})

labTest('a slow apply delays the answer, up to --write-wait', async (lab) => {
  const { replicas, links } = await startNotes(lab, {
    replicas: 1,
    replicaFlags: ['--write-wait', '600ms'],
  })
  const [replica] = replicas
  links[0].streamDelayMs = 300
  assert.deepEqual(await writeAndRead(replica.url, 'slow', 3), [])
  assert.ok((await replica.node.metric('walcast_write_wait_seconds_sum')) >= 0.6)
  links[0].streamDelayMs = 2000
  const late = await post(`${replica.url}/notes`, 'late')
  assert.equal(late.status, 201)
  assert.equal(late.headers.get('walcast-stale'), late.headers.get('walcast-position'))
  assert.equal(await replica.node.metric('walcast_write_waits_failed_total'), 1)
  assert.equal((await fetch(`${replica.url}/note?body=late`)).status, 404)
  // The cookie carries the position: this read waits for it in vain and goes to the leader.
  const promised = await fetch(`${replica.url}/note?body=late`, {
    headers: { cookie: cookieOf(late) },
  })
  assert.equal(promised.status, 200)
  assert.equal(promised.headers.get('x-app'), 'leader')
})

labTest(
  '--on-stale: a read ahead of the copy is forwarded, served marked, or refused',
  async (lab) => {
    const cluster = await startNotes(lab, {
      replicas: 1,
      replicaFlags: ['--read-wait', '50ms', '--on-stale', 'serve'],
    })
    const [replica] = cluster.replicas
    const { epoch, txid } = await cluster.leader.node.status()
    const ahead = { 'walcast-position': `${epoch}-${txid + 5}` }
    const served = await newest(replica.url, ahead)
    assert.equal(served.by, 'replica1')
    assert.equal(served.answer.headers.get('walcast-stale'), `${epoch}-${txid + 5}`)
    assert.equal(await replica.node.metric('walcast_stale_reads_total', 'did="serve"'), 1)
    // The cookie keeps its position, although an older state was served.
    const { cluster: cluster1 } = await cluster.leader.node.status()
    const cookie = new PositionCookie('walcast_position', () => cluster1, SECRET)
    const promised = { cookie: cookie.write({ epoch, txid: txid + 5 })?.split(';')[0] ?? '' }
    assert.equal(cookieOf((await newest(replica.url, promised)).answer), '')
    assert.notEqual(cookieOf((await newest(replica.url)).answer), '')

    const flags = replica.node.options.flags ?? []
    await replica.node.stop()
    const refusing = await lab.restart(replica.node, { flags: [...flags, '--on-stale', 'refuse'] })
    await refusing.ready()
    const refused = await fetch(replica.url, { headers: ahead })
    assert.equal(refused.status, 503)
    assert.ok(refused.headers.get('retry-after'))
    assert.equal(((await refused.json()) as { code: string }).code, 'WALCAST_STALE_READ')

    await refusing.stop()
    // The leader's word on a claim must come within the wait.
    const asking = [...flags, '--read-wait', '2s', '--on-stale', 'forward']
    await (await lab.restart(replica.node, { flags: asking })).ready()
    assert.equal((await newest(replica.url, promised)).by, 'leader')
    // The leader does not have the claimed position either.
    assert.equal((await newest(replica.url, ahead)).by, 'replica1')

    // Positions of an older epoch, of another cluster, and malformed ones never block or fail a
    // read.
    for (const headers of [
      { 'walcast-position': '0-999999' },
      { cookie: 'walcast_position=cluster-other.9-999999' },
      { cookie: 'walcast_position=%%%; x="' },
    ])
      assert.equal((await newest(replica.url, headers)).by, 'replica1')
    assert.equal(
      (await fetch(replica.url, { headers: { 'walcast-position': 'nonsense' } })).status,
      400,
    )
    assert.equal(
      (await fetch(replica.url, { headers: { 'walcast-max-staleness': 'soon' } })).status,
      400,
    )
  },
)

labTest(
  'Walcast-Max-Staleness: met by asking the leader, exceeded when it is silent',
  async (lab) => {
    const { leader, replicas, links } = await startNotes(lab, {
      replicas: 1,
      leaderFlags: ['--heartbeat', '5s'],
      replicaFlags: ['--read-wait', '300ms'],
    })
    const [replica] = replicas
    for (let i = 0; i < 5; i++)
      assert.equal((await newest(replica.url, { 'walcast-max-staleness': '100ms' })).by, 'replica1')
    links[0].streamDelayMs = 1000
    await lab.exec(leader.node.db, "INSERT INTO notes (body) VALUES ('unseen')")
    await until(
      'the proof is old',
      async () => (await newest(replica.url, { 'walcast-max-staleness': '1ms' })).by === 'leader',
    )
    assert.equal((await newest(replica.url)).by, 'replica1')
    assert.equal(
      (await newest(replica.url, { 'walcast-max-staleness': '1h'.replace('h', '000s') })).by,
      'replica1',
    )
  },
)

labTest('the cookie of one replica keeps reads monotonic on the other', async (lab) => {
  const { replicas, links } = await startNotes(lab)
  const made = await post(`${replicas[0].url}/notes`, 'first')
  const there = await newest(replicas[1].url, { cookie: cookieOf(made) })
  assert.equal(there.by, 'replica2')
  assert.ok(there.newest >= ((await made.json()) as { id: number }).id)

  links[1].streamDelayMs = 30
  let writing = true
  const writer = (async () => {
    while (writing) await (await post(`${replicas[0].url}/notes`, 'more')).arrayBuffer()
  })()
  let withoutCookie = 0
  const read = async (withCookie: boolean) => {
    let last = 0
    let cookie = ''
    for (let i = 0; i < 200; i++) {
      const got = await newest(replicas[i % 2].url, cookie && withCookie ? { cookie } : {})
      if (withCookie)
        assert.ok(got.newest >= last, `read ${i} went back from ${last} to ${got.newest}`)
      else if (got.newest < last) withoutCookie++
      cookie = cookieOf(got.answer) || cookie
      last = got.newest
    }
  }
  await Promise.all([read(true), read(true), read(false)])
  writing = false
  await writer
  assert.ok(withoutCookie > 0, 'the test can fail: without the cookie reads went back')
})

labTest(
  'a node that does not lead executes no forwarded request, and names the leader',
  async (lab) => {
    const { replicas, leader, links } = await startNotes(lab)
    const path = '/notes'
    const { node: from, epoch } = await replicas[0].node.status()
    const { node: to } = await replicas[1].node.status()
    const claim = { purpose: 'forward', method: 'POST', path, from, to, epoch } as const
    const token = signatureOf(SECRET, { ...claim, body: STREAMED })
    const headers = { 'x-replica-auth': token }
    const refused = await request(`${replicas[1].node.url}${path}`, {
      method: 'POST',
      body: 'x',
      headers,
    })
    assert.equal(refused.statusCode, 421)
    assert.equal(refused.headers['walcast-not-executed'], 'NOT_LEADER')
    const body = (await refused.body.json()) as { code: string; leader: string }
    assert.equal(body.code, 'WALCAST_NOT_LEADER')
    assert.equal(body.leader, links[1].address)
    assert.equal(await requestsOf(leader), 0)
  },
)

labTest('writes at a leaf go straight to the leader', async (lab) => {
  const { leader, replicas } = await startNotes(lab, { replicas: 1 })
  const [between] = replicas
  const flags = ['--reconnect-max', '100ms']
  const leaf = await startSite(lab, lab.path('replica9.db'), between.node.address, flags)
  await leaf.node.ready()
  const before = await requestsOf(between)
  for (let i = 0; i < 20; i++) {
    const made = await post(`${leaf.url}/notes`, `leaf ${i}`)
    assert.equal(made.status, 201)
    assert.equal(made.headers.get('x-app'), 'leader')
    const read = await fetch(`${leaf.url}/note?body=leaf%20${i}`, {
      headers: { cookie: cookieOf(made) },
    })
    assert.equal(read.status, 200, 'it reads what it wrote')
  }
  assert.equal(await requestsOf(between), before)
  await requireSame(lab, leader.node, leaf.node)
  // Also when the relay started before the leader.
  await leader.node.stop()
  await between.node.stop()
  await lab.restart(between.node)
  await lab.restart(leader.node)
  const late = await until('a write through the leaf', async () => {
    const answer = await post(`${leaf.url}/notes`, 'late')
    return answer.status === 201 ? answer : undefined
  })
  assert.equal(late.headers.get('x-app'), 'leader')
})
