/** Where the page begins. */
import type { SessionAnswer } from '../../api/consoleSession.ts'
import { nowMs, onSight, openStream, random, setTimer } from './browser.ts'
import { NodeLink } from './link.ts'
import { ask } from './requests.ts'
import { Shell } from './shell.ts'
import { Store } from './store.ts'
import { applyTheme } from './theme.ts'

/** Who is logged in is told at once, unless wrong tokens came before. */
const LIMIT_MS = 10_000
/** A browser has few connections for each node: a page that nobody sees gives its own up. */
const HIDDEN_MS = 20_000

applyTheme()
const store = new Store()
const link = new NodeLink({
  store,
  ask: (method, path, body) => ask<SessionAnswer>(method, path, body, LIMIT_MS),
  open: openStream,
  nowMs,
  setTimer,
  random,
})
const root = document.getElementById('console')
if (root) new Shell(root, store, link).start()
void link.start()
onSight(
  () => link.resume(),
  () => link.pause(),
  HIDDEN_MS,
)
