/** The restore that was last asked of this node: how far it is, how it ended, its file. */
import { PAST_FILE_PATH, type RestoreReport } from '../../../api/past.ts'
import { openAction } from '../actionDialog.ts'
import { BY } from '../actions.ts'
import { div, el, refill, setAttributes } from '../dom.ts'
import { bytesText, durationText, isoText, sentence } from '../format.ts'
import { refusalText } from '../permission.ts'
import { card, facts, GuardedButton, note, notice } from '../pieces.ts'
import { cancelOf } from '../restoreActions.ts'
import type { ConsoleState } from '../state.ts'

export class RestoreCard {
  readonly element: HTMLElement
  readonly #said = div('stack')
  readonly #bar = el('progress', { max: 1, 'aria-label': 'How much of the archive is read' })
  readonly #cancel = new GuardedButton('End it…', () => this.#end())
  #shown: RestoreReport | undefined
  /** Of the last one that the node told of; undefined before it told of any. */
  #id: string | undefined

  constructor() {
    this.element = card('Restore', this.#said, this.#bar, this.#cancel.element)
    this.element.hidden = true
  }

  update(state: ConsoleState): void {
    const { restore, nowMs } = state
    this.#shown = restore ?? undefined
    this.element.hidden = !restore
    const before = this.#id
    if (restore !== undefined) this.#id = restore?.id ?? ''
    if (!restore) return
    // Whoever has begun it is at its button, which may be far below.
    if (before !== undefined && before !== restore.id)
      this.element.scrollIntoView({ block: 'nearest' })
    const why = refusalText(state, 'operate')
    refill(this.#said, [restore, why], () => saidOf(restore, why, nowMs))
    this.#bar.hidden = restore.state !== 'running'
    const { bytes, totalBytes } = restore
    setAttributes(this.#bar, { value: totalBytes > 0 ? bytes / totalBytes : undefined })
    this.#cancel.element.hidden = restore.state !== 'running' && restore.state !== 'ready'
    this.#cancel.update(why)
  }

  #end(): void {
    if (this.#shown) openAction(cancelOf(this.#shown))
  }
}

function saidOf(
  restore: RestoreReport,
  why: string | undefined,
  nowMs: number,
): readonly (HTMLElement | undefined)[] {
  const { kind, state, position, place, file, by, beganAt, bytes, totalBytes } = restore
  const { result, error, others = [] } = restore
  return [
    stateNotice(restore),
    facts([
      ['Position', position],
      ['From', place],
      [kind === 'file' ? 'File' : 'Download', file],
      ['Begun', `${isoText(beganAt, nowMs)} by ${by}`],
      ['Read', totalBytes > 0 ? `${bytesText(bytes)} of ${bytesText(totalBytes)}` : 'not yet'],
      ...(result
        ? [
            ['Database', `${bytesText(result.databaseBytes)}, in ${durationText(result.tookMs)}`],
            ['State checksum', `${result.checksum}, as archived`],
            ['Integrity check', result.integrityCheck],
          ].map(([name, value]) => [name, value] as const)
        : []),
    ]),
    state === 'ready' && why === undefined ? el('div', {}, linkOf(restore)) : undefined,
    why === undefined ? othersOf(others) : undefined,
    error && error.cure !== '' ? note(`${sentence(error.cure)}.`) : undefined,
  ]
}

function othersOf(others: NonNullable<RestoreReport['others']>): HTMLElement | undefined {
  if (others.length === 0) return undefined
  const items = others.map((other) => el('li', {}, linkOf(other), ` by ${other.by}`))
  return el(
    'div',
    {},
    el('p', {}, 'Other files that wait, or are being sent:'),
    el('ul', {}, ...items),
  )
}

function linkOf({ id, file }: Pick<RestoreReport, 'id' | 'file'>): HTMLElement {
  const query = new URLSearchParams({ id, by: BY })
  const href = `${PAST_FILE_PATH}?${query}`
  return el('a', { class: 'button', href, download: file }, `Save ${file}`)
}

function stateNotice({ state, kind, error }: RestoreReport): HTMLElement {
  switch (state) {
    case 'running':
      return notice('quiet', 'Under way: every checksum is verified.')
    case 'ready':
      return notice('good', 'Verified. The file waits for 10 minutes, and is removed once sent.')
    case 'done':
      return notice('good', kind === 'file' ? 'Done, and verified.' : 'Sent, and removed here.')
    case 'failed':
      return notice('bad', error ? `${sentence(error.message)}.` : 'It failed.')
    case 'cancelled':
      return notice('warn', 'It was ended. What was not whole is removed.')
    case 'expired':
      return notice('warn', 'Nobody fetched the file in time: it is removed.')
  }
}
