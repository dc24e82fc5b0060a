/**
 * Conditions of a network and how they are made on a Link: by the kernel where it can (netem, tbf,
 * or nftables for loss), and delay otherwise by a relay of the bench, which delays what is sent but
 * knows no packets.
 */
import { debianProgram, NotAvailable } from './install.ts'
import { CABLE, complaintOf, type Link } from './netns.ts'

export interface Condition {
  readonly name: string
  /** One way, in both directions. */
  readonly delayMs?: number
  /** Of packets, in both directions. */
  readonly lossPercent?: number
  /** In both directions. */
  readonly megabitsPerSecond?: number
}

export type Means = 'veth' | 'netem' | 'tbf' | 'nft' | 'relay'

export const CONDITIONS: readonly Condition[] = [
  { name: 'none' },
  { name: 'delay 0 ms', delayMs: 0 },
  { name: 'delay 0.2 ms', delayMs: 0.2 },
  { name: 'delay 1 ms', delayMs: 1 },
  { name: 'delay 20 ms', delayMs: 20 },
  { name: 'loss 0.1 %', lossPercent: 0.1 },
  { name: 'loss 1 %', lossPercent: 1 },
  { name: 'rate 100 Mbit/s', megabitsPerSecond: 100 },
]

/**
 * A packet and a little: what is sent in one go at full speed, so that a small commit takes its
 * time too.
 */
const BURST_BYTES = 1600
/** How long a packet may wait in the queue of a slow cable before it is dropped. */
const QUEUE_MS = 100
/** The error of tc when the kernel lacks a queueing discipline. */
const UNKNOWN_QDISC = /qdisc kind is unknown|No such file or directory|not supported/i
/** Packets that netem may hold: 20 ms of 4 Gbit/s. */
const NETEM_PACKETS = 10_000
/** nft draws a whole number below this. */
const NFT_DRAWS = 100_000
const NFT_FOLDERS = ['/usr/sbin', '/sbin']

/**
 * Makes the condition and returns its means; for `relay` the caller starts one. Throws
 * NotAvailable.
 */
export async function emulate(
  link: Link,
  { delayMs, lossPercent, megabitsPerSecond }: Condition,
  progress: (text: string) => void,
): Promise<Means> {
  if (megabitsPerSecond !== undefined) return limitRate(link, megabitsPerSecond)
  if (lossPercent !== undefined) {
    if (await tryNetem(link, 'loss', `${lossPercent}%`)) return 'netem'
    return dropSome(link, lossPercent, progress)
  }
  if (delayMs === undefined) return 'veth'
  return (await tryNetem(link, 'delay', `${delayMs}ms`)) ? 'netem' : 'relay'
}

async function tryNetem(link: Link, ...args: readonly string[]): Promise<boolean> {
  const limit = ['limit', String(NETEM_PACKETS)]
  try {
    await link.runInBoth('tc', ['qdisc', 'add', 'dev', CABLE, 'root', 'netem', ...limit, ...args])
    return true
  } catch (error) {
    if (!UNKNOWN_QDISC.test(complaintOf(error))) throw error
    return false
  }
}

async function limitRate(link: Link, megabitsPerSecond: number): Promise<Means> {
  const rate = [
    'rate',
    `${megabitsPerSecond}mbit`,
    'burst',
    String(BURST_BYTES),
    'latency',
    `${QUEUE_MS}ms`,
  ]
  try {
    await link.runInBoth('tc', ['qdisc', 'add', 'dev', CABLE, 'root', 'tbf', ...rate])
  } catch (error) {
    throw new NotAvailable(`no tbf: ${complaintOf(error)}`)
  }
  return 'tbf'
}

/**
 * Drops at arrival: TCP is told of a packet that is dropped before it leaves, so that would be no
 * loss.
 */
async function dropSome(
  link: Link,
  lossPercent: number,
  progress: (text: string) => void,
): Promise<Means> {
  const nft = await debianProgram('nft', 'nftables', () => NFT_FOLDERS, progress)
  const below = Math.round((lossPercent / 100) * NFT_DRAWS)
  try {
    await link.runInBoth(nft, ['add table inet loss'])
    await link.runInBoth(nft, [
      'add chain inet loss arrival { type filter hook prerouting priority -300 ; }',
    ])
    const draw = `iifname ${CABLE} numgen random mod ${NFT_DRAWS} < ${below} counter drop`
    await link.runInBoth(nft, [`add rule inet loss arrival ${draw}`])
  } catch (error) {
    throw new NotAvailable(`neither netem nor nftables: ${complaintOf(error)}`)
  }
  return 'nft'
}
