import type { Suite } from '../suite.ts'

export const large: Suite = { note: '', hasPeers: false, run: async () => [] }
