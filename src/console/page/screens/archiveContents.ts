/** What a place of the archive holds: levels, snapshots, named positions, pins. Read when asked. */
import { PAST_PATH, type PastContents } from '../../../api/past.ts'
import { BY } from '../actions.ts'
import { nowMs } from '../browser.ts'
import { el } from '../dom.ts'
import { agoText, bytesText, countText, isoText, plural, timeText } from '../format.ts'
import { busy, GuardedButton, note, table } from '../pieces.ts'
import { refusalNotice } from '../refusalNotice.ts'
import { ask } from '../requests.ts'

export class ArchiveContents {
  readonly element: HTMLElement
  readonly #number: number
  readonly #look = new GuardedButton('See what it holds', () => void this.#ask())
  readonly #shown = el('div', { class: 'stack', 'aria-live': 'polite' })
  #isAsking = false

  /** `number`: which one of --backup, from 1. */
  constructor(number: number) {
    this.#number = number
    this.element = el(
      'section',
      { class: 'part' },
      el('h3', {}, 'Files of the archive'),
      this.#look.element,
      this.#shown,
    )
  }

  update(why: string | undefined): void {
    this.#look.update(why)
  }

  async #ask(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    this.#shown.replaceChildren(busy('Listing the archive…'))
    const query = new URLSearchParams({ place: String(this.#number), by: BY })
    try {
      const contents = await ask<PastContents>('GET', `${PAST_PATH}?${query}`)
      this.#shown.replaceChildren(...tablesOf(contents))
    } catch (error) {
      this.#shown.replaceChildren(refusalNotice(error))
    } finally {
      this.#isAsking = false
    }
  }
}

function tablesOf(contents: PastContents): HTMLElement[] {
  const { files, bytes, levels, snapshots, points, pins } = contents
  const { snapshotCount, pointCount, pinCount } = contents
  const now = nowMs()
  const time = (iso: string) => isoText(iso, now)
  return [
    el('p', {}, `${plural(files, 'file')}, ${bytesText(bytes)}`),
    table(
      'Changes by level',
      ['Changes', 'Positions', 'Files', 'Size'],
      levels.map((each) =>
        row(
          `Level ${each.level}`,
          each.isThinned ? 'the last of each span' : 'every one',
          countText(each.files),
          bytesText(each.bytes),
        ),
      ),
    ),
    table(
      'Snapshots',
      [`Snapshots (${countText(snapshotCount)})`, 'Of', 'Size'],
      snapshots.map((each) => row(each.position, time(each.at), bytesText(each.bytes))),
    ),
    ...(pointCount > 0
      ? [
          table(
            'Named positions',
            [`Named (${countText(pointCount)})`, 'Txid', 'Since'],
            points.map((each) => row(each.name, countText(each.txid), time(each.since))),
          ),
        ]
      : []),
    pinCount > 0
      ? table(
          'Pins',
          [`Pins of readers (${countText(pinCount)})`],
          pins.map(({ until }) => row(untilText(Date.parse(until), now))),
        )
      : note('No reader holds files against removal.'),
  ]
}

function untilText(untilMs: number, now: number): string {
  if (untilMs < now) return `expired ${agoText(now - untilMs)}`
  return `until ${timeText(untilMs, now)}`
}

function row(head: string, ...cells: readonly string[]): HTMLElement {
  const first = el('th', { scope: 'row' }, head)
  return el('tr', {}, first, ...cells.map((text) => el('td', {}, text)))
}
