/** The icons of the page, drawn in the text's colour on a grid of 16 by 16. */
import { svg } from './dom.ts'

const PATHS = {
  mark: 'M1.5 3.5 4.5 12.5 8 5.5l3.5 7 3-9',
  good: 'M3 8.5 6.5 12 13 4.5',
  warn: 'M8 2.5 14.5 13.5h-13zM8 6.5v3.2M8 11.6v.2',
  bad: 'M4 4l8 8M12 4l-8 8',
  quiet: 'M8 7.3v4M8 4.6v.2M8 1.6a6.4 6.4 0 1 0 0 12.8A6.4 6.4 0 1 0 8 1.6',
  node: 'M2.5 3h11v4h-11zM2.5 9h11v4h-11zM5 5h.01M5 11h.01',
  standby: 'M3.5 13.5V3l9 5.2-9 5.3',
  cluster: 'M8 5.5V8M8 8 4 10.5M8 8l4 2.5M6.5 2.5h3v3h-3zM2.5 10.5h3v3h-3zM10.5 10.5h3v3h-3z',
  lag: 'M2 13.5h12M3 10.5l3-4 3 2.5 4-6',
  databases: 'M3 4c0-2 10-2 10 0v8c0 2-10 2-10 0zM3 4c0 2 10 2 10 0M3 8c0 2 10 2 10 0',
  backups: 'M2.5 3h11v3h-11zM3.5 6v7h9V6M6.5 8.5h3',
  diverged: 'M3 13.5V9c0-2 5-2 5-4V2.5M8 5c0 2 5 2 5 4v4.5M6 4.5l2-2 2 2',
  timeline: 'M4 2.5v11M4 4.5h8M4 8h6M4 11.5h9',
  settings: 'M2.5 4.5h11M2.5 11.5h11M6 2.8v3.4M10 9.8v3.4',
  copy: 'M5.5 5.5h8v8h-8zM3.5 10.5h-1v-8h8v1',
  close: 'M4 4l8 8M12 4l-8 8',
} as const

export type IconName = keyof typeof PATHS

/** It says nothing that a text beside it does not say. */
export function icon(name: IconName): SVGElement {
  const attributes = { viewBox: '0 0 16 16', class: 'icon', 'aria-hidden': 'true' }
  return svg('svg', attributes, svg('path', { d: PATHS[name] }))
}
