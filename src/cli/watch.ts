/**
 * `--watch`: asks again and again. On a terminal each answer replaces the last one in place, until
 * Ctrl-C or `q`; elsewhere each is a block of its own with a line that says when. A failure after
 * the first answer ends nothing: who watches wants to see the node come back.
 */
import { asWalcastError, WalcastError } from '../errors.ts'
import { parseValue } from '../options/optionValues.ts'
import { delay, monotonicMs, wallMs } from '../platform/time.ts'
import { DataOutput } from './dataOutput.ts'
import { shown } from './table.ts'
import { type Look, lookOf } from './terminalLook.ts'
import { WatchScreen } from './watchScreen.ts'

/** What is asked for and shown, once or again and again. */
export interface Looking<Answer> {
  /** The command, as it stands above what is watched. */
  readonly title: string
  ask(): Promise<Answer>
  format(answer: Answer, look: Look): string
  /** With its line end. */
  json(answer: Answer): string
}

export const WATCH_FLAGS = {
  watch: { type: 'boolean' },
  interval: { type: 'string' },
  wide: { type: 'boolean' },
} as const

export interface WatchFlags {
  readonly json?: boolean | undefined
  readonly watch?: boolean | undefined
  readonly interval?: string | undefined
  readonly wide?: boolean | undefined
}

const MIN_INTERVAL_MS = 500
const MAX_INTERVAL_MS = 60 * 60_000
const USUAL_INTERVAL_MS = 2000
/** Keys that end it: q, Ctrl-C and Ctrl-D. */
const ENDING_KEYS: readonly number[] = [...Buffer.from('qQ\x03\x04')]
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** What the help says of these flags; `columns`: of the flags beside them. */
export function watchHelp(columns: number, usual = '2s'): string {
  return [
    ['--wide', 'cut nothing: full ids, times and addresses, and more columns'],
    ['--watch', 'ask again and again, in place on a terminal, until q or Ctrl-C'],
    ['--interval TIME', `with --watch: how often, from 500ms to 1h [${usual}]`],
  ]
    .map(([flag, text]) => `  ${flag.padEnd(columns)}   ${text}`)
    .join('\n')
}

/** Asks once, or with --watch until it is ended. Throws USAGE, and what the first `ask` throws. */
export async function showAnswers<Answer>(
  looking: Looking<Answer>,
  flags: WatchFlags,
  usualIntervalMs = USUAL_INTERVAL_MS,
): Promise<void> {
  const { watch = false, interval, json = false, wide = false } = flags
  const everyMs = intervalOf(interval, watch) ?? usualIntervalMs
  const { stdout } = process
  const look = (): Look => lookOf(stdout, process.env, wide)
  const answer = await looking.ask()
  if (!watch) {
    stdout.write(json ? looking.json(answer) : looking.format(answer, look()))
    return
  }
  const isInPlace = stdout.isTTY && !json && process.env['TERM'] !== 'dumb'
  if (isInPlace) return watchInPlace(looking, answer, look, everyMs)
  await watchInBlocks(looking, answer, { look, everyMs, json })
}

/** Throws USAGE. */
function intervalOf(text: string | undefined, isWatching: boolean): number | undefined {
  if (text === undefined) return undefined
  if (!isWatching) throw new WalcastError('USAGE', { detail: '--interval goes with --watch' })
  const ms = Number(parseValue('interval', 'duration', text))
  if (ms >= MIN_INTERVAL_MS && ms <= MAX_INTERVAL_MS) return ms
  throw new WalcastError('USAGE', { detail: '--interval wants a time from 500ms to 1h' })
}

async function watchInBlocks<Answer>(
  looking: Looking<Answer>,
  first: Answer,
  how: { look(): Look; readonly everyMs: number; readonly json: boolean },
): Promise<void> {
  const output = new DataOutput(process.stdout)
  const blockOf = (answer: Answer): string => {
    if (how.json) return looking.json(answer)
    const at = new Date(wallMs()).toISOString()
    return `${at}\n${looking.format(answer, how.look())}\n`
  }
  const pause = new Pause(how.everyMs)
  for (let answer: Answer | undefined = first; ; ) {
    if (answer !== undefined) await output.write(blockOf(answer))
    // False when the reader has left, as `head` does.
    if (!(await output.end())) return
    await pause.wait()
    answer = await looking.ask().catch((error) => {
      const at = new Date(wallMs()).toISOString()
      process.stderr.write(`${at} ${shown(asWalcastError(error).line)}\n`)
      return undefined
    })
  }
}

async function watchInPlace<Answer>(
  looking: Looking<Answer>,
  first: Answer,
  look: () => Look,
  everyMs: number,
): Promise<void> {
  const { stdout } = process
  const ending = new Ending()
  const screen = new WatchScreen(stdout)
  let answer = first
  let answeredMs = wallMs()
  let failure = ''
  const draw = (): void => {
    const at = new Date(answeredMs).toISOString().slice(0, 19).replace('T', ' ')
    const head = `${looking.title}, ${at} UTC, every ${everyMs / 1000} s (q ends it)`
    const told = failure === '' ? '' : `\nno answer since: ${failure}\n`
    screen.show(`${head}\n\n${looking.format(answer, look())}${told}`)
  }
  stdout.on('resize', draw)
  const pause = new Pause(everyMs)
  try {
    draw()
    for (;;) {
      await pause.wait(ending.signal)
      const next = await ending.before(looking.ask().then(told, failed))
      if (next === undefined) break
      if ('answer' in next) {
        answer = next.answer
        answeredMs = wallMs()
      }
      failure = 'failure' in next ? next.failure : ''
      draw()
    }
  } finally {
    stdout.off('resize', draw)
    screen.close()
    ending.stop()
  }
  // A question under way would hold the command up for as long as it may take.
  process.exit(0)
}

type Next<Answer> = { readonly answer: Answer } | { readonly failure: string }

function told<Answer>(answer: Answer): Next<Answer> {
  return { answer }
}

function failed(error: unknown): { readonly failure: string } {
  return { failure: shown(asWalcastError(error).line) }
}

/** The pause between two questions, each of which takes its own time. */
class Pause {
  readonly #everyMs: number
  #nextMs: number

  constructor(everyMs: number) {
    this.#everyMs = everyMs
    this.#nextMs = monotonicMs() + everyMs
  }

  /**
   * A question that took longer is followed by the next one after a tenth of the interval. Ends
   * early with the signal.
   */
  async wait(signal?: AbortSignal): Promise<void> {
    const leftMs = Math.max(this.#everyMs / 10, this.#nextMs - monotonicMs())
    await delay(Math.ceil(leftMs), signal ? { signal } : {}).catch(() => {})
    this.#nextMs = monotonicMs() + this.#everyMs
  }
}

/** The end that a person at the terminal asks for, by a key or a signal. */
class Ending {
  readonly #asked = new AbortController()
  readonly #wasRaw: boolean
  readonly #onSignal = (): void => this.#asked.abort()
  readonly #onKeys = (keys: Buffer): void => {
    if (keys.some((key) => ENDING_KEYS.includes(key))) this.#asked.abort()
  }

  constructor() {
    const { stdin } = process
    for (const signal of ENDING_SIGNALS) process.on(signal, this.#onSignal)
    this.#wasRaw = stdin.isRaw ?? false
    if (!stdin.isTTY) return
    stdin.setRawMode(true)
    stdin.on('data', this.#onKeys)
  }

  get signal(): AbortSignal {
    return this.#asked.signal
  }

  /** What `work` gives; undefined once the end was asked for. */
  async before<Value>(work: Promise<Value>): Promise<Value | undefined> {
    if (this.signal.aborted) return undefined
    const end = new Promise<undefined>((resolve) => {
      this.signal.addEventListener('abort', () => resolve(undefined), { once: true })
    })
    return Promise.race([work, end])
  }

  stop(): void {
    const { stdin } = process
    for (const signal of ENDING_SIGNALS) process.off(signal, this.#onSignal)
    if (!stdin.isTTY) return
    stdin.off('data', this.#onKeys)
    stdin.setRawMode(this.#wasRaw)
    stdin.pause()
  }
}
