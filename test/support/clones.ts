/** Copies of a node's files, and the processes that run on them. */
import assert from 'node:assert/strict'
import { cpSync, lstatSync, rmSync } from 'node:fs'
import type { TestNode } from './testNode.ts'
import { until } from './until.ts'

export const SUFFIXES = ['', '-wal', '-shm', '-walcast'] as const

/** A socket is no part of what a node knows, and cannot be copied. */
export function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true
}

/** Copies the database and the node's folder, or the named parts of them. */
export function copyAll(from: string, to: string, suffixes: readonly string[] = SUFFIXES): void {
  for (const suffix of suffixes) {
    rmSync(`${to}${suffix}`, { recursive: true, force: true })
    // A file being written exists only for a moment.
    cpSync(`${from}${suffix}`, `${to}${suffix}`, {
      recursive: true,
      filter: (path) => !path.endsWith('.new') && !isSocket(path),
    })
  }
}

/** A process that has to end by itself, since another one has its id. */
export async function requireTaken(node: { readonly child: TestNode['child'] }): Promise<void> {
  node.child.expectEnd()
  const { code } = await node.child.ended
  assert.equal(code, 1, node.child.tail())
  const [line] = node.child.err.filter((each) => each.startsWith('WALCAST_NODE_ID_TAKEN'))
  assert.match(line ?? '', /another process has the id .*walcast new-identity --db FILE/)
}

/**
 * Between processes started within a second random ids decide: this one must count as the first.
 */
export async function cameFirst(node: TestNode): Promise<void> {
  await until('it has been up for a while', async () => {
    const { upMs } = JSON.parse((await node.get('/leader')).text)
    return upMs > 1500
  })
}

/** Replaces a stopped node's files by the copy; nothing else of them stays. */
export function putBack(from: string, to: string): void {
  for (const suffix of SUFFIXES) rmSync(`${to}${suffix}`, { recursive: true, force: true })
  copyAll(from, to, ['', '-walcast'])
}
