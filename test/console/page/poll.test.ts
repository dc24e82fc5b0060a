/** How often the page asks its node by itself: as long as somebody can see the answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Poll, type PollBrowser } from '../../../src/console/page/poll.ts'

const settled = () => new Promise<void>((resolve) => setImmediate(resolve))

class Browser implements PollBrowser {
  timers: (() => void)[] = []
  #isSeen = true
  #watchers: (() => void)[] = []

  isSeen(): boolean {
    return this.#isSeen
  }

  watchSight(onChange: () => void): () => void {
    this.#watchers.push(onChange)
    return () => {
      this.#watchers = this.#watchers.filter((each) => each !== onChange)
    }
  }

  setTimer(then: () => void): () => void {
    this.timers.push(then)
    return () => {
      this.timers = this.timers.filter((each) => each !== then)
    }
  }

  see(isSeen: boolean): void {
    this.#isSeen = isSeen
    for (const each of this.#watchers) each()
  }

  async timePasses(): Promise<void> {
    for (const then of this.timers.splice(0)) then()
    await settled()
  }
}

/** `answers`: what is called to answer each question, in their order. */
function polled() {
  const browser = new Browser()
  const answers: ((error?: Error) => void)[] = []
  const heard: unknown[] = []
  const read = () =>
    new Promise<void>((resolve, reject) => {
      answers.push((error) => (error ? reject(error) : resolve()))
    })
  const parts = { read, onRead: (error: unknown) => void heard.push(error), pauseMs: 5 }
  return { browser, answers, heard, poll: new Poll(parts, browser) }
}

test('the next question comes after the pause that follows an answer', async () => {
  const { browser, answers, heard } = polled()
  await browser.timePasses()
  assert.equal(answers.length, 1)
  const error = new Error('it starts')
  answers[0]?.(error)
  await settled()
  assert.deepEqual([heard, answers.length], [[error], 1])
  await browser.timePasses()
  assert.equal(answers.length, 2)
})

test('a page out of sight asks nothing, and asks once at once when it is seen', async () => {
  const { browser, answers } = polled()
  answers[0]?.()
  await settled()
  browser.see(false)
  await browser.timePasses()
  assert.deepEqual([answers.length, browser.timers.length], [1, 0])
  browser.see(true)
  browser.see(true)
  assert.equal(answers.length, 2)
})

test('an answer that comes out of sight is told, and no question follows it', async () => {
  const { browser, answers, heard } = polled()
  browser.see(false)
  answers[0]?.()
  await settled()
  assert.deepEqual([heard, browser.timers.length], [[undefined], 0])
  browser.see(true)
  assert.equal(answers.length, 2)
})

test('what is closed asks and tells nothing more', async () => {
  const { browser, answers, heard, poll } = polled()
  poll.close()
  answers[0]?.()
  await settled()
  browser.see(true)
  await browser.timePasses()
  assert.deepEqual([answers.length, heard], [1, []])
})
