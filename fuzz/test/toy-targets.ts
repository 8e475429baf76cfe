// Decoders that are broken on purpose, one for each kind of finding: a judge that finds nothing proves nothing.

import type { FuzzTarget } from '../targets/support/fuzz-target.js';

const toy = (run: (input: Uint8Array) => unknown, changes: Partial<FuzzTarget> = {}): FuzzTarget => ({
  decodes: 'nothing real', maxBytes: 64, memory: { base: 16_384, perByte: 16 }, seeds: () => [new Uint8Array(8)], run, ...changes,
});

export const HONEST = toy((input) => input.reduce((sum, byte) => sum + byte, 0));

export const BROKEN: Readonly<Record<string, FuzzTarget>> = {
  throws: toy((input) => {
    if (input.length > 4) throw new TypeError('beyond four bytes');
    return 0;
  }),
  reads_outside: toy((input) => new Uint8Array(input.buffer)[input.byteOffset + input.length]),
  writes_to_input: toy((input) => input.fill(1).length),
  allocates: toy((input) => new Uint8Array(64 + input.length * 1000 + 100_000).length),
  slow: toy(() => {
    const start = process.cpuUsage();
    for (let used = 0; used < 60_000; ) {
      const { user, system } = process.cpuUsage(start);
      used = user + system;
    }
    return 0;
  }),
};
