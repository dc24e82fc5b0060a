/** The cluster as a drawing: nodes, and a line with its lag from the leader to each. */
import type { ClusterAnswer, ClusterNode } from '../../api/clusterOverview.ts'
import { type Box, type ClusterLayout, clusterLayout, frameAround } from './clusterLayout.ts'
import { svg } from './dom.ts'
import { cutMiddle, durationText, plural } from './format.ts'
import { type Tone, toneOfNode } from './health.ts'

const ID_CHARS = 18
const DENSE_CHARS = 14

/** `width`: of the place that it fills, px. */
export function clusterDrawing({ nodes }: ClusterAnswer, width: number): SVGElement {
  const leaders = nodes.filter(({ role }) => role === 'leader')
  const others = nodes.filter(({ role }) => role !== 'leader')
  const layout = clusterLayout(leaders.length, others.length, width)
  const [from] = leaders.length > 0 ? layout.boxes : []
  const below = layout.boxes.slice(leaders.length)
  const lines = from ? linesOf(from, others, below, layout) : []
  const shapes = [...leaders, ...others].map((node, i) => nodeShape(node, layout.boxes[i], layout))
  const attributes = {
    viewBox: `0 0 ${layout.width} ${layout.height}`,
    width: layout.width,
    height: layout.height,
    class: 'cluster-drawing',
    role: 'img',
    'aria-label': drawingText(leaders, others),
  }
  return svg('svg', attributes, ...lines, ...shapes)
}

function drawingText(leaders: readonly ClusterNode[], others: readonly ClusterNode[]): string {
  const leads = leaders.map(({ node }) => node).join(', ') || 'nobody'
  const away = others.filter(({ isReachable }) => !isReachable).length
  return `${leads} leads, ${plural(others.length, 'other node')}, ${away} of them away`
}

/** One to each node; where they stand close together, one to the frame around all of them. */
function linesOf(
  from: Box,
  others: readonly ClusterNode[],
  boxes: readonly Box[],
  { isDense }: ClusterLayout,
): SVGElement[] {
  if (!isDense) return others.map((node, i) => lineTo(toneOfNode(node), from, boxes[i]))
  const all = frameAround(boxes)
  const { x, y, width, height } = all
  return [lineTo('good', from, all), svg('rect', { x, y, width, height, rx: 8, class: 'group' })]
}

function lineTo(tone: Tone, from: Box, to: Box | undefined): SVGElement {
  if (!to) return svg('g', {})
  const [x1, y1] = [from.x + from.width / 2, from.y + from.height]
  const [x2, y2] = [to.x + to.width / 2, to.y]
  const middle = y1 + 28
  const path = `M${x1} ${y1}C${x1} ${middle} ${x2} ${y1} ${x2} ${Math.min(middle + 12, y2)}V${y2}`
  return svg('path', { d: path, class: `link ${tone}` })
}

function nodeShape(node: ClusterNode, box: Box, { isDense }: ClusterLayout): SVGElement {
  const tone = toneOfNode(node)
  const { x, y, width, height } = box
  const frame = svg('rect', { x, y, width, height, rx: 6, class: `node ${tone}` })
  const [centre, middle] = [x + width / 2, y + height / 2]
  const name = node.node || node.address
  const title = svg('title', {}, document.createTextNode(nodeText(node)))
  if (isDense && node.role !== 'leader')
    return svg(
      'g',
      {},
      title,
      frame,
      text(centre, middle + 4, cutMiddle(name, DENSE_CHARS), 'id dense'),
    )
  return svg(
    'g',
    {},
    title,
    frame,
    text(centre, y + 20, cutMiddle(name, ID_CHARS), 'id'),
    text(centre, y + 38, `${node.role ?? 'unknown'}, ${node.state}`, 'what'),
    text(centre, y + 55, lagText(node), `what ${tone}`),
  )
}

function text(x: number, y: number, content: string, kind: string): SVGElement {
  const attributes = { x, y, 'text-anchor': 'middle', class: kind }
  return svg('text', attributes, document.createTextNode(content))
}

function nodeText(node: ClusterNode): string {
  const { node: id, address, role, state } = node
  return [id, address, role, state, lagText(node)].filter((part) => part).join(', ')
}

/** How far it is behind, as the drawing and the table say it. */
export function lagText({ role, lagMs, isReachable }: ClusterNode): string {
  if (role === 'leader') return isReachable ? 'leads' : 'does not answer'
  if (!isReachable) return 'does not answer'
  if (lagMs === null) return 'lag not known'
  return lagMs === 0 ? 'level' : `${durationText(lagMs)} behind`
}
