/** Loaded before a node (`--import`): its clock is TEST_CLOCK_SHIFT_MS ahead of the machine's. */
const shiftMs = Number(process.env['TEST_CLOCK_SHIFT_MS'] ?? 0)
const trueNow = Date.now
Date.now = () => trueNow() + shiftMs
Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + shiftMs })
