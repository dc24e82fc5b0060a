/** The archive over a failover: a node that can go on with it does, and none begins it anew. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { archived, requireRestorable, restorable, type Told } from '../support/archiving.ts'
import { campaignTest } from '../support/lab.ts'
import { TcpProxy } from '../support/tcpProxy.ts'
import type { TestNode } from '../support/testNode.ts'
import { until } from '../support/until.ts'
import { makeDatabase } from '../support/workload.ts'

const isArchiving = async (node: TestNode) =>
  (await node.status()).backup?.places[0].isArchiving === true

campaignTest('a replica that was ahead of the new leader leaves the archive to it', async (lab) => {
  const place = lab.path('archive')
  const db = lab.path('leader.db')
  await makeDatabase(lab, db)
  const flags = ['--backup', place, '--backup-every', '50ms', '--backup-alert', '10m']
  const leader = await (await lab.leader(db, { flags })).ready()
  const nodes: TestNode[] = []
  const links: TcpProxy[] = []
  for (const name of ['a', 'b']) {
    const link = await TcpProxy.start(leader.options.port)
    lab.atEnd(() => link.close())
    links.push(link)
    nodes.push(await (await lab.replica(lab.path(`${name}.db`), link.address, { flags })).ready())
  }
  const ahead = await until('a replica archives', async () => {
    for (const node of nodes) if (await isArchiving(node)) return node
    return undefined
  })
  const behind = nodes.find((node) => node !== ahead) ?? ahead
  const level = async (node: TestNode) => {
    const { txid } = await leader.status()
    await until('it is level', async () => (await node.status()).txid >= txid)
  }
  await lab.exec(db, 'CREATE TABLE both (a)')
  for (const node of nodes) await level(node)
  const told: Told[] = [await archived(ahead)]
  links[nodes.indexOf(behind)].tamper = () => Buffer.alloc(0)
  await lab.exec(db, 'CREATE TABLE one (a)')
  await level(ahead)
  told.push(await archived(ahead))
  leader.kill('SIGKILL')
  await leader.child.ended
  assert.equal((await behind.post('/_walcast/promote', { force: true })).status, 200)
  await lab.exec(behind.db, 'CREATE TABLE other (a)')
  const { epoch, txid } = await behind.status()
  await until('the other one follows', async () => {
    const status = await ahead.status()
    return status.epoch === epoch && status.txid >= txid
  })
  const found = await until('the archive has it', async (saw) => {
    for (const node of [ahead, behind]) {
      const position = restorable(await node.status())
      saw(JSON.stringify(position))
      if (position?.position === `${epoch}-${txid}`) return position
    }
    return undefined
  })
  const { checksum } = await behind.status()
  told.push({ incarnation: found.incarnation, txid, checksum })
  assert.equal(readdirSync(`${place}/snapshots`).length, 1)
  assert.equal(ahead.logged('another node may go on with it').length, 1)
  await until('it archives again', () => isArchiving(ahead))
  await lab.exec(behind.db, 'CREATE TABLE last (a)')
  const last = await behind.status()
  await until('it is level', async () => (await ahead.status()).txid >= last.txid)
  told.push(await archived(ahead))
  assert.equal(readdirSync(`${place}/snapshots`).length, 1)
  for (const node of nodes) await node.stop()
  await requireRestorable(place, told, (i) => lab.path(`restored-${i}.db`))
})
