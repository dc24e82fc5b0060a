/** Which options the filter of the page leaves, and what a QR code is drawn of. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { optionGroups } from '../../../src/console/page/optionRows.ts'
import type { ShownOption } from '../../../src/options/shownOptions.ts'

function option(name: string, group: string, isChanged: boolean, value = '1s'): ShownOption {
  const origin = isChanged
    ? ({ from: 'file', detail: '/etc/walcast.toml:3' } as const)
    : ({ from: 'default', detail: '' } as const)
  return { name, group, value, default: '1s', origin, isChanged, help: `what ${name} is for` }
}

const ALL = [
  option('--drain', 'Node', false),
  option('--listen', 'Node', true, '0.0.0.0:8470'),
  option('--hold', 'Requests', false),
]
const names = (query: string, isChangedOnly = false) =>
  optionGroups(ALL, query, isChangedOnly).map(({ title, options }) => [
    title,
    ...options.map(({ name }) => name),
  ])

test('each group shows first what differs from the default', () => {
  assert.deepEqual(names(''), [
    ['Node', '--listen', '--drain'],
    ['Requests', '--hold'],
  ])
  assert.deepEqual(names('', true), [['Node', '--listen']])
})

test('every word of the filter has to be somewhere in an option', () => {
  assert.deepEqual(names('HOLD'), [['Requests', '--hold']])
  assert.deepEqual(names('  node   FOR '), [['Node', '--listen', '--drain']])
  assert.deepEqual(names('walcast.toml 0.0.0.0'), [['Node', '--listen']])
  assert.deepEqual(names('hold drain'), [])
})
