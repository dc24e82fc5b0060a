/**
 * What the `run` scripts of the examples share: options, a data folder, and an end in good order.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Processes } from './processes.ts'

export interface Example {
  readonly name: string
  /** How many ports it needs, from `--port` on. */
  readonly ports: number
  /** The text after the URLs. */
  readonly hint: string
  /** Starts everything and returns the URLs to show, once each of them answers. */
  start(stage: Stage): Promise<readonly Shown[]>
}

export interface Stage {
  readonly processes: Processes
  /** Names of the three nodes. */
  folder(name: string): string
  /** Port number `index` of the example's ports. */
  port(index: number): number
}

export interface Shown {
  readonly name: string
  readonly url: string
}

interface Options {
  readonly port: number
  readonly folder: string | undefined
}

const HIGHEST_PORT = 65_535

/** Runs an example until a signal, or until one of its processes exits. Sets the exit code. */
export async function runExample(example: Example, args: readonly string[]): Promise<void> {
  const options = optionsOf(example, args)
  if (!options) return
  const root = options.folder ?? mkdtempSync(join(tmpdir(), `walcast-${example.name}-`))
  const processes = new Processes()
  const signalled = signal()
  const stage = { processes, port: (index: number) => options.port + index, folder: folderIn(root) }
  const started = example.start(stage).then((shown) => show(example, shown, root))
  const failed = started.then(() => processes.died).catch((error: unknown) => textOf(error))
  const reason = await Promise.race([signalled, failed, processes.died])
  if (reason !== undefined) process.stderr.write(`${example.name}: ${reason}\n`)
  const isClean = await processes.stop()
  if (options.folder === undefined) rmSync(root, { recursive: true, force: true })
  process.exitCode = reason === undefined && isClean ? 0 : 1
}

function optionsOf(example: Example, args: readonly string[]): Options | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        port: { type: 'string', default: '3000' },
        folder: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    })
    if (!values.help) return { port: portOf(values.port, example.ports), folder: values.folder }
    process.stdout.write(helpOf(example))
  } catch (error) {
    process.stderr.write(`${example.name}: ${textOf(error)}\n`)
    process.exitCode = 2
  }
  return undefined
}

function portOf(text: string, count: number): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port + count - 1 > HIGHEST_PORT)
    throw new Error(`--port is to be a number from 1 to ${HIGHEST_PORT - count + 1}`)
  return port
}

function helpOf({ name, ports }: Example): string {
  return `Usage: examples/${name}/run [--port N] [--folder FOLDER]

  --port N         first of ${ports} ports on 127.0.0.1 (default: 3000)
  --folder FOLDER  keeps the data there (default: a temporary folder that is removed at the end)
`
}

/** Resolves at the first SIGINT or SIGTERM; later ones have no effect. */
function signal(): Promise<undefined> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => resolve(undefined))
  })
}

function folderIn(root: string): (name: string) => string {
  return (name) => {
    const folder = resolve(root, name)
    mkdirSync(folder, { recursive: true })
    return folder
  }
}

function show({ hint }: Example, shown: readonly Shown[], root: string): void {
  const width = Math.max(...shown.map(({ name }) => name.length))
  const lines = shown.map(({ name, url }) => `  ${name.padEnd(width)}  ${url}\n`)
  process.stdout.write(
    `\n${lines.join('')}\n  data in ${root}\n  ${hint}\n  Ctrl-C stops everything.\n\n`,
  )
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
