/** The hard limits of the protocol. Raising one needs a new protocol version. */

/** Versions this code speaks, newest first. Offered as WebSocket subprotocols `walcast.N`. */
export const PROTOCOL_VERSIONS = [1] as const
export const SUBPROTOCOL_PREFIX = 'walcast.'
/** Where a leader takes WebSocket upgrades. */
export const STREAM_PATH = '/_walcast/stream'

export const HEADER_BYTES = 24
/** Bytes of the msgpack body of any message. */
export const MAX_BODY_BYTES = 16 * 1024
/** Bytes of the payload of any message: pages with their numbers, or page checksums. */
export const MAX_PAYLOAD_BYTES = 4 * 1024 * 1024
export const MAX_MESSAGE_BYTES = HEADER_BYTES + MAX_BODY_BYTES + MAX_PAYLOAD_BYTES
/** Checksums in one `groups` or `have` message, and group numbers in one `differ`. */
export const MAX_SUMS = 65536
/**
 * Pages of one group in a comparison. Group `g` (from 0) holds the pages from `g * GROUP_PAGES + 1`
 * on.
 */
export const GROUP_PAGES = 128
/** Pages in one message; the payload's limit is met first for pages over 1 KiB. */
export const MAX_PAGES = 4096
/** Characters of any name (node, cluster, database, version). */
export const MAX_NAME_CHARS = 128
/** Characters of any text for people. */
export const MAX_TEXT_CHARS = 1024
/**
 * Highest page number (https://sqlite.org/limits.html, "Maximum Number Of Pages In A Database
 * File").
 */
export const MAX_PAGE_NUMBER = 4294967294
/** Furthest time from 1970-01-01 UTC: what dates hold (ECMA-262, "Time Values and Time Range"). */
export const MAX_TIME_MS = 8.64e15
/** Longest duration; stands for "never" too. */
export const MAX_DURATION_MS = 1e12

/** Highest epoch and txid: the next one is still a whole number that can be written down. */
export const MAX_COUNTED = 2 ** 48
/**
 * A node believes no epoch or txid further than this above the highest that it knows itself.
 * 100,000 commits a second take 12 hours for as many.
 */
export const MAX_AHEAD = 2 ** 32
