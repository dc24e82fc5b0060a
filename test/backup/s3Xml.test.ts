/** The XML of S3 stores is read strictly: what is no such XML is refused, in bounded time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { childText, escapeXml, neededText, readXml } from '../../src/backup/stores/s3/xml.ts'

const read = (text: string) => readXml(Buffer.from(text))

test('elements, text and references are read', () => {
  const root = read(
    '\ufeff<?xml version="1.0" encoding="UTF-8"?>\n' +
      '<a:List xmlns="http://s3.amazonaws.com/doc/2006-03-01/" b=\'c\'>\n' +
      '  <Key>x&amp;y&lt;&#252;&#x1F600;&quot;</Key ><Empty/><Gone a="b" /> \n</a:List>\n',
  )
  assert.equal(root.name, 'a:List')
  assert.equal(childText(root, 'Key'), 'x&y<ü\u{1f600}"')
  assert.equal(childText(root, 'Empty'), '')
  assert.equal(childText(root, 'Missing'), undefined)
  assert.throws(() => neededText(root, 'Missing'), /no <Missing>/)
  assert.throws(() => childText(read('<a><b/><b/></a>'), 'b'), /twice/)
})

test('what is no XML of a store is refused', () => {
  for (const text of [
    '',
    ' ',
    'text',
    '<a>',
    '</a>',
    '<a></b>',
    '<a><b></a></b>',
    '<a/><b/>',
    '<a/>text',
    'text<a/>',
    '<a>text<b/></a>',
    '<a>&nbsp;</a>',
    '<a>&;</a>',
    '<a>&</a>',
    '<a>&#0;</a>',
    '<a>&#xD800;</a>',
    '<a>&#x110000;</a>',
    '<a>&#99999999999;</a>',
    '<!DOCTYPE a><a/>',
    '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    '<a><!-- b --></a>',
    '<a><![CDATA[b]]></a>',
    '<a><?b c?></a>',
    '<?xml version="1.0"?><?xml version="1.0"?><a/>',
    '<a b="<"/>',
    `<a ${'b'.repeat(3000)}/>`,
    `<${'a'.repeat(100)}/>`,
    '< a/>',
    '<1/>',
    '<a',
    '<',
    '<a>'.repeat(100),
    `<a>${'<b/>'.repeat(50_000)}</a>`,
  ])
    assert.throws(() => read(text), Error, text.slice(0, 60))
  assert.throws(() => readXml(Buffer.from([0x3c, 0x61, 0x3e, 0xff, 0x3c, 0x2f, 0x61, 0x3e])))
})

test('any text stands in an element, and no text makes the reader slow', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      assert.equal(read(`<a>${escapeXml(text)}</a>`).text, text)
    }),
  )
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'<>/ab&;# "=?!\n') }), (text) => {
      try {
        read(text)
      } catch (error) {
        assert.ok(error instanceof Error)
      }
    }),
  )
  for (const piece of ['<', '<a', '<a ', ' ', '&', '&#', '<a b="', '</', '<?xml '])
    try {
      read(piece.repeat(200_000))
      assert.fail(piece)
    } catch (error) {
      assert.ok(error instanceof Error && error.name !== 'AssertionError', piece)
    }
})
