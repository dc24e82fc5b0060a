/** Where the page begins. */
import type { SessionAnswer } from '../../api/consoleSession.ts'
import { nowMs, openStream, random, setTimer } from './browser.ts'
import { NodeLink } from './link.ts'
import { ask } from './requests.ts'
import { Shell } from './shell.ts'
import { Store } from './store.ts'
import { applyTheme } from './theme.ts'

applyTheme()
const store = new Store()
const link = new NodeLink({
  store,
  ask: (method, path, body) => ask<SessionAnswer>(method, path, body),
  open: openStream,
  nowMs,
  setTimer,
  random,
})
const root = document.getElementById('console')
if (root) new Shell(root, store, link).start()
void link.start()
