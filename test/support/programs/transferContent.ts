/** Replaces the content of a database, and dies once so many pages are copied. */
import { transferContent } from '../../../src/sqlite/contentTransfer.ts'
import { optionsOf, say } from './options.ts'

const { from, into, killAt } = optionsOf<{ from: string; into: string; killAt: number }>()

await transferContent(from, into, 5000, {
  prepare: async () => say({ event: 'locked' }),
  onPages: (done) => {
    if (done >= killAt) process.kill(process.pid, 'SIGKILL')
  },
})
say({ event: 'done' })
