/**
 * A disk fails at a step of a role change, while the node lives on: at most one node leads, the
 * answer names it, and no answered write is lost. Once the disk works, the same change succeeds
 * without a restart.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { type BankCluster, startBank } from '../support/bankCluster.ts'
import type { BankSite } from '../support/bankSite.ts'
import type { Failing, Fault } from '../support/failingNode.ts'
import { faultsIn } from '../support/historyCheck.ts'
import { labTest } from '../support/lab.ts'
import { Refused } from '../support/leadership.ts'
import type { RecordingClient } from '../support/recordingClient.ts'
import { until } from '../support/until.ts'

/** The steps of one writing of the role file, in their order. */
const ROLE = ['role.write', 'role.rename', 'role.folder'] as const
const ALWAYS = 1000
const FULL: Fault = { ops: ROLE, code: 'ENOSPC', times: ALWAYS }
const READ_ONLY: Fault = { ops: ROLE, code: 'EROFS', times: ALWAYS }
/** The new file has its name, but may not survive a power loss; the node cannot help that. */
const UNSURE: Fault = { ops: ROLE, code: 'EIO', first: 3, times: ALWAYS }
/** The first write succeeds, later ones fail. */
const SECOND: Fault = { ops: ROLE, code: 'EIO', first: ROLE.length + 1, times: ALWAYS }
/** The role file is written; then the first position and the role file cannot be. */
const TAKEN: Fault = {
  ops: [...ROLE, 'position.append'],
  code: 'EIO',
  first: ROLE.length + 1,
  times: ALWAYS,
}
const POSITIONS: Fault = { ops: ['position.append'], code: 'EIO', times: ALWAYS }

interface Pair {
  readonly cluster: BankCluster
  /** Of both nodes. */
  readonly disks: ReadonlyMap<BankSite, Failing>
}

async function startPair(lab: Parameters<typeof startBank>[0]): Promise<Pair> {
  const cluster = await startBank(lab, { nodes: 2 })
  const disks = new Map<BankSite, Failing>()
  for (const site of cluster.sites) disks.set(site, await site.restartFailing())
  return { cluster, disks }
}

/** The leader and the other node. */
async function placesIn({ cluster }: Pair): Promise<readonly [BankSite, BankSite]> {
  const from = await cluster.settled()
  const to = cluster.sites.find((site) => site !== from)
  assert.ok(to)
  return [from, to]
}

/** The roles in the role files. */
function filesOf(sites: readonly BankSite[]): readonly string[] {
  return sites.map(({ db }) => JSON.parse(readFileSync(`${db}-walcast/node.json`, 'utf8')).role)
}

const rolesOf = (sites: readonly BankSite[]) => Promise.all(sites.map((site) => site.role()))

/** Runs the change while disks fail. Returns the code of its error, '' when it succeeds. */
async function doneWith(
  { disks }: Pair,
  faults: readonly (readonly [BankSite, Fault])[],
  run: () => Promise<unknown>,
): Promise<string> {
  for (const [site, fault] of faults) await disks.get(site)?.fail(fault)
  return run().then(
    () => '',
    (error) => {
      assert.ok(error instanceof Refused, String(error))
      assert.equal(JSON.parse(error.message.slice(4)).message.includes('\n'), false)
      return error.code
    },
  )
}

/** Both disks work again. Each fault was hit. */
async function mend({ disks }: Pair, ...failed: readonly BankSite[]): Promise<void> {
  for (const [site, disk] of disks) {
    const times = await disk.mend()
    assert.equal(times > 0, failed.includes(site), `${times} operations of ${site.name} failed`)
  }
}

/** Each node has the role in its file, with no request. */
async function waitFiles(sites: readonly BankSite[], roles: readonly string[]): Promise<void> {
  await until(`the files say ${roles.join()}`, () => filesOf(sites).join() === roles.join())
  assert.deepEqual(await rolesOf(sites), roles)
}

labTest('role changes on a failing disk', async (lab, t) => {
  const pair = await startPair(lab)
  const { cluster } = pair
  const clients: RecordingClient[] = []
  const each = async (what: string, run: (from: BankSite, to: BankSite) => Promise<void>) => {
    const [from, to] = await placesIn(pair)
    t.diagnostic(what)
    await run(from, to)
    await placesIn(pair)
    for (const client of clients) await client.writesEverywhere()
  }

  // Without writes, the first recorded position is that of the new leader.
  await each('the target cannot begin to lead', async (from, to) => {
    for (const change of [() => from.switchover(to), () => to.promote({ force: true })]) {
      const code = await doneWith(pair, [[to, POSITIONS]], change)
      assert.match(code, /^(SWITCHOVER_FAILED|WRITE_FAILED)$/)
      assert.deepEqual(await rolesOf([from, to]), ['leader', 'replica'])
      assert.deepEqual(filesOf([from, to]), ['leader', 'replica'])
      await mend(pair, to)
      await cluster.settled()
    }
    await from.switchover(to)
  })

  await each('the target cannot begin to lead, nor write that it does not', async (from, to) => {
    assert.equal(
      await doneWith(pair, [[to, TAKEN]], () => from.switchover(to)),
      'SWITCHOVER_UNKNOWN',
    )
    assert.deepEqual(await rolesOf([from, to]), ['replica', 'replica'])
    assert.deepEqual(filesOf([from, to]), ['replica', 'leader'])
    await mend(pair, to)
    await waitFiles([from, to], ['replica', 'replica'])
    assert.ok(
      (await from.audit()).some(({ action, role }) => action === 'role' && role === 'replica'),
    )
    await from.promote()
  })

  const client = cluster.client({ sessions: 4, isKeyed: true })
  clients.push(client)

  for (const fault of [FULL, READ_ONLY])
    for (const which of ['from', 'to'] as const)
      await each(`switchover, ${fault.code} at ${which}`, async (from, to) => {
        const victim = which === 'from' ? from : to
        assert.equal(
          await doneWith(pair, [[victim, fault]], () => from.switchover(to)),
          'SWITCHOVER_FAILED',
        )
        assert.deepEqual(await rolesOf([from, to]), ['leader', 'replica'])
        assert.deepEqual(filesOf([from, to]), ['leader', 'replica'])
        await mend(pair, victim)
        await from.switchover(to)
      })

  await each('switchover, unsure at from', async (from, to) => {
    assert.equal(
      await doneWith(pair, [[from, UNSURE]], () => from.switchover(to)),
      'SWITCHOVER_FAILED',
    )
    assert.deepEqual(await rolesOf([from, to]), ['leader', 'replica'])
    await mend(pair, from)
    await waitFiles([from, to], ['leader', 'replica'])
    await from.switchover(to)
  })

  await each('switchover, unsure at to', async (from, to) => {
    assert.equal(
      await doneWith(pair, [[to, UNSURE]], () => from.switchover(to)),
      'SWITCHOVER_UNKNOWN',
    )
    assert.deepEqual(await rolesOf([from, to]), ['replica', 'replica'])
    await mend(pair, to)
    await waitFiles([from, to], ['replica', 'replica'])
    await to.promote()
  })

  await each('switchover, the target refuses and the leader cannot go back', async (from, to) => {
    const faults = [
      [from, SECOND],
      [to, FULL],
    ] as const
    assert.equal(await doneWith(pair, faults, () => from.switchover(to)), 'LEADERLESS')
    assert.deepEqual(await rolesOf([from, to]), ['replica', 'replica'])
    assert.deepEqual(filesOf([from, to]), ['replica', 'replica'])
    await mend(pair, from, to)
    await from.promote()
  })

  await each('demotion, a full disk', async (from, to) => {
    assert.equal(await doneWith(pair, [[from, FULL]], () => from.demote()), 'DISK_FULL')
    assert.deepEqual(await rolesOf([from, to]), ['leader', 'replica'])
    assert.deepEqual(filesOf([from, to]), ['leader', 'replica'])
    await mend(pair, from)
    await from.demote(to)
    await to.promote()
  })

  const record = await client.stop()
  clients.pop()
  assert.deepEqual(faultsIn(await cluster.judge(record, await cluster.settled())), [])

  await each('another is promoted because the disk of the leader is full', async (from, to) => {
    assert.equal(await doneWith(pair, [[from, FULL]], () => to.promote({ force: true })), '')
    await from.waitRole('replica')
    assert.deepEqual(filesOf([from, to]), ['leader', 'leader'])
    assert.notEqual(from.node.logged('the role file still says that this node leads').length, 0)
    await mend(pair, from)
    await waitFiles([from, to], ['replica', 'leader'])
  })

  await cluster.requireSame(await cluster.settled())
})
