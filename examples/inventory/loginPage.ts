/** The page that asks for the password, and how pages are sent. */
import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'
import { Html, html } from './html.ts'
import { STYLE } from './style.ts'

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64')
const POLICY =
  `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; img-src data:; form-action 'self'; ` +
  "base-uri 'none'; frame-ancestors 'none'"

export function sendPage(reply: FastifyReply, page: string): FastifyReply {
  return reply
    .type('text/html; charset=utf-8')
    .headers({ 'content-security-policy': POLICY, 'cache-control': 'no-store' })
    .send(page)
}

/** `refused`: why the last try was. */
export function loginPageOf(refused: string | undefined): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Inventory: log in</title>
<link rel="icon" href="data:,">
<style>${new Html(STYLE)}</style>
</head>
<body>
<header><h1>Inventory</h1></header>
<main>
${refusalOf(refused)}
<section aria-labelledby="login">
<h2 id="login">Log in</h2>
<form class="add" method="post" action="/login">
<div><label for="password">Password</label>
<input id="password" type="password" name="password" autocomplete="current-password" required></div>
<button>Log in</button>
</form>
</section>
</main>
</body>
</html>
`.text
}

function refusalOf(refused: string | undefined): Html | undefined {
  if (refused === undefined) return undefined
  return html`<p class="refused" role="alert">Not yet: ${refused}.</p>`
}
