/**
 * Load balancers before two nodes, set up as docs/application/load-balancer.md says: HAProxy with
 * health checks, nginx without. The recipes are read from that page, with the test's addresses, so
 * what is tested is what users paste. Needs the Debian packages `haproxy` and `nginx`.
 */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { freePort } from '../../src/cli/freePorts.ts'
import type { Lab } from './lab.ts'
import type { Door } from './recordingClient.ts'
import { until } from './until.ts'

export interface Backend {
  readonly name: string
  /** Port of the public side. */
  readonly proxyPort: number
  /** Port of the private side. */
  readonly port: number
}

const PAGE = fileURLToPath(new URL('../../../docs/application/load-balancer.md', import.meta.url))

/** The block of the page after the comment that begins with `name`. */
function recipe(name: string): string {
  const page = readFileSync(PAGE, 'utf8')
  const [, text] = page.slice(page.indexOf(`<!-- ${name}`)).split('```\n')
  assert.ok(
    page.includes(`<!-- ${name}`) && text,
    `docs/application/load-balancer.md has no ${name}`,
  )
  return text
}

/** The recipe for two nodes on this machine. */
function placed(recipeName: string, bind: RegExp, door: string, nodes: readonly Backend[]): string {
  const text = nodes.reduce(
    (left, { name, proxyPort, port }, i) =>
      left
        .replaceAll(
          `10.0.0.${i + 1}:80 check port 8470`,
          `127.0.0.1:${proxyPort} check port ${port}`,
        )
        .replaceAll(`10.0.0.${i + 1}:80`, `127.0.0.1:${proxyPort}`)
        .replaceAll(`node-${'ab'[i]}`, name),
    recipe(recipeName).replace(bind, door),
  )
  assert.ok(text.includes(door), `${recipeName} listens where it is told`)
  assert.doesNotMatch(
    text,
    /10\.0\.0\.|:80\b|:8470\b/,
    `${recipeName} has an address that no test replaced`,
  )
  return text
}

export function haproxyConfig(port: number, nodes: readonly Backend[]): string {
  return placed('haproxy.cfg', /bind :80$/m, `bind 127.0.0.1:${port}`, nodes)
}

/** The part within http { }. */
export function nginxConfig(port: number, nodes: readonly Backend[]): string {
  return placed('nginx.conf', /listen 80;/, `listen 127.0.0.1:${port};`, nodes)
}

/** The nodes to which its health checks let requests go. */
export interface Standing {
  readonly leader: readonly string[]
  readonly nodes: readonly string[]
}

export interface Haproxy extends Door {
  standing(): Promise<Standing>
}

/**
 * Writes go to the leader while one is known, else to any node, which holds or forwards them; reads
 * to every node that is ready.
 */
export async function startHaproxy(lab: Lab, nodes: readonly Backend[]): Promise<Haproxy> {
  const port = await freePort()
  const path = lab.path('haproxy.cfg')
  const statistics = lab.path('haproxy.sock')
  const socket = `global\n    stats socket ${statistics} mode 600 level user\n\n`
  writeFileSync(path, socket + haproxyConfig(port, nodes))
  lab.spawn('haproxy', 'haproxy', ['-db', '-f', path])
  const door = await whenOpen({ name: 'haproxy', url: `http://127.0.0.1:${port}` })
  return { ...door, standing: async () => standingIn(await askSocket(statistics, 'show stat')) }
}

function askSocket(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    const socket = connect(path, () => socket.write(`${command}\n`))
    socket.setEncoding('utf8')
    socket.on('data', (part: string) => {
      text += part
    })
    socket.on('end', () => resolve(text))
    socket.on('error', reject)
  })
}

/**
 * CSV under a head that begins with `# pxname,svname`; a server that a check has just failed for is
 * still `UP 1/2`.
 */
function standingIn(statistics: string): Standing {
  const [head, ...rows] = statistics.trim().split('\n')
  const names = head.replace(/^# /, '').split(',')
  const at = (name: string) => names.indexOf(name)
  const servers = rows.map((row) => row.split(','))
  const upIn = (backend: string) =>
    servers
      .filter((row) => row[at('pxname')] === backend && row[at('status')].startsWith('UP'))
      .map((row) => row[at('svname')])
      .filter((name) => name !== 'BACKEND' && !name.endsWith('-any'))
      .sort()
  return { leader: upIn('writes'), nodes: upIn('reads') }
}

/** It asks the other node when one cannot be reached, and only then sends a write again. */
export async function startNginx(lab: Lab, nodes: readonly Backend[]): Promise<Door> {
  const port = await freePort()
  const folder = lab.path('nginx')
  mkdirSync(folder)
  writeFileSync(
    `${folder}/nginx.conf`,
    `daemon off;
master_process off;
pid ${folder}/pid;
error_log stderr crit;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path ${folder}/body;
  proxy_temp_path ${folder}/proxy;
  fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi;
  scgi_temp_path ${folder}/scgi;
${nginxConfig(port, nodes)}
}
`,
  )
  lab.spawn('nginx', 'nginx', ['-p', folder, '-c', `${folder}/nginx.conf`, '-e', 'stderr'])
  return whenOpen({ name: 'nginx', url: `http://127.0.0.1:${port}` })
}

async function whenOpen(door: Door): Promise<Door> {
  await until(
    `${door.name} answers`,
    async () => (await fetch(`${door.url}/accounts`)).status === 200,
  )
  return door
}
