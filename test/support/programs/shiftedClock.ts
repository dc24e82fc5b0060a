/** Preloaded into a node (`--import`): shifts its clock by TEST_CLOCK_SHIFT_MS. */
const shiftMs = Number(process.env['TEST_CLOCK_SHIFT_MS'] ?? 0)
const trueNow = Date.now
Date.now = () => trueNow() + shiftMs
Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + shiftMs })
