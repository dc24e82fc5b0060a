/** Load balancers as operators set them up before two nodes: HAProxy with health checks, nginx without. Debian packages `haproxy` and `nginx`. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { freePort } from '../../src/cli/freePorts.ts'
import type { Lab } from './lab.ts'
import type { Door } from './recordingClient.ts'
import { until } from './until.ts'

export interface Backend {
  readonly name: string
  /** Of its public side. */
  readonly proxyPort: number
  /** Of its private side. */
  readonly port: number
}

/** Where its health checks let requests go: names of nodes. */
export interface Standing {
  readonly leader: readonly string[]
  readonly nodes: readonly string[]
}

export interface Haproxy extends Door {
  standing(): Promise<Standing>
}

/** Writes go to the leader while one is known, else to any node, which holds or forwards them; reads to every node that is ready. */
export async function startHaproxy(lab: Lab, nodes: readonly Backend[]): Promise<Haproxy> {
  const port = await freePort()
  const path = lab.path('haproxy.cfg')
  const statistics = lab.path('haproxy.sock')
  const server = (check: (node: Backend) => string) =>
    nodes.map((node) => `  server ${node.name} 127.0.0.1:${node.proxyPort} check ${check(node)}`).join('\n')
  writeFileSync(
    path,
    `global
  maxconn 500
  stats socket ${statistics} mode 600 level user
defaults
  mode http
  option redispatch
  retries 3
  timeout connect 1s
  timeout client 60s
  timeout server 60s
  timeout check 2s
  default-server inter 200ms fall 2 rise 1
frontend public
  bind 127.0.0.1:${port}
  use_backend leader if !METH_GET { nbsrv(leader) gt 0 }
  default_backend nodes
backend leader
  option httpchk GET /leader
${server((node) => `addr 127.0.0.1 port ${node.port}`)}
backend nodes
  option httpchk GET /readyz
${server(() => '')}
`,
  )
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

/** CSV under a head that begins with `# pxname,svname`; a server that a check has just failed for is still `UP 1/2`. */
function standingIn(statistics: string): Standing {
  const [head, ...rows] = statistics.trim().split('\n')
  const names = head.replace(/^# /, '').split(',')
  const at = (name: string) => names.indexOf(name)
  const servers = rows.map((row) => row.split(','))
  const upIn = (backend: string) =>
    servers
      .filter((row) => row[at('pxname')] === backend && row[at('status')].startsWith('UP'))
      .map((row) => row[at('svname')])
      .filter((name) => name !== 'BACKEND')
      .sort()
  return { leader: upIn('leader'), nodes: upIn('nodes') }
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
  upstream nodes {
${nodes.map(({ proxyPort }) => `    server 127.0.0.1:${proxyPort} max_fails=1 fail_timeout=1s;`).join('\n')}
    keepalive 32;
  }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://nodes;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }
  }
}
`,
  )
  lab.spawn('nginx', 'nginx', ['-p', folder, '-c', `${folder}/nginx.conf`, '-e', 'stderr'])
  return whenOpen({ name: 'nginx', url: `http://127.0.0.1:${port}` })
}

async function whenOpen(door: Door): Promise<Door> {
  await until(`${door.name} answers`, async () => (await fetch(`${door.url}/accounts`)).status === 200)
  return door
}
