/**
 * LiteFS: a FUSE file system on each side, through which writer and readers open an ordinary SQLite
 * file. A static lease: the primary stays the primary. Measured where a `litefs` program is on the
 * PATH and FUSE is permitted.
 */
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../src/cli/freePorts.ts'
import { findProgram, NotAvailable } from '../install.ts'
import type { RunningSystem, Setup, System } from '../system.ts'
import { makeDatabase } from './content.ts'
import { answers, whenReady } from './peer.ts'
import { type Server, withFollowers } from './servers.ts'

const IMPORT_TIMEOUT_MS = 60_000
/** Of the database on every mount. */
const NAME = 'primary.db'

/**
 * The path of `litefs`, which mounts through `fuseDevice`. Throws NotAvailable with what is
 * missing.
 */
export function findLitefs(fuseDevice: string): string {
  const program = findProgram('litefs')
  if (!program) throw new NotAvailable('litefs is not on the PATH')
  if (!findProgram('fusermount3') && !findProgram('fusermount'))
    throw new NotAvailable('fusermount is not on the PATH: install the package fuse3')
  try {
    closeSync(openSync(fuseDevice, 'r+'))
  } catch (error) {
    throw new NotAvailable(
      `${fuseDevice} cannot be opened: ${(error as NodeJS.ErrnoException).code}`,
    )
  }
  return program
}

let binary = ''

const unmountedPath = (setup: Setup) => join(setup.folder, NAME)

export const litefs: System = {
  name: 'litefs',
  hasPages: true,
  async install() {
    binary = findLitefs('/dev/fuse')
  },
  prepare: (setup, kind, megabytes) => makeDatabase(setup, unmountedPath(setup), kind, megabytes),
  async startAlone(setup) {
    return {
      nodes: [],
      primary: { client: 'sqlite', where: unmountedPath(setup) },
      async stop() {},
    }
  },
  start,
}

interface Mount extends Server {
  readonly url: string
}

async function start(setup: Setup): Promise<RunningSystem> {
  const primary = await mount(setup, 'leader')
  const args = ['import', '-url', primary.url, '-name', NAME, unmountedPath(setup)]
  await setup.processes.run({ name: 'import', file: binary, args }, IMPORT_TIMEOUT_MS)
  await whenReady(primary.child, () => answers(primary.place))
  // They unmount when they are asked to end.
  return withFollowers(setup, primary, async (name) => {
    const follower = await mount(setup, name, primary.url)
    await whenReady(follower.child, () => answers(follower.place))
    return follower
  })
}

/** `primaryUrl`: whom to follow; the primary itself when not given. */
async function mount(setup: Setup, name: string, primaryUrl?: string): Promise<Mount> {
  const folder = join(setup.folder, `${name}-mount`)
  mkdirSync(folder)
  const address = `127.0.0.1:${await freePort()}`
  const url = `http://${address}`
  const config = join(setup.folder, `${name}.yml`)
  writeFileSync(
    config,
    configText(folder, join(setup.folder, `${name}-data`), address, primaryUrl ?? url),
  )
  const child = setup.processes.start({ name, file: binary, args: ['mount', '-config', config] })
  await whenReady(child, () => isListening(url))
  return {
    name,
    pid: child.pid,
    child,
    url,
    place: { client: 'sqlite', where: join(folder, NAME) },
  }
}

/** It listens once it has mounted. */
async function isListening(url: string): Promise<boolean> {
  try {
    const response = await fetch(url)
    await response.arrayBuffer()
    return true
  } catch {
    return false
  }
}

/** JSON is YAML too. With a static lease every node advertises the primary's address. */
function configText(
  folder: string,
  dataFolder: string,
  address: string,
  primaryUrl: string,
): string {
  return JSON.stringify({
    fuse: { dir: folder },
    data: { dir: dataFolder },
    http: { addr: address },
    lease: {
      type: 'static',
      'advertise-url': primaryUrl,
      candidate: primaryUrl === `http://${address}`,
    },
  })
}
