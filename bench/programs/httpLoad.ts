/**
 * Asks HTTP servers in turn, a slice of time each, with so many connections that each send a
 * request after the answer to the one before (autocannon). Latencies are taken from each answer:
 * autocannon's own histogram has whole milliseconds.
 */
import { percentiles } from '../arithmetic.ts'
import type { RequestKind, Target } from '../httpLoad.ts'
import { Flags, readyThenGo, report, sayThenGo } from './program.ts'

interface PreparedRequest {
  readonly method: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

/** The parts of autocannon used here; it has no types of its own. */
interface Run {
  on(
    event: 'response',
    listener: (client: unknown, status: number, bytes: number, latencyMs: number) => void,
  ): void
}
type Autocannon = (
  options: Readonly<Record<string, unknown>>,
  done: (error: Error | null, result: { readonly errors: number; readonly non2xx: number }) => void,
) => Run

/** How long the turn of a target lasts; a single target has no turns. */
const SLICE_SECONDS = 0.5
/** Rows of `lookup`, see suites/http.ts. */
const ITEMS = 100_000
/** Different rows, built once: the client has little to do for a request. */
const DIFFERENT_REQUESTS = 64
/** How often autocannon checks whether to end. */
const LOOK_MS = 20

// A name that the compiler does not look up: there are no types, and installed packages lack it.
const packageName = 'autocannon'
const autocannon: Autocannon = (await import(packageName)).default

const flags = new Flags(['targets', 'connections', 'seconds', 'warmup'])
const targets: readonly Target[] = JSON.parse(flags.text('targets'))
const connections = flags.number('connections')

interface Measured {
  readonly latenciesNs: number[]
  elapsedMs: number
}

function requestsOf(kind: RequestKind): PreparedRequest[] {
  return Array.from({ length: DIFFERENT_REQUESTS }, () => {
    const id = 1 + Math.floor(Math.random() * ITEMS)
    if (kind === 'read') return { method: 'GET', path: `/item?id=${id}` }
    const headers = { 'content-type': 'application/json' }
    const path = kind === 'write' ? '/item' : '/nothing'
    return { method: 'POST', path, headers, body: JSON.stringify({ id }) }
  })
}

/** One slice. The first answer on each connection does not count, since it includes connecting. */
function ask({ kind, origin, name }: Target, seconds: number, measured: Measured): Promise<void> {
  return new Promise((resolve, reject) => {
    let answers = 0
    let firstMs = 0
    let lastMs = 0
    const options = { url: origin, connections, duration: seconds, requests: requestsOf(kind) }
    const run = autocannon({ ...options, sampleInt: LOOK_MS }, (error, result) => {
      if (error) return reject(error)
      const { errors, non2xx } = result
      if (errors + non2xx > 0)
        return reject(new Error(`${name}: ${errors} errors, ${non2xx} answers without success`))
      measured.elapsedMs += lastMs - firstMs
      resolve()
    })
    run.on('response', (_client, _status, _bytes, latencyMs) => {
      lastMs = performance.now()
      answers++
      if (answers > connections) measured.latenciesNs.push(latencyMs * 1e6)
      else firstMs = lastMs
    })
  })
}

/** Each target for so long, in slices, beginning with another each time round. */
async function askAll(seconds: number): Promise<Map<Target, Measured>> {
  const measured = new Map(
    targets.map((target) => [target, { latenciesNs: [], elapsedMs: 0 } as Measured]),
  )
  const turns = targets.length === 1 ? 1 : Math.max(1, Math.round(seconds / SLICE_SECONDS))
  for (let i = 0; i < turns; i++) {
    const all = [...measured]
    for (const [target, sofar] of [...all.slice(i % all.length), ...all.slice(0, i % all.length)])
      await ask(target, seconds / turns, sofar)
  }
  return measured
}

await readyThenGo()
await askAll(flags.number('warmup'))
await sayThenGo('warm')
const result: Record<string, number> = {}
for (const [{ name }, { latenciesNs, elapsedMs }] of await askAll(flags.number('seconds'))) {
  const { count, p50Ms, p99Ms } = percentiles(latenciesNs)
  const figures = { count, p50Ms, p99Ms, perSecond: (1000 * count) / elapsedMs }
  for (const [key, value] of Object.entries(figures)) result[`${name}.${key}`] = value
}
report(result)
