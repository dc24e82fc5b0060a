/** Which node a command asks, by what is named. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type Machine, type NamedNode, namedNode } from '../../src/cli/namedNode.ts'
import { targetText } from '../../src/cli/nodeTarget.ts'
import { type FakeRequest, fakeNodeAt } from '../support/fakeNode.ts'

const EMPTY: Machine = {
  nodes: () => ({ own: [], others: [] }),
  listens: async () => false,
}

const having = (own: readonly string[], others: readonly string[] = []): Machine => ({
  ...EMPTY,
  nodes: () => ({ own, others }),
})

async function target(
  named: NamedNode,
  environment: NodeJS.ProcessEnv = {},
  machine = EMPTY,
): Promise<string> {
  return targetText(await namedNode(named, environment, machine))
}

function newFolder(t: TestContext): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'walcast-named-')))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

interface FakeLocalNode {
  readonly requests: readonly FakeRequest[]
  readonly socket: { readonly db: string; readonly path: string }
}

/** A fake node with a control socket. */
async function fakeLocalNode(t: TestContext, body: object): Promise<FakeLocalNode> {
  const db = join(newFolder(t), 'app.db')
  const path = `${db}-walcast/control.sock`
  mkdirSync(`${db}-walcast`)
  return { requests: await fakeNodeAt(t, { path }, () => ({ body })), socket: { db, path } }
}

test('the command line counts before the environment, and a name before the machine', async (t) => {
  const folder = newFolder(t)
  const [a, b] = [join(folder, 'a.db'), join(folder, 'b.db')]
  const socket = (db: string) => `${db}-walcast/control.sock`
  const both = { WALCAST_NODE: '10.0.0.9:1', WALCAST_DB: b }
  assert.equal(await target({ node: '10.0.0.1:8470', db: undefined }, both), '10.0.0.1:8470')
  assert.equal(await target({ node: 'https://n:1/' }, both), 'https://n:1/')
  assert.equal(await target({ db: a }, both), socket(a))
  assert.equal(await target({}, both), '10.0.0.9:1')
  assert.equal(await target({}, { WALCAST_DB: b }), socket(b))
  assert.equal(await target({}, { WALCAST_NODE: '', WALCAST_DB: '' }, having([a])), socket(a))
  // An empty flag is a mistake, and must not make a command ask the only node.
  await assert.rejects(target({ db: '' }, both, having([a])), { message: '--db wants a value' })
  // A node is in charge of the file behind a link.
  const link = join(folder, 'link.db')
  writeFileSync(a, '')
  symlinkSync(a, link)
  assert.equal(await target({ db: link }), socket(a))
})

test('without a name there is one node of this user, several, or none', async () => {
  const db = (name: string) => join(tmpdir(), `${name}.db`)
  assert.match(await target({}, {}, having([db('a')], [db('b')])), /a\.db-walcast\/control\.sock$/)
  await assert.rejects(target({}, {}, having([db('a'), db('b')])), {
    key: 'SEVERAL_NODES',
    message: `several nodes run on this machine, with the files ${db('a')}, ${db('b')}`,
    cure: `name one: --db ${db('a')}`,
  })
  await assert.rejects(target({}, {}, having([], ['/srv/x\u001b[2J.db'])), {
    key: 'NO_LOCAL_NODE',
    message:
      'this user runs no node on this machine (other users run those of /srv/x [2J.db), ' +
      'and nothing listens on 127.0.0.1:8470',
  })
  const listening = { ...EMPTY, listens: async (port: number) => port === 8470 }
  assert.equal(await target({}, {}, listening), '127.0.0.1:8470')
})

test('an id is looked up at the node of this machine', async (t) => {
  const members = [
    { node: 'node-a', address: '10.0.0.1:8470' },
    { node: 'node-b', address: '10.0.0.2:8470' },
  ]
  const { requests, socket } = await fakeLocalNode(t, { node: 'node-a', members })
  const machine = having([socket.db])
  // The socket tells who asks: a secret, even one that cannot be read, is not looked for.
  const environment = { WALCAST_SECRET_FILE: '/nowhere' }
  assert.equal(await target({ node: 'node-b' }, environment, machine), '10.0.0.2:8470')
  assert.equal(await target({ node: 'node-a' }, environment, machine), socket.path)
  assert.equal(await target({}, { WALCAST_NODE: 'node-b', WALCAST_DB: socket.db }), '10.0.0.2:8470')
  assert.equal(await target({ node: 'node-b', db: socket.db }), '10.0.0.2:8470')
  assert.deepEqual(
    [...new Set(requests.map((each) => `${each.path} ${each.authorization} ${each.signature}`))],
    ['/_walcast/status undefined undefined'],
  )
  const usage = (message: RegExp) => ({ key: 'USAGE', message })
  await assert.rejects(
    target({ node: 'node-c' }, {}, machine),
    usage(/^no node node-c was found: node-a knows no node node-c \(an address is HOST:PORT or /),
  )
  await assert.rejects(target({ node: 'node-c' }, {}, machine), usage(/; did you mean node-a\?\)$/))
  await assert.rejects(target({ node: 'node-c' }), usage(/this user runs no node on this machine/))
  await assert.rejects(
    target({ node: 'a', db: join(newFolder(t), 'b.db') }),
    usage(/^no node a was found: no node of \S+b\.db runs here: there is no control socket; start/),
  )
  await assert.rejects(target({ node: 'a', db: '/nowhere/b.db' }), { key: 'DB_UNREADABLE' })
})

test('what looks like an address without its port is no id', async () => {
  for (const node of ['10.0.0.1', '::1', '8470', '', 'a b', '/srv/app.db', 'x'.repeat(129)])
    assert.equal(await target({ node }), node)
})
