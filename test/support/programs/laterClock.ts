/** Preloaded into a node (`--import`): at SIGUSR2 eleven minutes have gone by. */
const LATER_MS = 11 * 60_000
const trueNow = performance.now.bind(performance)
let shiftMs = 0
performance.now = () => trueNow() + shiftMs
process.on('SIGUSR2', () => {
  shiftMs += LATER_MS
  process.stderr.write('the clock moved\n')
})
