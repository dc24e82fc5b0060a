/**
 * Follows docs/tutorial.md: its application, its commands with other ports and paths, and the
 * answers that it shows.
 */
import assert from 'node:assert/strict'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../src/cli/freePorts.ts'
import { type Lab, labTest } from '../support/lab.ts'
import { until } from '../support/until.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PAGE = readFileSync(`${ROOT}docs/tutorial.md`, 'utf8')
const LINES = PAGE.replaceAll('\\\n', ' ').split('\n')

/** The words of a shell line; quoted text is one word. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, bare]) => single ?? double ?? bare,
  )
}

/** The ports and files of the page, replaced by those of this test. */
async function placeIn(lab: Lab): Promise<(word: string) => string> {
  const ports = new Map<string, string>()
  for (const [port] of PAGE.matchAll(/\b(3[01]0[01]|8080|8081|8470|8471)\b/g))
    if (!ports.has(port)) ports.set(port, String(await freePort()))
  return (word) =>
    /^(a\.db|b\.db|app\.mjs)$/.test(word)
      ? lab.path(word)
      : word.replace(/\b\d{4}\b/g, (port) => ports.get(port) ?? port)
}

/** Commands after `$ `, each with the output line that the page shows. */
function shownWith(
  program: string,
): { readonly args: readonly string[]; readonly output: string }[] {
  return LINES.flatMap((line, i) =>
    line.startsWith(`    $ ${program} `)
      ? [{ args: wordsOf(line).slice(2), output: LINES[i + 1].trim() }]
      : [],
  )
}

/** Does what curl does with these arguments. */
async function curl(args: readonly string[]): Promise<string> {
  const url = args.find((arg) => arg.startsWith('http')) ?? ''
  const after = (flag: string) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined)
  const [name, value] = after('-H')?.split(': ') ?? []
  const body = after('-d')
  const headers = name === undefined ? {} : { [name]: value }
  const response = await fetch(
    url,
    body === undefined ? { headers } : { method: 'POST', headers, body },
  )
  return (await response.text()).trim()
}

labTest('the commands of the tutorial give the output that it shows', async (lab) => {
  const at = await placeIn(lab)
  const [, application] = PAGE.slice(PAGE.indexOf('<!-- app.mjs -->')).split('```\n')
  writeFileSync(lab.path('app.mjs'), application)
  symlinkSync(`${ROOT}node_modules`, lab.path('node_modules'))
  const [, statements] = /sqlite3 a\.db '([^']+)'/.exec(PAGE) ?? []
  await lab.exec(lab.path('a.db'), ...statements.split(';'))

  const nodes = LINES.filter((line) => line.startsWith('    walcast run ')).map((line) =>
    wordsOf(line).slice(1).map(at),
  )
  assert.equal(nodes.length, 2)
  for (const args of nodes) {
    lab.cli(args)
    const ready = `http://${args[args.indexOf('--proxy') + 1]}/readyz`
    await until('it is ready for clients', async () => (await fetch(ready)).status === 200)
  }
  const asked = shownWith('curl')
  assert.equal(asked.length, 5)
  for (const { args, output } of asked)
    assert.equal(await curl(args.map(at)), output, args.join(' '))

  const changes = shownWith('walcast').filter(({ args }) => args[0] === 'switchover')
  assert.equal(changes.length, 2)
  for (const { args } of changes) {
    const child = lab.cli(args.map(at))
    child.expectEnd()
    assert.equal((await child.ended).code, 0, child.tail())
    assert.match(child.out[0], new RegExp(`^leader +${args[args.indexOf('--to') + 1]} at `))
  }
  const [first] = asked
  assert.match(await curl(first.args.map(at)), /^\{"id":\d+\}$/, 'it takes writes afterwards')
})
