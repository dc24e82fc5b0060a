/** What `walcast restore --follow` says: a line that is replaced on a terminal, or JSON lines. */

import type { FollowedFile } from '../backup/follow/followedFile.ts'
import type { OverReason } from '../backup/follow/follower.ts'
import type { FollowStep } from '../backup/follow/steps.ts'
import type { ArchivedPosition } from '../backup/historyPositions.ts'
import { momentText } from '../backup/moment.ts'
import { positionText } from '../backup/restoreTarget.ts'
import type { WalcastError } from '../errors.ts'
import { monotonicMs, wallMs } from '../platform/time.ts'
import { jsonLine, shown } from './queryCommand.ts'
import { positionJson, textOf, warningText } from './restoreText.ts'

/** Without a terminal a line about progress comes no more often. */
const LINE_MS = 10_000
const REASONS: Readonly<Record<OverReason, string>> = {
  gap: 'files are missing or damaged, and a snapshot leads further',
  left: 'a failover has left the position of the file behind',
  forced: 'another program wrote to the file',
  foreign: 'the archive has nothing of the history of the file',
}

export class FollowReport {
  readonly #file: FollowedFile
  readonly #isJson: boolean
  readonly #isTerminal: boolean
  /** Of the position of the file, ms since 1970; undefined when unknown. */
  #timeMs: number | undefined
  #isLevel = false
  #lastText = ''
  #lastMs = -Infinity

  constructor(file: FollowedFile, isJson: boolean) {
    this.#file = file
    this.#isJson = isJson
    this.#isTerminal = process.stderr.isTTY === true && !isJson
  }

  begin(timeMs: number | undefined): void {
    this.#timeMs = timeMs
    this.#tell({ event: 'following', ...this.#at }, `following from ${this.#text}`)
  }

  step(step: FollowStep): void {
    const { timeMs, checksum, positions, pages } = step
    this.#timeMs = timeMs
    this.#isLevel = false
    const behindSeconds = Math.max(0, wallMs() - timeMs) / 1000
    const told = { event: 'step', ...positionJson(step), checksum, positions, pages, behindSeconds }
    if (this.#isJson) process.stdout.write(jsonLine(told))
    else this.#progress(`${this.#text}, ${behindSeconds.toFixed(1)} s behind`)
  }

  /** Nothing newer is archived. */
  level(): void {
    if (this.#isLevel) return
    this.#isLevel = true
    if (this.#isJson) process.stdout.write(jsonLine({ event: 'level', ...this.#at }))
    else this.#progress(`${this.#text}, nothing newer is archived`)
  }

  over(reason: OverReason, target: ArchivedPosition): void {
    const to = positionJson(target)
    const isSame = positionText(target) === this.#text
    const change = isSame ? `putting back` : `going over from ${this.#text} to`
    const text = `${REASONS[reason]}: ${change} ${positionText(target)}`
    this.#tell({ event: 'over', reason, from: this.#at, ...to }, text)
  }

  bad(name: string, error: WalcastError): void {
    this.clear()
    if (this.#isJson)
      process.stdout.write(
        jsonLine({ event: 'bad', name, code: error.code, message: error.message }),
      )
    else process.stderr.write(warningText(name, error))
  }

  waiting({ code, message }: WalcastError): void {
    this.#tell(
      { event: 'waiting', code, message, ...this.#at },
      `waiting at ${this.#text}: ${message}`,
    )
  }

  end(): void {
    this.#tell({ event: 'ended', ...this.#at }, `ended at ${this.#text}`)
  }

  /** Takes the line away that is replaced. */
  clear(): void {
    if (this.#isTerminal && this.#lastText !== '') process.stderr.write('\r\x1b[K')
    this.#lastText = ''
  }

  get #at(): object {
    const { incarnation, epoch, txid } = this.#file.at
    const timeMs = this.#timeMs
    if (timeMs !== undefined) return positionJson({ incarnation, epoch, txid, timeMs })
    return { incarnation, epoch, txid, position: `${epoch}-${txid}` }
  }

  get #text(): string {
    const { epoch, txid } = this.#file.at
    return `${epoch}-${txid}${this.#timeMs === undefined ? '' : ` of ${momentText(this.#timeMs)}`}`
  }

  #tell(json: object, text: string): void {
    this.clear()
    if (this.#isJson) process.stdout.write(jsonLine(json))
    else process.stderr.write(textOf([text]))
  }

  #progress(text: string): void {
    if (this.#isTerminal) {
      process.stderr.write(`\r\x1b[K${shown(text)}`)
      this.#lastText = text
      return
    }
    if (monotonicMs() - this.#lastMs < LINE_MS) return
    this.#lastMs = monotonicMs()
    process.stderr.write(textOf([text]))
  }
}
