/** The end of the demo for people: what was measured, what was compared, and the verdict. */

import { formatMs } from '../queryCommand.ts'
import type { DemoResult, Lag, ReplicaResult } from './result.ts'
import { formatCount } from './table.ts'

const LABEL_WIDTH = 10
const LINE_WIDTH = 100
const GREEN = '\x1b[1;32m'
const RED = '\x1b[1;31m'
const PLAIN = '\x1b[0m'

/** What was found, point by point. */
export function verdictText(result: DemoResult, colors: boolean): string {
  const points = [...lagPoints(result.replicas), ...proofPoints(result)]
  const lines = points.map(([label, value]) => point(label, value))
  return `${lines.join('')}\n${verdict(result.ok, colors)}\n`
}

function verdict(ok: boolean, colors: boolean): string {
  const text = ok ? 'All three files are identical.' : 'The files are NOT all sound and identical.'
  return colors ? `${ok ? GREEN : RED}${text}${PLAIN}` : text
}

type Point = readonly [label: string, value: string]

function lagPoints(replicas: readonly ReplicaResult[]): Point[] {
  return replicas.map((replica, i) => {
    const [calm, all] = [lagText(replica.undisturbed), lagText(replica)]
    return [i === 0 ? 'lag' : '', `${replica.name}: ${calm} undisturbed; ${all} with catching up`]
  })
}

function lagText({ p50Ms, p99Ms }: Lag): string {
  return `p50 ${formatMs(p50Ms)} p99 ${formatMs(p99Ms)}`
}

function proofPoints(result: DemoResult): Point[] {
  const { leader, replicas, proof, writes } = result
  const nodes = [leader, ...replicas]
  const rows = Object.entries(proof.tables).map(
    ([table, count]) => `${table} ${formatCount(count)}`,
  )
  return [
    ['commits', `${formatCount(writes)} by the writer, ${capturedText(result)}`],
    ['position', `${same(nodes.map(({ epoch, txid }) => `${epoch}-${txid}`))} (epoch-txid)`],
    ['checksum', `${same(nodes.map(({ checksum }) => checksum))} (of all pages, while they ran)`],
    ['', `${proof.checksum} computed again from the leader's file after it was stopped`],
    [
      'pages',
      pagesText(
        replicas,
        `${formatCount(proof.pages)} pages of ${formatCount(proof.pageSize)} bytes`,
      ),
    ],
    ['integrity', `integrity_check of each file, live and stopped: ${proof.integrity}`],
    ['rows', rows.join(', ')],
  ]
}

/** When a new epoch begins, the leader knows some commits only by their outcome, without txids. */
function capturedText({ leader, interruptions }: DemoResult): string {
  const counted = `${formatCount(leader.captured)} captured`
  const isWhole = interruptions.every(({ node, resumed }) => resumed || node !== leader.name)
  return isWhole ? counted : `${counted} one by one, the others as one change of pages`
}

function same(values: readonly string[]): string {
  return new Set(values).size === 1 ? `${values[0]} on all three nodes` : values.join(' / ')
}

function pagesText(replicas: readonly ReplicaResult[], all: string): string {
  const differing = replicas.filter((replica) => replica.differingPages > 0)
  if (differing.length === 0) return `${all}, every byte the same in the three stopped files`
  const texts = differing.map(({ name, differingPages, firstDiffering }) => {
    const more = differingPages > firstDiffering.length ? ', ...' : ''
    return `${name} differs in ${formatCount(differingPages)} (${firstDiffering.join(', ')}${more})`
  })
  return `of ${all} ${texts.join(', ')}`
}

/** A labelled value, broken between words into lines that fit. */
function point(label: string, value: string): string {
  const lines: string[] = ['']
  for (const word of value.split(/(?<=, )/)) {
    const line = lines[lines.length - 1]
    if (line && line.length + word.trimEnd().length > LINE_WIDTH) lines.push(word)
    else lines[lines.length - 1] = line + word
  }
  return lines
    .map((line, i) => `  ${(i === 0 ? label : '').padEnd(LABEL_WIDTH)} ${line.trimEnd()}\n`)
    .join('')
}
