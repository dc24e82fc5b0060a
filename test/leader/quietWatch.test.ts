import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { QuietWatch } from '../../src/leader/quietWatch.ts'

interface World {
  frames: number
  inTheWay: boolean
  done: boolean
  moves: number
  looks: number
}

/** Each millisecond by itself: what a timer sets within a tick waits for the next. */
function pass(ms: number): void {
  for (let i = 0; i < ms; i++) mock.timers.tick(1)
}

/** Calls `use` with a watch and what it is told. */
function watched(use: (watch: QuietWatch, world: World) => void): void {
  mock.timers.enable({ apis: ['setTimeout'] })
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
  try {
    use(watch, world)
  } finally {
    watch.stop()
    mock.timers.reset()
  }
}

test('the guard moves in silence only, until a checkpoint is through; then the looks end', () => {
  watched((watch, world) => {
    watch.onFrames()
    for (let i = 0; i < 100; i++) {
      world.frames++
      watch.onFrames()
      pass(4)
    }
    assert.equal(world.moves, 0, 'a process writes')
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
  })
})

test('behind a reader of another process looks become rarer, and its end is noticed', () => {
  watched((watch, world) => {
    world.inTheWay = false
    watch.onFrames()
    pass(10_000)
    let { looks } = world
    pass(10_000)
    assert.ok(
      world.looks - looks >= 100 && world.looks - looks <= 200,
      `${world.looks - looks} looks in 10 s`,
    )
    assert.equal(world.moves, 0)
    // The checkpoint that waits has come to its end but for the guard.
    world.inTheWay = true
    pass(50)
    assert.ok(world.moves >= 1)
    pass(20)
    assert.ok(world.moves >= 5, 'and it waits once more')
    pass(1000)
    const { moves } = world
    looks = world.looks
    pass(10_000)
    assert.ok(world.moves - moves <= 200, 'moves that do not help are not made at full speed')
    world.done = true
    pass(50)
    looks = world.looks
    pass(10_000)
    assert.equal(world.looks, looks)
  })
})
