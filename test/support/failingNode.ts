/** A node whose file operations fail, or kill it, when the test says so. */
import { type Lab, nodeArguments } from './lab.ts'
import type { NodeCommand, NodeOptions, TestNode } from './testNode.ts'

/** Which file operations fail from now on. */
export interface Fault {
  readonly ops: readonly string[]
  /** Such as ENOSPC; KILL kills the process. */
  readonly code: string
  /** The first operation to fail, counted from 1 from now on; 1 when not given. */
  readonly first?: number
  readonly times: number
}

export interface Failing {
  fail(fault: Fault): Promise<void>
  /** Returns how many operations have failed since `fail`. */
  mend(): Promise<number>
}

export interface FailingNode extends Failing {
  readonly node: TestNode
}

/** Resolves once the node runs. */
export async function startFailing(
  lab: Lab,
  role: NodeCommand,
  options: NodeOptions,
): Promise<FailingNode> {
  const program = { args: nodeArguments(role, options) }
  const child = lab.program('nodeFailing', program, options.environment)
  await child.errorLine((line) => line.includes('"msg":"running"'))
  const tell = async (fault: object): Promise<number> => {
    const from = child.out.length
    child.write(JSON.stringify(fault))
    const { text } = await child.line((line) => line.includes('"failed"'), from)
    return JSON.parse(text).failed
  }
  return {
    node: lab.nodeOf(role, options, child),
    fail: async (fault) => void (await tell(fault)),
    mend: () => tell({}),
  }
}
