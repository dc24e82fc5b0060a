/** `walcast explain CODE`: what an error of the catalogue means, and what to do. */
import { CATALOGUE } from '../errorCatalogue.ts'
import { type ErrorCode, isErrorCode } from '../errors.ts'
import { plainText } from '../plainText.ts'
import { parseAll } from './commandArguments.ts'
import { showHelp } from './helpOutput.ts'
import { nearestName } from './nearestName.ts'
import { jsonLine } from './queryCommand.ts'
import { usage } from './usage.ts'

const PREFIX = 'WALCAST_'

const HELP = `walcast explain CODE [--json]

Says what an error code means and what to do. CODE may be written with or without ${PREFIX}, in
upper or lower case, with "-" for "_". Without CODE it lists all codes.

  --json    print the code, its HTTP status, exit code, meaning and cure as JSON
`

export const FLAGS = { help: { type: 'boolean' }, json: { type: 'boolean' } } as const
const MAX_COLUMNS = 100
const MAX_SHOWN_CHARS = 100

/** What an error code says, wherever it is met. */
export interface Explanation {
  readonly code: string
  readonly status: number
  readonly exitCode: number
  /** `{name}` is filled in by each message. */
  readonly what: string
  readonly cure: string
  readonly placeholders: readonly string[]
}

export async function runExplain(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseAll(args, FLAGS)
  if (values.help) {
    showHelp(HELP)
    return 0
  }
  const [given, extra] = positionals
  if (extra !== undefined) throw usage('explain takes one CODE')
  if (given === undefined) {
    const all = explainedCodes()
    process.stdout.write(
      values.json ? all.map((each) => jsonLine(each)).join('') : all.map(listed).join(''),
    )
    return 0
  }
  const explanation = explanationOf(errorCodeOf(given))
  process.stdout.write(values.json ? jsonLine(explanation) : explanationText(explanation))
  return 0
}

/** The code that is meant, however it is written. Throws USAGE with the nearest one. */
export function errorCodeOf(given: string): ErrorCode {
  const key = given
    .trim()
    .replace(/[:;,.]+$/, '')
    .replaceAll('-', '_')
    .toUpperCase()
  const bare = key.startsWith(PREFIX) ? key.slice(PREFIX.length) : key
  if (isErrorCode(bare)) return bare
  const nearest = nearestName(bare, Object.keys(CATALOGUE))
  const hint = nearest ? ` (did you mean ${PREFIX}${nearest}?)` : ''
  throw usage(`there is no error code "${plainText(given, MAX_SHOWN_CHARS)}"${hint}`)
}

export function explanationOf(key: ErrorCode): Explanation {
  const { status, what, cure } = CATALOGUE[key]
  const placeholders = [...`${what} ${cure}`.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
  return {
    code: `${PREFIX}${key}`,
    status,
    exitCode: key === 'USAGE' ? 2 : 1,
    what,
    cure,
    placeholders: [...new Set(placeholders)],
  }
}

/** All codes, in alphabetical order. */
export function explainedCodes(): Explanation[] {
  return Object.keys(CATALOGUE).filter(isErrorCode).sort().map(explanationOf)
}

export function explanationText({
  code,
  status,
  exitCode,
  what,
  cure,
  placeholders,
}: Explanation): string {
  const filled = placeholders.map((name) => `{${name}}`).join(', ')
  const details = [
    ...(filled ? [`Each message fills in ${filled}.`] : []),
    ...errorForms(`with status ${status}`, `The exit code is ${exitCode}.`),
  ]
  return [
    `${code}\n`,
    paragraph('What it means', [what]),
    paragraph('What to do', [cure]),
    paragraph('Details', details),
  ].join('\n')
}

/** How an error looks in each place where it is met; the page of all errors says the same. */
export function errorForms(status: string, exitCode: string): string[] {
  return [
    `Over HTTP an error is JSON ${status}, with "code", and mostly "message" and "cure".`,
    `On the command line it is one line, CODE: message; what to do. ${exitCode}`,
    'In a program it is a WalcastError with "code". Match on the code: texts may change.',
  ]
}

/** A line each, for grep. */
function listed({ code, what }: Explanation): string {
  return `${code}  ${what}\n`
}

function paragraph(title: string, texts: readonly string[]): string {
  return [title, ...texts.map((text) => wrapped(text, '  '))].join('\n').concat('\n')
}

function wrapped(text: string, indent: string): string {
  const lines = ['']
  for (const word of text.split(' ')) {
    const line = `${lines[lines.length - 1]} ${word}`.trimStart()
    if (indent.length + line.length <= MAX_COLUMNS) lines[lines.length - 1] = line
    else lines.push(word)
  }
  return lines.map((line) => `${indent}${line}`).join('\n')
}
