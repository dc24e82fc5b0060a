/** Each database of this node: its size, where it stands, whether its pages are sound. */
import type { DatabaseStatus, ScrubReport } from '../../../api/databaseStatus.ts'
import { openAction } from '../actionDialog.ts'
import { verifyPages } from '../checkActions.ts'
import { div, refill, span } from '../dom.ts'
import { agoText, bytesText, countText, plural, positionText } from '../format.ts'
import { refusalText } from '../permission.ts'
import { card, facts, GuardedButton, notice } from '../pieces.ts'
import type { MountedScreen, Screen } from '../screen.ts'
import type { ConsoleState } from '../state.ts'
import { causeList } from './causeList.ts'

export const databasesScreen: Screen = {
  id: 'databases',
  title: 'Databases',
  icon: 'databases',
  mount: (root) => new DatabasesScreen(root),
}

class DatabasesScreen implements MountedScreen {
  readonly #cards = div('stack')
  readonly #verify = new GuardedButton('Verify now…', () => openAction(verifyPages()))

  constructor(root: HTMLElement) {
    root.append(this.#cards, this.#verify.element)
  }

  update(state: ConsoleState): void {
    const databases = Object.entries(state.status?.databases ?? {})
    this.#verify.update(refusalText(state, verifyPages().needs))
    refill(this.#cards, [databases, Math.floor(state.nowMs / 10_000)], () =>
      databases.map(([name, status]) => databaseCard(name, status, state.nowMs)),
    )
  }
}

function databaseCard(name: string, status: DatabaseStatus, nowMs: number): HTMLElement {
  const { db, pages, pageSize, walBytes, walFileBytes, epoch, txid, checksum, scrub } = status
  const rotten = scrub?.rottenPages ?? 0
  return card(
    name,
    rotten > 0 && notice('bad', `${plural(rotten, 'page')} of the file changed by itself.`),
    ...causeList(status.causes),
    facts([
      ['File', span('mono', db)],
      [
        'Size',
        `${bytesText(pages * pageSize)}, ${plural(pages, 'page')} of ${countText(pageSize)} B`,
      ],
      ['WAL', `${bytesText(walBytes)} in use, file of ${bytesText(walFileBytes)}`],
      ['Position', positionText(epoch, txid)],
      ['State checksum', span('mono', checksum)],
      ['Pages checked', scrub ? scrubText(scrub, nowMs) : 'not here'],
    ]),
  )
}

function scrubText(
  { passes, lastPassAt, running, background }: ScrubReport,
  nowMs: number,
): string {
  const last = lastPassAt
    ? `${agoText(nowMs - Date.parse(lastPassAt))}, pass ${countText(passes)}`
    : 'never yet'
  const now = running
    ? `; now at page ${countText(running.page)} of ${countText(running.pages)}`
    : ''
  return `${last}${now}${background ? '' : '; only when asked'}`
}
