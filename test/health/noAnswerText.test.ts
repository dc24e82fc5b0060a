/** A node that gives no answer: each way in which it does so has a text of its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerCalls } from '../../src/cluster/peerCalls.ts'
import { NotInTime, PeerDialer, PeerUnproven } from '../../src/cluster/peerDialer.ts'
import { PeerReads } from '../../src/cluster/peerReads.ts'
import { requestOver } from '../../src/cluster/peerRequest.ts'
import { WalcastError } from '../../src/errors.ts'
import { noAnswerText } from '../../src/health/noAnswerText.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { fakeNode } from '../support/fakeNode.ts'
import { callsOf, NO_KEYS } from '../support/peers.ts'
import { rawServer } from '../support/rawServer.ts'

const SECRET = 'correct horse battery staple'
const ANSWER = () => ({ body: { node: 'node-b' } })

async function textAt(address: string, calls = callsOf('node-a', SECRET)): Promise<string> {
  try {
    await new PeerReads(calls).read(address, '/_walcast/status', 600, 1024)
  } catch (error) {
    return noAnswerText(error)
  }
  return 'an answer'
}

function overTls(): PeerCalls {
  const secrets = new ClusterSecrets([SECRET])
  const dialer = new PeerDialer({ transport: 'tls', secrets, keys: undefined, known: NO_KEYS })
  const about = { node: () => 'node-a', epoch: () => 1, nowMs: () => Date.now() }
  return new PeerCalls({ secrets, dialer, request: requestOver(dialer), ...about })
}

test('nothing listens, nothing answers, something else answers: each has its text', async (t) => {
  const closed = await rawServer(t, () => {})
  closed.close()
  assert.match(await textAt(closed.address), /refused: no process listens there; start the node/)
  const silent = await rawServer(t, () => {})
  assert.match(await textAt(silent.address), /takes the connection and does not answer in time/)
  const mail = await rawServer(
    t,
    (_text, socket) => void socket.write('220 mail.example ESMTP\r\n'),
  )
  assert.match(await textAt(mail.address), /what answers there is no node/)
  const hasty = await rawServer(t, (_text, socket) => void socket.resetAndDestroy())
  assert.match(await textAt(hasty.address), /closed the connection without an answer/)
})

test('a node of another cluster is told from one whose TLS fails', async (t) => {
  const other = await fakeNode(t, ANSWER, { secret: 'another secret of a cluster', node: 'node-b' })
  const said = await textAt(other.address)
  assert.match(said, /not of this cluster/)
  assert.match(said, /whether both nodes have one secret/)
  assert.match(await textAt(other.address, overTls()), /^TLS failed \(.*look at the certificates/)
})

test('what no test can make a machine do', () => {
  assert.match(noAnswerText(new NotInTime(500, false)), /the host is off, or a firewall/)
  const code = (name: string) => Object.assign(new Error(name), { code: name })
  assert.match(noAnswerText(code('ENOTFOUND')), /host name is not known here/)
  assert.match(noAnswerText(code('EHOSTUNREACH')), /no network leads to that host/)
  const removed = new PeerUnproven('x:1', 'its key was removed', 'key')
  assert.match(noAnswerText(removed), /\(walcast pair\)/)
  const told = new WalcastError('UNAUTHORIZED', { message: 'the clock is off' })
  assert.equal(noAnswerText(told), 'the clock is off')
  const odd = new WalcastError('NODE_UNREACHABLE', { url: 'x:1', detail: 'odd' }, new Error('odd'))
  assert.equal(noAnswerText(odd), 'odd')
})
