// Random clients against the relay: see relay-model.ts for what is asserted at every step.

import fc from 'fast-check';
import t from 'tap';
import { Model, operation } from './relay-model.js';

t.test('never lets a datagram out of its session and leaves nothing behind', (t) => {
  let forwarded = 0;
  fc.assert(
    fc.property(fc.array(operation, { minLength: 50, maxLength: 200, size: 'max' }), (operations) => {
      const model = new Model();
      for (const step of operations) model.run(step);
      model.finish();
      forwarded += model.forwarded;
    }),
    { numRuns: 600 },
  );
  t.ok(forwarded > 1_000, `${forwarded} datagrams did cross`);
  t.end();
});
