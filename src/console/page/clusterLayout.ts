/** Where nodes stand in the drawing of their cluster: the leader on top, others in rows. Pure. */

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

export interface ClusterLayout {
  readonly width: number
  readonly height: number
  /** In the order of the nodes. */
  readonly boxes: readonly Box[]
  /** There is room for one line a node only. */
  readonly isDense: boolean
}

const ROOMY = { width: 172, height: 64, gap: 20 }
const DENSE = { width: 104, height: 26, gap: 8 }
/** More nodes below the leader than this are drawn small. */
const MAX_ROOMY = 12
/** Room for the lines between the leader and the first row. */
const FALL = 56
const MARGIN = 8
/** Between boxes and the frame around them. */
const PADDING = 6

/** `leaders`: how many nodes stand on top. `width`: of the page, px. */
export function clusterLayout(leaders: number, others: number, width: number): ClusterLayout {
  const isDense = others > MAX_ROOMY
  const below = isDense ? DENSE : ROOMY
  const top = rowsOf(leaders, ROOMY, width, MARGIN)
  const bottom = rowsOf(others, below, width, top.end + (leaders > 0 && others > 0 ? FALL : 0))
  const boxes = [...top.boxes, ...bottom.boxes]
  return { width, height: bottom.end + MARGIN, boxes, isDense }
}

function rowsOf(count: number, size: typeof ROOMY, width: number, from: number) {
  const { width: wide, height, gap } = size
  const columns = Math.max(1, Math.floor((width - 2 * MARGIN + gap) / (wide + gap)))
  const boxes = Array.from({ length: count }, (_, i): Box => {
    const row = Math.floor(i / columns)
    const inRow = Math.min(columns, count - row * columns)
    const left = (width - inRow * wide - (inRow - 1) * gap) / 2
    const x = left + (i % columns) * (wide + gap)
    return { x: Math.round(x), y: from + row * (height + gap), width: wide, height }
  })
  const rows = Math.ceil(count / columns)
  return { boxes, end: from + rows * height + Math.max(0, rows - 1) * gap }
}

export function frameAround(boxes: readonly Box[]): Box {
  const x = Math.min(...boxes.map((box) => box.x)) - PADDING
  const y = Math.min(...boxes.map((box) => box.y)) - PADDING
  const right = Math.max(...boxes.map((box) => box.x + box.width)) + PADDING
  const end = Math.max(...boxes.map((box) => box.y + box.height)) + PADDING
  return { x, y, width: right - x, height: end - y }
}
