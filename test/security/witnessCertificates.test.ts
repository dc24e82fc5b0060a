/** Certificates of a witness and of nodes: what each may be used for, and where they go. */
import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { createFileOps } from '../../src/platform/fileOps.ts'
import { makeWitnessCertificates } from '../../src/security/witnessCertificates.ts'
import { writeWitnessFolder } from '../../src/security/witnessFolder.ts'

const SERVER = '1.3.6.1.5.5.7.3.1'
const CLIENT = '1.3.6.1.5.5.7.3.2'
const folder = mkdtempSync(join(tmpdir(), 'walcast-witness-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('one authority, one server, one client for each node', () => {
  const { ca, witness, nodes } = makeWitnessCertificates('10.0.0.3', ['node-a', 'node-b'])
  const authority = new X509Certificate(ca)
  assert.ok(authority.ca && authority.verify(authority.publicKey))
  const server = new X509Certificate(witness.certificate)
  assert.equal(server.subjectAltName, 'IP Address:10.0.0.3, IP Address:127.0.0.1')
  assert.deepEqual(server.keyUsage, [SERVER, CLIENT])
  assert.deepEqual([...nodes.keys()], ['node-a', 'node-b'])
  for (const [name, issued] of [...nodes, ['walcast witness', witness] as const]) {
    const read = new X509Certificate(issued.certificate)
    assert.equal(read.subject, `CN=${name}`)
    assert.ok(read.checkIssued(authority) && read.verify(authority.publicKey))
    assert.ok(read.checkPrivateKey(createPrivateKey(issued.key)))
    assert.equal(read.ca, false)
    assert.equal(read.validTo, 'Dec 31 23:59:59 9999 GMT')
  }
  for (const { certificate } of nodes.values())
    assert.deepEqual(new X509Certificate(certificate).keyUsage, [CLIENT])
})

test('a witness is known by any address, and by no other', () => {
  const hosts = fc.oneof(fc.ipV4(), fc.ipV6())
  fc.assert(
    fc.property(hosts, hosts, (host, other) => {
      const { witness } = makeWitnessCertificates(host, [])
      const read = new X509Certificate(witness.certificate)
      assert.ok(read.checkIP(host), host)
      const isSame = new URL(urlOf(host)).hostname === new URL(urlOf(other)).hostname
      if (!isSame && other !== '127.0.0.1') assert.equal(read.checkIP(other), undefined)
    }),
    { numRuns: 40 },
  )
  const { witness } = makeWitnessCertificates('witness.example.com', [])
  assert.ok(new X509Certificate(witness.certificate).checkHost('witness.example.com'))
})

function urlOf(address: string): string {
  return address.includes(':') ? `http://[${address}]` : `http://${address}`
}

test('the folder has a part for each machine, for its owner only', async () => {
  const path = join(folder, 'whole')
  await writeWitnessFolder(path, makeWitnessCertificates('10.0.0.3', ['node-a']))
  assert.deepEqual(readdirSync(path, { recursive: true }).sort(), [
    'node-a',
    ...['node-a/ca.crt', 'node-a/node.crt', 'node-a/node.key'],
    'witness',
    ...['witness/ca.crt', 'witness/witness.crt', 'witness/witness.key'],
  ])
  for (const name of ['', ...readdirSync(path, { recursive: true, encoding: 'utf8' })])
    assert.equal(statSync(join(path, name)).mode & 0o077, 0, name)
})

test('a folder that fails at any step leaves nothing', async () => {
  const made = makeWitnessCertificates('10.0.0.3', ['node-a'])
  const path = join(folder, 'failed')
  for (let at = 0; ; at++) {
    let step = 0
    const ops = createFileOps(() => {
      if (step++ === at) throw new Error('full')
    })
    try {
      await writeWitnessFolder(path, made, ops)
      break
    } catch (error) {
      assert.match(String(error), /full/)
      assert.ok(!readdirSync(folder).some((name) => name.startsWith('failed')), `step ${at}`)
    }
  }
  assert.ok(existsSync(join(path, 'node-a/node.key')))
})

test('a folder that is there is kept', async () => {
  const path = join(folder, 'there')
  mkdirSync(join(path, 'more'), { recursive: true })
  await assert.rejects(writeWitnessFolder(path, makeWitnessCertificates('10.0.0.3', [])))
  assert.deepEqual(readdirSync(path), ['more'])
})
