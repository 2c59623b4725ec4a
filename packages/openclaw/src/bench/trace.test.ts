/** Steps as events of the Chrome trace format. */
import { expect, it } from 'vitest';
import { chromeTrace } from './trace.js';

it('writes steps as complete events in microseconds', () => {
  const step = {
    operator: 'contract',
    entry: 'k0',
    key: 'contract',
    start: 5,
    milliseconds: 2,
    flops: 8,
    bytes: 4,
  };
  const steps = [step, { ...step, entry: 'k1', start: 8, milliseconds: 0.5 }];
  expect(chromeTrace([{ model: 'm', device: 'native', steps }])).toEqual({
    displayTimeUnit: 'ms',
    traceEvents: [
      { name: 'process_name', ph: 'M', pid: 1, args: { name: 'm native' } },
      {
        name: 'contract',
        cat: 'launch',
        ph: 'X',
        ts: 0,
        dur: 2000,
        pid: 1,
        tid: 1,
        args: { entry: 'k0', flops: 8, bytes: 4 },
      },
      {
        name: 'contract',
        cat: 'launch',
        ph: 'X',
        ts: 3000,
        dur: 500,
        pid: 1,
        tid: 1,
        args: { entry: 'k1', flops: 8, bytes: 4 },
      },
    ],
  });
});
