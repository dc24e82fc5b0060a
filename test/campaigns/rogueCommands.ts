/** Commands at a stranger who knows no secret: he gets neither secret nor signature. */
import assert from 'node:assert/strict'
import { startBank } from '../support/bankCluster.ts'
import type { Lab } from '../support/lab.ts'
import { type Answering, Rogue } from '../support/rogue.ts'
import { forging, leading } from '../support/rogueAnswers.ts'
import { requireNothingIn, WITH_SECRET } from '../support/rogueSpoils.ts'

export type CommandLine = readonly string[]

export const COMMANDS: readonly CommandLine[] = [
  ['status'],
  ['lag'],
  ['audit'],
  ['switchover'],
  ['promote'],
  ['promote', '--force'],
  ['demote'],
  ['rehearse'],
  ['forget', 'node1'],
]

/** At each of his five answers, with the commands that `commandsOf` gives for it, and `verify`. */
export async function rogueCommands(
  lab: Lab,
  commandsOf: (answer: number) => readonly CommandLine[],
): Promise<void> {
  const { sites } = await startBank(lab, { nodes: 1 })
  const [leader] = sites
  const ending = { after: (end: () => void) => lab.atEnd(end) }
  const told = JSON.parse((await leader.node.get('/leader', {})).text)
  const answers: readonly (readonly [string, Answering])[] = [
    ['leads', leading({ ...told, address: leader.address })],
    ['forges a proof', forging({ ...told, address: leader.address })],
    ['refuses', () => ({ status: 401, body: { code: 'WALCAST_UNAUTHORIZED', message: 'no' } })],
    ['redirects', () => ({ status: 307, headers: { location: leader.node.url } })],
    ['is no node', () => ({ body: 'hello' })],
  ]
  for (const [at, [what, answer]] of answers.entries()) {
    const rogue = await Rogue.start(ending, answer)
    for (const [command, ...more] of commandsOf(at)) {
      const child = lab.cli([command, ...more, '--node', rogue.address], WITH_SECRET)
      child.expectEnd()
      assert.equal((await child.ended).code, 1, `${command} when he ${what}`)
      assert.match(child.err.join('\n'), /^WALCAST_(PEER_UNPROVEN|UNAUTHORIZED|NODE_ANSWER)/)
    }
    const verify = ['verify', '--node', leader.address, '--node', rogue.address]
    const child = lab.cli(verify, WITH_SECRET)
    child.expectEnd()
    assert.equal((await child.ended).code, 1)
    assert.match(child.out.join('\n'), /NOT VERIFIED/)
    assert.deepEqual(
      [...new Set(rogue.questions)].sort(),
      ['GET /_walcast/proof', 'GET /leader'],
      what,
    )
    requireNothingIn(rogue)
  }
}
