/**
 * Somebody has the disk of a node: its key, and the secret of the cluster. The node is removed and
 * the secret replaced. While the old secret is still good, he gets nothing with it that lasts.
 */
import assert from 'node:assert/strict'
import { TrustFile } from '../../src/cluster/trustFile.ts'
import { formatTrust, parseTrust } from '../../src/cluster/trustFormat.ts'
import { emptyTrust } from '../../src/cluster/trustRecord.ts'
import { ClusterSecrets } from '../../src/security/clusterSecrets.ts'
import { openText, sealText } from '../../src/security/sealedText.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { joinArguments, joined, pair, run, startLeader, statusOf } from '../support/pairing.ts'
import { operatorFetch } from '../support/signatures.ts'

/** What the exchange of trust records tells who asks as the command line. */
async function askForTrust(secret: string, cluster: string, url: string): Promise<string[]> {
  const secrets = new ClusterSecrets([secret])
  const { id, key } = secrets.signingKey('trust')
  const sealed = sealText(key, 'walcast trust ask', formatTrust(emptyTrust(cluster)))
  const answer = await operatorFetch(secret, url, '/_walcast/trust', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ key: id, sealed }),
  })
  const told = Object(await answer.json())
  const context = `walcast trust answer ${sealed.slice(-24)}`
  const text = openText(key, context, String(told.sealed ?? ''))
  return text === undefined ? [] : parseTrust(text).secrets.map((each) => each.secret)
}

async function asked(secret: string, url: string, method: string, path: string) {
  const answer = await operatorFetch(secret, url, path, { method })
  const { code } = Object(await answer.json())
  return { status: answer.status, code }
}

/** A cluster of two in which the replica was removed and the secret replaced; the old secret. */
async function robbed(lab: Lab) {
  const leader = await startLeader(lab)
  const replica = await joined(lab, await joinArguments(lab, await pair(lab, leader), 'a'))
  const { cluster = '', secrets = [] } = TrustFile.peek(`${replica.db}-walcast`) ?? {}
  const { node } = await statusOf(lab, replica)
  await replica.stop()
  const made = await operatorFetch(secrets[0].secret, leader.url, '/_walcast/pair', {
    method: 'POST',
  })
  const { code: oldCode } = Object(await made.json())
  for (const args of [
    ['remove', node],
    ['rotate-secret', '--overlap', '5m'],
  ]) {
    const { code, err } = await run(lab, [...args, '--db', leader.db])
    assert.equal(code, 0, err)
  }
  return { leader, cluster, oldCode, old: secrets[0].secret }
}

labTest('the old secret gives nobody the new one, nor anything that outlasts it', async (lab) => {
  const { leader, cluster, oldCode, old } = await robbed(lab)
  assert.deepEqual(await askForTrust(old, cluster, leader.url), [])
  const lasting = [
    ['POST', '/_walcast/tokens?role=admin'],
    ['POST', '/_walcast/pair'],
    ['POST', '/_walcast/secret/rotate?overlapMs=300000&force=true'],
  ]
  for (const [method, path] of lasting) {
    const { status, code } = await asked(old, leader.url, method, path)
    assert.deepEqual([path, status, code], [path, 403, 'WALCAST_SECRET_ENDS'])
  }
  const late = lab.cli(await joinArguments(lab, oldCode, 'b'))
  late.expectEnd()
  const { text } = await late.errorLine((line) => /WALCAST_|joined the cluster/.test(line))
  assert.match(text, /WALCAST_PAIRING_CODE_EXPIRED/)
  // Who has the secret from before still asks how the cluster is, until it ends.
  assert.equal((await asked(old, leader.url, 'GET', '/_walcast/status')).status, 200)
})
