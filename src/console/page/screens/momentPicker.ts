/** A moment of an archive's past, picked on its line, and the commands that go there. */
import { type ArchiveLine, grainAt, momentText } from '../archiveLine.ts'
import { commandText, shellWord } from '../commandText.ts'
import { el, refill, setText, svg } from '../dom.ts'
import { timeText } from '../format.ts'
import { newId } from '../pieces.ts'

const STEPS = 1000
const LINE_PX = 14

export class MomentPicker {
  readonly element: HTMLElement
  readonly #place: string
  readonly #line = el('div', { class: 'archive-line', 'aria-hidden': 'true' })
  readonly #slider = el('input', { type: 'range', min: 0, max: STEPS, value: STEPS, id: newId() })
  readonly #said = el('output', { for: this.#slider.id })
  readonly #commands = el('div', { class: 'stack' })
  #shown: ArchiveLine | undefined
  #nowMs = 0

  constructor(place: string) {
    this.#place = place
    this.#slider.addEventListener('input', () => this.#draw())
    this.element = el(
      'div',
      { class: 'stack' },
      el('label', { class: 'label', for: this.#slider.id }, 'Pick a moment'),
      this.#line,
      this.#slider,
      el('p', {}, this.#said),
      this.#commands,
    )
  }

  update(line: ArchiveLine | undefined, nowMs: number): void {
    this.element.hidden = line === undefined
    this.#shown = line
    this.#nowMs = nowMs
    if (!line) return
    refill(this.#line, line.spans, () => [drawing(line)])
    this.#draw()
  }

  #draw(): void {
    const line = this.#shown
    if (!line) return
    const share = Number(this.#slider.value) / STEPS
    const atMs = line.fromMs + share * (line.toMs - line.fromMs)
    const isNewest = share === 1
    const grain = grainAt(line, atMs)
    const fine = grain === undefined ? 'nothing is kept there: the last one before' : grain
    const when = isNewest ? 'the newest position' : `${timeText(atMs, this.#nowMs)} (${fine})`
    setText(this.#said, when)
    this.#slider.setAttribute('aria-valuetext', when)
    const moment = isNewest ? undefined : momentText(atMs)
    refill(this.#commands, [moment], () => this.#commandsFor(moment))
  }

  #commandsFor(moment: string | undefined): HTMLElement[] {
    const from = `--from ${shellWord(this.#place)}`
    const at = moment === undefined ? '' : ` --at ${moment}`
    const named = [
      ['Restore to a file', `walcast restore ${from} --to restored.db${at}`],
      ['Ask the past', `walcast at ${moment ?? 'newest'} 'SELECT …' ${from}`],
      ['Make it the next state of the cluster', `walcast restore ${from} --into NODE${at}`],
    ] as const
    return named.flatMap(([name, command]) => [
      el('p', { class: 'label' }, name),
      commandText(command),
    ])
  }
}

function drawing({ fromMs, toMs, spans }: ArchiveLine): SVGElement {
  const whole = Math.max(1, toMs - fromMs)
  const bars = spans.map((span) => {
    const x = (STEPS * (span.fromMs - fromMs)) / whole
    const width = Math.max(4, (STEPS * (span.toMs - span.fromMs)) / whole)
    const kind = span.grain === 'all' ? 'fine' : 'coarse'
    return svg('rect', { x, y: 0, width, height: LINE_PX, class: kind })
  })
  const attributes = { viewBox: `0 0 ${STEPS} ${LINE_PX}`, preserveAspectRatio: 'none' }
  return svg('svg', attributes, ...bars)
}
