/** Preloaded into a node (`--import`): its clock is ten minutes ahead, and runs 1 % fast. */
const AHEAD_MS = 600_000
const RATE = 1.01
const [trueNow, trueMonotonic] = [Date.now, performance.now.bind(performance)]
const beginMs = trueNow()
Date.now = () => Math.round(beginMs + (trueNow() - beginMs) * RATE + AHEAD_MS)
performance.now = () => trueMonotonic() * RATE
Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + AHEAD_MS })
