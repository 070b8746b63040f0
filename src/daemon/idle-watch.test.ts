import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { IdleWatch } from './idle-watch.ts';

void test('idle is when no build runs and none has begun for a while', () => {
  mock.timers.enable({ apis: ['setTimeout'] });
  try {
    let idle = 0;
    const watch = new IdleWatch(() => idle++);
    watch.begin();
    watch.begin();
    watch.end();
    mock.timers.tick(60_000);
    assert.equal(idle, 0);
    watch.end();
    mock.timers.tick(2000);
    watch.begin();
    mock.timers.tick(60_000);
    assert.equal(idle, 0);
    watch.end();
    mock.timers.tick(5000);
    assert.equal(idle, 1);
    watch.begin();
    watch.end();
    watch.close();
    mock.timers.tick(60_000);
    assert.equal(idle, 1);
  } finally {
    mock.timers.reset();
  }
});
