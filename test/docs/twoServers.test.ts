/**
 * Follows docs/two-servers.md: every command in the order of the page, on two hosts that have the
 * addresses of the page, with the output that it shows.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { endingWithParent } from '../support/endsWithParent.ts'
import { labTest } from '../support/lab.ts'
import { type Host, twoHosts } from '../support/twoHosts.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const PAGE = readFileSync(`${ROOT}docs/two-servers.md`, 'utf8')
const ADDRESSES = ['10.0.0.1', '10.0.0.2'] as const
const INSIDE = 'TWO_SERVERS_INSIDE'

interface Step {
  readonly hosts: readonly string[]
  readonly command: string
  /** The lines below it. */
  readonly output: readonly string[]
}

/**
 * The commands of the page. A block with a `$` shows output; in others each line is a command. The
 * paragraph above says on which host.
 */
function stepsOf(page: string): readonly Step[] {
  const steps: { hosts: readonly string[]; command: string; output: string[] }[] = []
  let hosts: readonly string[] = []
  const joined = page.replaceAll(/\\\n */g, '').replaceAll(/(\n {4}.*)\n\n(?= {4})/g, '$1\n')
  for (const block of joined.split(/\n(?=\n)/)) {
    const [, on] = [...block.matchAll(/\bOn\s\*\*([^*]+)\*\*/g)].at(-1) ?? []
    if (on !== undefined) hosts = on === 'both servers' ? ADDRESSES : [on]
    const lines = block.split('\n').filter((line) => line.startsWith('    '))
    const isShown = lines.some((line) => line.startsWith('    $ '))
    for (const line of lines.map((each) => each.slice(4)))
      if (!isShown || line.startsWith('$ '))
        steps.push({ hosts, command: line.replace(/^\$ /, ''), output: [] })
      else steps[steps.length - 1]?.output.push(line)
  }
  return steps
}

/** What differs from run to run becomes one sign. */
function stable(line: string): string {
  return line
    .replaceAll(/\b[0-9a-f]{16}\b|\b[0-9A-Z]{90,}\b|\bCODE\b/g, '#')
    .replaceAll(/\d[\d.,-]*( (ms|s|KiB|MiB|µs)\b)?/g, '#')
    .replaceAll(/\s+/g, ' ')
    .trim()
}

async function follow(hosts: readonly Host[]): Promise<void> {
  let code = 'CODE'
  for (const { hosts: on, command, output } of stepsOf(PAGE))
    for (const host of hosts.filter(({ address }) => on.includes(address))) {
      const { code: exit, lines } = await host.run(command.replace('CODE', code))
      const said = `${host.address}$ ${command}\n${lines.join('\n')}`
      assert.equal(exit, 0, said)
      const seen = new Set(lines.map(stable))
      for (const line of output.filter((each) => each !== '...'))
        assert.ok(seen.has(stable(line)), `"${line}" is not in\n${said}`)
      code = /^walcast join ([0-9A-Z]+) /m.exec(lines.join('\n'))?.[1] ?? code
    }
}

/** The application of the page: that of the tutorial. */
function putApplication(host: Host): void {
  const tutorial = readFileSync(`${ROOT}docs/tutorial.md`, 'utf8')
  const [, application] = tutorial.slice(tutorial.indexOf('<!-- app.mjs -->')).split('```\n')
  mkdirSync(host.outside('/srv/app'))
  writeFileSync(host.outside('/srv/app/app.mjs'), application)
  symlinkSync(`${ROOT}node_modules`, host.outside('/srv/app/node_modules'))
}

if (process.env[INSIDE] === undefined)
  test('the page on two servers, in namespaces of its own', () => {
    const user = process.geteuid?.() === 0 ? [] : ['--user', '--map-root-user']
    const own = [...user, '--net', '--mount', process.execPath, '--enable-source-maps']
    const [file, args] = endingWithParent('unshare', [...own, fileURLToPath(import.meta.url)])
    const { NODE_TEST_CONTEXT: _, ...environment } = process.env
    const ran = spawnSync(file, args, {
      env: { ...environment, [INSIDE]: 'yes' },
      encoding: 'utf8',
    })
    assert.equal(ran.status, 0, `${ran.stdout}\n${ran.stderr}`)
  })
else
  labTest('the commands of the page do what it shows', async (lab) => {
    const hosts = await twoHosts(lab, ADDRESSES)
    for (const host of hosts) putApplication(host)
    await follow(hosts)
  })
