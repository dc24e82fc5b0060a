/**
 * The application: Fastify with the walcast plugin, an API and a page. The same code runs on the
 * leader and on replicas.
 */
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify'
import type { WalcastNode } from 'walcast'
import { walcast } from 'walcast/fastify'
import type { Accounts } from './accounts.ts'
import { addApi } from './api.ts'
import type { Inventory } from './inventory.ts'
import { workWhileLeading } from './leaderWork.ts'
import { addAccount, addLogin, requireLogin } from './login.ts'
import { addPages } from './pages.ts'
import { refusalOf } from './refusal.ts'

export interface AppOptions {
  readonly node: WalcastNode
  readonly inventory: Inventory
  readonly accounts: Accounts
  /** Undefined: everyone may see and change everything. */
  readonly password: string | undefined
  readonly checkEveryMs: number
  readonly staleAfterMs: number
}

/** Nothing runs before `listen` or `ready`. */
export function buildApp({ node, inventory, accounts, ...rest }: AppOptions): FastifyInstance {
  const app = Fastify({ logger: { level: 'warn' } })
  void app.register(walcast, { node })
  // After the plugin, and each in a context of its own: the plugin does not watch routes that were
  // registered before it loaded.
  void app.register(async (leading) =>
    workWhileLeading(leading, { inventory, accounts, name: node.status.node, ...rest }),
  )
  const hasLogin = rest.password !== undefined
  if (hasLogin) void app.register(async (open) => addLogin(open, accounts))
  void app.register(async (inside) => {
    if (hasLogin) requireLogin(inside, accounts)
    if (hasLogin) void inside.register(async (account) => addAccount(account, accounts))
    void inside.register(async (api) => addApi(api, inventory), { prefix: '/api' })
    void inside.register(async (pages) => addPages(pages, inventory, node, hasLogin))
  })
  refuseOtherSites(app)
  app.setErrorHandler((error: FastifyError, _request, reply) => {
    const { status, message } = refusalOf(error)
    if (status >= 500) app.log.error(error)
    return reply.code(status).send({ error: message })
  })
  return app
}

/** Any web page can make a browser send a form here. Browsers mark such requests. */
function refuseOtherSites(app: FastifyInstance): void {
  app.addHook('onRequest', async (request, reply) => {
    if (request.headers['sec-fetch-site'] !== 'cross-site' || request.method === 'GET') return
    return reply.code(403).send({ error: 'requests from other sites are refused' })
  })
}
