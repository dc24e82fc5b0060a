/**
 * `runNodeWith.ts` out of dist/testBundle (scripts/bundle.js): to load the modules of a node one by
 * one takes longer than to start the node.
 */
import { createRequire } from 'node:module'
import type * as Module from './runNodeWith.ts'

const load = createRequire(import.meta.url)
const bundled: Promise<typeof Module> = load('../../../testBundle/runNodeWith.js')

export const { createFileOps, runNodeWith } = await bundled
