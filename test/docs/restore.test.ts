/** Follows docs/backup/restore.md: its commands in order, with the output that it shows. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { flipBit, writeArchive } from '../support/archiveFolders.ts'
import { ONE, statesOf } from '../support/archives.ts'
import { type Lab, labTest } from '../support/lab.ts'

const PAGE = readFileSync(
  fileURLToPath(new URL('../../../docs/backup/restore.md', import.meta.url)),
  'utf8',
)
const PAGE_SIZE = 4096

interface Step {
  readonly heading: string
  readonly command: string
  /** The lines below it. */
  readonly output: string[]
}

function stepsOf(page: string): Step[] {
  const steps: Step[] = []
  let heading = ''
  for (const line of page.split('\n'))
    if (line.startsWith('## ')) heading = line.slice(3)
    else if (line.startsWith('    $ ')) steps.push({ heading, command: line.slice(6), output: [] })
    else if (line.startsWith('    ')) steps.at(-1)?.output.push(line.slice(4))
  return steps
}

/** Lengths, durations and checksums differ from run to run; times and positions do not. */
function stable(line: string): string {
  return line
    .replaceAll(/\b[0-9a-f]{16}\b/g, '#')
    .replaceAll(/\d[\d.]*(?= (s|B|KiB)\b)/g, '#')
    .replaceAll(/ +/g, ' ')
}

async function run(lab: Lab, command: string): Promise<string[]> {
  const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare)
  const args = words.slice(1).map((word) => {
    if (word === '/backup/app') return lab.path('archive')
    return word.endsWith('.db') ? lab.path(word) : word
  })
  const child = lab.cli(args, { TZ: 'Europe/Vienna' })
  child.expectEnd()
  await child.ended
  return [...child.err, ...child.out].map((line) =>
    stable(line.replaceAll(lab.path('archive'), '/backup/app').replaceAll(lab.folder, '/srv/app')),
  )
}

labTest('the commands of the page give the output that it shows', async (lab) => {
  const states = statesOf(lab.path('source.db'), PAGE_SIZE).slice(0, 6)
  const names = await writeArchive(lab.path('archive'), states, PAGE_SIZE, [
    { kind: 'snapshot', incarnation: ONE, states: [0] },
    { kind: 'changes', incarnation: ONE, from: 0, states: [1, 2, 3] },
    { kind: 'changes', incarnation: ONE, from: 3, states: [4, 5] },
  ])
  const steps = stepsOf(PAGE)
  assert.ok(steps.length >= 9)
  let isDamaged = false
  for (const { heading, command, output } of steps) {
    if (heading.includes('damaged') && !isDamaged) flipBit(lab.path('archive'), names[2], 0.01)
    isDamaged ||= heading.includes('damaged')
    const lines = await run(lab, command)
    const seen = new Set(lines)
    for (const line of output.filter((each) => each !== '...' && each !== ''))
      assert.ok(seen.has(stable(line)), `"${line}" is not in\n$ ${command}\n${lines.join('\n')}`)
  }
})
