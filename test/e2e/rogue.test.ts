/**
 * A stranger on the network of a cluster in plain text. He knows no secret, answers at the address
 * of a node that is down, passes on what others answer, and alters what he sees. He gets questions
 * for proof and nothing else, and moves no node.
 */
import assert from 'node:assert/strict'
import { COMMANDS, rogueCommands } from '../campaigns/rogueCommands.ts'
import { type BankCluster, startBank } from '../support/bankCluster.ts'
import type { BankSite } from '../support/bankSite.ts'
import { campaignTest, type Lab, labTest } from '../support/lab.ts'
import { type Answering, Rogue } from '../support/rogue.ts'
import { forging, leading, passingOn, ROLE_PATHS } from '../support/rogueAnswers.ts'
import { BODY, COOKIE, requireNothingIn, SECRET, WITH_SECRET } from '../support/rogueSpoils.ts'
import { operatorFetch } from '../support/signatures.ts'
import { RawHttp } from '../support/trafficLab.ts'
import { until, within } from '../support/until.ts'

const FAST = { WALCAST_PEER_LOOK: '50ms' }
/** How often each lie is heard, at least. */
const HEARD = 3

/** Ends a node; a rogue answers at its address from then on. */
async function replaceByRogue(lab: Lab, site: BankSite, answer: Answering): Promise<Rogue> {
  await site.node.stop('SIGKILL')
  await site.link.close()
  return Rogue.start({ after: (end) => lab.atEnd(end) }, answer, site.link.port)
}

/** What a rogue can answer without the secret, by name. `others`: nodes that he reaches. */
async function liesAt(
  site: BankSite,
  others: readonly BankSite[],
): Promise<readonly (readonly [string, Answering])[]> {
  const { node, cluster, epoch } = JSON.parse((await others[0].node.get('/leader', {})).text)
  const lastLeader = { node, cluster, address: site.address }
  const epochs = [epoch, epoch + 1, epoch + 1000, 2 ** 48, 2 ** 53 - 1, 2 ** 53]
  return [
    ...epochs.map((claimed) => [`leads in ${claimed}`, leading({ ...lastLeader, epoch: claimed })]),
    ['forges a proof', forging({ ...lastLeader, epoch: epoch + 1 })],
    ['refuses', () => ({ status: 401, body: { code: 'WALCAST_UNAUTHORIZED' } })],
    ['stops', () => ({ status: 503, body: { code: 'WALCAST_STOPPING' } })],
    ...others.map((other) => [`passes on ${other.name}`, passingOn(other.node.url)]),
    ['redirects', () => ({ status: 307, headers: { location: `${others[0].node.url}/leader` } })],
  ] as readonly (readonly [string, Answering])[]
}

/** Tells each of these lies until it was heard, and looks at the nodes then. */
async function tellAll(
  rogue: Rogue,
  lies: readonly (readonly [string, Answering])[],
  check: (what: string) => Promise<void>,
): Promise<void> {
  for (const [what, answer] of lies) {
    rogue.answer = answer
    const before = rogue.requests.length
    await until(`it is heard that he ${what}`, () => rogue.requests.length >= before + HEARD)
    await check(what)
  }
}

function write(site: Pick<BankSite, 'url'>, value: string): Promise<Response> {
  return fetch(`${site.url}/register`, {
    method: 'POST',
    headers: { cookie: COOKIE },
    body: JSON.stringify({ key: 'a', value }),
  })
}

async function epochsOf(cluster: BankCluster, away: readonly BankSite[]): Promise<string> {
  const here = cluster.sites.filter((site) => !away.includes(site))
  const states = here.map(async ({ name, node }) => {
    const { role, epoch } = await node.status()
    return `${name} ${role} in ${epoch}`
  })
  return (await Promise.all(states)).join(', ')
}

campaignTest(
  'at the address of a leader that is down he leads nobody and gets nothing',
  async (lab) => {
    const cluster = await startBank(lab, { environment: FAST })
    const [first, second, third] = cluster.sites
    assert.equal((await write(second, 'before')).status, 200)
    await cluster.settled()
    const rogue = await replaceByRogue(lab, first, () => undefined)
    const held = write(second, BODY)
    const lies = await liesAt(first, [second, third])
    const before = await epochsOf(cluster, [first])
    await tellAll(rogue, lies, async (what) =>
      assert.equal(await epochsOf(cluster, [first]), before, what),
    )
    requireNothingIn(rogue)

    rogue.answer = lies[0][1]
    await second.promote()
    assert.equal((await within('the write that waited', held)).status, 200)
    await cluster.settled([first])
    const promoted = await epochsOf(cluster, [first])
    const later = await liesAt(first, [second, third])
    await tellAll(rogue, later, async (what) => {
      assert.equal(await epochsOf(cluster, [first]), promoted, what)
      assert.equal((await write(third, BODY)).status, 200, what)
    })
    requireNothingIn(rogue)
    await cluster.requireSame(second, [first])
  },
)

campaignTest('nor at that of a replica, and not at both addresses at once', async (lab) => {
  const cluster = await startBank(lab, { environment: FAST })
  const [first, second, third] = cluster.sites
  await cluster.settled()
  const asReplica = await replaceByRogue(lab, third, () => undefined)
  const before = await epochsOf(cluster, [third])
  await tellAll(asReplica, await liesAt(third, [first, second]), async (what) => {
    assert.equal(await epochsOf(cluster, [third]), before, what)
    for (const site of [first, second]) assert.equal((await write(site, BODY)).status, 200, what)
  })
  // Reads that the leader lends go to replicas that have proven themselves.
  await first.app.stop('SIGKILL')
  await until('the read is lent', async () => {
    const read = await fetch(`${first.url}/register/a`, { headers: { cookie: COOKIE } })
    return read.status === 200 && (await read.text()).includes(BODY)
  })
  requireNothingIn(asReplica)

  const asLeader = await replaceByRogue(lab, first, () => undefined)
  const held = write(second, BODY)
  const alone = await epochsOf(cluster, [first, third])
  for (const rogue of [asLeader, asReplica])
    await tellAll(rogue, await liesAt(first, [second]), async (what) =>
      assert.equal(await epochsOf(cluster, [first, third]), alone, what),
    )
  await second.promote({ force: true })
  assert.equal((await within('the write that waited', held)).status, 200)
  const promoted = await epochsOf(cluster, [first, third])
  await tellAll(asLeader, await liesAt(first, [second]), async (what) => {
    assert.equal(await epochsOf(cluster, [first, third]), promoted, what)
    assert.equal((await write(second, BODY)).status, 200, what)
  })
  requireNothingIn(asLeader, asReplica)
})

/** What a node sent on a link, verbatim; the link is cut, so that it never arrived. */
async function capture(
  site: BankSite,
  beginning: string,
  provoke: () => Promise<unknown>,
): Promise<string> {
  let text = ''
  const { tamper } = site.link
  site.link.tamper = (bytes, toReplica) => {
    const sent = bytes.toString('latin1')
    if (toReplica || text !== '' || !sent.startsWith(beginning)) return bytes
    text = sent
    return undefined
  }
  const provoked = provoke().catch((error: unknown) => error)
  await until(`${beginning} is sent`, () => text !== '')
  site.link.tamper = tamper
  await provoked
  return text
}

/** The first line of a node's answer to these bytes, and the code in it. */
async function answerTo(lab: Lab, { node }: BankSite, text: string): Promise<string> {
  const raw = await RawHttp.open(lab, node.options.port)
  raw.write(text)
  const status = await until('an answer', () => /^HTTP\/1.1 (\d+)/.exec(raw.text)?.[1])
  if (status === '101') return status
  await until('a whole answer', () => /"code":"\w+"|\}$/.test(raw.text))
  return `${status} ${/"code":"WALCAST_(\w+)"/.exec(raw.text)?.[1] ?? ''}`.trim()
}

labTest('a signature that he saw is good for its receiver, once', async (lab) => {
  const { sites } = await startBank(lab)
  const [first, second, third] = sites
  for (const site of [second, third]) await site.waitStreaming(1)
  const stream = await capture(first, 'GET /_walcast/stream ', async () => first.link.cutAll())
  for (const site of [second, third])
    assert.equal(await answerTo(lab, site, stream), '401 WRONG_RECEIVER', site.name)
  assert.equal(await answerTo(lab, first, stream), '101')
  assert.equal(await answerTo(lab, first, stream), '401 CLOCKS_DIFFER', 'again')
  for (const site of [second, third]) await site.waitStreaming(1)

  const forwarded = await capture(first, 'POST /register ', () => write(second, 'forwarded'))
  assert.match(forwarded, new RegExp(COOKIE), 'it is in plain text')
  for (const site of [second, third])
    assert.equal(await answerTo(lab, site, forwarded), '401 FORWARD_REFUSED', site.name)
  const marked = forwarded.replace(/^(walcast-hold: )\d+/im, '$19999')
  assert.notEqual(marked, forwarded)
  assert.equal(await answerTo(lab, first, marked), '401 FORWARD_REFUSED', 'a header changed')
  const added = forwarded.replace('\r\n', '\r\nwalcast-lent: 1-1\r\n')
  assert.equal(await answerTo(lab, first, added), '401 FORWARD_REFUSED', 'a header added')
  assert.equal(await answerTo(lab, first, forwarded), '200')
  assert.equal(await answerTo(lab, first, forwarded), '401 FORWARD_REFUSED', 'again')
  const stored = await (await fetch(`${first.url}/register/a`)).json()
  assert.equal(Object(stored).version, 1, 'it was executed once')

  const order = await capture(second, 'POST /_walcast/take-over?', () => first.switchover(second))
  for (const site of [first, third])
    assert.equal(await answerTo(lab, site, order), '401 WRONG_RECEIVER', site.name)
  const [path] = /\/_walcast\/take-over\?[^ ]+/.exec(order) ?? ['']
  const altered = order.replace(path, path.replace(/txid=\d+/, 'txid=1'))
  assert.notEqual(altered, order)
  assert.equal(await answerTo(lab, second, altered), '401 WRONG_SECRET', 'parameters')
  const elsewhere = order.replace(path, path.replace('take-over', 'demote'))
  assert.equal(await answerTo(lab, second, elsewhere), '401 WRONG_SECRET', 'another order')
  for (const site of [second, third]) assert.notEqual(await site.role(), 'leader', site.name)
})

labTest('what he alters on the way is refused: orders, their bodies, commands', async (lab) => {
  const { sites } = await startBank(lab, { nodes: 2 })
  const [first, second] = sites
  await second.waitStreaming(1)
  const alter = (site: BankSite, from: RegExp, to: string) => {
    const counted = { times: 0 }
    site.link.tamper = (bytes, toReplica) => {
      const sent = bytes.toString('latin1')
      const altered = toReplica ? sent : sent.replace(from, to)
      if (altered !== sent) counted.times++
      return Buffer.from(altered, 'latin1')
    }
    return counted
  }
  const commands = alter(first, /"by":"./, '"by":"!')
  const demote = lab.cli(['demote', '--node', first.address], WITH_SECRET)
  demote.expectEnd()
  assert.equal((await demote.ended).code, 1)
  assert.match(demote.err.join('\n'), /^WALCAST_UNAUTHORIZED/)
  assert.equal(commands.times, 1)
  first.link.tamper = (bytes) => bytes
  assert.equal(await first.role(), 'leader')
  assert.equal((await operatorFetch(SECRET, first.node.url, '/_walcast/status')).status, 200)

  // The answer proves what arrived, which is not what was sent: nobody knows what was done.
  const orders = alter(second, /(take-over\?\S*by=)./, '$1z')
  await assert.rejects(first.switchover(second), /SWITCHOVER_UNKNOWN/)
  assert.ok(orders.times > 0)
  assert.notEqual(await second.role(), 'leader')
})

campaignTest('an address in an answer is a hint: what is there is asked for proof', async (lab) => {
  const ending = { after: (end: () => void) => lab.atEnd(end) }
  const service = await Rogue.start(ending, () => ({ body: { any: 'service' } }))
  const { sites } = await startBank(lab, { nodes: 1, environment: FAST })
  const [leader] = sites
  // A node of the cluster says that it is where the service is.
  const replica = await lab.replica(lab.path('hint.db'), leader.address, {
    environment: { ...WITH_SECRET, ...FAST, WALCAST_RECONNECT_MAX: '100ms' },
    flags: ['--name', 'hint', '--advertise', service.address],
  })
  await replica.ready()
  await until('it is asked', () => service.requests.length >= HEARD)
  await assert.rejects(leader.switchover())
  for (const command of ['switchover', 'rehearse']) {
    const child = lab.cli([command, '--node', leader.address, '--to', 'hint'], WITH_SECRET)
    child.expectEnd()
    assert.notEqual((await child.ended).code, 0, command)
  }
  // A node that is none says where the leader is.
  const rogue = await Rogue.start(ending, ({ path }) =>
    ROLE_PATHS.has(path)
      ? { status: 503, body: { role: 'replica', ready: true, address: service.address } }
      : { status: 421, body: { code: 'WALCAST_NOT_LEADER', leader: service.address } },
  )
  const before = service.requests.length
  for (const command of ['switchover', 'rehearse', 'status']) {
    const child = lab.cli([command, '--node', rogue.address], WITH_SECRET)
    child.expectEnd()
    assert.notEqual((await child.ended).code, 0, command)
  }
  const asked = service.requests.slice(before).filter(({ path }) => path !== '/leader')
  assert.deepEqual(
    asked.map(({ path }) => path).filter((path) => path !== '/_walcast/proof'),
    [],
  )
  assert.equal(await leader.role(), 'leader')
  requireNothingIn(service, rogue)
})

/** Each command, and each of his answers. The campaign has each command at each answer. */
labTest('the command line gives him neither secret nor signature, nor its question', (lab) =>
  rogueCommands(lab, (answer) => COMMANDS.filter((_, i) => i % 5 === answer)),
)
