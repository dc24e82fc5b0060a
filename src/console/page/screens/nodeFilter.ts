/** Finds nodes in the list of a large cluster: by a text, or those that need attention. */
import type { ClusterNode } from '../../../api/clusterOverview.ts'
import { lagText } from '../clusterDrawing.ts'
import { div, el, on } from '../dom.ts'
import { toneOfNode } from '../health.ts'
import { labelled } from '../pieces.ts'

/** A list of so many nodes is seen at a glance. */
const AT_A_GLANCE = 12

export class NodeFilter {
  readonly element: HTMLElement
  readonly #text = el('input', { id: 'node-text', type: 'search', maxlength: 100 })
  readonly #which = el('select', { id: 'node-which' })

  /** `onChange`: what is wanted is another. */
  constructor(onChange: () => void) {
    const choices = { all: 'all nodes', alarmed: 'those that need attention' }
    for (const [value, text] of Object.entries(choices))
      this.#which.append(el('option', { value }, text))
    on(this.#text, 'input', onChange)
    on(this.#which, 'change', onChange)
    this.element = div('filters', labelled('Show', this.#which), labelled('Contains', this.#text))
  }

  /** Those that are wanted, in their order. Few are all wanted. */
  wanted(nodes: readonly ClusterNode[]): readonly ClusterNode[] {
    this.element.hidden = nodes.length <= AT_A_GLANCE
    if (this.element.hidden) return nodes
    const text = this.#text.value.trim().toLowerCase()
    const isAlarmed = this.#which.value === 'alarmed'
    return nodes.filter(
      (node) =>
        (!isAlarmed || toneOfNode(node) !== 'good') && wordsOf(node).toLowerCase().includes(text),
    )
  }
}

function wordsOf(node: ClusterNode): string {
  const { node: id, address, role, state, version } = node
  return [id, address, role, state, version, lagText(node)].join(' ')
}
