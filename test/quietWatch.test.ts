import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { QuietWatch } from '../src/leader/quietWatch.ts'

/** Each millisecond by itself: what a timer sets within a tick waits for the next. */
function pass(ms: number): void {
  for (let i = 0; i < ms; i++) mock.timers.tick(1)
}

test('the guard is moved in silence only, again until a checkpoint is through, and then nothing is looked at any more', () => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    const world = { frames: 1, inTheWay: true, done: false, moves: 0, looks: 0 }
    const watch = new QuietWatch({
      walFrames: () => {
        world.looks++
        return world.frames
      },
      standsInTheWay: () => world.inTheWay,
      isDone: () => world.done,
      onQuiet: () => void world.moves++,
    })
    watch.onFrames()
    for (let i = 0; i < 100; i++) {
      world.frames++
      watch.onFrames()
      pass(4)
    }
    assert.equal(world.moves, 0, 'somebody writes')
    pass(40)
    assert.ok(world.moves > 1, 'silence')
    world.inTheWay = false
    const { moves } = world
    pass(1000)
    assert.equal(world.moves, moves, 'moving does not help')
    world.done = true
    pass(1000)
    const { looks } = world
    pass(60_000)
    assert.equal(world.looks, looks, 'nothing is left to do')
    watch.onFrames()
    pass(10)
    assert.ok(world.looks > looks, 'and begins again with the next frames')
    watch.stop()
  } finally {
    mock.timers.reset()
  }
})
