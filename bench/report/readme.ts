/** The block of README.md that holds figures: written from the results, never by hand. */
import type { KeptResult } from '../result.ts'
import { SUBJECT } from './drawing.ts'
import { escapeMarkdown } from './escape.ts'
import { figure, milliseconds, share, withRange } from './figures.ts'
import { goalsOf } from './goals.ts'
import {
  type LagLine,
  type Measured,
  type Summary,
  summarize,
  unique,
  type WriterLine,
} from './summary.ts'
import { origins } from './svg.ts'

const BEGIN = '<!-- bench:begin -->'
const END = '<!-- bench:end -->'
const AGAIN =
  '`npm run bench -- all` measures everything again on the machine it runs on and writes this ' +
  'block.'

/** `picture`: path of the SVG from the README. */
export function readmeBlock(results: readonly KeptResult[], picture: string): string {
  const summary = summarize(results)
  if (!summary.lag && !summary.writer)
    return 'No results are here yet: `npm run bench -- all` takes them and writes this block.'
  return [
    `![Lag and writer's rate of walcast and other systems](${picture})`,
    '',
    ...table(summary),
    '',
    ...goals(results),
    `${explanation(summary)} ${origins(summary).map(escapeMarkdown).join('; ')}. ${AGAIN}`,
  ].join('\n')
}

/** What was aimed at, met or not. */
function goals(results: readonly KeptResult[]): string[] {
  const rows = goalsOf(results).map(({ goal, result, isMet, because }) => [
    goal,
    result,
    isMet ? 'yes' : 'no',
    because,
  ])
  if (rows.length === 0) return []
  const head = ['goal', 'measured', 'met', 'made of']
  const lines = [head, head.map(() => '---'), ...rows].map((each) => `| ${each.join(' | ')} |`)
  return [...lines, '']
}

/**
 * Replaces the block in the README and no other byte. Throws unless both marks occur exactly once.
 */
export function replaceBlock(readme: string, block: string): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  const isTwice = readme.lastIndexOf(BEGIN) !== begin || readme.lastIndexOf(END) !== end
  if (begin === -1 || end < begin || isTwice)
    throw new Error(`README.md wants one ${BEGIN} and after it one ${END}`)
  return `${readme.slice(0, begin + BEGIN.length)}\n${block}\n${readme.slice(end)}`
}

function table({ lag, writer }: Summary): string[] {
  const lagLines = lag?.comparison.lines ?? []
  const writerLines = writer?.full.lines ?? []
  const systems = unique([...lagLines, ...writerLines].map(({ system }) => system))
  const rows = systems.map((system) => {
    const ofLag = lagLines.find((line) => line.system === system)
    const ofWriter = writerLines.find((line) => line.system === system)
    const cells = [
      ...(lag ? cellsOf(ofLag, [ofLag?.p50, ofLag?.p99, ofLag?.fromBegin], milliseconds) : []),
      ...(writer ? cellsOf(ofWriter, [ofWriter?.ratio], share) : []),
    ]
    return [system === SUBJECT ? `**${system}**` : escapeMarkdown(system), ...cells]
  })
  const head = [
    'system',
    ...(lag ? ['p50 ms', 'p99 ms', 'p50 ms from BEGIN'] : []),
    ...(writer ? ["writer's rate, replicated / alone"] : []),
  ]
  return [head, head.map((_, i) => (i === 0 ? '---' : '--:')), ...rows].map(
    (each) => `| ${each.join(' | ')} |`,
  )
}

/**
 * Values, or the reason why there are none in the first cell. Nothing where the system was not
 * measured at all.
 */
function cellsOf(
  line: LagLine | WriterLine | undefined,
  values: readonly (Measured | undefined)[],
  format: (value: number) => string,
): string[] {
  const reason = line?.skipped === undefined ? '' : `skipped: ${escapeMarkdown(line.skipped)}`
  return values.map((value, i) => (value ? withRange(value, format) : i === 0 ? reason : ''))
}

function explanation({ lag, writer }: Summary): string {
  const sentences = [
    lag &&
      'Lag: from the return of COMMIT to a reader on the other side seeing the row, ' +
        `at ${figure(lag.comparison.rate)} commits a second.`,
    writer && "Writer's rate: small commits at full speed.",
    `Medians of ${rounds({ lag, writer })} rounds, smallest and largest in brackets.`,
  ]
  return sentences.filter(Boolean).join(' ')
}

function rounds({ lag, writer }: { lag: Summary['lag']; writer: Summary['writer'] }): string {
  const counts = [lag?.comparison.rounds, writer?.full.rounds].flatMap((count) => count ?? [])
  return unique(counts).join(' and ')
}
