/**
 * Two hosts on one machine: two network namespaces with a cable between them, each with a `/srv`
 * and an `/etc` of its own, and a stand-in for systemd that reads the units which were written.
 * Needs the rights of root, those of root in a user namespace too.
 */
import assert from 'node:assert/strict'
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import type { Child } from './child.ts'
import type { Lab } from './lab.ts'
import { CLI } from './paths.ts'
import { until } from './until.ts'

/** What programs read of `/etc`. */
const OF_ETC = [
  ...['passwd', 'group', 'nsswitch.conf', 'hosts', 'localtime', 'ld.so.cache', 'ssl'],
  ...['alternatives', 'ld.so.conf', 'ld.so.conf.d'],
]
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'

export interface Ran {
  readonly code: number | null
  /** Lines of both outputs. */
  readonly lines: readonly string[]
}

export class Host {
  readonly address: string
  readonly #lab: Lab
  readonly #folder: string
  readonly #enter: readonly string[]
  /** Texts of units, as of the last reload. */
  readonly #loaded = new Map<string, string>()
  readonly #running = new Map<string, Child>()
  #cwd = '/'

  constructor(lab: Lab, address: string, folder: string, holder: Child) {
    this.#lab = lab
    this.address = address
    this.#folder = folder
    const namespaces = `/proc/${holder.pid}/ns`
    this.#enter = [`--net=${namespaces}/net`, `--mount=${namespaces}/mnt`]
  }

  /** Where a file of this host lies outside of it. */
  outside(path: string): string {
    return `${this.#folder}${path}`
  }

  /** Runs a line of a shell, where the line before left off. */
  async run(line: string): Promise<Ran> {
    const [program, ...args] = line.split(/\s+/)
    if (program === 'cd') this.#cwd = args[0]
    if (program === 'npm') return this.#npm(args)
    if (program === 'systemctl') return this.#systemctl(args)
    return this.#shell(line)
  }

  async #shell(line: string): Promise<Ran> {
    const environment = { PATH: `${this.outside('/bin')}:${process.env['PATH'] ?? PATH}` }
    const script = `cd ${this.#cwd} && ${line}`
    const child = this.#lab.spawn(
      `${this.address} ${line.slice(0, 60)}`,
      'nsenter',
      [...this.#enter, 'bash', '-c', script],
      environment,
    )
    child.expectEnd()
    child.closeInput()
    const { code } = await child.ended
    return { code, lines: [...child.err, ...child.out] }
  }

  /** In place of a download: the command of this checkout, where `npm` would have put it. */
  #npm(args: readonly string[]): Ran {
    assert.deepEqual(args, ['install', '--global', 'walcast', 'better-sqlite3'])
    mkdirSync(this.outside('/bin'))
    const program = this.outside('/bin/walcast')
    writeFileSync(program, `#!/bin/sh\nexec "${process.execPath}" "${CLI}" "$@"\n`)
    chmodSync(program, 0o755)
    return { code: 0, lines: [] }
  }

  /** What systemd does with a unit, as far as these units ask for it. */
  async #systemctl(args: readonly string[]): Promise<Ran> {
    const [action, name = ''] = args.filter((arg) => arg !== '--now')
    if (action === 'daemon-reload') this.#load('walcast-app')
    else if (action === 'stop') await this.#running.get(name)?.stop()
    else if (action === 'start' || (action === 'enable' && args.includes('--now')))
      await this.#start(name)
    else assert.fail(`systemctl ${args.join(' ')}`)
    return { code: 0, lines: [] }
  }

  #load(name: string): void {
    this.#loaded.set(
      name,
      readFileSync(this.outside(`/etc/systemd/system/${name}.service`), 'utf8'),
    )
  }

  async #start(name: string): Promise<void> {
    const text = this.#loaded.get(name)
    assert.ok(text, `no unit ${name}`)
    const values = (key: string) =>
      [...text.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value]) => value)
    assert.deepEqual(values('User'), [], 'root owns the database')
    const [folder] = values('WorkingDirectory')
    const [command] = values('ExecStart')
    const child = this.#lab.spawn(`${this.address} ${name}`, 'nsenter', [
      ...this.#enter,
      ...['env', '-i', '-C', folder, `PATH=${PATH}`, ...values('Environment')],
      ...wordsOf(command),
    ])
    this.#running.set(name, child)
    await child.errorLine((line) => line.includes('"msg":"running"'))
    await until('its application takes requests', async () => {
      const { lines } = await this.#shell(`curl -s -w '%{http_code}' http://${this.address}/readyz`)
      return lines.at(-1)?.endsWith('200')
    })
    await until('it captures or follows', async () => {
      const { lines } = await this.#shell('walcast status --json')
      return /"state":"(capturing|streaming)"/.test(lines.join(''))
    })
  }
}

/** The words of an `ExecStart` (systemd.service(5)). */
function wordsOf(command: string): string[] {
  return [...command.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(([, quoted, bare]) =>
    (quoted ?? bare)
      .replaceAll(/\\x([0-9a-f]{2})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16)))
      .replaceAll(/\\(["\\])/g, '$1')
      .replaceAll('%%', '%')
      .replaceAll('$$', '$'),
  )
}

/** An `/etc` with an empty folder for units of the system. */
export function makeEtc(folder: string): void {
  mkdirSync(`${folder}/systemd/system`, { recursive: true })
  for (const name of OF_ETC.filter((each) => existsSync(`/etc/${each}`)))
    cpSync(`/etc/${name}`, `${folder}/${name}`, {
      recursive: true,
      verbatimSymlinks: true,
      filter: (path) => !path.includes('/private'),
    })
}

/** Makes a host for each of the two addresses, and the cable between them. */
export async function twoHosts(lab: Lab, addresses: readonly [string, string]): Promise<Host[]> {
  const holders = []
  for (const address of addresses) {
    const folder = lab.path(address)
    mkdirSync(`${folder}/srv`, { recursive: true })
    makeEtc(`${folder}/etc`)
    const mounts = ['srv', 'etc'].map((name) => `mount --bind ${folder}/${name} /${name}`)
    const script = [...mounts, 'ip link set lo up', 'echo ready', 'exec sleep infinity']
    const holder = lab.spawn(`host ${address}`, 'unshare', [
      ...['--net', '--mount', 'bash', '-ec', script.join('\n')],
    ])
    await holder.line((line) => line === 'ready')
    holders.push({ address, folder, holder })
  }
  const [first, second] = holders.map(({ holder }) => `netns ${holder.pid}`)
  await cable(lab, `ip link add eth0 ${first} type veth peer name eth0 ${second}`)
  for (const { address, holder } of holders) {
    const there = `nsenter --net=/proc/${holder.pid}/ns/net`
    await cable(lab, `${there} ip address add ${address}/24 dev eth0`)
    await cable(lab, `${there} ip link set eth0 up`)
  }
  return holders.map(({ address, folder, holder }) => new Host(lab, address, folder, holder))
}

async function cable(lab: Lab, line: string): Promise<void> {
  const [file, ...args] = line.split(' ')
  const child = lab.spawn(line, file, args)
  child.expectEnd()
  assert.equal((await child.ended).code, 0, child.tail())
}
