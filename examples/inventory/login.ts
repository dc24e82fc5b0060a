/**
 * Who may see and change the inventory: browsers with a session, programs with a token. Routes that
 * log in and out write, so the plugin runs them on the leader; every server checks for itself.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type Accounts, SESSION_MS } from './accounts.ts'
import { acceptForms } from './forms.ts'
import { loginPageOf, sendPage } from './loginPage.ts'

const COOKIE = 'inventory_session'
const TEXT = { type: 'string', minLength: 1, maxLength: 200 } as const
const LOGIN = { type: 'object', properties: { password: TEXT }, required: ['password'] }
const TOKEN = { type: 'object', properties: { note: TEXT }, required: ['note'] }

/**
 * Refuses whoever is not logged in. For a context below the plugin: a server that lacks the session
 * of its client yet waits for it before this looks.
 */
export function requireLogin(app: FastifyInstance, accounts: Accounts): void {
  app.addHook('onRequest', async (request, reply) => {
    const token = /^Bearer (\S{1,200})$/.exec(request.headers.authorization ?? '')?.[1]
    if (token !== undefined && accounts.isToken(token)) return
    const session = sessionOf(request)
    if (session !== undefined && accounts.isLoggedIn(session)) return
    return request.url.startsWith('/api/')
      ? reply.code(401).send({ error: 'log in, or send a token' })
      : reply.redirect('/login', 303)
  })
}

/** The routes by which one logs in. */
export function addLogin(app: FastifyInstance, accounts: Accounts): void {
  acceptForms(app)
  app.get('/login', async (_request, reply) => sendPage(reply, loginPageOf(undefined)))
  app.post<{ Body: { password: string } }>(
    '/login',
    { schema: { body: LOGIN } },
    async ({ body, protocol }, reply) => {
      if (!accounts.isPassword(body.password))
        return sendPage(reply.code(403), loginPageOf('the password is another one'))
      setCookie(reply, accounts.logIn(), protocol)
      return reply.redirect('/', 303)
    },
  )
}

/** The routes of those who are logged in. */
export function addAccount(app: FastifyInstance, accounts: Accounts): void {
  acceptForms(app)
  app.post('/logout', async (request, reply) => {
    const session = sessionOf(request)
    if (session !== undefined) accounts.logOut(session)
    setCookie(reply, '', request.protocol)
    return reply.redirect('/login', 303)
  })
  app.get('/api/tokens', async () => accounts.tokens())
  app.post<{ Body: { note: string } }>(
    '/api/tokens',
    { schema: { body: TOKEN } },
    async ({ body }, reply) => reply.code(201).send(accounts.createToken(body.note)),
  )
  app.delete<{ Params: { id: string } }>('/api/tokens/:id', async ({ params }, reply) =>
    accounts.revokeToken(params.id)
      ? reply.code(204).send()
      : reply.code(404).send({ error: 'there is none with that id' }),
  )
}

function sessionOf(request: FastifyRequest): string | undefined {
  const cookies = request.headers.cookie ?? ''
  return new RegExp(`(?:^|; )${COOKIE}=([\\w-]{1,200})(?:;|$)`).exec(cookies)?.[1]
}

/** An empty secret ends the session in the browser. */
function setCookie(reply: FastifyReply, secret: string, protocol: string): void {
  const seconds = secret === '' ? 0 : SESSION_MS / 1000
  const secure = protocol === 'https' ? '; Secure' : ''
  reply.header(
    'set-cookie',
    `${COOKIE}=${secret}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`,
  )
}
